"""Durable reservations, compared with the simplest bookkeeping of stock in PostgreSQL.

The reference is pgbench: 8 clients, each transaction decrements one hot row and inserts a row that records this. Both
run on the same server, one after the other.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import unquote

import psycopg
from bench.measure import Measure, fresh_database, peak_memory, run
from psycopg.conninfo import conninfo_to_dict

from oms_es.aggregates.stock import decider as stock
from oms_es.app import migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.schemas import stock as s
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause
from oms_es.store.recorder import Advance, Recorder, datastore_of
from oms_es.store.store import Store

SKUS = 1_000
BATCH = 500
BATCHES = 60
LONG_STREAM_EVENTS = 100_000
PGBENCH_CLIENTS, PGBENCH_SECONDS = 8, 6
REFERENCE = f"pgbench, one hot row, {PGBENCH_CLIENTS} clients"
US = Cause("bench")
numbers = count()

SCRIPT = """
BEGIN;
UPDATE levels SET on_hand = on_hand - 1 WHERE sku = 1 AND on_hand > 0;
INSERT INTO reservations (sku, quantity) VALUES (1, 1);
COMMIT;
"""


def measures(scale: int) -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="oms-es-bench-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedPostgres(Path(directory) / "home").open(exclusive=True) as server:
            reference = pgbench(server, Path(directory))
            with fresh_database(server.url) as url:
                yield from appended(url, scale, reference)
    yield peak_memory()


def appended(url: str, scale: int, reference: float) -> Iterator[Measure]:
    chance = random.Random(1)
    migrate(url)
    with datastore_of(url) as datastore:
        store = Store([stock.decider], EVENTS, Recorder(datastore))
        for sku in ("HOT", *(f"S{i}" for i in range(SKUS))):
            store.execute([(US, [s.ReceiveStock(sku=sku, location="l", receipt_id="r", quantity=10**7)])])
        uniform = rate(store, BATCHES * scale, lambda: f"S{chance.randrange(SKUS)}")
        yield Measure(f"reservations, {SKUS:,} SKUs, batches of {BATCH}", uniform, "1/s", REFERENCE, reference)
        hot = rate(store, BATCHES * scale, lambda: "HOT")
        yield Measure(f"reservations, one hot SKU, batches of {BATCH}", hot, "1/s", REFERENCE, reference)
        make_long_stream(store)
    with datastore_of(url) as datastore:
        cold = Store([stock.decider], EVENTS, Recorder(datastore))
        cold.state_of("stock-S0@l")  # warms up connections and plans
        started = time.perf_counter()
        _, version = cold.state_of("stock-LONG@l")
        took = (time.perf_counter() - started) * 1_000
    yield Measure(f"loading a stream of {version:,} events", took, "ms", "bar", 50.0)


def rate(store: Store, batches: int, sku: Callable[[], str]) -> float:
    reader, position = f"bench-{next(numbers)}", 0
    started = time.perf_counter()
    for _ in range(batches):
        batch = [(US, [reserve(sku(), f"o{next(numbers)}")]) for _ in range(BATCH)]
        store.execute(batch, Advance(reader, position, position + BATCH))
        position += BATCH
    return position / (time.perf_counter() - started)


def reserve(sku: str, order_id: str) -> s.ReserveStock:
    return s.ReserveStock(sku=sku, location="l", reservation_id=f"{order_id}/1", order_id=order_id, quantity=1)


def make_long_stream(store: Store) -> None:
    """Make a long stream of a hot SKU: what is reserved is shipped a little later."""
    store.execute([(US, [s.ReceiveStock(sku="LONG", location="l", receipt_id="r", quantity=10**7)])])
    for batch in range(LONG_STREAM_EVENTS // (2 * BATCH)):
        orders = [f"long-{batch}-{i}" for i in range(BATCH)]
        store.execute([(US, [reserve("LONG", order) for order in orders])])
        store.execute([(US, [ship(order) for order in orders])])


def ship(order_id: str) -> s.ShipStock:
    return s.ShipStock(
        sku="LONG", location="l", reservation_id=f"{order_id}/1", order_id=order_id, shipment_id=f"{order_id}.1"
    )


def pgbench(server: EmbeddedPostgres, directory: Path) -> float:
    """Return transactions per second, as pgbench reports them."""
    with fresh_database(server.url) as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE levels (sku int PRIMARY KEY, on_hand bigint NOT NULL)")
            connection.execute("INSERT INTO levels VALUES (1, 100000000)")
            connection.execute(
                "CREATE TABLE reservations (id bigserial PRIMARY KEY, sku int NOT NULL, quantity int NOT NULL)"
            )
        script = directory / "hot_row.sql"
        script.write_text(SCRIPT)
        to = conninfo_to_dict(url)
        reported = subprocess.run(
            [
                *(str(server.binaries / "pgbench"), "-n", "-M", "prepared", "-f", str(script)),
                *("-c", str(PGBENCH_CLIENTS), "-j", "2", "-T", str(PGBENCH_SECONDS)),
                *("-h", unquote(str(to["host"])), "-U", str(to["user"]), str(to["dbname"])),
            ],
            env={"PGPASSWORD": str(to["password"])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    found = re.search(r"tps = ([\d.]+)", reported)
    assert found, reported
    return float(found[1])


if __name__ == "__main__":
    run("The store", measures)
