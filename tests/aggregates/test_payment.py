"""Three tests per rule, happy, nothing happens, refused: money is taken once, and given back when nobody wants it."""

from __future__ import annotations

from typing import Any

from dsl import Given
from oms_es.aggregates.payment import decider
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
NOTED = p.PaymentCancellationNoted(**OF)
VOID = p.VoidPayment(**PAY)
CANCEL = p.CancelPayment(**PAY)


def capture(n: int, key: str = "s1") -> p.CapturePayment:
    return p.CapturePayment(**PAY, capture_id=key, amount_minor=n)


def capture_requested(n: int, key: str = "s1") -> p.PaymentCaptureRequested:
    return p.PaymentCaptureRequested(**EUR, capture_id=key, amount_minor=n, authorization="auth")


def record_capture(reference: str = "cap", key: str = "s1") -> p.RecordCapture:
    return p.RecordCapture(**PAY, capture_id=key, reference=reference)


def captured(n: int, reference: str = "cap", key: str = "s1") -> p.PaymentCaptured:
    return p.PaymentCaptured(**EUR, capture_id=key, amount_minor=n, reference=reference)


def record_capture_failure(key: str = "s1") -> p.RecordCaptureFailure:
    return p.RecordCaptureFailure(**PAY, capture_id=key, reason="expired")


def capture_failed(n: int, key: str = "s1") -> p.PaymentCaptureFailed:
    return p.PaymentCaptureFailed(**OF, capture_id=key, amount_minor=n, reason="expired")


def void_requested(n: int) -> p.PaymentVoidRequested:
    return p.PaymentVoidRequested(**EUR, amount_minor=n, authorization="auth")


def refund_requested(n: int, key: str = "s1") -> p.PaymentRefundRequested:
    return p.PaymentRefundRequested(**EUR, refund_id=key, amount_minor=n, authorization="auth")


def refund(n: int, key: str = "r1", *parts: p.RefundAllocation) -> p.RefundPayment:
    return p.RefundPayment(**PAY, refund_id=key, amount_minor=n, allocations=parts)


def refund_refused(n: int, reason: str, key: str = "r1") -> p.PaymentRefundRefused:
    return p.PaymentRefundRefused(**OF, refund_id=key, amount_minor=n, reason=reason)


def pending(*then: Event) -> Given:
    return Given(decider, REQUESTED, *then)


def held(*then: Event) -> Given:
    """100 are authorised."""
    return pending(AUTHORIZED, *then)


def test_money_is_asked_for_once() -> None:
    Given(decider).when(REQUEST).then(REQUESTED)
    pending().when(REQUEST).then()
    pending().when(REQUEST.model_copy(update={"amount_minor": 101})).then_refused("already_requested")


def test_the_amount_held_is_the_amount_asked_for() -> None:
    pending().when(AUTHORIZE).then(AUTHORIZED)
    held().when(AUTHORIZE).then()
    held().when(p.RecordAuthorization(**PAY, reference="other")).then_refused("second_authorization")


def test_money_that_comes_after_the_order_gave_up_goes_straight_back() -> None:
    for gave_up in (NOTED, DECLINED, FAILED):
        pending(gave_up).when(AUTHORIZE).then(AUTHORIZED, void_requested(100))
        pending(gave_up, AUTHORIZED, void_requested(100)).when(AUTHORIZE).then()
        pending(gave_up, AUTHORIZED, void_requested(100)).when(capture(1)).then_refused("not_authorized")


def test_a_decline_is_told_once_and_contradicts_money_that_is_held() -> None:
    pending().when(DECLINE).then(DECLINED)
    pending(NOTED).when(DECLINE).then(DECLINED)
    pending(DECLINED).when(DECLINE).then()
    pending(FAILED).when(DECLINE).then()
    pending(DECLINED, AUTHORIZED, void_requested(100)).when(DECLINE).then()
    held().when(DECLINE).then_refused("contradicts")
    pending(FAILED, AUTHORIZED, void_requested(100)).when(DECLINE).then_refused("contradicts")


def test_no_answer_is_told_once_and_contradicts_nothing() -> None:
    pending().when(FAIL).then(FAILED)
    pending(FAILED).when(FAIL).then()
    pending(DECLINED).when(FAIL).then()
    held().when(FAIL).then()


def test_a_capture_takes_what_is_held_once() -> None:
    held().when(capture(60)).then(capture_requested(60))
    held(capture_requested(60)).when(capture(60)).then()
    held(capture_requested(60)).when(capture(60, "s2")).then_refused("exceeds_authorization")
    held(capture_requested(60)).when(capture(40, "s2")).then(capture_requested(40, "s2"))
    held(capture_requested(60)).when(capture(30)).then_refused("capture_repeated")
    pending().when(capture(60)).then_refused("not_authorized")
    pending(DECLINED).when(capture(60)).then_refused("not_authorized")


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


def test_a_void_lets_go_of_what_is_neither_taken_nor_being_taken() -> None:
    held().when(VOID).then(void_requested(100))
    held(capture_requested(60)).when(VOID).then(void_requested(40))
    held(capture_requested(100), captured(100)).when(VOID).then()
    held(void_requested(100)).when(VOID).then()
    pending().when(VOID).then()
    held(capture_requested(60), void_requested(40)).when(capture(40, "s2")).then_refused("not_authorized")
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
    held(*two, *undone).when(capture(1, "s3")).then_refused("not_authorized")
    all_back = (capture_requested(100), captured(100), refund_requested(100))
    held(*all_back).when(capture(1, "s2")).then_refused("exceeds_authorization")


def test_a_capture_that_succeeds_after_the_cancellation_is_refunded_at_once() -> None:
    held(capture_requested(100)).when(CANCEL).then(NOTED)
    held(capture_requested(100), NOTED).when(CANCEL).then()
    held(capture_requested(100), NOTED).when(record_capture()).then(captured(100), refund_requested(100))


def test_a_capture_that_fails_after_the_cancellation_lets_go_of_its_share() -> None:
    held(capture_requested(100), NOTED).when(record_capture_failure()).then(capture_failed(100), void_requested(100))
    failed = (capture_requested(100), NOTED, capture_failed(100))
    held(*failed, void_requested(100)).when(record_capture_failure()).then()
    held(*failed).when(capture(1, "s2")).then_refused("not_authorized")
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
    held(*two, refund_requested(70, "r1")).when(capture(10, "s3")).then(capture_requested(10, "s3"))


def test_more_than_was_taken_is_not_given_back_and_nobody_stops_over_it() -> None:
    taken = (capture_requested(60), captured(60), refund_requested(50, "r1"))
    refused = refund_refused(20, "20 is more than the 10 left of what was taken", "r2")
    held(*taken).when(refund(20, "r2")).then(refused)
    held(*taken, refused).when(refund(20, "r2")).then()
    held(*taken, refused).when(refund(10, "r2")).then(refund_requested(10, "r2"))
    changed = refund_refused(10, "refund r1 gives 50 back; to give 10 more, name another refund_id")
    held(*taken).when(refund(10)).then(changed)
    held(*taken, changed).when(refund(10)).then()
    held(capture_requested(60)).when(refund(1)).then(refund_refused(1, "1 is more than the 0 left of what was taken"))


def test_the_parts_of_a_refund_sum_to_it() -> None:
    line = p.RefundAllocation(kind="line", line_id="1", amount_minor=7)
    shipping = p.RefundAllocation(kind="shipping", amount_minor=3)
    taken = held(capture_requested(60), captured(60))
    whole = p.PaymentRefundRequested(
        **EUR, refund_id="r1", amount_minor=10, authorization="auth", allocations=(line, shipping)
    )
    taken.when(refund(10, "r1", line, shipping)).then(whole)
    taken.when(refund(9, "r1", line, shipping)).then(refund_refused(9, "its parts sum to 10, not to 9"))


def test_a_deposit_is_taken_as_soon_as_it_is_held() -> None:
    deposit = REQUESTED.model_copy(update={"capture_now": True})
    taken = capture_requested(100, "o.1")
    Given(decider, deposit).when(AUTHORIZE).then(AUTHORIZED, taken)
    Given(decider, deposit, AUTHORIZED, taken).when(AUTHORIZE).then()
    Given(decider, deposit, NOTED).when(AUTHORIZE).then(AUTHORIZED, void_requested(100))


def test_a_decline_says_whether_another_try_may_succeed() -> None:
    pending().when(DECLINE.model_copy(update={"retriable": True})).then(DECLINED.model_copy(update={"retriable": True}))


def test_of_an_unknown_payment_there_is_nothing_to_undo_and_nothing_to_report() -> None:
    undoing: tuple[Command, ...] = (VOID, CANCEL)
    for command in undoing:
        Given(decider).when(command).then()
    reports: tuple[Command, ...] = (AUTHORIZE, DECLINE, FAIL, capture(1), record_capture(), record_capture_failure())
    for command in reports:
        Given(decider).when(command).then_refused("unknown_payment")
