"""Channels on Kafka: their messages after an order was placed, and topics in which only one channel may write."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import psycopg
import pytest

from conftest import PARTITIONS
from integration.contract.test_kafka_input import canonical, producer, turn_until
from oms_es.app import migrate, parser_of
from oms_es.app.workers import CHANNEL_ORDERS_ROLE, Workers, dialects
from oms_es.channels import DIALECTS, UnknownDialect
from oms_es.cli import main as cli
from oms_es.exit_codes import Code
from oms_es.kafka.client import Config
from oms_es.schemas.order import order_id_of
from oms_es.schemas.topics import CHANNEL_ORDERS, channel_topic
from oms_es.settings import Settings
from oms_es.store.dead_letters import DEAD_LETTERS as LETTERS
from subscriber import READ_SECONDS_MAX

CANCELLED = {"type": "CancelOrder", "channel": "web", "reason": "late"}


@pytest.fixture
def url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    migrate(database_url)
    monkeypatch.setenv("OMS_DATABASE_URL", database_url)
    return database_url


def send(kafka: Config, topic: str, *payloads: bytes) -> None:
    client = producer(kafka, {})
    for payload in payloads:
        client.produce(topic, payload, partition=0)
    assert client.flush(READ_SECONDS_MAX) == 0


def letters(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(f"SELECT reason, dialect, source FROM {LETTERS} ORDER BY id".encode()).fetchall()


def test_what_comes_before_its_order_waits_and_what_no_channel_sends_is_a_dead_letter(url: str, kafka: Config) -> None:
    early = json.dumps({**CANCELLED, "external_id": "1"}).encode()
    unknown = json.dumps({**CANCELLED, "external_id": "1", "type": "SourceOrder"}).encode()
    send(kafka, CHANNEL_ORDERS, early, unknown, canonical(1), canonical(2))
    with Workers(url, kafka, [CHANNEL_ORDERS_ROLE]) as workers:
        turn_until(workers, lambda: workers.store.history(f"order-{order_id_of('web', '2')}"))
        first = [type(one.event).__name__ for one in workers.store.history(f"order-{order_id_of('web', '1')}")]
    assert (first[0], first[-1]) == ("OrderCancellationKept", "OrderCancelled")
    assert letters(url) == [("unknown_type", "canonical", f"{CHANNEL_ORDERS_ROLE}@{CHANNEL_ORDERS}/0")]


def test_in_a_channel_s_own_topic_no_other_is_heard_also_when_it_is_replayed(
    url: str, kafka: Config, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_KAFKA", ",".join(kafka["bootstrap_servers"]))
    monkeypatch.setenv("OMS_CHANNEL_TOPICS", "web,pos")
    assert cli.main(["topics", "--partitions", str(PARTITIONS)]) == Code.OK
    web = channel_topic("web")
    assert f"made {web}, {channel_topic('pos')}" in capfd.readouterr().err
    forged = (canonical(7, channel="pos"), json.dumps({**CANCELLED, "external_id": "2", "channel": "pos"}).encode())
    send(kafka, web, *forged, canonical(1))
    send(kafka, CHANNEL_ORDERS, canonical(2, channel="pos"))
    with Workers(url, kafka, [CHANNEL_ORDERS_ROLE], channels={"web": "canonical", "pos": "canonical"}) as workers:
        for channel, number in (("web", "1"), ("pos", "2")):
            turn_until(workers, partial(workers.store.history, f"order-{order_id_of(channel, number)}"))
    refused = [("other_channel", "canonical:web", f"{CHANNEL_ORDERS_ROLE}@{web}/0")] * len(forged)
    assert letters(url) == refused
    monkeypatch.delenv("OMS_CHANNEL_TOPICS")
    assert cli.main(["dead-letters", "replay", "--all"]) == Code.BURIED
    with Workers(url, kafka, []) as workers:
        assert not workers.store.history(f"order-{order_id_of('pos', '7')}")


def test_a_channel_s_own_topic_is_read_in_any_dialect_that_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "OMS_CHANNEL_TOPICS", ",".join(["web", *(f"shop-{n}={name}" for n, name in enumerate(DIALECTS))])
    )
    read = dialects(Settings().own_topics)
    assert read.pop(CHANNEL_ORDERS) == "canonical"
    assert read.pop(channel_topic("web")) == "canonical:web"
    assert [name.partition(":")[0] for name in read.values()] == list(DIALECTS)
    assert all(parser_of(name) for name in read.values())
    with pytest.raises(UnknownDialect, match="there are canonical, "):
        dialects({"web": "shopware"})


@pytest.mark.parametrize(
    "named", ["Web", "web, pos", "web,", "../x", "web,,pos", "web=", "=shopify", "x.dlq=shopify", "channel_orders.dlq"]
)
def test_names_that_no_channel_has_are_refused(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_CHANNEL_TOPICS", named)
    assert cli.main(["topics"]) == Code.USAGE
