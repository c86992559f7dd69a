"""The manifest of an export: every file with its rows and checksum, and the position of the log that was reached."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from hashlib import file_digest
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.schemas.problems import problems

NAME = "manifest.json"
FORMAT = 1
PARTS = ("events", "facts")
"""The directories of the export's files; other files in the directory are left alone."""
Count = Annotated[int, Field(ge=0)]


class BadExport(OmsError):
    """The directory cannot take the export, or its files differ from the manifest."""

    code = "bad_export"
    exit_code = Code.DIFFERENT
    status = HTTPStatus.CONFLICT


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(Part):
    """A file with its `path` in the directory. `digest`: of the rows that it was made of, if they may change."""

    path: str
    rows: Count
    bytes: Count
    sha256: str
    digest: str = ""


class Manifest(Part):
    """The manifest. `log` is the id of the log's first event, which distinguishes one log from another."""

    format: int = FORMAT
    log: str = ""
    position: Count = 0
    files: tuple[File, ...] = ()

    @property
    def named(self) -> Mapping[str, File]:
        return {file.path: file for file in self.files}


def read(directory: Path) -> Manifest:
    """Return the manifest of a directory; an empty one if there is none. Raise BadExport if it is not valid."""
    try:
        found = Manifest.model_validate_json((directory / NAME).read_bytes())
    except FileNotFoundError:
        return Manifest()
    except OSError as error:
        raise BadExport(f"{directory / NAME} cannot be read: {error.strerror}; name the folder of an export") from None
    except ValidationError as error:
        raise BadExport(
            f"{directory / NAME} is no manifest of ours ({problems(error)}); name another directory"
        ) from None
    if found.format > FORMAT:
        raise BadExport(f"{directory / NAME} was written by a newer version; upgrade, or name another directory")
    return found


def write(directory: Path, manifest: Manifest) -> None:
    """Replace the manifest, whole or not at all."""
    put(directory / NAME, manifest.model_dump_json(indent=1).encode() + b"\n")


def put(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    moved(temporary, path)


def moved(temporary: Path, path: Path) -> None:
    """Rename a file durably."""
    temporary.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def described(directory: Path, path: Path, rows: int, digest: str = "") -> File:
    with path.open("rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
    name = path.relative_to(directory).as_posix()
    return File(path=name, rows=rows, bytes=path.stat().st_size, sha256=sha256, digest=digest)


def sweep(directory: Path, manifest: Manifest) -> None:
    """Delete files that are not in the manifest: those of a killed run, and those that were replaced."""
    named = manifest.named
    for part in PARTS:
        for path in (directory / part).rglob("*"):
            if path.suffix in (".parquet", ".tmp") and path.relative_to(directory).as_posix() not in named:
                path.unlink()


def differences(directory: Path, manifest: Manifest, *, whole: bool) -> Iterable[str]:
    """Yield a sentence for each file that differs from the manifest; with `whole`, the contents are compared, too."""
    for file in manifest.files:
        path = directory / file.path
        if not path.is_file():
            yield f"{file.path} is missing"
        elif path.stat().st_size != file.bytes or (whole and described(directory, path, 0).sha256 != file.sha256):
            yield f"{file.path} is not what was written"
