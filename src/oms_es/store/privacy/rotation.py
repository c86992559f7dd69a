"""Rotation of the wrapping key: the keys of orders are wrapped with another key, while the engine runs.

Invariant: every key of an order is wrapped by a key whose id is in the database; the id of the previous one is removed
only when no key of an order needs it. No event changes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from psycopg.errors import ForeignKeyViolation

from oms_es.database.rows import Rows
from oms_es.store.privacy.subject_keys import KEYS, WRAPPING_KEYS
from oms_es.store.privacy.wrapping import KEYRING

BATCH_MAX = 1_000
ROUNDS_MAX = 100
"""A writer that began before may still add keys that are wrapped with the one before."""
OF_OTHERS = f"""
SELECT subject, wrapped_by, wrapped FROM {KEYS} WHERE wrapped_by = ANY(%s) ORDER BY wrapped_by, number LIMIT {BATCH_MAX}
FOR UPDATE
"""
REWRAP = f"""
UPDATE {KEYS} AS kept SET wrapped_by = %s, wrapped = fresh.wrapped
FROM unnest(%s::text[], %s::bytea[]) AS fresh(subject, wrapped) WHERE kept.subject = fresh.subject
"""


class Rotated(NamedTuple):
    """`wrapped`: how many keys of orders were wrapped again. `unneeded`: ids of wrapping keys no longer needed."""

    to: str
    wrapped: int
    unneeded: list[str]


class Standing(NamedTuple):
    """`wraps_with`: the id of the current wrapping key; empty if personal data is stored in the clear. `others`: ids of
    former ones that are still needed. `orders`: how many orders, accounts and statements have a key.
    """

    wraps_with: str
    others: list[str]
    orders: int


def standing(rows: Rows) -> Standing:
    ids = [
        row["id"] for row in rows.execute(f"SELECT id FROM {WRAPPING_KEYS} ORDER BY first_used_at DESC, id".encode())
    ]
    count = rows.execute(f"SELECT count(*) AS n FROM {KEYS} WHERE wrapped IS NOT NULL".encode()).fetchone()
    assert count
    return Standing(ids[0] if ids else "", ids[1:], count["n"])


def rotate(rows: Rows, to: str) -> Rotated:
    """Wrap all keys with the key of this id, which every process must hold by now.

    Raise NoDataKey if this process lacks it, or a former key that is still needed.
    """
    now = standing(rows)
    before = [one for one in (now.wraps_with, *now.others) if one not in ("", to)]
    for one in (to, *before):
        KEYRING.require(one)
    rows.execute(
        f"INSERT INTO {WRAPPING_KEYS} (id) VALUES (%s) ON CONFLICT (id) DO UPDATE SET first_used_at = now()".encode(),
        [to],
    )
    wrapped = 0
    for _ in range(ROUNDS_MAX):
        while done := _some(rows, to, before):
            wrapped += done
        with suppress(ForeignKeyViolation):
            rows.execute(f"DELETE FROM {WRAPPING_KEYS} WHERE id = ANY(%s)".encode(), [before])
            return Rotated(to, wrapped, before)
    return Rotated(to, wrapped, [])


def _some(rows: Rows, to: str, before: list[str]) -> int:
    with rows.transaction():
        found = rows.execute(OF_OTHERS.encode(), [before]).fetchall()
        fresh = []
        for row in found:
            key = KEYRING.unwrap(row["wrapped_by"], row["subject"], bytes(row["wrapped"]))
            fresh.append(KEYRING.wrap(to, row["subject"], key))
        rows.execute(REWRAP.encode(), [to, [row["subject"] for row in found], fresh])
    return len(found)
