"""Freight: what each carrier would charge for a shipment, and which one is chosen. Pure arithmetic over rows; the
rule's version is recorded in every decision.

A service can take a shipment if it serves the delivery option, one of its zones includes the address, and each carton
falls into a weight band, or into the steps beyond the heaviest. Its price is the sum over the cartons, each with the
surcharges that apply to it. Of the services that arrive in time the cheapest wins, or the fastest if the delivery
option prefers that; if none arrives in time, the fastest. Ties are broken by name, so that equal rows give equal
choices everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from oms_es.consumers.sourcing.regions import region_key
from oms_es.kernel import Lookup, Row
from oms_es.schemas.catalog.rates import DeliveryOptionDefined, RatesPublished, Service, Zone
from oms_es.schemas.shipment import CANDIDATES_MAX, CarrierCandidate, CarrierChoice, PricePart
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX

RULE_VERSION = "2"
CARRIERS_MAX = 50
"""How many carriers are compared for one shipment."""
RATES = Lookup("carrier_rates", by="offered", keys=lambda _: (True,), limit=CARRIERS_MAX)


class Freight(NamedTuple):
    """The freight to carry: each carton's weight in grams, the distance, and each carton's volume in ml (0 if not
    known).
    """

    weights_grams: Sequence[int]
    country: str
    distance_km: int
    delivery_option: str = "standard"
    region: str = ""
    volumes_ml: Sequence[int] = ()


Parts = dict[str, int]
"""Amounts in minor units by what they are charged for."""
FIRST, FURTHER = "first weight", "further weight"


def rates_of(row: Row) -> RatesPublished:
    return RatesPublished.model_validate({name: row[name] for name in RatesPublished.model_fields})


def quote(freight: Freight, rates: Iterable[RatesPublished], promise: DeliveryOptionDefined | None) -> CarrierChoice:
    """Return the chosen carrier with all candidates, best first; none is chosen if none can take the freight."""
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
    """Return the currency that most carriers charge: prices in several currencies cannot be compared."""
    used = Counter(published.currency for published in rates)
    return min(used, key=lambda currency: (-used[currency], currency), default="")


def _weigh(freight: Freight, carrier: str, service: Service, promise: DeliveryOptionDefined | None) -> CarrierCandidate:
    if freight.delivery_option not in service.delivery_options:
        return _unable(carrier, service, f"not for {freight.delivery_option}")
    zone = next((zone for zone in service.zones if _reaches(zone, freight)), None)
    if zone is None:
        return _unable(carrier, service, f"does not go to {freight.country}, {freight.distance_km} km away")
    volumes = freight.volumes_ml or [0] * len(freight.weights_grams)
    counted = _counted_grams(service, freight.weights_grams, volumes)
    priced = [_parts(service, zone, freight, carton) for carton in zip(counted, volumes, strict=True)]
    if any(parts is None for parts in priced):
        by_volume = " by volume" if max(counted) > max(freight.weights_grams) else ""
        return _unable(carrier, service, f"takes no {max(counted)} g{by_volume}")
    whole = Counter[str]()
    for parts in priced:
        whole.update(parts or {})
    if whole.total() > AMOUNT_MINOR_MAX:
        return _unable(carrier, service, "costs more than can be written down")
    limit = promise.transit_days_max if promise else None
    return CarrierCandidate(
        carrier=carrier,
        service=service.service,
        price_minor=whole.total(),
        transit_days=zone.transit_days,
        in_time=limit is None or zone.transit_days <= limit,
        price_parts=tuple(PricePart(name=name, amount_minor=minor) for name, minor in whole.items())
        if len(whole) > 1
        else (),
    )


def _unable(carrier: str, service: Service, reason: str) -> CarrierCandidate:
    return CarrierCandidate(carrier=carrier, service=service.service, in_time=False, reason=reason)


def _reaches(zone: Zone, freight: Freight) -> bool:
    near = zone.distance_km_max is None or freight.distance_km <= zone.distance_km_max
    return near and _serves_address(zone.countries, zone.regions, freight)


def _serves_address(countries: Sequence[str], regions: Sequence[str], freight: Freight) -> bool:
    """Return whether the freight's address is served; if regions are named, an address without a region is not."""
    within = not regions or region_key(freight.region) in map(region_key, regions)
    return within and (not countries or freight.country in countries)


def _counted_grams(service: Service, weights_grams: Sequence[int], volumes_ml: Sequence[int]) -> Sequence[int]:
    """Return the chargeable grams of each carton; a part of a gram counts as one."""
    if not service.volume_divisor:
        return weights_grams
    return [
        max(grams, -(-volume * 1_000 // service.volume_divisor))
        for grams, volume in zip(weights_grams, volumes_ml, strict=True)
    ]


def _parts(service: Service, zone: Zone, freight: Freight, carton: tuple[int, int]) -> Parts | None:
    """Return the charges for one carton, of these chargeable grams and this size in ml; None if it is too heavy."""
    grams, volume_ml = carton
    parts = _freight(zone, grams)
    if parts is None:
        return None
    base = sum(parts.values())
    for extra in service.surcharges:
        heavy = extra.above_grams is None or grams > extra.above_grams
        large = extra.above_ml is None or volume_ml > extra.above_ml
        if heavy and large and _serves_address(extra.countries, extra.regions, freight):
            parts[f"surcharge {extra.name}"] = extra.amount_minor + (base * extra.permille + 500) // 1_000
    return parts


def _freight(zone: Zone, grams: int) -> Parts | None:
    for band in zone.bands:
        if grams <= band.weight_grams_max:
            return {FIRST: band.price_minor}
    last, beyond = zone.bands[-1], zone.beyond
    if beyond is None or grams > beyond.weight_grams_max:
        return None
    steps = -(-(grams - last.weight_grams_max) // beyond.step_grams)
    return {FIRST: last.price_minor, FURTHER: steps * beyond.step_minor}
