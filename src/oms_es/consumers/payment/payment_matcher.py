"""Payment matcher: finds the payment of a report in which the provider uses a name of its own.

Reads    ProviderReported; looks up payment_references
         PaymentAuthorized, PaymentReauthorized, PaymentCaptured, PaymentRefunded, PaymentDeclined,
         PaymentActionRequired; looks up provider_reports and payment_references of their reference
Emits    RecordReport, MatchReport
Decides  which payment it is: the only one that has one of the report's names. A report that matches no payment, or
         several, is an open exception until a name leads to one. Of a report and a reference that cross each other,
         the later one sees both: looked-up rows are never older than the event that asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from oms_es.kernel import Command, Consumer, Lookup, LookupResults, Row
from oms_es.schemas import payment as p
from oms_es.schemas.payment.provider import MatchReport, ProviderReported

consumer = Consumer("payment_matcher", emits=(p.RecordReport, MatchReport))


def name_of(event: Any) -> tuple[str, ...]:
    """Return the provider's name of the charge, as a tuple; empty if the event has no reference."""
    return (event.reference.partition("/")[0],) if event.reference else ()


PAYMENTS = Lookup("payment_references", by="reference", keys=lambda event: event.references)
REPORTS = Lookup("provider_reports", by="reference", keys=name_of)
NAMESAKES = Lookup("payment_references", by="reference", keys=name_of)


@consumer.on(ProviderReported, lookups=(PAYMENTS,))
def match_report_on_provider_reported(event: ProviderReported, results: LookupResults) -> Iterator[Command]:
    known = (results["payment_references"][reference] for reference in event.references)
    payment_ids = {row["payment_id"] for rows in known for row in rows}
    if len(payment_ids) == 1:
        yield from _matched(payment_ids.pop(), event.provider, event.report_id, event.report)


@consumer.on(
    p.PaymentAuthorized,
    p.PaymentReauthorized,
    p.PaymentCaptured,
    p.PaymentRefunded,
    p.PaymentDeclined,
    p.PaymentActionRequired,
    lookups=(REPORTS, NAMESAKES),
)
def match_earlier_reports_on_reference_known(event: Any, results: LookupResults) -> Iterator[Command]:
    for name in name_of(event):
        if _is_only_match(event.payment_id, results["payment_references"][name]):
            for row in results["provider_reports"][name]:
                report = p.Report.model_validate(row["report"])
                yield from _matched(event.payment_id, row["provider"], row["report_id"], report)


def _is_only_match(payment_id: str, rows: Iterable[Row]) -> bool:
    return {row["payment_id"] for row in rows} <= {payment_id}


def _matched(payment_id: str, provider: str, report_id: str, report: p.Report) -> Iterator[Command]:
    said = {name: getattr(report, name) for name in p.Report.model_fields}
    yield p.RecordReport(payment_id=payment_id, **said)
    yield MatchReport(provider=provider, report_id=report_id, payment_id=payment_id)
