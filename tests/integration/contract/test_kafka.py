"""The engine on a real Kafka leads to the same result as the log alone."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any
from urllib.error import HTTPError

import psycopg
import pytest
from confluent_kafka import Producer as OtherProducer
from psycopg.rows import dict_row

from conftest import PARTITIONS
from integration.contract.test_kafka_input import canonical
from oms_es.app import DECIDERS, PROJECTIONS, Engine, OnKafka, engine_on, migrate
from oms_es.app.workers import CHANNEL_ORDERS_ROLE, DEAD_LETTERS, ROLES, Workers
from oms_es.demo.workload import Workload
from oms_es.gateways.simulated.modes import Chaos
from oms_es.kafka.client import Config, KafkaUnavailable, Message, Outgoing, Producer, TopicPartition, partition_of
from oms_es.kafka.cloudevents import position_of
from oms_es.kafka.groups.group_worker import GroupWorker
from oms_es.kafka.groups.membership import Group
from oms_es.kafka.relay.store import RELAY, RELAY_PARTITIONS
from oms_es.kernel import Command
from oms_es.processing import metrics
from oms_es.processing.intake.worker import BATCH_MAX as ARRIVALS_MAX
from oms_es.projections.stock import stock_levels
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import CancelOrder, PlaceOrder
from oms_es.schemas.stock import ReceiveStock, ReserveStock
from oms_es.schemas.topics import CHANNEL_ORDERS, EVENT_TOPICS, ORDER_STATUS, STOCK_LEVELS
from oms_es.store.dead_letters import listed
from oms_es.verification.verify import verify
from subscriber import READ_SECONDS_MAX, assert_stamped, assert_whole, everything_on, latest, rows_as_json

CHAOS = Chaos(seed=3, decline=0.05, timeout=0.1, duplicate=0.1, late=0.1)
TURNS_MAX = 3_000
REBALANCE_SECONDS_MAX = 120.0
"""Until a group has shared its partitions: a member that misses a heartbeat joins once more."""
LEVELS = ("stock_levels", "stock_allocator")
OPEN = OpenLocation(location="berlin", country="DE", latitude=52.5, longitude=13.4)


@pytest.fixture
def url(database_url: str) -> str:
    migrate(database_url)
    return database_url


def rows(url: str, query: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), values).fetchall()


def passed(url: str, workers: Workers | Engine) -> bool:
    report = verify(url, DECIDERS, PROJECTIONS, workers.store.codec)
    assert not [check for check in report.checks if check.failed]
    return report.passed


def received(sku: str, quantity: int = 5, receipt: str = "r") -> ReceiveStock:
    return ReceiveStock(sku=sku, location="berlin", receipt_id=receipt, quantity=quantity)


def reserved(sku: str, number: int) -> ReserveStock:
    return ReserveStock(sku=sku, location="berlin", reservation_id=f"cart-{number}", order_id=f"o{number}", quantity=1)


def test_a_day_of_orders_by_way_of_kafka_and_a_subscriber_with_nothing_but_a_client(url: str, kafka: Config) -> None:
    with Workers(url, kafka, ROLES, relaying=True, chaos=CHAOS) as workers:
        for batch in Workload(7, 80).steps(40):
            workers.submit("test", batch)
            workers.loop.iterate()
        workers.settle()
        while workers.loop.iterate():  # the last states are still to be reported
            pass
        assert passed(url, workers)
        events = everything_on(kafka, *EVENT_TOPICS.values())
        assert {position_of(message)[0] for message in events} == set(range(1, workers.last_position() + 1))
        assert_whole(events)
        assert all(m.topic_partition.partition == partition_of(m.key or b"", PARTITIONS) for m in events)
    assert_stamped(url, everything_on(kafka, ORDER_STATUS))
    assert latest(everything_on(kafka, ORDER_STATUS)) == rows_as_json(url, "order_status", "order_id")
    assert latest(everything_on(kafka, STOCK_LEVELS)) == rows_as_json(url, "stock_levels", "sku || '@' || location")


CALM = Chaos(seed=1)
ORDERS_COMPARED = 6
SEEN = {
    "order_status": "order_id, channel, external_id, phase, currency, total_minor, lines, units, backordered, "
    "placed_at, shipments, dispatched, delivered, conflicts, reason",
    "stock_levels": "*",
    "daily_sales": "*",
    "backorder_queue": "order_id, sku, quantity",
    "locations": "*",
}


def is_of_an_order(command: Command) -> bool:
    return isinstance(command, PlaceOrder | CancelOrder)


def test_the_same_orders_come_to_the_same_rows_embedded_and_on_kafka(
    url: str, kafka: Config, system_postgres_url: str
) -> None:
    """One order at a time: otherwise the race for the last unit has two correct results."""
    setting_up, orders = [list(found) for _, found in groupby(Workload(11, 400).commands(), is_of_an_order)][:2]
    world = [setting_up, *([command] for command in orders[:ORDERS_COMPARED])]
    with Workers(url, kafka, ROLES, relaying=True, chaos=CALM) as workers:
        for batch in world:
            workers.submit("test", batch)
            workers.settle()
    with engine_on(system_postgres_url, chaos=CALM) as engine:
        for batch in world:
            engine.submit("test", batch)
            engine.settle()
    for table, columns in SEEN.items():
        query = f"SELECT {columns} FROM {table} ORDER BY 1, 2"
        assert rows(url, query) == rows(system_postgres_url, query), table


@contextmanager
def some(url: str, kafka: Config, *roles: str, relaying: bool = True) -> Iterator[Workers]:
    with Workers(url, kafka, roles, relaying=relaying) as workers:
        yield workers


def until(workers: Workers, role: str = "stock_levels") -> None:
    """Wait until the role has processed the whole log."""
    for _ in range(TURNS_MAX):
        workers.loop.iterate()
        if workers.watermark.position([role]) == workers.last_position():
            return
        workers.waiter.wait(0.01)
    raise AssertionError(f"{role} did not come to the end: {workers.loop.stopped}")


def test_what_the_relay_repeats_after_a_crash_is_skipped(url: str, kafka: Config) -> None:
    with some(url, kafka, "stock_levels") as workers:
        workers.submit("test", [OPEN, received("A"), *(reserved("A", n) for n in range(3))])
        until(workers)
        with psycopg.connect(url, autocommit=True) as connection:  # as if it had died before it saved
            connection.execute(f"UPDATE {RELAY} SET position = 0 WHERE name = 'events'".encode())
            connection.execute(f"UPDATE {RELAY_PARTITIONS} SET position = 0".encode())
        workers.submit("test", [reserved("A", 3)])
        until(workers)
        assert rows(url, "SELECT on_hand, reserved FROM stock_levels") == [{"on_hand": 5, "reserved": 4}]
        messages = everything_on(kafka, *EVENT_TOPICS.values())
        assert len(messages) > workers.last_position()
        assert_whole(messages)


def test_p17_a_role_that_starts_late_sees_everything_from_the_beginning(url: str, kafka: Config) -> None:
    with some(url, kafka, "locations") as workers:
        workers.submit("test", [OPEN, received("A"), *(reserved("A", n) for n in range(3))])
        until(workers, "locations")
        assert rows(url, "SELECT on_hand, reserved FROM stock_levels") == []
    with some(url, kafka, "stock_levels") as workers:
        until(workers)
        assert rows(url, "SELECT on_hand, reserved FROM stock_levels") == [{"on_hand": 5, "reserved": 3}]


def test_a_read_model_is_rebuilt_under_its_worker_and_what_was_wrong_is_sent_again(url: str, kafka: Config) -> None:
    with some(url, kafka, "stock_levels") as workers:
        workers.submit("test", [OPEN, *(received(sku) for sku in "ABCD")])
        until(workers)
        while workers.loop.iterate():
            pass
        reported = len(everything_on(kafka, STOCK_LEVELS))
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE stock_levels SET on_hand = 100 WHERE sku IN ('A', 'B')")
        rebuilt = workers.rebuild(stock_levels.projection, published=True).run()
        assert rebuilt.written == 2
        assert rebuilt.events == rebuilt.rows == 4
        workers.submit("test", [received(sku, receipt="later") for sku in "AC"])
        until(workers)
        while workers.loop.iterate():
            pass
        assert {row["sku"]: row["on_hand"] for row in rows(url, "SELECT sku, on_hand FROM stock_levels")} == {
            "A": 10,
            "B": 5,
            "C": 10,
            "D": 5,
        }
        again = [message for message in everything_on(kafka, STOCK_LEVELS) if message.key == b"B@berlin"]
        assert len(again) == 2
        wrong, right = (dict(message.headers) for message in again)
        assert wrong["ce_id"] != right["ce_id"]  # readers drop what has the id of what they have seen
        assert_stamped(url, everything_on(kafka, STOCK_LEVELS))
        assert len(everything_on(kafka, STOCK_LEVELS)) > reported
        assert latest(everything_on(kafka, STOCK_LEVELS)) == rows_as_json(url, "stock_levels", "sku || '@' || location")
        assert passed(url, workers)


def test_what_is_missing_in_a_topic_is_read_from_the_store(url: str, kafka: Config) -> None:
    with some(url, kafka, "stock_levels") as workers:
        workers.submit("test", [OPEN, received("A")])
        until(workers)
        workers.submit("test", [reserved("A", n) for n in range(3)])
        skipped = workers.last_position()
        topic_partition = TopicPartition(EVENT_TOPICS["stock"], partition_of(b"stock-A@berlin", PARTITIONS))
        with psycopg.connect(url, autocommit=True) as connection:  # as if the topic had lost them
            connection.execute(f"UPDATE {RELAY} SET position = %s WHERE name = 'events'".encode(), [skipped])
            connection.execute(
                f"UPDATE {RELAY_PARTITIONS} SET position = %s WHERE topic = %s AND partition = %s".encode(),
                [skipped, *topic_partition],
            )
        workers.loop.seek()
        workers.submit("test", [reserved("A", 3)])
        until(workers)
        assert rows(url, "SELECT on_hand, reserved FROM stock_levels") == [{"on_hand": 5, "reserved": 4}]
        assert passed(url, workers)


def test_a_second_relay_stands_by_and_takes_over(url: str, kafka: Config) -> None:
    with some(url, kafka) as first, some(url, kafka) as second:
        assert first.relay
        assert second.relay
        first.submit("test", [OPEN, received("A")])
        first.loop.iterate()
        second.loop.iterate()
        assert (first.relay.active, second.relay.active) == (True, False)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        first.submit("test", [reserved("A", 1)])
        second.waiter.wait(1.0)
        while not second.relay.active:
            second.loop.iterate()
            second.waiter.wait(0.01)
        first.loop.iterate()
        assert not first.relay.active
        while second.loop.iterate():
            pass
        messages = everything_on(kafka, *EVENT_TOPICS.values())
        assert_whole(messages)
        assert {position_of(m)[0] for m in messages} == {1, 2, 3}


def test_topics_that_another_log_has_written_to_are_refused(url: str, kafka: Config) -> None:
    publisher = Producer(kafka)
    publisher.publish([Outgoing(TopicPartition(EVENT_TOPICS["order"], 0), b"k", b"{}", [])])
    publisher.close()
    with some(url, kafka) as workers:
        assert workers.relay
        workers.submit("test", [OPEN])
        with pytest.raises(KafkaUnavailable, match="another log"):
            workers.relay.step()


def test_a_topic_whose_partitions_changed_is_refused(url: str, kafka: Config) -> None:
    with some(url, kafka) as workers:
        assert workers.relay
        workers.submit("test", [OPEN])
        workers.relay.step()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DELETE FROM {RELAY_PARTITIONS} WHERE partition = 2".encode())
        workers.relay.seek()
        with pytest.raises(KafkaUnavailable, match="keys would change places"):
            workers.relay.step()


def test_where_workers_serve_a_database_no_engine_runs_on_the_log(url: str, kafka: Config) -> None:
    with some(url, kafka) as workers:
        workers.submit("test", [OPEN])
        workers.loop.iterate()
    with Engine(url) as engine, pytest.raises(OnKafka, match="oms-es worker"):
        engine.settle()


def test_from_the_log_to_kafka_nothing_is_done_again(url: str, kafka: Config) -> None:
    commands: list[Command] = [OPEN, received("A"), *(reserved("A", n) for n in range(3))]
    with Engine(url) as engine:
        engine.submit("test", commands)
        engine.settle()
    with some(url, kafka, "stock_levels") as workers:
        workers.submit("test", [reserved("A", 3)])
        until(workers)
        assert passed(url, workers)
        while workers.loop.iterate():
            pass
    assert latest(everything_on(kafka, STOCK_LEVELS)) == rows_as_json(url, "stock_levels", "sku || '@' || location")


def produced(kafka: Config, *payloads: bytes) -> None:
    """Produce by another client, keyed as channels would."""
    producer = OtherProducer({"bootstrap.servers": ",".join(kafka["bootstrap_servers"])})
    for number, payload in enumerate(payloads):
        producer.produce(
            CHANNEL_ORDERS, payload, key=str(number), headers={"trace": b"\x00\xff", "n": str(number).encode()}
        )
    assert producer.flush(READ_SECONDS_MAX) == 0


def test_orders_come_by_way_of_the_channel_topic_and_bad_ones_go_to_its_dead_letters(url: str, kafka: Config) -> None:
    bad = b'{"channel": "web"}'
    produced(kafka, canonical(1), bad, canonical(2), canonical(1))
    with some(url, kafka, CHANNEL_ORDERS_ROLE) as workers:
        while workers.last_position() < 2 or not rows(url, "SELECT FROM oms_dead_letters WHERE told_at IS NOT NULL"):
            workers.loop.iterate()
            workers.waiter.wait(0.01)
        assert workers.last_position() == 2
        with workers.recorder.datastore.cursor() as curs:
            (letter,) = listed(curs)
    assert (letter.payload, letter.arrivals) == (bad, 1)
    (reported,) = everything_on(kafka, DEAD_LETTERS)
    assert reported.value == bad
    assert reported.headers["trace"] == b"\x00\xff"
    assert reported.headers["oms_reason"].decode() == letter.reason
    assert reported.headers["oms_detail"].decode() == letter.detail


def test_a_whole_topic_of_bad_input_is_not_rejected(url: str, kafka: Config) -> None:
    produced(kafka, *(b"nonsense %d" % n for n in range(3_000)))
    with some(url, kafka, CHANNEL_ORDERS_ROLE, relaying=False) as workers:
        (group,) = [p for p in workers.loop.workers if isinstance(p, GroupWorker)]
        while len(group.stopped) < PARTITIONS:
            workers.loop.iterate()
        buried = rows(url, "SELECT count(*) AS n FROM oms_dead_letters")[0]["n"]
        assert 100 <= buried < PARTITIONS * (100 + ARRIVALS_MAX)  # the batch that makes it 100 is rejected whole
        assert any("could not be used" in problem for problem in workers.health().ready())


def test_a_fact_that_cannot_be_handled_stops_its_partition_and_no_other(
    url: str, kafka: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with some(url, kafka, "stock_levels") as workers:
        good = next(s for s in map(str, range(99)) if partition_of(f"stock-{s}@berlin".encode(), PARTITIONS) == 0)
        evil = next(s for s in map(str, range(99)) if partition_of(f"stock-{s}@berlin".encode(), PARTITIONS) == 1)
        workers.submit("test", [OPEN, received(good), received(evil)])
        decode = workers.cloudevents._decode

        def broken(message: Message) -> Any:
            if message.topic_partition.partition == 1:
                raise ValueError("not today")
            return decode(message)

        monkeypatch.setattr(workers.cloudevents, "_decode", broken)
        (group,) = [p for p in workers.loop.workers if isinstance(p, GroupWorker)]
        while not (group.stopped and rows(url, "SELECT FROM stock_levels")):
            workers.loop.iterate()
            workers.waiter.wait(0.01)
        assert [row["sku"] for row in rows(url, "SELECT sku FROM stock_levels")] == [good]
        assert [topic_partition.partition for topic_partition in group.stopped] == [1]
    monkeypatch.undo()
    with some(url, kafka, "stock_levels") as repaired:
        until(repaired)
        assert {row["sku"] for row in rows(url, "SELECT sku FROM stock_levels")} == {good, evil}


def test_our_partitions_are_where_other_clients_look_for_the_key(kafka: Config) -> None:
    keys = [f"order-{n}".encode() for n in range(200)] + [b"", b"a", b"ab", b"abc", "stück@köln".encode()]
    address = ",".join(kafka["bootstrap_servers"])
    producer = OtherProducer({"bootstrap.servers": address, "partitioner": "murmur2"})
    for key in keys:
        producer.produce(CHANNEL_ORDERS, b"x", key=key)
    assert producer.flush(READ_SECONDS_MAX) == 0
    where = {message.key: message.topic_partition.partition for message in everything_on(kafka, CHANNEL_ORDERS)}
    assert {key: where[key] for key in keys if key} == {key: partition_of(key, PARTITIONS) for key in keys if key}


@contextmanager
def turning(workers: Workers) -> Iterator[None]:
    """Poll in a thread of its own: two members of one group in one thread would wait for each other to join."""
    stopping = threading.Event()

    def turn() -> None:
        while not stopping.is_set():
            if not workers.loop.iterate():
                workers.waiter.wait(0.01)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def test_members_that_are_polled_in_turn_come_to_an_end_with_joining(kafka: Config) -> None:
    """The many groups of one process are polled in turn: a join mostly ends while another one is polled."""
    members = [Group(kafka, "stock_levels", [EVENT_TOPICS["stock"]]) for _ in range(3)]
    held: list[set[TopicPartition]] = [set() for _ in members]
    try:
        for _ in range(TURNS_MAX):
            for member, topic_partitions in zip(members, held, strict=True):
                member.poll()
                for given, changed in member.changes():
                    topic_partitions.update(changed) if given else topic_partitions.difference_update(changed)
            if all(member.joined for member in members) and all(held):
                break
        assert sorted(
            topic_partition.partition for topic_partitions in held for topic_partition in topic_partitions
        ) == list(range(PARTITIONS))
    finally:
        for member in members:
            member.close()


def test_a_partition_that_was_taken_meanwhile_has_no_lag_and_no_place_to_go_to(kafka: Config) -> None:
    """A rebalance happens on the client's own thread, between any two lines of ours."""
    group, not_ours = Group(kafka, "stock_levels", [EVENT_TOPICS["stock"]]), TopicPartition(EVENT_TOPICS["stock"], 0)
    try:
        group.poll()
        group.seek(not_ours, 1)
        group.pause([not_ours])
        assert group.behind(not_ours) is None
    finally:
        group.close()


def test_two_workers_of_one_role_share_its_partitions(url: str, kafka: Config) -> None:
    with some(url, kafka, "stock_levels") as first, some(url, kafka, "stock_levels", relaying=False) as second:
        first.submit("test", [OPEN, *(received(f"S{n}") for n in range(50))])
        tasks = [p for w in (first, second) for p in w.loop.workers if isinstance(p, GroupWorker)]
        with turning(second):
            deadline = time.monotonic() + REBALANCE_SECONDS_MAX
            while not all(share.tasks for share in tasks) and time.monotonic() < deadline:
                first.loop.iterate()
            held = [set(share.tasks) for share in tasks]
            assert all(held)
            assert len(held[0] | held[1]) == PARTITIONS
            assert not held[0] & held[1]
            first.submit("test", [received(f"S{n}", 1, "again") for n in range(50)])
            until(first)
        assert passed(url, first)
        assert rows(url, "SELECT sum(on_hand) AS n FROM stock_levels")[0]["n"] == 300


def test_metrics_and_health_are_served(url: str, kafka: Config) -> None:
    with some(url, kafka, "stock_levels") as workers:
        with metrics.served("127.0.0.1", 0, workers.health()) as port:
            with pytest.raises(HTTPError, match="503"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz")
            workers.submit("test", [OPEN, received("A")])
            until(workers)
            reported = {
                path: urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}").read().decode()
                for path in ("metrics", "livez", "readyz")
            }
    assert (reported["livez"], reported["readyz"]) == ("ok\n", "ok\n")
    for name in ("oms_position{", "oms_lag_messages{", "oms_relay_depth_events 0.0", "oms_batch_seconds_bucket{"):
        assert name in reported["metrics"]


def test_a_broker_that_is_not_there_is_said_in_one_line() -> None:
    group = Group({"bootstrap_servers": ["127.0.0.1:1"], "bootstrap_timeout_ms": 500}, "g", ["t"])
    with pytest.raises(KafkaUnavailable, match=r"^g: \w+: (?!Kafka).* look whether the brokers of OMS_KAFKA run"):
        group.poll()
