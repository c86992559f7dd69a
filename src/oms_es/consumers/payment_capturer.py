"""Payment capturer: each parcel's share is taken when it leaves; what will never leave is let go.

Reads    ShipmentDispatched, OrderCompleted
Emits    CapturePayment, VoidPayment
Decides  nothing; the payment knows what is still held.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.order import Charge, OrderCompleted
from oms_es.schemas.payment import CapturePayment, VoidPayment
from oms_es.schemas.shipment import ShipmentDispatched

consumer = Consumer("payment_capturer", emits=(CapturePayment, VoidPayment))


@consumer.on(ShipmentDispatched)
def take_the_share(event: ShipmentDispatched) -> Iterator[CapturePayment]:
    borne = event.charges
    if not borne and event.amount_minor > 0:
        borne = (Charge(payment_id=event.payment_id, amount_minor=event.amount_minor),)
    for charge in borne:
        yield CapturePayment(
            payment_id=charge.payment_id, capture_id=event.shipment_id, amount_minor=charge.amount_minor
        )


@consumer.on(OrderCompleted)
def let_go_of_the_rest(event: OrderCompleted) -> Iterator[VoidPayment]:
    yield VoidPayment(payment_id=event.payment_id)
