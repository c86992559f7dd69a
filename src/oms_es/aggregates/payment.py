"""One payment of an order: what is held, taken and given back.

Invariant: captured + in flight + voided <= authorised; refunded + being refunded <= captured; one effect per gateway
reference, and one reference per effect. Money that comes after nobody wants it any more goes straight back.

Repeats decide nothing. Where the provider contradicts itself the report is refused, so that a person looks at it. What
our own consumers ask for and cannot have is an event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from rpds import HashTrieMap, HashTrieSet

from oms_es.kernel import Decider, Refused
from oms_es.schemas import payment as p

Effect = tuple[Literal["authorization", "capture", "void", "refund"], str]
"""What the provider did, and the capture or refund it did it for; "" where there is only one."""

AUTHORIZATION: Effect = ("authorization", "")
VOID: Effect = ("void", "")


class Capture(NamedTuple):
    amount_minor: int
    status: Literal["in_flight", "captured", "failed"]


class Payment(NamedTuple):
    status: Literal["new", "pending", "authorized", "declined", "failed"] = "new"
    requested: p.PaymentRequested | None = None
    declined: bool = False  # at any time: a late success may have followed
    cancelled: bool = False  # while an answer was outstanding
    captures: HashTrieMap[str, Capture] = HashTrieMap()
    taken: int = 0  # the sum of captures done or in flight, kept so that the remainder costs nothing to know
    voided: int = 0  # asked to be let go, which happens once
    captured: int = 0
    refunds: HashTrieMap[str, int] = HashTrieMap()  # asked for, with their amounts
    returned: int = 0  # the sum of refunds done or in flight
    refused: HashTrieSet[tuple[str, int]] = HashTrieSet()  # refunds that cannot be had
    effects: HashTrieMap[Effect, str] = HashTrieMap()  # done, by the provider's reference
    references: HashTrieMap[str, Effect] = HashTrieMap()

    @property
    def remainder(self) -> int:
        """What is held and neither taken, nor being taken, nor let go."""
        if self.requested is None or self.status != "authorized":
            return 0
        return self.requested.amount_minor - self.taken - self.voided

    @property
    def refundable(self) -> int:
        """What was taken and neither given back nor being given back."""
        return self.captured - self.returned

    @property
    def closed(self) -> bool:
        return self.status != "authorized" or self.cancelled or self.voided > 0


def evolve(payment: Payment, event: p.PaymentEvent) -> Payment:
    """Never refuse a fact: an old stream must load under new rules."""
    match event:
        case p.PaymentRequested():
            return payment._replace(status="pending", requested=event)
        case p.PaymentAuthorized(reference=reference):
            return _done(payment, AUTHORIZATION, reference)._replace(status="authorized")
        case p.PaymentDeclined():
            return payment._replace(status="declined", declined=True)
        case p.PaymentFailed():
            return payment._replace(status="failed")
        case p.PaymentCancellationNoted():
            return payment._replace(cancelled=True)
        case p.PaymentCaptureRequested(capture_id=key, amount_minor=n):
            held = payment.captures.insert(key, Capture(n, "in_flight"))
            return payment._replace(captures=held, taken=payment.taken + n)
        case p.PaymentCaptured(capture_id=key, amount_minor=n, reference=reference):
            held = payment.captures.insert(key, Capture(n, "captured"))
            return _done(payment, ("capture", key), reference)._replace(captures=held, captured=payment.captured + n)
        case p.PaymentCaptureFailed(capture_id=key, amount_minor=n):
            held = payment.captures.insert(key, Capture(n, "failed"))
            return payment._replace(captures=held, taken=payment.taken - n)
        case p.PaymentVoidRequested(amount_minor=n):
            return payment._replace(voided=payment.voided + n)
        case p.PaymentVoided(reference=reference):
            return _done(payment, VOID, reference)
        case p.PaymentRefundRequested(refund_id=key, amount_minor=n):
            return payment._replace(refunds=payment.refunds.insert(key, n), returned=payment.returned + n)
        case p.PaymentRefundRefused(refund_id=key, amount_minor=n):
            return payment._replace(refused=payment.refused.insert((key, n)))
        case p.PaymentRefunded(refund_id=key, reference=reference):
            return _done(payment, ("refund", key), reference)
    return payment


def _done(payment: Payment, effect: Effect, reference: str) -> Payment:
    return payment._replace(
        effects=payment.effects.insert(effect, reference), references=payment.references.insert(reference, effect)
    )


def decide(payment: Payment, command: Any) -> Iterator[p.PaymentEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, p.RequestPayment):
        yield from _request(payment, command)
    elif payment.requested is not None:
        yield from DECISIONS[type(command)](payment, payment.requested, command)
    elif not isinstance(command, (p.CancelPayment, p.VoidPayment)):  # an order without a price never asked for money
        raise Refused("unknown_payment", f"there is no payment {command.payment_id}; request it first")


def _request(payment: Payment, command: p.RequestPayment) -> Iterator[p.PaymentEvent]:
    requested = p.PaymentRequested.model_construct(**command.__dict__)
    if payment.requested is None:
        yield requested
    elif requested != payment.requested:
        raise Refused(
            "already_requested",
            f"payment {command.payment_id} was requested for {payment.requested.amount_minor} "
            f"{payment.requested.currency}; another amount needs another payment_id",
        )


def _is_news(payment: Payment, effect: Effect, reference: str) -> bool:
    """False for a report that came before. Raises Refused where it contradicts one that came before."""
    known = payment.effects.get(effect)
    if known == reference:
        return False
    name = " ".join(effect).strip()
    if known is not None:
        raise Refused(
            f"second_{effect[0]}",
            f"{name} was reported as {known} and now as {reference}: ask the provider which of them is real",
        )
    if reference in payment.references:
        raise Refused(
            "reference_reused",
            f"{reference} is reported for {name} and was the reference of {' '.join(payment.references[reference])}: "
            "ask the provider what it did",
        )
    return True


def _record_authorization(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordAuthorization
) -> Iterator[p.PaymentEvent]:
    if not _is_news(payment, AUTHORIZATION, command.reference):
        return
    yield p.PaymentAuthorized(**_money(requested, requested.amount_minor), reference=command.reference)
    if payment.cancelled or payment.status != "pending":  # the order gave up waiting, or was told of a failure
        yield p.PaymentVoidRequested(**_money(requested, requested.amount_minor), authorization=command.reference)
    elif requested.capture_now:
        yield p.PaymentCaptureRequested(
            **_money(requested, requested.amount_minor),
            capture_id=requested.payment_id,
            authorization=command.reference,
        )


def _record_decline(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordDecline
) -> Iterator[p.PaymentEvent]:
    if payment.status == "pending":
        yield p.PaymentDeclined(**_of(requested), reason=command.reason, retriable=command.retriable)
    elif payment.status == "authorized" and not payment.declined:
        raise Refused(
            "contradicts",
            f"payment {command.payment_id} is authorised as {payment.effects[AUTHORIZATION]} and now reported "
            f"declined ({command.reason}): ask the provider which is true",
        )


def _record_failure(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordFailure
) -> Iterator[p.PaymentEvent]:
    """That no answer came contradicts nothing: a callback may have told meanwhile."""
    if payment.status == "pending":
        yield p.PaymentFailed(**_of(requested), reason=command.reason)


def _capture(payment: Payment, requested: p.PaymentRequested, command: p.CapturePayment) -> Iterator[p.PaymentEvent]:
    n, known = command.amount_minor, payment.captures.get(command.capture_id)
    if known and known.amount_minor == n:
        return
    if known:
        raise Refused(
            "capture_repeated",
            f"capture {command.capture_id} takes {known.amount_minor}; to take {n} more, name another capture_id",
        )
    if payment.closed:
        raise Refused("not_authorized", f"payment {command.payment_id} holds no money to take; request a new payment")
    if n > payment.remainder:
        raise Refused(
            "exceeds_authorization", f"{n} is more than the {payment.remainder} left of payment {command.payment_id}"
        )
    yield p.PaymentCaptureRequested(
        **_money(requested, n), capture_id=command.capture_id, authorization=payment.effects[AUTHORIZATION]
    )


def _record_capture(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordCapture
) -> Iterator[p.PaymentEvent]:
    capture = _known_capture(payment, command)
    if not _is_news(payment, ("capture", command.capture_id), command.reference):
        return
    if capture.status == "failed":
        raise Refused(
            "contradicts",
            f"capture {command.capture_id} was reported failed and now as {command.reference}: "
            "ask the provider which is true",
        )
    yield p.PaymentCaptured(
        **_money(requested, capture.amount_minor), capture_id=command.capture_id, reference=command.reference
    )
    if payment.cancelled:
        yield _refund_requested(payment, requested, command.capture_id, capture.amount_minor)


def _record_capture_failure(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordCaptureFailure
) -> Iterator[p.PaymentEvent]:
    capture = _known_capture(payment, command)
    if capture.status == "captured":
        raise Refused(
            "contradicts",
            f"capture {command.capture_id} is done and now reported failed ({command.reason}): "
            "ask the provider which is true",
        )
    if capture.status == "in_flight":
        failed = p.PaymentCaptureFailed(
            **_of(requested), capture_id=command.capture_id, amount_minor=capture.amount_minor, reason=command.reason
        )
        yield failed
        if payment.cancelled:
            yield from _void(evolve(payment, failed), requested, command)


def _known_capture(payment: Payment, command: p.RecordCapture | p.RecordCaptureFailure) -> Capture:
    capture = payment.captures.get(command.capture_id)
    if capture is None:
        raise Refused(
            "unknown_capture",
            f"payment {command.payment_id} never asked for capture {command.capture_id}: ask the provider what it took",
        )
    return capture


def _void(payment: Payment, requested: p.PaymentRequested, _: Any) -> Iterator[p.PaymentEvent]:
    """Once: what a capture that fails afterwards leaves held lapses at the provider."""
    if payment.remainder and not payment.voided:
        yield p.PaymentVoidRequested(
            **_money(requested, payment.remainder), authorization=payment.effects[AUTHORIZATION]
        )


def _cancel(payment: Payment, requested: p.PaymentRequested, command: p.CancelPayment) -> Iterator[p.PaymentEvent]:
    captures = sorted(payment.captures.items())
    unanswered = payment.status == "pending" or any(capture.status == "in_flight" for _, capture in captures)
    if unanswered and not payment.cancelled:
        yield p.PaymentCancellationNoted(**_of(requested))
    yield from _void(payment, requested, command)
    left = payment.refundable
    for key, capture in captures:
        if capture.status == "captured" and key not in payment.refunds and left:
            amount_minor = min(left, capture.amount_minor)
            left -= amount_minor
            yield _refund_requested(payment, requested, key, amount_minor)


def _record_void(payment: Payment, requested: p.PaymentRequested, command: p.RecordVoid) -> Iterator[p.PaymentEvent]:
    if not payment.voided:
        raise Refused(
            "unknown_void", f"payment {command.payment_id} was not to be voided: ask the provider what it let go"
        )
    if _is_news(payment, VOID, command.reference):
        yield p.PaymentVoided(**_money(requested, payment.voided), reference=command.reference)


def _record_refund(
    payment: Payment, requested: p.PaymentRequested, command: p.RecordRefund
) -> Iterator[p.PaymentEvent]:
    if command.refund_id not in payment.refunds:
        raise Refused(
            "unknown_refund",
            f"payment {command.payment_id} never asked for refund {command.refund_id}: "
            "ask the provider what it gave back",
        )
    if _is_news(payment, ("refund", command.refund_id), command.reference):
        yield p.PaymentRefunded(
            **_money(requested, payment.refunds[command.refund_id]),
            refund_id=command.refund_id,
            reference=command.reference,
        )


def _refund(payment: Payment, requested: p.PaymentRequested, command: p.RefundPayment) -> Iterator[p.PaymentEvent]:
    key, n = command.refund_id, command.amount_minor
    if payment.refunds.get(key) == n or (key, n) in payment.refused:
        return
    if reason := _why_not_refunded(payment, command):
        yield p.PaymentRefundRefused(**_of(requested), refund_id=key, amount_minor=n, reason=reason)
    else:
        yield _refund_requested(payment, requested, key, n, reason=command.reason, allocations=command.allocations)


def _why_not_refunded(payment: Payment, command: p.RefundPayment) -> str:
    n, known = command.amount_minor, payment.refunds.get(command.refund_id)
    parts = sum(part.amount_minor for part in command.allocations)
    if known is not None:
        return f"refund {command.refund_id} gives {known} back; to give {n} more, name another refund_id"
    if command.allocations and parts != n:
        return f"its parts sum to {parts}, not to {n}"
    if n > payment.refundable:
        return f"{n} is more than the {payment.refundable} left of what was taken"
    return ""


def _refund_requested(
    payment: Payment, requested: p.PaymentRequested, refund_id: str, amount_minor: int, **more: Any
) -> p.PaymentRefundRequested:
    """Where all is undone, a capture is refunded under its own name."""
    return p.PaymentRefundRequested(
        **_money(requested, amount_minor), refund_id=refund_id, authorization=payment.effects[AUTHORIZATION], **more
    )


def _of(requested: p.PaymentRequested) -> Any:
    return {"payment_id": requested.payment_id, "order_id": requested.order_id}


def _money(requested: p.PaymentRequested, amount_minor: int) -> Any:
    return {**_of(requested), "amount_minor": amount_minor, "currency": requested.currency}


DECISIONS: dict[type[p.PaymentCommand], Any] = {
    p.RecordAuthorization: _record_authorization,
    p.RecordDecline: _record_decline,
    p.RecordFailure: _record_failure,
    p.CapturePayment: _capture,
    p.RecordCapture: _record_capture,
    p.RecordCaptureFailure: _record_capture_failure,
    p.VoidPayment: _void,
    p.CancelPayment: _cancel,
    p.RefundPayment: _refund,
    p.RecordVoid: _record_void,
    p.RecordRefund: _record_refund,
}

decider = Decider(
    "payment",
    Payment(),
    evolve,
    decide,
    accepts=(p.RequestPayment, *DECISIONS),
    emits=(
        p.PaymentRequested,
        p.PaymentAuthorized,
        p.PaymentDeclined,
        p.PaymentFailed,
        p.PaymentCancellationNoted,
        p.PaymentCaptureRequested,
        p.PaymentCaptured,
        p.PaymentCaptureFailed,
        p.PaymentVoidRequested,
        p.PaymentVoided,
        p.PaymentRefundRequested,
        p.PaymentRefundRefused,
        p.PaymentRefunded,
    ),
)
