"""Databases of programs that were killed: found by the next program, stopped, and removed.

Invariant: a database in use is never touched: the program that uses it holds its engine's lock until it ends.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from oms_es.database.directories import EmbeddedError
from oms_es.database.embedded import EmbeddedPostgres

HOME = "home"
"""The database's directory within the temporary directory, which the server's account must be able to pass through."""


def remove_left_over(root: Path, prefix: str) -> list[Path]:
    """Remove temporary directories in `root` whose program was killed; those that cannot be stopped stay."""
    removed = []
    for directory in _ours(root, prefix):
        with suppress(OSError, EmbeddedError):
            if _ended(directory / HOME):
                shutil.rmtree(directory, ignore_errors=True)
                removed.append(directory)
    return removed


def _ours(root: Path, prefix: str) -> Iterator[Path]:
    """Yield our directories with this prefix; those of other accounts, and links, are skipped."""
    for directory in sorted(root.glob(f"{prefix}*")):
        with suppress(FileNotFoundError):
            found = directory.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                yield directory


def _ended(home: Path) -> bool:
    """Return whether the server is stopped and unused. A database that was never complete is left as it is."""
    if not (home / "password").exists():
        return False
    server = EmbeddedPostgres(home)
    ended = server.end()
    if ended and server.place != server.home:
        shutil.rmtree(server.place, ignore_errors=True)
    return ended
