"""Money that goes back: voided, refunded, or taken back by a bank. Part of the payment's decider.

Invariant: refunded + being refunded + lost in disputes <= captured, and each void, refund and dispute counts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oms_es.aggregates.payment.actions import close_requested
from oms_es.aggregates.payment.state import (
    AUTHORIZATION,
    Payment,
    VoidOrRefund,
    contradiction,
    evolve,
    in_words,
    intent,
    is_news,
    money,
    of,
)
from oms_es.kernel import Refused
from oms_es.schemas import payment as p
from oms_es.schemas.payment.refusals import PaymentRefusal


def void(payment: Payment, requested: p.PaymentRequested, _: Any) -> Iterator[p.PaymentEvent]:
    """Void what is held, once: what a later failed capture leaves held expires at the provider."""
    if payment.remainder:
        yield p.PaymentVoidRequested(
            **intent(requested, payment.remainder), authorization=payment.effects[AUTHORIZATION]
        )


def request_void(payment: Payment, requested: p.PaymentRequested, command: Any) -> Iterator[p.PaymentEvent]:
    """Void what is held, and refund what was captured in advance: no parcel needs it any more."""
    yield from void(payment, requested, command)
    key = f"{requested.payment_id}/unused"
    unused = payment.unasked_minor - payment.applied - payment.returned - payment.disputed
    if unused > 0 and not requested.capture_now and key not in payment.refunds:
        yield refund_requested(payment, requested, key, min(unused, payment.refundable))


def record_void(payment: Payment, requested: p.PaymentRequested, command: p.RecordVoid) -> Iterator[p.PaymentEvent]:
    known = _known_void(payment, command)
    if not is_news(payment, ("void", command.void_id), command.reference):
        return
    if known.status == "failed":
        raise contradiction(f"a void was reported failed and now as {command.reference}")
    yield p.PaymentVoided(**money(requested, known.amount_minor), reference=command.reference, void_id=command.void_id)


def record_void_failure(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordVoidFailure
) -> Iterator[p.PaymentEvent]:
    known = _known_void(payment, command)
    if known.status == "done":
        raise contradiction(f"the money was released and that is now reported failed ({command.reason})")
    if known.status == "in_flight":
        yield p.PaymentVoidFailed(
            **money(requested, known.amount_minor), void_id=command.void_id, reason=command.reason
        )


def _known_void(payment: Payment, command: p.RecordVoid | p.RecordVoidFailure) -> VoidOrRefund:
    known = payment.voids.get(command.void_id)
    if known is None:
        raise Refused(
            PaymentRefusal.UNKNOWN_VOID,
            f"payment {command.payment_id} was not to be voided: ask the provider what it released",
        )
    return known


def cancel(payment: Payment, requested: p.PaymentRequested, command: p.CancelPayment) -> Iterator[p.PaymentEvent]:
    """Void or refund everything; what is still outstanding is undone when its result is reported."""
    captures = sorted(payment.captures.items())
    outstanding = (
        payment.status == "pending"
        or payment.waits_for_another
        or any(capture.status in ("waiting", "in_flight") for _, capture in captures)
        or any(dispute.status == "open" for dispute in payment.disputes.values())
    )
    if outstanding and not payment.cancelled:
        yield p.PaymentCancellationNoted(**of(requested))
        if payment.status == "pending" and payment.action:
            yield close_requested(requested, payment.action)
    yield from void(payment, requested, command)
    taken = [(key, capture.amount_minor) for key, capture in captures if capture.status == "captured"]
    left = payment.refundable
    for key, amount_minor in (*taken, (f"{command.payment_id}/rest", left)):
        if key not in payment.refunds and left:
            yield refund_requested(payment, requested, key, min(left, amount_minor))
            left -= min(left, amount_minor)


def refund(payment: Payment, requested: p.PaymentRequested, command: p.RefundPayment) -> Iterator[p.PaymentEvent]:
    key, n = command.refund_id, command.amount_minor
    known = payment.refunds.get(key)
    if (known and known.amount_minor + known.short_minor == n) or ("refund", key, n) in payment.refused:
        return
    if reason := _why_not_refunded(payment, requested, command, known):
        yield p.PaymentRefundRefused(**money(requested, n), refund_id=key, reason=reason)
    else:
        said = {"reason": command.reason, "allocations": command.allocations, "to_account": command.to_account}
        yield refund_requested(payment, requested, key, n, **said)


def _why_not_refunded(
    payment: Payment, requested: p.PaymentRequested, command: p.RefundPayment, known: VoidOrRefund | None
) -> str:
    n, parts = command.amount_minor, sum(part.amount_minor for part in command.allocations)
    asked = in_words(requested, n)
    if known:
        given = in_words(requested, known.amount_minor)
        return f"refund {command.refund_id} gives {given} back; to give {asked} more, name another refund_id"
    if command.allocations and parts != n:
        return f"its parts sum to {in_words(requested, parts)}, not to {asked}"
    if n > payment.refundable:
        disputed = f", with {in_words(requested, payment.disputed)} in dispute" if payment.disputed else ""
        return f"{asked} is more than the {in_words(requested, payment.refundable)} left of what was taken{disputed}"
    return ""


def refund_requested(
    payment: Payment, requested: p.PaymentRequested, refund_id: str, amount_minor: int, **more: Any
) -> p.PaymentRefundRequested:
    """Return the request of a refund. If the whole payment is undone, a capture's refund has the capture's id."""
    return p.PaymentRefundRequested(
        **intent(requested, amount_minor), refund_id=refund_id, authorization=payment.effects[AUTHORIZATION], **more
    )


def record_refund(payment: Payment, requested: p.PaymentRequested, command: p.RecordRefund) -> Iterator[p.PaymentEvent]:
    known = _known_refund(payment, command)
    if not is_news(payment, ("refund", command.refund_id), command.reference):
        return
    if known.status == "failed":
        raise contradiction(f"refund {command.refund_id} was reported failed and now as {command.reference}")
    if payment.gone + known.amount_minor > payment.asked:
        raise contradiction(f"refund {command.refund_id} gives back what was lost in a dispute already")
    yield p.PaymentRefunded(
        **money(requested, known.amount_minor), refund_id=command.refund_id, reference=command.reference
    )


def record_refund_failure(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordRefundFailure
) -> Iterator[p.PaymentEvent]:
    known = _known_refund(payment, command)
    if known.status == "done":
        raise contradiction(f"refund {command.refund_id} is done and now reported failed ({command.reason})")
    if known.status == "in_flight":
        yield p.PaymentRefundFailed(
            **money(requested, known.amount_minor), refund_id=command.refund_id, reason=command.reason
        )


def _known_refund(payment: Payment, command: p.RecordRefund | p.RecordRefundFailure) -> VoidOrRefund:
    known = payment.refunds.get(command.refund_id)
    if known is None:
        raise Refused(
            PaymentRefusal.UNKNOWN_REFUND,
            f"payment {command.payment_id} never asked for refund {command.refund_id}: "
            "ask the provider what it gave back",
        )
    return known


def record_dispute(
    payment: Payment, requested: p.PaymentRequested, command: p.DisputeCommand
) -> Iterator[p.PaymentEvent]:
    """Record that a dispute was opened, won or lost; the end may be reported before the beginning."""
    key, n = command.dispute_id, command.amount_minor
    known = payment.disputes.get(key)
    if known and known.amount_minor != n:
        was = in_words(requested, known.amount_minor)
        raise contradiction(f"dispute {key} was about {was} and is now about {in_words(requested, n)}")
    if known is None:
        if payment.refunded + payment.disputed + n > payment.asked:
            amount = in_words(requested, n)
            raise contradiction(f"dispute {key} is about {amount}, more than what was taken and not given back")
        opened = p.PaymentDisputeOpened(**money(requested, n), dispute_id=key, reason=command.reason)
        yield opened
        payment = evolve(payment, opened)
    if not isinstance(command, p.RecordDisputeOpened):
        yield from _dispute_ended(payment, requested, command)


def _dispute_ended(
    payment: Payment, requested: p.PaymentRequested, command: p.DisputeCommand
) -> Iterator[p.PaymentEvent]:
    key, n = command.dispute_id, command.amount_minor
    status, ended = payment.disputes[key].status, "won" if isinstance(command, p.RecordDisputeWon) else "lost"
    if status == ended:
        return
    if status != "open":
        raise contradiction(f"dispute {key} was {status} and is now reported {ended}")
    if ended == "lost":
        if payment.gone + n > payment.asked:
            raise contradiction(f"dispute {key} takes what was given back already")
        yield p.PaymentDisputeLost(**money(requested, n), dispute_id=key)
        return
    won = p.PaymentDisputeWon(**money(requested, n), dispute_id=key)
    yield won
    payment = evolve(payment, won)
    if payment.cancelled and key not in payment.refunds and payment.refundable:
        yield refund_requested(payment, requested, key, min(n, payment.refundable))
