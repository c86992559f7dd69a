"""Files with the bytes of archived events.

Invariant: a file is whole or not there, and never changes. What is read from one has the digest that the log names, or
it is not read.

A file is gzip, which `zcat` reads: members one after the other, so that one can be read without those before it. An
event is two lines: its place in the log as JSON, and its bytes as they were stored.
"""

from __future__ import annotations

import gzip
import os
import re
import secrets
import zlib
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from pydantic_core import from_json, to_json

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.proof.entries import StoredEvent
from oms_es.store.documents.places import sync_folder

MARK = b'{"archived":"'
"""How the bytes begin that stand in the row of an archived event. No stored event begins so."""
BLOCK_EVENTS_MAX = 256
BLOCK_BYTES_MAX = 1 << 18
"""A block ends with the event that exceeds this: blocks are read whole."""
BLOCK_READ_MAX = 1 << 28
"""No block that was written is larger, whatever is in the file now."""
BLOCKS_HELD_BYTES_MAX = 1 << 24
"""Of blocks that were read last, in the memory of a process."""
READ_BYTES = 1 << 16
LEVEL = 9
OWNER_ONLY, OWNER_READS = 0o700, 0o600
"""Of a folder that is made here, and of files: they hold what is not encrypted of events."""
UNFINISHED = re.compile(r"\.events-\d{8,}\.gz\.[0-9a-f]{16}")
DIGEST_BYTES = 16
NUMBERS_TRIED_MAX = 1_000


class ArchiveUnavailable(OmsError):
    """A file with archived events is not there, or cannot be read or written."""

    code = "archive_unavailable"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class ArchiveChanged(OmsError):
    """A file with archived events is not what was written."""

    code = "archive_changed"
    exit_code = Code.DIFFERENT
    status = HTTPStatus.SERVICE_UNAVAILABLE


UNREADABLE = (ArchiveUnavailable, ArchiveChanged)
"""Both are waited for, as a database is that does not answer: nothing is stopped or rejected for them."""


class Pointer(NamedTuple):
    """Where the bytes of an event are: in the block that begins at `offset`, the event with the number `at`, from 0."""

    number: int
    offset: int
    at: int
    digest: str

    @property
    def mark(self) -> bytes:
        """What stands in the event's row: JSON, so that SQL which takes it apart finds nothing rather than fails."""
        return MARK + f'{self.number}.{self.offset}.{self.at}.{self.digest}"}}'.encode()


class Block(NamedTuple):
    """So many events, compressed together."""

    content: bytes
    events: int


class Written(NamedTuple):
    """A file, and the pointers to its events in their order."""

    number: int
    name: str
    bytes: int
    sha256: str
    pointers: Sequence[Pointer]


class Archive:
    """The folder that this process was set up with, once, as it began, and the blocks that were read last."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.makes_it = False
        self._lock = Lock()
        self._blocks: OrderedDict[tuple[Path, int], Sequence[bytes]] = OrderedDict()
        self._held = 0

    def set_up(self, folder: Path | None, *, makes_it: bool = False) -> None:
        """`makes_it`: whether the folder is made where it is missing; else one that is not mounted would be taken for
        an empty one."""
        with self._lock:
            self.folder, self.makes_it = folder, makes_it
            self._blocks.clear()
            self._held = 0

    def require_folder(self) -> Path:
        """Raises ArchiveUnavailable."""
        if self.folder is None:
            raise ArchiveUnavailable("events are archived in files; set OMS_ARCHIVE_FOLDER to the folder with them")
        return self.folder

    def path_of(self, number: int) -> Path:
        return self.require_folder() / name_of(number)

    def state(self, pointer: Pointer) -> bytes:
        """The event's bytes. Raises ArchiveUnavailable, ArchiveChanged."""
        path = self.path_of(pointer.number)
        lines = self._block(path, pointer.offset)
        found = lines[2 * pointer.at + 1 : 2 * pointer.at + 2]
        if not found or digest_of(found[0]) != pointer.digest:
            self._drop(path, pointer.offset)
            raise changed(path)
        return found[0]

    def _drop(self, path: Path, offset: int) -> None:
        """The file may be brought back while this process runs."""
        with self._lock:
            self._held -= _size(self._blocks.pop((path, offset), ()))

    def _block(self, path: Path, offset: int) -> Sequence[bytes]:
        key = (path, offset)
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
        lines = block_at(path, offset).split(b"\n")
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = lines
                self._held += _size(lines)
            while self._held > BLOCKS_HELD_BYTES_MAX and len(self._blocks) > 1:
                self._held -= _size(self._blocks.popitem(last=False)[1])
        return lines


ARCHIVE = Archive()


def beside(home: Path) -> Path:
    """The folder of an embedded database, unless another one is given."""
    home = home.expanduser().resolve()
    return home.with_name(f"{home.name}.archive")


def name_of(number: int) -> str:
    return f"events-{number:08d}.gz"


def digest_of(state: bytes) -> str:
    return urlsafe_b64encode(sha256(state).digest()[:DIGEST_BYTES]).decode().rstrip("=")


def pointer_in(mark: bytes) -> Pointer:
    """Raises ArchiveChanged."""
    parts = mark[len(MARK) : -2].decode("ascii", "replace").split(".")
    try:
        number, offset, at = map(int, parts[:3])
        [digest] = parts[3:]
    except ValueError:
        raise ArchiveChanged("a row of the log does not say where its event is archived; run `oms-es verify`") from None
    return Pointer(number, offset, at, digest)


def write(events: Sequence[StoredEvent], number: int) -> Written:
    """Write a file durably, under this number or the next one that is free; no file is ever overwritten. If it is there
    already, as after a kill, it is taken. Raises ArchiveUnavailable."""
    folder = ARCHIVE.require_folder()
    blocks = list(_blocks_of(events))
    content = b"".join(block.content for block in blocks)
    try:
        _prepare(folder)
        for tried in range(number, number + NUMBERS_TRIED_MAX):
            path = folder / name_of(tried)
            if not _put(path, content) and path.read_bytes() != content:
                continue
            return Written(
                tried, path.name, len(content), sha256(content).hexdigest(), _pointers(tried, events, blocks)
            )
    except OSError as error:
        raise _unavailable(folder, error) from error
    raise ArchiveUnavailable(f"the folder {folder} has other files where new ones would go; name an empty folder")


def read_back(written: Written, events: Sequence[StoredEvent]) -> None:
    """Read the file again and compare each event. Raises ArchiveUnavailable, ArchiveChanged."""
    path, offset, lines = ARCHIVE.path_of(written.number), -1, list[bytes]()
    for event, pointer in zip(events, written.pointers, strict=True):
        if pointer.offset != offset:
            offset, lines = pointer.offset, block_at(path, pointer.offset).split(b"\n")
        if lines[2 * pointer.at + 1] != event.state or from_json(lines[2 * pointer.at]) != _head(event):
            raise changed(path)


def sha256_of(path: Path) -> str:
    """Raises ArchiveUnavailable."""
    found = sha256()
    try:
        with path.open("rb") as source:
            while piece := source.read(READ_BYTES):
                found.update(piece)
    except OSError as error:
        raise _unavailable(path, error) from error
    return found.hexdigest()


def size_of(path: Path) -> int:
    """Raises ArchiveUnavailable."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise _unavailable(path, error) from error


def block_at(path: Path, offset: int) -> bytes:
    """Raises ArchiveUnavailable, ArchiveChanged."""
    content, inflated, member = list[bytes](), 0, zlib.decompressobj(wbits=31)
    try:
        with path.open("rb") as source:
            source.seek(offset)
            while not member.eof and (piece := source.read(READ_BYTES)):
                content.append(member.decompress(piece, BLOCK_READ_MAX - inflated))
                inflated += len(content[-1])
                if member.unconsumed_tail:
                    break
    except OSError as error:
        raise _unavailable(path, error) from error
    except zlib.error:
        raise changed(path) from None
    if not member.eof:
        raise changed(path)
    return b"".join(content)


def _blocks_of(events: Sequence[StoredEvent]) -> Iterator[Block]:
    lines, inflated = list[bytes](), 0
    for event in events:
        lines += (to_json(_head(event)), event.state)
        inflated += len(event.state)
        if len(lines) == 2 * BLOCK_EVENTS_MAX or inflated > BLOCK_BYTES_MAX:
            yield _block(lines)
            lines, inflated = [], 0
    if lines:
        yield _block(lines)


def _block(lines: Sequence[bytes]) -> Block:
    return Block(gzip.compress(b"\n".join(lines) + b"\n", LEVEL, mtime=0), len(lines) // 2)


def _pointers(number: int, events: Sequence[StoredEvent], blocks: Sequence[Block]) -> list[Pointer]:
    offset, pointers, rest = 0, list[Pointer](), iter(events)
    for block in blocks:
        pointers += (Pointer(number, offset, index, digest_of(next(rest).state)) for index in range(block.events))
        offset += len(block.content)
    return pointers


def _head(event: StoredEvent) -> dict[str, object]:
    return {"position": event.position, "stream": event.stream, "version": event.version, "type": event.type}


def _prepare(folder: Path) -> None:
    """Make the folder where that is wanted, and remove what a kill left of a file that was not finished."""
    if ARCHIVE.makes_it and not folder.exists():
        folder.mkdir(mode=OWNER_ONLY, parents=True)
        sync_folder(folder.parent)
    for left in folder.iterdir():
        if UNFINISHED.fullmatch(left.name):
            left.unlink(missing_ok=True)


def _put(path: Path, content: bytes) -> bool:
    """Write the file whole, and return whether it was: one of this name is left as it is, whenever it came."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_READS), "wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        os.link(fresh, path)
    except FileExistsError:
        return False
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _size(lines: Sequence[bytes]) -> int:
    return sum(map(len, lines))


def _unavailable(path: Path, error: OSError) -> ArchiveUnavailable:
    return ArchiveUnavailable(
        f"{path} with archived events cannot be used: {error.strerror}; mount its folder, bring it back from a "
        "backup, or correct OMS_ARCHIVE_FOLDER"
    )


def changed(path: Path) -> ArchiveChanged:
    return ArchiveChanged(f"{path} is not what was archived; bring it back from a backup, then run `oms-es verify`")
