"""Topics that have changed: recreated, emptied by retention, or shorter than the committed position."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from kafka import KafkaAdminClient, TopicPartition  # type: ignore[import-untyped] # the library has no types
from kafka.admin import ConfigResource, ConfigResourceType  # type: ignore[import-untyped] # the same

from conftest import PARTITIONS
from integration.contract.test_kafka_input import canonical, group_of, intake, placed, produce, turn_until
from oms_es.app import migrate
from oms_es.app.workers import CHANNEL_ORDERS_ROLE, Workers, topics
from oms_es.cli import main as cli
from oms_es.exit_codes import Code
from oms_es.kafka.client import MESSAGE_BYTES_MAX, ORDER_BYTES_MAX, REQUEST_BYTES_MAX, Config, create_topics
from oms_es.kafka.cloudevents import position_of
from oms_es.kafka.dev_broker import _java, fetched_jars
from oms_es.kafka.relay.store import RELAY
from oms_es.kernel import Command
from oms_es.proof.checkpoints import read
from oms_es.proof.notes import require, verifier_key
from oms_es.schemas import order as o
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import LINES_MAX, TENDERS_MAX, PlaceOrder
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.topics import CHANNEL_ORDERS, EVENT_TOPICS, LOG_CHECKPOINTS, STOCK_LEVELS
from oms_es.schemas.values.types import DERIVED_LENGTH_MAX, IDENTIFIER_LENGTH_MAX, TEXT_LENGTH_MAX
from oms_es.store.recorder import TRACKING
from subscriber import assert_stamped, assert_whole, everything_on, latest, rows_as_json

OPEN = OpenLocation(location="berlin", country="DE", latitude=52.5, longitude=13.4)


@pytest.fixture
def url(database_url: str) -> str:
    migrate(database_url)
    return database_url


@contextmanager
def admin_of(kafka: Config) -> Iterator[Any]:
    admin = KafkaAdminClient(**kafka)
    try:
        yield admin
    finally:
        admin.close()


def made_anew(kafka: Config, topic: str) -> None:
    with admin_of(kafka) as admin:
        admin.delete_topics([topic])
        while topic in admin.list_topics():
            pass
    while not create_topics(kafka, [one for one in topics(PARTITIONS) if one.name == topic], replicas=1):
        pass


@pytest.fixture
def accept(url: str, kafka: Config, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setenv("OMS_DATABASE_URL", url)
    monkeypatch.setenv("OMS_KAFKA", ",".join(kafka["bootstrap_servers"]))

    def accepted(*arguments: str) -> None:
        assert cli.main(["topics", *arguments]) == Code.OK

    return accepted


def why(workers: Workers) -> str:
    return " ".join(workers.health().ready())


@pytest.mark.parametrize("running", [True, False], ids=["under a worker", "while nobody reads"])
def test_a_channel_topic_that_was_made_again_stops_its_readers_until_a_person_accepts_it(
    url: str, kafka: Config, accept: Callable[..., None], running: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new topic has more messages than the old one had, so that the offset alone would look valid."""
    produce(kafka, [canonical(f"old-{n}") for n in range(5)])
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: len(placed(url)) == 5)
        if running:
            made_anew(kafka, CHANNEL_ORDERS)
            produce(kafka, [canonical(f"new-{n}") for n in range(9)])
            turn_until(workers, lambda: "accept-replaced" in why(workers))
    if not running:
        made_anew(kafka, CHANNEL_ORDERS)
        produce(kafka, [canonical(f"new-{n}") for n in range(9)])
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: len(group_of(workers).stopped) == PARTITIONS)
        assert f"oms-es topics accept-replaced {CHANNEL_ORDERS}" in why(workers)
    assert len(placed(url)) == 5
    assert len(stopped_of(capsys)) == PARTITIONS
    accept("accept-replaced", CHANNEL_ORDERS)
    assert not stopped_of(capsys)  # not even a partition at its beginning
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: {f"new-{n}" for n in range(9)} <= placed(url))
        assert not group_of(workers).stopped
    accept("accept-replaced", CHANNEL_ORDERS)  # nothing to accept


def test_orders_that_retention_took_unread_stop_their_partition_and_no_other(
    url: str, kafka: Config, accept: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    produce(kafka, [canonical("first")])
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: placed(url) == {"first"})
    produce(kafka, [canonical(f"unread-{n}") for n in range(5)])
    with admin_of(kafka) as admin:
        admin.delete_records({TopicPartition(CHANNEL_ORDERS, 0): 4})
    produce(kafka, [canonical("beside")], partition=1)
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: group_of(workers).stopped and "beside" in placed(url))
        assert "position 1 is not in oms.channel.orders.v1/0 any more, which holds 4 to 6" in why(workers)
        assert f"oms-es topics accept-loss {CHANNEL_ORDERS}" in why(workers)
    (said,) = stopped_of(capsys).items()
    assert said[0] == f"{CHANNEL_ORDERS_ROLE}@{CHANNEL_ORDERS}/0"
    assert "position 1 is not in" in said[1]
    assert placed(url) == {"first", "beside"}
    accept("accept-loss", CHANNEL_ORDERS)
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: {"unread-3", "unread-4"} <= placed(url))
    assert not stopped_of(capsys)
    accept("accept-loss", CHANNEL_ORDERS)  # nothing to accept


def test_a_position_beyond_the_end_stops_its_partition(url: str, kafka: Config, accept: Callable[..., None]) -> None:
    """This happens when a broker is restored from an older copy."""
    produce(kafka, [canonical("first")])
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: placed(url) == {"first"})
    with psycopg.connect(url) as connection:
        topic_partition = f"{CHANNEL_ORDERS_ROLE}@{CHANNEL_ORDERS}/0"
        connection.execute(
            f"UPDATE {TRACKING} SET notification_id = 9 WHERE application_name = %s".encode(), [topic_partition]
        )
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: group_of(workers).stopped)
        assert "position 9 is beyond the end of oms.channel.orders.v1/0, which holds 0 to 1" in why(workers)
        assert "an unclean election" in why(workers)
    accept("accept-loss", CHANNEL_ORDERS)
    produce(kafka, [canonical("second")])
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: "second" in placed(url))


def received(sku: str, receipt: str) -> ReceiveStock:
    return ReceiveStock(sku=sku, location="berlin", receipt_id=receipt, quantity=5)


def on_hand(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        return dict(connection.execute("SELECT sku, on_hand FROM stock_levels").fetchall())


def test_topics_of_ours_that_were_made_again_stop_the_relay_and_lose_nothing(
    url: str, kafka: Config, accept: Callable[..., None]
) -> None:
    """What was published and not read yet is read from the log, although no message more comes after it."""
    commands: list[Command] = [OPEN, received("A", "r1"), received("B", "r1")]
    with Workers(url, kafka, [], relaying=True) as relaying:
        relaying.submit("test", commands)
        while relaying.loop.iterate():
            pass
    for topic in (EVENT_TOPICS["stock"], STOCK_LEVELS):
        made_anew(kafka, topic)
    with Workers(url, kafka, ["stock_levels"], relaying=True) as workers:
        turn_until(workers, lambda: on_hand(url) == {"A": 5, "B": 5})
        workers.submit("test", [received("A", "r2")])
        turn_until(workers, lambda: "relay stopped" in why(workers))
        assert f"oms-es topics accept-replaced {EVENT_TOPICS['stock']}" in why(workers)
        assert not everything_on(kafka, EVENT_TOPICS["stock"])
        accept("accept-replaced", EVENT_TOPICS["stock"])
        accept("accept-replaced", STOCK_LEVELS)
        turn_until(workers, lambda: on_hand(url) == {"A": 10, "B": 5})
        expected = rows_as_json(url, "stock_levels", "sku || '@' || location")
        turn_until(workers, lambda: latest(everything_on(kafka, STOCK_LEVELS)) == expected)
        assert_stamped(url, everything_on(kafka, STOCK_LEVELS))
        assert not why(workers)


ROOM = 20_000


def takes(kafka: Config, topic: str, bytes_max: int) -> None:
    with admin_of(kafka) as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"max.message.bytes": str(bytes_max)})
        admin.alter_configs([resource])


def as_it_says(said: str, kafka: Config) -> None:
    """Run Kafka's own command that the message names, as a person would."""
    (command,) = re.findall(r"`kafka-configs\.sh ([^`]*)`", said)
    words = command.replace("$OMS_KAFKA", ",".join(kafka["bootstrap_servers"])).split()
    subprocess.run(
        _java(fetched_jars(), "kafka.admin.ConfigCommand", *words), check=True, capture_output=True, timeout=120
    )


def large_order(number: int, lines: int) -> PlaceOrder:
    order = json.loads(canonical(number))
    line = order["lines"][0]
    order["lines"] = [{**line, "line_id": f"{'l' * 50}-{n}", "sku": f"{'s' * 90}-{n}"} for n in range(lines)]
    return PlaceOrder.model_validate(order)


WIDE = "\U0001f4e6"
"""A character of four bytes."""


def largest_order() -> PlaceOrder:
    """Return an order with every list and text at its bound, in the widest characters."""
    name, text = WIDE * (IDENTIFIER_LENGTH_MAX - 4), WIDE * TEXT_LENGTH_MAX
    order = json.loads(canonical(1))
    order["lines"] = [
        {"line_id": f"{name}{n:04}", "sku": f"{name}{n:04}", "quantity": 1, "unit_price_minor": 10**9}
        for n in range(LINES_MAX)
    ]
    order["tenders"] = [
        {"method": name, "payment_token": f"{name}{n:04}", "amount_minor": 10**9} for n in range(TENDERS_MAX)
    ]
    order["ship_to"] = dict.fromkeys(("name", "street", "city", "region", "postal_code"), text) | {"country": "DE"}
    return PlaceOrder.model_validate({**order, "delivery_option": name, "payment_token": name})


def test_the_largest_order_goes_out_by_the_topics_that_we_make(url: str, kafka: Config) -> None:
    order = largest_order()
    with Workers(url, kafka, [], relaying=True) as relaying:
        relaying.submit("test", [order])
        while relaying.loop.iterate():
            pass
        assert not why(relaying)
    (message,) = everything_on(kafka, EVENT_TOPICS["order"])
    assert len(json.loads(message.value or b"")["lines"]) == LINES_MAX
    assert len(message.value or b"") <= ORDER_BYTES_MAX < MESSAGE_BYTES_MAX


def test_the_largest_event_of_the_largest_order_fits_a_message() -> None:
    """Its release: every part of it from a place of its own, in a parcel, of a line."""
    name, made = WIDE * IDENTIFIER_LENGTH_MAX, WIDE * DERIVED_LENGTH_MAX
    units: Any = {"quantity": 10**6, "amount_minor": 10**15, "tax_minor": 10**15}
    part = o.ShipmentPlan(
        shipment_id=made,
        location=name,
        amount_minor=10**15,
        items=(o.Reservation(reservation_id=made, sku=name, location=name, quantity=10**6),),
        charges=(o.Charge(payment_id=name, amount_minor=10**15),),
        lines=(o.LineShare(line_id=name, sku=name, **units),),
    )
    address = largest_order().ship_to
    released = o.OrderReleased(
        order_id=made, payment_id=made, currency="EUR", shipments=(part,) * o.ASSIGNMENTS_MAX, ship_to=address
    )
    assert len(released.model_dump_json().encode()) <= MESSAGE_BYTES_MAX < REQUEST_BYTES_MAX


def test_an_event_larger_than_its_topic_takes_is_named_and_neither_passed_nor_holds_up_states(
    url: str, kafka: Config, accept: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is before it is published once; what is behind it waits, and comes when there is room."""
    topic = EVENT_TOPICS["order"]
    takes(kafka, topic, ROOM)
    small = [large_order(n, 1) for n in range(20)]
    orders = [*small[:7], large_order(100, 150), *small[7:]]
    with Workers(url, kafka, [], relaying=True) as workers:
        for order in orders:
            workers.submit("test", [order])
        turn_until(workers, lambda: "relay stopped" in why(workers) and len(stopped_of(capsys)) == 1)
        said = stopped_of(capsys)["relay"]
        assert said in why(workers)
        assert f"event OrderPlaced, version 1 of {orders[7].stream} at position 8, has " in said
        assert f"more than {topic} takes" in said
        assert f"max.message.bytes={MESSAGE_BYTES_MAX}" in said
        for _ in range(3):
            turn_until(workers, lambda: "relay stopped" in why(workers))
        published = {position_of(m)[0] for m in everything_on(kafka, topic)}
        assert set(range(1, 8)) <= published
        assert 8 not in published
        assert position_of_relay(url) == 7
        as_it_says(said, kafka)
        turn_until(workers, lambda: len({position_of(m)[0] for m in everything_on(kafka, topic)}) == len(orders))
        turn_until(workers, lambda: not why(workers) and not stopped_of(capsys))
    assert_whole(everything_on(kafka, topic))


def position_of_relay(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT position FROM {RELAY} WHERE name = 'events'".encode()).fetchone()
    assert row
    return int(row[0])


def stopped_of(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return what is stopped as `oms-es status` reports it, which knows nothing of the worker's memory."""
    capsys.readouterr()
    code = cli.main(["status", "--json"])
    stopped: dict[str, str] = json.loads(capsys.readouterr().out)["stopped"]
    assert code == (Code.BEHIND if stopped else Code.OK)
    return stopped


def test_a_topic_that_is_not_ours_has_nothing_to_accept(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", url)
    monkeypatch.setenv("OMS_KAFKA", "127.0.0.1:1")
    assert cli.main(["topics", "accept-loss", "somebody.else"]) == Code.NOT_FOUND


def test_checkpoints_are_published_as_they_were_signed_and_again_where_their_topic_is_new(
    url: str, kafka: Config, accept: Callable[..., None]
) -> None:
    with Workers(url, kafka, [], relaying=True) as workers:
        for number in range(3):
            workers.submit("test", [OPEN.model_copy(update={"location": f"place-{number}"})])
            workers.sealer.seal()
        turn_until(workers, lambda: len(everything_on(kafka, LOG_CHECKPOINTS)) == 3)
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT note FROM oms_log_checkpoints WHERE size > 0 ORDER BY size").fetchall()
        keys = [verifier_key(key) for (key,) in connection.execute("SELECT public FROM oms_log_keys").fetchall()]
    published = everything_on(kafka, LOG_CHECKPOINTS)
    assert [(message.value or b"").decode() for message in published] == [note for (note,) in rows]
    assert len({message.headers["ce_id"] for message in published}) == 3
    for message in published:
        note, checkpoint = read((message.value or b"").decode())
        require(note, keys)
        assert (message.key or b"").decode() == checkpoint.origin == message.headers["ce_subject"].decode()
        assert int(message.headers["ce_sequence"]) == checkpoint.size
    made_anew(kafka, LOG_CHECKPOINTS)
    accept("accept-replaced", LOG_CHECKPOINTS)
    with Workers(url, kafka, [], relaying=True) as workers:
        turn_until(workers, lambda: len(everything_on(kafka, LOG_CHECKPOINTS)) == 3)


def test_without_the_topic_of_checkpoints_everything_else_is_published_and_what_is_missing_is_said(
    url: str, kafka: Config, accept: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with admin_of(kafka) as admin:
        admin.delete_topics([LOG_CHECKPOINTS])
        while LOG_CHECKPOINTS in admin.list_topics():
            pass
    with Workers(url, kafka, [], relaying=True) as workers:
        workers.submit("test", [OPEN, ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=1)])
        workers.sealer.seal()
        turn_until(workers, lambda: len(everything_on(kafka, EVENT_TOPICS["stock"])) == 1)
        said = f"there is no topic {LOG_CHECKPOINTS}; `oms-es topics` makes it"
        assert said in why(workers)
        assert said in stopped_of(capsys)["checkpoints"]
        workers.submit("test", [ReceiveStock(sku="A", location="berlin", receipt_id="r2", quantity=1)])
        turn_until(workers, lambda: len(everything_on(kafka, EVENT_TOPICS["stock"])) == 2)
        create_topics(kafka, [one for one in topics(PARTITIONS) if one.name == LOG_CHECKPOINTS], replicas=1)
        turn_until(workers, lambda: not why(workers))
        turn_until(workers, lambda: len(everything_on(kafka, LOG_CHECKPOINTS)) == 1)
        assert not stopped_of(capsys)


def test_checkpoints_are_kept_for_ever_and_other_topics_as_the_brokers_keep_them(kafka: Config) -> None:
    with admin_of(kafka) as admin:
        names = (LOG_CHECKPOINTS, STOCK_LEVELS)
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    kept = {name: one["retention.ms"]["value"] for name, one in found["topic"].items() if "retention.ms" in one}
    assert kept == {LOG_CHECKPOINTS: "-1"}
