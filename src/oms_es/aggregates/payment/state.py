"""The state of one payment: what is held, captured, in dispute and given back."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple

from rpds import HashTrieMap, HashTrieSet

from oms_es.aggregates.fast_replace import fast_replace
from oms_es.kernel import Refused
from oms_es.schemas import payment as p
from oms_es.schemas.payment.refusals import PaymentRefusal
from oms_es.schemas.values.currency import to_text

Effect = tuple[
    Literal["authorization", "reauthorization", "capture", "void", "refund", "refund_failure", "refund_setback"], str
]
"""An effect of the provider: its kind, and the part that it concerns ("" if there is only one). A refund_setback is a
failed refund that may still succeed."""

AUTHORIZATION: Effect = ("authorization", "")
Refusal = p.PaymentRequestRefused | p.PaymentCaptureRefused | p.PaymentRefundRefused


class Capture(NamedTuple):
    amount_minor: int
    status: Literal["waiting", "in_flight", "captured", "failed"]
    """"waiting" means that expired money is to be authorised again first."""
    renewed: bool = False  # whether a new authorisation was asked for
    short_minor: int = 0  # what the provider captured less than was asked
    asked: bool = True  # False if the provider captured it unasked; the money then pays for any parcel that leaves


class VoidOrRefund(NamedTuple):
    """A void or a refund."""

    amount_minor: int
    status: Literal["in_flight", "done", "failed"] = "in_flight"
    short_minor: int = 0  # what the provider gave less than was asked
    asked: bool = True  # False if it was done at the provider unasked


NO_REFUND = VoidOrRefund(0, "failed")
"""What is known of a refund that was never asked for: nothing of it counts."""


class Dispute(NamedTuple):
    amount_minor: int
    status: Literal["open", "won", "lost"] = "open"


@fast_replace
class Payment(NamedTuple):
    status: Literal["new", "pending", "authorized", "declined", "failed"] = "new"
    requested: p.PaymentRequested | None = None
    declined: bool = False  # at any time; a late success may have followed
    retriable: bool = False  # whether the order still waits for the money after a decline
    released_reference: str = ""  # the reference under which the provider gave the payment up before it was held
    unasked_minor: int = 0  # captured at once, or unasked: pays for parcels as they leave
    cancelled: bool = False  # while an answer was outstanding
    action: str = ""  # the provider's reference of what waits for the customer
    expires_at: datetime | None = None
    expired: bool = False
    captures: HashTrieMap[str, Capture] = HashTrieMap()
    taken: int = 0  # the sum of captures done, in flight or waiting, kept so that the remainder costs nothing to know
    captured: int = 0
    applications: HashTrieMap[str, int] = HashTrieMap()  # amounts of a deposit, by what they pay for
    applied: int = 0
    voids: HashTrieMap[str, VoidOrRefund] = HashTrieMap()  # "" is the first authorisation; the others are renewed ones
    refunds: HashTrieMap[str, VoidOrRefund] = HashTrieMap()
    returned: int = 0  # the sum of refunds done or in flight
    disputes: HashTrieMap[str, Dispute] = HashTrieMap()
    disputed: int = 0  # the sum of disputes open or lost
    refunded: int = 0
    lost: int = 0
    refused: HashTrieSet[tuple[str, str, int]] = HashTrieSet()  # requests of our consumers that cannot be fulfilled
    pending_answers: HashTrieMap[tuple[str, str], p.PaymentAnswerAwaited | p.PaymentAnswerChased] = HashTrieMap()
    unanswered: HashTrieSet[Effect] = HashTrieSet()
    attempts: HashTrieSet[str] = HashTrieSet()  # ids of the reports of declined means of payment
    kept: HashTrieMap[str, p.PaymentReportKept] = HashTrieMap()  # reports that do not fit
    effects: HashTrieMap[Effect, str] = HashTrieMap()  # the provider's reference of each effect that is done
    references: HashTrieMap[str, Effect] = HashTrieMap()

    @property
    def fund(self) -> int:
        """The amount captured in advance, of which parcels are paid as they leave."""
        return self.taken if self.requested and self.requested.capture_now else self.unasked_minor

    @property
    def waits_for_another(self) -> bool:
        """Whether the payment was declined for now: money that the provider still obtains is wanted."""
        return self.status == "declined" and self.retriable and not self.cancelled

    @property
    def asked(self) -> int:
        """The amount that the provider captured, or may have captured by now."""
        return self.taken - sum(c.amount_minor for c in self.captures.values() if c.status == "waiting")

    @property
    def gone(self) -> int:
        """The amount that is refunded or lost in disputes, for good."""
        return self.refunded + self.lost

    @property
    def left(self) -> int:
        """The amount that may still be captured, whether or not it is still held."""
        if self.requested is None or self.status != "authorized" or "" in self.voids:
            return 0
        return self.requested.amount_minor - self.taken

    @property
    def remainder(self) -> int:
        """The amount that is held and neither captured, nor being captured, nor voided."""
        return 0 if self.expired else self.left

    @property
    def refundable(self) -> int:
        """The captured amount that is neither in dispute, nor refunded, nor being refunded."""
        return max(self.captured - self.returned - self.disputed, 0)

    @property
    def closed(self) -> bool:
        return self.status != "authorized" or self.cancelled or "" in self.voids


def evolve(payment: Payment, event: p.PaymentEvent) -> Payment:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case p.PaymentRequested():
            return payment._replace(status="pending", requested=event)
        case p.PaymentAuthorized(reference=reference, expires_at=expires_at):
            return _done(payment, AUTHORIZATION, reference)._replace(status="authorized", expires_at=expires_at)
        case p.PaymentExpirySet(expires_at=expires_at):
            return payment._replace(expires_at=expires_at)
        case p.PaymentDeclined(retriable=retriable, reference=reference):
            return payment._replace(status="declined", declined=True, retriable=retriable, released_reference=reference)
        case p.PaymentActionRequired(reference=reference):
            return payment._replace(action=reference)
        case p.PaymentAttemptDeclined(report_id=report_id):
            return payment._replace(attempts=payment.attempts.insert(report_id))
        case p.PaymentReportKept(kept_id=kept_id):
            return payment._replace(kept=payment.kept.insert(kept_id, event))
        case p.PaymentReportSettled(kept_id=kept_id):
            return payment._replace(kept=payment.kept.discard(kept_id))
        case p.PaymentFailed():
            return payment._replace(status="failed")
        case p.PaymentExpired():
            return payment._replace(expired=True)
        case p.PaymentCancellationNoted():
            return payment._replace(cancelled=True)
        case p.PaymentUnanswered(operation=operation, part=part):
            return payment._replace(unanswered=payment.unanswered.insert((operation, part)))  # type: ignore[arg-type] # it was one of the effects when it was recorded
        case p.PaymentRequestRefused() | p.PaymentCaptureRefused() | p.PaymentRefundRefused():
            return payment._replace(refused=payment.refused.insert(refusal_of(event)))
    return FOLDS[type(event)](payment, event) if type(event) in FOLDS else payment


def _capture_changed(payment: Payment, event: Any) -> Payment:
    known, key, n = payment.captures.get(event.capture_id), event.capture_id, event.amount_minor
    counted = known.amount_minor if known and known.status != "failed" else 0
    renewed, short = (known.renewed, known.short_minor) if known else (False, 0)
    match event:
        case p.PaymentCaptureShort() if known:
            now = known._replace(amount_minor=known.amount_minor - n, short_minor=short + n)
        case p.PaymentReauthorizationRequested():
            now = Capture(n, "waiting", renewed=True)
        case p.PaymentCaptureRequested():
            now = Capture(n, "in_flight", renewed)
        case p.PaymentCaptured(reference=reference, asked=asked):
            payment = _done(payment, ("capture", key), reference)._replace(
                captured=payment.captured + n, unasked_minor=payment.unasked_minor + (0 if asked else n)
            )
            now = Capture(n, "captured", renewed, short, asked)
        case _:
            now = Capture(n, "failed", renewed)
    taken = payment.taken + now.amount_minor * (now.status != "failed") - counted
    return payment._replace(captures=payment.captures.insert(key, now), taken=taken)


def _reauthorized(payment: Payment, event: p.PaymentReauthorized) -> Payment:
    return _done(payment, ("reauthorization", event.capture_id), event.reference)


def _applied(payment: Payment, event: p.PaymentDepositApplied) -> Payment:
    applications = payment.applications.insert(event.capture_id, event.amount_minor)
    return payment._replace(applications=applications, applied=payment.applied + event.amount_minor)


def _void_changed(payment: Payment, event: Any) -> Payment:
    key, n = event.void_id, event.amount_minor
    if isinstance(event, p.PaymentVoidRequested):
        return payment._replace(voids=payment.voids.insert(key, VoidOrRefund(n)))
    if isinstance(event, p.PaymentVoidFailed):
        return payment._replace(voids=payment.voids.insert(key, VoidOrRefund(n, "failed")))
    done = VoidOrRefund(n, "done", asked=event.asked)
    return _done(payment, ("void", key), event.reference)._replace(voids=payment.voids.insert(key, done))


def _refund_changed(payment: Payment, event: Any) -> Payment:
    key, n = event.refund_id, event.amount_minor
    if isinstance(event, p.PaymentRefundRequested):
        return payment._replace(refunds=payment.refunds.insert(key, VoidOrRefund(n)), returned=payment.returned + n)
    known = payment.refunds.get(key) or NO_REFUND
    if isinstance(event, p.PaymentRefundShort):
        less = known._replace(amount_minor=known.amount_minor - n, short_minor=known.short_minor + n)
        return payment._replace(refunds=payment.refunds.insert(key, less), returned=payment.returned - n)
    if isinstance(event, p.PaymentRefundFailed | p.PaymentRefundReversed):
        failed = payment.refunds.insert(key, known._replace(amount_minor=n, status="failed"))
        payment = payment._replace(refunds=failed, returned=payment.returned - n)
        return _undone(payment, event)
    done = payment.refunds.insert(key, known._replace(amount_minor=n, status="done", asked=event.asked))
    returned = payment.returned + (n if known.status == "failed" else 0)
    payment = _done(payment, ("refund", key), event.reference)
    return payment._replace(refunds=done, refunded=payment.refunded + n, returned=returned)


def _undone(payment: Payment, event: p.PaymentRefundFailed | p.PaymentRefundReversed) -> Payment:
    if isinstance(event, p.PaymentRefundReversed):
        return payment._replace(refunded=payment.refunded - event.amount_minor)
    if not event.reference:
        return payment
    failure: Effect = ("refund_failure" if event.final else "refund_setback", event.refund_id)
    return payment._replace(references=payment.references.insert(event.reference, failure))


def _dispute_changed(payment: Payment, event: Any) -> Payment:
    key, n = event.dispute_id, event.amount_minor
    match event:
        case p.PaymentDisputeOpened():
            return payment._replace(disputes=payment.disputes.insert(key, Dispute(n)), disputed=payment.disputed + n)
        case p.PaymentDisputeWon():
            won = payment.disputes.insert(key, Dispute(n, "won"))
            return payment._replace(disputes=won, disputed=payment.disputed - n)
    return payment._replace(disputes=payment.disputes.insert(key, Dispute(n, "lost")), lost=payment.lost + n)


def _awaited(payment: Payment, event: p.PaymentAnswerAwaited | p.PaymentAnswerChased) -> Payment:
    return payment._replace(pending_answers=payment.pending_answers.insert((event.operation, event.part), event))


def _settled(payment: Payment, event: p.PaymentAnswerSettled) -> Payment:
    return payment._replace(pending_answers=payment.pending_answers.discard((event.operation, event.part)))


FOLDS: dict[type[p.PaymentEvent], Any] = {
    p.PaymentReauthorizationRequested: _capture_changed,
    p.PaymentReauthorized: _reauthorized,
    p.PaymentReauthorizationDeclined: _capture_changed,
    p.PaymentCaptureRequested: _capture_changed,
    p.PaymentCaptured: _capture_changed,
    p.PaymentCaptureFailed: _capture_changed,
    p.PaymentCaptureShort: _capture_changed,
    p.PaymentDepositApplied: _applied,
    p.PaymentVoidRequested: _void_changed,
    p.PaymentVoided: _void_changed,
    p.PaymentVoidFailed: _void_changed,
    p.PaymentRefundRequested: _refund_changed,
    p.PaymentRefunded: _refund_changed,
    p.PaymentRefundFailed: _refund_changed,
    p.PaymentRefundShort: _refund_changed,
    p.PaymentRefundReversed: _refund_changed,
    p.PaymentDisputeOpened: _dispute_changed,
    p.PaymentDisputeWon: _dispute_changed,
    p.PaymentDisputeLost: _dispute_changed,
    p.PaymentAnswerAwaited: _awaited,
    p.PaymentAnswerChased: _awaited,
    p.PaymentAnswerSettled: _settled,
}
"""Folds of the events that change a part of the payment: a capture, a void, a refund, a dispute, an awaited answer."""


def _done(payment: Payment, effect: Effect, reference: str) -> Payment:
    return payment._replace(
        effects=payment.effects.insert(effect, reference), references=payment.references.insert(reference, effect)
    )


def refusal_of(event: Refusal) -> tuple[str, str, int]:
    """Return the key of a refused request, by which its repeat is recognised."""
    match event:
        case p.PaymentRequestRefused(fingerprint=fingerprint):
            return ("request", fingerprint, event.amount_minor)
        case p.PaymentCaptureRefused(capture_id=key):
            return ("capture", key, event.amount_minor)
    return ("refund", event.refund_id, event.amount_minor)


def is_news(payment: Payment, effect: Effect, reference: str) -> bool:
    """Return False for a report that is known. Raise Refused if it contradicts one that came before."""
    known = payment.effects.get(effect)
    if known == reference:
        return False
    name = " ".join(effect).strip()
    if known is not None:
        raise Refused(
            PaymentRefusal.by_code(f"second_{effect[0]}"),
            f"{name} was reported as {known} and now as {reference}: ask the provider which of them is real",
        )
    if reference in payment.references:
        raise Refused(
            PaymentRefusal.REFERENCE_REUSED,
            f"{reference} is reported for {name} and was the reference of {' '.join(payment.references[reference])}: "
            "ask the provider what it did",
        )
    return True


def contradiction(what: str) -> Refused:
    return Refused(PaymentRefusal.CONTRADICTS, f"{what}: ask the provider which is true")


def of(requested: p.PaymentRequested) -> Any:
    return {"payment_id": requested.payment_id, "order_id": requested.order_id}


def money(requested: p.PaymentRequested, amount_minor: int) -> Any:
    return {**of(requested), "amount_minor": amount_minor, "currency": requested.currency}


def intent(requested: p.PaymentRequested, amount_minor: int) -> Any:
    """Return the fields of a request to the gateway that has the payment: no other one is ever asked for it."""
    return {**money(requested, amount_minor), "gateway": requested.gateway}


def in_words(requested: p.PaymentRequested, amount_minor: int) -> str:
    return to_text(amount_minor, requested.currency)
