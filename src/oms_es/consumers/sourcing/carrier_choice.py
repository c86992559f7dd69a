"""Freight: what each carrier would charge for a shipment, and who gets it. Pure arithmetic over facts; the rule's
version goes into every decision.

A service can take a shipment if it is meant for the delivery option, one of its zones reaches the address, and each
carton falls into a weight band; it costs the sum over the cartons. Of those that arrive in time the cheapest wins, or
the fastest if the option prefers that; if none arrives in time, the fastest. What is equal is ordered by name, so
that equal facts give equal choices everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from oms_es.kernel import Lookup, Row
from oms_es.schemas.catalog.rates import DeliveryOptionDefined, RatesPublished, Service, Zone
from oms_es.schemas.shipment import CANDIDATES_MAX, CarrierCandidate, CarrierChoice

RULE_VERSION = "1"
CARRIERS_MAX = 50
"""Carriers weighed for one shipment."""
RATES = Lookup("carrier_rates", by="offered", keys=lambda _: (True,), limit=CARRIERS_MAX)


class Freight(NamedTuple):
    """What is to be carried: the weight of each carton, and how far."""

    weights_grams: Sequence[int]
    country: str
    distance_km: int
    delivery_option: str = "standard"


def rates_of(row: Row) -> RatesPublished:
    return RatesPublished.model_validate({name: row[name] for name in RatesPublished.model_fields})


def quote(freight: Freight, rates: Iterable[RatesPublished], promise: DeliveryOptionDefined | None) -> CarrierChoice:
    """The carrier chosen, with all that were weighed, best first; none is chosen if none can take it."""
    rates = sorted(rates, key=lambda published: published.carrier)
    currency = _common_currency(rates)
    candidates = [
        _weigh(freight, published.carrier, service, promise)
        if published.currency == currency
        else _unable(published.carrier, service, f"priced in {published.currency}, the others in {currency}")
        for published in rates
        for service in published.services
    ]
    prefers_fast = promise is not None and promise.prefer == "fastest"
    ranked = sorted(candidates, key=lambda candidate: _rank(candidate, prefers_fast=prefers_fast))
    kept = tuple(ranked[:CANDIDATES_MAX])
    if not ranked or ranked[0].reason:
        return CarrierChoice(candidates=kept, rule_version=RULE_VERSION)
    best = ranked[0]
    return CarrierChoice(
        carrier=best.carrier,
        service=best.service,
        quoted_minor=best.price_minor,
        currency=currency,
        transit_days=best.transit_days,
        candidates=kept,
        rule_version=RULE_VERSION,
    )


def _rank(candidate: CarrierCandidate, *, prefers_fast: bool) -> tuple[bool, bool, int, int, str, str]:
    price, days = candidate.price_minor, candidate.transit_days
    first, then = (days, price) if prefers_fast or not candidate.in_time else (price, days)
    return bool(candidate.reason), not candidate.in_time, first, then, candidate.carrier, candidate.service


def _common_currency(rates: Sequence[RatesPublished]) -> str:
    """Prices in several currencies cannot be compared: the one that most carriers charge counts."""
    used = Counter(published.currency for published in rates)
    return min(used, key=lambda currency: (-used[currency], currency), default="")


def _weigh(freight: Freight, carrier: str, service: Service, promise: DeliveryOptionDefined | None) -> CarrierCandidate:
    if freight.delivery_option not in service.delivery_options:
        return _unable(carrier, service, f"not for {freight.delivery_option}")
    zone = next((zone for zone in service.zones if _reaches(zone, freight)), None)
    if zone is None:
        return _unable(carrier, service, f"does not go to {freight.country}, {freight.distance_km} km away")
    prices = [_price(zone, grams) for grams in freight.weights_grams]
    if any(price is None for price in prices):
        return _unable(carrier, service, f"takes no {max(freight.weights_grams)} g")
    limit = promise.transit_days_max if promise else None
    return CarrierCandidate(
        carrier=carrier,
        service=service.service,
        price_minor=sum(price for price in prices if price is not None),
        transit_days=zone.transit_days,
        in_time=limit is None or zone.transit_days <= limit,
    )


def _unable(carrier: str, service: Service, reason: str) -> CarrierCandidate:
    return CarrierCandidate(carrier=carrier, service=service.service, in_time=False, reason=reason)


def _reaches(zone: Zone, freight: Freight) -> bool:
    near = zone.distance_km_max is None or freight.distance_km <= zone.distance_km_max
    return near and (not zone.countries or freight.country in zone.countries)


def _price(zone: Zone, grams: int) -> int | None:
    return next((band.price_minor for band in zone.bands if grams <= band.weight_grams_max), None)
