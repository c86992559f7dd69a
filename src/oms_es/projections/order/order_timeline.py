"""Order timeline: every event of an order, in whichever stream it was recorded, with the event that caused it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Table, Text, Uuid

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.projections.order.timeline_sentences import TEMPLATES, sentence_of

table = Table(
    "order_timeline",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("event", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("caused_by", Uuid),
    Column("actor", Text, nullable=False),
    Column("summary", Text, nullable=False),
)
projection = Projection(table, version=8, insert_only=True)


def key_of_timeline_entry(event: Any, recorded: Recorded) -> Iterable[Key]:
    return ((event.order_id, recorded.position),) if event.order_id else ()


@projection.on(*TEMPLATES, keys=key_of_timeline_entry)
def on_any_event(_row: Row | None, event: Event, recorded: Recorded, key: Key) -> Row:
    return {
        "order_id": key[0],
        "position": recorded.position,
        "recorded_at": recorded.recorded_at,
        "event": type(event).__name__,
        "stream": recorded.stream,
        "version": recorded.version,
        "event_id": recorded.event_id,
        "caused_by": recorded.caused_by,
        "actor": recorded.actor,
        "summary": sentence_of(event),
    }
