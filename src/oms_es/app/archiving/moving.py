"""Old events are moved out of the log into files.

Reads    the log from its beginning, the sealed leaves, how far every reader has come
Decides  nothing: history stays what it is; an archived event's row keeps its place, its type and where its bytes are

Invariant: the bytes of an event leave the log in the transaction that lists their file, and only after that file was
written durably, read back, and found to be what is sealed. Killed at any point, it leaves at most a file that no row
names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http import HTTPStatus
from typing import Any, LiteralString, NamedTuple

from oms_es.aggregates.repeats import unquoted
from oms_es.app.privacy.encrypting import MAY_BE_PERSONAL
from oms_es.app.privacy.erasing import all_encrypted
from oms_es.database.rows import Rows
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.proof.entries import StoredEvent
from oms_es.proof.tree import leaf_hash
from oms_es.reports.operations import readers
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store.archive import files, tables
from oms_es.store.archive.reading import is_archived
from oms_es.store.encoding.encrypting import InTheClear
from oms_es.store.privacy import subject_keys
from oms_es.store.recorder import APPEND_LOCK, MIGRATION_LOCK, REWRITE
from oms_es.store.sealing.proving import with_records
from oms_es.store.sealing.seals import head_of
from oms_es.store.sealing.tables import TILES
from oms_es.verification.seal_checks import leaves_of

ARCHIVE_LOCK = APPEND_LOCK + 4
FILE_EVENTS_MAX = 20_000
FILE_BYTES_MAX = 1 << 25
"""Of a file, not compressed: as many are in memory, and are changed in one transaction."""
READ_MAX = 1_000
"""Rows fetched at a time."""
LEAVES = f"""
SELECT hashes, positions FROM {TILES} WHERE level = 0 AND positions[1] <= %s AND positions[1] >= coalesce(
    (SELECT max(positions[1]) FROM {TILES} WHERE level = 0 AND positions[1] <= %s), 0
) ORDER BY number
"""
"""Of the positions up to the first of these, from the second."""
Progress = Callable[[int, int], None]
"""Is given the position reached, and the last one."""


class ArchiveRefused(OmsError):
    """Events cannot be archived as things stand."""

    code = "archive_refused"
    exit_code = Code.REFUSED
    status = HTTPStatus.CONFLICT


class Bound(NamedTuple):
    """Up to which position events may be archived. `by`: who has come no further, or nothing if it is as asked."""

    position: int
    by: str


class Moved(NamedTuple):
    """The result. `left`: events that stay in the log, because they are in the clear where others are encrypted."""

    files: int
    events: int
    event_bytes: int
    file_bytes: int
    left: int
    through: int
    held_by: str


def bound(rows: Rows, interests: readers.Interests, until: int) -> Bound:
    """Every reader with work to do, the relay and the sealer must have passed what is archived."""
    standing = readers.standing(rows, interests)
    reached = [Bound(until, ""), Bound(head_of(rows).position, "the sealed log")]
    reached += [Bound(one.position, one.role) for one in standing.readers if one.behind]
    if standing.published is not None:
        reached.append(Bound(standing.published, "the relay to Kafka"))
    return min(reached, key=lambda one: one.position)


def archive(rows: Rows, interests: readers.Interests, until: int, by: str, progress: Progress) -> Moved:
    """Archive what is in the log up to a position, a file at a time. `rows`: in autocommit mode.

    It may be interrupted at any point and run again. Raise ArchiveRefused, ArchiveUnavailable or ArchiveChanged.
    """
    files.ARCHIVE.require_folder()
    with alone(rows):
        encrypted = bool(subject_keys.newest(rows))
        if encrypted and not all_encrypted(rows):
            raise ArchiveRefused(
                "events that were stored in the clear are being encrypted: run `oms-es migrate` to its end, then "
                "archive"
            )
        limit = bound(rows, interests, until)
        done = Moved(0, 0, 0, 0, 0, limit.position, limit.by)
        standing = tables.standing(rows)
        require_there(standing)
        for begin, last in _gaps(standing, limit.position):
            after = begin
            while page := _page(rows, after, last):
                stored = [StoredEvent(*row.values()) for row in page if not is_archived(row["state"])]
                moving = [one for one in stored if not _stays(one, encrypted=encrypted)]
                done = done._replace(left=done.left + len(stored) - len(moving))
                after = page[-1]["notification_id"]
                if moving:
                    done = _with(done, _move(rows, moving, by), moving)
                progress(after, limit.position)
        return done


def require_there(standing: Sequence[tables.Archived], *, unchanged: bool = False) -> None:
    """Look whether the files that the log needs already are in the folder, or another one is mounted there. Raise
    ArchiveUnavailable or ArchiveChanged. `unchanged`: read them whole."""
    for one in standing:
        path = files.ARCHIVE.path_of(one.number)
        if files.size_of(path) != one.file_bytes or (unchanged and files.sha256_of(path) != one.sha256):
            raise files.changed(path)


def _page(rows: Rows, after: int, last: int) -> list[dict[str, Any]]:
    """Return the next rows of the log, as many as go into a file."""
    page, size = list[dict[str, Any]](), 0
    while len(page) < FILE_EVENTS_MAX and size < FILE_BYTES_MAX:
        found = tables.between(rows, after, last, min(READ_MAX, FILE_EVENTS_MAX - len(page)))
        if not found:
            break
        page += found
        size += sum(len(row["state"]) for row in found)
        after = found[-1]["notification_id"]
    return page


@contextmanager
def alone(rows: Rows) -> Iterator[None]:
    """Hold the lock of those who archive and restore, and keep migrations waiting, as the first key must not come
    meanwhile. Raise ArchiveRefused if another process works on the same."""
    with (
        _held(rows, "pg_try_advisory_lock", "pg_advisory_unlock", ARCHIVE_LOCK, "archives or restores events"),
        _held(rows, "pg_try_advisory_lock_shared", "pg_advisory_unlock_shared", MIGRATION_LOCK, "migrates"),
    ):
        yield


@contextmanager
def _held(rows: Rows, take: LiteralString, release: LiteralString, lock: int, other: str) -> Iterator[None]:
    taken = rows.execute(f"SELECT {take}(%s) AS taken", [lock]).fetchone()
    if not (taken and taken["taken"]):
        raise ArchiveRefused(f"another process {other} on this database; wait until it has ended")
    try:
        yield
    finally:
        if not rows.closed:
            rows.execute(f"SELECT {release}(%s)", [lock])


def _gaps(standing: Sequence[tables.Archived], last: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of positions that no file covers, each as the position before it and its last one."""
    after = 0
    for one in standing:
        if after < min(one.first - 1, last):
            yield after, min(one.first - 1, last)
        after = max(after, one.last)
    if after < last:
        yield after, last


def _stays(event: StoredEvent, *, encrypted: bool) -> bool:
    """Return whether the event stays in the log: a file could neither be encrypted later, nor hold such bytes."""
    if b"\n" in event.state:
        return True
    if not encrypted or event.type not in MAY_BE_PERSONAL:
        return False
    try:
        return bool(InTheClear(event.state, VOCABULARY[event.type], unquoted).taken)
    except (ValueError, KeyError, TypeError, AttributeError):
        return True  # this program did not write it, and cannot say what is in it


def _move(rows: Rows, events: Sequence[StoredEvent], by: str) -> files.Written:
    """Write a file and take its events' bytes out of the log. Raise ArchiveRefused, ArchiveUnavailable or
    ArchiveChanged; then the log is as it was."""
    require_sealed(rows, events)
    written = files.write(events, tables.next_number(rows))
    files.read_back(written, events)
    with rows.transaction():
        _replace(rows, events, written.pointers)
        tables.add(rows, written, events[0].position, events[-1].position, _bytes(events), by)
    return written


def require_sealed(rows: Rows, events: Sequence[StoredEvent]) -> None:
    """Compare each event with its leaf in the sealed log. Raise ArchiveRefused."""
    found = rows.execute(LEAVES.encode(), [events[-1].position, events[0].position]).fetchall()
    leaves = {leaf.position: leaf.hash for leaf in leaves_of((row["hashes"], row["positions"]) for row in found)}
    _, sealed = with_records(rows, events)
    for event in events:
        digest = sealed.get(event.position, event.digest)
        if leaves.get(event.position) != leaf_hash(event.entry_of(digest)):
            raise ArchiveRefused(
                f"position {event.position}, {event.type} in {event.stream}: it is not what was sealed; nothing of it "
                "is archived; run `oms-es verify`"
            )


def _replace(rows: Rows, events: Sequence[StoredEvent], pointers: Sequence[files.Pointer]) -> None:
    positions, before = [one.position for one in events], [sha256(one.state).hexdigest() for one in events]
    changed = rows.execute(REWRITE.encode(), [positions, before, [pointer.mark for pointer in pointers]])
    if changed.rowcount != len(events):
        raise ArchiveRefused("events of the log were changed by another program meanwhile; run `oms-es verify`")


def _with(done: Moved, written: files.Written, events: Sequence[StoredEvent]) -> Moved:
    return done._replace(
        files=done.files + 1,
        events=done.events + len(events),
        event_bytes=done.event_bytes + _bytes(events),
        file_bytes=done.file_bytes + written.bytes,
    )


def _bytes(events: Sequence[StoredEvent]) -> int:
    return sum(len(one.state) for one in events)
