"""Why readers stopped, kept for questions to another process than theirs.

Invariant: a reader counts as stopped exactly as long as its position is where it was when it stopped: once repaired, it
moves on. The relay, which has no position among theirs, says itself that it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from oms_es.store.recorder import TRACKING

STOPS = "oms_stops"
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {STOPS} (
        name text PRIMARY KEY,
        position bigint NOT NULL,
        why text NOT NULL,
        stopped_at timestamptz NOT NULL DEFAULT now()
    )""",
)
WHY_CHARACTERS_MAX = 2_000
_WHERE = f"coalesce((SELECT notification_id FROM {TRACKING} WHERE application_name = name), 0)"
NOTE = (
    f"INSERT INTO {STOPS} AS kept (name, position, why) "
    f"SELECT name, {_WHERE}, why FROM unnest(%s::text[], %s::text[]) AS given(name, why) "
    "ON CONFLICT (name) DO UPDATE SET position = excluded.position, why = excluded.why, stopped_at = now()"
)
CLEAR = f"DELETE FROM {STOPS} WHERE name = %s"
CLEAR_OF = f"DELETE FROM {STOPS} WHERE starts_with(name, %s)"
CURRENT = f"SELECT name, why FROM {STOPS} WHERE position = {_WHERE} ORDER BY name"


def note(cursor: psycopg.Cursor[Any], reasons: Mapping[str, str]) -> None:
    """By the name of each reader."""
    cursor.execute(NOTE, [list(reasons), [why[:WHY_CHARACTERS_MAX] for why in reasons.values()]])


def clear(cursor: psycopg.Cursor[Any], name: str) -> None:
    """It goes on."""
    cursor.execute(CLEAR, [name])


def current(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, str]:
    """Why each that has not moved since stopped."""
    return {row["name"]: row["why"] for row in connection.execute(CURRENT)}
