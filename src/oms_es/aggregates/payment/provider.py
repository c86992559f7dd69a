"""One report of a payment provider, or one reference that a provider uses.

Invariant: a report is recorded once, and is matched to one payment at most; a reference belongs to the payment that
claimed it first, however many payments are reported under it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from oms_es.kernel import Decider, Refused
from oms_es.schemas.payment import provider as v
from oms_es.schemas.payment import references as ref
from oms_es.schemas.payment.refusals import PaymentRefusal

ProviderEvent = v.ProviderReported | v.ProviderReportMatched | ref.ReferenceClaimed


class ProviderReport(NamedTuple):
    is_known: bool = False
    payment_id: str = ""
    held_by: str = ""
    """The payment that a reference belongs to."""


def evolve(report: ProviderReport, event: ProviderEvent) -> ProviderReport:
    match event:
        case v.ProviderReported():
            return report._replace(is_known=True)
        case v.ProviderReportMatched(payment_id=payment_id):
            return report._replace(payment_id=payment_id)
        case ref.ReferenceClaimed(payment_id=payment_id):
            return report._replace(held_by=payment_id)
    return report


def decide(report: ProviderReport, command: Any) -> Iterator[ProviderEvent]:
    if isinstance(command, ref.ClaimReference):
        yield from _claimed(report, command)
        return
    of: Any = {"provider": command.provider, "report_id": command.report_id}
    if isinstance(command, v.RecordProviderReport):
        if not report.is_known:
            yield v.ProviderReported(**of, references=command.references, report=command.report)
    elif not report.is_known:
        raise Refused(PaymentRefusal.UNKNOWN_REPORT, f"{command.provider} reported nothing as {command.report_id}")
    elif not report.payment_id:
        yield v.ProviderReportMatched(**of, payment_id=command.payment_id)


def _claimed(report: ProviderReport, command: ref.ClaimReference) -> Iterator[ProviderEvent]:
    if report.held_by not in ("", command.payment_id):
        raise Refused(
            PaymentRefusal.REFERENCE_REUSED,
            f"{command.reference} is reported of payment {command.payment_id}, and is the reference of payment "
            f"{report.held_by}: ask the provider which of the two it is about",
        )
    if not report.held_by:
        yield ref.ReferenceClaimed(reference=command.reference, payment_id=command.payment_id)


decider = Decider(
    "provider",
    ProviderReport(),
    evolve,
    decide,
    accepts=(v.RecordProviderReport, v.MatchReport, ref.ClaimReference),
    emits=(v.ProviderReported, v.ProviderReportMatched, ref.ReferenceClaimed),
)
