"""What is kept for requests over HTTP beside history: answers under an Idempotency-Key, and who read personal data.

Invariant: the row of a key is written in the transaction of the events that its request came to: both are there, or
neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple

from oms_es.database.rows import Rows
from oms_es.errors import OmsError
from oms_es.exit_codes import Code

IDEMPOTENCY = "oms_idempotency_keys"
ACCESS_LOG = "oms_access_log"
KEPT_DAYS = 7
"""An answer is repeated for so long."""
ACCESS_KEPT_DAYS = 400
SWEPT_MAX = 1_000
"""Rows that one sweep deletes."""
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {IDEMPOTENCY} (
        caller text NOT NULL,
        key text NOT NULL,
        request_sha256 bytea NOT NULL,
        stream text NOT NULL,
        version bigint NOT NULL,
        position bigint,
        kept_at timestamptz NOT NULL,
        PRIMARY KEY (caller, key)
    )""",
    f"CREATE INDEX IF NOT EXISTS {IDEMPOTENCY}_by_time ON {IDEMPOTENCY} (kept_at)",
    f"""
    CREATE TABLE IF NOT EXISTS {ACCESS_LOG} (
        entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        resource text NOT NULL,
        subject text NOT NULL,
        request_id text NOT NULL
    )""",
    f"CREATE INDEX IF NOT EXISTS {ACCESS_LOG}_by_time ON {ACCESS_LOG} (at)",
    f"CREATE INDEX IF NOT EXISTS {ACCESS_LOG}_by_subject ON {ACCESS_LOG} (subject, entry)",
)


class KeyTaken(OmsError):
    """Another process has kept an answer under the same key meanwhile: it is looked up."""

    code = "key_taken"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Kept(NamedTuple):
    """What a request came to that was sent under a key."""

    caller: str
    key: str
    request_sha256: bytes
    stream: str
    version: int
    position: int | None


class KeptAnswers:
    """The table of answers, for the process that decides."""

    def __init__(self, datastore: Any) -> None:
        self.datastore = datastore

    def under(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Kept]:
        """The stored answers under these keys, each of one caller."""
        callers, names = zip(*keys, strict=True)
        with self.datastore.cursor() as cursor:
            rows = cursor.execute(
                "SELECT k.caller, k.key, request_sha256, stream, version, position "
                "FROM unnest(%b::text[], %b::text[]) AS asked(caller, key) "
                f"JOIN {IDEMPOTENCY} AS k USING (caller, key)",
                [list(callers), list(names)],
            )
            found = [Kept(**{**row, "request_sha256": bytes(row["request_sha256"])}) for row in rows]
        return {(kept.caller, kept.key): kept for kept in found}

    def keep(self, transaction: Any, kept: Sequence[Kept], now: datetime) -> None:
        """Raises KeyTaken."""
        columns = [list(column) for column in zip(*kept, strict=True)]
        transaction.execute(
            f"INSERT INTO {IDEMPOTENCY} (caller, key, request_sha256, stream, version, position, kept_at) "
            "SELECT *, %s FROM unnest(%b::text[], %b::text[], %b::bytea[], %b::text[], %b::bigint[], %b::bigint[]) "
            "ON CONFLICT DO NOTHING",
            [now, *columns],
        )
        if transaction.rowcount != len(kept):
            raise KeyTaken


def note_access(connection: Rows, at: datetime, actor: str, resource: str, subject: str, request: str) -> None:
    connection.execute(
        f"INSERT INTO {ACCESS_LOG} (at, actor, resource, subject, request_id) VALUES (%s, %s, %s, %s, %s)".encode(),
        [at, actor, resource, subject, request],
    )


def sweep(connection: Rows, now: datetime) -> int:
    """Delete what is older than it is kept, up to a bound; how many rows that were."""
    deleted = 0
    for table, column, days in ((IDEMPOTENCY, "kept_at", KEPT_DAYS), (ACCESS_LOG, "at", ACCESS_KEPT_DAYS)):
        gone = connection.execute(
            f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {column} < %s "
            f"ORDER BY {column} LIMIT %s))".encode(),
            [now - timedelta(days=days), SWEPT_MAX],
        )
        deleted += gone.rowcount
    return deleted
