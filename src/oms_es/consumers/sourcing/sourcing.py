"""Sourcing: which location ships which units.

Reads    OrderPlaced, OrderSourcingRequested; looks up stock_levels of the SKUs, the open locations and what they were
         given today, the sourcing rules in force, the items, the carriers' rates
         OrderSourced; looks up the open locations
         LocationClosed; looks up order_locations of the location
Emits    SourceOrder, ExplodeBundles, RecordLocationFailed
Decides  Bundles are exploded first, so that components are asked for as one demand. Then the rules decide, with the
         search of search.py; units that no location can promise are backordered. The stock streams have the last
         word: rows may be outdated, and a promise that fails comes back as a request that excludes the location. How
         much a location was given today is a row like the others: simultaneous orders may exceed its capacity, which
         is weighed and never refused. Units that are not released yet at a location that closes are sourced
         elsewhere, and so are units that were sourced there while it closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from oms_es.consumers.sourcing.carrier_choice import RATES
from oms_es.consumers.sourcing.lookups import (
    LOADS,
    LOCATIONS,
    RULES,
    expected_at,
    planned,
    rules_of,
    sourcing_request_of,
)
from oms_es.kernel import Consumer, Lookup, LookupResults
from oms_es.schemas.catalog.location import LocationClosed
from oms_es.schemas.order import (
    ExplodeBundles,
    OrderPlaced,
    OrderSourced,
    OrderSourcingRequested,
    RecordLocationFailed,
    SourceOrder,
)
from oms_es.schemas.values.types import UNITS_MAX

ORDERS_PER_CLOSING_MAX = 10_000
"""How many orders are sourced again because one location closed; for more, open the location and close it again."""

consumer = Consumer("sourcing", emits=(SourceOrder, ExplodeBundles, RecordLocationFailed))
STOCK = Lookup("stock_levels", by="sku", keys=lambda event: event.demand)
ITEMS = Lookup("items", by="sku", keys=lambda event: event.demand)
WANTS = (STOCK, LOCATIONS, RULES, LOADS, ITEMS, RATES)
THERE = Lookup("order_locations", by="location", keys=lambda event: (event.location,), limit=ORDERS_PER_CLOSING_MAX)


@consumer.on(OrderPlaced, lookups=WANTS)
def source_order_on_order_placed(event: OrderPlaced, results: LookupResults) -> Iterator[SourceOrder | ExplodeBundles]:
    yield _exploded(event, 1, {}, results) or _answer(event, 1, {}, results)


@consumer.on(OrderSourcingRequested, lookups=WANTS)
def source_order_on_order_sourcing_requested(
    event: OrderSourcingRequested, results: LookupResults
) -> Iterator[SourceOrder | ExplodeBundles]:
    known = event.bundles
    yield _exploded(event, event.attempt, known, results) or _answer(event, event.attempt, event.excluded, results)


@consumer.on(OrderSourced, lookups=(LOCATIONS,))
def source_elsewhere_on_order_sourced(event: OrderSourced, results: LookupResults) -> Iterator[RecordLocationFailed]:
    places = {assigned.location for assigned in event.assignments}
    closed = places.difference(row["location"] for row in results["locations"][True])
    for location in sorted(closed):
        yield RecordLocationFailed(order_id=event.order_id, location=location, reason=f"{location} is not open")


@consumer.on(LocationClosed, lookups=(THERE,))
def source_elsewhere_on_location_closed(
    event: LocationClosed, results: LookupResults
) -> Iterator[RecordLocationFailed]:
    for row in results["order_locations"][event.location]:
        yield RecordLocationFailed(order_id=row["order_id"], location=event.location, reason=event.reason)


def _exploded(
    event: OrderPlaced | OrderSourcingRequested,
    attempt: int,
    known: Mapping[str, Mapping[str, int]],
    results: LookupResults,
) -> ExplodeBundles | None:
    """Return the bundles to explode.

    None if there are none. A component counts as a plain unit, even if a bundle is sold under its SKU.
    """
    components = {sku for made_of in known.values() for sku in made_of}
    bundles: dict[str, dict[str, int]] = {}
    units = 0
    for sku, quantity in event.demand.items():
        for row in results["items"][sku]:
            if (made_of := row["components"]) and sku not in components:
                units += quantity * sum(made_of.values())
                bundles[sku] = made_of
    if units > UNITS_MAX:  # no location has so many units: the order waits as it is
        return None
    return ExplodeBundles(order_id=event.order_id, attempt=attempt, bundles=bundles) if bundles else None


def _answer(
    event: OrderPlaced | OrderSourcingRequested,
    attempt: int,
    excluded: Mapping[str, Iterable[str]],
    results: LookupResults,
) -> SourceOrder:
    version, rules = rules_of(results)
    request = sourcing_request_of(event)
    decided = planned(event.demand, excluded, request, rules, results)
    return SourceOrder(
        order_id=event.order_id,
        attempt=attempt,
        assignments=decided.assignments,
        backordered=decided.backordered,
        candidates=decided.candidates,
        rule_version=version,
        ruled_out=decided.ruled_out,
        promised_at=expected_at(decided.backordered, request, rules, results) if decided.backordered else None,
    )
