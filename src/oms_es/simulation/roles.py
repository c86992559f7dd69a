"""Which nodes there are, and what each of them runs: the engine as app.py and workers.py assemble it, on simulated
ground, and clients that ask until they are told.

Whatever app.py lists is run here; tests/system/simulation fails on a role that is not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import cycle
from typing import Any, Protocol

from oms_es.app import CONSUMERS, PARSERS, PROJECTIONS
from oms_es.app.workers import CALLBACK_ROLES, CHANNEL_ORDERS_ROLE, GROUPS_OF_ROLES, INTERESTS, TICKER_ROLE, TOPICS_OF
from oms_es.gateways import warehouse
from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.payment import port as payment_provider
from oms_es.gateways.simulated.simulators import (
    CARRIER_CALLBACKS,
    PAYMENT_CALLBACKS,
    Chaos,
    Hazards,
    SimulatedCarrier,
    SimulatedPaymentProvider,
)
from oms_es.kafka.client import Outgoing, Place, partition_of
from oms_es.kafka.cloudevents import Wire
from oms_es.kafka.groups import EventShare, GroupWorker, PartitionFeed, Share, missing
from oms_es.kafka.inputs import InputShare, PartitionSource
from oms_es.kafka.relay import EventOutlet, Relay
from oms_es.kernel import Command, Decider, Event, Gateway, GatewayUnavailable, Recorded, Refused
from oms_es.processing.intake import Arrival, IntakeWorker, Limit
from oms_es.processing.loop import TICK_SECONDS, FeedReader, GatewayWorker, Loop, Participant, ProjectionWorker, Ticker
from oms_es.projections.operations import deadlines
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.topics import CHANNEL_ORDERS, EVENT_TOPICS
from oms_es.simulation.broker import Broker, MemoryGroup, MemoryPublisher
from oms_es.simulation.components import Kit
from oms_es.simulation.database import Database, MemoryCoverage, MemoryFacts
from oms_es.simulation.external_systems import MemoryCallbacks, Outside
from oms_es.simulation.node import NEVER, Node, Simulation
from oms_es.simulation.scenario import Action, Scenario, Tells, World
from oms_es.store.codec import Cause, Codec
from oms_es.store.log import Feed, Log, Unread
from oms_es.store.recorder import Recording
from oms_es.store.store import OUTAGES

NO_EVENTS: Mapping[str, type[Event]] = {}
"""A store is given the codec of its seed instead."""
INTERESTED: Mapping[type[Event], Sequence[str]] = {
    event: [role for role, interests in INTERESTS.items() if event in interests]
    for event in dict.fromkeys(event for interests in INTERESTS.values() for event in interests)
}
"""Who is interested in an event."""
RETRY_SECONDS = 1.0
RESTS_SHARE = 0.1
"""How often a reader that has nothing to do saves its position before the faults are over."""
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
    wire: Wire

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
        store, facts = self.store(), MemoryFacts(self, ground.database)
        log = SortedLog(store.recorder, ground.codec)
        if ground.chance.random() < BEHIND_SHARE:
            log.start_at(store.recorder.end())

        def awake(reader: FeedReader) -> Awake:
            return Awake(reader, log)

        projections = [
            awake(ProjectionWorker(kit.read_model(p, kit.rows(self, database, p.table)), log, batch_max))
            for p in PROJECTIONS
        ]
        positions = {projection.name: projection for projection in projections}

        def fact_position(names: frozenset[str]) -> int:
            return min(positions[name].seen() for name in names)

        return AwakeLoop(
            [
                *(awake(kit.consumer(consumer, store, log, facts, fact_position, batch_max)) for consumer in CONSUMERS),
                *(awake(GatewayWorker(gateway, store, log, batch_max)) for gateway in self.gateways()),
                *(self.callbacks(name, store, log) for name in CALLBACK_ROLES),
                *projections,
                self.ticker(store, log),
            ],
            Idle(self),
            ground.scenario.poll_seconds,
            log.look,
            self.timing,
        )


class SortedLog(Log):
    """Sorts what was appended by who is interested in it."""

    def __init__(self, recorder: Recording, codec: Codec) -> None:
        super().__init__(recorder, codec)
        self.begins = 0
        self.readers: dict[str, Awake] = {}

    def start_at(self, position: int) -> None:
        super().start_at(position)
        self.begins = position

    def _extend(self, recorded: Sequence[Recorded]) -> None:
        super()._extend(recorded)
        for one in recorded:
            for name in INTERESTED.get(type(one.event), ()):
                awake = self.readers[name]
                awake.wanted, awake.stirred = one.position, True
                awake.positions.append(one.position)
                awake.events.append(one)


class Awake:
    """Spares a reader of the log what is of no interest to it, the steps in which there is nothing else, and most of
    the rests, in which it would only save what a restart need not repeat: it repeats more instead.

    It stands between the log and the reader. Once the reader has seen what is `wanted`, nothing of interest lies
    between there and the end of the log.
    """

    suffix = ""

    def __init__(self, reader: FeedReader, log: SortedLog) -> None:
        self.reader = reader
        self.log = log
        self.name = reader.name
        self.batch_max = reader.batch_max
        self.ready_max = log.ready_max
        self.offer = log.offer
        self.wanted = 0
        self.stirred = False
        self.events: list[Recorded] = []  # of interest, since the log begins
        self.positions: list[int] = []
        reader.feed = self
        log.readers[self.name] = self

    def read(self, after: int, limit: int) -> Sequence[Recorded]:
        if after < self.log.begins:
            return self.log.read(after, limit)
        seen = bisect_right(self.positions, after)
        return self.events[seen : seen + limit]

    def step(self) -> int:
        taken = self.reader.step()
        self.stirred = self.reader.seen < self.wanted
        return taken

    def seen(self) -> int:
        return self.reader.seen if self.reader.seen < self.wanted else max(self.reader.seen, self.log.end)

    def rest(self) -> None:
        self.reader.seen = self.seen()
        self.reader.rest()

    def seek(self) -> None:
        """What lies before the log begins is not known to be of no interest."""
        self.reader.seek()
        self.wanted = max(self.wanted, self.log.begins)
        self.stirred = self.reader.seen < self.wanted


class AwakeIntake(IntakeWorker):
    """Spares the step in which nothing has come."""

    source: MemoryCallbacks

    @property
    def stirred(self) -> bool:
        return self.source.has_more(self.intake.seen)


class AwakeTicker(Ticker):
    """Spares the look at the deadlines too soon after the last one."""

    @property
    def stirred(self) -> bool:
        return self.timing.monotonic() - self._looked >= TICK_SECONDS


class AwakeRelay(Relay):
    """Spares the query that would find nothing to publish."""

    database: Database
    outlets: Sequence[EventOutlet]

    @property
    def stirred(self) -> bool:
        session = self.leadership.session
        if session is None or not self._begun or session.ended():
            return True
        return any(outlet.position < self.database.end for outlet in self.outlets)


class AwakeLoop(Loop):
    """Nobody takes a step who has nothing to do. `rests`: whether what was passed is saved now."""

    participants: Sequence[Any]
    rests = False

    def turn(self) -> int:
        self.turned_at = self.timing.monotonic()
        self.look()
        taken = 0
        for participant in self.participants:
            if participant.stirred:
                taken += self._step(participant)
        return taken

    def _rest(self) -> None:
        if self.rests:
            super()._rest()


class AwakeGroup(GroupWorker):
    """Spares a role the steps in which neither its group nor what it has read gives it anything to do."""

    group: MemoryGroup
    database: Database
    still = False
    moves = NEVER  # of positions, when it last took a step: what it waits for comes with one

    def __init__(
        self, group: MemoryGroup, share_of: Callable[[Place], Share], batch_max: int, database: Database
    ) -> None:
        super().__init__(group, share_of, batch_max)
        self.database = database

    @property
    def stirred(self) -> bool:
        return self.group.stirred or not (self.still or self.moves == self.database.moves)

    def step(self) -> int:
        moves = self.database.moves
        self.still, self.moves = False, NEVER
        if self.group.stirred or self._changes or self._inbox:
            taken = super().step()
        else:
            taken = sum([self._step(place, share) for place, share in self.shares.items()])
        if not taken:
            self.moves = moves
            self.still = not any(share.waiting() for share in self.shares.values())
        return taken

    def _step(self, place: Place, share: Share) -> int:
        return 0 if _is_done(share) else super()._step(place, share)

    def _throttle(self) -> None:
        """So much that it must wait comes in no scenario."""
        if self.stopped:
            super()._throttle()

    def seek(self) -> None:
        self.still = False
        self.moves = NEVER
        super().seek()


def _is_done(share: Share) -> bool:
    """Whether a step would find nothing to read, and nothing to save."""
    if isinstance(share, EventShare):
        feed, reader = share.feed, share.reader
        return not feed.waiting() and reader.seen <= reader.saved
    return not share.waiting()


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
        self.unread = Unread()
        self.facts = MemoryFacts(self, ground.database)
        self.coverage = MemoryCoverage(self, ground.database, TOPICS_OF)
        participants = [self._relay(), *(self._participant(role) for role in self.roles)]
        self.groups = [p for p in participants if isinstance(p, AwakeGroup)]
        return AwakeLoop(participants, Hungry(self), ground.scenario.poll_seconds, timing=self.timing)

    def check(self) -> None:
        super().check()
        for group in self.groups:
            for place, error in group.stopped.items():
                self.simulation.stopped(f"{group.name}@{place}", error)

    def _relay(self) -> Relay:
        ground, kit = self.simulation, self.simulation.kit
        publisher = MemoryPublisher(self, ground.broker)
        outlet = kit.outlet(publisher, ground.wire, list(EVENT_TOPICS.values()), kit.books(ground.database))
        relay = AwakeRelay(kit.leadership(self, ground.database), publisher, [outlet])
        relay.database = ground.database
        return relay

    def _participant(self, role: str) -> Participant:
        broker, batch_max = self.simulation.broker, self.simulation.scenario.batch_max
        if role == TICKER_ROLE:
            return self.ticker(self.own_store, self.unread)
        if role in CALLBACK_ROLES:
            return self.callbacks(role, self.own_store, self.unread)
        if role == CHANNEL_ORDERS_ROLE:
            group = MemoryGroup(self, broker, role, [CHANNEL_ORDERS])
            return AwakeGroup(group, self._input_share, batch_max, self.simulation.database)
        reader_of = self._reader_of(role)
        group = MemoryGroup(self, broker, role, TOPICS_OF[role])
        share_of = lambda place: self._event_share(place, reader_of)  # noqa: E731 - used once, and short
        return AwakeGroup(group, share_of, batch_max, self.simulation.database)

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
        worker = self.follow(source, self.simulation.kit.orders, self.own_store, self.unread, Limit())
        return InputShare(source, worker, lambda _topic: None)  # nobody here makes a topic anew

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
        recorder = kit.recorder(self, ground.database)
        store = kit.store(ground.deciders, NO_EVENTS, recorder, self.clock, timing=self.timing)
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
        if isinstance(ask, Tells):
            self.simulation.outside.tell(ask.source, ask.payload)
            return
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
