"""What an order does when a payment is authorised, fails or is withdrawn. Part of the order's decider."""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.ending import cancel_order, may_be_cancelled
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import BEFORE_RELEASE, OTHERWISE, Order
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order.refusals import OrderRefusal
from oms_es.schemas.values.sentences import with_reason

PAYMENT_ATTEMPTS_MAX = 3
"""How often the engine asks by itself for a payment that may still come, before the order is held for a person."""


def record_authorized(order: Order, command: o.RecordPaymentAuthorized) -> Iterator[o.OrderEvent]:
    """Record a secured payment; the last one releases the order if nothing else keeps it.

    The release implies that the only payment is secured, so no event of its own is yielded then.
    """
    payment = order.payments.get(command.payment_id)
    if payment is None or payment.status not in ("asked", "deferred") or order.phase in o.FINAL_PHASES:
        return
    live = order.live_payments.values()
    open_minor = sum(p.due.amount_minor for p in live if p.status != "secured") - payment.due.amount_minor
    secured = o.OrderPaymentSecured(order_id=order.order_id, payment_id=command.payment_id, open_minor=open_minor)
    after = evolve(order, secured)
    if after.phase != "awaiting_payment" or not after.is_locked:
        yield secured  # the order waits for more: an amendment is being sourced, or it is held
        return
    following = list(steps.proceed(after))
    goes_without_saying = any(isinstance(event, o.OrderReleased) for event in following) and len(order.payments) == 1
    if not goes_without_saying or payment.status == "deferred":
        yield secured
    yield from following


def record_failed(order: Order, command: o.RecordPaymentFailed) -> Iterator[o.OrderEvent]:
    payment = order.payments.get(command.payment_id)
    if payment is None or payment.status != "asked" or order.phase in o.FINAL_PHASES:
        return
    if not command.retriable:
        yield from steps.ended(order, with_reason("payment", command.reason)[: o.REASON_LENGTH_MAX])
        return
    again = payment.attempt < PAYMENT_ATTEMPTS_MAX
    yield o.OrderPaymentDeferred(
        order_id=order.order_id,
        payment_id=command.payment_id,
        attempt=payment.attempt,
        reason=command.reason,
        again=again,
    )
    if not again and not order.is_held("payment"):
        yield o.OrderHeld(order_id=order.order_id, kind="payment", note=command.reason)


def record_withdrawn(order: Order, command: o.RecordPaymentWithdrawn) -> Iterator[o.OrderEvent]:
    """Record that a payment was withdrawn: before the release a person decides whether to ask for it again; after it,
    parcels that have not left are stopped.
    """
    payment = order.payments.get(command.payment_id)
    if payment is None or payment.status not in ("asked", "secured"):
        return
    if order.phase in BEFORE_RELEASE:
        yield o.OrderPaymentDeferred(
            order_id=order.order_id,
            payment_id=command.payment_id,
            attempt=payment.attempt,
            reason=command.reason,
            again=False,
        )
        if not order.is_held("payment"):
            yield o.OrderHeld(order_id=order.order_id, kind="payment", note=command.reason)
    elif order.phase == "fulfilling" and may_be_cancelled(order):
        reason = with_reason("payment", command.reason)[: o.REASON_LENGTH_MAX]
        # longer than a person's reason may be by the word before it
        yield from cancel_order(order, o.CancelOrder.model_construct(order_id=order.order_id, reason=reason))


def repeat_payment(order: Order, command: o.RepeatPayment) -> Iterator[o.OrderEvent]:
    payment = order.payments.get(command.payment_id)
    if payment and payment.status == "deferred" and order.phase not in o.FINAL_PHASES:
        yield from ask_again(order, None, payment.attempt + 1)


def retry_payment(order: Order, command: o.RetryPayment) -> Iterator[o.OrderEvent]:
    """Ask for the missing payments again, with attempts counted from 1, as a person asked for it.

    A hold because of other missing money remains. Raise Refused if nothing is to be paid.
    """
    if order.phase in o.FINAL_PHASES or not order.is_unpaid:
        raise Refused(
            OrderRefusal.NOTHING_TO_PAY, f"order {command.order_id} waits for no payment; there is nothing to retry"
        )
    if set(order.held_for) == {OTHERWISE}:
        yield o.OrderHoldReleased(order_id=order.order_id, kind="payment", note="another attempt")
    yield from ask_again(order, command.payment_token, 1)


def ask_again(order: Order, token: str | None, attempt: int) -> Iterator[o.OrderEvent]:
    made = order.payments_made
    for payment_id, payment in order.live_payments.items():
        if payment.status == "deferred":
            made += 1
            due = payment.due.model_copy(update={"payment_id": f"{order.order_id}.{made}"})
            if token is not None:
                due = due.model_copy(update={"payment_token": token})
            yield o.OrderPaymentRequested(
                **steps.asking(order),
                replaces=payment_id,
                attempt=attempt,
                **due.model_dump(),
            )
