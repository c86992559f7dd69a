"""Replay of history in memory, compared with the live engine that made it: events a second, in the same run."""

from __future__ import annotations

import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Iterator
from pathlib import Path

from bench.lifecycle import through
from bench.measure import Measure, fresh_database, peak_memory, run

from oms_es.app import engine_on
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.reports import queries
from oms_es.whatif.changes import Changes
from oms_es.whatif.comparing import compare
from oms_es.whatif.equality import unlike
from oms_es.whatif.history import read
from oms_es.whatif.reliving.relive import Relive

ORDERS = 1_000


def measures(scale: int) -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="oms-es-bench-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedPostgres(Path(directory) / "home").open(exclusive=True) as server:
            with fresh_database(server.url) as url, engine_on(url) as engine:
                orders_per_second, events = through(engine, ORDERS * scale, "completed")
                live = orders_per_second * events / (ORDERS * scale)
                end = engine.last_position()
                with queries.reading(url) as connection:
                    started = time.perf_counter()
                    lived = read(connection, 0, end, lambda _reached, _last: None)
                    relive = Relive(lived.before, lived.after)
                    relive.run()
                    seconds = time.perf_counter() - started
            assert not list(unlike(lived.after, relive.events())), "history did not come out as it was"
            yield Measure(
                "events lived again, from the first that is read", end / seconds, "1/s", "the live engine", live
            )
            started = time.perf_counter()
            compare(lived, Changes(safety_stock={("*", "berlin"): 10}), end, lambda _: None)
            seconds = time.perf_counter() - started
            name = "events under another safety stock, figures and all"
            yield Measure(name, end / seconds, "1/s", "the live engine", live)
    yield peak_memory()


if __name__ == "__main__":
    run("What if", measures)
