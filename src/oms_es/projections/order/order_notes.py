"""Order notes: the notes of people about each order, in the order in which they were added."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, DateTime, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import OrderNoteAdded
from oms_es.schemas.values.personal import PERSONAL_COLUMN

table = Table(
    "order_notes",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("note_id", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("note_text", Text, nullable=False, info=PERSONAL_COLUMN),
)
projection = Projection(table, insert_only=True)


def key_of_note(event: OrderNoteAdded, recorded: Recorded) -> Iterable[Key]:
    return ((event.order_id, recorded.position),)


@projection.on(OrderNoteAdded, keys=key_of_note)
def on_order_note_added(_row: Row | None, event: OrderNoteAdded, recorded: Recorded, key: Key) -> Row:
    return {
        "order_id": key[0],
        "position": key[1],
        "note_id": event.note_id,
        "recorded_at": recorded.recorded_at,
        "actor": recorded.actor,
        "note_text": event.note_text,
    }
