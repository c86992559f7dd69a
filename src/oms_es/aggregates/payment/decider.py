"""One payment of an order: what is held, taken and given back.

Invariant: captured + in flight + voided <= authorised; refunded + being refunded <= captured; refunded + lost in
disputes <= captured; one effect per gateway reference, and one reference per effect. Money that comes after nobody
wants it any more goes straight back.

Repeats decide nothing. Where the provider contradicts itself the report is refused, so that a person looks at it. What
our own consumers ask for and cannot have is an event.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from hashlib import sha256
from typing import Any

from oms_es.aggregates.payment import answers, reports
from oms_es.aggregates.payment import refunds as returns
from oms_es.aggregates.payment.state import (
    AUTHORIZATION,
    Capture,
    Payment,
    Refusal,
    contradiction,
    evolve,
    in_words,
    is_news,
    money,
    of,
    refusal_of,
)
from oms_es.kernel import Decider, Refused
from oms_es.schemas import payment as p
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
    """Whatever happens may explain a report that did not fit."""
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
"""Of an order without a price, which never asked for money, there is nothing to undo."""


def _request(payment: Payment, command: p.RequestPayment) -> Iterator[p.PaymentEvent]:
    requested = p.PaymentRequested.model_construct(**command.__dict__)
    if payment.requested is None:
        yield requested
    elif requested != payment.requested:
        known = payment.requested
        refused = p.PaymentRequestRefused(
            **money(requested, requested.amount_minor),
            reason=f"it was requested for {in_words(known, known.amount_minor)}; "
            "what differs in anything needs another payment_id",
            fingerprint=sha256(requested.model_dump_json().encode()).hexdigest(),
        )
        yield from _once(payment, refused)


def _refuse(payment: Payment, command: p.CapturePayment | p.RefundPayment) -> Iterator[p.PaymentEvent]:
    """Nobody asked for that payment. It is named after its order."""
    named: Any = {
        "payment_id": command.payment_id,
        "order_id": command.payment_id.rpartition(".")[0] or command.payment_id,
        "amount_minor": command.amount_minor,
        "reason": "there is no such payment",
    }
    if isinstance(command, p.CapturePayment):
        yield from _once(payment, p.PaymentCaptureRefused(**named, capture_id=command.capture_id))
    else:
        yield from _once(payment, p.PaymentRefundRefused(**named, refund_id=command.refund_id))


def _once(payment: Payment, refused: Refusal) -> Iterator[p.PaymentEvent]:
    if refusal_of(refused) not in payment.refused:
        yield refused


def _record_authorization(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordAuthorization
) -> Iterator[p.PaymentEvent]:
    whole = money(requested, requested.amount_minor)
    if not is_news(payment, AUTHORIZATION, command.reference):
        if command.expires_at and payment.expires_at is None and payment.remainder:
            yield p.PaymentExpirySet(**of(requested), expires_at=command.expires_at)
        return
    yield p.PaymentAuthorized(**whole, reference=command.reference, expires_at=command.expires_at)
    if payment.let_go not in (
        "",
        command.reference,
    ):  # the provider had given up on it: its reports came in another order
        yield p.PaymentVoided(**whole, reference=payment.let_go, asked=False, reason="let go at the provider")
    elif payment.cancelled or not (payment.status == "pending" or payment.waits_for_another):
        yield p.PaymentVoidRequested(**whole, authorization=command.reference)
    elif requested.capture_now:
        yield p.PaymentCaptureRequested(
            **whole, capture_id=requested.payment_id, authorization=command.reference, final=True
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
    """That no answer came contradicts nothing: a callback may have told meanwhile."""
    if payment.status == "pending":
        yield p.PaymentFailed(**of(requested), reason=command.reason)


def _expire(
    payment: Payment, requested: p.PaymentRequested, command: p.ExpireAuthorization
) -> Iterator[p.PaymentEvent]:
    if payment.expires_at and payment.expires_at <= command.now and payment.remainder:
        yield _expired(payment, requested)


def _record_expiry(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordExpiry
) -> Iterator[p.PaymentEvent]:
    if payment.status != "authorized":
        raise Refused(
            PaymentRefusal.NOT_AUTHORIZED,
            f"payment {command.payment_id} holds no money that could expire: ask the provider",
        )
    if payment.remainder:
        yield _expired(payment, requested)


def _expired(payment: Payment, requested: p.PaymentRequested) -> p.PaymentExpired:
    return p.PaymentExpired(**money(requested, payment.remainder), authorization=payment.effects[AUTHORIZATION])


def _reauthorize(requested: p.PaymentRequested, capture_id: str, n: int) -> p.PaymentReauthorizationRequested:
    return p.PaymentReauthorizationRequested(
        **money(requested, n),
        capture_id=capture_id,
        payment_token=requested.payment_token,
        method=requested.method,
    )


def _record_reauthorization(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordReauthorization
) -> Iterator[p.PaymentEvent]:
    """What comes after nobody waits for it any more is let go."""
    key, capture = command.capture_id, _renewed_capture(payment, command)
    if not is_news(payment, ("reauthorization", key), command.reference):
        return
    n = capture.amount_minor
    yield p.PaymentReauthorized(**money(requested, n), capture_id=key, reference=command.reference)
    if capture.status == "waiting" and not payment.cancelled:
        yield p.PaymentCaptureRequested(
            **money(requested, n), capture_id=key, authorization=command.reference, final=True
        )
        return
    if capture.status == "waiting":
        yield p.PaymentCaptureFailed(**money(requested, n), capture_id=key, reason="cancelled meanwhile")
    yield p.PaymentVoidRequested(**money(requested, n), authorization=command.reference, void_id=key)


def _record_reauthorization_decline(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordReauthorizationDecline
) -> Iterator[p.PaymentEvent]:
    capture = _renewed_capture(payment, command)
    if capture.status == "waiting":
        yield p.PaymentReauthorizationDeclined(
            **money(requested, capture.amount_minor),
            capture_id=command.capture_id,
            reason=command.reason,
            retriable=command.retriable,
        )
    elif capture.status != "failed":
        raise contradiction(
            f"the money of capture {command.capture_id} is held anew and now reported declined ({command.reason})"
        )


def _renewed_capture(payment: Payment, command: p.RecordReauthorization | p.RecordReauthorizationDecline) -> Capture:
    capture = payment.captures.get(command.capture_id)
    if capture is None or not capture.renewed:
        raise Refused(
            PaymentRefusal.UNKNOWN_REAUTHORIZATION,
            f"payment {command.payment_id} never asked for money to be held anew for {command.capture_id}: "
            "ask the provider what it holds",
        )
    return capture


def _capture(payment: Payment, requested: p.PaymentRequested, command: p.CapturePayment) -> Iterator[p.PaymentEvent]:
    key, n, known = command.capture_id, command.amount_minor, _asked_before(payment, requested, command)
    ahead = _is_paid_ahead(payment, requested, command)
    if known == n or (ahead and known is not None and known < n):
        return
    if reason := _why_not_captured(payment, requested, command, known, ahead=ahead):
        refused = p.PaymentCaptureRefused(**money(requested, n), capture_id=key, reason=reason)
        yield from _once(payment, refused)
    elif ahead:
        if applied := min(n, max(payment.fund - payment.returned - payment.disputed - payment.applied, 0)):
            yield p.PaymentDepositApplied(**money(requested, applied), capture_id=key)
    elif payment.expired:
        yield _reauthorize(requested, key, n)
    else:
        yield p.PaymentCaptureRequested(
            **money(requested, n),
            capture_id=key,
            authorization=payment.effects[AUTHORIZATION],
            final=n == payment.remainder,
        )


def _is_paid_ahead(payment: Payment, requested: p.PaymentRequested, command: p.CapturePayment) -> bool:
    """Of a deposit, or of what was taken at the provider before anybody asked, as far as that goes."""
    known = payment.captures.get(command.capture_id)
    if requested.capture_now or command.capture_id in payment.applications or (known and not known.asked):
        return True
    return 0 < command.amount_minor <= payment.unasked_minor - payment.applied


def _asked_before(payment: Payment, requested: p.PaymentRequested, command: p.CapturePayment) -> int | None:
    """A parcel may be called as the deposit that it uses up."""
    applied = payment.applications.get(command.capture_id)
    if applied is not None or requested.capture_now:
        return applied
    known = payment.captures.get(command.capture_id)
    return known.amount_minor + known.short_minor if known and known.asked else None


def _why_not_captured(
    payment: Payment, requested: p.PaymentRequested, command: p.CapturePayment, known: int | None, *, ahead: bool
) -> str:
    n, asked = command.amount_minor, in_words(requested, command.amount_minor)
    if known is not None:
        taken = in_words(requested, known)
        return f"capture {command.capture_id} takes {taken}; to take {asked} more, name another capture_id"
    if payment.closed and not (ahead and payment.unasked_minor and not payment.cancelled):
        return f"payment {command.payment_id} holds no money to take; request a new payment"
    if ahead:  # what of it was given back before is not applied, and was nobody's to take
        left = max(payment.fund - payment.applied, 0)
        return f"{asked} is more than the {in_words(requested, left)} left of the deposit" if n > left else ""
    if n > payment.left:
        return f"{asked} is more than the {in_words(requested, payment.left)} left of payment {command.payment_id}"
    return ""


def _record_capture(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordCapture
) -> Iterator[p.PaymentEvent]:
    capture = _known_capture(payment, command)
    if not is_news(payment, ("capture", command.capture_id), command.reference):
        return
    if capture.status != "in_flight":
        raise contradiction(f"capture {command.capture_id} was reported failed and now as {command.reference}")
    captured = p.PaymentCaptured(
        **money(requested, capture.amount_minor), capture_id=command.capture_id, reference=command.reference
    )
    yield captured
    refundable = evolve(payment, captured).refundable
    if payment.cancelled and refundable and command.capture_id not in payment.refunds:
        amount_minor = min(refundable, capture.amount_minor)
        yield returns.refund_requested(payment, requested, command.capture_id, amount_minor)


def _record_capture_failure(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordCaptureFailure
) -> Iterator[p.PaymentEvent]:
    capture = _known_capture(payment, command)
    if capture.status == "captured":
        raise contradiction(f"capture {command.capture_id} is done and now reported failed ({command.reason})")
    if capture.status != "in_flight":
        return
    if payment.refunded + payment.disputed > payment.asked - capture.amount_minor:
        raise contradiction(f"capture {command.capture_id} failed and its money was given back or is in dispute")
    if command.expired and not payment.cancelled:
        if not capture.renewed:  # else it is the first failure, told again
            yield from _capture_anew(payment, requested, command.capture_id, capture.amount_minor)
        return
    failed = p.PaymentCaptureFailed(
        **money(requested, capture.amount_minor), capture_id=command.capture_id, reason=command.reason
    )
    yield failed
    if payment.cancelled:
        yield from returns.void(evolve(payment, failed), requested, command)


def _capture_anew(payment: Payment, requested: p.PaymentRequested, capture_id: str, n: int) -> Iterator[p.PaymentEvent]:
    if not payment.expired and "" not in payment.voids:
        yield _expired(payment, requested)
    yield _reauthorize(requested, capture_id, n)


def _known_capture(payment: Payment, command: p.RecordCapture | p.RecordCaptureFailure) -> Capture:
    capture = payment.captures.get(command.capture_id)
    if capture is None:
        raise Refused(
            PaymentRefusal.UNKNOWN_CAPTURE,
            f"payment {command.payment_id} never asked for capture {command.capture_id}: ask the provider what it took",
        )
    return capture


DECISIONS: dict[type[p.PaymentCommand], Any] = {
    p.RecordAuthorization: _record_authorization,
    p.RecordDecline: _record_decline,
    p.RecordFailure: _record_failure,
    p.ExpireAuthorization: _expire,
    p.RecordExpiry: _record_expiry,
    p.RecordReauthorization: _record_reauthorization,
    p.RecordReauthorizationDecline: _record_reauthorization_decline,
    p.CapturePayment: _capture,
    p.RecordCapture: _record_capture,
    p.RecordCaptureFailure: _record_capture_failure,
    p.RecordAnswerPending: answers.record_pending,
    p.ChaseAnswer: answers.chase,
    p.RecordSilence: answers.record_silence,
    p.VoidPayment: returns.let_go,
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
