"""Documents, addressed by the SHA-256 of their bytes.

Invariant: what lies under an address never changes, and is what its address says. The same bytes are kept once, however
often they are sent. Kept before any event names them: what history points at is there. What people added and history
never named goes once its time is over; what may still be named then is never among it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, NamedTuple, cast

import psycopg
from psycopg.rows import tuple_row

from oms_es.errors import NotFound, OmsError
from oms_es.exit_codes import Code
from oms_es.store.documents.places import PIECE_BYTES, SHELF
from oms_es.store.documents.sniffing import HEAD_BYTES, TAIL_BYTES, media_type_of
from oms_es.store.recorder import EVENTS, MIGRATION_LOCK

DOCUMENTS = "oms_documents"
KEPT_BYTES_MAX = 10_000_000
"""Of what the engine keeps itself: labels and statements."""
SPOOLED_BYTES = 1_000_000
"""Of what is being received: so much in memory, what is more in a file."""
SWEPT_MAX = 20
"""In one statement, which takes as long as they are large."""
SWEEP_LOCK = MIGRATION_LOCK + 0x646F63
"""Shared by those who keep bytes, from before they look what is there; held alone by who deletes any."""
GRACE = timedelta(days=1)
"""Between the last moment that a document may be attached first, and the first that its bytes may go."""

CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {DOCUMENTS} (
        sha256 text PRIMARY KEY,
        media_type text NOT NULL,
        content bytea,
        kept_at timestamptz NOT NULL DEFAULT now(),
        byte_count bigint NOT NULL,
        loose_until timestamptz,
        in_folder boolean NOT NULL DEFAULT false,
        CHECK (sha256 = encode(sha256(content), 'hex'))
    )""",
    f"ALTER TABLE {DOCUMENTS} ADD COLUMN IF NOT EXISTS byte_count bigint",
    f"ALTER TABLE {DOCUMENTS} ADD COLUMN IF NOT EXISTS loose_until timestamptz",
    f"UPDATE {DOCUMENTS} SET byte_count = octet_length(content) WHERE byte_count IS NULL",
    f"ALTER TABLE {DOCUMENTS} ALTER COLUMN byte_count SET NOT NULL",
    f"ALTER TABLE {DOCUMENTS} ALTER COLUMN content DROP NOT NULL, ALTER COLUMN content SET STORAGE EXTERNAL",
    f"ALTER TABLE {DOCUMENTS} ADD COLUMN IF NOT EXISTS in_folder boolean NOT NULL DEFAULT false",
    f"UPDATE {DOCUMENTS} SET in_folder = true WHERE content IS NULL AND NOT in_folder",
    f"ALTER TABLE {DOCUMENTS} DROP CONSTRAINT IF EXISTS {DOCUMENTS}_has_bytes",
    f"ALTER TABLE {DOCUMENTS} ADD CONSTRAINT {DOCUMENTS}_has_bytes CHECK (in_folder = (content IS NULL))",
)
"""`content`: null where the bytes are in the folder, and only there. Not compressed, so that a piece of it can be read.
`loose_until`: of what a person added, until when it waits to be attached; null for what the engine keeps itself."""

Connection = psycopg.Connection[Any]
Connecting = Callable[[], AbstractContextManager[Connection]]


class Kept(NamedTuple):
    """`in_row`: its bytes are in the database."""

    sha256: str
    media_type: str
    byte_count: int
    in_row: bool
    kept_at: datetime
    loose_until: datetime | None


class Received(NamedTuple):
    """What came in, whole, before it is kept. `source` is read from its beginning."""

    sha256: str
    media_type: str
    byte_count: int
    source: BinaryIO


class TooLarge(OmsError):
    """The document is larger than what is kept."""

    code = "document_too_large"
    exit_code = Code.USAGE
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Empty(OmsError):
    """The document has no bytes: send the file itself."""

    code = "document_empty"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class NotAsAddressed(OmsError):
    """The bytes under an address are not those that it says: whatever changed them did not go through here."""

    code = "document_damaged"
    exit_code = Code.DIFFERENT


class Receiver:
    """Takes pieces as they come, hashes them, and refuses more than `bytes_max` as soon as there is more."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.byte_count = 0
        self._hash = sha256()
        self._spool = SpooledTemporaryFile(max_size=SPOOLED_BYTES)  # noqa: SIM115 - `close` closes it

    def take(self, piece: bytes) -> None:
        """Raises TooLarge."""
        self.byte_count += len(piece)
        if self.byte_count > self.bytes_max:
            raise TooLarge(f"a document has at most {self.bytes_max:,} bytes; send a smaller one")
        self._hash.update(piece)
        self._spool.write(piece)

    def received(self) -> Received:
        """Raises Empty."""
        if not self.byte_count:
            raise Empty(f"a document has between 1 and {self.bytes_max:,} bytes, this one has none; send another")
        self._spool.seek(0)
        head = self._spool.read(HEAD_BYTES)
        self._spool.seek(max(0, self.byte_count - TAIL_BYTES))
        media_type = media_type_of(head, self._spool.read(TAIL_BYTES))
        self._spool.seek(0)
        return Received(self._hash.hexdigest(), media_type, self.byte_count, cast("BinaryIO", self._spool))

    def close(self) -> None:
        self._spool.close()


def keep(connection: Connection, content: bytes, media_type: str) -> Kept:
    """Keep a document of the engine's own, in the caller's transaction if it has one. Idempotent. Raise TooLarge."""
    if not 0 < len(content) <= KEPT_BYTES_MAX:
        raise TooLarge(
            f"a document has between 1 and {KEPT_BYTES_MAX} bytes, this one has {len(content)}: send another"
        )
    return _put(connection, Received(sha256(content).hexdigest(), media_type, len(content), BytesIO(content)), None)


def add(connection: Connection, received: Received, now: datetime) -> Kept:
    """Add a person's document, which is kept for some days until it is attached. Idempotent; added again, the days
    start again."""
    return _put(connection, received, now + timedelta(days=SHELF.loose_days))


def _put(connection: Connection, received: Received, loose_until: datetime | None) -> Kept:
    """Known bytes are written again where they lie in the folder: so what was lost there comes back.

    The lock comes first: what is seen of the row then holds until this transaction is over, also while others sweep.
    """
    query = (
        f"INSERT INTO {DOCUMENTS} AS d (sha256, media_type, content, byte_count, loose_until, in_folder) "
        "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (sha256) DO UPDATE SET "
        "loose_until = CASE WHEN d.loose_until IS NULL THEN NULL ELSE excluded.loose_until END "
        f"RETURNING {COLUMNS}"
    )
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as curs:
        curs.execute("SELECT pg_advisory_xact_lock_shared(%s)", [SWEEP_LOCK])
        known = curs.execute(f"SELECT in_folder FROM {DOCUMENTS} WHERE sha256 = %s".encode(), [received.sha256])
        row = known.fetchone()
        in_folder = SHELF.folder is not None if row is None else row[0]
        content = None
        if in_folder:
            SHELF.require_folder().put(received.sha256, received.source)
        else:  # also of known bytes, which the CHECK is asked about first; the row keeps those that it has
            content = received.source.read()
        values = [received.sha256, received.media_type, content, received.byte_count, loose_until, in_folder]
        kept = curs.execute(query.encode(), values).fetchone()
    assert kept is not None
    return Kept(*kept)


COLUMNS = "sha256, media_type, byte_count, NOT in_folder, kept_at, loose_until"


def look(connection: Connection, address: str) -> Kept:
    """Raises NotFound."""
    query = f"SELECT {COLUMNS} FROM {DOCUMENTS} WHERE sha256 = %s"
    with connection.cursor(row_factory=tuple_row) as curs:
        row = curs.execute(query.encode(), [address]).fetchone()
    if row is None:
        raise NotFound(f"no document {address} is kept; `oms-es documents list` names those that are attached")
    return Kept(*row)


def pieces(connecting: Connecting, kept: Kept) -> Iterator[bytes]:
    """All of it, a piece at a time, each read by itself: a slow reader holds no connection.

    The last piece comes only where the bytes are those of the address. Raises NotAsAddressed, FolderUnavailable.
    """
    read = _of_row(connecting, kept) if kept.in_row else SHELF.require_folder().pieces(kept.sha256)
    found, held = sha256(), b""
    for piece in read:
        if held:
            yield held
        found.update(piece)
        held = piece
    if found.hexdigest() != kept.sha256:
        raise NotAsAddressed(f"the bytes of {kept.sha256} are not what was kept; restore them from a backup")
    yield held


def _of_row(connecting: Connecting, kept: Kept) -> Iterator[bytes]:
    query = f"SELECT substr(content, %s, {PIECE_BYTES}) FROM {DOCUMENTS} WHERE sha256 = %s"
    for first in range(1, kept.byte_count + 1, PIECE_BYTES):
        with connecting() as connection, connection.cursor(row_factory=tuple_row, binary=True) as curs:
            row = curs.execute(query.encode(), [first, kept.sha256]).fetchone()
        if row is None or row[0] is None:
            return
        yield bytes(row[0])


def may_be_named(connection: Connection, address: str) -> bool:
    """Return whether an event may name it: it is kept, and is not about to be swept."""
    query = (
        f"SELECT FROM {DOCUMENTS} WHERE sha256 = %s AND (loose_until IS NULL OR loose_until > now() "
        f"OR EXISTS (SELECT FROM {EVENTS} WHERE originator_id = 'document-' || sha256 AND topic = 'DocumentAttached'))"
    )
    return connection.execute(query.encode(), [address]).fetchone() is not None


def claim(connection: Connection, address: str) -> bool:
    """For a label or a statement, which is about to name it: whether it is kept and was not removed.

    From here on it waits for nothing, and is neither swept nor removed; also where nothing comes of the command.
    """
    query = f"""
    UPDATE {DOCUMENTS} AS d SET loose_until = NULL WHERE sha256 = %s AND loose_until IS NOT NULL AND NOT EXISTS (
      SELECT FROM {EVENTS} AS e WHERE e.originator_id = 'document-' || d.sha256 AND e.topic = 'DocumentRemoved')"""
    if is_of_the_engine(connection, address):
        return True
    with connection.transaction():
        connection.execute("SET TRANSACTION READ WRITE")
        return connection.execute(query.encode(), [address]).rowcount == 1


def is_of_the_engine(connection: Connection, address: str) -> bool:
    """A label or a statement, which history points at whatever people do."""
    query = f"SELECT FROM {DOCUMENTS} WHERE sha256 = %s AND loose_until IS NULL"
    return connection.execute(query.encode(), [address]).fetchone() is not None


def sweep(connection: Connection, now: datetime) -> int:
    """Deletes what was removed, and what no one attached in time; how many went. At most SWEPT_MAX at once.

    Files go before their rows, so that whatever interrupts it leaves a row by which the next sweep finds the file. The
    rest goes before the files do. Raises FolderUnavailable.
    """
    due = f"""
    SELECT d.sha256, d.in_folder FROM {DOCUMENTS} AS d WHERE d.loose_until IS NOT NULL AND (
      EXISTS (SELECT FROM {EVENTS} AS e
        WHERE e.originator_id = 'document-' || d.sha256 AND e.topic = 'DocumentRemoved')
      OR (d.loose_until < %s AND NOT EXISTS (SELECT FROM {EVENTS} AS e
        WHERE e.originator_id = 'document-' || d.sha256 AND e.topic = 'DocumentAttached'))
    ) ORDER BY d.in_folder LIMIT {SWEPT_MAX} FOR UPDATE OF d SKIP LOCKED"""
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as curs:
        curs.execute("SELECT pg_advisory_xact_lock(%s)", [SWEEP_LOCK])
        found = curs.execute(due.encode(), [now - GRACE]).fetchall()
        going = [address for address, in_folder in found if not in_folder]
        if found and not going:
            going = [address for address, _ in found]
            SHELF.require_folder().remove(going)
        curs.execute(f"DELETE FROM {DOCUMENTS} WHERE sha256 = ANY(%s)".encode(), [going])
    return len(going)
