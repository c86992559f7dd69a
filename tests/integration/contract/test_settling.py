"""An engine at rest has no work left, however much arrived at once, and however few readers it concerned."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from oms_es.app import Engine, engine_on, migrate
from oms_es.kernel import Recorded
from oms_es.processing.intake import jsonl as lines
from oms_es.processing.readers import BATCH_MAX, FeedReader
from oms_es.reports import queries
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import Address, OrderLine, PlaceOrder
from oms_es.schemas.stock import ReceiveStock, ReserveStock
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.store.log import READ_MAX, WINDOW_MAX, Log
from oms_es.store.recorder import Recorder, datastore_of

SKUS = 50
US = Cause("test")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Decodes:
    """Counts how many events were decoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        decode = Codec.decode

        def counted(codec: Codec, *parts: object) -> Recorded:
            self.count += 1
            return decode(codec, *parts)  # type: ignore[arg-type] # passed on as they came

        monkeypatch.setattr(Codec, "decode", counted)


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Decodes:
    return Decodes(monkeypatch)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with engine_on(database_url) as an_engine:
        received = [
            ReceiveStock(sku=f"S{n}", location="berlin", receipt_id="r", quantity=1_000_000) for n in range(SKUS)
        ]
        an_engine.submit("test", [OpenLocation(location="berlin", country="DE"), *received])
        an_engine.settle()
        yield an_engine


def file_of(orders: int) -> io.BytesIO:
    placed = (
        PlaceOrder(
            channel="web",
            external_id=str(n),
            placed_at=NOON,
            currency="EUR",
            lines=(OrderLine(line_id="1", sku=f"S{n % SKUS}", quantity=1, unit_price_minor=1_000),),
            ship_to=Address(country="DE"),
        )
        for n in range(orders)
    )
    return io.BytesIO(b"\n".join(order.model_dump_json(exclude_defaults=True).encode() for order in placed))


def take_in(engine: Engine, orders: int, *, keeping_up: bool) -> None:
    intake = engine.intake("file", "canonical")
    for batch in lines.batches(file_of(orders)):
        if batch.arrivals:
            intake.take(batch.arrivals)
        if keeping_up:
            engine.keep_up()
    engine.settle()


def assert_at_rest(engine: Engine, orders: int) -> None:
    with queries.reading(engine.database_url) as connection:
        assert queries.phases(connection) == {"completed": orders}
    end = engine.last_position()
    readers = [p for p in engine.loop.workers if isinstance(p, FeedReader)]
    assert {reader.name: reader.stored_position(reader.name) for reader in readers} == {r.name: end for r in readers}


def test_3000_orders_taken_in_before_the_first_turn_are_completed_when_the_engine_rests(
    engine: Engine, decodes: Decodes
) -> None:
    take_in(engine, 3_000, keeping_up=False)
    assert_at_rest(engine, 3_000)
    assert decodes.count <= engine.last_position(), "each event is decoded at most once, and not by every reader"


def test_6000_orders_that_outrun_a_turn_are_completed_and_no_event_is_decoded(engine: Engine, decodes: Decodes) -> None:
    take_in(engine, 6_000, keeping_up=True)
    assert_at_rest(engine, 6_000)
    assert decodes.count == 0


def test_more_deadlines_than_a_batch_takes_are_all_kept_before_the_engine_rests(database_url: str) -> None:
    now = [NOON]
    holds = 2 * BATCH_MAX + 1
    with engine_on(database_url, clock=lambda: now[0]) as engine:
        received = ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=holds)
        reserved = [
            ReserveStock(
                sku="A", location="berlin", reservation_id=f"cart-{n}", order_id="cart", quantity=1, expires_at=NOON
            )
            for n in range(holds)
        ]
        now[0] -= timedelta(minutes=1)
        engine.submit("test", [OpenLocation(location="berlin", country="DE"), received, *reserved])
        engine.settle()
    now[0] = NOON
    with engine_on(database_url, clock=lambda: now[0]) as engine:
        engine.settle()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT reserved FROM stock_levels WHERE sku = 'A'").fetchone() == (0,)


def log_of(url: str, events: int) -> Log:
    """Return a log with so many events, which was opened at its end."""
    migrate(url)
    with engine_on(url) as engine:
        engine.store.execute([(US, [OpenLocation(location=f"at-{n}", country="DE") for n in range(events)])])
    recorder = Recorder(datastore_of(url))
    log = Log(recorder, Codec(EVENTS))
    log.start_at(recorder.end())
    return log


def read_from(log: Log, after: int) -> list[int]:
    positions: list[int] = []
    while found := log.read(after):
        positions += [recorded.position for recorded in found]
        after = positions[-1]
    return positions


def test_readers_that_are_behind_the_window_share_what_is_decoded(database_url: str, decodes: Decodes) -> None:
    events = 2 * READ_MAX + 7
    log = log_of(database_url, events)
    decodes.count = 0
    for after in (0, 0, 1, READ_MAX - 1, READ_MAX, READ_MAX + 1, events - 1, events):
        assert read_from(log, after) == list(range(after + 1, events + 1))
    assert decodes.count == events
    log.recorder.datastore.close()  # type: ignore[attr-defined] # the recorder is PostgreSQL's


def test_positions_that_were_skipped_are_passed_at_once(database_url: str) -> None:
    log = log_of(database_url, 3)
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT setval(pg_get_serial_sequence('oms_events', 'notification_id'), 4000000000)")
    with engine_on(database_url) as engine:
        engine.store.execute([(US, [OpenLocation(location="far", country="DE")])])
    log.refresh()
    assert read_from(log, 0) == [1, 2, 3, 4_000_000_001]
    log.start_at(log.end)
    assert read_from(log, 0) == [1, 2, 3, 4_000_000_001]
    log.recorder.datastore.close()  # type: ignore[attr-defined] # the recorder is PostgreSQL's


def test_what_others_append_meanwhile_is_read_once_and_our_own_not_at_all(engine: Engine, decodes: Decodes) -> None:
    with Engine(engine.database_url) as other:
        for number in range(4):
            other.store.execute([(US, [OpenLocation(location=f"their-{number}", country="DE")])])
            engine.append([(US, [OpenLocation(location=f"our-{number}", country="DE")])])
    assert engine.log.end == engine.last_position()
    assert decodes.count == 4


def test_a_look_reads_all_that_others_have_appended(engine: Engine) -> None:
    with Engine(engine.database_url) as other:
        count = 2 * READ_MAX + 1
        assert count < WINDOW_MAX
        other.store.execute([(US, [OpenLocation(location=f"their-{n}", country="DE") for n in range(count)])])
    engine.log.refresh()
    assert engine.log.end == engine.last_position()
