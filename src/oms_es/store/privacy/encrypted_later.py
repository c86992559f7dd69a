"""How far events that were stored in the clear are encrypted, and which event of the log records it.

Invariant: `through` is where the log ended when encryption began: what came later was encrypted from the beginning. A
batch of events, its record and the row that says how far it reached change in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from oms_es.database.rows import Reading
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.store.archive.reading import is_archived, whole
from oms_es.store.recorder import EVENTS, REWRITE

ENCRYPTED_LATER = "oms_encrypted_later"
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {ENCRYPTED_LATER} (
        reached bigint PRIMARY KEY,
        through bigint NOT NULL,
        record bigint, -- its position; none where nothing was in the clear
        purged_at timestamptz -- when no file had the old bytes any more
    )""",
)
BEGIN = f"""
INSERT INTO {ENCRYPTED_LATER} (reached, through) SELECT 0, %s WHERE NOT EXISTS (SELECT FROM {ENCRYPTED_LATER})
"""
REACH = f"""
INSERT INTO {ENCRYPTED_LATER} (reached, through, record) VALUES (%s, %s, %s)
ON CONFLICT (reached) DO UPDATE SET record = coalesce(excluded.record, {ENCRYPTED_LATER}.record)
"""
"""Another process may have come as far."""
STANDING = f"SELECT max(reached) AS reached, max(through) AS through FROM {ENCRYPTED_LATER}"
PAGE_MAX = 2_000
PAGE = f"""
SELECT notification_id AS position, topic, state FROM {EVENTS}
WHERE notification_id > %s AND notification_id <= %s AND topic = ANY(%s) ORDER BY notification_id LIMIT %s
"""
RECORDS_OF = f"""
SELECT asked.position, found.record FROM unnest(%s::bigint[]) AS asked(position), LATERAL (
    SELECT record FROM {ENCRYPTED_LATER} WHERE reached >= asked.position ORDER BY reached LIMIT 1
) AS found WHERE found.record IS NOT NULL
"""
RECORDS_KEPT = f"SELECT reached, record FROM {ENCRYPTED_LATER} WHERE record IS NOT NULL"
NOT_PURGED = f"SELECT max(reached) FROM {ENCRYPTED_LATER} WHERE record IS NOT NULL AND purged_at IS NULL"
PURGED = f"UPDATE {ENCRYPTED_LATER} SET purged_at = now() WHERE purged_at IS NULL AND reached <= %s"


class Standing(NamedTuple):
    """Events up to `reached` are encrypted; those up to `through` were stored in the clear."""

    reached: int
    through: int

    @property
    def done(self) -> bool:
        return self.reached >= self.through


class StoredInTheClear(NamedTuple):
    position: int
    topic: str
    state: bytes
    is_archived: bool


class NotEncrypted(OmsError):
    """An event that was stored in the clear cannot be encrypted where it stands."""

    code = "not_encrypted"
    exit_code = Code.DIFFERENT
    status = HTTPStatus.SERVICE_UNAVAILABLE


def begin(rows: Reading, end: int) -> None:
    """Note where the log ends, under the append lock, once the key is there that new events are encrypted with."""
    rows.execute(BEGIN.encode(), [end])


def standing(rows: Reading) -> Standing | None:
    """None where encryption was not begun."""
    found = rows.execute(STANDING.encode()).fetchone()
    return None if found is None or found["reached"] is None else Standing(found["reached"], found["through"])


def page(rows: Reading, after: int, through: int, topics: Collection[str]) -> list[StoredInTheClear]:
    """Return the next events of these types, encrypted or not."""
    found = rows.execute(PAGE.encode(), [after, through, list(topics), PAGE_MAX])
    return [
        StoredInTheClear(row["position"], row["topic"], whole(bytes(row["state"])), is_archived(bytes(row["state"])))
        for row in found
    ]


def rewrite(rows: Reading, fresh: Mapping[int, bytes], before: Sequence[str]) -> None:
    """Write the events again. `before`: the digest of each as it was read. Raises NotEncrypted."""
    written = rows.execute(REWRITE.encode(), [list(fresh), list(before), list(fresh.values())])
    if written.rowcount != len(fresh):
        raise NotEncrypted("events of the log were changed by another program meanwhile; run `oms-es verify`")


def reach(rows: Reading, reached: int, through: int, record: int | None) -> None:
    rows.execute(REACH.encode(), [reached, through, record])


def records_of(rows: Reading, positions: Collection[int]) -> dict[int, int]:
    """Return by event the position of the record that may name it."""
    found = rows.execute(RECORDS_OF.encode(), [list(positions)])
    return {row["position"]: row["record"] for row in found}
