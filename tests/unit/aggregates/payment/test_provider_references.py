"""A report of a provider is recorded once and belongs to one payment; a reference is of the payment that claimed it."""

from __future__ import annotations

from typing import Any

from dsl import Given
from oms_es.aggregates.payment.provider import decider
from oms_es.schemas.payment import Report
from oms_es.schemas.payment import provider as v
from oms_es.schemas.payment import references as ref

REPORT = Report(operation="capture", outcome="succeeded", reference="ch", amount_minor=100, currency="EUR")
RECORD = v.RecordProviderReport(provider="stripe", references=("pi_1",), report=REPORT)
OF: Any = {"provider": "stripe", "report_id": RECORD.report_id}
REPORTED = v.ProviderReported(**OF, references=("pi_1",), report=REPORT)
MATCH = v.MatchReport(**OF, payment_id="o.1")
MATCHED = v.ProviderReportMatched(**OF, payment_id="o.1")
CLAIM = ref.ClaimReference(reference="pi_1", payment_id="o.1")
CLAIMED = ref.ReferenceClaimed(reference="pi_1", payment_id="o.1")


def test_a_report_is_recorded_once() -> None:
    Given(decider).when(RECORD).then(REPORTED)
    Given(decider, REPORTED).when(RECORD).then()


def test_a_report_is_of_one_payment_whatever_is_found_later() -> None:
    Given(decider, REPORTED).when(MATCH).then(MATCHED)
    Given(decider, REPORTED, MATCHED).when(MATCH).then()
    Given(decider, REPORTED, MATCHED).when(MATCH.model_copy(update={"payment_id": "o.2"})).then()


def test_what_was_never_reported_is_of_no_payment() -> None:
    Given(decider).when(MATCH).then_refused("unknown_report", f"stripe reported nothing as {RECORD.report_id}")


def test_a_reference_is_of_the_payment_that_claimed_it_first() -> None:
    Given(decider).when(CLAIM).then(CLAIMED)
    Given(decider, CLAIMED).when(CLAIM).then()
    Given(decider, CLAIMED).when(CLAIM.model_copy(update={"payment_id": "o.2"})).then_refused(
        "reference_reused",
        "pi_1 is reported of payment o.2, and is the reference of payment o.1: ask the provider which of the two",
    )
