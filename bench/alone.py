"""One order alone, from its placing to its release: how long it takes, and how many statements and transactions it
needs.

It is compared with the build of another commit: `--against COMMIT` checks that commit out, gives it an environment of
its own, and lets both builds take orders by turns on the same server. Both run `bench/subject.py`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Self

import psycopg
from bench.measure import Measure, fresh_database, printed

from oms_es.database.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
SUBJECT = ROOT / "bench" / "subject.py"
ROUNDS = 5
"""Rounds by turns, so that other load on the machine affects both builds: medians are taken over all orders of all
rounds."""
ORDERS = 20
COUNTED_ORDERS = 10
WAIT_SECONDS_MAX = 120.0
STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): ")
OURS = "this build"


class Asked(NamedTuple):
    """Work of the database per order."""

    statements: float
    commits: float


class Subject:
    """A build with a database of its own, which takes orders on request."""

    def __init__(self, python: Path, url: str) -> None:
        command = [str(python), str(SUBJECT), url]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self._answer()

    def take(self, orders: int) -> None:
        assert self.process.stdin
        print(orders, file=self.process.stdin, flush=True)
        reported = self._answer()
        self.seconds += reported["seconds"]
        self.cpu_seconds.append(reported["cpu_seconds"])

    def _answer(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the build that is measured has ended; what it said stands above"
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(WAIT_SECONDS_MAX)


def measures(against: str) -> Iterator[Measure]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oms-es-bench-")))
        directory.chmod(0o711)
        pythons = {OURS: Path(sys.executable)}
        if against:
            pythons[f"build {against}"] = stack.enter_context(built(against, directory / "other"))
        server = stack.enter_context(EmbeddedPostgres(directory / "home").open(exclusive=True))
        subjects = {
            name: stack.enter_context(Subject(python, stack.enter_context(fresh_database(server.url))))
            for name, python in pythons.items()
        }
        for _ in range(ROUNDS):
            for subject in subjects.values():
                subject.take(ORDERS)
        asked = {name: counted(server, subject) for name, subject in subjects.items()}
        yield from compared(subjects, asked, f"build {against}" if against else "")


def compared(subjects: Mapping[str, Subject], asked: Mapping[str, Asked], other: str) -> Iterator[Measure]:
    wall = {name: 1_000 * median(subject.seconds) for name, subject in subjects.items()}
    cpu = {name: 1_000 * median(subject.cpu_seconds) for name, subject in subjects.items()}
    statements = {name: found.statements for name, found in asked.items()}
    commits = {name: found.commits for name, found in asked.items()}
    for what, unit, values in (
        ("from its placing to its release", "ms", wall),
        ("CPU of the engine", "ms", cpu),
        ("statements", "1", statements),
        ("transactions that write", "1", commits),
    ):
        yield Measure(f"one order alone, {what}", values[OURS], unit, other, values.get(other))


def counted(server: EmbeddedPostgres, subject: Subject) -> Asked:
    """Return the statements in the server's log, and the transactions that got an id, per order."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        logging(connection, "all")
        before, log = transactions(connection), server.place / "server.log"
        begin = log.stat().st_size
        subject.take(COUNTED_ORDERS)
        found = STATEMENT.findall(log.read_bytes()[begin:].decode(errors="replace"))
        after = transactions(connection)
        logging(connection, "none")
    return Asked(len(found) / COUNTED_ORDERS, (after - before - 1) / COUNTED_ORDERS)


def transactions(connection: psycopg.Connection) -> int:
    """Return the current transaction id; the query itself uses one."""
    row = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    assert row
    return int(row[0])


def logging(connection: psycopg.Connection, statements: str) -> None:
    connection.execute(f"ALTER SYSTEM SET log_statement = '{statements}'".encode())
    connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)  # until every backend has read the setting


@contextmanager
def built(commit: str, directory: Path) -> Iterator[Path]:
    """Install the commit in an environment and yield its Python."""
    git: Sequence[str] = ("git", "-C", str(ROOT), "worktree")
    subprocess.run([*git, "add", "--quiet", "--detach", str(directory), commit], check=True)
    try:
        subprocess.run(["make", "--silent", ".venv/.synced"], cwd=directory, check=True)
        yield directory / ".venv" / "bin" / "python"
    finally:
        subprocess.run([*git, "remove", "--force", str(directory)], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object per measure on standard output")
    parser.add_argument("--against", default="", metavar="COMMIT", help="measure the build of this commit, too")
    options = parser.parse_args()
    with printed("One order alone", as_json=options.json) as reported:
        reported.extend(measures(options.against))
