"""A rebuilt read model equals what history folds to, whatever was in the table before, and concurrent readers are
not blocked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import ARRAY, Column, Float, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.app import DECIDERS, PROJECTIONS, Engine, Runtime, engine_on, migrate
from oms_es.app.rebuild import AlreadyRebuilding, Rebuilt
from oms_es.app.sharing import one_pass
from oms_es.demo.workload import Workload
from oms_es.kafka.groups.watermark import NOTHING, Progress
from oms_es.kernel import Fold, Key, Projection, Recorded, Row
from oms_es.processing.bulk import processes as bulk_processes
from oms_es.processing.read_models import history_pages
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.read_models.rows import SqlRows
from oms_es.processing.read_models.staged_rows import StagedRows
from oms_es.processing.readers import ProjectionWorker
from oms_es.projections.order import order_status
from oms_es.projections.stock import stock_levels
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause
from oms_es.store.encoding.trusting import TrustingCodec
from oms_es.store.log import Log
from oms_es.store.recorder import PositionLost
from oms_es.store.schema import created
from oms_es.verification.verify import verify
from same_reading import assert_same_reading

ORDERS = 60
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RACED = ("order_status", "stock_levels", "deadlines")
BY_NAME = {projection.name: projection for projection in PROJECTIONS}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with engine_on(database_url) as an_engine:
        place_orders(an_engine, ORDERS)
        yield an_engine


def place_orders(engine: Engine, orders: int, seed: int = 5) -> None:
    for batch in Workload(seed, orders).steps(40):
        engine.submit("test", batch)
        engine.loop.iterate()
    engine.settle()


def rebuilt(parts: Runtime, projection: Projection) -> Rebuilt:
    return parts.rebuild(projection).run()


def differences(parts: Runtime) -> list[str]:
    report = verify(parts.database_url, DECIDERS, PROJECTIONS, parts.store.codec)
    return [difference for check in report.checks for difference in check.differences]


def done(url: str, statement: str, values: Sequence[Any] = ()) -> int:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode(), values).rowcount


def value(url: str, query: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row and row[0]


def test_what_is_right_is_not_touched(any_database_url: str) -> None:
    with engine_on(any_database_url) as engine:
        place_orders(engine, ORDERS)
        newest = value(engine.database_url, "SELECT pg_current_xact_id()::text::bigint")
        for reported in engine.rebuild_all(PROJECTIONS):
            rows = value(engine.database_url, f"SELECT count(*) FROM {reported.projection}")
            assert (reported.rows, reported.written, reported.removed) == (rows, 0, 0)
            touched = f"SELECT count(*) FROM {reported.projection} WHERE xmin::text::bigint > {newest}"
            assert value(engine.database_url, touched) == 0


SPOILT = (
    "UPDATE order_timeline SET summary = 'x' || summary WHERE mod(position, 7) = 0",
    "DELETE FROM order_skus WHERE order_id < '4'",
    "UPDATE stock_levels SET on_hand = on_hand + 1 WHERE sku < 'sku-3'",
    "DELETE FROM payments WHERE order_id > 'b'",
)


def test_all_are_rebuilt_at_once_however_little_fits_into_memory(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    most: list[int] = []

    def watched(staged: Sequence[StagedRows]) -> None:
        hold_no_more(staged)
        most.append(sum(map(len, staged)))

    hold_no_more = history_pages.hold_no_more
    monkeypatch.setattr(history_pages, "ROWS_HELD_MAX", 40)
    monkeypatch.setattr(history_pages, "READ_MAX", 50)
    monkeypatch.setattr(one_pass, "hold_no_more", watched)
    spoilt = sum(done(engine.database_url, statement) for statement in SPOILT)
    assert spoilt > 100
    again = engine.rebuild_all(PROJECTIONS)
    assert max(most) <= 40
    assert [one.projection for one in again] == [projection.name for projection in PROJECTIONS]
    assert sum(one.written for one in again) == spoilt
    assert {one.projection for one in again if one.removed} == set()
    assert differences(engine) == []


def test_processes_share_the_read_models_out(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_processes, "EVENTS_PER_PROCESS_MIN", 1)
    spoilt = sum(done(engine.database_url, statement) for statement in SPOILT)
    seen: list[tuple[int, int]] = []
    again = engine.rebuild_all(PROJECTIONS, progress=lambda *position: seen.append(position), processes=2)
    assert sum(one.written for one in again) == spoilt
    assert {last for _, last in seen} == {engine.last_position()}
    assert differences(engine) == []


def test_what_the_log_says_is_read_alike_without_asking_every_rule_again(engine: Engine) -> None:
    rows = engine.recorder.after(0, 10_000)
    assert len(rows) == engine.last_position() > 1_000
    assert_same_reading(rows, engine.store.codec, TrustingCodec(EVENTS))


def test_rows_are_copied_as_they_are_and_the_later_of_two_with_one_key_stays(database_url: str) -> None:
    migrate(database_url)
    numbers = Table("numbers", MetaData(), Column("number", Text, primary_key=True), Column("of", ARRAY(Text)))
    numbers.append_column(Column("more", JSONB))
    numbers.append_column(Column("amount", Float))
    fold = Fold(lambda recorded: [(recorded.actor,)], lambda _row, recorded, _key: rows[recorded.position])
    named = ["plain", "tab\tin it", "\\N", "\x02", "back\\slash", "line\nend\r", '"quoted", {braces}', "ü ☃ 𝄞", ""]
    rows: list[Row] = [
        {"number": name, "of": (name, None, "NULL") if name else None, "more": {"a": [name, None]}, "amount": 0.1}
        for name in named
    ]
    rows.append({**rows[0], "of": ["newer"], "amount": None, "more": None})
    with Runtime(database_url) as parts, psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as them:
        them.execute(created(numbers))
        projection = Projection(numbers, insert_only=True, folds={ReceiveStock: fold})  # type: ignore[dict-item]
        table_rows = SqlRows(numbers, parts.rows)
        staged = StagedRows(ReadModel(projection, table_rows), table_rows, them)
        event = ReceiveStock(sku="A", location="x", receipt_id="r", quantity=1)
        for position in range(len(rows)):
            cause = parts.store.codec.envelop("stock-A@x", 1, event, Cause(rows[position]["number"]), NOW)  # type: ignore[arg-type]
            staged.fold([cause._replace(position=position)])
            staged.write(len(staged))
        kept = {row["number"]: row for row in them.execute("SELECT * FROM numbers")}
    expected = {row["number"]: {**row, "of": row["of"] and list(row["of"])} for row in rows}
    assert kept == expected


def test_what_was_changed_lost_or_made_up_is_put_right(engine: Engine) -> None:
    url = engine.database_url
    some = "WHERE (sku, location) IN (SELECT sku, location FROM stock_levels ORDER BY 1, 2 LIMIT 3)"
    done(url, f"UPDATE stock_levels SET on_hand = on_hand + 7 {some}")
    done(url, "DELETE FROM stock_levels WHERE (sku, location) = (SELECT max(sku), 'berlin' FROM stock_levels)")
    made_up = "INSERT INTO locations VALUES ('ghost', 'store', 'DE', '', NULL, NULL, 0, 0, '{}', '{}', NULL, true)"
    lost = done(url, "DELETE FROM locations WHERE location = (SELECT min(location) FROM locations)")
    assert done(url, made_up) == lost == 1
    assert differences(engine)
    levels, topic_partitions = rebuilt(engine, BY_NAME["stock_levels"]), rebuilt(engine, BY_NAME["locations"])
    assert levels.written >= 3
    assert (topic_partitions.written, topic_partitions.removed) == (1, 1)
    assert differences(engine) == []


def louder(projection: Projection) -> Projection:
    """Return the projection as a release would have it that folds differently."""

    def shouted(fold: Fold) -> Fold:
        def project(row: Row | None, recorded: Recorded, key: Key) -> Row | None:
            folded = fold.project(row, recorded, key)
            return folded and {**folded, "channel": str(folded["channel"]).upper()}

        return Fold(fold.keys, project)

    return replace(projection, folds={event: shouted(fold) for event, fold in projection.folds.items()})


def test_a_fold_that_was_changed_is_applied_to_all_of_history(engine: Engine) -> None:
    loud = louder(order_status.projection)
    channels = "SELECT string_agg(DISTINCT channel, ' ' ORDER BY channel) FROM order_status"
    before = value(engine.database_url, channels)
    reported = rebuilt(engine, loud)
    assert value(engine.database_url, channels) == before.upper() != before
    assert (reported.written, reported.removed) == (reported.rows, 0)
    assert rebuilt(engine, loud).written == 0


def test_anyone_who_projects_goes_on_from_the_new_rows_and_not_from_what_it_remembers(database_url: str) -> None:
    def received(number: int) -> ReceiveStock:
        return ReceiveStock(sku="A", location="berlin", receipt_id=f"r{number}", quantity=1)

    with engine_on(database_url) as engine:
        log = Log(engine.recorder, engine.store.codec)
        worker = ProjectionWorker(ReadModel(stock_levels.projection, SqlRows(stock_levels.table, engine.rows)), log)
        worker.seek()

        def takes(number: int) -> None:
            engine.append([(Cause("test"), [received(number)])])
            log.refresh()
            assert worker.step() == 1

        takes(1)
        done(engine.database_url, "UPDATE stock_levels SET on_hand = 100")
        worker.read_model.forget()
        takes(2)  # and remembers 101 from now on
        assert value(engine.database_url, "SELECT on_hand FROM stock_levels") == 101
        assert rebuilt(engine, stock_levels.projection).written == 1
        with pytest.raises(PositionLost):
            takes(3)
        worker.seek()
        assert worker.step() == 1
        assert value(engine.database_url, "SELECT on_hand FROM stock_levels") == 3
        takes(4)
        assert value(engine.database_url, "SELECT on_hand FROM stock_levels") == 4


def test_anyone_who_was_passing_by_without_a_row_to_change_notices_too(database_url: str) -> None:
    with engine_on(database_url) as engine:
        log = Log(engine.recorder, engine.store.codec)
        worker = ProjectionWorker(ReadModel(stock_levels.projection, SqlRows(stock_levels.table, engine.rows)), log)
        place_orders(engine, 1)
        worker.seek()
        rebuilt(engine, stock_levels.projection)
        worker.seen += 1
        assert engine.recorder.move_at_rest(worker.unsaved()) == set()


def test_p28_orders_go_on_and_readers_see_whole_rows_while_read_models_are_rebuilt(any_database_url: str) -> None:
    with engine_on(any_database_url) as engine, Runtime(any_database_url) as beside:
        place_orders(engine, 20)
        over = threading.Event()
        found: list[Any] = []

        def rebuild() -> None:
            while not over.is_set():
                found.extend(beside.rebuild_all([BY_NAME[name] for name in RACED]))

        def read() -> None:
            """Read continuously: an order that was seen must never be missing again."""
            most = 0
            with psycopg.connect(any_database_url, autocommit=True) as connection:
                while not over.is_set():
                    row = connection.execute("SELECT count(*) FROM order_status").fetchone()
                    assert row
                    assert row[0] >= most
                    most = row[0]
            found.append(most)

        failures: list[BaseException] = []
        threads = [threading.Thread(target=caught(act, failures)) for act in (rebuild, read)]
        for thread in threads:
            thread.start()
        try:
            place_orders(engine, 120, seed=6)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert failures == []
        assert sum(isinstance(one, Rebuilt) for one in found) >= 3
        assert not [one for one in found if isinstance(one, Rebuilt) and (one.written or one.removed)]
        assert differences(engine) == []


def caught(act: Any, failures: list[BaseException]) -> Any:
    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - reported by the test that waits for it
            failures.append(error)

    return run


def test_two_cannot_rebuild_the_same_at_once(engine: Engine) -> None:
    def meanwhile(_reached: int, _last: int) -> None:
        rebuilt(engine, stock_levels.projection)

    rebuild = engine.rebuild(stock_levels.projection)
    with pytest.raises(AlreadyRebuilding, match="wait for that to end"):
        rebuild.run(meanwhile)
    assert value(engine.database_url, "SELECT to_regclass('stock_levels_rebuilt')") is None
    assert rebuild.run().written == 0


def test_a_rebuild_that_died_is_begun_again(engine: Engine) -> None:
    done(engine.database_url, "CREATE TABLE stock_levels_rebuilt AS SELECT sku FROM stock_levels LIMIT 1")
    assert rebuilt(engine, stock_levels.projection).written == 0


def test_a_read_model_that_has_taken_nothing_is_empty(database_url: str) -> None:
    migrate(database_url)
    with Runtime(database_url) as parts:
        parts.store.execute([(Cause("test"), [ReceiveStock(sku="A", location="x", receipt_id="r", quantity=1)])])
        assert rebuilt(parts, stock_levels.projection)[1:5] == (0, 0, 0, 0)


def test_how_far_a_role_is_where_it_came_from_the_log_to_partitions() -> None:
    progress = Progress({"levels": 5, "levels@t/0": 3, "levels@t/1": 9, "levels_too": 7, "levels_too@t/0": 8}, {})
    assert progress.topic_partitions("levels") == {"levels": 5, "levels@t/1": 9}
    assert NOTHING.topic_partitions("levels") == {"levels": 0}
    assert [progress.has_taken("levels", "stock-A@x", at) for at in (5, 6)] == [True, False]
