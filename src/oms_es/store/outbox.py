"""The outbox: which rows of read models changed since they were last published, one row per key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_core import to_json

CHANGES = "oms_state_changes"
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {CHANGES} (
        projection text,
        key text,
        position bigint NOT NULL,
        PRIMARY KEY (projection, key)
    )""",
)
MARK_DIRTY = (
    f"INSERT INTO {CHANGES} (projection, key, position) "
    "SELECT %(projection)s, key, %(position)s FROM unnest(%(keys)s::text[]) AS key "
    "ON CONFLICT (projection, key) DO UPDATE SET position = excluded.position"
)

MARK_ALL_DIRTY = (
    f"INSERT INTO {CHANGES} (projection, key, position) "
    f"SELECT projection, key, position FROM json_populate_recordset(NULL::{CHANGES}, %(rows)s::json) "
    "ON CONFLICT (projection, key) DO UPDATE SET position = excluded.position"
)
"""The same for one of many statements, each of which is given JSON."""


def changes(projection: str, keys: Iterable[Sequence[Any]], position: int) -> dict[str, Any]:
    """The parameters of MARK_DIRTY for rows that changed."""
    return {"projection": projection, "position": position, "keys": [key_text(key) for key in keys]}


def key_text(key: Sequence[Any]) -> str:
    """A row's key as the outbox has it."""
    return to_json(key).decode()
