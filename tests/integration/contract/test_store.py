"""The guarantees of the store, on every kind of database that it supports, with real servers, processes and races."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import OperationalError
from eventsourcing.postgres import PostgresDatastore

from dsl import bare
from oms_es.aggregates.order import decider as order
from oms_es.aggregates.stock import decider as stock
from oms_es.app import DECIDERS, PROJECTIONS, migrate
from oms_es.kernel import Refused
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.rows import SqlRows
from oms_es.schemas import order as o
from oms_es.schemas import stock as s
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store import recorder as recorder_module
from oms_es.store import snapshots
from oms_es.store.dead_letters import DeadLetter, listed
from oms_es.store.encoding.codec import Cause, Codec, event_id_of
from oms_es.store.recorder import Advance, PositionLost, Recorder, datastore_of
from oms_es.store.store import OUTAGES, Store
from oms_es.verification.verify import verify

AT: Any = {"sku": "A", "location": "berlin"}
US = Cause("test")
PROCESSES, THREADS = 8, 25
GATHERED_SECONDS_MAX = 300


@contextmanager
def store_on(database_url: str, recorder: type[Recorder] = Recorder) -> Iterator[Store]:
    with datastore_of(database_url) as datastore:
        yield Store(DECIDERS, EVENTS, recorder(datastore))


@pytest.fixture
def url(any_database_url: str) -> str:
    migrate(any_database_url)
    return any_database_url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with store_on(url) as a_store:
        yield a_store


def receive(quantity: int, receipt: str = "r") -> s.ReceiveStock:
    return s.ReceiveStock(**AT, receipt_id=receipt, quantity=quantity)


def reserve(order_id: str, quantity: int = 1) -> s.ReserveStock:
    return s.ReserveStock(**AT, reservation_id=f"{order_id}/1", order_id=order_id, quantity=quantity)


def place(external_id: str = "1", *lines: tuple[str, int], price: int = 1000) -> o.PlaceOrder:
    return o.PlaceOrder(
        channel="web",
        external_id=external_id,
        placed_at=datetime(2026, 1, 1, tzinfo=UTC),
        currency="EUR",
        lines=tuple(
            o.OrderLine(line_id=str(i), sku=sku, quantity=quantity, unit_price_minor=price)
            for i, (sku, quantity) in enumerate(lines or (("A", 1),))
        ),
        ship_to=o.Address(country="DE"),
    )


def test_a_batch_is_a_transaction_and_its_events_carry_their_envelope(store: Store) -> None:
    cause = Cause("importer", event_id_of("elsewhere", 1), "order-of-all")
    received, reserved = store.execute([(cause, [receive(2)]), (cause, [reserve("o1")])], Advance("reader", 0, 7))
    assert (received.version, reserved.version) == (1, 2)
    assert received.position < reserved.position
    assert reserved.event_id == event_id_of("stock-A@berlin", 2)
    assert (reserved.caused_by, reserved.actor, reserved.correlation_id) == (cause.event_id, "importer", "o1")
    assert received.correlation_id == "order-of-all"
    assert store.recorder.position("reader") == 7
    assert store.history("stock-A@berlin") == [received, reserved]


def test_a_refusal_leaves_nothing_of_its_batch_behind(store: Store) -> None:
    ship = s.ShipStock(**AT, reservation_id="o1/1", order_id="o1", shipment_id="x")
    letter = DeadLetter("test", "1", "canonical", b"{", "not_json", "send JSON")
    with pytest.raises(Refused):
        store.execute([(US, [receive(2)]), (US, [ship])], Advance("reader", 0, 7), [letter])
    assert store.history("stock-A@berlin") == []
    assert store.recorder.position("reader") == 0
    assert isinstance(store.recorder, Recorder)
    with store.recorder.datastore.cursor() as curs:
        assert listed(curs) == []
    assert bare(store.execute([(US, [reserve("o1")])])[0].event) == s.StockShort(
        **AT, reservation_id="o1/1", order_id="o1", quantity=1, available=0
    )


def test_what_another_store_wrote_meanwhile_is_seen_before_anything_is_decided(url: str, store: Store) -> None:
    store.execute([(US, [receive(1)])])
    with store_on(url) as other:
        other.execute([(US, [reserve("first")])])
        assert isinstance(store.execute([(US, [reserve("second")])])[0].event, s.StockShort)
        other.execute([(US, [s.ReleaseStock(**AT, reservation_id="first/1", order_id="first")])])
        assert store.execute([(US, [reserve("first")])]) == []
        assert isinstance(store.execute([(US, [reserve("third")])])[0].event, s.StockReserved)


def test_a_decision_for_nothing_is_also_made_from_the_newest_state(url: str, store: Store) -> None:
    """A stale "nothing to do" would lose the command for ever, because the position moves past it."""
    placed = place("1", ("A", 1))
    store.execute([(US, [placed])])
    with store_on(url) as other:
        assign = (o.Assignment(sku="A", location="berlin", quantity=1),)
        answer = o.SourceOrder(order_id=placed.order_id, attempt=1, assignments=assign, rule_version="1")
        other.execute([(US, [answer])])
    locked = o.RecordReservation(
        order_id=placed.order_id,
        reservation_id=o.reservation_id_of(placed.order_id, 1),
        sku="A",
        location="berlin",
        quantity=1,
    )
    assert [type(r.event).__name__ for r in store.execute([(US, [locked])])] == ["OrderLineAllocated", "OrderAllocated"]


def test_a_refusal_from_a_stale_state_is_not_believed(url: str, store: Store) -> None:
    store.execute([(US, [receive(1)])])
    with store_on(url) as other:
        other.execute([(US, [reserve("o1")])])
    ship = s.ShipStock(**AT, reservation_id="o1/1", order_id="o1", shipment_id="x")
    assert isinstance(store.execute([(US, [ship])])[0].event, s.StockShipped)


def test_a_stream_overtaken_long_ago_is_doubted_also_when_no_one_has_written_since(url: str, store: Store) -> None:
    """Between the other's append and ours lies one to another stream, in which this store saw the end of the log."""
    elsewhere = s.ReceiveStock(sku="B", location="berlin", receipt_id="r", quantity=1)
    ship = s.ShipStock(**AT, reservation_id="o1/1", order_id="o1", shipment_id="x")
    store.execute([(US, [receive(1)])])
    with store_on(url) as other:
        other.execute([(US, [reserve("o1")])])
        store.execute([(US, [elsewhere])])
        assert isinstance(store.execute([(US, [reserve("o2")])])[0].event, s.StockShort)
        other.execute([(US, [ship])])
        store.execute([(US, [elsewhere.model_copy(update={"receipt_id": "again"})])])
        assert store.execute([(US, [ship])]) == []
        other.execute([(US, [receive(1, "r2"), reserve("o3")])])
        store.execute([(US, [elsewhere.model_copy(update={"receipt_id": "once more"})])])
        ship_next = s.ShipStock(**AT, reservation_id="o3/1", order_id="o3", shipment_id="y")
        assert isinstance(store.execute([(US, [ship_next])])[0].event, s.StockShipped)


def test_p01_of_200_writers_that_race_for_the_last_unit_exactly_one_wins(url: str) -> None:
    with store_on(url) as store:
        store.execute([(US, [receive(1)])])
    context = multiprocessing.get_context("spawn")
    barrier, wins = context.Barrier(PROCESSES), context.Queue()
    racers = [context.Process(target=race, args=(url, n, barrier, wins)) for n in range(PROCESSES)]
    for racer in racers:
        racer.start()
    outcomes = [wins.get(timeout=600) for _ in range(PROCESSES * THREADS)]
    for racer in racers:
        racer.join(300)
        assert racer.exitcode == 0
    assert outcomes.count("StockReserved") == 1
    assert outcomes.count("StockShort") == PROCESSES * THREADS - 1
    with store_on(url) as store:
        history = store.history("stock-A@berlin")
        assert [r.version for r in history] == list(range(1, len(history) + 1))
        assert store.state_of("stock-A@berlin")[0].promised == 1


def race(url: str, number: int, barrier: Any, wins: Any) -> None:
    """Run the threads of one process: all load the stream first, so that all decide from the same stale state."""
    ready = threading.Barrier(THREADS)

    def writer(thread: int) -> None:
        with datastore_of(url, connections_max=1) as datastore:
            mine = Store([stock.decider], EVENTS, connected(datastore))
            mine.state_of("stock-A@berlin")
            if ready.wait(GATHERED_SECONDS_MAX) == 0:
                barrier.wait(GATHERED_SECONDS_MAX)
            ready.wait(GATHERED_SECONDS_MAX)
            wins.put(type(mine.execute([(US, [reserve(f"o{number}-{thread}")])])[0].event).__name__)

    threads = [threading.Thread(target=writer, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def connected(datastore: PostgresDatastore) -> Recorder:
    """A pool gives up after seconds; 200 that connect at once take longer where others work beside them."""
    deadline = time.monotonic() + GATHERED_SECONDS_MAX
    while True:
        try:
            return Recorder(datastore)
        except OperationalError:
            if time.monotonic() > deadline:
                raise


def test_p05_two_lines_of_one_sku_are_one_demand(store: Store) -> None:
    placed = store.execute([(US, [place("1", ("A", 2), ("A", 3))])])[0].event
    assert isinstance(placed, o.OrderPlaced)
    assert placed.demand == {"A": 5}


def test_p14_an_order_sent_twice_is_one_order_and_sent_with_other_content_a_visible_conflict(store: Store) -> None:
    first, again, other = place(), place(), place(price=999)
    recorded = store.execute([(US, [first]), (US, [again]), (US, [other]), (US, [other])])
    assert [type(r.event) for r in recorded] == [o.OrderPlaced, o.DuplicateConflictFound]
    assert recorded[1].event == o.DuplicateConflictFound(
        order_id=first.order_id,
        fingerprint=other.fingerprint,
        content=o.OrderContent.model_validate(other.content),
    )
    assert store.state_of(first.stream)[0].placed == recorded[0].event


def test_a_zombie_whose_position_was_taken_over_changes_nothing(url: str, store: Store) -> None:
    store.execute([(US, [receive(5)])], Advance("reader", 0, 1))
    with store_on(url) as owner:
        owner.execute([(US, [reserve("o1")])], Advance("reader", 1, 3))
    with pytest.raises(PositionLost):
        store.execute([(US, [reserve("o1"), reserve("o2")])], Advance("reader", 1, 2))
    with pytest.raises(PositionLost):
        store.execute([(US, [reserve("o3")])], Advance("reader", 0, 9))
    assert len(store.history("stock-A@berlin")) == 2


class AcknowledgementLost(Recorder):
    """A recorder whose first commit succeeds while its acknowledgement is lost."""

    lost = 0

    @contextmanager
    def writing(self) -> Iterator[psycopg.Cursor[Any]]:
        with super().writing() as curs:
            yield curs
        if not self.lost:
            self.lost = 1
            raise OperationalError("the connection broke after COMMIT")


def test_a_lost_acknowledgement_is_looked_up_before_anything_is_done_again(url: str) -> None:
    with store_on(url, AcknowledgementLost) as store:
        recorded = store.execute([(US, [receive(2), reserve("o1")])], Advance("reader", 0, 5))
        assert [r.version for r in recorded] == [1, 2]
        assert store.history("stock-A@berlin") == recorded
        assert store.recorder.position("reader") == 5


def test_a_lost_acknowledgement_of_a_bare_position_is_looked_up_too(url: str) -> None:
    with store_on(url, AcknowledgementLost) as store:
        assert store.execute([], Advance("reader", 0, 5)) == []
        assert store.recorder.position("reader") == 5


def test_a_transaction_whose_owner_is_silent_holds_no_lock_and_did_not_happen(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process does that is stopped: others append meanwhile, and to itself it looks like an outage."""
    monkeypatch.setattr(recorder_module, "IDLE_SECONDS_MAX", 0.2)
    with store_on(url) as silent, store_on(url) as other:

        def be_silent() -> None:
            with silent.recorder.writing() as curs:
                silent.recorder.advance(curs, Advance("reader", 0, 7))
                assert other.execute([(US, [receive(2)])])
                curs.execute("SELECT")

        with pytest.raises(OUTAGES):
            be_silent()
        assert other.recorder.position("reader") == 0
        assert silent.execute([(US, [reserve("o1")])], Advance("reader", 0, 7))


def test_rows_whose_writer_is_silent_are_free_for_others(url: str) -> None:
    rows, others = (SqlRows(PROJECTIONS[0].table, Connections(url, idle_seconds_max=1)) for _ in range(2))

    def be_silent() -> None:
        with rows.writing() as silent:
            rows.lock(silent)
            with others.writing() as connection:
                others.lock(connection)
            rows.lock(silent)

    with pytest.raises(OUTAGES):
        be_silent()
    rows.connections.close()
    others.connections.close()


def test_a_long_stream_loads_from_its_snapshot(url: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "EVERY_EVENTS", 50)
    store.execute([(US, [receive(1000)])])
    for batch in range(10):
        store.execute([(US, [reserve(f"o{batch}-{i}") for i in range(20)])])
    with store_on(url) as fresh:
        assert [snapshot.version for snapshot in fresh.recorder.snapshots(["stock-A@berlin"])] == [121]
        loaded, version = fresh.state_of("stock-A@berlin")
        assert (loaded, version) == (store.state_of("stock-A@berlin")[0], 201)
        assert loaded.promised == 200


def test_a_snapshot_of_another_version_is_not_read(url: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "EVERY_EVENTS", 2)
    store.execute([(US, [receive(10), reserve("o1")])])
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE oms_snapshots SET topic = 'stock.0', state = '{}'")
    with store_on(url) as fresh:
        assert fresh.state_of("stock-A@berlin") == store.state_of("stock-A@berlin")


BROKEN = (
    "state = '{'",
    "state = '{}'",
    """state = convert_to(replace(convert_from(state, 'UTF8'), '"promised":1', '"promised":0'), 'UTF8')""",
    """state = convert_to(replace(convert_from(state, 'UTF8'), '"promised":1', '"promised":"x"'), 'UTF8')""",
    """state = convert_to(replace(convert_from(state, 'UTF8'), '{"promised', '{"extra":1,"promised'), 'UTF8')""",
    "version = version + 1",
    "topic = left(topic, 8)",
)


def test_a_snapshot_that_was_changed_is_left_aside_and_found(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "EVERY_EVENTS", 2)
    store.execute([(US, [receive(1), reserve("o1")])])
    assert not snapshots_found(url)
    for attempt, broken in enumerate(BROKEN):
        with psycopg.connect(url) as connection:
            kept = connection.execute("SELECT version, topic, state FROM oms_snapshots").fetchone()
            connection.execute(f"UPDATE oms_snapshots SET {broken}".encode())
            changed = connection.execute("SELECT version, topic, state FROM oms_snapshots").fetchone()
        assert changed != kept
        assert snapshots_found(url), broken
        with store_on(url) as fresh:
            assert fresh.state_of("stock-A@berlin") == store.state_of("stock-A@berlin")
            (short,) = fresh.execute([(US, [reserve(f"later-{attempt}")])])
            assert isinstance(short.event, s.StockShort)
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE oms_snapshots SET version = %s, topic = %s, state = %s", kept)
    assert not snapshots_found(url)


def snapshots_found(url: str) -> list[str]:
    report = verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    return [check.name for check in report.checks if check.failed and "snapshot" in check.name]


def test_the_cache_is_bounded_and_what_fell_out_of_it_is_loaded_again(url: str) -> None:
    with datastore_of(url) as datastore:
        store = Store([order.decider, stock.decider], EVENTS, Recorder(datastore), states_bytes_max=40_000)
        for i in range(40):
            store.execute([(US, [place(str(i))])])
        assert 0 < len(store._cache) < 40
        assert store._cache.estimated_bytes <= 40_000
        assert store.execute([(US, [place("0")])]) == []


class Overtaken(Recorder):
    """A recorder that another writer overtakes before it has the append lock."""

    meanwhile: Callable[[], object]

    @contextmanager
    def writing(self) -> Iterator[psycopg.Cursor[Any]]:
        self.meanwhile()
        with super().writing() as curs:
            yield curs


def test_nothing_is_forgotten_while_it_is_decided_from(url: str) -> None:
    """Whether others have written since a stream was read is asked of those that are remembered."""
    with datastore_of(url) as one, datastore_of(url) as two:
        other = Store([order.decider, stock.decider], EVENTS, Recorder(two))
        recorder = Overtaken(one)
        store = Store([order.decider, stock.decider], EVENTS, recorder, states_bytes_max=0)
        for i in range(3):
            recorder.meanwhile = partial(other.execute, [(US, [place(str(i))])])
            assert store.execute([(US, [place(str(i))])]) == []
            assert len(store._cache) == 0


def test_positions_follow_the_order_of_commits_without_gaps_in_a_batch(url: str) -> None:
    """A reader that tails the log while eight threads write must see every event, in order."""
    with store_on(url) as store:
        store.execute(
            [(US, [s.ReceiveStock(sku=f"S{n}", location="berlin", receipt_id="r", quantity=1000)]) for n in range(8)]
        )
    stop, seen = threading.Event(), [0]

    def tail() -> None:
        with datastore_of(url) as datastore:
            recorder = Recorder(datastore)
            while True:
                done = stop.is_set()
                found = recorder.select_notifications(seen[-1], 500, inclusive_of_start=False)
                seen.extend(row.id for row in found)
                if done and not found:
                    return

    def write(n: int) -> None:
        with store_on(url) as mine:
            for i in range(20):
                orders = [f"{n}-{i}-{j}" for j in range(3)]
                mine.execute(
                    [
                        (
                            US,
                            [
                                s.ReserveStock(
                                    sku=f"S{n}", location="berlin", reservation_id=f"{x}/1", order_id=x, quantity=1
                                )
                            ],
                        )
                        for x in orders
                    ]
                )

    reader = threading.Thread(target=tail)
    writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert len(seen) - 1 == 8 + 8 * 20 * 3
    assert seen == sorted(set(seen))
