"""Fulfilment releaser: a released order becomes one shipment per location; a cancellation asks them to stop.

Reads    OrderReleased, OrderCancellationRequested
Emits    RequestShipment, CancelShipment
Decides  nothing; a shipment knows whether it can still be stopped.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.order import OrderCancellationRequested, OrderReleased
from oms_es.schemas.shipment import CancelShipment, RequestShipment

consumer = Consumer("fulfilment_releaser", emits=(RequestShipment, CancelShipment))


@consumer.on(OrderReleased)
def ask_for_the_shipments(event: OrderReleased) -> Iterator[RequestShipment]:
    for planned in event.shipments:
        yield RequestShipment(
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


@consumer.on(OrderCancellationRequested)
def stop_the_shipments(event: OrderCancellationRequested) -> Iterator[CancelShipment]:
    for shipment_id in event.shipment_ids:
        yield CancelShipment(shipment_id=shipment_id)
