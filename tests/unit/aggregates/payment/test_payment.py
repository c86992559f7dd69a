"""Money is captured once, and refunded if the order no longer needs it; three tests per rule: it happens, nothing
happens, it is refused.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.payment.decider import decider
from oms_es.aggregates.payment.state import Payment
from oms_es.kernel import Command, Event
from oms_es.schemas import payment as p

OF: Any = {"payment_id": "o.1", "order_id": "o"}
PAY: Any = {"payment_id": "o.1"}
EUR: Any = {**OF, "currency": "EUR"}

REQUEST = p.RequestPayment(**EUR, amount_minor=100, payment_token="tok")
REQUESTED = p.PaymentRequested(**EUR, amount_minor=100, payment_token="tok")
AUTHORIZE = p.RecordAuthorization(**PAY, reference="auth")
AUTHORIZED = p.PaymentAuthorized(**EUR, amount_minor=100, reference="auth")
DECLINE = p.RecordDecline(**PAY, reason="no funds")
DECLINED = p.PaymentDeclined(**OF, reason="no funds")
FAIL = p.RecordFailure(**PAY, reason="no answer")
FAILED = p.PaymentFailed(**OF, reason="no answer")
HOLDS_NONE = "payment o.1 holds no money to take; request a new payment"
NOTED = p.PaymentCancellationNoted(**OF)
VOID = p.VoidPayment(**PAY)
CANCEL = p.CancelPayment(**PAY)


def capture(n: int, key: str = "s1") -> p.CapturePayment:
    return p.CapturePayment(**PAY, capture_id=key, amount_minor=n)


def capture_requested(
    n: int, key: str = "s1", authorization: str = "auth", *, final: bool = False
) -> p.PaymentCaptureRequested:
    return p.PaymentCaptureRequested(
        **EUR, capture_id=key, amount_minor=n, authorization=authorization, final=final or n == 100
    )


NOTHING_LEFT = "0.01 EUR is more than the 0.00 EUR left of payment o.1"
NOTHING_TAKEN = "0.01 EUR is more than the 0.00 EUR left of what was taken"


def capture_refused(n: int, reason: str, key: str = "s1") -> p.PaymentCaptureRefused:
    return p.PaymentCaptureRefused(**EUR, capture_id=key, amount_minor=n, reason=reason)


def record_capture(reference: str = "cap", key: str = "s1") -> p.RecordCapture:
    return p.RecordCapture(**PAY, capture_id=key, reference=reference)


def captured(n: int, reference: str = "cap", key: str = "s1") -> p.PaymentCaptured:
    return p.PaymentCaptured(**EUR, capture_id=key, amount_minor=n, reference=reference)


def record_capture_failure(key: str = "s1") -> p.RecordCaptureFailure:
    return p.RecordCaptureFailure(**PAY, capture_id=key, reason="expired")


def capture_failed(n: int, key: str = "s1") -> p.PaymentCaptureFailed:
    return p.PaymentCaptureFailed(**EUR, capture_id=key, amount_minor=n, reason="expired")


def void_requested(n: int) -> p.PaymentVoidRequested:
    return p.PaymentVoidRequested(**EUR, amount_minor=n, authorization="auth")


def refund_requested(n: int, key: str = "s1") -> p.PaymentRefundRequested:
    return p.PaymentRefundRequested(**EUR, refund_id=key, amount_minor=n, authorization="auth")


def refund(n: int, key: str = "r1", *parts: p.RefundAllocation) -> p.RefundPayment:
    return p.RefundPayment(**PAY, refund_id=key, amount_minor=n, allocations=parts)


def refund_refused(n: int, reason: str, key: str = "r1") -> p.PaymentRefundRefused:
    return p.PaymentRefundRefused(**EUR, refund_id=key, amount_minor=n, reason=reason)


def pending(*then: Event) -> Given:
    return Given(decider, REQUESTED, *then)


def held(*then: Event) -> Given:
    """100 are authorised."""
    return pending(AUTHORIZED, *then)


def test_money_is_asked_for_once() -> None:
    Given(decider).when(REQUEST).then(REQUESTED)
    pending().when(REQUEST).then()


def test_an_id_that_names_another_payment_already_is_reported_once_and_stops_no_one() -> None:
    other = REQUEST.model_copy(update={"amount_minor": 101})
    (refused,) = decider.decide(pending().state, other)
    assert isinstance(refused, p.PaymentRequestRefused)
    assert (refused.amount_minor, refused.order_id) == (101, "o")
    pending(refused).when(other).then()
    pending(refused).when(REQUEST).then()


def test_the_amount_held_is_the_amount_asked_for() -> None:
    pending().when(AUTHORIZE).then(AUTHORIZED)
    held().when(AUTHORIZE).then()
    held().when(p.RecordAuthorization(**PAY, reference="other")).then_refused("second_authorization")


def test_money_that_comes_after_the_order_gave_up_goes_straight_back() -> None:
    for gave_up in (NOTED, DECLINED, FAILED):
        pending(gave_up).when(AUTHORIZE).then(AUTHORIZED, void_requested(100))
        pending(gave_up, AUTHORIZED, void_requested(100)).when(AUTHORIZE).then()
        pending(gave_up, AUTHORIZED, void_requested(100)).when(capture(1)).then(capture_refused(1, HOLDS_NONE))


def test_a_decline_is_reported_once_and_contradicts_money_that_is_held() -> None:
    pending().when(DECLINE).then(DECLINED)
    pending(NOTED).when(DECLINE).then(DECLINED)
    pending(DECLINED).when(DECLINE).then()
    pending(FAILED).when(DECLINE).then()
    pending(DECLINED, AUTHORIZED, void_requested(100)).when(DECLINE).then()
    held().when(DECLINE).then_refused("contradicts")
    pending(FAILED, AUTHORIZED, void_requested(100)).when(DECLINE).then_refused("contradicts")


def test_no_answer_is_reported_once_and_contradicts_nothing() -> None:
    pending().when(FAIL).then(FAILED)
    pending(FAILED).when(FAIL).then()
    pending(DECLINED).when(FAIL).then()
    held().when(FAIL).then()


def test_p12_no_more_is_captured_than_was_authorised() -> None:
    held().when(capture(60)).then(capture_requested(60))
    held(capture_requested(60)).when(capture(60)).then()
    held(capture_requested(60)).when(capture(40, "s2")).then(capture_requested(40, "s2", final=True))
    too_much = capture_refused(60, "0.60 EUR is more than the 0.40 EUR left of payment o.1", "s2")
    held(capture_requested(60)).when(capture(60, "s2")).then(too_much)
    held(capture_requested(60), too_much).when(capture(60, "s2")).then()
    held(capture_requested(60), too_much).when(capture(40, "s2")).then(capture_requested(40, "s2", final=True))


def test_what_cannot_be_captured_is_reported_and_stops_no_one() -> None:
    changed = capture_refused(30, "capture s1 takes 0.60 EUR; to take 0.30 EUR more, name another capture_id")
    held(capture_requested(60)).when(capture(30)).then(changed)
    held(capture_requested(60), changed).when(capture(30)).then()
    pending().when(capture(60)).then(capture_refused(60, HOLDS_NONE))
    pending(DECLINED).when(capture(60)).then(capture_refused(60, HOLDS_NONE))


def test_a_capture_is_done_once() -> None:
    held(capture_requested(60)).when(record_capture()).then(captured(60))
    held(capture_requested(60), captured(60)).when(record_capture()).then()
    held(capture_requested(60), captured(60)).when(record_capture("again")).then_refused("second_capture")
    held().when(record_capture()).then_refused("unknown_capture")


def test_one_reference_is_one_effect() -> None:
    two = held(capture_requested(60), capture_requested(40, "s2"), captured(60))
    two.when(record_capture("cap", "s2")).then_refused("reference_reused")
    two.when(record_capture("auth", "s2")).then_refused("reference_reused")
    two.when(record_capture("cap2", "s2")).then(captured(40, "cap2", "s2"))


def test_a_failed_capture_gives_its_share_back_to_the_remainder() -> None:
    failed = (capture_requested(60), capture_failed(60))
    held(capture_requested(60)).when(record_capture_failure()).then(capture_failed(60))
    held(*failed).when(record_capture_failure()).then()
    held(*failed).when(capture(60)).then()
    held(*failed).when(capture(100, "s2")).then(capture_requested(100, "s2"))
    held(*failed).when(record_capture()).then_refused("contradicts")
    held(capture_requested(60), captured(60)).when(record_capture_failure()).then_refused("contradicts")
    held().when(record_capture_failure()).then_refused("unknown_capture")


def test_a_void_releases_what_is_neither_taken_nor_being_taken() -> None:
    held().when(VOID).then(void_requested(100))
    held(capture_requested(60)).when(VOID).then(void_requested(40))
    held(capture_requested(100), captured(100)).when(VOID).then()
    held(void_requested(100)).when(VOID).then()
    pending().when(VOID).then()
    held(capture_requested(60), void_requested(40)).when(capture(40, "s2")).then(capture_refused(40, HOLDS_NONE, "s2"))
    held(capture_requested(60), void_requested(40), capture_failed(60)).when(VOID).then()


def test_a_capture_in_flight_outlives_a_void() -> None:
    held(capture_requested(60), void_requested(40)).when(record_capture()).then(captured(60))


def test_a_cancellation_before_the_answer_is_noted() -> None:
    pending().when(CANCEL).then(NOTED)
    pending(NOTED).when(CANCEL).then()
    pending(DECLINED).when(CANCEL).then()
    pending(FAILED).when(CANCEL).then()


def test_a_cancellation_undoes_what_was_held_and_what_was_taken() -> None:
    held().when(CANCEL).then(void_requested(100))
    held(void_requested(100)).when(CANCEL).then()
    two = (capture_requested(60), captured(60), capture_requested(30, "s2"), captured(30, "cap2", "s2"))
    undone = (void_requested(10), refund_requested(60), refund_requested(30, "s2"))
    held(*two).when(CANCEL).then(*undone)
    held(*two, *undone).when(CANCEL).then()
    held(*two, *undone).when(capture(1, "s3")).then(capture_refused(1, HOLDS_NONE, "s3"))
    all_back = (capture_requested(100), captured(100), refund_requested(100))
    held(*all_back).when(capture(1, "s2")).then(capture_refused(1, NOTHING_LEFT, "s2"))


def test_a_capture_that_succeeds_after_the_cancellation_is_refunded_at_once() -> None:
    held(capture_requested(100)).when(CANCEL).then(NOTED)
    held(capture_requested(100), NOTED).when(CANCEL).then()
    held(capture_requested(100), NOTED).when(record_capture()).then(captured(100), refund_requested(100))


def test_a_capture_that_fails_after_the_cancellation_releases_its_share() -> None:
    held(capture_requested(100), NOTED).when(record_capture_failure()).then(capture_failed(100), void_requested(100))
    failed = (capture_requested(100), NOTED, capture_failed(100))
    held(*failed, void_requested(100)).when(record_capture_failure()).then()
    held(*failed).when(capture(1, "s2")).then(capture_refused(1, HOLDS_NONE, "s2"))
    voided = (capture_requested(60), NOTED, void_requested(40))
    held(*voided).when(record_capture_failure()).then(capture_failed(60))


def test_a_void_is_done_once() -> None:
    voided = p.PaymentVoided(**EUR, amount_minor=100, reference="void")
    record = p.RecordVoid(**PAY, reference="void")
    held(void_requested(100)).when(record).then(voided)
    held(void_requested(100), voided).when(record).then()
    held(void_requested(100), voided).when(p.RecordVoid(**PAY, reference="x")).then_refused("second_void")
    held().when(record).then_refused("unknown_void")


def test_a_refund_is_done_once() -> None:
    taken = held(capture_requested(100), captured(100))
    asked = held(capture_requested(100), captured(100), refund_requested(100))
    refunded = p.PaymentRefunded(**EUR, refund_id="s1", amount_minor=100, reference="ref")
    record = p.RecordRefund(**PAY, refund_id="s1", reference="ref")
    asked.when(record).then(refunded)
    done = held(capture_requested(100), captured(100), refund_requested(100), refunded)
    done.when(record).then()
    done.when(p.RecordRefund(**PAY, refund_id="s1", reference="x")).then_refused("second_refund")
    taken.when(record).then_refused("unknown_refund")


def test_what_was_taken_is_given_back_in_parts_across_captures() -> None:
    two = (capture_requested(60), captured(60), capture_requested(30, "s2"), captured(30, "cap2", "s2"))
    held(*two).when(refund(70)).then(refund_requested(70, "r1"))
    held(*two, refund_requested(70, "r1")).when(refund(70)).then()
    held(*two, refund_requested(70, "r1")).when(refund(20, "r2")).then(refund_requested(20, "r2"))
    held(*two, refund_requested(70, "r1")).when(CANCEL).then(void_requested(10), refund_requested(20))
    held(*two, refund_requested(70, "r1")).when(capture(10, "s3")).then(capture_requested(10, "s3", final=True))


def test_more_than_was_taken_is_not_given_back_and_no_one_stops_over_it() -> None:
    taken = (capture_requested(60), captured(60), refund_requested(50, "r1"))
    refused = refund_refused(20, "0.20 EUR is more than the 0.10 EUR left of what was taken", "r2")
    held(*taken).when(refund(20, "r2")).then(refused)
    held(*taken, refused).when(refund(20, "r2")).then()
    held(*taken, refused).when(refund(10, "r2")).then(refund_requested(10, "r2"))
    changed = refund_refused(10, "refund r1 gives 0.50 EUR back; to give 0.10 EUR more, name another refund_id")
    held(*taken).when(refund(10)).then(changed)
    held(*taken, changed).when(refund(10)).then()
    held(capture_requested(60)).when(refund(1)).then(refund_refused(1, NOTHING_TAKEN))


def test_the_parts_of_a_refund_sum_to_it() -> None:
    line = p.RefundAllocation(kind="line", line_id="1", amount_minor=7)
    shipping = p.RefundAllocation(kind="shipping", amount_minor=3)
    taken = held(capture_requested(60), captured(60))
    whole = p.PaymentRefundRequested(
        **EUR, refund_id="r1", amount_minor=10, authorization="auth", allocations=(line, shipping)
    )
    taken.when(refund(10, "r1", line, shipping)).then(whole)
    taken.when(refund(9, "r1", line, shipping)).then(refund_refused(9, "its parts sum to 0.10 EUR, not to 0.09 EUR"))


DEPOSIT = REQUESTED.model_copy(update={"capture_now": True})
TAKEN_AT_ONCE = capture_requested(100, "o.1")


def applied(n: int, key: str = "s1") -> p.PaymentDepositApplied:
    return p.PaymentDepositApplied(**EUR, capture_id=key, amount_minor=n)


def test_a_deposit_is_taken_as_soon_as_it_is_held() -> None:
    Given(decider, DEPOSIT).when(AUTHORIZE).then(AUTHORIZED, TAKEN_AT_ONCE)
    Given(decider, DEPOSIT, AUTHORIZED, TAKEN_AT_ONCE).when(AUTHORIZE).then()
    Given(decider, DEPOSIT, NOTED).when(AUTHORIZE).then(AUTHORIZED, void_requested(100))


def test_a_deposit_is_applied_to_parcels_and_never_beyond_what_is_left_of_it() -> None:
    taken = (DEPOSIT, AUTHORIZED, TAKEN_AT_ONCE, captured(100, key="o.1"))
    Given(decider, *taken).when(capture(60)).then(applied(60))
    Given(decider, *taken, applied(60)).when(capture(60)).then()
    too_much = capture_refused(50, "0.50 EUR is more than the 0.40 EUR left of the deposit", "s2")
    Given(decider, *taken, applied(60)).when(capture(50, "s2")).then(too_much)
    Given(decider, *taken, applied(60), refund_requested(30, "r1")).when(capture(10, "s2")).then(applied(10, "s2"))
    Given(decider, DEPOSIT).when(capture(1)).then(capture_refused(1, HOLDS_NONE))


def test_what_was_given_back_of_a_deposit_is_not_applied() -> None:
    taken = (DEPOSIT, AUTHORIZED, TAKEN_AT_ONCE, captured(100, key="o.1"))
    Given(decider, *taken, refund_requested(30, "r1")).when(capture(100)).then(applied(70))
    Given(decider, *taken, refund_requested(30, "r1"), applied(70)).when(capture(100)).then()
    Given(decider, *taken, refund_requested(100, "r1")).when(capture(100)).then()


def test_a_parcel_may_be_called_as_its_deposit() -> None:
    taken = (DEPOSIT, AUTHORIZED, TAKEN_AT_ONCE, captured(100, key="o.1"))
    Given(decider, *taken).when(capture(60, "o.1")).then(applied(60, "o.1"))
    Given(decider, *taken, applied(60, "o.1")).when(capture(60, "o.1")).then()
    less = capture_refused(50, "capture o.1 takes 0.60 EUR; to take 0.50 EUR more, name another capture_id", "o.1")
    Given(decider, *taken, applied(60, "o.1")).when(capture(50, "o.1")).then(less)


def test_a_decline_says_whether_another_try_may_succeed() -> None:
    pending().when(DECLINE.model_copy(update={"retriable": True})).then(DECLINED.model_copy(update={"retriable": True}))


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
UNTIL_NOON = AUTHORIZED.model_copy(update={"expires_at": NOON})
AT_NOON = p.ExpireAuthorization(**PAY, now=NOON)
ANEW = p.RecordReauthorization(**PAY, capture_id="s1", reference="auth2")
NOT_ANEW = p.RecordReauthorizationDecline(**PAY, capture_id="s1", reason="no funds")
HELD_NO_LONGER = p.RecordCaptureFailure(**PAY, capture_id="s1", reason="expired", expired=True)


def expired(n: int) -> p.PaymentExpired:
    return p.PaymentExpired(**EUR, amount_minor=n, authorization="auth")


def asked_anew(n: int, key: str = "s1") -> p.PaymentReauthorizationRequested:
    return p.PaymentReauthorizationRequested(**EUR, capture_id=key, amount_minor=n, payment_token="tok", method="card")


def held_anew(n: int) -> p.PaymentReauthorized:
    return p.PaymentReauthorized(**EUR, capture_id="s1", amount_minor=n, reference="auth2")


def taken_anew(n: int) -> p.PaymentCaptureRequested:
    return capture_requested(n, "s1", "auth2", final=True)


def test_what_is_held_until_a_time_is_held_no_longer_from_then_on() -> None:
    pending().when(AUTHORIZE.model_copy(update={"expires_at": NOON})).then(UNTIL_NOON)
    pending(UNTIL_NOON).when(AT_NOON).then(expired(100))
    pending(UNTIL_NOON, expired(100)).when(AT_NOON).then()
    pending(UNTIL_NOON, capture_requested(60)).when(AT_NOON).then(expired(40))
    pending(UNTIL_NOON).when(p.ExpireAuthorization(**PAY, now=NOON - timedelta(seconds=1))).then()
    for nothing_is_left in (capture_requested(100), void_requested(100)):
        pending(UNTIL_NOON, nothing_is_left).when(AT_NOON).then()
    held().when(AT_NOON).then()
    pending(UNTIL_NOON, expired(100)).when(VOID).then()


def test_the_end_of_an_authorisation_may_be_reported_after_it() -> None:
    later = AUTHORIZE.model_copy(update={"expires_at": NOON})
    reported = p.PaymentExpirySet(**OF, expires_at=NOON)
    held().when(later).then(reported)
    held(reported).when(later).then()
    held(reported).when(AT_NOON).then(expired(100))
    held(void_requested(100)).when(later).then()


def test_a_provider_may_say_itself_that_it_holds_nothing_any_more() -> None:
    expiry = p.RecordExpiry(**PAY)
    held().when(expiry).then(expired(100))
    held(expired(100)).when(expiry).then()
    held(capture_requested(100)).when(expiry).then()
    pending().when(expiry).then_refused("not_authorized")


def test_a_capture_after_the_end_asks_for_a_new_authorisation_and_follows_it() -> None:
    late = (expired(100), asked_anew(60))
    held(expired(100)).when(capture(60)).then(asked_anew(60))
    held(*late).when(capture(60)).then()
    held(*late).when(capture(40, "s2")).then(asked_anew(40, "s2"))
    held(*late).when(ANEW).then(held_anew(60), taken_anew(60))
    held(*late, held_anew(60), taken_anew(60)).when(ANEW).then()
    held(*late, held_anew(60), taken_anew(60)).when(record_capture()).then(captured(60))
    too_much = capture_refused(50, "0.50 EUR is more than the 0.40 EUR left of payment o.1", "s2")
    held(*late).when(capture(50, "s2")).then(too_much)
    held(expired(100)).when(ANEW).then_refused("unknown_reauthorization")
    other = p.RecordReauthorization(**PAY, capture_id="s1", reference="auth3")
    held(*late, held_anew(60), taken_anew(60)).when(other).then_refused("second_reauthorization")


def test_a_capture_that_finds_its_authorisation_expired_asks_for_a_new_one() -> None:
    held(capture_requested(60)).when(HELD_NO_LONGER).then(expired(40), asked_anew(60))
    anew = (capture_requested(60), expired(40), asked_anew(60))
    held(*anew).when(HELD_NO_LONGER).then()
    held(*anew, held_anew(60), taken_anew(60)).when(HELD_NO_LONGER).then()
    held(*anew, held_anew(60), taken_anew(60)).when(record_capture()).then(captured(60))
    held(capture_requested(100), NOTED).when(HELD_NO_LONGER).then(capture_failed(100), void_requested(100))


def test_a_new_authorisation_that_is_declined_ends_its_capture_and_no_other() -> None:
    late = (expired(100), asked_anew(60))
    declined = p.PaymentReauthorizationDeclined(
        **EUR, capture_id="s1", amount_minor=60, reason="no funds", retriable=False
    )
    held(*late).when(NOT_ANEW).then(declined)
    held(*late, declined).when(NOT_ANEW).then()
    held(*late, declined).when(capture(100, "s2")).then(asked_anew(100, "s2"))
    held(*late, held_anew(60), taken_anew(60)).when(NOT_ANEW).then_refused("contradicts")
    let_go = p.PaymentVoidRequested(**EUR, amount_minor=60, authorization="auth2", void_id="s1")
    held(*late, declined).when(ANEW).then(held_anew(60), let_go)


def test_money_held_again_for_an_order_that_was_cancelled_meanwhile_goes_straight_back() -> None:
    late = (expired(100), asked_anew(60))
    held(*late).when(CANCEL).then(NOTED)
    let_go = p.PaymentVoidRequested(**EUR, amount_minor=60, authorization="auth2", void_id="s1")
    over = capture_failed(60).model_copy(update={"reason": "cancelled meanwhile"})
    held(*late, NOTED).when(ANEW).then(held_anew(60), over, let_go)
    voided = p.PaymentVoided(**EUR, amount_minor=60, reference="v", void_id="s1")
    gone = (held_anew(60), over, let_go)
    held(*late, NOTED, *gone).when(p.RecordVoid(**PAY, reference="v", void_id="s1")).then(voided)


def test_a_refund_that_fails_is_owed_still_and_may_be_tried_under_another_name() -> None:
    fails = p.RecordRefundFailure(**PAY, refund_id="r1", reason="account closed")
    failed = p.PaymentRefundFailed(**EUR, refund_id="r1", amount_minor=60, reason="account closed")
    asked = (capture_requested(60), captured(60), refund_requested(60, "r1"))
    done = p.PaymentRefunded(**EUR, refund_id="r1", amount_minor=60, reference="ref")
    held(*asked).when(fails).then(failed)
    held(*asked, failed).when(fails).then()
    held(*asked, failed).when(refund(60)).then()
    held(*asked, failed).when(refund(60, "r2")).then(refund_requested(60, "r2"))
    held(*asked, done).when(fails).then_refused("contradicts")
    held(*asked, failed).when(p.RecordRefund(**PAY, refund_id="r1", reference="ref")).then_refused("contradicts")
    held(*asked[:2]).when(fails).then_refused("unknown_refund")


def test_a_void_that_fails_is_reported_once() -> None:
    fails = p.RecordVoidFailure(**PAY, reason="too late")
    failed = p.PaymentVoidFailed(**EUR, amount_minor=100, void_id="", reason="too late")
    held(void_requested(100)).when(fails).then(failed)
    held(void_requested(100), failed).when(fails).then()
    held(void_requested(100), failed).when(p.RecordVoid(**PAY, reference="v")).then_refused("contradicts")
    voided = p.PaymentVoided(**EUR, amount_minor=100, reference="v")
    held(void_requested(100), voided).when(fails).then_refused("contradicts")
    held().when(fails).then_refused("unknown_void")


def test_what_no_one_answers_is_reported_once_and_can_still_be_answered() -> None:
    silence = p.RecordSilence(**PAY, operation="capture", part="s1")
    unanswered = p.PaymentUnanswered(**EUR, operation="capture", part="s1", amount_minor=60)
    held(capture_requested(60)).when(silence).then(unanswered)
    held(capture_requested(60), unanswered).when(silence).then()
    held(capture_requested(60), unanswered).when(record_capture()).then(captured(60))
    held(capture_requested(60), captured(60)).when(silence).then()
    held().when(silence).then()
    anew = p.RecordSilence(**PAY, operation="reauthorize", part="s1")
    no_answer = p.PaymentReauthorizationDeclined(
        **EUR, capture_id="s1", amount_minor=60, reason="the provider gave no answer", retriable=True
    )
    held(expired(100), asked_anew(60)).when(anew).then(no_answer)
    held(expired(100), asked_anew(60), held_anew(60), taken_anew(60)).when(anew).then()


TAKEN = (capture_requested(60), captured(60))


def dispute(n: int = 40, shape: type[p.DisputeCommand] = p.RecordDisputeOpened) -> p.DisputeCommand:
    return shape(**PAY, dispute_id="d", amount_minor=n, reason="not received")


OPENED = p.PaymentDisputeOpened(**EUR, dispute_id="d", amount_minor=40, reason="not received")
WON = p.PaymentDisputeWon(**EUR, dispute_id="d", amount_minor=40)
LOST = p.PaymentDisputeLost(**EUR, dispute_id="d", amount_minor=40)
IS_WON, IS_LOST = dispute(shape=p.RecordDisputeWon), dispute(shape=p.RecordDisputeLost)


def test_disputed_money_is_not_given_back_as_well() -> None:
    held(*TAKEN).when(dispute()).then(OPENED)
    held(*TAKEN, OPENED).when(dispute()).then()
    why = "0.30 EUR is more than the 0.20 EUR left of what was taken, with 0.40 EUR in dispute"
    held(*TAKEN, OPENED).when(refund(30)).then(refund_refused(30, why))
    held(*TAKEN, OPENED).when(refund(20)).then(refund_requested(20, "r1"))
    held(*TAKEN, OPENED, WON).when(refund(60)).then(refund_requested(60, "r1"))
    held(*TAKEN, OPENED, LOST).when(refund(30)).then(refund_refused(30, why))
    held(*TAKEN, OPENED).when(dispute(41)).then_refused("contradicts")
    held().when(dispute()).then_refused("contradicts")


def test_a_dispute_is_won_or_lost_once_even_where_its_end_is_reported_first() -> None:
    held(*TAKEN, OPENED).when(IS_WON).then(WON)
    held(*TAKEN, OPENED).when(IS_LOST).then(LOST)
    held(*TAKEN).when(IS_LOST).then(OPENED, LOST)
    for ended in (WON, LOST):
        held(*TAKEN, OPENED, ended).when(dispute()).then()
    held(*TAKEN, OPENED, LOST).when(IS_LOST).then()
    held(*TAKEN, OPENED, LOST).when(IS_WON).then_refused("contradicts")


def test_money_is_not_both_refunded_and_lost() -> None:
    refunded = p.PaymentRefunded(**EUR, refund_id="r1", amount_minor=30, reference="ref")
    given_back = (refund_requested(30, "r1"), refunded)
    held(*TAKEN, *given_back).when(dispute()).then_refused("contradicts")
    in_flight = (refund_requested(30, "r1"), OPENED)
    held(*TAKEN, *in_flight, refunded).when(IS_LOST).then_refused("contradicts")
    record = p.RecordRefund(**PAY, refund_id="r1", reference="ref")
    held(*TAKEN, *in_flight, LOST).when(record).then_refused("contradicts")
    held(capture_requested(60), OPENED, LOST).when(record_capture_failure()).then_refused("contradicts")


def test_a_cancellation_leaves_disputed_money_alone_until_the_dispute_is_won() -> None:
    taken = (capture_requested(100), captured(100), OPENED)
    held(*taken).when(CANCEL).then(NOTED, refund_requested(60))
    held(*taken, NOTED, refund_requested(60)).when(CANCEL).then()
    held(*taken, NOTED, refund_requested(60)).when(IS_WON).then(WON, refund_requested(40, "d"))
    held(*taken, NOTED, refund_requested(60)).when(IS_LOST).then(LOST)


def test_p10_a_webhook_and_the_answer_race_and_the_money_is_taken_once() -> None:
    asked = held(capture_requested(100))
    asked.when(capture(100)).then()
    asked.when(record_capture()).then(captured(100))
    reported = held(capture_requested(100), captured(100))
    reported.when(record_capture()).then()
    reported.when(capture(100)).then()
    reported.when(record_capture_failure()).then_refused("contradicts")


def test_p19_a_double_click_refunds_once() -> None:
    once = (*TAKEN, refund_requested(30, "r1"))
    held(*TAKEN).when(refund(30)).then(refund_requested(30, "r1"))
    held(*once).when(refund(30)).then()
    done = p.PaymentRefunded(**EUR, refund_id="r1", amount_minor=30, reference="ref")
    held(*once, done).when(refund(30)).then()
    held(*once, done).when(p.RecordRefund(**PAY, refund_id="r1", reference="ref")).then()


OUTSTANDING = (
    capture_requested(30, "s0"),
    captured(30, "cap0", "s0"),
    capture_requested(60),
    refund_requested(20, "r1"),
    void_requested(10),
)
CALLBACKS: tuple[Command, ...] = (
    AUTHORIZE,
    record_capture(),
    p.RecordRefund(**PAY, refund_id="r1", reference="ref"),
    p.RecordVoid(**PAY, reference="void"),
    dispute(),
)


def reported(state: Payment, callback: Command) -> Payment:
    return reduce(decider.evolve, decider.decide(state, callback), state)


def test_callbacks_converge_in_any_order_with_any_repeats() -> None:
    """The graph has an edge for everything that may be reported next: every order, with every repeat, is a path
    through it."""
    begun = held(*OUTSTANDING).state
    reached, frontier = {frozenset[int](): begun}, [frozenset[int]()]
    while frontier:
        heard = frontier.pop()
        for number, callback in enumerate(CALLBACKS):
            after, now = heard | {number}, reported(reached[heard], callback)
            assert (now == reached[heard]) == (number in heard or callback is AUTHORIZE)
            if after not in reached:
                frontier.append(after)
            assert reached.setdefault(after, now) == now
    assert len(reached) == 2 ** len(CALLBACKS)
    settled = reached[frozenset(range(len(CALLBACKS)))]
    assert (settled.captured, settled.gone, settled.disputed, settled.refundable) == (90, 20, 40, 30)


@pytest.mark.parametrize("repeated", range(len(CALLBACKS)))
def test_p13_every_callback_reported_in_every_order_with_a_repeat_settles_once(repeated: int) -> None:
    begun = held(*OUTSTANDING).state
    ends = {
        tuple(sorted(reduce(reported, (CALLBACKS[i] for i in order), begun).effects.items()))
        for order in permutations((*range(len(CALLBACKS)), repeated))
    }
    assert len(ends) == 1


def test_of_an_unknown_payment_there_is_nothing_to_undo_and_nothing_to_report() -> None:
    undoing: tuple[Command, ...] = (VOID, CANCEL, AT_NOON)
    for command in undoing:
        Given(decider).when(command).then()
    reports: tuple[Command, ...] = (AUTHORIZE, DECLINE, FAIL, record_capture(), record_capture_failure(), dispute())
    for command in reports:
        Given(decider).when(command).then_refused("unknown_payment")


def test_what_our_consumers_ask_of_an_unknown_payment_is_reported_to_its_order() -> None:
    nobody = "there is no such payment"
    Given(decider).when(capture(1)).then(capture_refused(1, nobody).model_copy(update={"currency": ""}))
    Given(decider, capture_refused(1, nobody)).when(capture(1)).then()
    Given(decider).when(refund(1)).then(refund_refused(1, nobody).model_copy(update={"currency": ""}))
    Given(decider, refund_refused(1, nobody)).when(refund(1)).then()


# --- at the edges


def opened(n: int, key: str) -> p.PaymentDisputeOpened:
    return OPENED.model_copy(update={"dispute_id": key, "amount_minor": n})


def about(n: int, key: str, shape: type[p.DisputeCommand] = p.RecordDisputeOpened) -> p.DisputeCommand:
    return dispute(n, shape).model_copy(update={"dispute_id": key})


def test_disputes_are_about_all_that_was_taken_and_together_about_no_more() -> None:
    held(*TAKEN).when(about(60, "d")).then(opened(60, "d"))
    held(*TAKEN).when(about(61, "d")).then_refused("contradicts")
    held(*TAKEN, OPENED).when(about(20, "e")).then(opened(20, "e"))
    held(*TAKEN, OPENED).when(about(21, "e")).then_refused("contradicts")
    all_lost = LOST.model_copy(update={"amount_minor": 60})
    held(*TAKEN, opened(60, "d")).when(about(60, "d", p.RecordDisputeLost)).then(all_lost)


def test_a_dispute_that_was_won_is_won_once_and_not_lost_afterwards() -> None:
    won = held(*TAKEN, OPENED, WON)
    won.when(IS_WON).then()
    won.when(IS_LOST).then_refused("contradicts")
    held(*TAKEN).when(IS_WON).then(OPENED, WON)
    won.when(about(60, "e")).then(opened(60, "e"))


def test_what_is_in_dispute_or_used_up_of_a_deposit_is_not_applied() -> None:
    taken = (DEPOSIT, AUTHORIZED, TAKEN_AT_ONCE, captured(100, key="o.1"))
    some_back = refund_requested(20, "r1")
    Given(decider, *taken, some_back, applied(60)).when(capture(40, "s2")).then(applied(20, "s2"))
    Given(decider, *taken, OPENED).when(capture(100)).then(applied(60))
    Given(decider, *taken, OPENED, applied(60)).when(capture(40, "s2")).then()
    nothing_left = capture_refused(1, "0.01 EUR is more than the 0.00 EUR left of the deposit", "s2")
    Given(decider, *taken, applied(100)).when(capture(1, "s2")).then(nothing_left)


def test_its_status_says_what_came_of_the_request() -> None:
    reported: list[tuple[Given, str]] = [
        (Given(decider), "new"),
        (pending(), "pending"),
        (pending(DECLINED), "declined"),
        (pending(FAILED), "failed"),
        (held(), "authorized"),
    ]
    assert [given.state.status for given, _ in reported] == [status for _, status in reported]


def test_money_held_again_and_taken_is_not_held_again_when_that_is_sent_again() -> None:
    expired = p.PaymentExpired(**EUR, amount_minor=100, authorization="auth")
    asked = p.PaymentReauthorizationRequested(
        **EUR, amount_minor=60, capture_id="s1", payment_token="tok", method="card"
    )
    renewed = p.PaymentReauthorized(**EUR, amount_minor=60, capture_id="s1", reference="anew")
    taken = (expired, asked, renewed, capture_requested(60, authorization="anew", final=True), captured(60))
    again = p.RecordReauthorization(**PAY, capture_id="s1", reference="anew")
    held(*taken).when(again).then()
    held(*taken).when(again.model_copy(update={"reference": "other"})).then_refused("second_reauthorization")
    held(expired).when(again).then_refused("unknown_reauthorization")


def test_a_failed_capture_that_is_tried_again_counts_once() -> None:
    failed = (capture_requested(60), capture_failed(60))
    state = held(*failed).state
    assert (state.taken, state.left) == (0, 100)
    again = held(*failed, capture_requested(60, "s2"), captured(60, key="s2")).state
    assert (again.taken, again.captured, again.left) == (60, 60, 40)


def test_a_refund_says_why_and_for_what() -> None:
    part = p.RefundAllocation(kind="shipping", amount_minor=30)
    asked = refund(30, "r1", part).model_copy(update={"reason": "late"})
    reported = refund_requested(30, "r1").model_copy(update={"reason": "late", "allocations": (part,)})
    held(*TAKEN).when(asked).then(reported)


def test_a_payment_that_no_one_asked_for_is_named_after_its_order_whatever_that_is_called() -> None:
    ask = p.CapturePayment(payment_id="shop.7.1", capture_id="s1", amount_minor=1)
    (refused,) = decider.decide(decider.initial, ask)
    assert isinstance(refused, p.PaymentCaptureRefused)
    assert (refused.order_id, refused.payment_id) == ("shop.7", "shop.7.1")
    (alone,) = decider.decide(decider.initial, ask.model_copy(update={"payment_id": "alone"}))
    assert isinstance(alone, p.PaymentCaptureRefused)
    assert alone.order_id == "alone"
