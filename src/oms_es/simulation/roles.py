"""Which nodes there are, and what each of them runs: the engine as app.py and workers.py assemble it, on simulated
ground, and clients that ask until they are told.

Whatever app.py lists is run here; tests/simulation fails on a role that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import cycle
from typing import Any, Protocol

from oms_es.app import CONSUMERS, PARSERS, PROJECTIONS
from oms_es.gateways import carrier, payment_provider, warehouse
from oms_es.gateways.simulators import (
    CARRIER_CALLBACKS,
    PAYMENT_CALLBACKS,
    Chaos,
    Hazards,
    SimulatedCarrier,
    SimulatedPaymentProvider,
)
from oms_es.kernel import Command, Gateway, GatewayUnavailable, Refused
from oms_es.projections import deadlines
from oms_es.runtime.codec import Cause, Codec
from oms_es.runtime.groups import EventShare, GroupWorker, InputShare, PartitionFeed, PartitionSource, Share, missing
from oms_es.runtime.intake import Arrival, IntakeWorker, Limit
from oms_es.runtime.kafka import Outgoing, Place, partition_of
from oms_es.runtime.log import Feed, Log, Unread
from oms_es.runtime.loop import FeedReader, GatewayWorker, Loop, Participant, ProjectionWorker, Ticker
from oms_es.runtime.relay import Relay
from oms_es.runtime.store import OUTAGES
from oms_es.runtime.wire import Wire
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.topics import CHANNEL_ORDERS, EVENT_TOPICS
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.simulation.broker import Broker, MemoryGroup, MemoryPublisher
from oms_es.simulation.database import Database, MemoryCoverage, MemoryFacts
from oms_es.simulation.kit import Kit
from oms_es.simulation.node import Node, Simulation
from oms_es.simulation.outside import MemoryCallbacks, Outside
from oms_es.simulation.scenario import Action, Scenario, World
from oms_es.workers import CALLBACK_ROLES, CHANNEL_ORDERS_ROLE, GROUPS_OF_ROLES, TICKER_ROLE, TOPICS_OF

RETRY_SECONDS = 1.0
RESTS_SHARE = 0.1
"""How often a reader that has nothing to do saves its position before the faults are over."""
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
    database: Database
    broker: Broker
    outside: Outside
    codec: Codec
    wire: Wire

    def accepted(self, action: Action) -> None:
        """A client was told that what it asked for is done."""

    def stopped(self, what: str, error: BaseException) -> None:
        """Something has met a fact that it cannot take."""


def hazards_of(world: World) -> Hazards:
    return Hazards(
        lost=world.lost,
        exception=world.exception,
        returned=world.returned,
        refused=world.refused,
        stubborn=world.stubborn,
        pickup_seconds=world.pickup_seconds,
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
        self.loop: Loop | None = None
        self.rests = False

    def store(self) -> Any:
        ground, kit = self.simulation, self.simulation.kit
        recorder = kit.recorder(self, ground.database)
        store = kit.store(kit.deciders, VOCABULARY, recorder, self.clock, timing=self.timing)
        store.codec = ground.codec
        return store

    def gateways(self) -> Sequence[Gateway]:
        world, ledger = self.simulation.scenario.world, self.simulation.kit.ledger(self, self.simulation.outside)
        seed = self.simulation.scenario.seed
        chaos = Chaos(seed, world.decline, world.timeout, world.duplicate, world.late, world.silent)
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
        worker = IntakeWorker(source, parse, store, feed, self.simulation.scenario.batch_max, limit)
        worker.intake = self.simulation.kit.intake(source.name, source.dialect, parse, store, feed, tracked=True)
        return worker

    def ticker(self, store: Any, feed: Feed) -> Ticker:
        return Ticker(self._due, store, feed, self.clock, self.timing)

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

    def _assembled(self) -> Loop:
        ground, kit = self.simulation, self.simulation.kit
        database, batch_max = ground.database, ground.scenario.batch_max
        store, facts = self.store(), MemoryFacts(self, ground.database)
        log = Log(store.recorder, ground.codec)
        log.start_at(store.recorder.end())
        projections = [
            ProjectionWorker(kit.read_model(p, kit.rows(self, database, p.table)), log, batch_max) for p in PROJECTIONS
        ]
        positions = {worker.name: worker for worker in projections}

        def fact_position(names: frozenset[str]) -> int:
            return min(positions[name].seen for name in names)

        return Loop(
            [
                *(
                    Awake(self, kit.consumer(consumer, store, log, facts, fact_position, batch_max), log)
                    for consumer in CONSUMERS
                ),
                *(Awake(self, GatewayWorker(gateway, store, log, batch_max), log) for gateway in self.gateways()),
                *(self.callbacks(name, store, log) for name in CALLBACK_ROLES),
                *(Awake(self, projection, log) for projection in projections),
                self.ticker(store, log),
            ],
            Idle(self),
            ground.scenario.poll_seconds,
            log.look,
            self.timing,
        )


class Awake:
    """Spares a reader of the log the steps in which there is nothing for it, which would do nothing, and most of the
    rests, in which it would only save what a restart need not repeat: it repeats more instead."""

    def __init__(self, node: EngineNode, reader: FeedReader, log: Log) -> None:
        self.node = node
        self.reader = reader
        self.log = log
        self.name = reader.name
        self.batch_max = reader.batch_max
        self.seek = reader.seek

    def step(self) -> int:
        return self.reader.step() if self.reader.seen < self.log.end else 0

    def rest(self) -> None:
        if self.node.rests:
            self.reader.rest()


class AwakeGroup(GroupWorker):
    """Spares a role the steps in which neither its group nor what it has read gives it anything to do."""

    group: MemoryGroup
    still = False

    def step(self) -> int:
        if self.still and not self.group.stirred:
            return 0
        self.still = False
        taken = super().step()
        self.still = not taken and not any(share.waiting() for share in self.shares.values())
        return taken

    def seek(self) -> None:
        self.still = False
        super().seek()


class Idle:
    """What a node that follows the log waits for."""

    def __init__(self, node: LogNode) -> None:
        self.node = node

    def wait(self, seconds: float) -> bool:
        self.node.check()
        self.node.wait(seconds)
        simulation = self.node.simulation
        self.node.rests = simulation.settling or simulation.chance.random() < RESTS_SHARE
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

    def _assembled(self) -> Loop:
        ground = self.simulation
        self.own_store = self.store()
        self.unread = Unread()
        self.facts = MemoryFacts(self, ground.database)
        self.coverage = MemoryCoverage(self, ground.database, TOPICS_OF)
        participants = [self._relay(), *(self._participant(role) for role in self.roles)]
        self.groups = [p for p in participants if isinstance(p, AwakeGroup)]
        return Loop(participants, Hungry(self), ground.scenario.poll_seconds, timing=self.timing)

    def check(self) -> None:
        super().check()
        for group in self.groups:
            for place, error in group.stopped.items():
                self.simulation.stopped(f"{group.name}@{place}", error)

    def _relay(self) -> Relay:
        ground, kit = self.simulation, self.simulation.kit
        publisher = MemoryPublisher(self, ground.broker)
        outlet = kit.outlet(publisher, ground.wire, list(EVENT_TOPICS.values()), kit.books(ground.database))
        return Relay(kit.leadership(self, ground.database), publisher, [outlet])

    def _participant(self, role: str) -> Participant:
        broker, batch_max = self.simulation.broker, self.simulation.scenario.batch_max
        if role == TICKER_ROLE:
            return self.ticker(self.own_store, self.unread)
        if role in CALLBACK_ROLES:
            return self.callbacks(role, self.own_store, self.unread)
        if role == CHANNEL_ORDERS_ROLE:
            return AwakeGroup(MemoryGroup(self, broker, role, [CHANNEL_ORDERS]), self._input_share, batch_max)
        reader_of = self._reader_of(role)
        group = MemoryGroup(self, broker, role, TOPICS_OF[role])
        return AwakeGroup(group, lambda place: self._event_share(place, reader_of), batch_max)

    def _reader_of(self, role: str) -> Callable[[PartitionFeed], FeedReader]:
        kit, batch_max = self.simulation.kit, self.simulation.scenario.batch_max
        for consumer in CONSUMERS:
            if consumer.name == role:
                return lambda feed: kit.consumer(
                    consumer, self.own_store, feed, self.facts, self.coverage.position, batch_max
                )
        for projection in PROJECTIONS:
            if projection.name == role:
                rows = kit.rows(self, self.simulation.database, projection.table)
                return lambda feed: ProjectionWorker(kit.read_model(projection, rows, alone=False), feed, batch_max)
        (gateway,) = (gateway for gateway in self.gateways() if gateway.name == role)
        return lambda feed: GatewayWorker(gateway, self.own_store, feed, batch_max)

    def _event_share(self, place: Place, reader_of: Callable[[PartitionFeed], FeedReader]) -> Share:
        feed = self.simulation.kit.feed(place, self.simulation.wire, self._refill)
        return EventShare(feed, reader_of(feed))

    def _input_share(self, place: Place) -> Share:
        source = PartitionSource(place, CHANNEL_ORDERS_ROLE, "canonical")
        return InputShare(source, self.follow(source, self.simulation.kit.orders, self.own_store, self.unread, Limit()))

    def _refill(self, place: Place, after: int, to: int) -> Any:
        partitions = dict.fromkeys(EVENT_TOPICS.values(), self.simulation.scenario.partitions)
        return missing(self.own_store.recorder, self.simulation.codec, partitions, place, after, to)


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


class Client(Node):
    """A channel, or a person: asks for one thing after the other, and for each until it is told that it is done."""

    simulation: Ground

    def __init__(self, simulation: Ground, number: int, actions: Sequence[Action]) -> None:
        self.actions = actions
        self.next = 0
        super().__init__(simulation, number, f"client {number}", 0.0)

    @property
    def done(self) -> bool:
        return self.next == len(self.actions)

    def work(self) -> None:
        ground, kit = self.simulation, self.simulation.kit
        store = kit.store(kit.deciders, VOCABULARY, kit.recorder(self, ground.database), self.clock, timing=self.timing)
        store.codec = ground.codec
        intake = kit.intake(self.name, "canonical", kit.orders, store, Unread(), tracked=False)
        publisher = MemoryPublisher(self, ground.broker) if ground.scenario.topology == "workers" else None
        while not self.done:
            action = self.actions[self.next]
            if action.at > ground.now:
                self.sleep(action.at - ground.now)
            try:
                self._ask(action, store, intake, publisher)
            except UNANSWERED:
                self.sleep(RETRY_SECONDS)
            else:
                ground.accepted(action)
                self.next += 1

    def _ask(self, action: Action, store: Any, intake: Any, publisher: MemoryPublisher | None) -> None:
        ask = action.ask
        if isinstance(ask, Command) and not isinstance(ask, PlaceOrder):
            try:
                store.execute([(Cause(self.name), [ask])])
            except Refused:
                return  # an answer
            except UNANSWERED:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not an answer
                self.simulation.stopped(self.name, error)
            return
        payload = ask if isinstance(ask, bytes) else ask.model_dump_json(exclude_defaults=True).encode()
        if publisher is None:
            intake.take([Arrival(self.next + 1, payload)])
            return
        key = ask.external_id.encode() if isinstance(ask, PlaceOrder) else b"?"
        place = Place(CHANNEL_ORDERS, partition_of(key, self.simulation.scenario.partitions))
        publisher.publish([Outgoing(place, key, payload, [])])


def engine_nodes(ground: Ground) -> list[EngineNode]:
    scenario = ground.scenario
    if scenario.topology != "workers":
        return [LogNode(ground, number, skew) for number, skew in enumerate(scenario.skews)]
    shares: list[list[str]] = [[] for _ in range(scenario.nodes)]
    turn = cycle(range(scenario.nodes))
    for group in SHARED_ROLES:
        for _ in range(min(2, scenario.nodes)):
            shares[next(turn)] += [role for name in group for role in GROUPS_OF_ROLES.get(name, (name,))]
    return [
        WorkerNode(ground, number, scenario.skews[number], list(dict.fromkeys(roles)))
        for number, roles in enumerate(shares)
    ]


def clients_of(ground: Ground) -> list[Client]:
    scenario = ground.scenario
    return [
        Client(ground, scenario.nodes + number, [a for a in scenario.actions if a.client == number])
        for number in range(scenario.clients)
    ]
