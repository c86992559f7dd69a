"""Sourcing: which location ships which units.

Reads    OrderPlaced, OrderSourcingRequested; facts: stock_levels of the SKUs, the open locations and what they were
         given today, the sourcing rules that hold
Emits    SourceOrder
Decides  by the rules, with the search of sourcing_search.py; what no location can promise is backordered. The stock
         streams have the last word: facts may be overtaken, and a promise that fails comes back as a request that
         excludes the location. How much a location was given today is a fact like the others: orders of one moment
         may take it beyond its capacity, which is weighed and never refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from oms_es.consumers.sourcing_facts import LOADS, LOCATIONS, RULES, errand_of, planned, rules_of
from oms_es.kernel import Consumer, Facts, Wanted
from oms_es.schemas.order import OrderPlaced, OrderSourcingRequested, SourceOrder

consumer = Consumer("sourcing", emits=(SourceOrder,))
STOCK = Wanted("stock_levels", by="sku", keys=lambda event: event.demand)
WANTS = (STOCK, LOCATIONS, RULES, LOADS)


@consumer.on(OrderPlaced, wants=WANTS)
def source_a_new_order(event: OrderPlaced, facts: Facts) -> Iterator[SourceOrder]:
    yield _answer(event, 1, {}, facts)


@consumer.on(OrderSourcingRequested, wants=WANTS)
def source_again(event: OrderSourcingRequested, facts: Facts) -> Iterator[SourceOrder]:
    yield _answer(event, event.attempt, event.excluded, facts)


def _answer(
    event: OrderPlaced | OrderSourcingRequested, attempt: int, excluded: Mapping[str, Iterable[str]], facts: Facts
) -> SourceOrder:
    version, rules = rules_of(facts)
    decided = planned(event.demand, excluded, errand_of(event), rules, facts)
    return SourceOrder(
        order_id=event.order_id,
        attempt=attempt,
        assignments=decided.assignments,
        backordered=decided.backordered,
        candidates=decided.candidates,
        rule_version=version,
        ruled_out=decided.ruled_out,
    )
