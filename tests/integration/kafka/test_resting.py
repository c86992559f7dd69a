"""A partition of a role that has nothing to do takes no step, and takes one as soon as there is something again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from kafka import codec  # type: ignore[import-untyped] # the library has no types

from integration.contract.test_kafka import OPEN, received
from integration.contract.test_kafka_chains import an_order
from integration.contract.test_kafka_input import producer, turn_until
from oms_es.app import CONSUMERS, migrate
from oms_es.app.workers import LOOKED_UP, Workers
from oms_es.gateways.warehouse import SimulatedWarehouse
from oms_es.kafka.client import Config, TopicPartition
from oms_es.kafka.groups.group_worker import GroupWorker
from oms_es.kernel import Command, Recorded
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


def authorized(requested: Any) -> RecordAuthorization:
    return RecordAuthorization(payment_id=requested.payment_id, reference="r")


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
        workers.submit("test", [received(f"T{n}") for n in range(9)])
        turn_until(workers, lambda: workers.relay and not workers.loop.iterate())
        assert [list(group.stopped) for group in groups] == [[PLACE]] * 2
