"""Input from outside that could not be used, kept whole with the reason until a person has settled it.

Invariant: nothing is lost, not even the bad input; the same bytes from the same source are one row however often they
arrive.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Cursor
from psycopg.types.json import Jsonb

from oms_es.schemas.values.cards import masked, masked_bytes

DEAD_LETTERS = "oms_dead_letters"
LISTED_MAX = 1_000
GROUPED_MAX = 10_000
GZIP = b"\x1f\x8b"
UNPACKED_BYTES_MAX = 8_388_608
MASKED = "a card number in it was masked, and this cannot be replayed: send it again with the provider's token instead"
Header = tuple[str, bytes | None]
"""Its name and its value, which may be left out; one name may come twice."""


class DeadLetter(NamedTuple):
    """`dialect` says how `payload` is read when it is replayed; `place` is where it stood in its source."""

    source: str
    place: str
    dialect: str
    payload: bytes
    reason: str
    detail: str
    headers: Sequence[Header] = ()


def without_card_numbers(dead_letter: DeadLetter) -> DeadLetter:
    """Before anything of it is written, logged or published. What was masked cannot be replayed, and says so."""
    payload = _without_cards(dead_letter.payload)
    headers = [(masked(name), value and masked_bytes(value)) for name, value in dead_letter.headers]
    detail = masked(dead_letter.detail)
    if payload != dead_letter.payload or headers != [*dead_letter.headers] or detail != dead_letter.detail:
        detail = f"{detail}; {MASKED}"
    return dead_letter._replace(place=masked(dead_letter.place), payload=payload, headers=headers, detail=detail)


def _without_cards(payload: bytes) -> bytes:
    """Return the payload without card numbers; a compressed one is unpacked if it contains one, or is too large to
    check."""
    if not payload.startswith(GZIP):
        return masked_bytes(payload)
    reading = zlib.decompressobj(wbits=31)
    try:
        text = reading.decompress(payload, UNPACKED_BYTES_MAX)
    except zlib.error:
        return masked_bytes(payload)
    without = masked_bytes(text)
    return payload if without == text and not reading.unconsumed_tail else without


class StoredDeadLetter(NamedTuple):
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
    discarded_at: datetime | None
    discarded_by: str
    discarded_because: str

    @property
    def is_masked(self) -> bool:
        """Return whether a card number was masked: replayed, the mask would be accepted in its place."""
        return self.detail.endswith(MASKED)


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
    headers jsonb NOT NULL DEFAULT '{{}}',
    told_at timestamptz, -- when the relay told it, for what came by way of a topic
    digest bytea GENERATED ALWAYS AS (sha256(payload)) STORED,
    UNIQUE (source, digest)
);
ALTER TABLE {DEAD_LETTERS}
    ADD COLUMN IF NOT EXISTS discarded_at timestamptz,
    ADD COLUMN IF NOT EXISTS discarded_by text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS discarded_because text NOT NULL DEFAULT ''
"""
OPEN = "replayed_at IS NULL AND discarded_at IS NULL"
"""Of a row that a person has still to settle."""


def add_dead_letters(curs: Cursor[Any], dead_letters: Sequence[DeadLetter]) -> None:
    """Add them in the caller's transaction. One that was replayed or discarded and arrives again is open again."""
    curs.executemany(
        f"INSERT INTO {DEAD_LETTERS} AS kept (source, place, dialect, payload, reason, detail, headers) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (source, digest) DO UPDATE SET place = excluded.place, "
        "reason = excluded.reason, detail = excluded.detail, arrivals = kept.arrivals + 1, replayed_at = NULL, "
        "discarded_at = NULL",
        [dead_letter._replace(headers=_as_text(dead_letter.headers)) for dead_letter in dead_letters],
    )


def _as_text(headers: Sequence[Header]) -> Any:
    """Names and values are bytes of any kind, and jsonb takes no NUL: base64, in the order in which they came."""
    return Jsonb([[_base64(name.encode()), None if value is None else _base64(value)] for name, value in headers])


def headers_of(stored: Any) -> list[Header]:
    """Return the headers as they arrived. Releases up to 0.1.0 stored an object of names, each with its last value."""
    if isinstance(stored, dict):
        return [(name, b64decode(value)) for name, value in stored.items()]
    return [(b64decode(name).decode(), None if value is None else b64decode(value)) for name, value in stored]


def _base64(text: bytes) -> str:
    return b64encode(text).decode()


COLUMNS = ", ".join(StoredDeadLetter._fields)


class Chosen(NamedTuple):
    """Some of them; what is None does not matter. `after`: the id at which the page before ended."""

    id: int | None = None
    source: str | None = None
    reason: str | None = None
    after: int = 0


ALL = Chosen()
CHOSEN = (
    "id > %(after)s AND (%(id)s::bigint IS NULL OR id = %(id)s) AND (%(source)s::text IS NULL OR source = %(source)s) "
    "AND (%(reason)s::text IS NULL OR reason = %(reason)s)"
)


def listed(
    curs: Cursor[Any], chosen: Chosen = ALL, *, settled: bool = False, limit: int = LISTED_MAX
) -> list[StoredDeadLetter]:
    """The open ones, oldest first; with `settled` also those that were replayed or discarded."""
    curs.execute(
        f"SELECT {COLUMNS} FROM {DEAD_LETTERS} WHERE (%(settled)s OR {OPEN}) AND {CHOSEN} ORDER BY id LIMIT %(limit)s",
        {**chosen._asdict(), "settled": settled, "limit": limit},
    )
    return [_stored(row) for row in curs]


class Group(NamedTuple):
    """Open ones that could not be used for the same reason."""

    source: str
    reason: str
    open: int
    oldest_at: datetime
    newest_at: datetime
    first_id: int


def grouped(curs: Cursor[Any]) -> list[Group]:
    """Return the GROUPED_MAX oldest open ones by source and reason, the largest group first."""
    curs.execute(
        "SELECT source, reason, count(*) AS open, min(buried_at) AS oldest_at, max(buried_at) AS newest_at, "
        f"min(id) AS first_id FROM (SELECT * FROM {DEAD_LETTERS} WHERE {OPEN} ORDER BY id LIMIT %s) AS found "
        "GROUP BY source, reason ORDER BY count(*) DESC, source, reason LIMIT %s",
        [GROUPED_MAX, LISTED_MAX],
    )
    return [Group(**row) for row in curs]


def discard(curs: Cursor[Any], chosen: Chosen, actor: str, because: str) -> list[int]:
    """Those that are open: they are not needed. Who said so, when and why is kept with each."""
    curs.execute(
        f"UPDATE {DEAD_LETTERS} SET discarded_at = now(), discarded_by = %(actor)s, discarded_because = %(because)s "
        f"WHERE {OPEN} AND {CHOSEN} RETURNING id",
        {**chosen._asdict(), "actor": actor, "because": because},
    )
    return sorted(row["id"] for row in curs)


def shown(curs: Cursor[Any], dead_letter_id: int) -> StoredDeadLetter | None:
    row = curs.execute(f"SELECT {COLUMNS} FROM {DEAD_LETTERS} WHERE id = %s", [dead_letter_id]).fetchone()
    return row and _stored(row)


def settle(curs: Cursor[Any], dead_letter_id: int) -> None:
    curs.execute(f"UPDATE {DEAD_LETTERS} SET replayed_at = now() WHERE id = %s", [dead_letter_id])


def _stored(row: Any) -> StoredDeadLetter:
    return StoredDeadLetter(**{**row, "payload": bytes(row["payload"])})
