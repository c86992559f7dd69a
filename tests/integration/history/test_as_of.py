"""The state as of a time equals what the read models contained at that time."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from oms_es.app import PROJECTIONS, Engine, Runtime, engine_on
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.workload import Workload
from oms_es.exit_codes import Code
from oms_es.history import as_of, differences, moments, rows_then, states, tracing
from oms_es.history.moments import StillToCome, at_in, position_of
from oms_es.history.states import NoStateNear
from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.processing.read_models.folding import folded
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

POSITIONS = int(os.environ.get("OMS_TEST_POSITIONS", "1"))
"""`make positions` asks for 200."""
ROWS_OF_EACH = 3
SOME = [
    p
    for p in PROJECTIONS
    if p.shared or p.insert_only or p.name in ("order_status", "deadlines", "open_exceptions", "stock_levels")
]
BY_NAME = {projection.name: projection for projection in PROJECTIONS}
Live = dict[int, dict[str, dict[Key, Row]]]


def live_rows(url: str) -> dict[str, dict[Key, Row]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return {
            p.name: keyed(p, connection.execute(f"SELECT * FROM {p.name}".encode()).fetchall()) for p in PROJECTIONS
        }


def keyed(projection: Projection, rows: list[dict[str, Any]]) -> dict[Key, Row]:
    found = [queries.readable(row) for row in rows]
    return {tuple(row[name] for name in projection.key_columns): row for row in found}


class Clock:
    """A clock that advances a little whenever it is read, so that late reports arrive."""

    now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=0.1)
        return self.now


def kept(url: str, query: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), values).fetchall()


def shown(url: str) -> dict[str, Any]:
    """Return all rows by table, as people see them now."""
    tables = ("order_status", "open_exceptions", "stock_levels", "stock_places", "serial_numbers")
    return {table: kept(url, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}


def numbered(engine: Engine, number: int) -> None:
    command = ReceiveSerials(sku=PHONE, location="berlin", receipt_id=f"r{number}", serials=(f"n{number}",))
    engine.submit("test", [command])


@pytest.fixture(scope="module")
def past(embedded_server: EmbeddedPostgres) -> Iterator[tuple[str, dict[datetime, dict[str, Any]], Live]]:
    """Make a database; return it with what its read models showed at some times, and all tables at two positions."""
    clock, then, live = Clock(), {}, {}
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
                if number in (2, len(batches) - 1):
                    live[engine.last_position()] = live_rows(url)
        assert len(then) > MOMENTS
        yield url, then, live


@pytest.fixture(scope="module")
def lived(past: Any) -> tuple[str, dict[datetime, dict[str, Any]]]:
    url, then, _ = past
    return url, then


@pytest.fixture(scope="module")
def history(past: Any) -> list[Recorded]:
    with Engine(past[0]) as engine:
        found: list[Recorded] = []
        while some := engine.log._select(found[-1].position if found else 0, 2_000):
            found += some
        return found


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


def at(url: str, position: int, projections: Any = PROJECTIONS) -> dict[str, dict[Key, Row]]:
    with queries.reading(url) as connection:
        states.lay_out(connection, projections, position)
        return {
            p.name: keyed(p, connection.execute(f"SELECT * FROM {p.name}".encode()).fetchall()) for p in projections
        }


def forgotten(url: str) -> None:
    with psycopg.connect(url, row_factory=dict_row, autocommit=True) as connection:
        states.drop(connection, states.kept(connection))


def test_every_table_is_what_it_was(past: Any) -> None:
    url, _, live = past
    for position, then in live.items():
        assert at(url, position) == then, position
    assert len({str(then) for then in live.values()}) == len(live)


def test_so_it_is_in_between_whole_and_row_by_row(past: Any, history: list[Recorded]) -> None:
    """Where no table was looked at, it is what it would have been: the fold of what was known."""
    url, _, _ = past
    chance = random.Random(3)
    for position in sorted(chance.sample(range(1, len(history)), POSITIONS)):
        known = [recorded for recorded in history if recorded.position <= position]
        whole = at(url, position)
        with queries.reading(url) as connection:
            for projection in PROJECTIONS:
                expected = {key: dict(row) for key, row in folded(projection, known).items()}
                assert whole[projection.name] == expected, projection.name
                later = list(folded(projection, history))
                for key in chance.sample(later, min(ROWS_OF_EACH, len(later))):
                    row = rows_then.row(connection, projection, key, position)
                    assert (row and dict(row)) == expected.get(key), (projection.name, key)


def test_from_states_that_are_kept_it_is_the_same(past: Any, history: list[Recorded]) -> None:
    url, _, live = past
    first, *_, last = live
    middle = (first + last) // 2
    without = at(url, middle, SOME)
    made = states.keep(url, SOME, first, "kept")
    assert {one.read_model for one in made} == {one.name for one in SOME}
    assert states.keep(url, SOME, first, "kept") == [], "they are kept already"
    states.keep(url, SOME, middle, "asked")
    with queries.reading(url) as connection:
        assert at(url, middle, SOME) == without
        for projection in SOME:
            table = lambda c, p=projection: c.execute(f"SELECT * FROM {p.name}".encode()).fetchall()  # noqa: E731
            assert (
                keyed(projection, states.asked_of(connection, [projection], first, table))
                == live[first][projection.name]
            )
            key = next(iter(folded(projection, history)), None)
            if key is None:
                continue
            row = rows_then.row(connection, projection, key, last, events_max=last - middle)
            assert (row and queries.readable(row)) == live[last][projection.name].get(key), projection.name
        with pytest.raises(NoStateNear, match="states keep daily_sales --at"):
            rows_then.row(connection, BY_NAME["daily_sales"], ("2026-01-05", "web", "EUR"), last, events_max=1)
        with pytest.raises(states.NotKept):
            states.asked_of(connection, PROJECTIONS, last, lambda _: None)
    forgotten(url)


def test_a_rebuild_drops_what_is_kept_and_questions_keep_no_more_than_so_many(past: Any) -> None:
    url, _, live = past
    projection, other = BY_NAME["items"], BY_NAME["locations"]
    end = max(live)
    for position in range(end - states.ASKED_MAX - 2, end):
        states.keep(url, [projection, other], position, "asked")
    with psycopg.connect(url, row_factory=dict_row, autocommit=True) as connection:
        kept = states.kept(connection)
        assert [one.position for one in kept if one.read_model == "items"] == list(range(end - states.ASKED_MAX, end))
        with Runtime(url) as runtime:
            runtime.rebuild_all([projection])
        assert {one.read_model for one in states.kept(connection)} == {"locations"}
        assert states.nearest(kept, projection, 0) is None
        connection.execute(f"COMMENT ON TABLE {kept[-1].schema}.locations IS '0 asked'".encode())
        older = [one for one in states.kept(connection) if one.version == 0]
        assert [one.position for one in older] == [kept[-1].position]
        assert states.nearest(older, other, end) is None, "of another version"
        forgotten(url)
        assert connection.execute("SELECT FROM pg_namespace WHERE nspname LIKE '%\\_at\\_%'").fetchall() == []


def test_a_moment_is_a_position(past: Any, history: list[Recorded]) -> None:
    url, _, _ = past
    chance = random.Random(1)
    with queries.reading(url) as connection:
        for recorded in [history[0], history[-1], *chance.sample(history, 10)]:
            by_then = [one.position for one in history if one.recorded_at <= recorded.recorded_at]
            assert position_of(connection, recorded.recorded_at) == max(by_then)
            assert moments.moment_of(connection, recorded.position) == recorded.recorded_at
        assert position_of(connection, at_in("2020-01-01")) == 0
        assert position_of(connection, at_in("7")) == 7
        for later in ("9000-01-01", str(history[-1].position + 1)):
            with pytest.raises(StillToCome):
                position_of(connection, at_in(later))
    for wrong in ("-1", "yesterday", "9999-12-31T23:59:59-12:00", "1e3", ""):
        with pytest.raises(moments.NoMoment):
            at_in(wrong)


@pytest.mark.parametrize("direct_max", [10_000, 0])
def test_what_differs_is_what_two_tables_differ_in(past: Any, direct_max: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "DIRECT_MAX", direct_max)
    url, _, live = past
    first, *_, last = live
    for name in ("order_status", "stock_levels", "backorder_queue", "daily_sales"):
        with queries.reading(url) as connection:
            found = list(differences.of_read_model(connection, BY_NAME[name], first, last))
        before, after = live[first][name], live[last][name]
        expected = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        assert {tuple(map(str, one.key.values())) for one in found} == {tuple(map(str, key)) for key in expected}, name
        for one in found:
            if direct_max and one.what == "changed" and name != "daily_sales":
                key = tuple(one.key.values())
                assert one.fields == sorted(n for n in before[key] if before[key][n] != after[key][n])


def test_the_events_that_made_a_row_are_all_of_them_and_lead_back_to_the_outside(
    past: Any, history: list[Recorded]
) -> None:
    url, _, live = past
    rows = max(live.items())[1]
    with queries.reading(url) as connection:
        for name in ("order_status", "stock_levels", "daily_sales", "order_timeline"):
            key = next(iter(rows[name]))
            projection = BY_NAME[name]
            steps = tracing.steps(connection, projection, key, max(live))
            touched = [
                r.position for r in history if r.position <= max(live) and key in rows_then.keys_of(projection, r)
            ]
            assert [step.recorded.position for step in steps] == touched
            came_to: dict[str, Any] = {}
            for step in steps:
                came_to |= {column: now for column, (_, now) in step.changes.items()}
            assert came_to == {column: value for column, value in rows[name][key].items() if value is not None}
        key = next(key for key, row in rows["order_milestones"].items() if row["released_at"])
        steps = tracing.steps(connection, BY_NAME["order_milestones"], key, max(live))
        (released,) = [one.recorded for one in steps if type(one.recorded.event).__name__ == "OrderReleased"]
        chain = tracing.chain_of(released, tracing.causes(connection, steps))
        positions = [cause.position for cause in chain]
        assert positions == sorted(positions, reverse=True)
        assert [cause.event for cause in chain][-1] == "OrderPlaced" or len(chain) == tracing.CAUSES_MAX
        assert len(chain) > 3
        assert history[positions[-1] - 1].caused_by is None


def test_it_is_asked_in_the_terminal(past: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    url, _, live = past
    first, *_, last = live
    monkeypatch.setenv("OMS_DATABASE_URL", url)
    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments: str) -> str:
        assert main(arguments) == Code.OK, (arguments, capsys.readouterr())
        return str(capsys.readouterr().out)

    order_id = next(iter(live[first]["order_status"]))[0]
    one = run("rows", "order_status", "--where", f"order_id={order_id}", "--at", str(first))
    assert live[first]["order_status"][order_id,]["phase"] in one
    some = run("rows", "order-status", "--at", str(first), "--limit", "3", "--json")
    assert some.count('"order_id"') == 3
    assert "OrderPlaced" in run("explain", "order_status", order_id)
    assert "because_of" in run("explain", "order_status", order_id, "--at", str(last), "--json")
    assert "order_status" in run("diff", "0", "now", "--order", order_id)
    assert '"what":"came"' in run("diff", str(first), str(last), "--read-model", "order_timeline", "--json")
    sku = next(iter(live[first]["stock_levels"]))[0]
    assert "stock_levels" in run("diff", "0", "now", "--sku", sku)
    some_position = (first + last) // 2
    assert f'"passed":true,"position":{some_position}' in run("verify", "--at", str(some_position), "--json")
    run("states", "keep", "items", "--at", str(first))
    assert str(first) in run("states", "list")
    run("states", "drop", "--all")
    for wrong in (
        ("rows", "order_status", "--at", "yesterday"),
        ("rows", "orders"),
        ("rows", "order_status", "--where", "phase"),
        ("rows", "order_status", "--where", "reason=x"),
        ("explain", "stock_levels", "TEA"),
        ("diff", str(last), str(first), "--order", order_id),
        ("diff", "1", "2"),
        ("states", "keep", "items"),
        ("states", "keep", "items", "--every", "1"),
    ):
        assert main(wrong) == Code.USAGE, wrong
        assert "unexpected" not in capsys.readouterr().err
    forgotten(url)
