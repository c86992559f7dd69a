"""Databases of programs that were killed: found by the next one, ended, and removed.

Invariant: one that is in use is never touched: who uses it holds its engine's lock, and dies with it.
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
"""In a temporary directory, the database's own: the server's account passes through what is above it."""


def remove_left_over(root: Path, prefix: str) -> list[Path]:
    """Of temporary directories in `root` whose program was killed; those that cannot be ended stay."""
    removed = []
    for directory in _ours(root, prefix):
        with suppress(OSError, EmbeddedError):
            if _ended(directory / HOME):
                shutil.rmtree(directory, ignore_errors=True)
                removed.append(directory)
    return removed


def _ours(root: Path, prefix: str) -> Iterator[Path]:
    """Another account's directory of that name is another's, and a link leads elsewhere."""
    for directory in sorted(root.glob(f"{prefix}*")):
        with suppress(FileNotFoundError):
            found = directory.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                yield directory


def _ended(home: Path) -> bool:
    """Whether its server is stopped, and no one uses it. A database that was not whole yet is left as it is."""
    if not (home / "password").exists():
        return False
    server = EmbeddedPostgres(home)
    ended = server.end()
    if ended and server.place != server.home:
        shutil.rmtree(server.place, ignore_errors=True)
    return ended
