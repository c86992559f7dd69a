"""The feedback to one order. Invariant: each feedback counts once, however often it is reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rpds import HashTrieMap

from oms_es.kernel import Decider, Refused
from oms_es.schemas.returns.feedback import FeedbackRecorded, RecordFeedback
from oms_es.schemas.returns.refusals import ReturnsRefusal

FEEDBACKS_MAX = 1_000
"""How many feedbacks one order may have; no customer gives more."""


class Feedback(NamedTuple):
    given: HashTrieMap[str, FeedbackRecorded] = HashTrieMap()


def evolve(feedback: Feedback, event: FeedbackRecorded) -> Feedback:
    return Feedback(feedback.given.insert(event.feedback_id, event))


def decide(feedback: Feedback, command: RecordFeedback) -> Iterator[FeedbackRecorded]:
    recorded = FeedbackRecorded(**command.model_dump())
    known = feedback.given.get(command.feedback_id)
    if known == recorded:
        return
    if known is not None:
        raise Refused(
            ReturnsRefusal.ALREADY_RECORDED,
            f"feedback {command.feedback_id} was recorded with other content; use another feedback_id",
        )
    if (command.subject == "order") == bool(command.about):
        raise Refused(
            ReturnsRefusal.UNCLEAR_SUBJECT, "name the SKU or carrier in about, and nothing for the order itself"
        )
    if len(feedback.given) >= FEEDBACKS_MAX:
        raise Refused(
            ReturnsRefusal.TOO_MUCH, f"order {command.order_id} has {FEEDBACKS_MAX} feedbacks already; no more are kept"
        )
    yield recorded


decider = Decider("feedback", Feedback(), evolve, decide, accepts=(RecordFeedback,), emits=(FeedbackRecorded,))
