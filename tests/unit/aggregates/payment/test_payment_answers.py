"""An outcome that does not arrive is requested again under the same key, a few times, and then reported to a person."""

from __future__ import annotations

from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.payment.answers import NO_ANSWER
from oms_es.aggregates.payment.decider import decider
from oms_es.kernel import Event
from oms_es.schemas import payment as p
from oms_es.schemas.payment.answers import CHASES_MAX

OF: Any = {"payment_id": "o.1", "order_id": "o"}
PAY: Any = {"payment_id": "o.1"}
EUR: Any = {**OF, "currency": "EUR", "amount_minor": 100}
REQUESTED = p.PaymentRequested(**EUR, payment_token="tok")
AUTHORIZED = p.PaymentAuthorized(**EUR, reference="auth")
CAPTURING = p.PaymentCaptureRequested(**EUR, capture_id="s1", authorization="auth", final=True)
CAPTURED = p.PaymentCaptured(**EUR, capture_id="s1", reference="cap")
QUESTION: Any = {
    "operation": "capture",
    "part": "s1",
    "key": "k",
    "amount_minor": 100,
    "currency": "EUR",
    "authorization": "auth",
}
PENDING = p.RecordAnswerPending(**PAY, **QUESTION)
CHASE = p.ChaseAnswer(**PAY, operation="capture", part="s1")
SETTLED = p.PaymentAnswerSettled(**OF, operation="capture", part="s1")
CAPTURE: tuple[Event, ...] = (REQUESTED, AUTHORIZED, CAPTURING)


def awaited(attempt: int = 1, **question: Any) -> p.PaymentAnswerAwaited:
    return p.PaymentAnswerAwaited(**OF, **{**QUESTION, **question}, attempt=attempt)


def chased(attempt: int = 1, **question: Any) -> p.PaymentAnswerChased:
    return p.PaymentAnswerChased(**OF, **{**QUESTION, **question}, attempt=attempt)


def test_what_a_callback_will_report_is_awaited_once() -> None:
    Given(decider, *CAPTURE).when(PENDING).then(awaited())
    Given(decider, *CAPTURE, awaited()).when(PENDING).then()


def test_the_gateway_that_has_the_payment_is_asked() -> None:
    of_stripe = (REQUESTED.model_copy(update={"gateway": "stripe"}), *CAPTURE[1:])
    Given(decider, *of_stripe).when(PENDING).then(awaited(gateway="stripe"))


def test_what_a_callback_reported_before_is_not_awaited() -> None:
    Given(decider, *CAPTURE, CAPTURED).when(PENDING).then()


def test_an_answer_that_does_not_come_is_asked_for_by_the_key_that_the_provider_knows() -> None:
    Given(decider, *CAPTURE, awaited()).when(CHASE).then(chased())
    Given(decider, *CAPTURE, awaited(), chased()).when(CHASE).then()
    Given(decider, *CAPTURE).when(CHASE).then()
    Given(decider, *CAPTURE, awaited(), chased()).when(PENDING).then(awaited(2))


def test_an_answer_that_came_meanwhile_is_not_asked_for() -> None:
    Given(decider, *CAPTURE, awaited(), CAPTURED).when(CHASE).then(SETTLED)
    Given(decider, *CAPTURE, awaited(), CAPTURED, SETTLED).when(CHASE).then()


def test_after_so_many_questions_in_vain_a_person_finds_out() -> None:
    vain = [event for n in range(1, CHASES_MAX + 1) for event in (awaited(n), chased(n))]
    unknown = p.PaymentUnanswered(**EUR, operation="capture", part="s1")
    Given(decider, *CAPTURE, *vain[:-2]).when(PENDING).then(awaited(CHASES_MAX))
    Given(decider, *CAPTURE, *vain).when(PENDING).then(SETTLED, unknown)
    Given(decider, *CAPTURE, *vain, SETTLED, unknown).when(PENDING).then()
    reported = p.RecordCapture(**PAY, capture_id="s1", reference="cap")
    Given(decider, *CAPTURE, *vain, SETTLED, unknown).when(reported).then(CAPTURED)


REFUNDING = p.PaymentRefundRequested(**EUR, refund_id="r", authorization="auth")
VOIDING = p.PaymentVoidRequested(**EUR, authorization="auth")
EXPIRED = p.PaymentExpired(**EUR, authorization="auth")
RENEWING = p.PaymentReauthorizationRequested(**EUR, capture_id="s1", payment_token="tok", method="card")


@pytest.mark.parametrize(
    ("asked", "question", "in_vain"),
    [
        ((REQUESTED,), {"operation": "authorize", "part": ""}, p.PaymentFailed(**OF, reason=NO_ANSWER)),
        (
            (REQUESTED, AUTHORIZED, EXPIRED, RENEWING),
            {"operation": "reauthorize"},
            p.PaymentReauthorizationDeclined(**EUR, capture_id="s1", reason=NO_ANSWER, retriable=True),
        ),
        (
            (REQUESTED, AUTHORIZED, VOIDING),
            {"operation": "void", "part": ""},
            p.PaymentUnanswered(**EUR, operation="void", part=""),
        ),
        (
            (*CAPTURE, CAPTURED, REFUNDING),
            {"operation": "refund", "part": "r"},
            p.PaymentUnanswered(**EUR, operation="refund", part="r"),
        ),
    ],
    ids=["authorize", "reauthorize", "void", "refund"],
)
def test_whatever_was_asked_is_chased_and_given_up(
    asked: tuple[Event, ...], question: Any, in_vain: p.PaymentEvent
) -> None:
    pending = p.RecordAnswerPending(**PAY, **{**QUESTION, **question})
    chase = p.ChaseAnswer(**PAY, operation=pending.operation, part=pending.part)
    Given(decider, *asked).when(pending).then(awaited(**question))
    Given(decider, *asked, awaited(**question)).when(chase).then(chased(**question))
    last = (awaited(CHASES_MAX, **question), chased(CHASES_MAX, **question))
    settled = p.PaymentAnswerSettled(**OF, operation=pending.operation, part=pending.part)
    Given(decider, *asked, *last).when(pending).then(settled, in_vain)


def test_no_one_asks_about_a_payment_that_does_not_exist() -> None:
    Given(decider).when(CHASE).then_refused("unknown_payment")
