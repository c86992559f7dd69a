"""Refunder: asks each payment for its part of a refund that the order requested.

Reads    OrderRefundRequested
Emits    RefundPayment
Decides  nothing; the order allocated the refund, and a payment knows what it has.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.order import OrderRefundRequested
from oms_es.schemas.payment import RefundPayment

consumer = Consumer("refunder", emits=(RefundPayment,))


@consumer.on(OrderRefundRequested)
def refund_parts_on_order_refund_requested(event: OrderRefundRequested) -> Iterator[RefundPayment]:
    for part in event.parts:
        yield RefundPayment(
            payment_id=part.payment_id,
            refund_id=event.refund_id,
            amount_minor=part.amount_minor,
            reason=event.reason,
            allocations=part.allocations,
            to_account=event.to_account,
        )
