"""Payment requester: money is asked for once everything is locked, and given back when the order is cancelled.

Reads    OrderAllocated, OrderCancelled
Emits    RequestPayment, CancelPayment
Decides  nothing; an order that costs nothing is not paid.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.order import OrderAllocated, OrderCancelled
from oms_es.schemas.payment import CancelPayment, RequestPayment

consumer = Consumer("payment_requester", emits=(RequestPayment, CancelPayment))


@consumer.on(OrderAllocated)
def ask_for_the_money(event: OrderAllocated) -> Iterator[RequestPayment]:
    if event.amount_minor > 0:
        yield RequestPayment(
            payment_id=event.payment_id,
            order_id=event.order_id,
            amount_minor=event.amount_minor,
            currency=event.currency,
            payment_token=event.payment_token,
        )


@consumer.on(OrderCancelled)
def give_the_money_back(event: OrderCancelled) -> Iterator[CancelPayment]:
    if event.payment_id is not None:
        yield CancelPayment(payment_id=event.payment_id)
