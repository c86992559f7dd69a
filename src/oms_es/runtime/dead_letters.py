"""Input from outside that could not be used, kept whole with the reason until a person has settled it.

Invariant: nothing is lost, not even the bad input; the same bytes from the same source are one row however often they
arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor

DEAD_LETTERS = "oms_dead_letters"
LISTED_MAX = 1_000


class DeadLetter(NamedTuple):
    """`dialect` says how `payload` is read when it is replayed; `place` is where it stood in its source."""

    source: str
    place: str
    dialect: str
    payload: bytes
    reason: str
    detail: str


class Buried(NamedTuple):
    id: int
    source: str
    place: str
    dialect: str
    payload: bytes
    reason: str
    detail: str
    arrivals: int
    buried_at: datetime
    replayed_at: datetime | None


CREATE = f"""
CREATE TABLE IF NOT EXISTS {DEAD_LETTERS} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    place text NOT NULL,
    dialect text NOT NULL,
    payload bytea NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    arrivals integer NOT NULL DEFAULT 1,
    buried_at timestamptz NOT NULL DEFAULT now(),
    replayed_at timestamptz,
    digest bytea GENERATED ALWAYS AS (sha256(payload)) STORED,
    UNIQUE (source, digest)
)
"""


def bury(curs: Cursor[Any], letters: Sequence[DeadLetter]) -> None:
    """In the caller's transaction. What was replayed and fails anew is open again."""
    curs.executemany(
        f"INSERT INTO {DEAD_LETTERS} AS kept (source, place, dialect, payload, reason, detail) "
        "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (source, digest) DO UPDATE SET place = excluded.place, "
        "reason = excluded.reason, detail = excluded.detail, arrivals = kept.arrivals + 1, replayed_at = NULL",
        letters,
    )


COLUMNS = ", ".join(Buried._fields)


def listed(curs: Cursor[Any], *, settled: bool = False, limit: int = LISTED_MAX) -> list[Buried]:
    """The open ones, oldest first; with `settled` also those that were replayed."""
    curs.execute(
        f"SELECT {COLUMNS} FROM {DEAD_LETTERS} WHERE %s OR replayed_at IS NULL ORDER BY id LIMIT %s", [settled, limit]
    )
    return [_buried(row) for row in curs]


def shown(curs: Cursor[Any], letter_id: int) -> Buried | None:
    row = curs.execute(f"SELECT {COLUMNS} FROM {DEAD_LETTERS} WHERE id = %s", [letter_id]).fetchone()
    return row and _buried(row)


def settle(curs: Cursor[Any], letter_id: int) -> None:
    curs.execute(f"UPDATE {DEAD_LETTERS} SET replayed_at = now() WHERE id = %s", [letter_id])


def _buried(row: Any) -> Buried:
    return Buried(**{**row, "payload": bytes(row["payload"])})
