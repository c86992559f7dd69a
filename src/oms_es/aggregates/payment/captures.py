"""Capturing a payment's money, which is authorised again if its authorisation has expired. Part of the payment's
decider.

Invariant: captured + in flight + voided <= authorised; one capture per capture_id.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.aggregates.payment import refunds as returns
from oms_es.aggregates.payment.state import (
    AUTHORIZATION,
    Capture,
    Payment,
    Refusal,
    contradiction,
    evolve,
    in_words,
    intent,
    is_news,
    money,
    refusal_of,
)
from oms_es.kernel import Refused
from oms_es.schemas import payment as p
from oms_es.schemas.payment.refusals import PaymentRefusal


def refuse_once(payment: Payment, refused: Refusal) -> Iterator[p.PaymentEvent]:
    if refusal_of(refused) not in payment.refused:
        yield refused


def expired_remainder(payment: Payment, requested: p.PaymentRequested) -> p.PaymentExpired:
    return p.PaymentExpired(**money(requested, payment.remainder), authorization=payment.effects[AUTHORIZATION])


def _reauthorize(requested: p.PaymentRequested, capture_id: str, n: int) -> p.PaymentReauthorizationRequested:
    return p.PaymentReauthorizationRequested(
        **intent(requested, n),
        capture_id=capture_id,
        payment_token=requested.payment_token,
        method=requested.method,
    )


def record_reauthorization(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordReauthorization
) -> Iterator[p.PaymentEvent]:
    """Record a new authorisation, and capture it; if it is no longer awaited, void it."""
    key, capture = command.capture_id, _renewed_capture(payment, command)
    if not is_news(payment, ("reauthorization", key), command.reference):
        return
    n = capture.amount_minor
    yield p.PaymentReauthorized(**money(requested, n), capture_id=key, reference=command.reference)
    if capture.status == "waiting" and not payment.cancelled:
        yield p.PaymentCaptureRequested(
            **intent(requested, n), capture_id=key, authorization=command.reference, final=True
        )
        return
    if capture.status == "waiting":
        yield p.PaymentCaptureFailed(**money(requested, n), capture_id=key, reason="cancelled meanwhile")
    yield p.PaymentVoidRequested(**intent(requested, n), authorization=command.reference, void_id=key)


def record_reauthorization_decline(
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
            f"the money of capture {command.capture_id} is held again and now reported declined ({command.reason})"
        )


def _renewed_capture(payment: Payment, command: p.RecordReauthorization | p.RecordReauthorizationDecline) -> Capture:
    capture = payment.captures.get(command.capture_id)
    if capture is None or not capture.renewed:
        raise Refused(
            PaymentRefusal.UNKNOWN_REAUTHORIZATION,
            f"payment {command.payment_id} never asked for money to be held again for {command.capture_id}: "
            "ask the provider what it holds",
        )
    return capture


def capture_money(
    payment: Payment, requested: p.PaymentRequested, command: p.CapturePayment
) -> Iterator[p.PaymentEvent]:
    key, n, known = command.capture_id, command.amount_minor, _asked_before(payment, requested, command)
    ahead = _is_paid_ahead(payment, requested, command)
    if known is not None and (known <= n if ahead else known == n):
        return
    if reason := _why_not_captured(payment, requested, command, known, ahead=ahead):
        refused = p.PaymentCaptureRefused(**money(requested, n), capture_id=key, reason=reason)
        yield from refuse_once(payment, refused)
    elif ahead:
        if applied := min(n, max(payment.fund - payment.returned - payment.disputed - payment.applied, 0)):
            yield p.PaymentDepositApplied(**money(requested, applied), capture_id=key)
    elif payment.expired:
        yield _reauthorize(requested, key, n)
    else:
        yield p.PaymentCaptureRequested(
            **intent(requested, n),
            capture_id=key,
            authorization=payment.effects[AUTHORIZATION],
            final=n == payment.remainder,
        )


def _is_paid_ahead(payment: Payment, requested: p.PaymentRequested, command: p.CapturePayment) -> bool:
    """Return whether a capture is paid from money that was taken before: a deposit, or a capture at the provider that
    was not asked for, as far as it suffices.
    """
    known = payment.captures.get(command.capture_id)
    if requested.capture_now or command.capture_id in payment.applications or (known and not known.asked):
        return True
    return 0 < command.amount_minor <= payment.unasked_minor - payment.applied


def _asked_before(payment: Payment, requested: p.PaymentRequested, command: p.CapturePayment) -> int | None:
    """Return the amount that was asked for under this capture id before, or None.

    A parcel may have the id of the deposit that it uses up.
    """
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
    if ahead:  # an amount that was given back before is not applied, and could not be captured
        left = max(payment.fund - payment.applied, 0)
        return f"{asked} is more than the {in_words(requested, left)} left of the deposit" if n > left else ""
    if n > payment.left:
        return f"{asked} is more than the {in_words(requested, payment.left)} left of payment {command.payment_id}"
    return ""


def record_capture(
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


def record_capture_failure(
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
        if not capture.renewed:  # otherwise it is the first failure, reported again
            yield from _capture_again(payment, requested, command.capture_id, capture.amount_minor)
        return
    failed = p.PaymentCaptureFailed(
        **money(requested, capture.amount_minor), capture_id=command.capture_id, reason=command.reason
    )
    yield failed
    if payment.cancelled:
        yield from returns.void(evolve(payment, failed), requested, command)


def _capture_again(
    payment: Payment, requested: p.PaymentRequested, capture_id: str, n: int
) -> Iterator[p.PaymentEvent]:
    if not payment.expired and "" not in payment.voids:
        yield expired_remainder(payment, requested)
    yield _reauthorize(requested, capture_id, n)


def _known_capture(payment: Payment, command: p.RecordCapture | p.RecordCaptureFailure) -> Capture:
    capture = payment.captures.get(command.capture_id)
    if capture is None:
        raise Refused(
            PaymentRefusal.UNKNOWN_CAPTURE,
            f"payment {command.payment_id} never asked for capture {command.capture_id}: ask the provider what it took",
        )
    return capture
