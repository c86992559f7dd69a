"""What a provider reports of refunds. Part of the payment's decider.

Invariant: the refund is as much as the provider says; what does not fit changes nothing and is kept by `reports`.
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
from oms_es.schemas.payment.refusals import PaymentRefusal


def read_refund(payment: Payment, requested: p.PaymentRequested, report: p.Report, decide: Decide) -> Events:
    known = payment.refunds.get(report.part)
    if report.cumulative:
        _check_given_back(payment, requested, report)
    elif report.outcome != "succeeded":
        yield from _refund_failed(payment, requested, report, known, decide)
    elif payment.references.get(report.reference) not in (None, ("refund", report.part)):
        name = " ".join(payment.references[report.reference])
        if not name.startswith("refund"):
            raise contradiction(f"{report.reference} is reported for a refund and was the reference of {name}")
    elif known is None:
        yield from _refunded_unasked(payment, requested, report)
    else:
        yield from _refunded(payment, requested, report, known, decide)


def _check_given_back(payment: Payment, requested: p.PaymentRequested, report: p.Report) -> None:
    """How much in all: what each refund was is amount by reports of their own."""
    if report.amount_minor is not None and report.amount_minor > payment.refunded:
        known = in_words(requested, payment.refunded)
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


def _refunded_unasked(payment: Payment, requested: p.PaymentRequested, report: p.Report) -> Events:
    """Where one of ours waits for its answer, this may be that one: only the answer can say."""
    amount = report.amount_minor
    if not amount:
        raise Refused(
            PaymentRefusal.UNKNOWN_REFUND,
            f"refund {report.part} is reported without its amount, and was never asked for",
        )
    ours = sorted(key for key, refund in payment.refunds.items() if refund == VoidOrRefund(amount))
    if ours:
        raise contradiction(f"{stated(requested, report)} is given back as {report.reference}, which may be {ours[0]}")
    left = payment.captured - max(payment.returned + payment.lost, payment.gone)
    if amount > left:
        some, rest = stated(requested, report), in_words(requested, left)
        raise contradiction(f"{some} is given back as {report.reference}, of what was taken {rest} is left")
    yield p.PaymentRefunded(**money(requested, amount), refund_id=report.part, reference=report.reference, asked=False)


def _refund_failed(
    payment: Payment, requested: p.PaymentRequested, report: p.Report, known: VoidOrRefund | None, decide: Decide
) -> Events:
    """A bank may send back what was given back already."""
    if known and known.status == "done":
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
        )
        yield failed
        return
    yield from decide(
        payment, requested, command_of(p.RecordRefundFailure, requested, refund_id=report.part, reason=report.reason)
    )
