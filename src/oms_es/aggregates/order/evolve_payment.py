"""How events about money change the state of an order."""

from __future__ import annotations

from collections.abc import Iterable

from oms_es.aggregates.order.state import (
    Order,
    Payment,
    number_of,
    with_payments,
)
from oms_es.schemas import order as o


def balance_due(order: Order, event: o.OrderBalanceDue) -> Order:
    return awaiting_payments(order, event.payments)._replace(phase="awaiting_payment")


def awaiting_payments(order: Order, dues: Iterable[o.PaymentDue], attempt: int = 1) -> Order:
    for due in dues:
        order = order._replace(
            payments=order.payments.insert(due.payment_id, Payment(due, attempt=attempt)),
            payments_made=max(order.payments_made, number_of(due.payment_id)),
        )
    return order


def payment_requested(order: Order, event: o.OrderPaymentRequested) -> Order:
    due = o.PaymentDue(**{name: getattr(event, name) for name in o.PaymentDue.model_fields})
    return awaiting_payments(with_payments(order, "void", event.replaces), [due], event.attempt)


def payment_deferred(order: Order, event: o.OrderPaymentDeferred) -> Order:
    """Note that a payment is deferred. An order that was paid and held for a person waits for money again."""
    deferred = with_payments(order, "deferred", event.payment_id)
    return deferred._replace(phase="awaiting_payment") if deferred.phase == "held" else deferred


def payment_secured(order: Order, event: o.OrderPaymentSecured) -> Order:
    return paid_or_not(with_payments(order, "secured", event.payment_id))


def paid_or_not(order: Order) -> Order:
    """Set a paid order with a hold to "held".

    A paid and fully reserved order without a hold is released by the same command.
    """
    if order.phase == "awaiting_payment" and order.holds and not order.is_unpaid and not order.presale_pending:
        return order._replace(phase="held")
    return order


def money_gone(order: Order, event: o.OrderMoneyGone) -> Order:
    return order._replace(gone=order.gone.insert((event.payment_id, event.effect), event))


def money_back(order: Order, event: o.OrderMoneyBack) -> Order:
    """Remove what is there again from the reasons for the payment hold.

    The hold of a running order ends with an event of its own; that of an ended order ends here.
    """
    effect = (event.payment_id, event.effect)
    held_for = order.held_for.discard(effect)
    is_held = held_for or order.phase not in o.FINAL_PHASES
    holds = order.holds if is_held else order.holds.discard("payment")
    return order._replace(gone=order.gone.discard(effect), held_for=held_for, holds=holds)
