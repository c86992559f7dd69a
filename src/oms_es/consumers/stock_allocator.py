"""Stock allocator: what was sourced is locked, what is no longer needed is let go, what left is shipped.

Reads    OrderSourced, OrderCancelled, ShipmentCancelled, ShipmentDispatched
Emits    ReserveStock, ReleaseStock, ShipStock
Decides  nothing; aggregates/stock.py promises or comes up short.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.order import OrderCancelled, OrderSourced, Reservation
from oms_es.schemas.shipment import ShipmentCancelled, ShipmentDispatched
from oms_es.schemas.stock import ReleaseStock, ReserveStock, ShipStock

consumer = Consumer("stock_allocator", emits=(ReserveStock, ReleaseStock, ShipStock))


@consumer.on(OrderSourced)
def reserve_what_was_sourced(event: OrderSourced) -> Iterator[ReserveStock]:
    units: Counter[tuple[str, str]] = Counter()
    for assignment in event.assignments:
        units[assignment.sku, assignment.location] += assignment.quantity
    for (sku, location), quantity in units.items():
        yield ReserveStock(
            sku=sku,
            location=location,
            reservation_id=event.reservation_id,
            order_id=event.order_id,
            quantity=quantity,
        )


@consumer.on(OrderCancelled)
def release_what_was_held(event: OrderCancelled) -> Iterator[ReleaseStock]:
    yield from (_release(event.order_id, held) for held in event.reservations)


@consumer.on(ShipmentCancelled)
def release_what_will_not_ship(event: ShipmentCancelled) -> Iterator[ReleaseStock]:
    yield from (_release(event.order_id, item) for item in event.items)


@consumer.on(ShipmentDispatched)
def ship_what_left(event: ShipmentDispatched) -> Iterator[ShipStock]:
    for item in event.items:
        yield ShipStock(
            sku=item.sku,
            location=item.location,
            reservation_id=item.reservation_id,
            order_id=event.order_id,
            shipment_id=event.shipment_id,
        )


def _release(order_id: str, held: Reservation) -> ReleaseStock:
    return ReleaseStock(sku=held.sku, location=held.location, reservation_id=held.reservation_id, order_id=order_id)
