"""Exception history: what people did about each exception. An exception is open while it was raised after it was last
resolved; what it says now is in open_exceptions."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.operations.exception import ExceptionAssigned, ExceptionEvent, ExceptionResolved

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
    Index("exception_history_by_what", "what", "position"),
)
projection = Projection(table, insert_only=True)
ASSIGNED, RESOLVED = "assigned", "resolved"


def key_of_exception_entry(event: ExceptionEvent, recorded: Recorded) -> Iterable[Key]:
    return ((event.exception_id, recorded.position),)


@projection.on(ExceptionAssigned, ExceptionResolved, keys=key_of_exception_entry)
def on_exception_assigned_or_exception_resolved(
    _row: Row | None, event: ExceptionAssigned | ExceptionResolved, recorded: Recorded, key: Key
) -> Row:
    return {
        "exception_id": key[0],
        "position": key[1],
        "what": ASSIGNED if isinstance(event, ExceptionAssigned) else RESOLVED,
        "kind": event.exception_id.partition("/")[0],
        "order_id": event.order_id,
        "raised_at": event.raised_at,
        "recorded_at": recorded.recorded_at,
        "actor": recorded.actor,
        "assignee": event.assignee if isinstance(event, ExceptionAssigned) else "",
        "note": event.note,
        "detail": event.detail,
    }
