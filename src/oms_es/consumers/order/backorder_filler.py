"""Backorder filler: stock that becomes free wakes the orders that wait for it, first come first served.

Reads    StockReceived, StockReleased, StockReservationExpired; looks up backorder_queue of the SKU, locations, rules
         StockReserved, OrderCancelled, and what makes more promisable (MORE); looks up also stock_levels of the SKUs
         OrderBackordered; looks up all that sourcing asks for, backorder_queue of what it lacks
         LocationOpened, SourcingRulesPublished; looks up backorder_queue, locations, rules
Emits    RetrySourcing
Decides  which orders to wake: in turn those that may be served from where the stock is; sourcing decides what they get.

No wake-up is lost. Stock that came before an order waits is seen in the levels when the order begins to wait; stock
that comes after is seen as an event when the order is in the queue. Several arrivals may wake the same first order, and
each wakes a bounded number. Therefore an order that was woken and then reserved its units, or was cancelled, wakes the
next one while anything is free. An order that is woken and cannot use what is free, because it would have to be split
or is not worth a parcel, wakes the next one behind it. If a location opens after its stock came, or rules are published
after it came, the first order in turn of each SKU that may be served now is woken, and wakes the next one. In one case
no order is woken until more stock comes: an order is cancelled while it is being sourced. The first `WOKEN_MAX` orders
of a queue are looked at; over all queues, the first `WAITING_MAX`.

No order is woken for ever. A woken order leaves the queue until it is sourced, and then either reserves what was free,
so that less is lacking, or sourcing would find nothing for it in levels newer than its shortage. A turn is only ever
passed on towards the end of the queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from oms_es.consumers.sourcing import lookups as sourcing_lookups
from oms_es.consumers.sourcing.lookups import (
    most_promisable,
    open_places,
    planned,
    promisable,
    rules_of,
    sourcing_request_of_terms,
)
from oms_es.consumers.sourcing.search import CandidateLocation, SourcingRequest, distance_km, ineligible
from oms_es.kernel import Consumer, Lookup, LookupResults, Row
from oms_es.schemas.catalog.location import LocationOpened
from oms_es.schemas.catalog.rules import SourcingRulesPublished
from oms_es.schemas.order import OrderBackordered, OrderCancelled, RetrySourcing, SourcingTerms, reservation_id_of
from oms_es.schemas.stock import (
    ChannelShareSet,
    PresaleLimitSet,
    SafetyStockSet,
    StockAdjusted,
    StockConditionChanged,
    StockCounted,
    StockEvent,
    StockMovedIn,
    StockReceived,
    StockReleased,
    StockReservationExpired,
    StockReserved,
    StockReturned,
)

Free = tuple[CandidateLocation, Row | None]
"""A location where units became free, and its stock level if that is known."""
WOKEN_MAX = 200
"""How many orders are looked at, and woken at most, because of one event."""
WAITING_MAX = 2_000
"""How many waiting orders, over all SKUs, are looked at because a location opened or rules changed."""


def skus_of(event: StockEvent | OrderBackordered | OrderCancelled) -> tuple[str, ...]:
    """Return the SKUs for which the event may concern a waiting order; an order's first reservation is not made from
    the queue."""
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


MORE: tuple[type[StockEvent], ...] = (
    SafetyStockSet,
    PresaleLimitSet,
    ChannelShareSet,
    StockReturned,
    StockCounted,
    StockAdjusted,
    StockConditionChanged,
    StockMovedIn,
)
"""Events after which more may be promised than before; the stock levels say how much."""
consumer = Consumer("backorder_filler", emits=(RetrySourcing,))
QUEUE = Lookup("backorder_queue", by="sku", keys=skus_of, limit=WOKEN_MAX, order_by="turn")
STOCK = Lookup("stock_levels", by="sku", keys=skus_of)
LOCATIONS = Lookup("locations", by="open", keys=lambda event: (True,) if skus_of(event) else ())
RULES = Lookup("sourcing_rules", by="current", keys=lambda event: (True,) if skus_of(event) else ())


@consumer.on(StockReceived, StockReleased, StockReservationExpired, lookups=(QUEUE, LOCATIONS, RULES))
def wake_backorders_on_stock_free(event: StockEvent, results: LookupResults) -> Iterator[RetrySourcing]:
    here: list[Free] = [(place, None) for place in open_places(results) if place.location == event.location]
    yield from _wake(results["backorder_queue"][event.sku], event.quantity, here, results)


@consumer.on(*MORE, lookups=(QUEUE, STOCK, LOCATIONS, RULES))
def wake_backorders_on_promise_raised(event: StockEvent, results: LookupResults) -> Iterator[RetrySourcing]:
    free = _free(event.sku, results)
    units = sum(most_promisable(level) for _, level in free if level)
    yield from _wake(results["backorder_queue"][event.sku], units, free, results)


@consumer.on(StockReserved, OrderCancelled, lookups=(QUEUE, STOCK, LOCATIONS, RULES))
def wake_next_backorder_on_stock_reserved_or_order_cancelled(
    event: StockReserved | OrderCancelled, results: LookupResults
) -> Iterator[RetrySourcing]:
    for sku in skus_of(event):
        yield from _wake(results["backorder_queue"][sku], 1, _free(sku, results), results)


ALL_WAITING = Lookup("backorder_queue", by="waiting", keys=lambda _: (True,), limit=WAITING_MAX, order_by="turn")


@consumer.on(
    LocationOpened, SourcingRulesPublished, lookups=(ALL_WAITING, sourcing_lookups.LOCATIONS, sourcing_lookups.RULES)
)
def wake_first_backorders_on_sources_changed(
    event: LocationOpened | SourcingRulesPublished, results: LookupResults
) -> Iterator[RetrySourcing]:
    """Wake the first order of each SKU that may be served now.

    Whether there is stock is not checked: an order that gets nothing passes its turn on, and waits as before.
    """
    opened = event.location if isinstance(event, LocationOpened) else None
    there: list[Free] = [(place, None) for place in open_places(results) if opened in (None, place.location)]
    first: dict[str, str] = {}
    for row in results["backorder_queue"][True]:
        if row["sku"] not in first and _may_be_served(row, there, results):
            first[row["sku"]] = row["order_id"]
    yield from (RetrySourcing(order_id=order_id) for order_id in dict.fromkeys(first.values()))


@consumer.on(OrderBackordered, lookups=(QUEUE, STOCK, LOCATIONS, RULES, sourcing_lookups.LOADS))
def wake_backorders_on_order_backordered(event: OrderBackordered, results: LookupResults) -> Iterator[RetrySourcing]:
    _, rules = rules_of(results)
    if planned(event.demand, {}, sourcing_request_of_terms(event.terms or SourcingTerms()), rules, results).assignments:
        yield RetrySourcing(order_id=event.order_id)
    elif event.attempt > 1:
        for sku in event.demand:
            yield from _wake(_behind(event.order_id, results["backorder_queue"][sku]), 1, _free(sku, results), results)


def _wake(waiting: Iterable[Row], units: int, free: Iterable[Free], results: LookupResults) -> Iterator[RetrySourcing]:
    """Wake the orders that may be served from there, in turn, for as many units as there are."""
    there = tuple(free)
    for row in waiting if there else ():
        if units <= 0:
            return
        if _may_be_served(row, there, results):
            yield RetrySourcing(order_id=row["order_id"])
            units -= row["quantity"]


def _may_be_served(row: Row, free: Iterable[Free], results: LookupResults) -> bool:
    _, rules = rules_of(results)
    request: SourcingRequest = sourcing_request_of_terms(SourcingTerms.model_validate(row["terms"]))
    return any(
        not ineligible(place, distance_km(place, request.ship_to), request, rules)
        for place, level in free
        if level is None or promisable(level, request) > 0
    )


def _behind(order_id: str, waiting: Sequence[Row]) -> Sequence[Row]:
    """Return the rows behind an order; none if it does not wait any more, as it was woken again and reports again."""
    place = next((n for n, row in enumerate(waiting, start=1) if row["order_id"] == order_id), len(waiting))
    return waiting[place:]


def _free(sku: str, results: LookupResults) -> list[Free]:
    """Return the open locations where units can be promised, at least to some channel."""
    levels = {row["location"]: row for row in results["stock_levels"][sku] if most_promisable(row) > 0}
    return [(place, levels[place.location]) for place in open_places(results) if place.location in levels]
