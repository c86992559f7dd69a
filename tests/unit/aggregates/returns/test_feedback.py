"""Feedback on an order, a SKU of it, or its carrier: each counts once."""

from __future__ import annotations

from typing import Any

from dsl import Given
from oms_es.aggregates.returns.feedback import FEEDBACKS_MAX, decider
from oms_es.schemas.returns.feedback import FeedbackRecorded, RecordFeedback

SAID: dict[str, Any] = {"order_id": "order", "feedback_id": "f1", "subject": "sku", "about": "TEA", "rating": 4}


def test_feedback_is_recorded_once() -> None:
    recorded = FeedbackRecorded(**SAID, text="")
    Given(decider).when(RecordFeedback(**SAID)).then(recorded)
    Given(decider, recorded).when(RecordFeedback(**SAID)).then()
    Given(decider, recorded).when(RecordFeedback(**{**SAID, "rating": 1})).then_refused("already_recorded")


def test_it_says_what_it_is_about() -> None:
    Given(decider).when(RecordFeedback(**{**SAID, "about": ""})).then_refused("unclear_subject")
    Given(decider).when(RecordFeedback(**{**SAID, "subject": "order"})).then_refused("unclear_subject")


def test_it_is_bounded() -> None:
    many = [FeedbackRecorded(**{**SAID, "feedback_id": str(n)}, text="") for n in range(FEEDBACKS_MAX)]
    Given(decider, *many).when(RecordFeedback(**SAID)).then_refused("too_much")
