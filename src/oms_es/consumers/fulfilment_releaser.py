"""Fulfilment releaser: a released order becomes one shipment per location; a cancellation asks them to stop.

Reads    OrderReleased, OrderShipmentPlanned, OrderCancellationRequested, OrderLinesCancellationRequested
Emits    RequestShipment, CancelShipment
Decides  nothing; a shipment knows whether it can still be stopped.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.order import (
    OrderCancellationRequested,
    OrderLinesCancellationRequested,
    OrderReleased,
    OrderShipmentPlanned,
    ShipmentPlan,
)
from oms_es.schemas.shipment import CancelShipment, RequestShipment

consumer = Consumer("fulfilment_releaser", emits=(RequestShipment, CancelShipment))


@consumer.on(OrderReleased)
def ask_for_the_shipments(event: OrderReleased) -> Iterator[RequestShipment]:
    yield from (_request(event, planned) for planned in event.shipments)


@consumer.on(OrderShipmentPlanned)
def ask_for_another_shipment(event: OrderShipmentPlanned) -> Iterator[RequestShipment]:
    yield _request(event, event.plan)


@consumer.on(OrderCancellationRequested, OrderLinesCancellationRequested)
def stop_the_shipments(
    event: OrderCancellationRequested | OrderLinesCancellationRequested,
) -> Iterator[CancelShipment]:
    for shipment_id in event.shipment_ids:
        yield CancelShipment(shipment_id=shipment_id)


def _request(event: OrderReleased | OrderShipmentPlanned, planned: ShipmentPlan) -> RequestShipment:
    return RequestShipment(
        shipment_id=planned.shipment_id,
        order_id=event.order_id,
        payment_id=event.payment_id,
        location=planned.location,
        items=planned.items,
        amount_minor=planned.amount_minor,
        ship_to=event.ship_to,
        charges=planned.charges,
        delivery_option=event.delivery_option,
    )
