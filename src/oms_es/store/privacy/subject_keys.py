"""The keys of orders, wrapped, in PostgreSQL.

Invariant: a key is made in the transaction of the first event that needs it, under the append lock, and once; a key
that was destroyed stays destroyed, and nothing is encrypted for its order again.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any, NamedTuple, Protocol

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.rows import dict_row

from oms_es.database.rows import Reading, Rows
from oms_es.store.privacy.wrapping import KEY_BYTES, KEYRING, NoDataKey

KEYS = "oms_subject_keys"
WRAPPING_KEYS = "oms_wrapping_keys"
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {WRAPPING_KEYS} (
        id text PRIMARY KEY,
        first_used_at timestamptz NOT NULL DEFAULT now()
    )""",
    f"""
    CREATE TABLE IF NOT EXISTS {KEYS} (
        subject text PRIMARY KEY,
        number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
        wrapped_by text REFERENCES {WRAPPING_KEYS} (id),
        wrapped bytea, -- none of one that was destroyed
        made_at timestamptz NOT NULL DEFAULT now(),
        destroyed_at timestamptz,
        CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
    )""",
    f"CREATE INDEX IF NOT EXISTS {KEYS}_by_wrapping_key ON {KEYS} (wrapped_by, number)",
)
CACHED_MAX = 10_000
CACHED_SECONDS_MAX = 30.0
"""So long another process may still read what was forgotten."""
ROTATIONS_MAX = 3
"""While one transaction is written."""
READ_AHEAD = 64
"""Who reads history needs the keys in the order in which they were made."""

TO_WRITE = f"""
WITH made AS (
    INSERT INTO {KEYS} (subject, wrapped_by, wrapped)
    SELECT subject, %b, wrapped FROM unnest(%b::text[], %b::bytea[]) AS fresh(subject, wrapped)
    WHERE %b = (SELECT id FROM {WRAPPING_KEYS} ORDER BY first_used_at DESC, id LIMIT 1)
    ON CONFLICT (subject) DO NOTHING
    RETURNING subject, wrapped_by, wrapped
)
SELECT * FROM made UNION ALL SELECT subject, wrapped_by, wrapped FROM {KEYS} WHERE subject = ANY(%b)
"""
TO_READ = f"""
SELECT subject, wrapped_by, wrapped FROM {KEYS}
WHERE number >= (SELECT number FROM {KEYS} WHERE subject = %s) ORDER BY number LIMIT {READ_AHEAD}
"""


DESTROY = f"""
INSERT INTO {KEYS} AS kept (subject, destroyed_at) SELECT subject, now() FROM unnest(%s::text[]) AS gone(subject)
ON CONFLICT (subject) DO UPDATE SET wrapped = NULL, wrapped_by = NULL, destroyed_at = excluded.destroyed_at
WHERE kept.wrapped IS NOT NULL
"""


class SubjectKeys(Protocol):
    """None is a key that was destroyed."""

    def to_write(self, transaction: Any, subjects: Collection[str]) -> Mapping[str, AESGCM | None] | None:
        """None where nothing is encrypted here. Raises NoDataKey."""

    def to_read(self, subject: str) -> AESGCM | None:
        """Raises NoDataKey."""


class Known(NamedTuple):
    cipher: AESGCM | None
    since: float


class SqlSubjectKeys:
    """`cursor`: to read with, beside whatever else is read; its rows are maps. Used by many threads."""

    def __init__(self, cursor: Callable[[], AbstractContextManager[psycopg.Cursor[Any]]]) -> None:
        self.cursor = cursor
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._lock = Lock()
        self._wraps_with = ""

    def to_write(
        self, transaction: psycopg.Cursor[Any], subjects: Collection[str]
    ) -> Mapping[str, AESGCM | None] | None:
        wanted = sorted(set(subjects))
        for _ in range(ROTATIONS_MAX):
            by = self._wraps_with = self._wraps_with or newest(transaction)
            if not by:
                return None
            keys = {one: secrets.token_bytes(KEY_BYTES) for one in wanted if one not in self._known}
            fresh = {one: KEYRING.wrap(by, one, key) for one, key in keys.items()}
            values = [by, list(fresh), list(fresh.values()), by, wanted]
            rows = transaction.execute(TO_WRITE, values, prepare=True) if wanted else ()
            found = {
                row["subject"]: AESGCM(keys[row["subject"]])
                if row["subject"] in fresh and fresh[row["subject"]] == row["wrapped"]
                else _cipher(row)
                for row in rows
            }
            if len(found) == len(wanted):
                return found
            self._wraps_with = ""  # another key wraps here now
            with self._lock:
                self._known.clear()
        raise NoDataKey(f"keys of orders in {KEYS} are not kept: look at that table")

    def to_read(self, subject: str) -> AESGCM | None:
        with self._lock:
            known = self._known.get(subject)
            if known and time.monotonic() - known.since < CACHED_SECONDS_MAX:
                return known.cipher
            with self.cursor() as curs:
                rows = curs.execute(TO_READ, [subject], prepare=True).fetchall()
            if not rows:
                raise NoDataKey(f"there is no key of {subject} in {KEYS}: restore that table")
            now = time.monotonic()
            for row in rows:
                self._known[row["subject"]] = Known(_cipher(row), now)
                self._known.move_to_end(row["subject"])
            while len(self._known) > CACHED_MAX:
                self._known.popitem(last=False)
            return self._known[subject].cipher


def gone(rows: Reading) -> frozenset[str]:
    """Whose keys are destroyed, or who will never have one."""
    return frozenset(
        row["subject"] for row in rows.execute(f"SELECT subject FROM {KEYS} WHERE wrapped IS NULL".encode())
    )


def still_there(rows: Reading, subjects: Collection[str]) -> list[str]:
    query = f"SELECT subject FROM {KEYS} WHERE subject = ANY(%s) AND wrapped IS NOT NULL ORDER BY number"
    return [row["subject"] for row in rows.execute(query.encode(), [list(subjects)])]


def destroy(rows: Rows, subjects: Collection[str]) -> list[str]:
    """In the caller's transaction, for ever: those that had one. None of them gets another, also if it had none."""
    query = f"SELECT subject FROM {KEYS} WHERE subject = ANY(%s) AND wrapped IS NOT NULL ORDER BY number FOR UPDATE"
    found = [row["subject"] for row in rows.execute(query.encode(), [list(subjects)])]
    rows.execute(DESTROY.encode(), [sorted(subjects)])
    return found


def _cipher(row: Mapping[str, Any]) -> AESGCM | None:
    if row["wrapped"] is None:
        return None
    return AESGCM(KEYRING.unwrap(row["wrapped_by"], row["subject"], bytes(row["wrapped"])))


def of_connection(connection: psycopg.Connection[Any]) -> SqlSubjectKeys:
    """Read over the same connection, as of its transaction."""
    return SqlSubjectKeys(lambda: connection.cursor(row_factory=dict_row))


def newest(rows: Reading) -> str:
    """The key that this database's keys are wrapped with; empty where nothing is encrypted."""
    found = rows.execute(f"SELECT id FROM {WRAPPING_KEYS} ORDER BY first_used_at DESC, id LIMIT 1".encode()).fetchone()
    return str(found["id"]) if found else ""


def require(connection: psycopg.Connection[Any]) -> None:
    """This process may open what is encrypted here. Raises NoDataKey."""
    with connection.cursor(row_factory=dict_row) as curs:
        for row in curs.execute(f"SELECT id FROM {WRAPPING_KEYS} ORDER BY id".encode()):
            KEYRING.require(row["id"])


def begin(connection: psycopg.Connection[Any], by: str) -> None:
    """From now on personal data is encrypted here, under keys that this one wraps; where it is already, under those."""
    connection.execute(
        f"INSERT INTO {WRAPPING_KEYS} (id) SELECT %s WHERE NOT EXISTS (SELECT FROM {WRAPPING_KEYS})".encode(), [by]
    )


def is_encrypted(connection: psycopg.Connection[Any]) -> bool:
    """Also of a database that was not migrated yet."""
    there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [WRAPPING_KEYS]).fetchone()
    if not (there and there[0]):
        return False
    return connection.execute(f"SELECT FROM {WRAPPING_KEYS} LIMIT 1".encode()).fetchone() is not None
