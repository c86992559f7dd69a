"""Which nodes there are, and what each of them runs: the engine as app.py and workers.py assemble it, on simulated
ground, and clients that ask until they are told.

Whatever app.py lists is run here; tests/system/simulation fails on a role that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import cycle
from typing import Any, Protocol

from oms_es.app import CONSUMERS, PARSERS, PROJECTIONS
from oms_es.app.workers import CALLBACK_ROLES, CHANNEL_ORDERS_ROLE, GROUPS_OF_ROLES, TICKER_ROLE, TOPICS_OF
from oms_es.gateways import warehouse
from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.payment import port as payment_provider
from oms_es.gateways.simulated.carrier import SimulatedCarrier
from oms_es.gateways.simulated.effects import CARRIER_CALLBACKS, PAYMENT_CALLBACKS
from oms_es.gateways.simulated.modes import Chaos, Hazards
from oms_es.gateways.simulated.payment_provider import SimulatedPaymentProvider
from oms_es.kafka.client import TopicPartition
from oms_es.kafka.cloudevents import CloudEventsCodec
from oms_es.kafka.feeds import EventTask, PartitionFeed, PartitionTask, missing
from oms_es.kafka.inputs import InputTask, PartitionSource
from oms_es.kafka.relay import Relay
from oms_es.kernel import Command, Decider, Event, Gateway, GatewayUnavailable
from oms_es.processing.chain import FOLLOWING_MAX, NEW_MAX
from oms_es.processing.intake import IntakeWorker, Limit
from oms_es.processing.readers import ConsumerWorker, FeedReader, GatewayWorker, ProjectionWorker, Worker
from oms_es.processing.ticker import Ticker
from oms_es.projections.operations import deadlines
from oms_es.schemas.topics import CHANNEL_ORDERS, EVENT_TOPICS
from oms_es.simulation.broker import Broker, MemoryGroup, MemoryPublisher
from oms_es.simulation.components import Kit
from oms_es.simulation.database import Database
from oms_es.simulation.external_systems import MemoryCallbacks, Outside
from oms_es.simulation.interruptible import (
    Awake,
    AwakeChain,
    AwakeGroup,
    AwakeIntake,
    AwakeLoop,
    AwakeRelay,
    AwakeTicker,
    SortedLog,
)
from oms_es.simulation.lookups import MemoryCoverage, MemoryLookups
from oms_es.simulation.node import Node, Simulation
from oms_es.simulation.scenario import Action, Scenario, World
from oms_es.store.codec import Codec
from oms_es.store.log import Feed, NullFeed
from oms_es.store.store import OUTAGES

NO_EVENTS: Mapping[str, type[Event]] = {}
"""A store is given the codec of its seed instead."""

RETRY_SECONDS = 1.0

RESTS_SHARE = 0.1
"""How often a reader that has nothing to do saves its position before the faults are over."""

CHAINS_NEW_MAX = (0, 10, NEW_MAX, NEW_MAX)
CHAINS_FOLLOWING_MAX = (1, 10, FOLLOWING_MAX)
"""How much a node may take into one chain, drawn when it starts."""

BEHIND_SHARE = 0.3
"""How often a node that starts leaves it to each reader to read what it has missed."""

UNANSWERED: tuple[type[Exception], ...] = (GatewayUnavailable, *OUTAGES)

HUNGRY_SECONDS_MIN, HUNGRY_SECONDS_MAX = 0.2, 5.0
"""How long a worker sleeps that has read what it may not yet do: others must come as far first."""

DIALECTS = {PAYMENT_CALLBACKS: "payment_callback", CARRIER_CALLBACKS: "carrier_callback"}

SHARED_ROLES: tuple[tuple[str, ...], ...] = (
    ("consumers", "channel_orders"),
    ("projections", "ticker"),
    ("gateways",),
)
"""Roles that are spread over the nodes; each group of them is run by two."""


class Ground(Simulation, Protocol):
    """What the nodes stand on. `settling`: the faults are over."""

    settling: bool

    scenario: Scenario
    kit: Kit
    deciders: tuple[Decider[Any], ...]
    database: Database
    broker: Broker
    outside: Outside
    codec: Codec
    cloudevents: CloudEventsCodec

    def accepted(self, action: Action) -> None:
        """A client was told that what it asked for is done."""

    def stopped(self, what: str, error: BaseException) -> None:
        """Something has met a fact that it cannot take."""


def chaos_of(world: World, seed: int) -> Chaos:
    return Chaos(
        seed,
        world.decline,
        world.timeout,
        world.duplicate,
        world.late,
        world.silent,
        world.soft_decline,
        world.reordered,
        world.expire,
        world.dispute,
        world.refund_failure,
    )


def hazards_of(world: World) -> Hazards:
    return Hazards(
        silent=world.mute,
        lost=world.lost,
        exception=world.exception,
        returned=world.returned,
        refused=world.refused,
        stubborn=world.stubborn,
        pickup_seconds=world.pickup_seconds,
        reused=world.reused,
    )


class Going:
    """Whether a loop is to end: it never is, a node that goes is crashed."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float) -> bool:
        self.node.sleep(timeout)
        return False


class EngineNode(Node):
    """What every process of the engine is made of."""

    simulation: Ground

    def __init__(self, simulation: Ground, number: int, skew_seconds: float) -> None:
        super().__init__(simulation, number, f"node {number}", skew_seconds)
        self.loop: AwakeLoop | None = None

    def store(self) -> Any:
        ground, kit = self.simulation, self.simulation.kit
        recorder = kit.recorder(self, ground.database)
        store = kit.store(ground.deciders, NO_EVENTS, recorder, self.clock, timing=self.timing)
        store.codec = ground.codec
        return store

    def gateways(self) -> Sequence[Gateway]:
        world, ledger = self.simulation.scenario.world, self.simulation.kit.ledger(self, self.simulation.outside)
        seed = self.simulation.scenario.seed
        chaos = chaos_of(world, seed)
        sends = SimulatedCarrier(
            ledger, chaos, world.transit_seconds, hazards_of(world), self.simulation.outside.recall
        )
        return (
            payment_provider.PaymentGateway(SimulatedPaymentProvider(ledger, chaos)),
            warehouse.SimulatedWarehouse(),
            carrier.CarrierGateway(sends),
        )

    def callbacks(self, name: str, store: Any, feed: Feed) -> IntakeWorker:
        source = MemoryCallbacks(self, self.simulation.outside, name, DIALECTS[name])
        return self.follow(source, PARSERS[source.dialect], store, feed)

    def follow(self, source: Any, parse: Any, store: Any, feed: Feed, limit: Limit | None = None) -> IntakeWorker:
        worker = AwakeIntake(source, parse, store, feed, self.simulation.scenario.batch_max, limit)
        worker.intake = self.simulation.kit.intake(source.name, source.dialect, parse, store, feed, tracked=True)
        return worker

    def ticker(self, store: Any, feed: Feed) -> Ticker:
        return AwakeTicker(self._due, store, feed, self.clock, self.timing)

    def _due(self, now: datetime, limit: int) -> Sequence[Command]:
        found = self.simulation.database.tables[deadlines.projection.name].found(None, None, "due_at", limit)
        due = [row for row in found if row["due_at"] <= now]
        return tuple(self.simulation.kit.due(due, now)) if due else ()

    def check(self) -> None:
        """A stopped reader is a bug: there is no bad input among our own facts."""
        assert self.loop
        for name, error in self.loop.stopped.items():
            self.simulation.stopped(name, error)


class LogNode(EngineNode):
    """All roles, following the log."""

    def work(self) -> None:
        while True:
            try:
                loop = self._assembled()
                loop.seek()
            except OUTAGES:
                self.sleep(RETRY_SECONDS)
            else:
                break
        self.loop = loop
        loop.run(Going(self))

    def _assembled(self) -> AwakeLoop:
        ground, kit = self.simulation, self.simulation.kit
        database, batch_max = ground.database, ground.scenario.batch_max
        store, lookups = self.store(), MemoryLookups(self, ground.database)
        log = SortedLog(store.recorder, ground.codec)
        if ground.chance.random() < BEHIND_SHARE:
            log.start_at(store.recorder.end())

        def awake(reader: FeedReader) -> Awake:
            return Awake(reader, log)

        folding = [
            ProjectionWorker(kit.read_model(p, kit.rows(self, database, p.table)), log, batch_max) for p in PROJECTIONS
        ]
        projections = [awake(worker) for worker in folding]
        positions = {projection.name: projection for projection in projections}

        def fact_position(names: frozenset[str]) -> int:
            return min(positions[name].seen() for name in names)

        reacting = [kit.consumer(consumer, store, log, lookups, fact_position, batch_max) for consumer in CONSUMERS]
        consumers = [awake(worker) for worker in reacting]
        chains = list(self._chain(reacting, folding, store, log))
        for chain in chains:
            chain.awake = [*consumers, *projections]
        return AwakeLoop(
            [
                *chains,
                *consumers,
                *(awake(GatewayWorker(gateway, store, log, batch_max)) for gateway in self.gateways()),
                *(self.callbacks(name, store, log) for name in CALLBACK_ROLES),
                *chains,
                *projections,
                self.ticker(store, log),
            ],
            Idle(self),
            ground.scenario.poll_seconds,
            log.refresh,
            self.timing,
            save=store.recorder.move_at_rest,
        )

    def _chain(
        self, consumers: Sequence[ConsumerWorker], projections: Sequence[ProjectionWorker], store: Any, log: SortedLog
    ) -> Iterator[AwakeChain]:
        """Also none, as where there is too much at once; or one that is cut soon."""
        new_max = self.simulation.chance.choice(CHAINS_NEW_MAX)
        if new_max:
            following_max = self.simulation.chance.choice(CHAINS_FOLLOWING_MAX)
            yield self.simulation.kit.chain(consumers, projections, store, log, new_max, following_max)


class Idle:
    """What a node that follows the log waits for."""

    def __init__(self, node: LogNode) -> None:
        self.node = node

    def wait(self, seconds: float) -> bool:
        self.node.check()
        self.node.wait(seconds)
        simulation, loop = self.node.simulation, self.node.loop
        assert loop
        loop.rests = simulation.settling or simulation.chance.random() < RESTS_SHARE
        return True


class WorkerNode(EngineNode):
    """Some roles, as consumer groups; and the relay, or one that stands by."""

    def __init__(self, simulation: Ground, number: int, skew_seconds: float, roles: Sequence[str]) -> None:
        self.roles = roles
        super().__init__(simulation, number, skew_seconds)

    def work(self) -> None:
        self.loop = loop = self._assembled()
        while True:
            try:
                loop.seek()
            except OUTAGES:
                self.sleep(RETRY_SECONDS)
            else:
                break
        loop.run(Going(self))

    def _assembled(self) -> AwakeLoop:
        ground = self.simulation
        self.own_store = self.store()
        self.unread = NullFeed()
        self.lookups = MemoryLookups(self, ground.database)
        self.watermark = MemoryCoverage(self, ground.database, TOPICS_OF)
        workers = [self._relay(), *(self._worker_for(role) for role in self.roles)]
        self.groups = [p for p in workers if isinstance(p, AwakeGroup)]
        save = self.own_store.recorder.move_at_rest
        return AwakeLoop(workers, Hungry(self), ground.scenario.poll_seconds, timing=self.timing, save=save)

    def check(self) -> None:
        super().check()
        for group in self.groups:
            for topic_partition, error in group.stopped.items():
                self.simulation.stopped(f"{group.name}@{topic_partition}", error)

    def _relay(self) -> Relay:
        ground, kit = self.simulation, self.simulation.kit
        producer = MemoryPublisher(self, ground.broker)
        publisher = kit.publisher(
            producer, ground.cloudevents, list(EVENT_TOPICS.values()), kit.relay_store(ground.database)
        )
        relay = AwakeRelay(kit.leadership(self, ground.database), producer, [publisher])
        relay.database = ground.database
        return relay

    def _worker_for(self, role: str) -> Worker:
        broker, batch_max = self.simulation.broker, self.simulation.scenario.batch_max
        if role == TICKER_ROLE:
            return self.ticker(self.own_store, self.unread)
        if role in CALLBACK_ROLES:
            return self.callbacks(role, self.own_store, self.unread)
        if role == CHANNEL_ORDERS_ROLE:
            group = MemoryGroup(self, broker, role, [CHANNEL_ORDERS])
            return AwakeGroup(group, self._input_task, batch_max, self.simulation.database)
        reader_of = self._reader_of(role)
        group = MemoryGroup(self, broker, role, TOPICS_OF[role])
        task_for = lambda topic_partition: self._event_task(topic_partition, reader_of)  # noqa: E731 - used once, and short
        return AwakeGroup(group, task_for, batch_max, self.simulation.database)

    def _reader_of(self, role: str) -> Callable[[PartitionFeed], FeedReader]:
        kit, batch_max = self.simulation.kit, self.simulation.scenario.batch_max
        for consumer in CONSUMERS:
            if consumer.name == role:
                return lambda feed: kit.consumer(
                    consumer, self.own_store, feed, self.lookups, self.watermark.position, batch_max
                )
        for projection in PROJECTIONS:
            if projection.name == role:
                rows = kit.rows(self, self.simulation.database, projection.table)
                return lambda feed: ProjectionWorker(kit.read_model(projection, rows, alone=False), feed, batch_max)
        (gateway,) = (gateway for gateway in self.gateways() if gateway.name == role)
        return lambda feed: GatewayWorker(gateway, self.own_store, feed, batch_max)

    def _event_task(
        self, topic_partition: TopicPartition, reader_of: Callable[[PartitionFeed], FeedReader]
    ) -> PartitionTask:
        feed = self.simulation.kit.feed(topic_partition, self.simulation.cloudevents, self._backfill)
        return EventTask(feed, reader_of(feed))

    def _input_task(self, topic_partition: TopicPartition) -> PartitionTask:
        source = PartitionSource(topic_partition, CHANNEL_ORDERS_ROLE, "canonical")
        worker = self.follow(source, self.simulation.kit.orders, self.own_store, self.unread, Limit())
        return InputTask(source, worker, lambda _topic: None)  # nobody here makes a topic anew

    def _backfill(self, topic_partition: TopicPartition, after: int, to: int) -> Any:
        partitions = dict.fromkeys(EVENT_TOPICS.values(), self.simulation.scenario.partitions)
        return missing(self.own_store.recorder, self.simulation.codec, partitions, topic_partition, after, to)


class Hungry:
    """What a worker waits for: messages, or that others come as far as what it has read asks for."""

    def __init__(self, node: WorkerNode) -> None:
        self.node = node
        self.seconds = HUNGRY_SECONDS_MIN

    def wait(self, seconds: float) -> bool:
        self.node.check()
        if any(not group.still for group in self.node.groups):
            self.seconds = min(2 * self.seconds, HUNGRY_SECONDS_MAX)
            seconds = min(seconds, self.seconds)
        else:
            self.seconds = HUNGRY_SECONDS_MIN
        self.node.wait(seconds)
        return True


def engine_nodes(ground: Ground) -> list[EngineNode]:
    scenario = ground.scenario
    if scenario.topology != "workers":
        return [LogNode(ground, number, skew) for number, skew in enumerate(scenario.skews)]
    tasks: list[list[str]] = [[] for _ in range(scenario.nodes)]
    turn = cycle(range(scenario.nodes))
    for group in SHARED_ROLES:
        for _ in range(min(2, scenario.nodes)):
            tasks[next(turn)] += [role for name in group for role in GROUPS_OF_ROLES.get(name, (name,))]
    return [
        WorkerNode(ground, number, scenario.skews[number], list(dict.fromkeys(roles)))
        for number, roles in enumerate(tasks)
    ]
