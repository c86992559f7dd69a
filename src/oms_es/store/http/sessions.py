"""Who is signed in to the console: which key, or which person of a provider, opened each session, and its last use.

Invariant: of what the cookie holds only its SHA-256 is kept, and of the key's secret only the one that its own table
keeps, too: a session ends with the secret that opened it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from oms_es.database.rows import Rows

SESSIONS = "oms_console_sessions"
IDLE_SECONDS = 1_800
"""After so long without a request a person signs in again."""
AGE_SECONDS_MAX = 43_200
"""And so long after signing in."""
TOUCHED_SECONDS = 60
"""How exactly it is kept when a session was last used."""
CREATE = f"""
CREATE TABLE IF NOT EXISTS {SESSIONS} (
    session_sha256 bytea PRIMARY KEY,
    key_id text NOT NULL,
    secret_sha256 bytea NOT NULL,
    opened_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    caller jsonb -- who signed in at a provider, and what they may
)
"""
ADD_CALLER = f"ALTER TABLE {SESSIONS} ADD COLUMN IF NOT EXISTS caller jsonb"
NO_KEY, NO_SECRET = "", b""


LISTED_MAX = 1_000
"""Sessions in one list, those used last first."""
ACTOR = "coalesce(caller ->> 'actor', 'key:' || key_id)"
SESSION_ID = "left(encode(session_sha256, 'hex'), 24)"
"""What a session is called: it says nothing about what the cookie holds."""


class OpenSession(NamedTuple):
    """A session as administrators see it. `actor`: the key or the person, as events name them."""

    session_id: str
    actor: str
    opened_at: datetime
    used_at: datetime


class Session(NamedTuple):
    key_id: str
    secret_sha256: bytes
    opened_at: datetime
    used_at: datetime
    caller: Mapping[str, Any] | None = None

    def is_to_touch(self, now: datetime) -> bool:
        return now - self.used_at >= timedelta(seconds=TOUCHED_SECONDS)


def open_for(connection: Rows, session_sha256: bytes, key_id: str, secret_sha256: bytes, now: datetime) -> None:
    query = f"INSERT INTO {SESSIONS} VALUES (%s, %s, %s, %s, %s)"
    connection.execute(query.encode(), [session_sha256, key_id, secret_sha256, now, now])


def open_as(connection: Rows, session_sha256: bytes, caller: str, now: datetime) -> None:
    """For who signed in at a provider. `caller`: as JSON."""
    query = f"INSERT INTO {SESSIONS} VALUES (%s, %s, %s, %s, %s, %s)"
    connection.execute(query.encode(), [session_sha256, NO_KEY, NO_SECRET, now, now, caller])


def live(connection: Rows, session_sha256: bytes, now: datetime) -> Session | None:
    query = (
        f"SELECT key_id, secret_sha256, opened_at, used_at, caller FROM {SESSIONS} "
        "WHERE session_sha256 = %s AND used_at > %s AND opened_at > %s"
    )
    row = connection.execute(query.encode(), [session_sha256, *_oldest(now)]).fetchone()
    return Session(**{**row, "secret_sha256": bytes(row["secret_sha256"])}) if row else None


def touch(connection: Rows, session_sha256: bytes, now: datetime) -> None:
    """It is in use."""
    query = f"UPDATE {SESSIONS} SET used_at = %s WHERE session_sha256 = %s"
    connection.execute(query.encode(), [now, session_sha256])


def close(connection: Rows, session_sha256: bytes) -> None:
    connection.execute(f"DELETE FROM {SESSIONS} WHERE session_sha256 = %s".encode(), [session_sha256])


def listed(connection: Rows, now: datetime) -> list[OpenSession]:
    """Return the sessions that have not ended, at most LISTED_MAX."""
    query = (
        f"SELECT {SESSION_ID} AS session_id, {ACTOR} AS actor, opened_at, used_at FROM {SESSIONS} "
        "WHERE used_at > %s AND opened_at > %s ORDER BY used_at DESC, session_sha256 LIMIT %s"
    )
    return [OpenSession(**row) for row in connection.execute(query.encode(), [*_oldest(now), LISTED_MAX])]


def end(connection: Rows, session_id: str) -> int:
    """End one session, and return how many that were: 0 if there is no such session."""
    query = f"DELETE FROM {SESSIONS} WHERE {SESSION_ID} = %s"
    return connection.execute(query.encode(), [session_id]).rowcount


def end_of(connection: Rows, actor: str) -> int:
    """End all sessions of a key or a person, and return how many that were."""
    return connection.execute(f"DELETE FROM {SESSIONS} WHERE {ACTOR} = %s".encode(), [actor]).rowcount


def sweep(connection: Rows, now: datetime) -> None:
    """Those that have ended go."""
    connection.execute(f"DELETE FROM {SESSIONS} WHERE used_at <= %s OR opened_at <= %s".encode(), [*_oldest(now)])


def _oldest(now: datetime) -> tuple[datetime, datetime]:
    return now - timedelta(seconds=IDLE_SECONDS), now - timedelta(seconds=AGE_SECONDS_MAX)
