"""Backorder filler: stock that comes free wakes the orders that wait for it, first come first served.

Reads    StockReceived, StockReleased, StockReservationExpired, SafetyStockSet; facts: backorder_queue of the SKU.
         OrderBackordered; facts: stock_levels of what it lacks, the open locations
Emits    RetrySourcing
Decides  whom to wake; sourcing decides what they get.

No wake-up is lost: stock that comes before the order waits is seen in the levels when the order begins to wait, stock
that comes after is seen as an event when the order is in the queue. No order is woken for ever: every retry either
locks what was free, so that less is lacking, or finds that another order has locked it.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer, Facts, Wanted
from oms_es.schemas.order import OrderBackordered, RetrySourcing
from oms_es.schemas.stock import (
    SafetyStockSet,
    StockEvent,
    StockReceived,
    StockReleased,
    StockReservationExpired,
)

WOKEN_MAX = 50
"""Orders woken by one event."""

consumer = Consumer("backorder_filler", emits=(RetrySourcing,))
QUEUE = Wanted("backorder_queue", by="sku", keys=lambda event: (event.sku,), limit=WOKEN_MAX, order_by="waiting_since")
STOCK = Wanted("stock_levels", by="sku", keys=lambda event: event.demand)
LOCATIONS = Wanted("locations", by="open", keys=lambda _: (True,))


@consumer.on(StockReceived, StockReleased, StockReservationExpired, wants=(QUEUE,))
def wake_who_can_be_served(event: StockEvent, facts: Facts) -> Iterator[RetrySourcing]:
    units = event.quantity
    for waiting in facts["backorder_queue"][event.sku]:
        if units <= 0:
            break
        yield RetrySourcing(order_id=waiting["order_id"])
        units -= waiting["quantity"]


@consumer.on(SafetyStockSet, wants=(QUEUE,))
def wake_all_when_less_is_kept_back(event: SafetyStockSet, facts: Facts) -> Iterator[RetrySourcing]:
    for waiting in facts["backorder_queue"][event.sku]:
        yield RetrySourcing(order_id=waiting["order_id"])


@consumer.on(OrderBackordered, wants=(STOCK, LOCATIONS))
def look_again_if_stock_came_meanwhile(event: OrderBackordered, facts: Facts) -> Iterator[RetrySourcing]:
    open_places = {row["location"] for row in facts["locations"][True]}
    levels = (row for sku in event.demand for row in facts["stock_levels"][sku])
    if any(row["atp"] > 0 and row["location"] in open_places for row in levels):
        yield RetrySourcing(order_id=event.order_id)
