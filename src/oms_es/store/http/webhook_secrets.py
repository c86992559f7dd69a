"""Secrets that sign webhooks, in both directions: kept apart from the events, which name them by an id.

Invariant: nothing but this table has a secret. It is shown when it is made here, and never again.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from oms_es.database.rows import Rows

SECRETS = "oms_webhook_secrets"
SECRET_BYTES = 32
SECRET_LENGTH_MAX = 500
ID_BYTES = 12
CREATE = f"""
CREATE TABLE IF NOT EXISTS {SECRETS} (
    secret_id text PRIMARY KEY,
    secret text NOT NULL,
    made_at timestamptz NOT NULL,
    made_by text NOT NULL
)
"""


class Rotating(Protocol):
    """What has a secret, and perhaps the one before it, until when."""

    @property
    def secret_id(self) -> str: ...

    @property
    def previous_secret_id(self) -> str: ...

    @property
    def previous_until(self) -> datetime | None: ...


def generated(prefix: str = "") -> str:
    return prefix + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def keep(rows: Rows, secret: str, now: datetime, made_by: str) -> str:
    """Its id. One that nothing names in the end is good for nothing."""
    secret_id = f"sec_{secrets.token_hex(ID_BYTES)}"
    rows.execute(
        f"INSERT INTO {SECRETS} (secret_id, secret, made_at, made_by) VALUES (%s, %s, %s, %s)".encode(),
        [secret_id, secret, now, made_by],
    )
    return secret_id


def named(rows: Rows, secret_ids: Sequence[str]) -> Mapping[str, str]:
    found = rows.execute(
        f"SELECT secret_id, secret FROM {SECRETS} WHERE secret_id = ANY(%s)".encode(), [list(secret_ids)]
    )
    return {row["secret_id"]: row["secret"] for row in found}


def good_at(rows: Rows, now: datetime, of: Rotating) -> Sequence[str]:
    """The newest first: two while the other side changes over."""
    is_changing = of.previous_secret_id and of.previous_until and now < of.previous_until
    ids = [of.secret_id, *([of.previous_secret_id] if is_changing else [])]
    kept = named(rows, ids)
    return [kept[one] for one in ids if one in kept]
