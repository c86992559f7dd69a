"""Reports that a provider sends unasked are recorded, in whichever order they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl import Given
from oms_es.aggregates.payment.decider import decider
from oms_es.aggregates.payment.state import Payment
from oms_es.kernel import Event
from oms_es.schemas import payment as p
from oms_es.schemas.payment.answers import called_by_digest, digest_of

OF: Any = {"payment_id": "o.1", "order_id": "o"}
PAY: Any = {"payment_id": "o.1"}
EUR: Any = {**OF, "currency": "EUR"}
REQUESTED = p.PaymentRequested(**EUR, amount_minor=100, payment_token="tok")
AUTHORIZED = p.PaymentAuthorized(**EUR, amount_minor=100, reference="auth")
CANCEL = p.CancelPayment(**PAY)


def pending(*then: Event) -> Given:
    return Given(decider, REQUESTED, *then)


def held(*then: Event) -> Given:
    """100 are authorised."""
    return pending(AUTHORIZED, *then)


def capture(n: int, key: str = "s1") -> p.CapturePayment:
    return p.CapturePayment(**PAY, capture_id=key, amount_minor=n)


def capture_requested(n: int, key: str = "s1", *, final: bool = False) -> p.PaymentCaptureRequested:
    of_it: Any = {**EUR, "capture_id": key, "amount_minor": n, "authorization": "auth"}
    return p.PaymentCaptureRequested(**of_it, final=final or n == 100)


def captured(n: int, reference: str, key: str = "s1") -> p.PaymentCaptured:
    return p.PaymentCaptured(**EUR, capture_id=key, amount_minor=n, reference=reference)


def void_requested(n: int) -> p.PaymentVoidRequested:
    return p.PaymentVoidRequested(**EUR, amount_minor=n, authorization="auth")


def refund_requested(n: int, key: str) -> p.PaymentRefundRequested:
    return p.PaymentRefundRequested(**EUR, refund_id=key, amount_minor=n, authorization="auth")


def report(operation: Any, outcome: Any = "succeeded", **said: Any) -> p.RecordReport:
    if "amount_minor" in said:
        said.setdefault("currency", "EUR")
    return p.RecordReport(**PAY, operation=operation, outcome=outcome, **said)


def report_of_hold(n: int | None = 100, currency: str = "EUR") -> p.RecordReport:
    return report("authorize", reference="auth", authorization="auth", amount_minor=n, currency=currency)


def report_of_capture(n: int, part: str = "s1", reference: str = "ch/s1", **more: Any) -> p.RecordReport:
    return report("capture", part=part, reference=reference, amount_minor=n, **{"authorization": "auth", **more})


def report_of_refund(n: int, part: str = "re", **more: Any) -> p.RecordReport:
    return report("refund", **{"part": part, "reference": "re", "amount_minor": n, **more})


def report_of_dispute(n: int, outcome: Any = "opened") -> p.RecordReport:
    return report("dispute", outcome, part="dp", amount_minor=n)


LET_GO = report("void", reference="auth/canceled", authorization="auth", reason="requested_by_customer")
AT_ONCE = report_of_capture(100, part="", reference="ch")
ATTEMPT = report("authorize", "declined", final=False, reason="no funds", retriable=True)
TAKEN = (capture_requested(100), captured(100, "ch/s1"))


def kept(given: Given, command: p.RecordReport) -> p.PaymentReportKept:
    """Assert that nothing changes, except that the report is kept for a person; repeated, it adds nothing."""
    (event,) = decider.decide(given.state, command)
    assert isinstance(event, p.PaymentReportKept)
    assert event.why
    assert not list(decider.decide(decider.evolve(given.state, event), command))
    return event


def let_go_unasked(n: int = 100) -> p.PaymentVoided:
    return p.PaymentVoided(
        **EUR, amount_minor=n, reference="auth/canceled", asked=False, reason="requested_by_customer"
    )


def refunded_unasked(n: int) -> p.PaymentRefunded:
    return p.PaymentRefunded(**EUR, refund_id="re", amount_minor=n, reference="re", asked=False)


@pytest.mark.parametrize(("n", "currency"), [(1, "USD"), (100, "USD"), (99, "EUR"), (101, "EUR")])
def test_what_is_held_in_another_amount_or_currency_is_not_authorised(n: int, currency: str) -> None:
    wrong = kept(pending(), report_of_hold(n, currency))
    settled = p.PaymentReportSettled(**OF, kept_id=wrong.kept_id)
    pending(wrong).when(report_of_hold()).then(AUTHORIZED)
    assert settled not in list(decider.decide(pending(wrong).state, report_of_hold()))
    kept(held(), report_of_hold(n, currency))


def test_what_is_held_as_asked_or_without_an_amount_is_authorised() -> None:
    pending().when(report_of_hold()).then(AUTHORIZED)
    pending().when(report("authorize", reference="auth")).then(AUTHORIZED)
    held().when(report_of_hold()).then()


def test_partly_captured_is_partly_captured() -> None:
    asked = held(capture_requested(100))
    short = p.PaymentCaptureShort(**EUR, capture_id="s1", amount_minor=40)
    asked.when(report_of_capture(60)).then(short, captured(60, "ch/s1"))
    partly = held(capture_requested(100), short, captured(60, "ch/s1"))
    partly.when(report_of_capture(60)).then()
    partly.when(capture(100)).then()
    assert (partly.state.captured, partly.state.taken, partly.state.remainder) == (60, 60, 40)
    kept(asked, report_of_capture(101))
    kept(asked, report_of_capture(100, currency="USD"))
    kept(asked, report_of_capture(0))


def test_less_than_was_lost_in_a_dispute_cannot_have_been_taken() -> None:
    given = held(
        capture_requested(100, final=True),
        p.PaymentDisputeOpened(**EUR, amount_minor=40, dispute_id="d", reason="fraud"),
        p.PaymentDisputeLost(**EUR, amount_minor=40, dispute_id="d"),
    )
    assert "0.40 EUR was given back or is in dispute" in kept(given, report_of_capture(39)).why
    short = p.PaymentCaptureShort(**EUR, amount_minor=60, capture_id="s1")
    given.when(report_of_capture(40)).then(short, captured(40, "ch/s1"))


def test_a_charge_captured_in_parts_says_how_much_in_all() -> None:
    in_two = held(capture_requested(60), capture_requested(40, "s2", final=True))
    first = report_of_capture(60, cumulative=True)
    second = report_of_capture(100, "s2", "ch/s2", cumulative=True)
    usual = (captured(60, "ch/s1"), captured(40, "ch/s2", "s2"))
    in_two.when(first).then(usual[0])
    held(*two(), usual[0]).when(second).then(usual[1])
    early = kept(in_two, second)
    settled = p.PaymentReportSettled(**OF, kept_id=early.kept_id)
    held(*two(), early).when(first).then(*usual, settled)


def two() -> tuple[Event, ...]:
    return capture_requested(60), capture_requested(40, "s2", final=True)


def test_what_is_taken_as_soon_as_it_is_held_pays_and_parcels_are_paid_of_it() -> None:
    taken = p.PaymentCaptured(**EUR, capture_id="o.1", amount_minor=100, reference="ch/o.1", asked=False)
    for before in ((), (p.PaymentAttemptDeclined(**OF, reason="no funds", report_id=ATTEMPT.report_id),)):
        pending(*before).when(AT_ONCE).then(AUTHORIZED, taken)
    paid = pending(AUTHORIZED, taken)
    paid.when(AT_ONCE).then()
    paid.when(report_of_hold()).then()
    applied = p.PaymentDepositApplied(**EUR, capture_id="s1", amount_minor=60)
    paid.when(capture(60)).then(applied)
    pending(AUTHORIZED, taken, applied).when(capture(60)).then()
    pending(AUTHORIZED, taken, applied).when(p.VoidPayment(**PAY)).then(refund_requested(40, "o.1/unused"))
    paid.when(CANCEL).then(refund_requested(100, "o.1"))
    kept(pending(), report_of_capture(99, part="", reference="ch"))


def test_what_is_taken_at_once_and_not_wanted_any_more_goes_straight_back() -> None:
    taken = p.PaymentCaptured(**EUR, capture_id="o.1", amount_minor=100, reference="ch/o.1", asked=False)
    back = refund_requested(100, "o.1")
    for gave_up in (p.PaymentCancellationNoted(**OF), p.PaymentFailed(**OF, reason="no answer")):
        pending(gave_up).when(AT_ONCE).then(AUTHORIZED, taken, back)


def test_what_is_captured_in_the_dashboard_is_taken_and_more_than_is_held_is_not() -> None:
    taken = p.PaymentCaptured(**EUR, capture_id="o.1", amount_minor=60, reference="ch/o.1", asked=False)
    held().when(report_of_capture(60, part="", reference="ch")).then(taken)
    held(taken).when(capture(60)).then(p.PaymentDepositApplied(**EUR, capture_id="s1", amount_minor=60))
    held(taken).when(capture(40, "s2")).then(p.PaymentDepositApplied(**EUR, capture_id="s2", amount_minor=40))
    kept(held(), report_of_capture(101, part="", reference="ch"))


def test_what_is_captured_under_a_name_that_no_one_asked_for_is_recorded_and_pays_for_parcels_once() -> None:
    result = report_of_capture(100, part="c1", reference="ch/c1")
    taken = p.PaymentCaptured(**EUR, capture_id="c1", amount_minor=100, reference="ch/c1", asked=False)
    held().when(result).then(taken)
    paid = held(taken)
    paid.when(result).then()
    kept(paid, report_of_capture(60, part="c1", reference="ch/c1"))
    paid.when(report_of_refund(100)).then(refunded_unasked(100))
    paid.when(report_of_dispute(100)).then(p.PaymentDisputeOpened(**EUR, dispute_id="dp", amount_minor=100, reason=""))
    applied = p.PaymentDepositApplied(**EUR, capture_id="c1", amount_minor=60)
    paid.when(capture(60, "c1")).then(applied)  # a parcel may happen to have the name
    held(taken, applied).when(capture(60, "c1")).then()
    held(taken, applied).when(capture(40, "s2")).then(
        applied.model_copy(update={"capture_id": "s2", "amount_minor": 40})
    )


FAILURE = report("refund", "declined", part="r1", reference="re", amount_minor=40, reason="x")


@pytest.mark.parametrize(
    ("early", "asked"),
    [
        (FAILURE, p.RefundPayment(**PAY, refund_id="r1", amount_minor=40)),
        (report("capture", "declined", part="s2", reason="x"), capture(40, "s2")),
        (report("void", "declined", reason="x"), p.VoidPayment(**PAY)),
    ],
    ids=lambda result: getattr(result, "operation", ""),
)
def test_a_failure_that_is_reported_before_anybody_asked_is_not_of_what_is_asked_later(
    early: p.RecordReport, asked: p.PaymentCommand
) -> None:
    before = held(capture_requested(60), captured(60, "ch/s1"))
    result = kept(before, early)
    assert result.early
    since = Given(decider, REQUESTED, AUTHORIZED, capture_requested(60), captured(60, "ch/s1"), result)
    (intent,) = decider.decide(since.state, asked)
    assert type(intent).__name__.endswith("Requested")
    state = decider.evolve(since.state, intent)
    assert not list(decider.decide(state, early))
    again = early.model_copy(update={"reason": "reported once more"})  # of what is asked now
    assert type(next(iter(decider.decide(state, again)))).__name__.endswith("Failed")


def test_a_refund_of_the_dashboard_that_fails_is_undone_also_if_its_failure_is_reported_first() -> None:
    failure = report("refund", "declined", part="re", reference="re", amount_minor=40, reason="x")
    early = kept(held(*TAKEN), failure)
    settled = p.PaymentReportSettled(**OF, kept_id=early.kept_id)
    undone = p.PaymentRefundReversed(**EUR, refund_id="re", amount_minor=40, reason="x")
    held(*TAKEN, early).when(report_of_refund(40)).then(refunded_unasked(40), undone, settled)


def test_a_capture_that_names_no_part_is_the_one_that_waits_for_so_much() -> None:
    held(capture_requested(100)).when(AT_ONCE).then(captured(100, "ch/s1"))
    held(*TAKEN).when(AT_ONCE).then()


def test_one_means_of_payment_that_fails_is_not_the_end_of_the_payment() -> None:
    attempt = p.PaymentAttemptDeclined(**OF, reason="no funds", report_id=ATTEMPT.report_id)
    pending().when(ATTEMPT).then(attempt)
    pending(attempt).when(ATTEMPT).then()
    pending(attempt).when(report_of_hold()).then(AUTHORIZED)
    held().when(ATTEMPT).then()


def test_a_decline_that_may_be_retried_does_not_send_the_money_back_that_comes_after_all() -> None:
    declined = p.PaymentDeclined(**OF, reason="no funds", retriable=True)
    pending(declined).when(report_of_hold()).then(AUTHORIZED)
    noted = p.PaymentCancellationNoted(**OF)
    pending(declined).when(CANCEL).then(noted)
    pending(declined, noted).when(report_of_hold()).then(AUTHORIZED, void_requested(100))
    pending(declined, noted).when(CANCEL).then()


def test_what_is_released_in_the_dashboard_is_held_no_longer() -> None:
    held().when(LET_GO).then(let_go_unasked())
    held(let_go_unasked()).when(LET_GO).then()
    held(capture_requested(60)).when(LET_GO).then(let_go_unasked(40))
    (refused,) = decider.decide(held(let_go_unasked()).state, capture(60))
    assert isinstance(refused, p.PaymentCaptureRefused)
    held(void_requested(100)).when(LET_GO).then(p.PaymentVoided(**EUR, amount_minor=100, reference="auth/canceled"))
    kept(held(*TAKEN), LET_GO)


def test_what_was_given_up_before_it_was_held_is_not_held_in_either_order() -> None:
    (declined,) = decider.decide(pending().state, LET_GO)
    assert isinstance(declined, p.PaymentDeclined)
    pending(declined).when(LET_GO).then()
    early = let_go_unasked().model_copy(update={"reason": "released at the provider"})
    pending(declined).when(report_of_hold()).then(AUTHORIZED, early)


def test_what_is_given_back_in_the_dashboard_changes_the_books() -> None:
    held(*TAKEN).when(report_of_refund(100)).then(refunded_unasked(100))
    back = held(*TAKEN, refunded_unasked(100))
    back.when(report_of_refund(100)).then()
    assert (back.state.refunded, back.state.refundable) == (100, 0)
    kept(held(*TAKEN), report_of_refund(101))
    kept(held(*TAKEN), report_of_refund(100, currency="USD"))
    kept(held(*TAKEN), report("refund", part="re", reference="re"))


@pytest.mark.parametrize(("currency", "is_read"), [("EUR", True), ("JPY", True), ("ISK", False), ("MGA", False)])
def test_an_amount_without_its_currency_is_read_only_where_all_count_it_alike(currency: str, is_read: bool) -> None:
    taken = [event.model_copy(update={"currency": currency}) for event in (REQUESTED, AUTHORIZED, *TAKEN)]
    given = Given(decider, *taken)
    without = report_of_refund(40, currency=None)
    if is_read:
        given.when(without).then(refunded_unasked(40).model_copy(update={"currency": currency}))
    else:
        assert currency in kept(given, without).why
        given.when(report_of_refund(40, currency=currency)).then(
            refunded_unasked(40).model_copy(update={"currency": currency})
        )


def test_a_refund_that_may_be_ours_waits_for_the_answer() -> None:
    asked = held(*TAKEN, refund_requested(40, "r1"))
    early = kept(asked, report_of_refund(40))
    settled = p.PaymentReportSettled(**OF, kept_id=early.kept_id)
    done = p.PaymentRefunded(**EUR, refund_id="r1", amount_minor=40, reference="re")
    held(*TAKEN, refund_requested(40, "r1"), early).when(p.RecordRefund(**PAY, refund_id="r1", reference="re")).then(
        done, settled
    )
    other = done.model_copy(update={"reference": "other"})
    held(*TAKEN, refund_requested(40, "r1"), early).when(p.RecordRefund(**PAY, refund_id="r1", reference="other")).then(
        other, refunded_unasked(40), settled
    )


def test_less_of_a_refund_is_less_and_more_is_for_a_person() -> None:
    asked = held(*TAKEN, refund_requested(40, "r1"))
    short = p.PaymentRefundShort(**EUR, refund_id="r1", amount_minor=10)
    done = p.PaymentRefunded(**EUR, refund_id="r1", amount_minor=30, reference="re")
    asked.when(report_of_refund(30, "r1")).then(short, done)
    partly = held(*TAKEN, refund_requested(40, "r1"), short, done)
    assert (partly.state.refunded, partly.state.returned) == (30, 30)
    partly.when(p.RefundPayment(**PAY, refund_id="r1", amount_minor=40)).then()
    kept(asked, report_of_refund(41, "r1"))


def test_a_refund_that_fails_after_it_succeeded_is_undone_in_either_order() -> None:
    failure = report("refund", "declined", part="r1", reference="re", amount_minor=40, reason="account closed")
    done = p.PaymentRefunded(**EUR, refund_id="r1", amount_minor=40, reference="re")
    reversed_ = p.PaymentRefundReversed(**EUR, refund_id="r1", amount_minor=40, reason="account closed")
    asked = (*TAKEN, refund_requested(40, "r1"))
    held(*asked, done).when(failure).then(reversed_)
    undone = held(*asked, done, reversed_)
    undone.when(failure).then()
    undone.when(report_of_refund(40, "r1")).then()
    assert (undone.state.refunded, undone.state.returned) == (0, 0)
    (failed,) = decider.decide(held(*asked).state, failure)
    assert isinstance(failed, p.PaymentRefundFailed)
    held(*asked, failed).when(report_of_refund(40, "r1")).then()
    held(*TAKEN, refunded_unasked(100)).when(report("refund", "declined", part="re", reference="re", reason="x")).then(
        p.PaymentRefundReversed(**EUR, refund_id="re", amount_minor=100, reason="x")
    )


SETBACK = report("refund", "declined", part="r1", reference="re", amount_minor=40, reason="account frozen", final=False)


def test_a_refund_that_failed_for_a_while_is_done_once_its_success_is_reported_under_the_same_reference() -> None:
    asked = (*TAKEN, refund_requested(40, "r1"))
    failed = p.PaymentRefundFailed(
        **EUR, refund_id="r1", amount_minor=40, reason="account frozen", reference="re", final=False
    )
    done = p.PaymentRefunded(**EUR, refund_id="r1", amount_minor=40, reference="re")
    held(*asked).when(SETBACK).then(failed)
    held(*asked, failed).when(SETBACK).then()
    held(*asked, failed).when(report_of_refund(40, "r1")).then(done)
    held(*asked, failed).when(report_of_refund(40, "r1", amount_minor=None)).then(done)
    after_all = held(*asked, failed, done)
    after_all.when(report_of_refund(40, "r1")).then()
    after_all.when(SETBACK).then()
    assert (after_all.state.refunded, after_all.state.returned, after_all.state.refundable) == (40, 40, 60)


def test_a_charge_that_is_said_to_have_taken_less_than_is_known_of_it_takes_nothing_back() -> None:
    by_itself = p.PaymentCaptured(**EUR, capture_id="o.1", amount_minor=60, reference="ch/o.1", asked=False)
    for less in (59, 60):
        said = report_of_capture(less, part="s1", reference="ch", cumulative=True)
        (kept,) = decider.decide(held(by_itself).state, said)
        assert isinstance(kept, p.PaymentReportKept)


LONG = "0c6b1c04-43a8-5f02-9f0e-6ad4f6a1b8a2.1/returned"
BY_DIGEST = called_by_digest(digest_of(LONG))


def test_a_refund_is_known_by_the_digest_of_its_name() -> None:
    asked = (*TAKEN, refund_requested(40, LONG))
    done = p.PaymentRefunded(**EUR, refund_id=LONG, amount_minor=40, reference="re")
    held(*asked).when(report_of_refund(40, BY_DIGEST)).then(done)
    held(*asked, done).when(report_of_refund(40, BY_DIGEST)).then()
    (failed,) = decider.decide(held(*asked).state, report("refund", "declined", part=BY_DIGEST, reason="x"))
    assert isinstance(failed, p.PaymentRefundFailed)
    assert failed.refund_id == LONG
    (kept,) = decider.decide(held(*asked).state, report_of_refund(50, BY_DIGEST))
    assert isinstance(kept, p.PaymentReportKept)


def test_a_failure_that_is_reported_by_digest_before_its_refund_is_asked_for_is_not_the_failure_of_it() -> None:
    early = report("refund", "declined", part=BY_DIGEST, reason="x")
    (kept,) = decider.decide(held(*TAKEN).state, early)
    assert isinstance(kept, p.PaymentReportKept)
    assert kept.early
    asked = list(
        decider.decide(held(*TAKEN, kept).state, p.RefundPayment(**PAY, refund_id=LONG, amount_minor=40, reason="r"))
    )
    assert [type(event) for event in asked] == [p.PaymentRefundRequested]


def test_a_refund_that_failed_for_a_while_and_fits_no_more_is_for_a_person() -> None:
    asked = (*TAKEN, refund_requested(40, "r1"))
    failed = p.PaymentRefundFailed(
        **EUR, refund_id="r1", amount_minor=40, reason="account frozen", reference="re", final=False
    )
    instead = refund_requested(70, "r2")
    kept(held(*asked, failed, instead), report_of_refund(40, "r1"))
    kept(held(*asked, failed), report_of_refund(30, "r1"))
    kept(held(*asked, failed), report_of_refund(40, "r1", reference="other"))


def test_what_was_given_back_in_all_is_what_the_refunds_sum_to() -> None:
    in_all = report("refund", part="ch/refunded", reference="ch/refunded/100", amount_minor=100, cumulative=True)
    early = kept(held(*TAKEN), in_all)
    settled = p.PaymentReportSettled(**OF, kept_id=early.kept_id)
    held(*TAKEN, early).when(report_of_refund(100)).then(refunded_unasked(100), settled)
    held(*TAKEN, refunded_unasked(100)).when(in_all).then()


def test_a_dispute_that_comes_before_the_money_waits_for_it() -> None:
    asked = held(capture_requested(100))
    opened = p.PaymentDisputeOpened(**EUR, dispute_id="dp", amount_minor=100, reason="")
    asked.when(report_of_dispute(100)).then(opened)
    early = kept(held(), report_of_dispute(100))
    settled = p.PaymentReportSettled(**OF, kept_id=early.kept_id)
    held(early).when(capture(100)).then(capture_requested(100), opened, settled)
    kept(held(*TAKEN), report_of_dispute(101))
    kept(held(*TAKEN), report("dispute", "opened", part="dp", amount_minor=100, currency="USD"))


def test_of_a_payment_that_no_one_asked_for_a_report_is_refused() -> None:
    Given(decider).when(report_of_hold()).then_refused("unknown_payment")


STORIES: dict[str, tuple[tuple[Event, ...], tuple[p.RecordReport, ...]]] = {
    "taken at once, given back": ((), (AT_ONCE, report_of_hold(), report_of_refund(100), report_of_dispute(0 + 100))),
    "released": ((), (report_of_hold(), LET_GO, ATTEMPT)),
    "in parts": (
        (AUTHORIZED, *two()),
        (
            report_of_capture(60, cumulative=True),
            report_of_capture(100, "s2", "ch/s2", cumulative=True),
            report_of_refund(30),
            report_of_dispute(50, "lost"),
        ),
    ),
    "undone": (
        (AUTHORIZED, *TAKEN, refund_requested(40, "r1")),
        (
            report_of_refund(40, "r1"),
            report("refund", "declined", part="r1", reference="re", amount_minor=40, reason="x"),
            report_of_dispute(100),
            report_of_dispute(100, "won"),
        ),
    ),
    "done after all": ((AUTHORIZED, *TAKEN, refund_requested(40, "r1")), (SETBACK, report_of_refund(40, "r1"))),
}
"""What happened before, and what is reported then."""


def totals(state: Payment) -> dict[str, Any]:
    return {
        "captured": state.captured,
        "refunded": state.refunded,
        "returned": state.returned,
        "disputed": state.disputed,
        "lost": state.lost,
        "held": state.remainder,
    }


def after(before: Sequence[Event], reports: Sequence[p.RecordReport]) -> Payment:
    state = reduce(decider.evolve, (REQUESTED, *before), decider.initial)
    for command in reports:
        state = reduce(decider.evolve, list(decider.decide(state, command)), state)
    return state


@pytest.mark.parametrize("story", ["released", "in parts", "undone", "done after all"])
def test_p18_reports_in_every_order_and_each_twice_come_to_the_same_books(story: str) -> None:
    before, reports = STORIES[story]
    usual = totals(after(before, reports))
    for order in permutations(reports):
        for repeated in reports:
            assert totals(after(before, (*order, repeated))) == usual, [one.report_id for one in order]


anything = st.builds(
    report,
    st.sampled_from(["authorize", "capture", "void", "expire"]),
    st.sampled_from(["succeeded", "declined"]),
    part=st.sampled_from(["", "s1", "o.1"]),
    reference=st.sampled_from(["auth", "ch", "ch/s1"]),
    amount_minor=st.sampled_from([None, 0, 60, 100, 101]),
    currency=st.sampled_from(["EUR", "USD"]),
) | st.builds(
    report,
    st.just("refund"),
    st.sampled_from(["succeeded", "declined"]),
    part=st.sampled_from(["r1", "re"]),
    reference=st.sampled_from(["re", "re2"]),
    final=st.booleans(),
    amount_minor=st.sampled_from([None, 0, 40, 100, 101]),
)


@given(st.lists(anything, max_size=12), st.sampled_from(sorted(STORIES)))
def test_no_report_is_refused_and_none_moves_more_than_there_is(reports: list[p.RecordReport], story: str) -> None:
    state = after(STORIES[story][0], reports)
    assert state.captured <= state.taken <= 100
    assert state.refunded <= state.returned <= state.captured
    assert state.remainder >= 0
