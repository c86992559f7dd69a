"""What a provider did unasked, and what it says again of what it did: each counts once, and a contradiction is kept."""

from __future__ import annotations

from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.payment.decider import decider
from oms_es.kernel import Event
from oms_es.schemas import payment as p
from oms_es.schemas.payment.answers import called_by_digest, digest_of

OF: Any = {"payment_id": "o.1", "order_id": "o"}
PAY: Any = {"payment_id": "o.1"}
EUR: Any = {**OF, "currency": "EUR"}
REQUESTED = p.PaymentRequested(**EUR, amount_minor=100, payment_token="tok")
AUTHORIZED = p.PaymentAuthorized(**EUR, amount_minor=100, reference="auth")


def held(*then: Event) -> Given:
    """100 are authorised."""
    return Given(decider, REQUESTED, AUTHORIZED, *then)


def capture(n: int, key: str = "s1") -> p.CapturePayment:
    return p.CapturePayment(**PAY, capture_id=key, amount_minor=n)


def capture_requested(n: int, key: str = "s1") -> p.PaymentCaptureRequested:
    return p.PaymentCaptureRequested(**EUR, capture_id=key, amount_minor=n, authorization="auth", final=n == 100)


def captured(n: int, reference: str = "ch/s1", key: str = "s1", **more: Any) -> p.PaymentCaptured:
    return p.PaymentCaptured(**EUR, capture_id=key, amount_minor=n, reference=reference, **more)


def taken_unasked(n: int, key: str = "o.1") -> p.PaymentCaptured:
    return captured(n, f"ch/{key}", key, asked=False)


def applied(n: int, key: str = "s1") -> p.PaymentDepositApplied:
    return p.PaymentDepositApplied(**EUR, capture_id=key, amount_minor=n)


def void_requested(n: int) -> p.PaymentVoidRequested:
    return p.PaymentVoidRequested(**EUR, amount_minor=n, authorization="auth")


def voided(n: int, **more: Any) -> p.PaymentVoided:
    return p.PaymentVoided(**EUR, amount_minor=n, reference="auth/canceled", **more)


def refund_requested(n: int, key: str = "r1") -> p.PaymentRefundRequested:
    return p.PaymentRefundRequested(**EUR, refund_id=key, amount_minor=n, authorization="auth")


def refunded(n: int, key: str = "r1", reference: str = "re", **more: Any) -> p.PaymentRefunded:
    return p.PaymentRefunded(**EUR, refund_id=key, amount_minor=n, reference=reference, **more)


def report(operation: Any, outcome: Any = "succeeded", **said: Any) -> p.RecordReport:
    if "amount_minor" in said:
        said.setdefault("currency", "EUR")
    return p.RecordReport(**PAY, operation=operation, outcome=outcome, **said)


def report_of_refund(n: int, part: str = "r1", **more: Any) -> p.RecordReport:
    return report("refund", **{"part": part, "reference": "re", "amount_minor": n, **more})


def kept(given: Given, command: p.RecordReport) -> p.PaymentReportKept:
    (event,) = decider.decide(given.state, command)
    assert isinstance(event, p.PaymentReportKept)
    return event


TAKEN = (capture_requested(100), captured(100))
UNASKED = refunded(40, "re", asked=False)
LET_GO: Any = {"reference": "auth/canceled", "authorization": "auth"}


# --- refunds


def test_a_refund_that_was_made_unasked_is_not_made_again_under_its_name() -> None:
    again = p.RefundPayment(**PAY, refund_id="re", amount_minor=40)
    held(*TAKEN, UNASKED).when(again).then()
    (refused,) = decider.decide(held(*TAKEN, UNASKED).state, again.model_copy(update={"amount_minor": 41}))
    assert isinstance(refused, p.PaymentRefundRefused)


def test_what_contradicts_a_refund_is_kept_with_whether_it_was_asked_for() -> None:
    asked = held(*TAKEN, refund_requested(40), refunded(40))
    assert not kept(asked, report_of_refund(50)).early
    assert kept(held(*TAKEN, UNASKED), report_of_refund(50, "re")).early
    back = p.PaymentRefundReversed(**EUR, refund_id="re", amount_minor=40, reason="x")
    again = kept(held(*TAKEN, UNASKED, back), report_of_refund(50, "re"))
    assert again.early
    assert again.why.startswith("0.50 EUR is given back as re, where 0.40 EUR was asked for")


@pytest.mark.parametrize(("n", "is_short"), [(0, False), (1, True), (39, True), (41, False)])
def test_any_part_of_a_refund_may_be_all_that_is_given_back_and_not_nothing_or_more(n: int, *, is_short: bool) -> None:
    asked = held(*TAKEN, refund_requested(40))
    if is_short:
        short = p.PaymentRefundShort(**EUR, refund_id="r1", amount_minor=40 - n)
        asked.when(report_of_refund(n)).then(short, refunded(n))
    else:
        assert "where 0.40 EUR was asked for" in kept(asked, report_of_refund(n)).why


def test_a_refund_that_failed_for_a_while_may_take_all_that_is_left() -> None:
    failed = p.PaymentRefundFailed(**EUR, refund_id="r1", amount_minor=40, reason="x", reference="re", final=False)
    asked = (*TAKEN, refund_requested(40), failed)
    held(*asked, refund_requested(60, "r2")).when(report_of_refund(40)).then(refunded(40))
    more = kept(held(*asked, refund_requested(61, "r2")), report_of_refund(40))
    assert more.why.startswith("0.40 EUR is given back as re after it failed, of what was taken 0.39 EUR is left")
    assert "0.30 EUR is given back as re, where 0.40 EUR" in kept(held(*asked), report_of_refund(30)).why


def test_what_is_given_back_unasked_is_at_most_what_is_left_beside_refunds_on_their_way_and_lost_disputes() -> None:
    lost = (
        p.PaymentDisputeOpened(**EUR, dispute_id="d", amount_minor=40, reason="x"),
        p.PaymentDisputeLost(**EUR, dispute_id="d", amount_minor=40),
    )
    given = held(*TAKEN, *lost, refund_requested(20))
    given.when(report_of_refund(40, "re")).then(UNASKED)
    assert kept(given, report_of_refund(41, "re")).why.startswith(
        "0.41 EUR is given back as re, of what was taken 0.40 EUR is left"
    )
    assert kept(held(*TAKEN), report_of_refund(101, "re", currency=None)).why.startswith("1.01 EUR is given back")


def test_a_refund_that_no_one_asked_for_keeps_the_name_by_which_it_is_reported() -> None:
    unknown = called_by_digest(digest_of("some refund"))
    held(*TAKEN).when(report_of_refund(40, unknown)).then(refunded(40, unknown, asked=False))


def test_the_reference_of_a_capture_is_not_that_of_a_refund() -> None:
    assert kept(held(*TAKEN), report_of_refund(40, "re", reference="ch/s1")).why.startswith(
        "ch/s1 is reported for a refund and was the reference of capture s1"
    )


def test_a_report_that_fitted_once_is_not_looked_at_again() -> None:
    in_all = report("refund", part="all", reference="ch/refunded/40", amount_minor=40, cumulative=True)
    early = kept(held(*TAKEN), in_all)
    settled = p.PaymentReportSettled(**OF, kept_id=early.kept_id)
    held(*TAKEN, early).when(report_of_refund(40, "re")).then(UNASKED, settled)
    since = held(*TAKEN, early, UNASKED, settled)
    since.when(p.RefundPayment(**PAY, refund_id="r1", amount_minor=10)).then(refund_requested(10))


# --- voids


def test_money_that_was_released_is_released_once_asked_for_or_not() -> None:
    for before in ((voided(100, asked=False, reason="x"),), (void_requested(100), voided(100))):
        held(*before).when(report("void", **LET_GO, amount_minor=100)).then()
        assert kept(held(*before), report("void", **LET_GO, amount_minor=99)).why.startswith("0.99 EUR is released")


def test_what_contradicts_a_release_is_kept_with_whether_it_was_asked_for() -> None:
    failure = report("void", "declined", reason="x")
    assert not kept(held(void_requested(100), voided(100)), failure).early
    assert kept(held(voided(100, asked=False, reason="x")), failure).early


# --- captures


def test_a_second_reference_of_one_effect_is_refused_with_both() -> None:
    other = p.RecordCapture(**PAY, capture_id="s1", reference="other")
    held(*TAKEN).when(other).then_refused(
        "second_capture",
        detail="capture s1 was reported as ch/s1 and now as other: ask the provider which of them is real",
    )


def test_a_parcel_with_the_name_of_a_capture_that_no_one_asked_for_takes_no_more_than_that() -> None:
    given = held(taken_unasked(60, "c1"))
    given.when(capture(60, "c1")).then(applied(60, "c1"))
    (refused,) = decider.decide(given.state, capture(80, "c1"))
    assert isinstance(refused, p.PaymentCaptureRefused)
    assert refused.reason == "0.80 EUR is more than the 0.60 EUR left of the deposit"


def test_what_was_taken_unasked_pays_for_parcels_to_the_last_cent_and_the_rest_is_captured() -> None:
    half_used = (taken_unasked(60), applied(40))
    held(*half_used).when(capture(20, "s2")).then(applied(20, "s2"))
    held(*half_used).when(capture(21, "s2")).then(capture_requested(21, "s2"))
    held(taken_unasked(60), applied(59)).when(capture(1, "s2")).then(applied(1, "s2"))


def test_what_was_taken_unasked_pays_for_parcels_also_when_the_rest_was_released_and_not_when_all_was_cancelled() -> (
    None
):
    released = (taken_unasked(60), void_requested(40), voided(40))
    held(*released).when(capture(60)).then(applied(60))
    (refused,) = decider.decide(held(*released, p.PaymentCancellationNoted(**OF)).state, capture(60))
    assert isinstance(refused, p.PaymentCaptureRefused)
    assert refused.reason == "payment o.1 holds no money to take; request a new payment"


def test_of_what_was_taken_unasked_and_is_not_needed_the_last_cent_goes_back_and_nothing_twice() -> None:
    void = p.VoidPayment(**PAY)
    refund = refund_requested(1, "o.1/unused")
    held(taken_unasked(100), applied(99)).when(void).then(refund)
    held(taken_unasked(100), applied(60), refund_requested(39)).when(void).then(refund)
    disputed = p.PaymentDisputeOpened(**EUR, dispute_id="d", amount_minor=39, reason="x")
    held(taken_unasked(100), applied(60), disputed).when(void).then(refund)
    held(taken_unasked(100), applied(60), refund_requested(40)).when(void).then()


def test_a_request_that_is_repeated_under_other_routes_is_the_same_request() -> None:
    elsewhere = REQUESTED.model_copy(update={"gateway": "stripe"})
    again = p.RequestPayment(**EUR, amount_minor=100, payment_token="tok", gateway="alipay")
    Given(decider, elsewhere).when(again).then()


def test_what_a_provider_holds_no_longer_expires_once_for_all_captures() -> None:
    def again(n: int, key: str) -> p.PaymentReauthorizationRequested:
        return p.PaymentReauthorizationRequested(
            **EUR, amount_minor=n, capture_id=key, payment_token="tok", method="card"
        )

    def lapsed(key: str) -> p.RecordCaptureFailure:
        return p.RecordCaptureFailure(**PAY, capture_id=key, reason="expired", expired=True)

    two = (capture_requested(60), capture_requested(30, "s2"))
    expired = p.PaymentExpired(**EUR, amount_minor=10, authorization="auth")
    held(*two).when(lapsed("s1")).then(expired, again(60, "s1"))
    held(*two, expired, again(60, "s1")).when(lapsed("s2")).then(again(30, "s2"))
    held(*two, void_requested(10)).when(lapsed("s1")).then(again(60, "s1"))
