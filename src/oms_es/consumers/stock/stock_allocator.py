"""Stock allocator: reserves what was sourced, releases what is no longer needed, and ships what left.

Reads    OrderSourced, OrderSourcingRequested, OrderAssigned, OrderLocationFailed, OrderAmended,
         OrderFulfilledElsewhere, OrderLinesCancelled, OrderSplit, OrderMergedInto, OrderOverridden,
         OrderLockReturned, OrderShipmentCancelled, OrderCancelled, ShipmentDispatched
Emits    ReserveStock, ReleaseStock, ShipStock, TransferReservation
Decides  nothing; aggregates/stock promises the units or comes up short.

An order asks for its reservations and releases them in one stream: the end of a reservation is never recorded before
its beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from uuid import uuid5

from oms_es.kernel import Consumer
from oms_es.schemas.order import (
    ORDER_ID_NAMESPACE,
    Cut,
    OrderAmended,
    OrderAssigned,
    OrderCancelled,
    OrderFulfilledElsewhere,
    OrderLinesCancelled,
    OrderLocationFailed,
    OrderLockReturned,
    OrderMergedInto,
    OrderOverridden,
    OrderShipmentCancelled,
    OrderSourced,
    OrderSourcingRequested,
    OrderSplit,
    Reservation,
    transferred,
)
from oms_es.schemas.shipment import ShipmentDispatched
from oms_es.schemas.stock import ReleaseStock, ReserveStock, ShipStock, TransferReservation

consumer = Consumer("stock_allocator", emits=(ReserveStock, ReleaseStock, ShipStock, TransferReservation))


@consumer.on(OrderSourced)
def reserve_stock_on_order_sourced(event: OrderSourced) -> Iterator[ReserveStock]:
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
            channel=event.channel,
            presale=event.kind == "presale",
        )


@consumer.on(OrderSourcingRequested)
def settle_broken_promises_on_order_sourcing_requested(event: OrderSourcingRequested) -> Iterator[ReleaseStock]:
    """Release what is left of a broken promise; if no promise was made, the command decides nothing."""
    if event.short:
        yield _release(event.order_id, event.short)


@consumer.on(OrderCancelled)
def release_stock_on_order_cancelled(event: OrderCancelled) -> Iterator[ReleaseStock]:
    yield from (_release(event.order_id, held) for held in event.reservations)


@consumer.on(OrderAmended)
def release_stock_on_order_amended(event: OrderAmended) -> Iterator[ReleaseStock]:
    yield from (_cut(event.order_id, cut, event.amendment_id) for cut in event.released)


@consumer.on(OrderLinesCancelled)
def release_stock_on_order_lines_cancelled(event: OrderLinesCancelled) -> Iterator[ReleaseStock]:
    yield from (_cut(event.order_id, cut, event.cancellation_id) for cut in event.released)


@consumer.on(OrderFulfilledElsewhere)
def ship_stock_on_order_fulfilled_elsewhere(
    event: OrderFulfilledElsewhere,
) -> Iterator[ReleaseStock | TransferReservation | ShipStock]:
    """Ship units that others shipped.

    A part of a reservation becomes a reservation of its own first, as only a whole reservation can be shipped.
    """
    for cut in event.released:
        leaving = cut.reservation_id
        if leaving in event.unanswered:
            yield _cut(event.order_id, cut, f"elsewhere/{cut.remaining}")
            continue
        if cut.remaining:
            leaving = f"{event.order_id}/{uuid5(ORDER_ID_NAMESPACE, f'{leaving}/{cut.remaining}')}"
            yield TransferReservation(
                sku=cut.sku,
                location=cut.location,
                reservation_id=cut.reservation_id,
                order_id=event.order_id,
                to_reservation_id=leaving,
                to_order_id=event.order_id,
                quantity=cut.quantity,
                remaining=cut.remaining,
            )
        yield ShipStock(
            sku=cut.sku,
            location=cut.location,
            reservation_id=leaving,
            order_id=event.order_id,
            shipment_id=f"{event.order_id}/elsewhere",
        )


@consumer.on(OrderAssigned)
def release_stock_on_order_assigned(event: OrderAssigned) -> Iterator[ReleaseStock]:
    yield from (_cut(event.order_id, cut, f"assigned/{event.attempt}") for cut in event.released)


@consumer.on(OrderLocationFailed)
def release_stock_on_order_location_failed(event: OrderLocationFailed) -> Iterator[ReleaseStock]:
    yield from (_cut(event.order_id, cut, "") for cut in event.released)


@consumer.on(OrderOverridden)
def release_stock_on_order_overridden(event: OrderOverridden) -> Iterator[ReleaseStock]:
    yield from (_cut(event.order_id, cut, event.override_id) for cut in event.released)


@consumer.on(OrderShipmentCancelled)
def release_stock_on_order_shipment_cancelled(event: OrderShipmentCancelled) -> Iterator[ReleaseStock]:
    yield from (_cut(event.order_id, cut, event.shipment_id) for cut in event.released)


@consumer.on(OrderSplit)
def transfer_stock_on_order_split(event: OrderSplit) -> Iterator[TransferReservation]:
    yield from (_transfer(event, cut) for cut in event.released)


@consumer.on(OrderMergedInto)
def transfer_stock_on_order_merged_into(event: OrderMergedInto) -> Iterator[TransferReservation]:
    yield from (_transfer(event, held) for held in event.transfers)


@consumer.on(OrderLockReturned)
def release_stock_on_order_lock_returned(event: OrderLockReturned) -> Iterator[ReleaseStock]:
    yield _release(event.order_id, event)


@consumer.on(ShipmentDispatched)
def ship_stock_on_shipment_dispatched(event: ShipmentDispatched) -> Iterator[ShipStock]:
    for item in event.items:
        yield ShipStock(
            sku=item.sku,
            location=item.location,
            reservation_id=item.reservation_id,
            order_id=event.order_id,
            shipment_id=event.shipment_id,
        )


def _transfer(event: OrderSplit | OrderMergedInto, held: Reservation) -> TransferReservation:
    return TransferReservation(
        sku=held.sku,
        location=held.location,
        reservation_id=held.reservation_id,
        order_id=event.order_id,
        to_reservation_id=transferred(event.to_order_id, held.reservation_id),
        to_order_id=event.to_order_id,
        quantity=held.quantity,
        remaining=held.remaining if isinstance(held, Cut) else 0,
    )


def _release(order_id: str, held: Reservation) -> ReleaseStock:
    return ReleaseStock(sku=held.sku, location=held.location, reservation_id=held.reservation_id, order_id=order_id)


def _cut(order_id: str, cut: Cut, release_id: str) -> ReleaseStock:
    """Return the release of a part of a reservation, named by its cause so that it takes effect once; the last part
    releases all."""
    whole = _release(order_id, cut)
    if not cut.remaining:
        return whole
    return whole.model_copy(update={"quantity": cut.quantity, "release_id": release_id})
