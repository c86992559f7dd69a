"""The common parts of all benchmarks: a measure with its reference, as a table for people or JSON lines for
programs."""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from rich.console import Console
from rich.table import Table

from oms_es.processing.garbage import collect_seldom
from oms_es.processing.logging import configure_logging


@dataclass(frozen=True)
class Measure:
    """A measured value. `reference` was measured in the same run on the same machine; `ratio` is value /
    reference_value."""

    name: str
    value: float
    unit: str
    reference: str = ""
    reference_value: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.reference_value if self.reference_value else None


def run(title: str, measures: Callable[[int], Iterable[Measure]]) -> None:
    """Parse the command line, measure, print. `--scale` multiplies the amount of work."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", action="store_true", help="one object per measure on standard output")
    parser.add_argument("--scale", type=int, default=1, help="how many times the usual amount of work")
    options = parser.parse_args()
    with printed(title, as_json=options.json) as found:
        found.extend(measures(options.scale))


@contextmanager
def printed(title: str, *, as_json: bool) -> Iterator[list[Measure]]:
    """Print all measures at the end of the context, also after an error."""
    configure_logging("console", "warning")
    collect_seldom()
    found: list[Measure] = []
    try:
        yield found
    finally:
        _print(title, found, as_json=as_json)


def _print(title: str, found: Sequence[Measure], *, as_json: bool) -> None:
    if as_json:
        for measure in found:
            print(json.dumps({**asdict(measure), "ratio": measure.ratio}))
        return
    table = Table("measure", "value", "unit", "reference", "reference value", "ratio", title=title)
    for column in table.columns[1::2]:
        column.justify = "right"
    for measure in found:
        table.add_row(
            measure.name,
            f"{measure.value:,.1f}",
            measure.unit,
            measure.reference,
            "" if measure.reference_value is None else f"{measure.reference_value:,.1f}",
            "" if measure.ratio is None else f"{measure.ratio:.1f}",
        )
    Console(width=160).print(table)


def peak_memory() -> Measure:
    """Return the peak memory of this process, without the database server."""
    return Measure(
        "peak memory of the engine's process", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB"
    )


numbers = count(1)


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    name = f"bench_{next(numbers)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    try:
        yield make_conninfo(server_url, dbname=name)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
