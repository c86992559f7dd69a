"""The next demo stops and removes the database of a demo that was killed, and no other database."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import reachable_directory
from oms_es.database.directories import Lock
from oms_es.database.left_over import remove_left_over

PREFIX = "oms-es-demo-"
OPEN_AND_WAIT = """
import sys, time
from pathlib import Path
from oms_es.database.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])).open(exclusive=True):
    print("open", file=sys.stderr, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def root() -> Iterator[Path]:
    with reachable_directory() as made:
        yield made


@contextmanager
def opened(directory: Path) -> Iterator[subprocess.Popen[str]]:
    directory.mkdir(0o711)
    words = [sys.executable, "-c", OPEN_AND_WAIT, str(directory / "home")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stderr
            assert program.stderr.readline() == "open\n"
            yield program
        finally:
            program.kill()


def server_of(directory: Path) -> int:
    return int((directory / "home" / "cluster" / "postmaster.pid").read_text().splitlines()[0])


def lives(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_what_a_killed_demo_left_is_ended_and_removed_and_what_runs_is_left_alone(root: Path) -> None:
    demo = root / f"{PREFIX}1"
    with opened(demo):
        for name in (f"{PREFIX}begun", "another-1"):
            (root / name / "home").mkdir(parents=True)
        assert remove_left_over(root, PREFIX) == [], "it runs"
        server = server_of(demo)
    assert lives(server), "a server outlives the program that is killed"
    reader = Lock(demo / "home" / "users.lock")
    assert reader.take(fcntl.LOCK_SH)
    assert remove_left_over(root, PREFIX) == [], "a person looks at it"
    reader.drop()
    assert lives(server)
    assert remove_left_over(root, PREFIX) == [demo]
    assert not lives(server)
    assert sorted(path.name for path in root.iterdir()) == ["another-1", f"{PREFIX}begun"]


def test_another_accounts_directory_and_a_link_are_left_alone(root: Path) -> None:
    kept = root / "kept"
    (kept / "home").mkdir(parents=True)
    (kept / "home" / "password").write_text("secret")
    (root / f"{PREFIX}link").symlink_to(kept)
    assert remove_left_over(root, PREFIX) == []
    assert (kept / "home" / "password").exists()
