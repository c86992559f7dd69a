"""Reports that a provider sends unasked. Part of the payment's decider.

Invariant: the payment's state is what the provider says that it did, never what was asked for instead. If less was
captured or refunded than asked, the lower amount counts. What was done at the provider without being asked for here
changes the payment, too. A report that does not fit, such as one of a higher amount or another currency, changes
nothing: it is kept for a person and reconsidered after every later event, because reports may come in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

from oms_es.aggregates.payment.refund_reports import read_refund, refund_meant
from oms_es.aggregates.payment.refunds import refund_requested
from oms_es.aggregates.payment.report_reading import Decide, Events, command_of, stated
from oms_es.aggregates.payment.state import (
    AUTHORIZATION,
    Capture,
    Payment,
    VoidOrRefund,
    contradiction,
    evolve,
    in_words,
    is_news,
    money,
    of,
)
from oms_es.kernel import Refused
from oms_es.schemas import payment as p
from oms_es.schemas.finance.account import METHOD
from oms_es.schemas.payment.refusals import PaymentRefusal
from oms_es.schemas.values.currency import COUNTED_OTHERWISE

KEPT_MAX = 1_000
"""How many unfitting reports are kept for one payment. No provider contradicts itself so often."""


def record(payment: Payment, requested: p.PaymentRequested, command: p.RecordReport, decide: Decide) -> Events:
    """Apply a report, or keep it if it does not fit. Raise Refused only if KEPT_MAX reports are kept already."""
    key = command.report_id
    if key in payment.kept:
        return
    try:
        events = list(_followed(payment, requested, command, decide))
    except Refused as refused:
        if len(payment.kept) >= KEPT_MAX:
            raise
        said = {name: getattr(command, name) for name in p.Report.model_fields}
        early = not _is_asked(payment, requested, command)
        events = [p.PaymentReportKept(**of(requested), **said, kept_id=key, why=refused.detail, early=early)]
    yield from events


def reconsider(payment: Payment, requested: p.PaymentRequested, decide: Decide) -> Events:
    """Apply the kept reports that fit now, again and again, as each one that fits may explain another."""
    waiting = sorted(payment.kept.keys())
    while waiting:
        for key in waiting:
            if _is_of_another(payment, requested, payment.kept[key]):
                continue
            try:
                events = list(_followed(payment, requested, payment.kept[key], decide))
            except Refused:
                continue
            events.append(p.PaymentReportSettled(**of(requested), kept_id=key))
            yield from events
            payment = reduce(evolve, events, payment)
            waiting.remove(key)
            break
        else:
            return


def _is_of_another(payment: Payment, requested: p.PaymentRequested, kept: p.PaymentReportKept) -> bool:
    """Return whether a kept failure concerns something else: it was reported before we asked, so it is not the failure
    of what was asked since.
    """
    return kept.early and kept.outcome == "declined" and _is_asked(payment, requested, kept)


def _is_asked(payment: Payment, requested: p.PaymentRequested, report: p.Report) -> bool:
    """Return whether we asked for the part of the payment that the report is about."""
    match report.operation:
        case "capture":
            one = payment.captures.get(report.part or _capture_meant(payment, requested, report))
        case "reauthorize":
            one = payment.captures.get(report.part)
            return one is not None and one.renewed
        case "void":
            return payment.voids.get(report.part or _hold_meant(payment, report), NOT_ASKED).asked
        case "refund":
            return payment.refunds.get(refund_meant(payment, report), NOT_ASKED).asked
        case _:
            return True
    return one is not None and one.asked


NOT_ASKED = VoidOrRefund(0, asked=False)


def _followed(payment: Payment, requested: p.PaymentRequested, report: p.Report, decide: Decide) -> Events:
    """Yield what follows from a report. Raise Refused if it does not fit.

    Money on an account of ours is held, captured and voided by the account alone: a payment that followed a provider's
    report instead could never release it.
    """
    if requested.method == METHOD:
        raise contradiction(
            f"a provider reports {report.operation} as {report.outcome} of a payment that an account makes, "
            "which no provider knows"
        )
    if report.currency not in (None, requested.currency):
        raise contradiction(
            f"{stated(requested, report)} is reported of a payment of {in_words(requested, requested.amount_minor)}"
        )
    if report.currency is None and report.amount_minor is not None and requested.currency in COUNTED_OTHERWISE:
        raise contradiction(
            f"the amount {report.amount_minor} is reported without a currency, and providers count "
            f"{requested.currency} in more than one way"
        )
    yield from READERS[report.operation](payment, requested, report, decide)


def _authorize(payment: Payment, requested: p.PaymentRequested, report: p.Report, decide: Decide) -> Events:
    if report.outcome != "succeeded":
        yield from _declined(payment, requested, report, decide)
        return
    if report.amount_minor not in (None, requested.amount_minor):
        asked = in_words(requested, requested.amount_minor)
        raise contradiction(f"{stated(requested, report)} is held as {report.reference}, where {asked} was asked for")
    held = command_of(p.RecordAuthorization, requested, reference=report.reference, expires_at=report.expires_at)
    yield from decide(payment, requested, held)


def _declined(payment: Payment, requested: p.PaymentRequested, report: p.Report, decide: Decide) -> Events:
    if report.final:
        declined = command_of(p.RecordDecline, requested, reason=report.reason, retriable=report.retriable)
        yield from decide(payment, requested, declined)
    elif payment.status == "pending" and report.report_id not in payment.attempts:
        yield p.PaymentAttemptDeclined(**of(requested), reason=report.reason, report_id=report.report_id)


def _reauthorize(payment: Payment, requested: p.PaymentRequested, report: p.Report, decide: Decide) -> Events:
    if report.outcome != "succeeded":
        more: Any = {"reason": report.reason, "retriable": report.retriable}
        command = command_of(p.RecordReauthorizationDecline, requested, capture_id=report.part, **more)
    else:
        capture = payment.captures.get(report.part)
        if capture and report.amount_minor not in (None, capture.amount_minor + capture.short_minor):
            asked = in_words(requested, capture.amount_minor)
            raise contradiction(
                f"{stated(requested, report)} is held again for {report.part}, where {asked} was asked for"
            )
        command = command_of(p.RecordReauthorization, requested, capture_id=report.part, reference=report.reference)
    yield from decide(payment, requested, command)


def _capture(payment: Payment, requested: p.PaymentRequested, report: p.Report, decide: Decide) -> Events:
    key = report.part or _capture_meant(payment, requested, report)
    if report.outcome != "succeeded":
        failed = command_of(p.RecordCaptureFailure, requested, capture_id=key, reason=report.reason)
        yield from decide(payment, requested, failed.model_copy(update={"expired": report.expired}))
        return
    reference = report.reference if report.part else f"{report.reference}/{key}"
    if payment.effects.get(("capture", key)) == reference:
        _check_repeat(payment, requested, report, payment.captures[key])
        return
    amount, known = _own_amount(payment, report), payment.captures.get(key)
    if known is None:
        yield from _taken_unasked(payment, requested, report, key, reference, amount)
        return
    if amount is not None and known.status == "in_flight":
        if not 0 < amount <= known.amount_minor:
            asked = in_words(requested, known.amount_minor)
            raise contradiction(f"{stated(requested, report)} is taken as {reference}, where {asked} was asked for")
        if less := known.amount_minor - amount:
            _check_covered(payment, requested, report, less)
            short = p.PaymentCaptureShort(**money(requested, less), capture_id=key)
            yield short
            payment = evolve(payment, short)
    yield from decide(payment, requested, command_of(p.RecordCapture, requested, capture_id=key, reference=reference))


def _check_covered(payment: Payment, requested: p.PaymentRequested, report: p.Report, less: int) -> None:
    """Raise a contradiction if more was refunded or disputed than the captured amount less `less`, in minor units."""
    back = payment.refunded + payment.disputed
    if back > payment.asked - less:
        raise contradiction(
            f"{stated(requested, report)} is taken, where {in_words(requested, back)} was given back or is in dispute"
        )


def _capture_meant(payment: Payment, requested: p.PaymentRequested, report: p.Report) -> str:
    """Return the capture that a report without a name means: the one of this charge, the only one that waits for this
    amount, or the payment's own.
    """
    by_charge = [name for kind, name in sorted(_under(payment, report.reference)) if kind == "capture"]
    waiting = sorted(
        name
        for name, capture in payment.captures.items()
        if capture.status == "in_flight" and report.amount_minor in (None, capture.amount_minor)
    )
    if by_charge:
        return by_charge[0]
    return waiting[0] if len(waiting) == 1 else requested.payment_id


def _under(payment: Payment, charge: str) -> Iterator[tuple[str, str]]:
    """Yield the effects whose references begin with this charge's."""
    name = charge.partition("/")[0]
    return (effect for reference, effect in payment.references.items() if reference.partition("/")[0] == name)


def _taken_under(payment: Payment, charge: str) -> dict[str, int]:
    return {name: payment.captures[name].amount_minor for kind, name in _under(payment, charge) if kind == "capture"}


def _own_amount(payment: Payment, report: p.Report) -> int | None:
    """Return the amount of a capture that is news; a cumulative report includes the others of its charge."""
    if report.amount_minor is None or not report.cumulative:
        return report.amount_minor
    return report.amount_minor - sum(_taken_under(payment, report.reference).values())


def _check_repeat(payment: Payment, requested: p.PaymentRequested, report: p.Report, capture: Capture) -> None:
    """Raise a contradiction if a repeated report states another amount.

    A cumulative one may state less, as the charge may have been lower when it was sent.
    """
    if report.amount_minor is None:
        return
    known = sum(_taken_under(payment, report.reference).values()) if report.cumulative else capture.amount_minor
    if report.amount_minor > known or (report.amount_minor != known and not report.cumulative):
        raise contradiction(
            f"{stated(requested, report)} is taken as {report.reference}, known are {in_words(requested, known)}"
        )


def _taken_unasked(
    payment: Payment, requested: p.PaymentRequested, report: p.Report, key: str, reference: str, amount: int | None
) -> Events:
    """Record a capture at the provider that was not asked for; it pays for parcels as a deposit does."""
    if amount is None or amount <= 0 or reference in payment.references:
        raise Refused(
            PaymentRefusal.UNKNOWN_CAPTURE,
            f"{stated(requested, report)} is taken as {reference}, and {key} was never asked for",
        )
    wanted = payment.status in ("pending", "authorized") or payment.waits_for_another
    if payment.status != "authorized":
        if amount != requested.amount_minor:
            raise contradiction(
                f"{stated(requested, report)} is taken, where {in_words(requested, requested.amount_minor)} is due"
            )
        charge = report.authorization or report.reference.partition("/")[0]
        hold = f"{charge}/held" if charge == reference else charge
        held = p.PaymentAuthorized(**money(requested, amount), reference=hold)
        yield held
        payment = evolve(payment, held)
    if amount > payment.remainder:
        left = in_words(requested, payment.remainder)
        raise contradiction(
            f"{stated(requested, report)} is taken as {reference}, where {left} is held and not asked for yet"
        )
    taken = p.PaymentCaptured(**money(requested, amount), capture_id=key, reference=reference, asked=False)
    yield taken
    refundable = evolve(payment, taken).refundable
    if refundable and (payment.cancelled or not wanted):
        yield refund_requested(payment, requested, key, min(refundable, amount))


def _void(payment: Payment, requested: p.PaymentRequested, report: p.Report, decide: Decide) -> Events:
    key = report.part or _hold_meant(payment, report)
    if report.outcome != "succeeded":
        yield from decide(
            payment, requested, command_of(p.RecordVoidFailure, requested, void_id=key, reason=report.reason)
        )
        return
    known = payment.voids.get(key)
    if known is None and not key:
        yield from _released_unasked(payment, requested, report)
        return
    if known and report.amount_minor not in (None, known.amount_minor):
        raise contradiction(
            f"{stated(requested, report)} is released, where {in_words(requested, known.amount_minor)} was asked for"
        )
    yield from decide(payment, requested, command_of(p.RecordVoid, requested, void_id=key, reference=report.reference))


def _hold_meant(payment: Payment, report: p.Report) -> str:
    """Return the id of the capture whose renewed authorisation is meant; empty for the first authorisation."""
    kind, name = payment.references.get(report.authorization) or AUTHORIZATION
    return name if kind == "reauthorization" else ""


def _released_unasked(payment: Payment, requested: p.PaymentRequested, report: p.Report) -> Events:
    reason = report.reason or "released at the provider"
    if payment.status == "pending":
        yield p.PaymentDeclined(**of(requested), reason=reason, reference=report.reference)
    elif payment.status == "authorized" and not payment.expired:
        held = payment.remainder
        if not is_news(payment, ("void", ""), report.reference):
            return
        if not held or report.amount_minor not in (None, held):
            raise contradiction(f"{report.reference} is released, where {in_words(requested, held)} is held")
        yield p.PaymentVoided(**money(requested, held), reference=report.reference, asked=False, reason=reason)


def _expire(payment: Payment, requested: p.PaymentRequested, report: p.Report, decide: Decide) -> Events:
    if payment.status == "pending" and report.authorization:  # the provider gave up the whole payment
        yield p.PaymentDeclined(**of(requested), reason=report.reason, reference=report.reference)
    else:
        yield from decide(payment, requested, command_of(p.RecordExpiry, requested))


def _dispute(payment: Payment, requested: p.PaymentRequested, report: p.Report, decide: Decide) -> Events:
    if not report.final and (report.outcome == "opened" or report.part not in payment.disputes):
        yield from _inquiry(payment, requested, report)
        return
    shape = DISPUTES[report.outcome]
    fields: Any = {"dispute_id": report.part, "amount_minor": report.amount_minor, "reason": report.reason}
    yield from decide(payment, requested, command_of(shape, requested, **fields))


def _inquiry(payment: Payment, requested: p.PaymentRequested, report: p.Report) -> Events:
    """Keep an inquiry for a person until it is closed, or has become a dispute: no money is withdrawn by it."""
    if report.outcome == "opened" and report.part not in payment.disputes:
        raise Refused(
            PaymentRefusal.CONTRADICTS,
            f"{stated(requested, report)} is asked about in inquiry {report.part}, and nothing is withdrawn: answer it "
            "at the provider before it becomes a dispute",
        )
    if report.outcome == "opened":
        return
    for key, kept in sorted(payment.kept.items()):
        if (kept.operation, kept.part, kept.final) == ("dispute", report.part, False):
            yield p.PaymentReportSettled(**of(requested), kept_id=key)


DISPUTES: dict[str, type[p.DisputeCommand]] = {
    "opened": p.RecordDisputeOpened,
    "won": p.RecordDisputeWon,
    "lost": p.RecordDisputeLost,
}

READERS: dict[str, Callable[[Payment, p.PaymentRequested, p.Report, Decide], Events]] = {
    "authorize": _authorize,
    "reauthorize": _reauthorize,
    "capture": _capture,
    "void": _void,
    "refund": read_refund,
    "expire": _expire,
    "dispute": _dispute,
}
