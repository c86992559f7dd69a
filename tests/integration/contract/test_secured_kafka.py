"""The secured broker as the how-to page sets it up: certificates, logins, and access rights."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import broker
from oms_es.app import migrate
from oms_es.app.workers import CHANNEL_ORDERS_ROLE, DEAD_LETTERS, ROLES, Workers, topics
from oms_es.cli import main as cli
from oms_es.cli.operator import topics as cli_topics
from oms_es.exit_codes import Code
from oms_es.kafka.client import Config, KafkaUnavailable, Outgoing, Producer, TopicPartition, create_topics
from oms_es.kafka.dev_broker import JAVA, Broker, fetched_jars, program
from oms_es.kafka.groups.membership import Group
from oms_es.schemas.topics import CHANNEL_ORDERS, ORDER_STATUS, channel_topic
from oms_es.settings import Settings
from pages import blocks

ALONE = """
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""
"""What a broker without others needs besides."""


PATIENCE_MS = 3_000
SECONDS_MAX = 240


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make certificates as the page says, for this machine."""
    directory = tmp_path_factory.mktemp("tls")
    making = blocks("secure-kafka.md", "bash")[0]
    making = making.replace("DNS:kafka.example.com", "IP:127.0.0.1").replace("kafka.example.com", "127.0.0.1")
    subprocess.run(["bash", "-euc", making], cwd=directory, check=True, capture_output=True)
    return directory


def here(text: str, certificates: Path) -> str:
    """Return the page's text with the names and paths of this machine."""
    return text.replace("kafka.example.com", "127.0.0.1").replace("/etc/kafka/tls", str(certificates))


@pytest.fixture(scope="module")
def secured(certificates: Path) -> Iterator[Broker]:
    """Start the broker that the page sets up."""
    properties, _ = blocks("secure-kafka.md", "properties")
    properties = here(properties, certificates).replace(":9093", ":{controller}").replace(":9094", ":{port}")
    properties = properties.replace("/var/lib/kafka/data", "{data}") + ALONE
    logins = re.findall(r"--add-scram '([^']+)'", blocks("secure-kafka.md", "bash")[1])
    login = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "broker",
        "sasl_plain_password": "broker-secret",
        "ssl_cafile": str(certificates / "ca.pem"),
    }
    with broker(properties=properties, logins=logins, security=login) as running:
        allow(running, certificates)
        yield running


def allow(running: Broker, certificates: Path) -> None:
    """Grant each login what the page grants, with Kafka's own program."""
    _, admin = blocks("secure-kafka.md", "properties")
    (certificates / "admin.properties").write_text(here(admin, certificates))
    tool = certificates / "bin" / "kafka-acls.sh"
    tool.parent.mkdir()
    java = " ".join((program("java"), *JAVA, f"-cp '{fetched_jars()}/*'", "org.apache.kafka.tools.AclCommand"))
    tool.write_text(f'#!/bin/sh\nexec {java} "$@"\n')
    tool.chmod(0o755)
    commands = here(blocks("secure-kafka.md", "bash")[2], certificates).replace(":9094", f":{running.port}")
    subprocess.run(["bash", "-euc", commands], cwd=certificates, check=True, capture_output=True)


@pytest.fixture
def environment(secured: Broker, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set the environment variables that the page sets."""
    exports = here(blocks("secure-kafka.md", "bash")[3], certificates).replace(":9094", f":{secured.port}")
    for name, value in re.findall(r"^export (\w+)=(.*)$", exports, re.MULTILINE):
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_on_the_secured_broker_of_the_page_topics_are_made_and_messages_come_and_go(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["topics", "--partitions", "2"]) == Code.OK
    assert ORDER_STATUS in capsys.readouterr().err
    config = cli_topics.kafka_of(Settings())
    producer, group = Producer(config), Group(config, "reader", [ORDER_STATUS])
    producer.publish([Outgoing(TopicPartition(ORDER_STATUS, 1), b"key", b"value", [])])
    producer.close()
    found: list[bytes | None] = []
    while not found:
        found = [message.value for messages in group.poll(1.0).values() for message in messages]
    group.close()
    assert found == [b"value"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OMS_KAFKA_SASL_PASSWORD", "another"),
        ("OMS_KAFKA_SASL_USERNAME", "nobody"),
        ("OMS_KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"),
        ("OMS_KAFKA_SSL_CAFILE", ""),
    ],
)
def test_who_may_not_come_in_is_refused_in_words(environment: pytest.MonkeyPatch, variable: str, value: str) -> None:
    environment.setenv(variable, value)
    config = {**cli_topics.kafka_of(Settings()), "bootstrap_timeout_ms": PATIENCE_MS}
    with pytest.raises(KafkaUnavailable, match="topics: ") as reported:
        create_topics(config, [], replicas=1)
    assert "secret" not in str(reported.value)


TRIED = ROLES if os.environ.get("OMS_TEST_ROLES") == "every" else (CHANNEL_ORDERS_ROLE, "sourcing", "order_status")
"""`make roles` tries every role, which takes a minute; else one of each kind that reads topics."""
OWN_TOPIC = {"web": "canonical"}
ORDER = b"""{
  "channel": "web", "external_id": "1", "placed_at": "2026-01-01T12:00:00Z", "currency": "EUR",
  "lines": [{"line_id": "1", "sku": "A", "quantity": 1, "unit_price_minor": 300}], "ship_to": {"country": "DE"}
}"""


@pytest.fixture
def of_a_channel(environment: pytest.MonkeyPatch) -> Config:
    """Return the client settings of the channel `web`, once the topics exist."""
    config = cli_topics.kafka_of(Settings())
    create_topics(config, topics(1, OWN_TOPIC), replicas=1)
    return {**config, "sasl_plain_username": "web", "sasl_plain_password": "web-secret"}


def sent(config: Config, topic: str, value: bytes = ORDER) -> None:
    producer = Producer({**config})
    try:
        producer.publish([Outgoing(TopicPartition(topic, 0), b"web/1", value, [])])
    finally:
        producer.close()


def test_roles_may_do_all_that_they_do(of_a_channel: Config, database_url: str) -> None:
    """An order on its channel's topic is read, recorded and published by what the page allows."""
    migrate(database_url)
    sent(of_a_channel, channel_topic("web"))
    sent(of_a_channel, channel_topic("web"), b"no order")
    ours = cli_topics.kafka_of(Settings())
    with Workers(database_url, ours, TRIED, relaying=True, channels=OWN_TOPIC) as workers:
        until = time.monotonic() + SECONDS_MAX
        while held(ours, ORDER_STATUS) + held(ours, DEAD_LETTERS) < 2:
            assert time.monotonic() < until, list(workers.health().ready())
            for _ in range(20):
                workers.loop.iterate()
                workers.waiter.wait(0.01)
        while problems := list(workers.health().ready()):
            assert time.monotonic() < until, problems
            workers.loop.iterate()


def held(config: Config, topic: str) -> int:
    producer = Producer(config)
    _, ends = producer.held(topic)
    producer.close()
    return sum(ends.values())


def test_who_may_only_write_to_one_topic_does_nothing_else(of_a_channel: Config) -> None:
    for other in (CHANNEL_ORDERS, channel_topic("pos"), ORDER_STATUS, "oms.order.events.v1"):
        with pytest.raises(KafkaUnavailable, match="Authorization"):
            sent(of_a_channel, other)
    group = Group(of_a_channel, "reader", [ORDER_STATUS])
    try:
        with pytest.raises(KafkaUnavailable, match="Authorization"):
            group.poll(5.0)
    finally:
        group.close()
