"""Files that are written to a path that a person names.

Invariant: a file is there whole or not at all, and only a regular file is ever replaced: into a device or a pipe, such
as /dev/stdout, the content is written.
"""

from __future__ import annotations

import os
import secrets  # noqa: TID251 - for names of files that are there for a moment
from collections.abc import Iterable
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from stat import S_IMODE
from typing import TYPE_CHECKING

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER_ONLY = 0o600
STREAMS = (Path("/dev/stdout"), Path("/dev/stderr"))
DESCRIPTORS = (Path("/dev/fd"), Path("/proc/self/fd"))
USUAL = 0o666
"""The mode of a new file, less the umask."""


class CannotWrite(OmsError):
    """A file cannot be written."""

    code = "cannot_write"
    exit_code = Code.USAGE
    status = HTTPStatus.INTERNAL_SERVER_ERROR


def write_file(path: Path, pieces: Iterable[bytes], *, private: bool = False) -> None:
    """Write a file.

    `private`: only its owner may read it, even if a file of this name existed. Raise CannotWrite if it fails.
    """
    try:
        if _is_open_already(path) or (path.exists() and not path.is_file()):
            # the system refuses to open a folder
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as into:
                into.writelines(pieces)
        else:
            _replace(path.resolve(), pieces, private=private)
    except RuntimeError:  # Python up to 3.12 raises this for circular links
        raise CannotWrite(f"{path} cannot be written: it is a link to itself; name another place") from None
    except OSError as error:
        raise _cannot(path, error) from None


def _is_open_already(path: Path) -> bool:
    """Return whether the path is a stream of this process, such as a shell's redirection; even if that is a file,
    it must not be replaced.
    """
    named = Path.cwd() / path
    return named in STREAMS or any(folder in named.parents for folder in DESCRIPTORS)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make the folder if it does not exist. Raise CannotWrite if that fails."""
    with complete(path):
        if path.exists() and not path.is_dir():
            raise CannotWrite(f"{path} is no folder; name one")
        path.mkdir(mode=mode, parents=True, exist_ok=True)


@contextmanager
def complete(folder: Path) -> Iterator[None]:
    """Translate the errors of writing files into a folder. Raise CannotWrite."""
    try:
        yield
    except OSError as error:
        raise _cannot(error.filename or folder, error) from None


def _cannot(what: Path | str, error: OSError) -> CannotWrite:
    return CannotWrite(f"{what} cannot be written: {error.strerror}; name another place")


def _replace(target: Path, pieces: Iterable[bytes], *, private: bool) -> None:
    beside = target.with_name(f".oms-es-{secrets.token_hex(8)}")
    try:
        mode = OWNER_ONLY if private else USUAL
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            if not private and target.exists():
                os.fchmod(file.fileno(), S_IMODE(target.stat().st_mode))
            file.writelines(pieces)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
