"""The list of archived files: which positions each has, and what was written.

Invariant: a file is listed in the transaction that takes its events' bytes out of the log, or puts them back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from oms_es.database.rows import Reading
from oms_es.store.archive.files import Written
from oms_es.store.recorder import EVENTS

ARCHIVES = "oms_archives"
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {ARCHIVES} (
        number bigint PRIMARY KEY,
        first bigint NOT NULL,
        last bigint NOT NULL,
        events bigint NOT NULL,
        event_bytes bigint NOT NULL,
        file text NOT NULL,
        file_bytes bigint NOT NULL,
        sha256 text NOT NULL,
        archived_by text NOT NULL,
        archived_at timestamptz NOT NULL DEFAULT now(),
        restored_at timestamptz
    )""",
)
NEXT_NUMBER = f"SELECT coalesce(max(number), 0) + 1 AS number FROM {ARCHIVES}"
STANDING = f"SELECT * FROM {ARCHIVES} WHERE restored_at IS NULL ORDER BY first"
ADD = (
    f"INSERT INTO {ARCHIVES} (number, first, last, events, event_bytes, file, file_bytes, sha256, archived_by) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
RESTORED = f"UPDATE {ARCHIVES} SET restored_at = now() WHERE number = %s AND restored_at IS NULL"
BETWEEN = (
    f"SELECT notification_id, originator_id, originator_version, topic, state FROM {EVENTS} "
    "WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id LIMIT %s"
)


class Archived(NamedTuple):
    """A file whose events have no bytes in the log. `event_bytes`: what they had."""

    number: int
    first: int
    last: int
    events: int
    event_bytes: int
    file: str
    file_bytes: int
    sha256: str
    archived_by: str
    archived_at: datetime
    restored_at: datetime | None


def standing(rows: Reading) -> list[Archived]:
    """The files that the log needs, in the order of positions."""
    return [Archived(**row) for row in rows.execute(STANDING.encode()).fetchall()]


def next_number(rows: Reading) -> int:
    found = rows.execute(NEXT_NUMBER.encode()).fetchone()
    assert found
    return int(found["number"])


def add(rows: Reading, written: Written, first: int, last: int, event_bytes: int, by: str) -> None:
    rows.execute(
        ADD.encode(),
        [
            written.number,
            first,
            last,
            len(written.pointers),
            event_bytes,
            written.name,
            written.bytes,
            written.sha256,
            by,
        ],
    )


def restored(rows: Reading, number: int) -> bool:
    """Return whether it was listed until now."""
    return rows.execute(RESTORED.encode(), [number]).rowcount == 1


def between(rows: Reading, after: int, until: int, limit: int) -> Sequence[dict[str, Any]]:
    """The next rows of the log, each with its bytes as the row has them."""
    found = rows.execute(BETWEEN.encode(), [after, until, limit])
    return [{**row, "state": bytes(row["state"])} for row in found]
