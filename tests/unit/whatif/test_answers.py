"""The same request at another time gets history's answer, also if that was a refusal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from oms_es.kernel import Command, Event, Recorded
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.whatif.answers import BADLY, BY_ASKED, Answers

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = timedelta(days=1)
PAY: Any = {"payment_id": "o.1", "order_id": "o", "amount_minor": 100}
EUR: Any = {**PAY, "currency": "EUR"}
SHIP: Any = {"shipment_id": "o.1", "order_id": "o"}


def recorded(number: int, event: Event, at: datetime) -> Recorded:
    stream = f"payment-{PAY['payment_id']}" if isinstance(event, p.PaymentEvent) else "shipment-o.1"
    return Recorded(number, stream, number, event, UUID(int=number), at, None, "o", "test")


CASES: list[tuple[Event, Event, Command]] = [
    (
        p.PaymentRequested(**EUR, payment_token="t"),
        p.PaymentDeclined(payment_id="o.1", order_id="o", reason="no funds", retriable=True),
        p.RecordDecline(payment_id="o.1", reason="no funds", retriable=True),
    ),
    (
        p.PaymentCaptureRequested(**EUR, capture_id="s1", authorization="a", final=True),
        p.PaymentCaptureFailed(**EUR, capture_id="s1", reason="gone"),
        p.RecordCaptureFailure(payment_id="o.1", capture_id="s1", reason="gone"),
    ),
    (
        p.PaymentRefundRequested(**EUR, refund_id="r1", authorization="a"),
        p.PaymentRefundFailed(**EUR, refund_id="r1", reason="closed"),
        p.RecordRefundFailure(payment_id="o.1", refund_id="r1", reason="closed"),
    ),
]


@pytest.mark.parametrize(("asked", "answered", "command"), CASES, ids=lambda case: type(case).__name__)
def test_what_history_answered_badly_is_answered_badly_at_another_time(
    asked: Event, answered: Event, command: Command
) -> None:
    question = recorded(1, asked, NOON)
    history = [question, recorded(2, answered, NOON + timedelta(minutes=5))]
    answers = Answers(history, {question.event_id: question}, timedelta(seconds=1))
    answers.note(question._replace(recorded_at=NOON + LATER))
    due = answers.next_by(NOON + 2 * LATER)
    assert due
    assert (due.command, due.at) == (command, NOON + LATER + timedelta(minutes=5))
    assert not answers.orders, "history has an answer to it"


def test_a_parcel_that_came_back_comes_back_when_it_leaves_on_another_day() -> None:
    of: Any = {**SHIP, "location": "berlin", "items": ()}
    left = sh.ShipmentDispatched.model_construct(**of, payment_id="o.1", dispatched_at=NOON)
    back = sh.ShipmentReturnedToSender(**of, carton_ids=(), returned_at=NOON + LATER, complete=True)
    question = recorded(1, left, NOON)
    answers = Answers([question, recorded(2, back, NOON + LATER)], {question.event_id: question}, timedelta(seconds=1))
    answers.note(question._replace(recorded_at=NOON + LATER))
    due = answers.next_by(NOON + 3 * LATER)
    assert due
    assert isinstance(due.command, sh.RecordMilestone)
    assert (due.command.status, due.command.occurred_at) == ("returned", NOON + 2 * LATER)


def test_every_bad_answer_is_one_to_a_question_that_has_a_good_one() -> None:
    assert {asked for asked, _ in BADLY.values()} <= set(BY_ASKED)
