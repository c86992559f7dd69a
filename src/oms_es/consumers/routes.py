"""Which gateway takes a payment, a parcel or a request to pick: the first route in force that matches."""

from __future__ import annotations

from collections.abc import Collection

from oms_es.kernel import Lookup, LookupResults
from oms_es.schemas.catalog.routes import CarrierRoute, GatewayRoutes, PaymentRoute
from oms_es.schemas.finance.account import METHOD
from oms_es.schemas.order import AsksForMoney
from oms_es.schemas.shipment import ShipmentPacked

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
        _among(method, route.methods)
        and _among(event.channel, route.channels)
        and _among(event.currency, route.currencies)
        and _among(event.country, route.countries)
    )


def _among(value: str, named: Collection[str]) -> bool:
    """Return whether a condition holds; an empty one holds for every value."""
    return not named or value in named


def carrier_gateway_for(routes: GatewayRoutes, event: ShipmentPacked, carrier: str) -> str | None:
    """Return the gateway that books a parcel with the chosen carrier; None if no route matches."""
    return next((route.gateway for route in routes.carriers if _takes(route, event, carrier)), None)


def _takes(route: CarrierRoute, event: ShipmentPacked, carrier: str) -> bool:
    return (
        _among(carrier, route.carriers)
        and _among(event.delivery_option, route.delivery_options)
        and _among(event.ship_to.country if event.ship_to else "", route.countries)
        and _among(event.location, route.locations)
    )


def warehouse_gateway_for(routes: GatewayRoutes, location: str) -> str | None:
    """Return the gateway to the warehouse of a location; None if no route matches."""
    return next((route.gateway for route in routes.warehouses if _among(location, route.locations)), None)
