"""Orders through the engine: their whole life, and only until their stock is locked.

One process, every consumer, projection and gateway, two lines per order, simulated providers without failures. The
reference is what the same server does with bare rows: one transaction per order that inserts it and decrements its two
stock rows, one client, prepared statements. Then the read models of those orders are rebuilt; there the reference is
reading the same events from the same server without folding them.
"""

from __future__ import annotations

import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.pop(0)  # remove this folder, in which `kafka` is a benchmark and not the library

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from bench.measure import Measure, fresh_database, peak_memory, run

from oms_es.app import Engine, engine_on
from oms_es.consumers.order import order_progress
from oms_es.consumers.sourcing import sourcing
from oms_es.consumers.stock import stock_allocator
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.kernel import Command, Projection
from oms_es.projections.catalog import carrier_rates, items, location_load, locations, sourcing_rules
from oms_es.projections.order import backorder_queue, order_locations, order_status, order_timeline
from oms_es.projections.stock import stock_levels
from oms_es.reports import queries
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import Address, OrderLine, PlaceOrder
from oms_es.schemas.stock import ReceiveStock
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import READ_MAX
from oms_es.store.recorder import EVENTS

SKUS = 500
PLACES = ("berlin", "lyon", "milan")
ORDERS_WHOLE = 3_000
ORDERS_LOCKED = 10_000
BATCH = 500
REFERENCE = "one bare transaction per order, one client"
REFERENCE_ORDERS = 2_000
US = Cause("bench")


def measures(scale: int) -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="oms-es-bench-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedPostgres(Path(directory) / "home").open(exclusive=True) as server:
            with fresh_database(server.url) as url:
                reference = bare_transactions(url)
            with fresh_database(server.url) as url, engine_on(url) as engine:
                rate, events = through(engine, ORDERS_WHOLE * scale, "completed")
                name = f"orders through their whole life ({events / ORDERS_WHOLE / scale:.0f} events each)"
                yield Measure(name, rate, "1/s", REFERENCE, reference)
                yield from (refolded(engine, projection) for projection in REBUILT)
            with fresh_database(server.url) as url, engine_on(url, **ONLY_LOCKS) as engine:
                rate, _ = through(engine, ORDERS_LOCKED * scale, "awaiting_payment")
                yield Measure("orders placed, sourced and reserved", rate, "1/s", REFERENCE, reference)
    yield peak_memory()


ONLY_LOCKS = {
    "consumers": (sourcing.consumer, stock_allocator.consumer, order_progress.consumer),
    "projections": (
        locations.projection,
        stock_levels.projection,
        backorder_queue.projection,
        order_status.projection,
        items.projection,
        location_load.projection,
        order_locations.projection,
        sourcing_rules.projection,
        carrier_rates.projection,
    ),
    "gateways": (),
}


REBUILT = (order_status.projection, order_timeline.projection)


def refolded(engine: Engine, projection: Projection) -> Measure:
    """Return the events per second of a rebuild, from the first that is read to the last row that is compared."""
    rebuild = engine.rebuild(projection)
    bare = bare_reading(engine.database_url, rebuild.topics)
    started = time.perf_counter()
    reported = rebuild.run()
    seconds = time.perf_counter() - started
    assert reported.written == reported.removed == 0, "the rows were not those of history"
    name = f"events refolded into {reported.rows:,} rows of {reported.projection}"
    return Measure(name, reported.events / seconds, "1/s", "bare reading of the same events", bare)


def bare_reading(url: str, topics: Sequence[str]) -> float:
    with psycopg.connect(url) as connection, connection.cursor(name="bare") as curs:
        curs.itersize = READ_MAX
        started = time.perf_counter()
        curs.execute(f"SELECT * FROM {EVENTS} WHERE topic = ANY(%s)", [list(topics)])
        return sum(1 for _ in curs) / (time.perf_counter() - started)


def through(engine: Engine, orders: int, phase: str) -> tuple[float, int]:
    """Return orders per second from the first placed to the last settled in this phase, and the number of
    their events."""
    engine.store.execute([(US, tuple(world(orders)))])
    engine.settle()
    before = engine.last_position()
    reported = [(US, [order(number)]) for number in range(orders)]
    started = time.perf_counter()
    for first in range(0, orders, BATCH):
        engine.log.notify_appended(engine.store.execute(reported[first : first + BATCH]))
        engine.loop.iterate()
    engine.settle()
    seconds = time.perf_counter() - started
    with queries.reading(engine.database_url) as connection:
        assert queries.phases(connection) == {phase: orders}, "not every order came as far as it should"
    return orders / seconds, engine.last_position() - before


def world(orders: int) -> Sequence[Command]:
    opened = [
        OpenLocation(location=place, country="DE", latitude=45.0 + i, longitude=9.0 + i)
        for i, place in enumerate(PLACES)
    ]
    received = [
        ReceiveStock(sku=f"SKU-{n}", location=place, receipt_id="first", quantity=orders)
        for n in range(SKUS)
        for place in PLACES
    ]
    return [*opened, *received]


def order(number: int) -> PlaceOrder:
    skus = (number * 7 % SKUS, number * 13 % SKUS)
    return PlaceOrder(
        channel="web",
        external_id=str(number),
        placed_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        currency="EUR",
        lines=tuple(
            OrderLine(line_id=str(i), sku=f"SKU-{sku}", quantity=1 + i, unit_price_minor=1_995)
            for i, sku in enumerate(skus)
        ),
        ship_to=Address(country="DE", latitude=52.5, longitude=13.4),
    )


def bare_transactions(url: str) -> float:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE levels (sku int PRIMARY KEY, on_hand bigint NOT NULL)")
        connection.execute("INSERT INTO levels SELECT n, 1000000 FROM generate_series(0, %s) AS n", [SKUS])
        connection.execute("CREATE TABLE orders (id bigserial PRIMARY KEY, first int NOT NULL, second int NOT NULL)")
        connection.commit()
        started = time.perf_counter()
        for number in range(REFERENCE_ORDERS):
            skus = sorted((number * 7 % SKUS, number * 13 % SKUS))
            connection.execute("INSERT INTO orders (first, second) VALUES (%s, %s)", skus, prepare=True)
            for sku in skus:
                connection.execute("UPDATE levels SET on_hand = on_hand - 1 WHERE sku = %s", [sku], prepare=True)
            connection.commit()
        return REFERENCE_ORDERS / (time.perf_counter() - started)


if __name__ == "__main__":
    run("The life of an order", measures)
