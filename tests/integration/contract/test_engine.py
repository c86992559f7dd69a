"""The whole engine on a real database: everything that happens to orders, and everything that goes wrong around it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from oms_es.app import CONSUMERS, DECIDERS, PROJECTIONS, Engine, engine_on, migrate
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.workload import Workload
from oms_es.gateways.simulated.effects import PAYMENT_CALLBACKS
from oms_es.gateways.simulated.modes import LATE_SECONDS, Chaos
from oms_es.kernel import Command, Consumer, GatewayUnavailable, Recorded
from oms_es.processing.gateway_worker import GatewayWorker
from oms_es.processing.intake.worker import Arrival
from oms_es.processing.loop import BACKGROUND_SECONDS, Loop
from oms_es.processing.readers import FeedReader, Stopped
from oms_es.projections.operations.deadlines import PAYMENT_DUE_SECONDS
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import (
    Address,
    CancelOrder,
    HoldOrder,
    OrderLine,
    OrderPlaced,
    PlaceOrder,
    RefundOrder,
    RetrySourcing,
)
from oms_es.schemas.stock import ReceiveStock, ReserveStock, SetSafetyStock
from oms_es.store.dead_letters import listed
from oms_es.store.schema import NotMigrated
from oms_es.verification.verify import Report, verify

CHAOS = Chaos(seed=3, decline=0.05, timeout=0.1, duplicate=0.1, late=0.1)
BERLIN = Address(country="DE", latitude=52.5, longitude=13.4)


@pytest.fixture
def url(any_database_url: str) -> str:
    migrate(any_database_url)
    return any_database_url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with engine_on(database_url) as an_engine:
        submit(
            an_engine,
            OpenLocation(location="berlin", country="DE", latitude=52.5, longitude=13.4),
            OpenLocation(location="paris", country="FR", latitude=48.9, longitude=2.4),
        )
        yield an_engine


def submit(engine: Engine, *commands: Command) -> list[Recorded]:
    before = engine.last_position()
    engine.submit("test", commands)
    return list(engine.log.read(before))


def order(external_id: str, *lines: tuple[str, int], token: str = "tok-ok") -> PlaceOrder:
    return PlaceOrder(
        channel="web",
        external_id=external_id,
        placed_at=datetime(2026, 1, 1, tzinfo=UTC),
        currency="EUR",
        lines=tuple(
            OrderLine(line_id=str(i), sku=sku, quantity=quantity, unit_price_minor=999)
            for i, (sku, quantity) in enumerate(lines)
        ),
        ship_to=BERLIN,
        payment_token=token,
    )


def stock(sku: str, quantity: int, location: str = "berlin", receipt: str = "r") -> ReceiveStock:
    return ReceiveStock(sku=sku, location=location, receipt_id=receipt, quantity=quantity)


def rows(url: str, query: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), values).fetchall()


def phase(engine: Engine, placed: PlaceOrder) -> str:
    found = rows(engine.database_url, "SELECT phase FROM order_status WHERE order_id = %s", placed.order_id)
    return str(found[0]["phase"])


def level(engine: Engine, sku: str, location: str = "berlin") -> tuple[int, int]:
    (found,) = rows(
        engine.database_url,
        "SELECT on_hand, reserved FROM stock_levels WHERE sku = %s AND location = %s",
        sku,
        location,
    )
    return found["on_hand"], found["reserved"]


def verified(engine: Engine) -> Report:
    return verify(engine.database_url, DECIDERS, PROJECTIONS, engine.store.codec)


def happened(engine: Engine, placed: PlaceOrder) -> list[str]:
    found = rows(
        engine.database_url, "SELECT event FROM order_timeline WHERE order_id = %s ORDER BY position", placed.order_id
    )
    return [row["event"] for row in found]


def test_a_day_of_orders_ends_with_every_order_settled_and_every_row_equal_to_history(url: str) -> None:
    with Engine(url, chaos=CHAOS) as engine:
        for batch in Workload(7, 150).steps(40):
            submit(engine, *batch)
            engine.loop.iterate()
        engine.settle()
        report = verified(engine)
        assert report.passed, [check for check in report.checks if check.failed]
        phases = {row["phase"] for row in rows(url, "SELECT DISTINCT phase FROM order_status")}
        assert phases <= {"completed", "cancelled", "backordered"}
        assert {"completed", "cancelled"} <= phases
        doubled = (
            "SELECT subject FROM simulated_effects WHERE operation = %s GROUP BY subject, part HAVING count(*) > 1"
        )
        assert [rows(url, doubled, operation) for operation in ("authorize", "capture", "void", "refund", "book")] == [
            []
        ] * 5
        with engine.recorder.datastore.cursor() as curs:
            assert listed(curs) == []


def test_the_money_at_the_provider_is_the_money_in_the_log(url: str) -> None:
    with Engine(url, chaos=CHAOS) as engine:
        submit(engine, *(command for batch in Workload(8, 120).steps(500) for command in batch))
        held = [order(f"held-{n}", ("A", 1)) for n in range(5)]
        submit(
            engine,
            OpenLocation(location="berlin", country="DE"),
            stock("A", 5),
            *held,
            *(HoldOrder(order_id=one.order_id, kind="manual") for one in held),
        )
        engine.settle()
        submit(engine, *(CancelOrder(order_id=one.order_id, reason="found cheaper") for one in held))
        paid = rows(url, "SELECT order_id FROM order_status WHERE phase = 'completed' ORDER BY order_id LIMIT 5")
        submit(engine, *(RefundOrder(**row, refund_id="late", goodwill_minor=100) for row in paid))
        engine.settle()
        sums = (
            "SELECT operation, sum(amount_minor) AS amount "
            "FROM simulated_effects WHERE outcome = 'succeeded' GROUP BY operation"
        )
        at_provider = {row["operation"]: int(row["amount"]) for row in rows(url, sums)}
        in_log = {
            operation: sum(
                json.loads(bytes(row["state"]))["event"]["amount_minor"]
                for row in rows(url, "SELECT state FROM oms_events WHERE topic = %s", event)
            )
            for operation, event in (
                ("authorize", "PaymentAuthorized"),
                ("capture", "PaymentCaptured"),
                ("void", "PaymentVoided"),
                ("refund", "PaymentRefunded"),
            )
        }
        assert all(in_log.values())
        assert in_log == {operation: at_provider.get(operation, 0) for operation in in_log}
        assert in_log["authorize"] == in_log["capture"] + in_log["void"]


def test_an_order_that_no_single_place_can_ship_leaves_in_two_parcels_whose_shares_sum(engine: Engine) -> None:
    placed = order("1", ("A", 2), ("B", 1))
    submit(engine, stock("A", 2), stock("B", 1, "paris"), placed)
    engine.settle()
    assert phase(engine, placed) == "completed"
    captured = rows(engine.database_url, "SELECT amount_minor FROM simulated_effects WHERE operation = 'capture'")
    assert len(captured) == 2
    assert sum(row["amount_minor"] for row in captured) == placed.total_minor
    assert (level(engine, "A"), level(engine, "B", "paris")) == ((0, 0), (0, 0))


def test_a_backordered_order_is_filled_when_stock_comes_first_come_first_served(engine: Engine) -> None:
    first, second = order("1", ("A", 2)), order("2", ("A", 2))
    submit(engine, stock("A", 1), first, second)
    engine.settle()
    assert (phase(engine, first), phase(engine, second)) == ("backordered", "backordered")
    submit(engine, stock("A", 1, "paris", "later"))
    engine.settle()
    assert (phase(engine, first), phase(engine, second)) == ("completed", "backordered")
    submit(engine, stock("A", 2, "paris", "latest"))
    engine.settle()
    assert phase(engine, second) == "completed"
    assert rows(engine.database_url, "SELECT * FROM backorder_queue") == []
    assert rows(engine.database_url, "SELECT * FROM open_exceptions") == []


def test_less_safety_stock_wakes_who_waits(engine: Engine) -> None:
    placed = order("1", ("A", 2))
    submit(engine, stock("A", 2), SetSafetyStock(sku="A", location="berlin", quantity=1), placed)
    engine.settle()
    assert phase(engine, placed) == "backordered"
    submit(engine, SetSafetyStock(sku="A", location="berlin", quantity=0))
    engine.settle()
    assert phase(engine, placed) == "completed"


def test_stock_at_a_place_that_never_opened_neither_ships_nor_keeps_the_engine_awake(engine: Engine) -> None:
    placed = order("1", ("A", 1))
    submit(engine, stock("A", 1, "nowhere"), placed)
    engine.settle()
    assert phase(engine, placed) == "backordered"


def test_a_declined_order_is_cancelled_and_its_stock_is_free_again(engine: Engine) -> None:
    placed = order("1", ("A", 1), token="tok-decline")
    submit(engine, stock("A", 1), placed)
    engine.settle()
    assert phase(engine, placed) == "cancelled"
    assert level(engine, "A") == (1, 0)


def test_cancelling_before_anything_left_gives_stock_and_money_back(database_url: str) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    placed = order("1", ("A", 1), token="tok-late")
    with engine_on(database_url, clock=lambda: now[0]) as engine:
        submit(engine, OpenLocation(location="berlin", country="DE"), stock("A", 1), placed)
        engine.loop.run_until_idle()
        assert phase(engine, placed) == "awaiting_payment"
        submit(engine, CancelOrder(order_id=placed.order_id, reason="changed my mind"))
        now[0] += timedelta(seconds=LATE_SECONDS)
        engine.settle()
        assert phase(engine, placed) == "cancelled"
        assert level(engine, "A") == (1, 0)
        assert happened(engine, placed)[-3:] == ["PaymentAuthorized", "PaymentVoidRequested", "PaymentVoided"]
        assert verified(engine).passed


def test_an_order_that_is_not_paid_in_time_lapses(database_url: str) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    placed = order("1", ("A", 1), token="tok-late")
    with engine_on(database_url, clock=lambda: now[0]) as engine:
        submit(engine, OpenLocation(location="berlin", country="DE"), stock("A", 1), placed)
        engine.loop.run_until_idle()
        assert phase(engine, placed) == "awaiting_payment"
        engine.store.clock = lambda: now[0]
        rows(database_url, "SELECT 1")
        with psycopg.connect(database_url) as connection:
            connection.execute("DELETE FROM simulated_callbacks_queued")  # the provider never reports
        now[0] += timedelta(seconds=PAYMENT_DUE_SECONDS)
    with engine_on(database_url, clock=lambda: now[0]) as engine:
        engine.settle()
        assert phase(engine, placed) == "cancelled"
        assert level(engine, "A") == (1, 0)


def test_a_hold_with_an_end_is_released_when_it_is_over(database_url: str) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    hold = ReserveStock(
        sku="A",
        location="berlin",
        reservation_id="cart-1",
        order_id="cart",
        quantity=1,
        expires_at=now[0] + timedelta(minutes=15),
    )
    with engine_on(database_url, clock=lambda: now[0]) as engine:
        submit(engine, stock("A", 1), hold)
        engine.settle()
        assert level(engine, "A") == (1, 1)
        now[0] += timedelta(minutes=15)
    with engine_on(database_url, clock=lambda: now[0]) as engine:
        engine.settle()
        assert level(engine, "A") == (1, 0)


def test_a_callback_that_comes_again_or_makes_no_sense_changes_nothing_and_is_not_lost(engine: Engine) -> None:
    placed = order("1", ("A", 1))
    submit(engine, stock("A", 1), placed)
    engine.settle()
    before = engine.last_position()
    (paid,) = rows(engine.database_url, "SELECT reference FROM simulated_effects WHERE operation = 'authorize'")
    known = {"operation": "authorize", "outcome": "succeeded", "payment_id": f"{placed.order_id}.1", **paid}
    unknown = {**known, "payment_id": "nobody's"}
    with psycopg.connect(engine.database_url) as connection:
        for payload in (json.dumps(known), json.dumps(unknown), "{", json.dumps(known)):
            connection.execute(
                "INSERT INTO simulated_callbacks (source, payload) VALUES (%s, %s)",
                [PAYMENT_CALLBACKS, payload.encode()],
            )
    engine.settle()
    assert engine.last_position() == before
    with engine.recorder.datastore.cursor() as curs:
        letters = listed(curs)
    assert [(letter.reason, letter.payload) for letter in letters] == [
        ("bad_callback", b"{"),
        ("unknown_payment", json.dumps(unknown).encode()),
    ] or {letter.reason for letter in letters} == {"bad_callback", "unknown_payment"}


def test_a_bad_line_is_rejected_once_and_the_rest_goes_on(engine: Engine) -> None:
    good = [order(str(n), ("A", 1)).model_dump_json().encode() for n in range(5)]
    lines = [*good[:2], b"not an order", *good[2:], b"not an order"]
    taken = engine.intake("file", "canonical").take([Arrival(n, line) for n, line in enumerate(lines, start=1)])
    assert (taken.accepted, taken.dead_letters) == (5, 2)
    with engine.recorder.datastore.cursor() as curs:
        (letter,) = listed(curs)
    assert (letter.payload, letter.arrivals, letter.reason) == (b"not an order", 2, "not_json")
    assert len(rows(engine.database_url, "SELECT 1 FROM oms_events WHERE topic = 'OrderPlaced'")) == 5


def test_an_event_that_cannot_be_handled_stops_its_consumer_before_it_and_no_one_else(database_url: str) -> None:
    broken = Consumer("broken", emits=(RetrySourcing,))

    @broken.on(OrderPlaced)
    def fail_for_one(event: OrderPlaced) -> Sequence[RetrySourcing]:
        if event.external_id == "5":
            raise ZeroDivisionError("a bug")
        return ()

    migrate(database_url)
    orders = [order(str(n), ("A", 1)) for n in range(9)]
    with Engine(database_url, consumers=(broken,)) as engine:
        recorded = submit(engine, *orders)
        with pytest.raises(Stopped, match="a bug"):
            engine.settle()
        assert engine.recorder.position("broken") == recorded[4].position
        others = {worker.name: worker.seen for worker in engine.loop.workers if isinstance(worker, FeedReader)}
        assert others.pop("broken") < engine.last_position()
        assert set(others.values()) == {engine.last_position()}
        assert len(rows(database_url, "SELECT 1 FROM order_status")) == 9


def test_the_same_orders_leave_the_same_history_however_the_threads_fall(embedded_server: EmbeddedPostgres) -> None:
    """One run leaves the second thread to chance, the other has none. External systems report by the test's clock."""
    histories = []
    for beside in (True, False):
        now = [datetime(2026, 1, 1, tzinfo=UTC)]
        with fresh_database(embedded_server) as url, engine_on(url, clock=lambda: now[0]) as engine:  # noqa: B023 - closed in the same turn
            if not beside:
                engine.loop = Loop(
                    engine.loop.workers,
                    engine.waiter,
                    refresh=engine.log.refresh,
                    save=engine.recorder.move_at_rest,
                )
            for batch in Workload(9, 80).steps(20):
                engine.submit("test", batch)
                engine.loop.iterate()
                now[0] += timedelta(seconds=1)
            while engine.loop.run_until_idle() or engine.external_systems.outstanding():
                now[0] += timedelta(seconds=1)
            recorded = engine.log.read(0, 10_000)
            histories.append([(r.stream, r.version, type(r.event).__name__) for r in recorded])
    assert histories[0] == histories[1] != []


def test_an_outage_in_the_second_thread_ends_the_turn_once_the_first_has_done_its_work(engine: Engine) -> None:
    (status,) = (p for p in engine.loop.workers if p.name == "order_status")

    def fails() -> int:
        raise psycopg.OperationalError("gone")

    status.step = fails  # type: ignore[method-assign] # the database's outage, as this participant sees it
    placed = order("1", ("A", 1))
    submit(engine, stock("A", 1), placed)
    engine.loop.iterate()
    time.sleep(BACKGROUND_SECONDS)
    before = engine.log.end
    with pytest.raises(psycopg.OperationalError, match="gone"):
        engine.loop.iterate()
    assert engine.last_position() > before
    del status.step  # the outage is over
    engine.settle()
    assert phase(engine, placed) == "completed"


def test_a_gateway_that_does_not_answer_is_asked_again_and_nothing_is_skipped(engine: Engine) -> None:
    outages = [3]
    (worker,) = (p for p in engine.loop.workers if isinstance(p, GatewayWorker) and p.name == "payment_provider")
    answer = worker.gateway.perform

    def perform(intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        if outages[0]:
            outages[0] -= 1
            raise GatewayUnavailable("closed for lunch")
        return answer(intents)

    worker.gateway.perform = perform  # type: ignore[method-assign] # the provider's outage, at its own door
    engine.loop.poll_seconds = 0.01
    placed = order("1", ("A", 1))
    submit(engine, stock("A", 1), placed)
    engine.settle()
    assert (outages, phase(engine, placed)) == ([0], "completed")


def test_a_worker_that_lost_its_position_goes_where_the_new_owner_is(engine: Engine) -> None:
    placed = order("1", ("A", 1))
    submit(engine, stock("A", 1), placed)
    with Engine(engine.database_url) as other:
        other.settle()
    engine.settle()
    assert phase(engine, placed) == "completed"
    assert verified(engine).passed
    readers = [p for p in engine.loop.workers if isinstance(p, FeedReader)]
    assert all(reader.saved == reader.stored_position(reader.name) for reader in readers)


def test_two_engines_on_one_database_share_the_work_and_double_nothing(engine: Engine) -> None:
    with Engine(engine.database_url, chaos=CHAOS) as other:
        for batch in Workload(9, 80).steps(20):
            submit(engine, *batch)
            engine.loop.iterate()
            other.loop.iterate()
        for _ in range(3):
            engine.settle()
            other.settle()
    report = verified(engine)
    assert report.passed, [check for check in report.checks if check.failed]
    assert {row["phase"] for row in rows(engine.database_url, "SELECT phase FROM order_status")} <= {
        "completed",
        "cancelled",
        "backordered",
    }


def test_an_engine_without_tables_says_what_to_do(database_url: str) -> None:
    with pytest.raises(NotMigrated, match="oms-es migrate"), Engine(database_url):
        pass


def test_p17_anyone_who_starts_late_sees_everything_from_the_beginning(database_url: str) -> None:
    placed = order("1", ("A", 1))
    late = ("order_progress", "payment_requester")
    early = [consumer for consumer in CONSUMERS if consumer.name not in late]
    with engine_on(database_url, consumers=early) as engine:
        submit(engine, OpenLocation(location="berlin", country="DE"), stock("A", 1), placed)
        engine.settle()
        assert phase(engine, placed) == "allocating"
    with engine_on(database_url) as engine:
        engine.settle()
        assert phase(engine, placed) == "completed"
        assert verified(engine).passed
