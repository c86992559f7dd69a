"""Keys that sign the links for customers: made once, read by every process, revoked with every link that they signed.

Invariant: there is a key that is good whenever one is asked for, and the same one for everybody.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import NamedTuple

from oms_es.database.rows import Rows

LINK_KEYS = "oms_link_keys"
KID_BYTES = 6
SECRET_BYTES = 32
CREATE = f"""
CREATE TABLE IF NOT EXISTS {LINK_KEYS} (
    kid text PRIMARY KEY,
    secret bytea NOT NULL,
    made_at timestamptz NOT NULL,
    revoked_at timestamptz
)
"""


class LinkKey(NamedTuple):
    kid: str
    secret: bytes


def named(connection: Rows, kid: str) -> LinkKey | None:
    """If it is good."""
    query = f"SELECT kid, secret FROM {LINK_KEYS} WHERE kid = %s AND revoked_at IS NULL"
    row = connection.execute(query.encode(), [kid]).fetchone()
    return LinkKey(row["kid"], bytes(row["secret"])) if row else None


def current(connection: Rows, now: datetime) -> LinkKey:
    """The newest that is good; the first one is made here."""
    query = f"SELECT kid, secret FROM {LINK_KEYS} WHERE revoked_at IS NULL ORDER BY made_at DESC, kid LIMIT 1"
    with connection.transaction():
        connection.execute(f"LOCK TABLE {LINK_KEYS} IN SHARE ROW EXCLUSIVE MODE".encode())
        row = connection.execute(query.encode()).fetchone()
        if row:
            return LinkKey(row["kid"], bytes(row["secret"]))
        key = LinkKey(secrets.token_hex(KID_BYTES), secrets.token_bytes(SECRET_BYTES))
        connection.execute(f"INSERT INTO {LINK_KEYS} (kid, secret, made_at) VALUES (%s, %s, %s)".encode(), [*key, now])
        return key


def revoke_all(connection: Rows, now: datetime) -> int:
    """Every link that was ever given is good for nothing."""
    return connection.execute(
        f"UPDATE {LINK_KEYS} SET revoked_at = %s WHERE revoked_at IS NULL".encode(), [now]
    ).rowcount
