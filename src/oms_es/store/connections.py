"""Connections: who sends webhooks here, in whose words, under which secrets.

A signature is checked with the secret itself, so a hash of it would not do: the table has it, and nothing else does. It
is shown when it is made here, and never again; what is listed has no more of it than its SHA-256 begins with.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg

from oms_es.store import webhook_secrets

CONNECTIONS = "oms_connections"
LISTED_MAX = 1_000
SECRET_LENGTH_MAX = 500
SHOWN_CHARACTERS = 12
CREATE = f"""
CREATE TABLE IF NOT EXISTS {CONNECTIONS} (
    name text PRIMARY KEY,
    dialect text NOT NULL,
    channel text,
    secret text NOT NULL,
    previous_secret text,
    previous_until timestamptz,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    disabled_at timestamptz
)
"""
COLUMNS = "name, dialect, channel, secret, previous_secret, previous_until, created_at, created_by, disabled_at"

Rows = psycopg.Connection[dict[str, Any]]


class Connection(NamedTuple):
    """`channel`: whose orders it brings; None where the messages name it themselves, or name none."""

    name: str
    dialect: str
    channel: str | None
    secret: str
    previous_secret: str | None
    previous_until: datetime | None
    created_at: datetime
    created_by: str
    disabled_at: datetime | None

    def __repr__(self) -> str:
        return f"Connection({self.shown()})"

    def secrets_at(self, now: datetime) -> Sequence[str]:
        """Those that are good: two while the sender changes over."""
        return webhook_secrets.good_at(now, self)

    def shown(self) -> dict[str, Any]:
        hidden = {"secret", "previous_secret"}
        told = {name: value for name, value in self._asdict().items() if name not in hidden}
        return {**told, "secret_sha256": sha256(self.secret.encode()).hexdigest()[:SHOWN_CHARACTERS]}


def create(
    rows: Rows, *, name: str, dialect: str, channel: str | None, secret: str, now: datetime, created_by: str
) -> Connection | None:
    """None where there is one of that name, whatever it is like."""
    row = rows.execute(
        f"INSERT INTO {CONNECTIONS} (name, dialect, channel, secret, created_at, created_by) "
        f"VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING {COLUMNS}".encode(),
        [name, dialect, channel, secret, now, created_by],
    ).fetchone()
    return Connection(**row) if row else None


def rotate(rows: Rows, name: str, secret: str, previous_until: datetime) -> Connection | None:
    """The one before is good until then. The same secret again changes nothing. None where there is no connection."""
    row = rows.execute(
        f"UPDATE {CONNECTIONS} SET "
        "previous_secret = CASE WHEN secret = %(secret)s THEN previous_secret ELSE secret END, "
        "previous_until = CASE WHEN secret = %(secret)s THEN previous_until ELSE %(until)s END, "
        f"secret = %(secret)s WHERE name = %(name)s RETURNING {COLUMNS}".encode(),
        {"name": name, "secret": secret, "until": previous_until},
    ).fetchone()
    return Connection(**row) if row else None


def set_disabled(rows: Rows, name: str, at: datetime | None) -> Connection | None:
    """`at`: None where it shall be heard again. None where there is no such connection."""
    row = rows.execute(
        f"UPDATE {CONNECTIONS} SET disabled_at = CASE WHEN %(at)s::timestamptz IS NULL THEN NULL "
        f"ELSE coalesce(disabled_at, %(at)s) END WHERE name = %(name)s RETURNING {COLUMNS}".encode(),
        {"name": name, "at": at},
    ).fetchone()
    return Connection(**row) if row else None


def named(rows: Rows, name: str) -> Connection | None:
    row = rows.execute(f"SELECT {COLUMNS} FROM {CONNECTIONS} WHERE name = %s".encode(), [name]).fetchone()
    return Connection(**row) if row else None


def listed(rows: Rows) -> list[Connection]:
    found = rows.execute(f"SELECT {COLUMNS} FROM {CONNECTIONS} ORDER BY name LIMIT %s".encode(), [LISTED_MAX])
    return [Connection(**row) for row in found]
