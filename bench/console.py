"""Response times of the console with ten times as many orders, compared with fewer, and with the bare query behind each
page.

The server, PostgreSQL and the client share the machine; pages are requested one after the other, over one connection.
With --scale 10 it is 10,000 orders and 100,000.
"""

from __future__ import annotations

import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `http` is a benchmark and not the library

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
from bench.http import served
from bench.lifecycle import through
from bench.measure import Measure, fresh_database, run

from oms_es.app import engine_on
from oms_es.database.embedded import EmbeddedPostgres

FEW = 1_000
TIMES = 10
ASKED = 60
ORDERS = "SELECT * FROM order_status ORDER BY placed_at DESC, order_id LIMIT 51"
OF_PHASE = "SELECT * FROM order_status WHERE phase = 'completed' ORDER BY placed_at DESC, order_id LIMIT 51"
LISTS: Mapping[str, str] = {
    "orders": ORDERS,
    "orders?phase=completed": OF_PHASE,
    "stock": "SELECT * FROM stock_levels ORDER BY sku, location LIMIT 251",
    "inbox": "SELECT * FROM open_exceptions ORDER BY raised_at, exception_id LIMIT 51",
    "shipping?status=booked": "SELECT * FROM shipments WHERE status = 'booked' ORDER BY requested_at LIMIT 51",
    "returns": "SELECT * FROM returns ORDER BY requested_at DESC LIMIT 51",
}
"""Pages with lists, each with its bare query."""


def measures(scale: int) -> Iterator[Measure]:
    few = FEW * scale
    with tempfile.TemporaryDirectory(prefix="oms-es-bench-") as directory, ExitStack() as stack:
        Path(directory).chmod(0o711)
        server = stack.enter_context(EmbeddedPostgres(Path(directory) / "home").open(exclusive=True))
        first, last = (stack.enter_context(filled(server.url, orders)) for orders in (few, few * TIMES))
        for page, query in LISTS.items():
            asked = (partial(_page, first.client, page), partial(_page, last.client, page))
            of_few, of_many, bare = by_turns(*asked, partial(_query, last.connection, query))
            name, p95 = f"/console/{page}", int(len(bare) * 0.95)
            of = f"of {few:,} orders"
            yield Measure(f"{name}, median of {few * TIMES:,} orders", middle(of_many), "ms", of, middle(of_few))
            yield Measure(f"{name}, p95", of_many[p95], "ms", "the bare query, p95", bare[p95])


class Filled(NamedTuple):
    client: httpx.Client
    connection: psycopg.Connection


@contextmanager
def filled(server_url: str, orders: int) -> Iterator[Filled]:
    with fresh_database(server_url) as url:
        with engine_on(url) as engine:
            through(engine, orders, "completed")
        with ExitStack() as stack:
            connection = stack.enter_context(psycopg.connect(url, autocommit=True))
            connection.execute("VACUUM ANALYZE")
            port = stack.enter_context(served(url))
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}/console/", timeout=60)
            yield Filled(stack.enter_context(client), connection)


def by_turns(*asked: Callable[[], None]) -> list[list[float]]:
    """Measure each function equally often, by turns, so that other load affects all; return milliseconds."""
    took: list[list[float]] = [[] for _ in asked]
    for number in range(ASKED + 1):
        for times, do in zip(took, asked, strict=True):
            began = time.perf_counter()
            do()
            if number:  # the first call fills caches
                times.append((time.perf_counter() - began) * 1_000)
    return [sorted(times) for times in took]


def middle(times: list[float]) -> float:
    return times[len(times) // 2]


def _query(connection: psycopg.Connection, query: str) -> None:
    connection.execute(query.encode()).fetchall()


def _page(client: httpx.Client, page: str) -> None:
    client.get(page).raise_for_status()


if __name__ == "__main__":
    run("Console", measures)
