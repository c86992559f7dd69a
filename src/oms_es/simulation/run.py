"""One seed, from its first event to its last: what happened, and whether every invariant held.

Invariant: the same scenario gives the same trace, whatever the interpreter's hash seed, the machine or the day.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, NamedTuple

from eventsourcing.persistence import Notification

from oms_es.app import DECIDERS, PROJECTIONS
from oms_es.app.workers import CALLBACK_ROLES, CHANNEL_ORDERS_ROLE, INTERESTS, topics
from oms_es.gateways.simulated.effects import Effect
from oms_es.kafka.cloudevents import CloudEventsCodec
from oms_es.kafka.groups.watermark import Progress
from oms_es.kernel import Command, Projection, Refused, Row
from oms_es.memory.kept_codec import KeptCodec
from oms_es.processing.committer import Answer, Busy, Done, Work
from oms_es.processing.read_models.folding import folded
from oms_es.projections.order import order_status
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.topics import CHANNEL_ORDERS
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.simulation.components import WHOLE, Components
from oms_es.simulation.invariants import Violation, Watch, in_the_end, unsent
from oms_es.simulation.logging_off import unmeasured
from oms_es.simulation.nodes.clients import clients_of
from oms_es.simulation.nodes.doors import doors_of
from oms_es.simulation.nodes.engine_node import UNANSWERED, EngineNode, hazards_of
from oms_es.simulation.nodes.node import Node
from oms_es.simulation.nodes.roles import engine_nodes
from oms_es.simulation.nodes.worker_node import WorkerNode
from oms_es.simulation.requests.workload import EPOCH
from oms_es.simulation.scenario import ON_CALL, Action, Fault, Scenario
from oms_es.simulation.scheduler import Scheduler
from oms_es.simulation.world.broker import SESSION_SECONDS, Broker
from oms_es.simulation.world.decision_cache import remembering
from oms_es.simulation.world.external_systems import Outside
from oms_es.simulation.world.kept_cloudevents import KeptCloudEvents
from oms_es.simulation.world.receivers import Receivers
from oms_es.simulation.world.sealed_log import SealedLog
from oms_es.store.encoding.codec import Codec
from oms_es.store.sealing.seals import Head

SETTLING_SECONDS_MAX = 3_600.0
"""Simulated time after the last fault within which everything must be finished."""
CALLS_MAX, CALLS_PER_ACTION_MAX = 50_000, 500
"""Calls that a node may make to the database, the broker and the outside world: ten times what the busiest node needs.
More means an endless loop."""
REFRESH_SECONDS = 1.0
WRITTEN = Codec(VOCABULARY)
KEPT = KeptCodec(VOCABULARY)
REWOUND_MESSAGES = 20
LOCK_SECONDS = 0.05
"""How often a rebuild that has to wait tries again."""


class Outcome(NamedTuple):
    """The outcome of a seed. `violation`: the invariant that was violated, and how; None if all held."""

    scenario: Scenario
    trace: str
    steps: int
    calls: int
    seconds: float
    events: int
    orders: int
    faults: int
    violation: Violation | None
    last: Sequence[tuple[Any, ...]]


def play(scenario: Scenario, components: Components = WHOLE) -> Outcome:
    return Play(scenario, components).outcome()


class Play:
    def __init__(self, scenario: Scenario, components: Components) -> None:
        self.scenario = scenario
        self.components = components
        self.chance = Random(f"{scenario.seed}/play")
        self.scheduler = Scheduler()
        self.switching = scenario.switching
        self.latency_seconds = scenario.latency_seconds
        self.notice_seconds = scenario.notice_seconds
        self.calls_max = CALLS_MAX + CALLS_PER_ACTION_MAX * len(scenario.actions)
        self.codec = WRITTEN if scenario.written else KEPT
        self.cloudevents = CloudEventsCodec(VOCABULARY) if scenario.written else KeptCloudEvents(VOCABULARY)
        self.deciders = remembering(components.deciders)
        evolves = {decider.category: decider.evolve for decider in self.deciders}
        whole = [replace(decider, evolve=evolves[decider.category]) for decider in DECIDERS]
        self.watch = Watch(self.codec, whole, lambda: self.scheduler.now, self._ends_well)
        self.database = components.database(self.codec, [p.table for p in PROJECTIONS], self._recorded)
        self.sealed = SealedLog(self._sealed)
        self.broker = Broker(topics(scenario.partitions), self.watch.published)
        self.outside = Outside(lambda: self.scheduler.now, self.watch.happened)
        self.receivers = Receivers(self._received)
        self.strikes: Counter[str] = Counter()
        self.settling = False
        self.looks_at = 0.0
        self.nodes: list[EngineNode] = engine_nodes(self)
        self.clients = clients_of(self)
        self.servers, self.senders = doors_of(self)
        self.everybody: list[Node] = [*self.nodes, *self.clients, *self.servers, *self.senders]

    @property
    def now(self) -> float:
        return self.scheduler.now

    def outcome(self) -> Outcome:
        violation = None
        try:
            with unmeasured():
                self._play()
        except Violation as broken:
            violation = broken
        finally:
            for node in self.everybody:
                node.stop()
        orders = sum(stream.startswith("order-") for stream in self.watch.history.states)
        calls = sum(node.calls for node in self.everybody)
        self.watch.note("end", calls, str(violation))
        return Outcome(
            self.scenario,
            self.watch.trace,
            self.watch.steps,
            calls,
            self.now,
            len(self.watch.recorded),
            orders,
            sum(self.strikes.values()),
            violation,
            tuple(self.watch.last),
        )

    def _play(self) -> None:
        """Play the scenario to its end. Raise Violation."""
        for fault in self.scenario.faults:
            self.scheduler.after(fault.at, partial(self._begin, fault))
        self.scheduler.run(self.scenario.seconds, lambda: False)
        self._calm()
        if not self.scheduler.run(self.scenario.seconds + SETTLING_SECONDS_MAX, self._is_settled):
            raise Violation("everything comes to rest", self._restless())
        now = EPOCH + timedelta(seconds=self.now)
        scenario = self.scenario
        if not self.sealed.proves(self.database.log):
            raise Violation("the sealed log is the log", f"not as {self.sealed.head.size} events were sealed")
        for missing in unsent(self.watch, self.receivers.got):
            raise Violation("every webhook arrives", missing)
        for broken in in_the_end(self.watch, self.database, scenario.actions, now, life=scenario.profile.life):
            raise broken

    # reports of the nodes

    def struck(self, node: Node, fault: Fault) -> None:
        self.strikes[fault.kind] += 1
        self.watch.note("fault", fault.kind, node.name)
        if fault.kind == "frozen" and fault.seconds > SESSION_SECONDS:
            self.scheduler.after(SESSION_SECONDS, lambda: self.broker.expel(node))

    def committed(self, node: Node) -> None:
        for other in self.nodes:
            if other is not node:
                other.wake()

    def restless(self, node: Node) -> None:
        raise Violation("everything comes to rest", f"{node.name} has made {node.calls} calls by {self.now:.0f} s")

    def gone(self, node: Node) -> None:
        """Let others notice a crash: the database notices the end of a session at once or after a while; a group always
        after a while."""
        if node.over:
            return
        self.watch.note("crashed", node.name)
        sessions, node.sessions = node.sessions, []
        for session in sessions:
            self.scheduler.after(self.chance.choice((0.0, SESSION_SECONDS)), session.end)
        left = [(members, [g for g in members.joined if g.node is node]) for members in self.broker.groups.values()]

        def miss() -> None:
            for members, groups in left:
                members.leave(groups)

        self.scheduler.after(SESSION_SECONDS, miss)

    def answered(self, work: Work, answer: Answer) -> None:
        if isinstance(answer, Done):
            self.watch.answered(work, answer)
        elif not isinstance(answer, (Refused, Busy, *UNANSWERED)):
            self.stopped("a server", answer)

    def taken(self, work: Work) -> None:
        self.watch.taken(work)

    def accepted(self, action: Action) -> None:
        """Check what was accepted, if it can be checked now.

        Input on Kafka was accepted by the broker, and is checked in the end. An answer of a server is checked when it
        is given: before the client receives it, other nodes may run.
        """
        is_placed = isinstance(action.ask, PlaceOrder)
        if self.servers:
            if is_placed or not isinstance(action.ask, Command):
                self.watch.accepted(action, self.database)
        elif self.scenario.topology != "workers" or not (is_placed or isinstance(action.ask, bytes)):
            self.watch.accepted(action, self.database)

    def stopped(self, what: str, error: BaseException) -> None:
        raise Violation("no reader stops", f"{what}: {type(error).__name__}: {error}")

    def _ends_well(self, effect: Effect) -> bool:
        if effect.mode == "silent" or effect.outcome not in ("succeeded", "declined"):
            return False
        fate = hazards_of(self.scenario.world).draw(effect.key, self.scenario.seed)
        return effect.operation != "book" or fate in ("delivered", "exception")

    def _recorded(self, rows: Sequence[Notification]) -> None:
        self.watch.committed(rows)

    def _received(self, url: str, order_id: str, position: int) -> None:
        self.watch.note("received", url, position)
        for later in self.receivers.out_of_turn(url, order_id, position):
            raise Violation(
                "webhooks of an order arrive in order", f"{url} has {later} before {position} of {order_id}"
            )

    def _sealed(self, head: Head) -> None:
        self.watch.sealed(head, bisect_right(self.database.positions, head.position))

    # faults

    def _begin(self, fault: Fault) -> None:
        node = self.everybody[fault.node % len(self.everybody)]
        if fault.kind in ON_CALL:
            node.arm(fault)
            return
        self.strikes[fault.kind] += 1
        self.watch.note("fault", fault.kind, node.name)
        FAULTS[fault.kind](self, fault, node)

    def _calm(self) -> None:
        """End the faults; those that have not struck never will."""
        self.settling = True
        for node in self.everybody:
            node.calm()
        for server in self.servers:
            server.skew_seconds = 0.0  # one whose clock is far off refuses every signed webhook
        self._send_again()
        self.database.away_until = self.broker.away_until = self.outside.away_until = 0.0

    def _send_again(self) -> None:
        """Repeat failed deliveries as a person would: by itself, the next attempt may be hours away."""
        for key, one in self.database.deliveries.items():
            if one.delivered_at is None and one.attempts:
                now = EPOCH + timedelta(seconds=self.now)
                self.database.deliveries[key] = one._replace(attempts=0, due_at=now)

    # the end of a play

    def _is_settled(self) -> bool:
        """Return whether everything is finished; checked once a simulated second."""
        if self.now < self.looks_at:
            return False
        self.looks_at = self.now + REFRESH_SECONDS
        if not all(client.done for client in self.clients) or self.outside.outstanding():
            return False
        database, tracking = self.database, self.database.tracking
        if self.sealed.head.position < database.end or not self._are_sent():
            return False
        if any(tracking.get(role, 0) < len(self.outside.delivered[role]) for role in CALLBACK_ROLES):
            return False
        if self.scenario.topology != "workers":
            behind = any(tracking.get(role, 0) < database.end for role in INTERESTS)
        else:
            behind = self._covered() < database.end or self._unread_orders()
        return not behind and not self._due_soon()

    def _are_sent(self) -> bool:
        subscribed = self.database.tables["subscriptions"].rows if self.senders else ()
        progress, end = self.database.progress, self.database.end
        return all(name in progress and progress[name].position >= end for (name,) in subscribed) and all(
            one.delivered_at for one in self.database.deliveries.values()
        )

    def _due_soon(self) -> list[Row]:
        """Return the deadlines that fall within the time in which everything must be finished."""
        until = EPOCH + timedelta(seconds=self.scenario.seconds + SETTLING_SECONDS_MAX / 2)
        return [row for row in self.database.tables["deadlines"].rows.values() if row["due_at"] <= until]

    def _covered(self) -> int:
        (worker, *_) = (node for node in self.nodes if isinstance(node, WorkerNode))
        return worker.watermark.covered(INTERESTS)

    def _unread_orders(self) -> bool:
        tracking = self.database.tracking
        return any(
            tracking.get(f"{CHANNEL_ORDERS_ROLE}@{partition.topic_partition}", 0) < partition.end
            for partition in self.broker.partitions[CHANNEL_ORDERS]
        )

    def _restless(self) -> str:
        lag = {r: self.database.tracking.get(r, 0) for r in INTERESTS} if self.scenario.topology != "workers" else {}
        return (
            f"log at {self.database.end}, sealed to {self.sealed.head.position}, roles at {lag or self._covered()}, "
            f"{self.outside.outstanding()} callbacks to come, {len(self._due_soon())} deadlines, "
            f"{sum(not client.done for client in self.clients)} clients not done"
        )


def _database_away(play: Play, fault: Fault, _: Node) -> None:
    play.database.restart(play.now + fault.seconds)


def _broker_away(play: Play, fault: Fault, _: Node) -> None:
    play.broker.away_until = play.now + fault.seconds


def _world_away(play: Play, fault: Fault, _: Node) -> None:
    play.outside.away_until = play.now + fault.seconds


def _stray(play: Play, _: Fault, __: Node) -> None:
    """Let the next callback be followed by one about something that was never requested."""
    play.outside.strays += 1


def _clock_jump(_: Play, fault: Fault, node: Node) -> None:
    node.skew_seconds += fault.seconds


def _expelled(play: Play, _: Fault, node: Node) -> None:
    play.broker.expel(node)


def _retention(play: Play, _: Fault, __: Node) -> None:
    """Delete all but the newest message of every partition, whether or not every reader has read it; orders from
    channels are kept."""
    for topic, partitions in play.broker.partitions.items():
        if topic != CHANNEL_ORDERS:
            for partition in partitions:
                partition.forget(partition.end - 1)


def _redelivered(play: Play, _: Fault, node: Node) -> None:
    for members in play.broker.groups.values():
        for group in members.joined:
            if group.node is node:
                group.rewind(REWOUND_MESSAGES)


def _mended(play: Play, fault: Fault, _: Node) -> None:
    """Change a row by hand, and rebuild its read model some time later."""
    table = play.database.tables[order_status.projection.name]
    if table.rows:
        row = table.rows[play.chance.choice(sorted(table.rows))]
        table.put({**row, "reason": "changed by hand"})
    play.scheduler.after(fault.seconds, partial(_rebuild, play, order_status.projection))


def _rebuild(play: Play, projection: Projection) -> None:
    partitions = Counter(topic_partition.topic for topic_partition in play.database.published)
    progress = Progress(play.database.tracking, partitions)
    taken = (r for r in play.watch.recorded if progress.has_taken(projection.name, r.stream, r.position))
    if play.database.rebuild(projection.name, folded(projection, taken).values()):
        play.watch.note("rebuilt", projection.name)
    else:
        play.scheduler.after(LOCK_SECONDS, partial(_rebuild, play, projection))


def _session_killed(_: Play, __: Fault, node: Node) -> None:
    """End the session that holds the relay's lock, which its relay does not know yet."""
    sessions, node.sessions = node.sessions, []
    for session in sessions:
        session.end()


FAULTS: dict[str, Callable[[Play, Fault, Node], None]] = {
    "database_away": _database_away,
    "broker_away": _broker_away,
    "world_away": _world_away,
    "stray": _stray,
    "clock_jump": _clock_jump,
    "expelled": _expelled,
    "retention": _retention,
    "redelivered": _redelivered,
    "session_killed": _session_killed,
    "mended": _mended,
}
