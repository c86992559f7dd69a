"""Connections: the senders of webhooks, by name; a row has the id of a secret, never the secret."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.operations import connection as con

table = Table(
    "connections",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("dialect", Text, nullable=False),
    Column("channel", Text),
    Column("secret_id", Text, nullable=False),
    Column("previous_secret_id", Text, nullable=False),
    Column("previous_until", DateTime(timezone=True)),
    Column("is_disabled", Boolean, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text, nullable=False),
)
projection = Projection(table, fed_by=("connection-{name}",))


def key_of_connection(event: con.ConnectionEvent) -> Iterable[Key]:
    return ((event.name,),)


def _changed(recorded: Recorded) -> dict[str, Any]:
    return {"changed_at": recorded.recorded_at, "changed_by": recorded.actor}


@projection.on(con.ConnectionOpened, keys=key_of_connection)
def on_connection_opened(_row: Row | None, event: con.ConnectionOpened, recorded: Recorded, _key: Key) -> Row:
    begun = {"previous_secret_id": "", "previous_until": None, "is_disabled": False}
    return {**event.model_dump(mode="json"), **begun, **_changed(recorded)}


@projection.on(con.ConnectionRotated, keys=key_of_connection)
def on_connection_rotated(row: Row | None, event: con.ConnectionRotated, recorded: Recorded, _key: Key) -> Row | None:
    return row and {**row, **dict(event), **_changed(recorded)}


@projection.on(con.ConnectionDisabled, con.ConnectionEnabled, keys=key_of_connection)
def on_connection_disabled_or_enabled(
    row: Row | None, event: con.ConnectionDisabled | con.ConnectionEnabled, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {**row, "is_disabled": isinstance(event, con.ConnectionDisabled), **_changed(recorded)}
