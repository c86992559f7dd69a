"""What is said of a moment is what the read models said in that moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from oms_es.app import Engine, engine_on
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.workload import Workload
from oms_es.exit_codes import Code
from oms_es.history import as_of
from oms_es.projections.operations import open_exceptions
from oms_es.projections.order import order_status, order_timeline
from oms_es.reports import queries
from oms_es.schemas.catalog.item import DescribeItem
from oms_es.schemas.catalog.serial import ReceiveSerials
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.stock import ReceiveStock

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ORDERS, MOMENTS = 40, 5
PHONE = "phone"


class Clock:
    """Goes on a little whenever somebody looks, so that what is late comes."""

    now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=0.1)
        return self.now


def kept(url: str, query: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), values).fetchall()


def shown(url: str) -> dict[str, Any]:
    """By table, all rows as people see them now."""
    tables = ("order_status", "open_exceptions", "stock_levels", "stock_places", "serial_numbers")
    return {table: kept(url, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}


def numbered(engine: Engine, number: int) -> None:
    command = ReceiveSerials(sku=PHONE, location="berlin", receipt_id=f"r{number}", serials=(f"n{number}",))
    engine.submit("test", [command])


@pytest.fixture(scope="module")
def lived(embedded_server: EmbeddedPostgres) -> Iterator[tuple[str, dict[datetime, dict[str, Any]]]]:
    """A database, and what its read models showed at some moments."""
    clock, then = Clock(), {}
    commands = list(Workload(9, ORDERS).commands())
    first = next(n for n, command in enumerate(commands) if isinstance(command, PlaceOrder))
    size = (len(commands) - first) // MOMENTS
    batches = [commands[:first], *(commands[n : n + size] for n in range(first, len(commands), size))]
    with fresh_database(embedded_server) as url:
        with engine_on(url, clock=clock) as engine:
            engine.submit("test", [DescribeItem(sku=PHONE, name="A phone", serial_tracked=True)])
            for number, batch in enumerate(batches):
                clock.now += timedelta(minutes=1)
                engine.submit("test", batch)
                numbered(engine, number)
                engine.settle()
                then[clock.now] = shown(url)
        assert len(then) > MOMENTS
        yield url, then


def of(rows: list[dict[str, Any]], **wanted: str) -> list[dict[str, Any]]:
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def test_an_order_is_what_it_was_at_every_moment(lived: Any) -> None:
    url, then = lived
    with engine_on(url) as engine, queries.reading(url) as connection:
        orders = [row["order_id"] for row in kept(url, "SELECT order_id FROM order_status")]
        assert len(orders) > ORDERS / 2
        changed = 0
        for at, rows in then.items():
            for order_id in orders:
                found = as_of.order(connection, engine.store.codec, order_id, at)
                status = [found.status] if found.status else []
                assert status == of(rows["order_status"], order_id=order_id)
                assert sorted(row["exception_id"] for row in found.exceptions) == sorted(
                    row["exception_id"] for row in of(rows["open_exceptions"], order_id=order_id)
                )
                now = of(next(reversed(then.values()))["order_status"], order_id=order_id)
                changed += status != now
        assert changed > ORDERS, "nothing has become of the orders meanwhile"


def test_stock_is_what_it_was_at_every_moment(lived: Any) -> None:
    url, then = lived
    with engine_on(url) as engine, queries.reading(url) as connection:
        skus = [row["sku"] for row in kept(url, "SELECT DISTINCT sku FROM stock_levels WHERE shipped > 0 LIMIT 20")]
        for at, rows in then.items():
            for sku in (*skus, PHONE):
                found = as_of.stock(connection, engine.store.codec, sku, at)
                assert found.levels == of(rows["stock_levels"], sku=sku)
                by_key = sorted(found.places, key=lambda row: tuple(map(str, row.values())))
                assert by_key == sorted(
                    of(rows["stock_places"], sku=sku), key=lambda row: tuple(map(str, row.values()))
                )
                numbers = [(place, n) for place, serials in found.serials.items() for n in serials]
                assert sorted(numbers) == sorted(
                    (row["location"], row["serial"]) for row in of(rows["serial_numbers"], sku=sku)
                )
        assert len(numbers) == len(then)


def test_the_last_step_before_a_moment_is_where_stock_stood_then(lived: Any) -> None:
    url, then = lived
    with engine_on(url) as engine, queries.reading(url) as connection:
        (sku,) = [row["sku"] for row in kept(url, "SELECT sku FROM stock_levels WHERE shipped > 0 LIMIT 1")]
        steps = as_of.stock_steps(connection, engine.store.codec, sku, 100_000)
        for at, rows in then.items():
            found = {step["location"]: step for step in steps if step["recorded_at"] <= at}
            for level in of(rows["stock_levels"], sku=sku):
                step = found.pop(level["location"])
                assert {name: step[name] for name in as_of.STEP} == {name: level[name] for name in as_of.STEP}
            assert found == {}
        assert len({step["position"] for step in steps}) > 3
        assert as_of.stock_steps(connection, engine.store.codec, sku, 3) == steps[-3:]


def test_before_anybody_knew_there_was_nothing(lived: Any) -> None:
    url, _ = lived
    with engine_on(url) as engine, queries.reading(url) as connection:
        (order_id,) = [row["order_id"] for row in kept(url, "SELECT order_id FROM order_status LIMIT 1")]
        assert as_of.order(connection, engine.store.codec, order_id, NOON) == (None, [], [])
        assert as_of.stock(connection, engine.store.codec, PHONE, NOON - timedelta(days=1)) == ([], [], {})


def test_the_timeline_knows_everything_that_an_order_and_its_exceptions_are_folded_from() -> None:
    """It says where in the log an order's events are."""
    reported = set(order_timeline.projection.folds)
    assert set(order_status.projection.folds) <= reported
    about_orders = {event for event in open_exceptions.projection.folds if "order_id" in event.model_fields}
    assert {event.__name__ for event in about_orders - reported} == set()


def test_the_command_shows_a_moment_and_says_what_was_not_there_yet(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    with engine_on(database_url, clock=clock) as engine:
        for number in (1, 2):
            engine.submit("test", [ReceiveStock(sku="A", location="berlin", receipt_id=f"r{number}", quantity=5)])
            engine.settle()
            clock.now += timedelta(hours=1)
        order = next(c for batch in Workload(9, 3).steps(9) for c in batch if isinstance(c, PlaceOrder))
        engine.submit("test", [order])
        engine.settle()
    monkeypatch.setenv("OMS_DATABASE_URL", database_url)

    def asked(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        reported = capsys.readouterr()
        return code, reported.out, reported.err

    name = f"{order.channel}/{order.external_id}"
    code, reported, _ = asked("stock", "show", "A", "--at", "2026-01-05T12:30", "--json")
    assert (code, [level["on_hand"] for level in json.loads(reported)]) == (Code.OK, [5])
    assert json.loads(asked("stock", "show", "A", "--json")[1])[0]["on_hand"] == 10
    code, _, said = asked("stock", "show", "A", "--at", "2026-01-05T11:59:59Z")
    assert (code, "later moment" in said) == (Code.NOT_FOUND, True)
    code, _, said = asked("order", "show", name, "--at", "2026-01-05T13:59:59Z")
    assert (code, "later moment" in said) == (Code.NOT_FOUND, True)
    code, reported, _ = asked("order", "show", name, "--at", "2026-01-05T15:30:00+01:00", "--json")
    assert code == Code.OK
    assert json.loads(reported)["order"]["order_id"] == order.order_id
    assert json.loads(reported)["timeline"]
    code, _, said = asked("order", "show", name, "--at", "monday")
    assert (code, "2026-01-05T12:00Z" in said) == (Code.USAGE, True)
