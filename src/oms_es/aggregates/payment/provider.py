"""One report of a payment provider. Invariant: it is reported once, and is brought to one payment at most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from oms_es.kernel import Decider, Refused
from oms_es.schemas.payment import provider as v
from oms_es.schemas.payment.refusals import PaymentRefusal

ProviderEvent = v.ProviderReported | v.ProviderReportMatched


class ProviderReport(NamedTuple):
    is_known: bool = False
    payment_id: str = ""


def evolve(report: ProviderReport, event: ProviderEvent) -> ProviderReport:
    match event:
        case v.ProviderReported():
            return report._replace(is_known=True)
        case v.ProviderReportMatched(payment_id=payment_id):
            return report._replace(payment_id=payment_id)
    return report


def decide(report: ProviderReport, command: Any) -> Iterator[ProviderEvent]:
    of: Any = {"provider": command.provider, "report_id": command.report_id}
    if isinstance(command, v.RecordProviderReport):
        if not report.is_known:
            yield v.ProviderReported(**of, references=command.references, report=command.report)
    elif not report.is_known:
        raise Refused(PaymentRefusal.UNKNOWN_REPORT, f"{command.provider} reported nothing as {command.report_id}")
    elif not report.payment_id:
        yield v.ProviderReportMatched(**of, payment_id=command.payment_id)


decider = Decider(
    "provider",
    ProviderReport(),
    evolve,
    decide,
    accepts=(v.RecordProviderReport, v.MatchReport),
    emits=(v.ProviderReported, v.ProviderReportMatched),
)
