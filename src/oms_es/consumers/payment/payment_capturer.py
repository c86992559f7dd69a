"""Payment capturer: captures each parcel's share when it leaves, and voids the rest.

Reads    ShipmentDispatched, OrderCompleted
Emits    CapturePayment, VoidPayment
Decides  nothing; the payment knows what is still held.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.order import OrderCompleted, borne
from oms_es.schemas.payment import CapturePayment, VoidPayment
from oms_es.schemas.shipment import ShipmentDispatched

consumer = Consumer("payment_capturer", emits=(CapturePayment, VoidPayment))


@consumer.on(ShipmentDispatched)
def capture_share_on_shipment_dispatched(event: ShipmentDispatched) -> Iterator[CapturePayment]:
    for charge in borne(event.charges, event.payment_id, event.amount_minor):
        yield CapturePayment(
            payment_id=charge.payment_id, capture_id=event.shipment_id, amount_minor=charge.amount_minor
        )


@consumer.on(OrderCompleted)
def void_rest_on_order_completed(event: OrderCompleted) -> Iterator[CapturePayment | VoidPayment]:
    """Capture all shares of the order, including those whose shipment was not reported yet, and void what is
    left then.
    """
    for charge in event.charges:
        yield CapturePayment(
            payment_id=charge.payment_id, capture_id=charge.shipment_id, amount_minor=charge.amount_minor
        )
    payments = event.payment_ids or (event.payment_id,)
    yield from (VoidPayment(payment_id=payment_id) for payment_id in payments)
