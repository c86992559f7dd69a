"""Which gateway takes a payment: the first route in force that matches."""

from __future__ import annotations

from oms_es.kernel import Lookup, LookupResults
from oms_es.schemas.catalog.routes import GatewayRoutes, PaymentRoute
from oms_es.schemas.finance.account import METHOD
from oms_es.schemas.order import AsksForMoney

ROUTES = Lookup("gateway_routes", by="current", keys=lambda _: (True,))


def routes_of(results: LookupResults) -> GatewayRoutes:
    """Return the routes in force."""
    for row in results["gateway_routes"][True]:
        return GatewayRoutes.model_validate(row["routes"])
    return NONE


NONE = GatewayRoutes()


def gateway_for(routes: GatewayRoutes, event: AsksForMoney, method: str) -> str:
    """Return the gateway of a payment; an empty string if no route matches, or an account of ours pays.

    No route applies to an event of an earlier version, which has no channel and no country: the narrow routes would not
    match it, and a wider one would take it.
    """
    if method == METHOD or not event.channel:
        return ""
    return next((route.gateway for route in routes.payments if _matches(route, event, method)), "")


def _matches(route: PaymentRoute, event: AsksForMoney, method: str) -> bool:
    return (
        (not route.methods or method in route.methods)
        and (not route.channels or event.channel in route.channels)
        and (not route.currencies or event.currency in route.currencies)
        and (not route.countries or event.country in route.countries)
    )
