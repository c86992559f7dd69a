"""Feedback: one row per rating, with its subject and time; the text beside it is in history alone."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, DateTime, Index, Integer, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.returns.feedback import FeedbackRecorded

table = Table(
    "feedback",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("feedback_id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("rating", Integer, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Index("feedback_by_time", "recorded_at", "order_id", "feedback_id"),
)
projection = Projection(table, insert_only=True, fed_by=("feedback-{order_id}",))


def key_of_feedback(event: FeedbackRecorded) -> Iterable[Key]:
    return ((event.order_id, event.feedback_id),)


@projection.on(FeedbackRecorded, keys=key_of_feedback)
def on_feedback_recorded(_row: Row | None, event: FeedbackRecorded, recorded: Recorded, _key: Key) -> Row:
    return {
        "order_id": event.order_id,
        "feedback_id": event.feedback_id,
        "subject": event.subject,
        "about": event.about,
        "rating": event.rating,
        "recorded_at": recorded.recorded_at,
    }
