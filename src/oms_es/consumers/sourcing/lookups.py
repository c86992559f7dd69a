"""The lookups of sourcing: which locations may ship, what they can promise, and which rules are in force.

Sourcing decides by these rows, and the backorder filler uses them to ask whether sourcing would find anything. Both
must see the same rows, or an order that cannot use what is free would be woken for ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from oms_es.consumers.sourcing.carrier_choice import Freight, quote, rates_of
from oms_es.consumers.sourcing.search import (
    BUILT_IN,
    CandidateLocation,
    Plan,
    Quoted,
    SourcingRequest,
    distance_km,
    ineligible,
    plan,
)
from oms_es.kernel import Lookup, LookupResults, Row
from oms_es.schemas.catalog.rates import RatesPublished
from oms_es.schemas.catalog.rules import BUILT_IN_VERSION, SourcingRules
from oms_es.schemas.order import OrderPlaced, OrderSourcingRequested, SourcingTerms

LOCATIONS = Lookup("locations", by="open", keys=lambda _: (True,))
RULES = Lookup("sourcing_rules", by="current", keys=lambda _: (True,))
LOADS = Lookup("location_load", by="counted", keys=lambda _: (True,))


def rules_of(results: LookupResults) -> tuple[str, SourcingRules]:
    """Return the version of the sourcing rules in force, and the rules."""
    for row in results["sourcing_rules"][True]:
        return row["version"], SourcingRules.model_validate(row["rules"])
    return BUILT_IN_VERSION, BUILT_IN


def sourcing_request_of(event: OrderPlaced | OrderSourcingRequested) -> SourcingRequest:
    held = frozenset(event.held) if isinstance(event, OrderSourcingRequested) else frozenset[str]()
    return SourcingRequest(
        event.ship_to, event.channel, event.kind, event.delivery_option, event.allow_split, held, event.pickup_at
    )


def sourcing_request_of_terms(terms: SourcingTerms) -> SourcingRequest:
    return SourcingRequest(
        terms.destination,
        terms.channel,
        terms.kind,
        terms.delivery_option,
        terms.allow_split,
        frozenset(terms.held),
        terms.pickup_at,
    )


def planned(
    demand: Mapping[str, int],
    excluded: Mapping[str, Iterable[str]],
    request: SourcingRequest,
    rules: SourcingRules,
    results: LookupResults,
) -> Plan:
    """Return the best plan for the stock as it is known now."""
    open_rows = {row["location"]: row for row in results["locations"][True]}
    available: dict[str, dict[str, int]] = defaultdict(dict)
    for sku in demand:
        ineligible = excluded.get(sku, ())
        for row in results["stock_levels"][sku]:
            units = promisable(row, request)
            if units > 0 and row["location"] in open_rows and row["location"] not in ineligible:
                available[row["location"]][sku] = units
    rooms = _rooms(available, open_rows, results)
    places = {location: place_of(open_rows[location], rooms.get(location)) for location in available}
    if offered := results.get("carrier_rates", {}).get(True):
        rates = [rates_of(row) for row in offered]
        sizes = {sku: (row["weight_grams"], row["volume_ml"]) for sku in demand for row in results["items"][sku]}
        for location, place in places.items():
            could_give = {sku: min(n, demand[sku]) for sku, n in available[location].items()}
            places[location] = place._replace(quoted=_quoted(place, could_give, sizes, request, rates))
    return plan(demand, available, places, request, rules)


def _quoted(
    place: CandidateLocation,
    units: Mapping[str, int],
    sizes: Mapping[str, tuple[int, int]],
    request: SourcingRequest,
    rates: Sequence[RatesPublished],
) -> Quoted | None:
    """Return the cheapest quote for a parcel with all units that the location could give.

    None if a weight is not known or no carrier serves the address.
    """
    if not all(sizes.get(sku, (0, 0))[0] for sku in units):
        return None
    grams, volume = (sum(sizes[sku][i] * quantity for sku, quantity in units.items()) for i in (0, 1))
    km = distance_km(place, request.ship_to)
    to = request.ship_to
    choice = quote(Freight([grams], to.country, km, request.delivery_option, to.region, [volume]), rates, None)
    return Quoted(choice.quoted_minor, choice.transit_days) if choice.carrier else None


def open_places(results: LookupResults) -> Iterator[CandidateLocation]:
    return map(place_of, results["locations"][True])


def promisable(level: Row, request: SourcingRequest) -> int:
    """Return the units that the stock stream would promise to such an order, as far as is known."""
    units: int = level["channel_atp"].get(request.channel, level["atp"])
    if request.kind == "presale":
        units = max(units, level["presale_limit"] - level["presold"])
    return units


def most_promisable(level: Row) -> int:
    """Return the units that could be promised to any order at most."""
    units: int = max(level["atp"], level["presale_limit"] - level["presold"])
    return units


def expected_at(
    lacking: Mapping[str, int], request: SourcingRequest, rules: SourcingRules, results: LookupResults
) -> datetime | None:
    """Return when enough of everything lacking is due to arrive where the order may be served from; None if that is not
    known.

    Orders that wait before it are not counted: the time is the earliest one, not a promise.
    """
    able = {
        place.location
        for place in open_places(results)
        if not ineligible(place, distance_km(place, request.ship_to), request, rules)
    }
    days = [_enough_at(quantity, able, results["stock_levels"][sku]) for sku, quantity in lacking.items()]
    known = [day for day in days if day is not None]
    return max(known, default=None) if len(known) == len(days) else None


def _enough_at(quantity: int, able: Container[str], levels: Iterable[Row]) -> datetime | None:
    coming = sorted(
        (datetime.fromisoformat(one["promised_at"]), one["quantity"])
        for level in levels
        if level["location"] in able
        for one in level["inbounds"].values()
    )
    for day, units in coming:
        quantity -= units
        if quantity <= 0:
            return day
    return None


def place_of(row: Row, room: int | None = None) -> CandidateLocation:
    return CandidateLocation(
        row["location"],
        row["country"],
        row["latitude"],
        row["longitude"],
        row["priority"],
        row["handling_minor"],
        row["kind"],
        row["region"],
        tuple(row["channels"]),
        tuple(row["delivery_options"]),
        room,
    )


def _rooms(asked: Iterable[str], open_rows: Mapping[str, Row], results: LookupResults) -> dict[str, int]:
    """Return how many more orders each limited location can take on the newest day on which anything was sourced."""
    limited = {name: limit for name in asked if (limit := open_rows[name]["capacity_per_day"]) is not None}
    if not limited:
        return {}
    loads: dict[str, Any] = {row["location"]: row for row in results["location_load"][True]}
    today = max((row["day"] for row in loads.values()), default=None)
    taken = {name: row["orders"] for name, row in loads.items() if row["day"] == today}
    return {name: limit - taken.get(name, 0) for name, limit in limited.items()}
