"""Where the bytes of documents are: in their row, or in a folder beside the database.

Invariant: a file in the folder is whole or not there, and lies under its SHA-256. It is written before the row that
says so, and goes before it: a kill in between leaves a file that no row knows, or a row that the next sweep deletes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, NamedTuple

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

PIECE_BYTES = 262_144
"""Read at a time: what a reader who is slow holds in memory."""
BYTES_MAX = 20_000_000
LOOSE_DAYS = 30


class FolderUnavailable(OmsError):
    """The folder with documents is not there, or cannot be read or written."""

    code = "documents_unavailable"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Folder(NamedTuple):
    """Its files are named after what is in them, in folders of the first two digits."""

    path: Path

    def put(self, address: str, source: BinaryIO) -> None:
        """All that is left of `source`, durably. Raises FolderUnavailable."""
        file = self._file(address)
        fresh = file.with_name(f".{address}.{secrets.token_hex(8)}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                with fresh.open("xb") as written:
                    while piece := source.read(PIECE_BYTES):
                        written.write(piece)
                    written.flush()
                    os.fsync(written.fileno())
                fresh.replace(file)
            finally:
                fresh.unlink(missing_ok=True)
            sync_folder(file.parent)
        except OSError as error:
            raise _unavailable(self.path, error) from error

    def pieces(self, address: str) -> Iterator[bytes]:
        """Raises FolderUnavailable."""
        try:
            with self._file(address).open("rb") as source:
                while piece := source.read(PIECE_BYTES):
                    yield piece
        except OSError as error:
            raise _unavailable(self.path, error) from error

    def remove(self, addresses: Iterable[str]) -> None:
        """Those that are still there. Raises FolderUnavailable, also of a folder that is empty: it is not mounted."""
        try:
            if not any(self.path.iterdir()):
                raise FolderUnavailable(
                    f"the folder {self.path} is empty, and documents are said to be in it; mount it, or correct "
                    "OMS_DOCUMENT_FOLDER"
                )
            for address in addresses:
                self._file(address).unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable(self.path, error) from error

    def _file(self, address: str) -> Path:
        return self.path / address[:2] / address


class Shelf:
    """What this process was set up with, once, as it began: where new documents go, and how large they may be."""

    def __init__(self) -> None:
        self.folder: Folder | None = None
        self.bytes_max = BYTES_MAX
        self.loose_days = LOOSE_DAYS

    def set_up(self, folder: Path | None, bytes_max: int, loose_days: int) -> None:
        self.folder = Folder(folder) if folder else None
        self.bytes_max = bytes_max
        self.loose_days = loose_days

    def require_folder(self) -> Folder:
        """Raises FolderUnavailable."""
        if self.folder is None:
            raise FolderUnavailable("the document lies in a folder; set OMS_DOCUMENT_FOLDER to where it is")
        return self.folder


SHELF = Shelf()


def sync_folder(folder: Path) -> None:
    """So that the name of a new file is durable, too, where the system can do so."""
    with suppress(PermissionError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _unavailable(path: Path, error: OSError) -> FolderUnavailable:
    return FolderUnavailable(
        f"the folder {path} with documents cannot be used: {error.strerror}; mount it, or correct OMS_DOCUMENT_FOLDER"
    )
