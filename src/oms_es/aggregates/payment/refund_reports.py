"""Reports of a provider about refunds. Part of the payment's decider.

Invariant: a refund is as large as the provider says; a report that does not fit changes nothing and is kept by
`reports`.
"""

from __future__ import annotations

from oms_es.aggregates.payment.report_reading import Decide, Events, command_of, stated
from oms_es.aggregates.payment.state import (
    Payment,
    VoidOrRefund,
    contradiction,
    evolve,
    in_words,
    money,
)
from oms_es.kernel import Refused
from oms_es.schemas import payment as p
from oms_es.schemas.finance.account import account_in
from oms_es.schemas.payment.answers import BY_DIGEST, called_by_digest, digest_of
from oms_es.schemas.payment.refusals import PaymentRefusal


def refund_meant(payment: Payment, report: p.Report) -> str:
    """Return the id of the refund that a report names, by its id or by the digest of its id."""
    if not report.part.startswith(BY_DIGEST):
        return report.part
    return next((key for key in payment.refunds if called_by_digest(digest_of(key)) == report.part), report.part)


def read_refund(payment: Payment, requested: p.PaymentRequested, said: p.Report, decide: Decide) -> Events:
    report = said.model_copy(update={"part": refund_meant(payment, said)})
    known = payment.refunds.get(report.part)
    was = payment.references.get(report.reference)
    if report.cumulative:
        _check_given_back(payment, requested, report)
    elif report.outcome != "succeeded":
        yield from _refund_failed(payment, requested, report, known, decide)
    elif known and was == ("refund_setback", report.part):
        yield from _refunded_after_all(payment, requested, report, known)
    elif was is not None and was != ("refund", report.part):
        name = " ".join(was)
        if not name.startswith("refund"):
            raise contradiction(f"{report.reference} is reported for a refund and was the reference of {name}")
    elif known is None:
        yield from _refunded_unasked(payment, requested, report)
    else:
        yield from _refunded(payment, requested, report, known, decide)


def _check_given_back(payment: Payment, requested: p.PaymentRequested, report: p.Report) -> None:
    """Raise a contradiction if the provider reports more refunded in all than is known.

    Credits to an account do not count: no provider gave them.
    """
    given = sum(
        refund.amount_minor
        for key, refund in payment.refunds.items()
        if refund.status == "done" and not account_in(payment.effects["refund", key])
    )
    if report.amount_minor is not None and report.amount_minor > given:
        known = in_words(requested, given)
        raise contradiction(f"{stated(requested, report)} is given back in all, known are {known}")


def _refunded(
    payment: Payment, requested: p.PaymentRequested, report: p.Report, known: VoidOrRefund, decide: Decide
) -> Events:
    amount = report.amount_minor
    if amount is not None and amount != known.amount_minor:
        if known.status != "in_flight" or not 0 < amount < known.amount_minor:
            asked = in_words(requested, known.amount_minor)
            raise contradiction(
                f"{stated(requested, report)} is given back as {report.reference}, where {asked} was asked for"
            )
        short = p.PaymentRefundShort(**money(requested, known.amount_minor - amount), refund_id=report.part)
        yield short
        payment = evolve(payment, short)
    done = command_of(p.RecordRefund, requested, refund_id=report.part, reference=report.reference)
    yield from decide(payment, requested, done)


def _refunded_after_all(
    payment: Payment, requested: p.PaymentRequested, report: p.Report, known: VoidOrRefund
) -> Events:
    """Record a refund that succeeded after it had failed, if what was asked for meanwhile leaves room for it."""
    asked = in_words(requested, known.amount_minor)
    if report.amount_minor not in (None, known.amount_minor):
        raise contradiction(
            f"{stated(requested, report)} is given back as {report.reference}, where {asked} was asked for"
        )
    left = _left(payment)
    if known.amount_minor > left:
        raise contradiction(
            f"{asked} is given back as {report.reference} after it failed, of what was taken "
            f"{in_words(requested, left)} is left"
        )
    yield p.PaymentRefunded(**money(requested, known.amount_minor), refund_id=report.part, reference=report.reference)


def _left(payment: Payment) -> int:
    """Return what is left of the captured amount: neither refunded, nor being refunded, nor lost in disputes."""
    return payment.captured - max(payment.returned + payment.lost, payment.gone)


def _refunded_unasked(payment: Payment, requested: p.PaymentRequested, report: p.Report) -> Events:
    """Record a refund that was not asked for here.

    If a refund of the same amount waits for its answer, keep the report: only that answer can say whether they are the
    same.
    """
    amount = report.amount_minor
    if not amount:
        raise Refused(
            PaymentRefusal.UNKNOWN_REFUND,
            f"refund {report.part} is reported without its amount, and was never asked for",
        )
    ours = sorted(key for key, refund in payment.refunds.items() if refund == VoidOrRefund(amount))
    if ours:
        raise contradiction(f"{stated(requested, report)} is given back as {report.reference}, which may be {ours[0]}")
    left = _left(payment)
    if amount > left:
        some, rest = stated(requested, report), in_words(requested, left)
        raise contradiction(f"{some} is given back as {report.reference}, of what was taken {rest} is left")
    yield p.PaymentRefunded(**money(requested, amount), refund_id=report.part, reference=report.reference, asked=False)


def _refund_failed(
    payment: Payment, requested: p.PaymentRequested, report: p.Report, known: VoidOrRefund | None, decide: Decide
) -> Events:
    """Record a failed refund, or the reversal of a completed one, as a bank may send money back.

    A failure that is not final preceded the completion.
    """
    if known and known.status == "done":
        if not report.final and payment.references.get(report.reference) == ("refund", report.part):
            return
        yield p.PaymentRefundReversed(
            **money(requested, known.amount_minor), refund_id=report.part, reason=report.reason
        )
        return
    if known and known.status == "in_flight":
        failed = p.PaymentRefundFailed(
            **money(requested, known.amount_minor),
            refund_id=report.part,
            reason=report.reason,
            reference=report.reference,
            final=report.final,
        )
        yield failed
        return
    yield from decide(
        payment, requested, command_of(p.RecordRefundFailure, requested, refund_id=report.part, reason=report.reason)
    )
