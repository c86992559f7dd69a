"""One payment of an order: what is held, captured and given back.

Invariant: captured + in flight + voided <= authorised; refunded + being refunded <= captured; refunded + lost in
disputes <= captured; one effect per gateway reference, and one reference per effect. Money that arrives after the
payment is unwanted is given back at once.

Repeats decide nothing. A report in which the provider contradicts itself is refused, so that a person looks at it. A
request of a consumer that cannot be fulfilled becomes an event.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from hashlib import sha256
from typing import Any

from oms_es.aggregates.payment import actions, answers, reports
from oms_es.aggregates.payment import refunds as returns
from oms_es.aggregates.payment.captures import (
    capture_money,
    expired_remainder,
    record_capture,
    record_capture_failure,
    record_reauthorization,
    record_reauthorization_decline,
    refuse_once,
)
from oms_es.aggregates.payment.state import (
    AUTHORIZATION,
    Payment,
    contradiction,
    evolve,
    in_words,
    intent,
    is_news,
    money,
    of,
)
from oms_es.kernel import Decider, Refused
from oms_es.schemas import payment as p
from oms_es.schemas.finance.account import METHOD
from oms_es.schemas.payment.refusals import PaymentRefusal


def decide(payment: Payment, command: Any) -> Iterator[p.PaymentEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, p.RequestPayment):
        yield from _request(payment, command)
    elif payment.requested is not None:
        yield from _with_what_was_kept(payment, payment.requested, command)
    elif isinstance(command, (p.CapturePayment, p.RefundPayment)):
        yield from _refuse(payment, command)
    elif not isinstance(command, FREE):
        raise Refused(PaymentRefusal.UNKNOWN_PAYMENT, f"there is no payment {command.payment_id}; request it first")


def _with_what_was_kept(
    payment: Payment, requested: p.PaymentRequested, command: p.PaymentCommand
) -> Iterator[p.PaymentEvent]:
    """Decide the command, then reconsider kept reports: each new event may explain a report that did not fit."""
    if not payment.kept:
        yield from _decided(payment, requested, command)
        return
    events = list(_decided(payment, requested, command))
    yield from events
    if events:
        yield from reports.reconsider(reduce(evolve, events, payment), requested, _decided)


def _decided(payment: Payment, requested: p.PaymentRequested, command: p.PaymentCommand) -> Iterator[p.PaymentEvent]:
    if isinstance(command, p.RecordReport):
        yield from reports.record(payment, requested, command, _decided)
    else:
        yield from DECISIONS[type(command)](payment, requested, command)


FREE = (p.CancelPayment, p.VoidPayment, p.ExpireAuthorization, p.RecordSilence)
"""Commands that are accepted without a payment: an order without a price never asked for money, so nothing is
undone."""


def _request(payment: Payment, command: p.RequestPayment) -> Iterator[p.PaymentEvent]:
    requested = p.PaymentRequested.model_construct(**command.__dict__)
    known = payment.requested
    if known is None:
        yield requested
    elif requested.model_copy(update={"gateway": known.gateway}) != known:  # other routes may be in force by now
        refused = p.PaymentRequestRefused(
            **money(requested, requested.amount_minor),
            reason=f"it was requested for {in_words(known, known.amount_minor)}; "
            "what differs in anything needs another payment_id",
            fingerprint=sha256(requested.model_dump_json().encode()).hexdigest(),
        )
        yield from refuse_once(payment, refused)


def _refuse(payment: Payment, command: p.CapturePayment | p.RefundPayment) -> Iterator[p.PaymentEvent]:
    """Refuse, by an event, a capture or refund of a payment that was never requested.

    The payment's id begins with its order's.
    """
    named: Any = {
        "payment_id": command.payment_id,
        "order_id": command.payment_id.rpartition(".")[0] or command.payment_id,
        "amount_minor": command.amount_minor,
        "reason": "there is no such payment",
    }
    if isinstance(command, p.CapturePayment):
        yield from refuse_once(payment, p.PaymentCaptureRefused(**named, capture_id=command.capture_id))
    else:
        yield from refuse_once(payment, p.PaymentRefundRefused(**named, refund_id=command.refund_id))


def _record_authorization(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordAuthorization
) -> Iterator[p.PaymentEvent]:
    whole, asked = money(requested, requested.amount_minor), intent(requested, requested.amount_minor)
    if not is_news(payment, AUTHORIZATION, command.reference):
        if command.expires_at and payment.expires_at is None and payment.remainder:
            yield p.PaymentExpirySet(**of(requested), expires_at=command.expires_at)
        return
    yield p.PaymentAuthorized(**whole, reference=command.reference, expires_at=command.expires_at)
    if payment.released_reference not in (
        "",
        command.reference,
    ):  # the provider had released it: its reports came in another order
        yield p.PaymentVoided(
            **whole, reference=payment.released_reference, asked=False, reason="released at the provider"
        )
    elif payment.cancelled or not (payment.status == "pending" or payment.waits_for_another):
        yield p.PaymentVoidRequested(**asked, authorization=command.reference)
    elif requested.capture_now:
        yield p.PaymentCaptureRequested(
            **asked, capture_id=requested.payment_id, authorization=command.reference, final=True
        )


def _record_decline(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordDecline
) -> Iterator[p.PaymentEvent]:
    if payment.status == "pending":
        yield p.PaymentDeclined(**of(requested), reason=command.reason, retriable=command.retriable)
    elif payment.status == "authorized" and not payment.declined:
        raise contradiction(
            f"payment {command.payment_id} is authorised as {payment.effects[AUTHORIZATION]} and now reported "
            f"declined ({command.reason})"
        )


def _record_failure(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordFailure
) -> Iterator[p.PaymentEvent]:
    """Record that no answer came, if the payment is still pending: a callback may have arrived meanwhile, which is no
    contradiction.
    """
    if payment.status == "pending":
        yield p.PaymentFailed(**of(requested), reason=command.reason)


def _expire(
    payment: Payment, requested: p.PaymentRequested, command: p.ExpireAuthorization
) -> Iterator[p.PaymentEvent]:
    if payment.expires_at and payment.expires_at <= command.now and payment.remainder:
        yield expired_remainder(payment, requested)


def _record_expiry(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordExpiry
) -> Iterator[p.PaymentEvent]:
    if payment.status != "authorized":
        raise Refused(
            PaymentRefusal.NOT_AUTHORIZED,
            f"payment {command.payment_id} holds no money that could expire: ask the provider",
        )
    if requested.method == METHOD:
        raise Refused(
            PaymentRefusal.NOT_AUTHORIZED,
            f"payment {command.payment_id} is held by an account, where it expires only with its order: cancel that",
        )
    if payment.remainder:
        yield expired_remainder(payment, requested)


DECISIONS: dict[type[p.PaymentCommand], Any] = {
    p.RecordAuthorization: _record_authorization,
    p.RecordPaymentAction: actions.record_action,
    p.RecordDecline: _record_decline,
    p.RecordFailure: _record_failure,
    p.ExpireAuthorization: _expire,
    p.RecordExpiry: _record_expiry,
    p.RecordReauthorization: record_reauthorization,
    p.RecordReauthorizationDecline: record_reauthorization_decline,
    p.CapturePayment: capture_money,
    p.RecordCapture: record_capture,
    p.RecordCaptureFailure: record_capture_failure,
    p.RecordAnswerPending: answers.record_pending,
    p.ChaseAnswer: answers.chase,
    p.RecordSilence: answers.record_silence,
    p.VoidPayment: returns.request_void,
    p.RecordVoid: returns.record_void,
    p.RecordVoidFailure: returns.record_void_failure,
    p.CancelPayment: returns.cancel,
    p.RefundPayment: returns.refund,
    p.RecordRefund: returns.record_refund,
    p.RecordRefundFailure: returns.record_refund_failure,
    p.RecordDisputeOpened: returns.record_dispute,
    p.RecordDisputeWon: returns.record_dispute,
    p.RecordDisputeLost: returns.record_dispute,
}

decider = Decider(
    "payment",
    Payment(),
    evolve,
    decide,
    accepts=(p.RequestPayment, p.RecordReport, *DECISIONS),
    emits=(
        p.PaymentRequested,
        p.PaymentRequestRefused,
        p.PaymentAuthorized,
        p.PaymentExpirySet,
        p.PaymentActionRequired,
        p.PaymentCloseRequested,
        p.PaymentDeclined,
        p.PaymentAttemptDeclined,
        p.PaymentFailed,
        p.PaymentExpired,
        p.PaymentReauthorizationRequested,
        p.PaymentReauthorized,
        p.PaymentReauthorizationDeclined,
        p.PaymentCancellationNoted,
        p.PaymentCaptureRequested,
        p.PaymentCaptureRefused,
        p.PaymentCaptureShort,
        p.PaymentCaptured,
        p.PaymentCaptureFailed,
        p.PaymentDepositApplied,
        p.PaymentVoidRequested,
        p.PaymentVoided,
        p.PaymentVoidFailed,
        p.PaymentRefundRequested,
        p.PaymentRefundRefused,
        p.PaymentRefundShort,
        p.PaymentRefunded,
        p.PaymentRefundFailed,
        p.PaymentRefundReversed,
        p.PaymentAnswerAwaited,
        p.PaymentAnswerChased,
        p.PaymentAnswerSettled,
        p.PaymentUnanswered,
        p.PaymentReportKept,
        p.PaymentReportSettled,
        p.PaymentDisputeOpened,
        p.PaymentDisputeWon,
        p.PaymentDisputeLost,
    ),
)
