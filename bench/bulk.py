"""Costs that grow with history: memory while orders are taken, bytes on disk, and the time of `rebuild --all` and
`verify`.

They are compared with the build of another commit, as in `bench/alone.py`: each build has a database of its own on one
server, in which it took the same orders itself, and both run by turns, through the command line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import lz4.block  # type: ignore[import-untyped] # the library has no types
import psycopg
import zstandard
from bench.alone import OURS, built
from bench.measure import Measure, fresh_database, printed
from psycopg.rows import dict_row

from oms_es.database.embedded import EmbeddedPostgres
from oms_es.proof.encryption import AFTER_EVENT
from oms_es.store.encoding.codec import BEFORE_EVENT
from oms_es.store.recorder import EVENTS

SUBJECT = Path(__file__).with_name("bulk_subject.py")
ORDERS = 1_500
ROUNDS = 5
ASKED = {"rebuild --all": ("rebuild", "--all", "--json"), "verify": ("verify", "--json")}
USED = (
    ("seconds", "from start to end", "s"),
    ("cpu_seconds", "CPU of the program", "s"),
    ("peak_mib", "peak memory of its largest process", "MiB"),
)
PARTS = f"""
SELECT count(*) AS events, sum(length(state)) AS state,
    sum(position(%(after)s::bytea IN state) - 1 - length(%(before)s::bytea)) AS event,
    sum(length(originator_id) + length(topic)) AS names,
    pg_relation_size('{EVENTS}') AS heap,
    pg_indexes_size('{EVENTS}') AS indexes,
    pg_total_relation_size('order_timeline') AS timeline
FROM {EVENTS}
"""

FILES = """
SELECT pg_relation_filepath(oid) AS path FROM pg_class
WHERE relkind IN ('r', 'i', 't') AND relname !~ '^(pg_(?!toast)|sql_)'
"""
RECORD_BYTES = 16_384
SECTOR_BYTES = 4_096
"""The sector of a file system that compresses each record and stores whole sectors of the result."""
COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "lz4": lz4.block.compress,
    "zstd": zstandard.ZstdCompressor(level=3).compress,
}


class Run(NamedTuple):
    seconds: float
    cpu_seconds: float
    peak_mib: float


class Build:
    """A build with a database in which it took the orders."""

    def __init__(self, python: Path, url: str, orders: int, server: int) -> None:
        """`server`: the process id of PostgreSQL, which must have no other load."""
        self.program, self.url, self.orders = python.with_name("oms-es"), url, orders
        command = [str(python), str(SUBJECT), url, str(orders)]
        before = cpu_seconds_of(server)
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd="/", check=True).stdout
        self.server_cpu_seconds = cpu_seconds_of(server) - before
        self.took: dict[str, float] = json.loads(said.splitlines()[-1])
        with psycopg.connect(url, autocommit=True) as connection:
            completed = connection.execute("SELECT count(*) FROM order_status WHERE phase = 'completed'").fetchone()
            assert completed == (orders,), f"{completed} orders of {orders} were completed"
            connection.execute("VACUUM")
        self.runs: dict[str, list[Run]] = {name: [] for name in ASKED}

    def ask(self, name: str) -> None:
        environment = {**os.environ, "OMS_DATABASE_URL": self.url}
        started = time.perf_counter()
        command = [str(self.program), *ASKED[name]]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, cwd="/")
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, f"{' '.join(command)} ended with {process.returncode}"
        run = Run(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
        self.runs[name].append(run)

    def bytes_of_database(self) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row
        return int(row[0])

    def bytes_per_order(self, empty: int) -> float:
        return (self.bytes_of_database() - empty) / self.orders


def cpu_seconds_of(parent: int) -> float:
    """Return the CPU seconds of a process and its children, including those that have ended."""
    found = [(Path("/proc") / str(parent) / "stat").read_text().rpartition(")")[2].split()]
    for child in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # the child has ended meanwhile
            values = child.read_text().rpartition(")")[2].split()
            if int(values[1]) == parent:
                found.append(values[:13])
    return sum(int(ticks) for values in found for ticks in values[11:15]) / os.sysconf("SC_CLK_TCK")


def measures(against: str, orders: int, rounds: int) -> Iterator[Measure]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oms-es-bench-")))
        directory.chmod(0o711)
        pythons = {OURS: Path(sys.executable)}
        if against:
            pythons[f"build {against}"] = stack.enter_context(built(against, directory / "other"))
        server = stack.enter_context(EmbeddedPostgres(directory / "home").open(exclusive=True))
        empty = stack.enter_context(fresh_database(server.url))
        pid = int((directory / "home" / "cluster" / "postmaster.pid").read_text().split()[0])
        without = Build(Path(sys.executable), empty, 0, pid).bytes_of_database()
        builds = {
            name: Build(python, stack.enter_context(fresh_database(server.url)), orders, pid)
            for name, python in pythons.items()
        }
        other = builds.get(f"build {against}")
        for _ in range(rounds):
            for name in ASKED:
                for build in builds.values():
                    build.ask(name)
        yield from compared(builds[OURS], other, f"build {against}" if other else "", without)
        yield from parts_of_an_event(builds[OURS].url)
        yield from on_a_file_system_that_compresses(builds[OURS], directory / "home" / "cluster")


TAKEN: Sequence[tuple[str, str, Callable[[Build], float]]] = (
    ("orders through their whole life", "1/s", lambda build: build.orders / build.took["seconds"]),
    ("CPU per order", "ms", lambda build: 1_000 * build.took["cpu_seconds"] / build.orders),
    (
        "CPU per order, with PostgreSQL's, and of making its tables",
        "ms",
        lambda build: 1_000 * (build.took["cpu_seconds"] + build.server_cpu_seconds) / build.orders,
    ),
    ("peak memory while they are taken", "MiB", lambda build: build.took["peak_mib"]),
)


def compared(ours: Build, other: Build | None, reference: str, empty: int) -> Iterator[Measure]:
    def beside(name: str, value: float, unit: str, theirs: float | None) -> Measure:
        return Measure(f"{name}, {ours.orders:,} orders", value, unit, reference, theirs)

    for what, unit, of in TAKEN:
        yield beside(what, of(ours), unit, of(other) if other else None)
    per_order = other.bytes_per_order(empty) if other else None
    yield beside("bytes on disk per completed order", ours.bytes_per_order(empty), "B", per_order)
    for name in ASKED:
        for column, what, unit in USED:
            values = [median(getattr(run, column) for run in build.runs[name]) for build in (ours, other) if build]
            yield beside(f"{name}, {what}", values[0], unit, values[1] if other else None)


def parts_of_an_event(url: str) -> Iterator[Measure]:
    """Yield the bytes of an event on disk: its content, the row around it, and its indexes."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        found = connection.execute(PARTS.encode(), {"before": BEFORE_EVENT, "after": AFTER_EVENT}).fetchone()
    assert found
    events = found["events"]
    per_event = {name: float(value) / events for name, value in found.items()}
    kept = per_event["state"] + per_event["names"]
    parts: Mapping[str, float] = {
        "what it says, as JSON": per_event["event"],
        "the envelope around it": per_event["state"] - per_event["event"],
        "its stream and name": per_event["names"],
        "headers of rows and pages, less what is compressed": per_event["heap"] - kept,
        "indexes": per_event["indexes"],
        "its rows of order_timeline": per_event["timeline"],
    }
    yield from (Measure(f"bytes of an event: {name}", value, "B") for name, value in parts.items())


def on_a_file_system_that_compresses(build: Build, cluster: Path) -> Iterator[Measure]:
    """Yield the size of tables and indexes on a compressing file system, estimated by compressing each record."""
    with psycopg.connect(build.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        files = [cluster / path for (path,) in connection.execute(FILES)]
    contents = [file.read_bytes() for file in files]
    plain = sum(map(len, contents)) / build.orders
    for name, compress in COMPRESSIONS.items():
        kept = sum(_kept(content, compress) for content in contents) / build.orders
        yield Measure(f"bytes per order, as {name} keeps records of 16 KiB", kept, "B", "tables and indexes", plain)


def _kept(content: bytes, compress: Callable[[bytes], bytes]) -> int:
    records = (content[at : at + RECORD_BYTES] for at in range(0, len(content), RECORD_BYTES))
    return sum(min(len(record), -(-len(compress(record)) // SECTOR_BYTES) * SECTOR_BYTES) for record in records)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object per measure on standard output")
    parser.add_argument("--against", default="", metavar="COMMIT", help="measure the build of this commit, too")
    parser.add_argument("--orders", type=int, default=ORDERS, help="that each build takes, of 26 events each")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of which medians are taken")
    options = parser.parse_args()
    with printed("History", as_json=options.json) as reported:
        reported.extend(measures(options.against, options.orders, options.rounds))
