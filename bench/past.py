"""The cost of past states, compared with current ones: one row with the live row, a whole read model with
its rebuild."""

from __future__ import annotations

import sys
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from bench.measure import Measure, fresh_database, run
from bench.subject import order, world
from psycopg.sql import SQL, Identifier

from oms_es.app import PROJECTIONS, Engine, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.history import moments, rows_then, states
from oms_es.kernel import Key, Projection
from oms_es.reports import queries

ORDERS, BATCH = 1_000, 250
ROWS = 40
WHOLE = ("order_status", "stock_levels", "order_lines", "payments")


def seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def some_keys(connection: queries.Connection, projection: Projection) -> list[Key]:
    names = SQL(", ").join(map(Identifier, projection.key_columns))
    query = SQL("SELECT {} FROM {} ORDER BY md5({}::text) LIMIT {}").format(
        names, Identifier(projection.name), Identifier(projection.key_columns[0]), ROWS
    )
    return [tuple(row.values()) for row in connection.execute(query)]


def live(connection: queries.Connection, projection: Projection, key: Key) -> object:
    same = SQL(" AND ").join(SQL("{} = %s").format(Identifier(name)) for name in projection.key_columns)
    query = SQL("SELECT * FROM {} WHERE {}").format(Identifier(projection.name), same)
    return connection.execute(query, list(key)).fetchone()


def of_rows(connection: queries.Connection, end: int) -> tuple[list[float], list[float], tuple[str, float, float]]:
    """Return the seconds of each read model, live and as of a position, and the read model that differs most."""
    now, then, slowest = [], [], ("", 1.0, 0.0)
    chance = Random(1)
    for projection in PROJECTIONS:
        if not projection.fed_by and "position" not in projection.key_columns:
            continue
        pairs = []
        for key in some_keys(connection, projection):
            at = chance.randint(1, end)
            live(connection, projection, key)
            pairs.append(
                (
                    seconds(lambda: live(connection, projection, key)),  # noqa: B023 - called at once
                    seconds(lambda: rows_then.row(connection, projection, key, at)),  # noqa: B023 - called at once
                )
            )
        if not pairs:
            continue
        n, t = (median(column) for column in zip(*pairs, strict=True))
        now.append(n)
        then.append(t)
        if t / n > slowest[2] / slowest[1]:
            slowest = projection.name, n, t
    return now, then, slowest


def measures(scale: int) -> Iterator[Measure]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="oms-es-bench-")))
        directory.chmod(0o711)
        server = stack.enter_context(EmbeddedPostgres(directory / "home").open(exclusive=True))
        url = stack.enter_context(fresh_database(server.url))
        migrate(url)
        engine = stack.enter_context(Engine(url))
        engine.submit("bench", world())
        for first in range(0, ORDERS * scale, BATCH):
            engine.submit("bench", [order(number) for number in range(first, first + BATCH)])
            engine.settle()
        connection = stack.enter_context(queries.reading(url))
        end = moments.position_of(connection, None)
        yield Measure("history", end, "events")
        now, then, (slowest, n, t) = of_rows(connection, end)
        yield Measure("a row as of then", median(then) * 1_000, "ms", "the live row", median(now) * 1_000)
        yield Measure(f"the slowest, of {slowest}", t * 1_000, "ms", "its live row", n * 1_000)
        chosen = [one for one in PROJECTIONS if one.name in WHOLE]
        rebuilt = seconds(lambda: engine.rebuild_all(chosen))
        laid = seconds(lambda: states.lay_out(connection, chosen, end))
        yield Measure("four whole read models as of then", laid, "s", "their rebuild", rebuilt)


if __name__ == "__main__":
    run("The past", measures)
