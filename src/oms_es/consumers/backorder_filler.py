"""Backorder filler: stock that comes free wakes the orders that wait for it, first come first served.

Reads    StockReceived, StockReleased, StockReservationExpired; facts: backorder_queue of the SKU
         SafetyStockSet, StockReserved, OrderCancelled; facts: backorder_queue and stock_levels of the SKUs, locations
         OrderBackordered; facts: stock_levels of what it lacks, locations
Emits    RetrySourcing
Decides  whom to wake; sourcing decides what they get.

No wake-up is lost. Stock that came before an order waits is seen in the levels when the order begins to wait; stock
that comes after is seen as an event when the order is in the queue. Several arrivals may wake the same first order, and
each wakes a bounded number: therefore an order that was woken and then locked its units, or was cancelled, wakes the
next one while anything is free. Two cases wake nobody until more stock comes: a location that opens after its stock
came, and an order that is cancelled in the moment in which it is being sourced.

No order is woken for ever. Whoever is woken leaves the queue until it is sourced, and then either locks what was free,
so that less is lacking, or finds in levels newer than its shortage that another order has locked it.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer, Facts, Wanted
from oms_es.schemas.order import OrderBackordered, OrderCancelled, RetrySourcing, reservation_id_of
from oms_es.schemas.stock import (
    SafetyStockSet,
    StockEvent,
    StockReceived,
    StockReleased,
    StockReservationExpired,
    StockReserved,
)

WOKEN_MAX = 200
"""Orders woken by one event."""


def skus_of(event: StockEvent | OrderBackordered | OrderCancelled) -> tuple[str, ...]:
    """What the event is about, where that can concern whoever waits: an order's first lock takes no turn in a queue."""
    match event:
        case OrderBackordered(demand=lacking):
            return tuple(lacking)
        case OrderCancelled(backordered=lacking, reservations=held):
            return tuple(dict.fromkeys((*lacking, *(reservation.sku for reservation in held))))
        case StockReserved(order_id=order_id, reservation_id=reservation_id):
            first = reservation_id_of(order_id, 1)
            again = reservation_id != first and reservation_id.startswith(first[:-1])
            return (event.sku,) if again else ()
        case StockEvent(sku=sku):
            return (sku,)


consumer = Consumer("backorder_filler", emits=(RetrySourcing,))
QUEUE = Wanted("backorder_queue", by="sku", keys=skus_of, limit=WOKEN_MAX, order_by="waiting_since")
STOCK = Wanted("stock_levels", by="sku", keys=skus_of)
LOCATIONS = Wanted("locations", by="open", keys=lambda event: (True,) if skus_of(event) else ())


@consumer.on(StockReceived, StockReleased, StockReservationExpired, wants=(QUEUE,))
def wake_who_can_be_served(event: StockEvent, facts: Facts) -> Iterator[RetrySourcing]:
    yield from _wake(event.sku, event.quantity, facts)


@consumer.on(SafetyStockSet, wants=(QUEUE, STOCK, LOCATIONS))
def wake_when_less_is_kept_back(event: SafetyStockSet, facts: Facts) -> Iterator[RetrySourcing]:
    yield from _wake(event.sku, _free(event.sku, facts), facts)


@consumer.on(StockReserved, OrderCancelled, wants=(QUEUE, STOCK, LOCATIONS))
def wake_the_next(event: StockReserved | OrderCancelled, facts: Facts) -> Iterator[RetrySourcing]:
    for sku in skus_of(event):
        yield from _wake(sku, min(_free(sku, facts), 1), facts)


@consumer.on(OrderBackordered, wants=(STOCK, LOCATIONS))
def look_again_if_stock_came_meanwhile(event: OrderBackordered, facts: Facts) -> Iterator[RetrySourcing]:
    if any(_free(sku, facts) for sku in event.demand):
        yield RetrySourcing(order_id=event.order_id)


def _wake(sku: str, units: int, facts: Facts) -> Iterator[RetrySourcing]:
    for waiting in facts["backorder_queue"][sku]:
        if units <= 0:
            return
        yield RetrySourcing(order_id=waiting["order_id"])
        units -= waiting["quantity"]


def _free(sku: str, facts: Facts) -> int:
    """Units that sourcing would find."""
    open_places = {row["location"] for row in facts["locations"][True]}
    levels = facts["stock_levels"][sku]
    return sum(row["atp"] for row in levels if row["atp"] > 0 and row["location"] in open_places)
