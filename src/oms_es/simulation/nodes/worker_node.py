"""A simulated process that runs some roles, as consumer groups, and a relay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from oms_es.app import CONSUMERS, PROJECTIONS
from oms_es.app.workers import (
    CALLBACK_ROLES,
    CHANNEL_ORDERS_ROLE,
    CONSUMER_ROLES,
    LOOKED_UP,
    SEALER_ROLE,
    TICKER_ROLE,
    TOPICS_OF,
)
from oms_es.kafka.client import TopicPartition
from oms_es.kafka.groups.feeds import EventTask, PartitionFeed, PartitionTask, missing
from oms_es.kafka.groups.inputs import InputTask, PartitionSource
from oms_es.kafka.relay.relay import Relay
from oms_es.memory.lookups import MemoryLookups
from oms_es.processing.gateway_worker import GatewayWorker
from oms_es.processing.intake.worker import Limit
from oms_es.processing.readers import FeedReader, ProjectionWorker, Worker
from oms_es.schemas.topics import CHANNEL_ORDERS, EVENT_TOPICS
from oms_es.simulation.nodes.engine_node import CACHE_BYTES_MAX, RETRY_SECONDS, EngineNode, Going, Ground
from oms_es.simulation.nodes.interruptible import (
    AwakeGroup,
    AwakeGroupChain,
    AwakeLoop,
    AwakeRelay,
)
from oms_es.simulation.nodes.log_node import CHAINS_FOLLOWING_MAX, CHAINS_NEW_MAX
from oms_es.simulation.world.broker import MemoryGroup, MemoryPublisher
from oms_es.simulation.world.coverage import MemoryCoverage
from oms_es.store.caching import Budget
from oms_es.store.log import Log
from oms_es.store.store import OUTAGES

BEHIND_SECONDS_MIN, BEHIND_SECONDS_MAX = 0.2, 5.0
"""How long a worker sleeps that has read events which it may not process before other roles have come as far."""


class WorkerNode(EngineNode):
    """A node with some roles, as consumer groups, and the relay or its standby."""

    def __init__(self, simulation: Ground, number: int, skew_seconds: float, roles: Sequence[str]) -> None:
        self.roles = roles
        super().__init__(simulation, number, skew_seconds)

    def work(self) -> None:
        while True:
            try:
                self.loop = loop = self._assembled()
                loop.seek()
            except OUTAGES:
                self.sleep(RETRY_SECONDS)
            else:
                break
        loop.run(Going(self))

    def _assembled(self) -> AwakeLoop:
        ground = self.simulation
        self.own_store = self.store()
        self.log = Log(self.own_store.recorder, ground.codec)
        self.log.start_at(self.own_store.recorder.end())
        self.budget = Budget(ground.chance.choice(CACHE_BYTES_MAX))
        self.lookups = MemoryLookups(self, ground.database)
        self.watermark = MemoryCoverage(self, ground.database, TOPICS_OF)
        roles = [self._worker_for(role) for role in self.roles]
        self.groups = [p for p in roles if isinstance(p, AwakeGroup)]
        chains = list(self._chain())
        workers: list[Worker] = [self._relay(), *chains, *roles, *chains]
        save = self.own_store.recorder.move_at_rest
        return AwakeLoop(
            workers, WaitForOthers(self), ground.scenario.poll_seconds, timing=self.timing, waited_for=True, save=save
        )

    def check(self) -> None:
        super().check()
        for group in self.groups:
            for topic_partition, error in group.stopped.items():
                self.simulation.stopped(f"{group.name}@{topic_partition}", error)

    def _chain(self) -> Iterator[AwakeGroupChain]:
        """Yield a chain, possibly with small limits, or none."""
        ground = self.simulation
        new_max = ground.chance.choice(CHAINS_NEW_MAX)
        groups = [group for group in self.groups if group.name in CONSUMER_ROLES | LOOKED_UP]
        if new_max and any(group.name in CONSUMER_ROLES for group in groups):
            partitions = dict.fromkeys(EVENT_TOPICS.values(), ground.scenario.partitions)
            following_max = ground.chance.choice(CHAINS_FOLLOWING_MAX)
            yield ground.components.group_chain(
                groups, self.own_store, self.log, self.watermark.relayed, lambda: partitions, new_max, following_max
            )

    def _relay(self) -> Relay:
        ground, components = self.simulation, self.simulation.components
        producer = MemoryPublisher(self, ground.broker)
        publisher = components.publisher(
            producer, ground.cloudevents, list(EVENT_TOPICS.values()), components.relay_store(ground.database)
        )
        relay = AwakeRelay(components.leadership(self, ground.database), producer, [publisher])
        relay.database = ground.database
        return relay

    def _worker_for(self, role: str) -> Worker:
        broker, batch_max = self.simulation.broker, self.simulation.scenario.batch_max
        if role == TICKER_ROLE:
            return self.ticker(self.own_store, self.log)
        if role == SEALER_ROLE:
            return self.sealer()
        if role in CALLBACK_ROLES:
            return self.callbacks(role, self.own_store, self.log)
        if role == CHANNEL_ORDERS_ROLE:
            group = MemoryGroup(self, broker, role, [CHANNEL_ORDERS])
            return AwakeGroup(group, self._input_task, batch_max, self.simulation.database)
        reader_of = self._reader_of(role)
        group = MemoryGroup(self, broker, role, TOPICS_OF[role])
        task_for = lambda topic_partition: self._event_task(topic_partition, reader_of)  # noqa: E731 - used once, and short
        return AwakeGroup(group, task_for, batch_max, self.simulation.database)

    def _reader_of(self, role: str) -> Callable[[PartitionFeed], FeedReader]:
        components, batch_max = self.simulation.components, self.simulation.scenario.batch_max
        for consumer in CONSUMERS:
            if consumer.name == role:
                return lambda feed: components.consumer(
                    consumer, self.own_store, feed, self.lookups, self.watermark.position, batch_max
                )
        for projection in PROJECTIONS:
            if projection.name == role:
                rows = components.rows(self, self.simulation.database, projection.table)
                read_model = components.read_model(projection, rows, self.budget, alone=False)
                return lambda feed: ProjectionWorker(read_model, feed, batch_max)
        (gateway,) = (gateway for gateway in self.gateways() if gateway.name == role)
        return lambda feed: GatewayWorker(gateway, self.own_store, feed, batch_max, self.timing.monotonic)

    def _event_task(
        self, topic_partition: TopicPartition, reader_of: Callable[[PartitionFeed], FeedReader]
    ) -> PartitionTask:
        feed = self.simulation.components.feed(
            topic_partition, self.simulation.cloudevents, self._backfill, self.log.notify_appended
        )
        return EventTask(feed, reader_of(feed))

    def _input_task(self, topic_partition: TopicPartition) -> PartitionTask:
        source = PartitionSource(topic_partition, CHANNEL_ORDERS_ROLE, "canonical")
        worker = self.follow(source, self.simulation.components.orders, self.own_store, self.log, Limit())
        return InputTask(source, worker, lambda _topic: None)  # topics are never created again here

    def _backfill(self, topic_partition: TopicPartition, after: int, to: int) -> Any:
        partitions = dict.fromkeys(EVENT_TOPICS.values(), self.simulation.scenario.partitions)
        return missing(self.own_store.recorder, self.simulation.codec, partitions, topic_partition, after, to)


class WaitForOthers:
    """The waiter of a worker: for messages, or for other roles to come as far as its events need."""

    def __init__(self, node: WorkerNode) -> None:
        self.node = node
        self.seconds = BEHIND_SECONDS_MIN

    def wait(self, seconds: float) -> bool:
        self.node.check()
        if any(not group.still for group in self.node.groups):
            self.seconds = min(2 * self.seconds, BEHIND_SECONDS_MAX)
            seconds = min(seconds, self.seconds)
        else:
            self.seconds = BEHIND_SECONDS_MIN
        self.node.wait(seconds)
        return True
