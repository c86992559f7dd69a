"""Feedback scores: the number of ratings of each order, SKU and carrier, and their sum."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.returns.feedback import FeedbackRecorded

table = Table(
    "feedback_scores",
    METADATA,
    Column("subject", Text, primary_key=True),
    Column("about", Text, primary_key=True),
    Column("ratings", BigInteger, nullable=False),
    Column("rating_sum", BigInteger, nullable=False),
    Column("lowest", BigInteger, nullable=False),
)
projection = Projection(table, shared=True)


def key_of_subject(event: FeedbackRecorded) -> Iterable[Key]:
    return ((event.subject, event.about),)


@projection.on(FeedbackRecorded, keys=key_of_subject)
def on_feedback_recorded(row: Row | None, event: FeedbackRecorded, key: Key) -> Row:
    so_far = row or {"subject": key[0], "about": key[1], "ratings": 0, "rating_sum": 0, "lowest": event.rating}
    return {
        **so_far,
        "ratings": so_far["ratings"] + 1,
        "rating_sum": so_far["rating_sum"] + event.rating,
        "lowest": min(so_far["lowest"], event.rating),
    }
