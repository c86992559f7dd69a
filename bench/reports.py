"""Each built-in report of a year by day, compared with the same query by DuckDB on the export of the same tables.

DuckDB runs the very statement of the report, with two expressions that it spells otherwise than PostgreSQL. What an
export does not have, such as payments, is written beside it in the same way, in one file.
"""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from bench.measure import Measure
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from oms_es.app import PROJECTIONS
from oms_es.reports.exporting import run
from oms_es.reports.exporting.facts import EXPORTED
from oms_es.reports.exporting.parquet import written
from oms_es.reports.figures import answering, asking, definition, selecting
from oms_es.reports.figures.asking import Question
from oms_es.reports.figures.words import BadReport
from oms_es.reports.queries import Connection
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec

DAYS = 365
SECONDS_MAX = 2.0
FETCHED = 10_000
TABLES = {projection.table.name: projection.table for projection in PROJECTIONS}
SPELLED_OTHERWISE = (
    "CREATE MACRO make_interval(years, months, weeks, days, hours) AS to_hours(hours)",
    "SET TimeZone = 'UTC'",
)


def measures(url: str, directory: Path, rounds: int) -> Iterator[Measure]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        asked = {name: question(connection, name) for name in definition.built_in()}
        export(url, connection, directory, {table for one in asked.values() for table in one.tables})
        with duckdb.connect() as beside:
            for statement in SPELLED_OTHERWISE:
                beside.execute(statement)
            for folder in (directory / "facts").iterdir():
                files = f"{folder}/**/*.parquet"
                beside.execute(f"CREATE VIEW {folder.name} AS FROM read_parquet('{files}', hive_partitioning = false)")
            for name, one in asked.items():
                named = f"{name}, {'by day' if one.grain else 'of the year'}"
                ours, theirs = partial(_here, connection, one), partial(_there, beside, one)
                here, there = seconds(rounds, ours, theirs)
                yield Measure(named, here, "s", f"DuckDB (bar: 3 times that, or {SECONDS_MAX:.0f} s)", there)
                yield Measure(f"{named}, CPU", *cpu_seconds(connection, ours, theirs))


def cpu_seconds(
    connection: Connection, ours: Callable[[], Any], theirs: Callable[[], Any]
) -> tuple[float, str, str, float]:
    """Return the CPU seconds of the database server, with one process, and those of DuckDB: other load hardly affects
    them."""
    row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
    assert row
    connection.execute("SET max_parallel_workers_per_gather = 0")
    before = _cpu(row["pid"])
    ours()
    used = _cpu(row["pid"]) - before
    connection.execute("RESET max_parallel_workers_per_gather")
    began = time.process_time()
    theirs()
    return used, "s", "DuckDB, CPU", time.process_time() - began


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def question(connection: Connection, name: str) -> Question:
    """Return the question for the year that ends with the newest order, by day if the report can be had by day."""
    row = connection.execute("SELECT max(placed_at)::date AS day FROM order_milestones").fetchone()
    assert row
    until = row["day"] + timedelta(days=1)
    period = {"since": (until - timedelta(days=DAYS)).isoformat(), "until": until.isoformat()}
    report = definition.named(name)
    try:
        return asking.question(report, by=["day"], **period)
    except BadReport:
        return asking.question(report, **period)


def export(url: str, connection: Connection, directory: Path, tables: set[str]) -> None:
    """Export the fact tables as `oms-es export` does, and beside them the others."""
    run.export(connection, Codec(EVENTS), directory)
    with psycopg.connect(url) as reader:
        for name in tables - {one.table.name for one in EXPORTED}:
            columns = {column.name: _kind(column) for column in TABLES[name].columns}
            with reader.cursor(name="exported") as curs:
                curs.itersize = FETCHED
                chosen = SQL(", ").join(
                    SQL("{}{}").format(Identifier(one), SQL("::text" if kind is str else ""))
                    for one, kind in columns.items()
                )
                curs.execute(SQL("SELECT {} FROM {}").format(chosen, Identifier(name)))
                written(directory, directory / "facts" / name / "whole.parquet", columns, curs)


def _kind(column: Any) -> type:
    """Return the type that a column is exported as: what is neither text nor a number nor a time, as text."""
    kind = column.type.python_type
    return kind if kind in (str, int, bool, datetime) else str


def seconds(rounds: int, *asked: Callable[[], Any]) -> list[float]:
    """Return the median seconds of each, by turns; all return equally many rows."""
    took: list[list[float]] = [[] for _ in asked]
    for _ in range(rounds):
        rows = set()
        for times, do in zip(took, asked, strict=True):
            began = time.perf_counter()
            rows.add(do())
            times.append(time.perf_counter() - began)
        assert len(rows) == 1, f"not the same answer: {rows} rows"
    return [statistics.median(times) for times in took]


def _here(connection: Connection, asked: Question) -> int:
    return len(answering.answer(connection, asked).rows)


def _there(beside: duckdb.DuckDBPyConnection, asked: Question) -> int:
    statement, values = selecting.compiled(selecting.selected(asked), asked)
    statement = re.sub(r"%\((\w+)\)s", r"$\1", statement).replace("%%", "%")
    statement = re.sub(r"(\w+\.day \+ )(\w+\.after)", r"\1CAST(\2 AS INTEGER)", statement)
    rows = beside.execute(statement, values).fetchall()
    return len(rows[: asked.definition.top] if asked.definition.top else rows)
