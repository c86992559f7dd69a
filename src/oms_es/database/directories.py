"""The directory of the embedded database: its path, its locks, and files that are written atomically.

Invariant: a lock ends with the last process that holds its descriptor, however that process ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import platformdirs

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

START_SECONDS_MAX = 300
"""Long, because a server that was killed replays its log first; a server that cannot start fails at once."""

STOP_SECONDS_MAX = 60

LOCK_SECONDS_MAX = START_SECONDS_MAX + STOP_SECONDS_MAX

POLL_SECONDS = 0.02

ENGINE_LOCK = "engine.lock"

REACHABLE_ROOT = Path("/var/lib/oms-es")
"""The directory in which root stores what the server's account must be able to reach."""


class EmbeddedError(OmsError):
    """The embedded server cannot be used; the message says why, and what to do next."""

    code = "no_embedded_database"
    exit_code = Code.NO_DATABASE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class EngineRunning(EmbeddedError):
    """Another engine runs on this home."""

    code = "engine_running"


def default_home() -> Path:
    return Path(os.environ.get("OMS_HOME") or platformdirs.user_data_path("oms-es", appauthor=False))


class Lock:
    """An advisory lock on a file. It ends with the last process that holds its descriptor, however that
    process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1

    def take(self, mode: int) -> bool:
        if self.descriptor < 0:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self.descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def sign(self) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, str(os.getpid()).encode(), 0)

    def signature(self) -> str:
        return os.pread(self.descriptor, 20, 0).decode() or "unknown"

    def drop(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    @contextmanager
    def held(self, seconds_max: float = LOCK_SECONDS_MAX) -> Iterator[None]:
        deadline = time.monotonic() + seconds_max
        try:
            while not self.take(fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"pid {self.signature()} has held {self.path} for {seconds_max:g} s; let it end, or kill it"
                    )
                time.sleep(POLL_SECONDS)
            self.sign()
            yield
        finally:
            self.drop()


def engine_pid(home: Path) -> str | None:
    """Return the pid of the engine that runs on this home, or None."""
    engine = Lock(home.expanduser() / ENGINE_LOCK)
    try:
        return None if engine.take(fcntl.LOCK_SH) else engine.signature()
    except OSError:  # the home does not exist, or belongs to another account
        return None
    finally:
        engine.drop()


def make_directory(path: Path, mode: int) -> None:
    """Make a directory with this mode; an existing directory keeps its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode)
        path.chmod(mode)


def write_whole(path: Path, text: str) -> None:
    """Write a file atomically, readable by its owner only."""
    half = path.with_name(f".{path.name}.half")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
