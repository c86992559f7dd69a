"""The how-to pages show the code, properties and settings that are run here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from ruamel.yaml import YAML

from conftest import PARTITIONS, broker
from oms_es.app import migrate
from oms_es.app.workers import Workers
from oms_es.channels import canonical
from oms_es.demo.workload import Workload
from oms_es.kafka.client import (
    Config,
    Outgoing,
    Topic,
    TopicPartition,
    connection,
    create_topics,
    partition_of,
)
from oms_es.kernel import Command
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.topics import ORDER_STATUS
from oms_es.settings import Settings
from oms_es.store.outbox import CHANGES
from oms_es.store.recorder import EVENTS as LOG
from oms_es.store.schema import READ_MODELS, SCHEMA
from pages import HOWTO, blocks
from repository import ROOT


def orders(count: int) -> list[Command]:
    return [command for command in Workload(5, count).commands() if isinstance(command, PlaceOrder)]


def reported(workers: Workers, url: str) -> dict[str, Any]:
    """Wait until the relay has published all of the read model, and return it."""
    for _ in range(3_000):
        turned = workers.loop.iterate()
        if not turned and workers.watermark.position(["order_status"]) == workers.last_position():
            break
        workers.waiter.wait(0.01)
    with psycopg.connect(url) as connection:
        assert connection.execute(f"SELECT count(*) FROM {CHANGES}".encode()).fetchone() == (0,)
        rows = connection.execute("SELECT order_id, to_json(t) FROM order_status AS t").fetchall()
    return {order_id: instants(row) for order_id, row in rows}


def instants(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with its instants parsed: PostgreSQL and RFC 3339 in UTC write one instant in two ways."""
    return {
        name: datetime.fromisoformat(value) if value and name.endswith("_at") else value for name, value in row.items()
    }


def read_until(changes: Iterator[tuple[str, Any]], state: dict[str, Any], wanted: dict[str, Any]) -> None:
    while state != wanted:
        key, value = next(changes)
        if value is None:
            del state[key]
        else:
            state[key] = instants(value)


def test_the_subscriber_of_the_page_sees_what_is_and_then_what_changes(database_url: str, kafka: Config) -> None:
    migrate(database_url)
    (code,) = blocks("subscribe-to-status.md", "python")
    page: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "subscribe-to-status.md", "exec"), page)
    subscribe: Callable[[list[str]], Iterator[tuple[str, Any]]] = page["changes"]
    with Workers(database_url, kafka, ["order_status"], relaying=True) as workers:
        first, *others = orders(20)
        workers.submit("test", [first])
        reported(workers, database_url)
        workers.submit("test", others)
        here = reported(workers, database_url)
        assert len(here) > 15
        changes = subscribe(kafka["bootstrap_servers"])
        state: dict[str, Any] = {}
        read_until(changes, state, here)
        workers.submit("test", [order for order in orders(25) if order.stream[len("order-") :] not in here])
        later = reported(workers, database_url)
        assert len(later) > len(here)
        read_until(changes, state, later)
        gone = next(iter(later)).encode()
        topic_partition = TopicPartition(ORDER_STATUS, partition_of(gone, PARTITIONS))
        workers.relay.producer.publish([Outgoing(topic_partition, gone, None, [])])  # type: ignore[union-attr] # it relays
        read_until(changes, state, {key: row for key, row in later.items() if key != gone.decode()})
        changes.close()  # type: ignore[attr-defined] # a generator


def test_what_the_sender_of_the_page_sends_is_taken_once_however_often_it_is_sent(
    database_url: str, kafka: Config
) -> None:
    migrate(database_url)
    (code,), (example, *later) = blocks("send-orders.md", "python"), blocks("send-orders.md", "json")
    page: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "send-orders.md", "exec"), page)
    order = json.loads(example)
    with Workers(database_url, kafka, ["channel_orders"]) as workers:
        page["send"](kafka["bootstrap_servers"], [order, order])
        page["send"](kafka["bootstrap_servers"], [order, {**order, "shipping_minor": 0}])
        page["send"](kafka["bootstrap_servers"], [json.loads(message) for message in later])
        while workers.last_position() < 2 + len(later):
            workers.loop.iterate()
            workers.waiter.wait(0.01)
        history = workers.store.history(canonical.parse(json.dumps(order)).stream)
    assert [type(recorded.event).__name__ for recorded in history] == [
        "OrderPlaced",
        "DuplicateConflictFound",
        "OrderAmended",
        "OrderCancelled",
    ]


def test_the_broker_of_the_compose_file_starts_with_its_settings(tmp_path: Path) -> None:
    """Started as the image starts it: KAFKA_LOG_DIRS is log.dirs, and storage is formatted with the controllers'
    addresses."""
    service = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())["services"]["kafka"]
    settings = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in service["environment"].items()
        if name.startswith("KAFKA_")
    }
    settings["controller.quorum.bootstrap.servers"] = settings.pop("controller.quorum.voters").partition("@")[2]
    host = {"kafka:9092": "127.0.0.1:{port}", "://:9092": "://127.0.0.1:{port}", ":9093": ":{controller}"}
    text = "".join(f"{name}={value}\n" for name, value in settings.items() if name != "log.dirs")
    for theirs, ours in host.items():
        text = text.replace(theirs, ours)
    text = re.sub(r",HOST://[^,\n]*", "", text) + "log.dirs={data}\n"
    with broker(properties=text) as running:
        config = connection(running.address)
        assert create_topics(config, [Topic("a", 1, compacted=True)], replicas=1) == ["a"]


def test_every_page_is_listed_and_every_link_leads_somewhere() -> None:
    pages = sorted(HOWTO.glob("*.md"))
    index = (HOWTO / "README.md").read_text()
    assert all(f"({page.name})" in index for page in pages if page.name != "README.md")
    for page in (*pages, ROOT / "README.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_command_and_variable_that_a_page_names_exists() -> None:
    words = "\n".join(page.read_text() for page in HOWTO.glob("*.md"))
    of_the_proxy = set(re.findall(r"\{\$(OMS_[A-Z_]+)", (ROOT / "ops" / "http" / "Caddyfile").read_text()))
    for variable in set(re.findall(r"OMS_[A-Z0-9_]+[A-Z0-9]", words)) - of_the_proxy:
        assert variable.removeprefix("OMS_").lower() in Settings.model_fields, variable
    generated = ROOT / "docs" / "reference"
    pages = (generated / "commands.md", *(generated / "commands").glob("*.md"))
    reference = "\n".join(page.read_text() for page in pages)
    for command in set(re.findall(r"(?:`|^\$ |^)oms-es ((?:dead-letters )?[a-z][a-z-]*)", words, re.MULTILINE)):
        assert f"`oms-es {command}`" in reference, command
    metrics = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for metric in set(re.findall(r"\b(oms_(?!reason|detail|dead_letter\b|payload_|k\d)[a-z_]+)", words)) - {
        LOG,
        READ_MODELS,
        SCHEMA,
    }:
        assert f"`{metric}`" in metrics, metric
