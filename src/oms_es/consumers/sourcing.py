"""Sourcing: which location ships which units.

Reads    OrderPlaced, OrderSourcingRequested; facts: stock_levels of the SKUs, the open locations
Emits    SourceOrder
Decides  by the rules of sourcing_rules.py; what no location can promise is backordered. The stock streams have the last
         word: facts may be overtaken, and a promise that fails comes back as a request that excludes the location.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from oms_es.consumers.sourcing_rules import RULES_VERSION, Place, plan
from oms_es.kernel import Consumer, Facts, Row, Wanted
from oms_es.schemas.order import Address, OrderPlaced, OrderSourcingRequested, SourceOrder

consumer = Consumer("sourcing", emits=(SourceOrder,))
STOCK = Wanted("stock_levels", by="sku", keys=lambda event: event.demand)
LOCATIONS = Wanted("locations", by="open", keys=lambda _: (True,))


@consumer.on(OrderPlaced, wants=(STOCK, LOCATIONS))
def source_a_new_order(event: OrderPlaced, facts: Facts) -> Iterator[SourceOrder]:
    yield _answer(event.order_id, 1, event.demand, {}, event.ship_to, facts)


@consumer.on(OrderSourcingRequested, wants=(STOCK, LOCATIONS))
def source_again(event: OrderSourcingRequested, facts: Facts) -> Iterator[SourceOrder]:
    yield _answer(event.order_id, event.attempt, event.demand, event.excluded, event.ship_to, facts)


def _answer(
    order_id: str,
    attempt: int,
    demand: Mapping[str, int],
    excluded: Mapping[str, Iterable[str]],
    ship_to: Address,
    facts: Facts,
) -> SourceOrder:
    open_places = {row["location"]: row for row in facts["locations"][True]}
    available: dict[str, dict[str, int]] = defaultdict(dict)
    for sku in demand:
        barred = excluded.get(sku, ())
        for row in facts["stock_levels"][sku]:
            if row["atp"] > 0 and row["location"] in open_places and row["location"] not in barred:
                available[row["location"]][sku] = row["atp"]
    places = {location: _place(open_places[location]) for location in available}
    decided = plan(demand, available, places, ship_to)
    return SourceOrder(
        order_id=order_id,
        attempt=attempt,
        assignments=decided.assignments,
        backordered=decided.backordered,
        candidates=decided.candidates,
        rule_version=RULES_VERSION,
    )


def _place(row: Row) -> Place:
    return Place(
        row["location"], row["country"], row["latitude"], row["longitude"], row["priority"], row["handling_minor"]
    )
