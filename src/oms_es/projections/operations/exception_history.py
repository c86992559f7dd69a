"""Exception history: what people did about each exception.

An exception is open if it was raised after it was last resolved; its current text is in open_exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.operations.exception import (
    ExceptionAssigned,
    ExceptionEvent,
    ExceptionResolved,
    ExceptionSnoozed,
)

table = Table(
    "exception_history",
    METADATA,
    Column("exception_id", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("what", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("raised_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("assignee", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("until", DateTime(timezone=True)),
    Index("exception_history_by_what", "what", "position"),
)
projection = Projection(table, version=2, insert_only=True)
ASSIGNED, SNOOZED, RESOLVED = "assigned", "snoozed", "resolved"
WHAT: Mapping[type[ExceptionEvent], str] = {
    ExceptionAssigned: ASSIGNED,
    ExceptionSnoozed: SNOOZED,
    ExceptionResolved: RESOLVED,
}


def key_of_exception_entry(event: ExceptionEvent, recorded: Recorded) -> Iterable[Key]:
    return ((event.exception_id, recorded.position),)


@projection.on(*WHAT, keys=key_of_exception_entry)
def on_anything_done_about_it(_row: Row | None, event: Any, recorded: Recorded, key: Key) -> Row:
    return {
        "exception_id": key[0],
        "position": key[1],
        "what": WHAT[type(event)],
        "kind": event.exception_id.partition("/")[0],
        "order_id": event.order_id,
        "raised_at": event.raised_at,
        "recorded_at": recorded.recorded_at,
        "actor": recorded.actor,
        "assignee": event.assignee if isinstance(event, ExceptionAssigned) else "",
        "note": event.note,
        "detail": event.detail,
        "until": event.until if isinstance(event, ExceptionSnoozed) else None,
    }
