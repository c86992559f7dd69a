"""Why readers stopped, and which gateways are not asked, kept for questions to another process than theirs.

Invariant: a reader counts as stopped exactly as long as its position is where it was when it stopped: once repaired, it
moves on. The relay, which has no position among theirs, says itself that it goes on. The circuit of a gateway is as the
process that asked it last found it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import psycopg

from oms_es.store.recorder import TRACKING

STOPS = "oms_stops"
CIRCUITS = "oms_circuits"
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {STOPS} (
        name text PRIMARY KEY,
        position bigint NOT NULL,
        why text NOT NULL,
        stopped_at timestamptz NOT NULL DEFAULT now()
    )""",
    f"""
    CREATE TABLE IF NOT EXISTS {CIRCUITS} (
        gateway text PRIMARY KEY,
        state text NOT NULL,
        since timestamptz NOT NULL,
        why text NOT NULL
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
NOTE_CIRCUIT = (
    f"INSERT INTO {CIRCUITS} AS kept (gateway, state, since, why) VALUES (%s, %s, %s, %s) ON CONFLICT (gateway) "
    "DO UPDATE SET state = excluded.state, since = excluded.since, why = excluded.why "
    "WHERE kept.state <> excluded.state OR excluded.state <> 'closed'"
)
CURRENT_CIRCUITS = f"SELECT gateway, state, since, why FROM {CIRCUITS} ORDER BY gateway"


def note(cursor: psycopg.Cursor[Any], reasons: Mapping[str, str]) -> None:
    """Record why readers stopped, by their names."""
    cursor.execute(NOTE, [list(reasons), [why[:WHY_CHARACTERS_MAX] for why in reasons.values()]])


def clear(cursor: psycopg.Cursor[Any], name: str) -> None:
    """It goes on."""
    cursor.execute(CLEAR, [name])


def current(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, str]:
    """Why each that has not moved since stopped."""
    return {row["name"]: row["why"] for row in connection.execute(CURRENT)}


def note_circuit(connection: psycopg.Connection[Any], gateway: str, state: str, since: datetime, why: str) -> None:
    """Record a circuit's state; one that was closed before keeps its time."""
    connection.execute(NOTE_CIRCUIT, [gateway, state, since, why[:WHY_CHARACTERS_MAX]])


def note_problem(database_url: str, name: str, problem: str) -> None:
    """Record for other processes what keeps a role from its work; empty where nothing does. If the database does not
    answer, the next change is recorded."""
    with suppress(psycopg.OperationalError), psycopg.connect(database_url) as connection:
        note_circuit(connection, name, "open" if problem else "closed", datetime.now(UTC), problem)


def circuits(connection: psycopg.Connection[dict[str, Any]]) -> list[dict[str, Any]]:
    return connection.execute(CURRENT_CIRCUITS).fetchall()
