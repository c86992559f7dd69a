"""Files on a share, which several processes and other programs use at once.

Invariant: a file is there whole or not at all, also after a crash. One that is moved is never lost: what has its name
already stays beside it. No name is longer than file systems take, nor shared by two processes.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

NAME_BYTES_MAX = 200
"""Of a file's name, with room for what is added to it: file systems take 255."""
PART, CLAIM = ".part-", ".claim-"
TOKEN_BYTES = 8
PART_SECONDS_MAX = 86_400.0
"""For how long a file may be written: what is older was left by a process that was killed."""


def bounded(name: str, suffix: str = "") -> str:
    """Return a name for a file, with a digest of it in place of what is too long."""
    raw = os.fsencode(name)
    if len(raw) <= NAME_BYTES_MAX:
        return name + suffix
    ending = ".json" if name.endswith(".json") else ""
    return f"{os.fsdecode(raw[: NAME_BYTES_MAX - 40])}-{sha256(raw).hexdigest()[:16]}{ending}{suffix}"


def shown(name: str) -> str:
    """Return the name as text that can be stored and printed: a name is bytes, not always UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a crash."""
    beside = path.with_name(f"{PART}{secrets.token_hex(TOKEN_BYTES)}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def sweep(folder: Path) -> None:
    """Delete what killed processes have left half written."""
    for entry in entries(folder):
        with suppress(FileNotFoundError):  # another process was faster
            if entry.name.startswith(PART) and time.time() - entry.stat().st_mtime > PART_SECONDS_MAX:
                Path(entry.path).unlink()


def claim(path: Path) -> Path | None:
    """Give a file a name of ours, so that nothing can be put in its place; None if another process was faster."""
    claimed = path.with_name(f"{CLAIM}{secrets.token_hex(TOKEN_BYTES)}-{bounded(path.name)}")
    try:
        path.rename(claimed)
    except FileNotFoundError:
        return None
    return claimed


def is_claim(path: Path) -> bool:
    return path.name.startswith(CLAIM)


def claimed_name(path: Path) -> str:
    """Return the name that a file had before it was claimed."""
    return path.name[len(CLAIM) + 2 * TOKEN_BYTES + 1 :] if is_claim(path) else path.name


def move_whole(path: Path, folder: Path, name: str) -> str:
    """Move a file into a folder, which is made if it is missing, and return its name there: another one where another
    file has that name. Of one that another process has moved already, nothing is left to do."""
    folder.mkdir(exist_ok=True)
    target = folder / name
    try:
        if target.exists() and (content := path.read_bytes()) != target.read_bytes():
            target = folder / f"{target.stem}-{sha256(content).hexdigest()[:16]}{target.suffix}"
        path.replace(target)
    except FileNotFoundError:
        if path.exists():
            raise
    else:
        _sync(folder)
    return target.name


def entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what is in a folder; nothing if it is not there."""
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        yield from found


def _sync(folder: Path) -> None:
    """Have the names in a folder survive a crash; some network shares cannot open a folder, and need not."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
