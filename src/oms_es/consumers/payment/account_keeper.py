"""Account keeper: the gateway of payments that are made from accounts of our own, and of refunds that go to one.

Reads    PaymentRequested, PaymentReauthorizationRequested, PaymentCaptureRequested, PaymentVoidRequested,
         PaymentRefundRequested, where they name an account; looks up accounts and account_orders
         AccountHeld, AccountHoldApplied, AccountHoldReleased, AccountCredited, AccountPaymentRefused, where they name
         a payment
Emits    HoldForPayment, ApplyForPayment, ReleaseForPayment, CreditFromPayment
         RecordAuthorization, RecordDecline, RecordReauthorizationDecline, RecordCapture, RecordCaptureFailure,
         RecordVoid, RecordVoidFailure, RecordRefund, RecordRefundFailure
Decides  nothing about money: the account does. Only what names no account that is known is declined here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oms_es.kernel import Command, Consumer, Lookup, LookupResults
from oms_es.schemas import payment as p
from oms_es.schemas.finance import account as a

NO_ACCOUNT = "there is no such account"

consumer = Consumer(
    "account_keeper",
    emits=(
        *(a.HoldForPayment, a.ApplyForPayment, a.ReleaseForPayment, a.CreditFromPayment),
        *(p.RecordAuthorization, p.RecordDecline, p.RecordReauthorizationDecline),
        *(p.RecordCapture, p.RecordCaptureFailure, p.RecordVoid, p.RecordVoidFailure),
        *(p.RecordRefund, p.RecordRefundFailure),
    ),
)


def account_of(event: Any) -> tuple[str, ...]:
    """Return the account that is to pay, or to be paid into, as a tuple; empty if the event names none."""
    if isinstance(event, p.PaymentRequested):
        return (event.payment_token,) if event.method == a.METHOD else ()
    named = event.to_account or a.account_in(event.authorization)
    return (named,) if named else ()


def order_of(event: p.PaymentRequested) -> tuple[str, ...]:
    return (event.order_id,) if event.method == a.METHOD else ()


ACCOUNTS = Lookup("accounts", by="account_id", keys=account_of)
ORDERS = Lookup("account_orders", by="order_id", keys=order_of)


@consumer.on(p.PaymentRequested, lookups=(ACCOUNTS, ORDERS))
def hold_money_on_payment_requested(event: p.PaymentRequested, results: LookupResults) -> Iterator[Command]:
    for account_id in account_of(event):
        owners = results["account_orders"][event.order_id]
        if not results["accounts"][account_id] or not owners:
            yield p.RecordDecline(payment_id=event.payment_id, reason=NO_ACCOUNT)
            continue
        whose = {name: owners[0][name] for name in ("channel", "customer_id", "joined_from")}
        yield a.HoldForPayment(**_of(event, account_id), **whose)


@consumer.on(p.PaymentReauthorizationRequested)
def decline_renewal_on_payment_reauthorization_requested(event: p.PaymentReauthorizationRequested) -> Iterator[Command]:
    """Decline to renew a hold: an account's holds do not expire, so only a report by hand can have said so."""
    if event.method == a.METHOD:
        reason = "an account holds money until its payment takes or releases it"
        yield p.RecordReauthorizationDecline(payment_id=event.payment_id, capture_id=event.capture_id, reason=reason)


@consumer.on(p.PaymentCaptureRequested)
def apply_hold_on_payment_capture_requested(event: p.PaymentCaptureRequested) -> Iterator[Command]:
    if account_id := a.account_in(event.authorization):
        yield a.ApplyForPayment(**_of(event, account_id, event.capture_id))


@consumer.on(p.PaymentVoidRequested)
def release_hold_on_payment_void_requested(event: p.PaymentVoidRequested) -> Iterator[Command]:
    if account_id := a.account_in(event.authorization):
        yield a.ReleaseForPayment(**_of(event, account_id, event.void_id))


@consumer.on(p.PaymentRefundRequested, lookups=(ACCOUNTS,))
def credit_account_on_payment_refund_requested(
    event: p.PaymentRefundRequested, results: LookupResults
) -> Iterator[Command]:
    for account_id in account_of(event):
        if results["accounts"][account_id]:
            yield a.CreditFromPayment(**_of(event, account_id, event.refund_id))
        else:
            yield p.RecordRefundFailure(payment_id=event.payment_id, refund_id=event.refund_id, reason=NO_ACCOUNT)


@consumer.on(a.AccountHeld, a.AccountHoldApplied, a.AccountHoldReleased, a.AccountCredited)
def record_what_was_done_on_account_entry(event: a.AccountPaymentEntry) -> Iterator[Command]:
    if not event.payment_id:
        return
    of: Any = {"payment_id": event.payment_id, "reference": a.reference_of(event.account_id, event.number)}
    match event:
        case a.AccountHeld():
            yield p.RecordAuthorization(**of)
        case a.AccountHoldApplied():
            yield p.RecordCapture(**of, capture_id=event.part)
        case a.AccountHoldReleased():
            yield p.RecordVoid(**of, void_id=event.part)
        case a.AccountCredited():
            yield p.RecordRefund(**of, refund_id=event.part)


@consumer.on(a.AccountPaymentRefused)
def record_what_was_not_done_on_account_payment_refused(event: a.AccountPaymentRefused) -> Iterator[Command]:
    of: Any = {"payment_id": event.payment_id, "reason": event.reason}
    match event.operation:
        case "hold":
            yield p.RecordDecline(**of, retriable=event.retriable)
        case "apply":
            yield p.RecordCaptureFailure(**of, capture_id=event.part)
        case "release":
            yield p.RecordVoidFailure(**of, void_id=event.part)
        case "credit":
            yield p.RecordRefundFailure(**of, refund_id=event.part)


def _of(event: Any, account_id: str, part: str = "") -> Any:
    return {
        "account_id": account_id,
        "payment_id": event.payment_id,
        "order_id": event.order_id,
        "part": part,
        "amount_minor": event.amount_minor,
        "currency": event.currency,
    }
