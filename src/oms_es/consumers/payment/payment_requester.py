"""Payment requester: asks for money once everything is reserved, and undoes payments when the order is cancelled.

Reads    OrderAllocated, OrderBalanceDue, OrderPaymentRequested, OrderAmended, OrderFulfilledElsewhere,
         OrderLinesCancelled, OrderSplit, OrderMergedInto, OrderOverridden, OrderCancelled; looks up gateway_routes in
         force
Emits    RequestPayment, CancelPayment
Decides  which gateway is asked, by the routes in force; an order that costs nothing is not paid.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.consumers.routes import ROUTES, gateway_for, routes_of
from oms_es.kernel import Consumer, LookupResults
from oms_es.schemas.order import (
    AsksForMoney,
    OrderAllocated,
    OrderAmended,
    OrderBalanceDue,
    OrderCancelled,
    OrderFulfilledElsewhere,
    OrderLinesCancelled,
    OrderMergedInto,
    OrderOverridden,
    OrderPaymentRequested,
    OrderSplit,
    PaymentDue,
)
from oms_es.schemas.payment import CancelPayment, RequestPayment

consumer = Consumer("payment_requester", emits=(RequestPayment, CancelPayment))


@consumer.on(OrderAllocated, lookups=(ROUTES,))
def request_payment_on_order_allocated(event: OrderAllocated, results: LookupResults) -> Iterator[RequestPayment]:
    dues = event.payments
    if not dues and event.amount_minor > 0:
        dues = (
            PaymentDue(payment_id=event.payment_id, amount_minor=event.amount_minor, payment_token=event.payment_token),
        )
    yield from (_request(event, due, results) for due in dues)


@consumer.on(OrderBalanceDue, lookups=(ROUTES,))
def request_balance_on_order_balance_due(event: OrderBalanceDue, results: LookupResults) -> Iterator[RequestPayment]:
    yield from (_request(event, due, results) for due in event.payments)


@consumer.on(OrderPaymentRequested, lookups=(ROUTES,))
def request_payment_again_on_order_payment_requested(
    event: OrderPaymentRequested, results: LookupResults
) -> Iterator[RequestPayment | CancelPayment]:
    """Request the new payment, and cancel the one that it replaces: money that it still brings is not wanted."""
    yield _request(event, event, results)
    yield CancelPayment(payment_id=event.replaces)


@consumer.on(OrderAmended, OrderFulfilledElsewhere, OrderLinesCancelled, OrderSplit, OrderMergedInto, OrderOverridden)
def cancel_payments_on_amount_changed(
    event: OrderAmended
    | OrderFulfilledElsewhere
    | OrderLinesCancelled
    | OrderSplit
    | OrderMergedInto
    | OrderOverridden,
) -> Iterator[CancelPayment]:
    yield from (CancelPayment(payment_id=payment_id) for payment_id in event.payments_cancelled)


@consumer.on(OrderCancelled)
def cancel_payments_on_order_cancelled(event: OrderCancelled) -> Iterator[CancelPayment]:
    first = (event.payment_id,) if event.payment_id is not None else ()
    yield from (CancelPayment(payment_id=payment_id) for payment_id in event.payment_ids or first)


def _request(event: AsksForMoney, due: PaymentDue, results: LookupResults) -> RequestPayment:
    return RequestPayment(
        payment_id=due.payment_id,
        order_id=event.order_id,
        amount_minor=due.amount_minor,
        currency=event.currency,
        payment_token=due.payment_token,
        method=due.method,
        capture_now=due.capture_now,
        gateway=gateway_for(routes_of(results), event, due.method),
    )
