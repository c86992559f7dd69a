"""Documents, addressed by the SHA-256 of their bytes.

Invariant: what lies under an address never changes, and is what its address says. The same bytes are kept once, however
often they are sent. Kept before any event names them: what history points at is there.
"""

from __future__ import annotations

from hashlib import sha256
from http import HTTPStatus
from typing import Any, NamedTuple

import psycopg

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

DOCUMENTS = "oms_documents"
BYTES_MAX = 10_000_000

CREATE = f"""
CREATE TABLE IF NOT EXISTS {DOCUMENTS} (
    sha256 text PRIMARY KEY,
    media_type text NOT NULL,
    content bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT now(),
    CHECK (sha256 = encode(sha256(content), 'hex'))
)
"""


class Document(NamedTuple):
    sha256: str
    media_type: str
    content: bytes


class TooLarge(OmsError):
    """The document is larger than what is kept."""

    code = "document_too_large"
    exit_code = Code.USAGE
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def keep(connection: psycopg.Connection[Any], content: bytes, media_type: str) -> Document:
    """Idempotent. In the caller's transaction, if it has one. Raises TooLarge."""
    if not 0 < len(content) <= BYTES_MAX:
        raise TooLarge(f"a document has between 1 and {BYTES_MAX} bytes, this one has {len(content)}: send another")
    address = sha256(content).hexdigest()
    connection.execute(
        f"INSERT INTO {DOCUMENTS} (sha256, media_type, content) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING".encode(),
        [address, media_type, content],
    )
    return Document(address, media_type, content)


def fetch(connection: psycopg.Connection[Any], address: str) -> Document | None:
    """What lies under this address."""
    query = f"SELECT sha256, media_type, content FROM {DOCUMENTS} WHERE sha256 = %s"
    row = connection.execute(query.encode(), [address]).fetchone()
    if row is None:
        return None
    found = tuple(row.values()) if isinstance(row, dict) else tuple(row)
    return Document(found[0], found[1], bytes(found[2]))


def is_kept(connection: psycopg.Connection[Any], address: str) -> bool:
    query = f"SELECT FROM {DOCUMENTS} WHERE sha256 = %s"
    return connection.execute(query.encode(), [address]).fetchone() is not None
