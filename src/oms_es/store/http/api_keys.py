"""Keys by which programs are known over HTTP: whom each is for, what it may, until when.

Invariant: of a secret only its SHA-256 is kept. Secrets are random and long, so that a slow hash would protect nothing.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from oms_es.database.rows import Rows

API_KEYS = "oms_api_keys"
LISTED_MAX = 1_000
LABEL_LENGTH_MAX = 100
TOKEN = re.compile(r"oms_([a-z0-9]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
CREATE = f"""
CREATE TABLE IF NOT EXISTS {API_KEYS} (
    key_id text PRIMARY KEY,
    label text NOT NULL,
    secret_sha256 bytea NOT NULL,
    scopes text[] NOT NULL,
    channels text[],
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    previous_sha256 bytea,
    previous_until timestamptz
)
"""
COLUMNS = (
    "key_id, label, secret_sha256, scopes, channels, created_at, created_by, expires_at, revoked_at, previous_sha256, "
    "previous_until"
)


class ApiKey(NamedTuple):
    """`channels`: None where it is of all. `previous_sha256`: the secret before the last rotation, until when."""

    key_id: str
    label: str
    secret_sha256: bytes
    scopes: Sequence[str]
    channels: Sequence[str] | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    previous_sha256: bytes | None = None
    previous_until: datetime | None = None

    def is_valid(self, secret: str, now: datetime) -> bool:
        return self.is_valid_sha256(sha256(secret.encode()).digest(), now)

    def is_valid_sha256(self, given: bytes, now: datetime) -> bool:
        """Compares every secret that there is, in constant time."""
        is_newest = hmac.compare_digest(given, self.secret_sha256)
        is_previous = hmac.compare_digest(given, self.previous_sha256 or bytes(32)) and self.previous_sha256 is not None
        known = is_newest or (is_previous and self.previous_until is not None and now < self.previous_until)
        return known and self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def shown(self) -> dict[str, Any]:
        """Return the fields that may be shown, without the hashes of the secret."""
        hidden = ("secret_sha256", "previous_sha256")
        return {name: value for name, value in self._asdict().items() if name not in hidden}


class Made(NamedTuple):
    """`token` is shown once."""

    key: ApiKey
    token: str


def create(
    connection: Rows,
    *,
    label: str,
    scopes: Sequence[str],
    channels: Sequence[str] | None,
    expires_at: datetime | None,
    now: datetime,
    created_by: str,
) -> Made:
    key_id = "".join(secrets.choice(ID_LETTERS) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    hashed = sha256(secret.encode()).digest()
    key = ApiKey(key_id, label, hashed, list(scopes), channels and list(channels), now, created_by, expires_at)
    places = ", ".join(["%s"] * len(key))
    connection.execute(f"INSERT INTO {API_KEYS} ({COLUMNS}) VALUES ({places})".encode(), list(key))
    return Made(key, _token(key_id, secret))


def rotate(connection: Rows, key_id: str, previous_until: datetime, now: datetime) -> Made | None:
    """A new secret; the one before is good until then. None where there is no such key, or not any more."""
    secret = secrets.token_urlsafe(32)
    row = connection.execute(
        f"UPDATE {API_KEYS} SET previous_sha256 = secret_sha256, previous_until = %s, secret_sha256 = %s "
        f"WHERE key_id = %s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %s) "
        f"RETURNING {COLUMNS}".encode(),
        [previous_until, sha256(secret.encode()).digest(), key_id, now],
    ).fetchone()
    return Made(_of(row), _token(key_id, secret)) if row else None


def revoke(connection: Rows, key_id: str, now: datetime) -> ApiKey | None:
    """At once, and for ever; again it changes nothing. None where there is no such key."""
    row = connection.execute(
        f"UPDATE {API_KEYS} SET revoked_at = coalesce(revoked_at, %s) WHERE key_id = %s RETURNING {COLUMNS}".encode(),
        [now, key_id],
    ).fetchone()
    return _of(row) if row else None


def named(connection: Rows, key_id: str) -> ApiKey | None:
    row = connection.execute(f"SELECT {COLUMNS} FROM {API_KEYS} WHERE key_id = %s".encode(), [key_id]).fetchone()
    return _of(row) if row else None


def listed(connection: Rows) -> list[ApiKey]:
    """The newest first."""
    query = f"SELECT {COLUMNS} FROM {API_KEYS} ORDER BY created_at DESC, key_id LIMIT %s"
    return [_of(row) for row in connection.execute(query.encode(), [LISTED_MAX])]


def is_any_made(connection: Rows) -> bool:
    """Return whether there is a key, valid or not: an installation that made keys requires them from then on."""
    return connection.execute(f"SELECT FROM {API_KEYS} LIMIT 1".encode()).fetchone() is not None


def parts_of(token: str) -> tuple[str, str] | None:
    """The key's id, and its secret; None for what is no token of ours."""
    match = TOKEN.fullmatch(token)
    return (match[1], match[2]) if match else None


def _token(key_id: str, secret: str) -> str:
    return f"oms_{key_id}_{secret}"


def _of(row: dict[str, Any]) -> ApiKey:
    key = ApiKey(**row)
    previous = key.previous_sha256
    return key._replace(
        secret_sha256=bytes(key.secret_sha256), previous_sha256=None if previous is None else bytes(previous)
    )
