"""A partition of a role that has nothing to do takes no step, and takes one as soon as there is something again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from kafka import codec  # type: ignore[import-untyped] # the library has no types

from integration.contract.test_kafka import OPEN, received
from integration.contract.test_kafka_chains import an_order
from integration.contract.test_kafka_input import producer, turn_until
from oms_es.app import CONSUMERS, migrate
from oms_es.app.workers import LOOKED_UP, Workers
from oms_es.gateways.simulated.warehouse import SimulatedWarehouse
from oms_es.kafka.client import Config, TopicPartition
from oms_es.kafka.cloudevents import partition_for_stream
from oms_es.kafka.groups import group_worker, shared_reader
from oms_es.kafka.groups.group_worker import GroupWorker
from oms_es.kernel import Command, GatewayUnavailable, Recorded
from oms_es.schemas.payment import PaymentRequested, RecordAuthorization
from oms_es.schemas.topics import EVENT_TOPICS
from subscriber import READ_SECONDS_MAX

ROLES = ("stock_levels", "stock_movements")
SILENT_TIMES = 3
PLACE = TopicPartition(EVENT_TOPICS["stock"], 0)


class Hesitant:
    """A payment provider that answers when it is asked for the fourth time."""

    name = "payment_provider"
    intents = frozenset({PaymentRequested})
    batch_max = 500

    def __init__(self) -> None:
        self.asked = 0

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command] | None]:
        self.asked += 1
        return [None if self.asked <= SILENT_TIMES else [authorized(intent.event)] for intent in intents]


class Away(Hesitant):
    """A payment provider that does not answer until it is back."""

    back = False

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command] | None]:
        if not self.back:
            raise GatewayUnavailable("the provider is away")
        self.asked += len(intents)
        return [[authorized(intent.event)] for intent in intents]


def authorized(requested: Any) -> RecordAuthorization:
    return RecordAuthorization(payment_id=requested.payment_id, reference=requested.payment_id)


@pytest.fixture
def url(database_url: str) -> str:
    migrate(database_url)
    return database_url


def test_what_a_gateway_holds_is_asked_again_though_nothing_comes(url: str, kafka: Config) -> None:
    provider = Hesitant()
    roles = [*(consumer.name for consumer in CONSUMERS), *LOOKED_UP, provider.name]
    with Workers(url, kafka, roles, relaying=True, connected=[provider, SimulatedWarehouse()]) as workers:
        workers.submit("test", [OPEN, received("tea")])
        workers.submit("test", [an_order("1", "tea")])
        turn_until(workers, lambda: provider.asked > SILENT_TIMES)


BUFFERED_MAX, ORDERS, AT_ONCE = 4, 60, 3
"""The orders come a few at a time: what one poll brings is not bounded by what waits."""


def test_what_waits_for_a_gateway_that_does_not_answer_is_bounded(
    url: str, kafka: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (group_worker, shared_reader):
        monkeypatch.setattr(module, "BUFFERED_MAX", BUFFERED_MAX)
    provider, waiting = Away(), [0]
    others = [*(consumer.name for consumer in CONSUMERS), *LOOKED_UP]
    connected = [provider, SimulatedWarehouse()]
    with Workers(url, kafka, [*others, provider.name], relaying=True, connected=connected) as workers:
        (group,) = (w for w in workers.loop.workers if isinstance(w, GroupWorker) and w.name == provider.name)
        workers.submit("test", [OPEN, received("tea", ORDERS)])
        for begin in range(0, ORDERS, AT_ONCE):
            workers.submit("test", [an_order(str(begin + n), "tea") for n in range(AT_ONCE)])
            turn_until(workers, lambda: workers.watermark.position(others) == workers.last_position())
            workers.loop._paused_until.clear()  # it is tried again as often as something comes
            workers.loop.iterate()
            waiting.extend(task.waiting() for task in group.tasks.values())
        assert BUFFERED_MAX < max(waiting) <= BUFFERED_MAX + AT_ONCE
        provider.back = True
        workers.loop._paused_until.clear()
        turn_until(workers, lambda: provider.asked == ORDERS)


def later_skus(url: str, table: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {sku for (sku,) in connection.execute(f"SELECT sku FROM {table} WHERE sku LIKE 'T%'".encode())}


def test_roles_at_rest_report_a_batch_that_cannot_be_read_and_go_on_with_other_partitions(
    url: str, kafka: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "zstd", None)
    with Workers(url, kafka, ROLES, relaying=True) as workers:
        groups = [worker for worker in workers.loop.workers if isinstance(worker, GroupWorker)]
        workers.submit("test", [OPEN, *(received(f"S{n}") for n in range(9))])
        turn_until(workers, lambda: workers.watermark.position(["stock_levels"]) == workers.last_position())
        client = producer(kafka, {"compression.type": "zstd"})
        for _ in range(100):  # fewer would not be compressed
            client.produce(PLACE.topic, b"unread", partition=PLACE.partition)
        assert client.flush(READ_SECONDS_MAX) == 0
        turn_until(workers, lambda: all(group.stopped for group in groups))
        assert [list(group.stopped) for group in groups] == [[PLACE]] * 2
        later = [received(f"T{n}") for n in range(9)]
        elsewhere = {one.sku for one in later if partition_for_stream(one.stream, workers._partitions()) != PLACE}
        assert 0 < len(elsewhere) < len(later)
        workers.submit("test", later)
        turn_until(workers, lambda: elsewhere == later_skus(url, "stock_levels") == later_skus(url, "stock_movements"))
        assert [list(group.stopped) for group in groups] == [[PLACE]] * 2
