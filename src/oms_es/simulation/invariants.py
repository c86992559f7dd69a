"""Invariants that must hold at every step, and those that must hold in the end.

Safety is checked at every commit, every message and every effect; liveness once the faults are over and every node had
time. The invariants of history are those of verification/verify.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from typing import Any

from eventsourcing.persistence import Notification
from pydantic_core import to_json

from oms_es.app import PROJECTIONS
from oms_es.gateways.simulated.effects import Effect
from oms_es.kafka.client import Message, TopicPartition
from oms_es.kafka.cloudevents import position_of
from oms_es.kernel import Command, Decider, Event, Key, Recorded, Refused, Row
from oms_es.memory.database import Database
from oms_es.processing.committer import Done, Work
from oms_es.processing.read_models.folding import folded
from oms_es.schemas.finance.refusals import FinanceRefusal
from oms_es.schemas.operations.aside import ReactionPutAside
from oms_es.schemas.operations.subscription import SubscriptionOpened
from oms_es.schemas.order import FINAL_PHASES, PlaceOrder, RetrySourcing
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.schemas.topics import EVENT_TOPICS
from oms_es.simulation.checks.forgotten_people import ForgottenPeople
from oms_es.simulation.checks.unpaid_goods import UnpaidGoods
from oms_es.simulation.scenario import Action, Forged, OutsideCallback
from oms_es.simulation.world.external_systems import FIRST
from oms_es.store.encoding.codec import Codec
from oms_es.store.sealing.seals import Head
from oms_es.verification.history import History

LAST_KEPT = 25
"""Events that are kept, the newest ones, for the report of a violation."""
CARRIED = ("book", "cancel")
"""Operations of a carrier; all others are about money."""
PROJECTED: Mapping[type[Event], Sequence[str]] = {
    event: [projection.name for projection in PROJECTIONS if event in projection.folds]
    for event in dict.fromkeys(event for projection in PROJECTIONS for event in projection.folds)
}
"""The read models that each event changes."""
TOPICS = frozenset(EVENT_TOPICS.values())
FOR_A_PERSON = frozenset({str(FinanceRefusal.INVOICE_CREDITED)})
"""Reasons for which a reader's command may be refused, because only a person can decide: a correction with the tax that
a seller has now, where credit notes already gave back more."""


class Violation(BaseException):
    """An invariant is violated. As a BaseException it passes every handler of errors."""

    def __init__(self, check: str, detail: str) -> None:
        super().__init__(f"{check}: {detail}")
        self.check = check
        self.detail = detail


class Watch:
    """The observer of everything that happens, in its order; it also computes the hash of the trace."""

    def __init__(
        self,
        codec: Codec,
        deciders: Sequence[Decider[Any]],
        now: Callable[[], float],
        ends_well: Callable[[Effect], bool],
    ) -> None:
        """`ends_well`: whether the outside world reports a successful end of an effect."""
        self.ends_well = ends_well
        self.codec = codec
        self.now = now
        self.history = History(deciders)
        self.unpaid = UnpaidGoods(self.history.order_checks)
        self.people = ForgottenPeople()
        self.recorded: list[Recorded] = []
        self.effects: list[Effect] = []
        self.done: dict[tuple[str, str, str], Effect] = {}
        self.chains: dict[TopicPartition, dict[int, int]] = {}
        self.newest: dict[TopicPartition, int] = {}
        self.last: deque[tuple[Any, ...]] = deque(maxlen=LAST_KEPT)
        self.of_requests: dict[str, list[Recorded]] = {}
        self.steps = self.sealed_size = 0
        self._hash = blake2b(digest_size=16)

    @property
    def trace(self) -> str:
        return self._hash.hexdigest()

    def note(self, *what: object) -> None:
        """Add an entry to the trace; two runs of a seed must agree on every byte."""
        self.steps += 1
        entry = (round(self.now(), 6), *what)
        self.last.append(entry)
        self._hash.update(repr(entry).encode())

    def committed(self, rows: Sequence[Notification]) -> None:
        committed: list[Recorded] = []
        for row in rows:
            self.note(row.id, row.topic, row.originator_id, row.originator_version)
            recorded = self.codec.decode(row, row.id)
            self._hash.update(to_json(recorded.event))
            self.recorded.append(recorded)
            committed.append(recorded)
            if "/" in recorded.actor:
                self.of_requests.setdefault(recorded.actor, []).append(recorded)
            self.history.fold(recorded)
            for wrong in self.people.record(recorded):
                raise Violation("who is forgotten is held by no case, and nothing of them is stored again", wrong)
            if isinstance(recorded.event, ReactionPutAside) and recorded.event.reason not in FOR_A_PERSON:
                raise Violation("nothing that follows is refused", str(recorded.event))
        for wrong in self.unpaid.record(committed, self.history.states):
            raise Violation("no goods go out when their money is gone", wrong)
        for check in self.history.checks:
            if check.failed:
                raise Violation(check.name, check.differences[0])

    def published(self, message: Message) -> None:
        """Verify that a partition's events, which name their predecessors, have no gap, and that a repeat
        is unchanged."""
        if message.topic_partition.topic not in TOPICS:
            return
        position, previous = position_of(message)
        chain, newest = self.chains.setdefault(message.topic_partition, {}), self.newest.get(message.topic_partition, 0)
        if chain.setdefault(position, previous) != previous:
            entry = f"{message.topic_partition}: {position} came after {chain[position]} and now after {previous}"
            raise Violation("a partition's chain has no gap", entry)
        if position > newest:
            if previous != newest:
                entry = (
                    f"{message.topic_partition}: {position} names {previous} as what came before it, that was {newest}"
                )
                raise Violation("a partition's chain has no gap", entry)
            self.newest[message.topic_partition] = position

    def sealed(self, head: Head, recorded: int) -> None:
        """Verify that a checkpoint covers all `recorded` events up to its position, and is larger than the
        one before."""
        self.note("sealed", head.size)
        if head.size <= self.sealed_size or head.size != recorded:
            raise Violation("the sealed log is the log", f"{head} after {self.sealed_size}, of {recorded} events")
        self.sealed_size = head.size

    def answered(self, work: Work, done: Done) -> None:
        """Verify that the answer to a request names exactly the events that the request led to, however often it was
        sent."""
        self.note("answered", work.cause.actor, done.position)
        events = self.of_requests.get(work.cause.actor, [])
        last = events[-1].position if events else None
        if done.position != last or (events and events[-1].position - events[0].position != len(events) - 1):
            raise Violation(
                "an answer says what its request came to", f"{work.cause.actor}: {done}, and it is {events}"
            )
        if done.outcome is not None and not isinstance(work.command, PlaceOrder):
            self._ended(work.command, work.cause.actor)

    def happened(self, effect: Effect, gateway: str) -> None:
        """Verify that an effect of the outside world has a durable intent, happens once, and at the gateway that the
        payment's first intent named; a declined request has no effect."""
        self.note("effect", effect.operation, effect.subject, effect.part, effect.outcome, gateway)
        if effect.key.bytes not in self.history.event_ids:
            raise Violation("no effect without a durable intent", f"{effect} is asked for by nothing in history")
        if effect.operation not in CARRIED and gateway != self._gateway_of(effect.subject):
            raise Violation("a payment stays with its gateway", f"{effect} is at {gateway}")
        self.effects.append(effect)
        done = (effect.operation, effect.subject, effect.part)
        if effect.outcome == "succeeded":
            if done in self.done:
                raise Violation("no effect of a gateway twice", f"{effect} and {self.done[done]}")
            self.done[done] = effect

    def _gateway_of(self, payment_id: str) -> str:
        requested = self._state(f"payment-{payment_id}").requested
        return requested.gateway or FIRST

    def accepted(self, action: Action, database: Database) -> None:
        """Verify what a client's request was accepted for: a repetition of it now would change nothing."""
        ask = action.ask
        if isinstance(ask, bytes | PlaceOrder | Forged):
            self.kept(action, database)
            return
        if not isinstance(ask, OutsideCallback):
            self._ended(ask, str(action))

    def _ended(self, ask: Command, asked: str) -> None:
        decider = self.history.deciders[ask.stream.partition("-")[0]]
        if isinstance(ask, RetrySourcing) and self._state(ask.stream).attempt > 1:
            return  # units of this order were sourced again, and none were found: it may be sourced once more
        with suppress(Refused):  # the request was refused, and that was its answer
            if left := list(decider.decide(self._state(ask.stream), ask)):
                raise Violation("nothing accepted is lost", f"{asked} would still bring about {left}")

    def taken(self, work: Work) -> None:
        """Verify what a webhook was answered for: it is done, and repeated now it would change nothing."""
        self.note("taken", work.cause.actor)
        if not isinstance(work.command, PlaceOrder):
            self._ended(work.command, work.cause.actor)
        elif not self._is_placed(work.command):
            raise Violation("nothing accepted is lost", f"{work.cause.actor}: {work.command}")

    def kept(self, action: Action, database: Database) -> None:
        """Verify that input from a channel has become an order or a dead letter, and nothing if it was forged."""
        ask = action.ask
        if isinstance(ask, Forged):
            if self._is_placed(ask.order) or any(b"FORGED" in payload for _, payload in database.dead_letters):
                raise Violation("nothing is kept of a webhook that is not signed", str(action))
            return
        if isinstance(ask, PlaceOrder):
            found = self._is_placed(ask)
        else:
            found = not isinstance(ask, bytes) or any(payload == ask for _, payload in database.dead_letters)
        if not found:
            raise Violation("nothing accepted is lost", str(action))

    def _is_placed(self, ask: PlaceOrder) -> bool:
        """Return whether the order was placed with this content, or has it as a conflict."""
        state = self._state(ask.stream)
        return (
            state is not None
            and state.placed is not None
            and (state.placed.fingerprint == ask.fingerprint or ask.fingerprint in state.conflicts)
        )

    def _state(self, stream: str) -> Any:
        found = self.history.states.get(stream)
        return found[0] if found else self.history.deciders[stream.partition("-")[0]].initial


def unsent(watch: Watch, got: Mapping[str, Mapping[int, str]]) -> Iterator[str]:
    """Yield events of orders that a subscription should have been sent, and that never arrived."""
    opened = [one for one in watch.recorded if isinstance(one.event, SubscriptionOpened)]
    for subscribed in opened:
        event = subscribed.event
        assert isinstance(event, SubscriptionOpened)
        for one in watch.recorded:
            wanted = one.position > subscribed.position and type(one.event).__name__ in event.types
            if wanted and one.position not in got.get(event.url, {}) and _is_of(watch, one, event.channels):
                yield f"{event.name} has not got {one.position} of {one.stream}"


def _is_of(watch: Watch, one: Recorded, channels: Sequence[str]) -> bool:
    placed = watch.history.states[one.stream][0].placed
    return placed is not None and (not channels or placed.channel in channels)


CONSENT = ("cancel", "succeeded")


def in_the_end(
    watch: Watch, database: Database, actions: Iterable[Action], now: datetime, *, life: bool
) -> Iterator[Violation]:
    """Yield violations that remain once the faults are over and every node had time.

    `life`: people have requested so much that only an order on a person's list is known to wait.
    """
    due = {row["order_id"] for row in database.tables["deadlines"].rows.values()}
    for action in actions:
        try:
            watch.kept(action, database)
        except Violation as lost:
            yield lost
    stuck = {effect.subject for effect in watch.effects if not watch.ends_well(effect)} | _disputed(watch, database)
    yield from _unfinished(watch, stuck, due, _listed(database) if life else set(), now)
    yield from _unjoined(watch)
    yield from _unreported(watch, _captured_by_report(actions))
    yield from _refolded(watch, database)


def _listed(database: Database) -> set[str]:
    """Return the orders that are on a person's list, or in the queue for stock."""
    lists = ("open_exceptions", "backorder_queue")
    return {row["order_id"] for name in lists for row in database.tables[name].rows.values()}


def _disputed(watch: Watch, database: Database) -> set[str]:
    """Return parcels that the carrier had picked up although it agreed to cancel: it reports nothing more, and a person
    asks it."""
    raised = database.tables["open_exceptions"].rows
    given_back = (effect.subject for effect in watch.effects if (effect.operation, effect.outcome) == CONSENT)
    return {parcel for parcel in given_back if (f"carrier_contradiction/{parcel}",) in raised}


def _unfinished(watch: Watch, stuck: set[str], due: set[str], listed: set[str], now: datetime) -> Iterator[Violation]:
    free = _free(watch)
    for stream, (state, _) in watch.history.states.items():
        category = stream.partition("-")[0]
        open_order = category == "order" and state.placed and state.phase not in FINAL_PHASES
        if open_order and state.order_id not in listed and not waits(state, stuck, due, free):
            yield Violation("every order ends, or says what it waits for", f"{stream} is {state.phase}")
        if category == "stock":
            for key, held in state.reserved.items():
                if held.expires_at and held.expires_at < now:
                    yield Violation(
                        "what is held for a time is released", f"{stream} holds {key} until {held.expires_at}"
                    )


def waits(order: Any, stuck: set[str], due: set[str], free: set[str]) -> str | None:
    """Return what the order waits for that nothing here can bring about, or None. `free`: SKUs that can be promised."""
    match order.phase:
        case "backordered":
            return None if any(sku in free for sku in order.backordered) else "stock"
        case "awaiting_stock":
            return "the goods of a presale"
        case "held":
            return "a person who takes the hold off"
        case "awaiting_payment":
            return "a deadline" if order.order_id in due else None
        case "fulfilling" | "shipped" | "cancelling":
            if order.in_status("held"):
                return "a person who takes the hold off" if order.holds else None
            return "the carrier" if all(parcel in stuck for parcel in order.in_status("open", "dispatched")) else None
    return None


def _free(watch: Watch) -> set[str]:
    """Return the SKUs of which an open location could promise a unit."""
    states = watch.history.states
    found: set[str] = set()
    for stream, (state, _) in states.items():
        category, _, key = stream.partition("-")
        if category == "stock" and state.atp > 0:
            sku, _, location = key.partition("@")
            if f"location-{location}" in states:
                found.add(sku)
    return found


def _unjoined(watch: Watch) -> Iterator[Violation]:
    """Yield references without a counterpart; every reader has read everything by now."""
    watch.history.close(lambda _role, _stream, _position: True)
    for check in (watch.history.joins.joined, watch.history.invoices.complete):
        if check.failed:
            yield Violation(check.name, check.differences[0])


def _captured_by_report(actions: Iterable[Action]) -> set[str]:
    """Return authorisations of which a client's report, in the provider's name, says that they were captured."""
    reports = [action.ask for action in actions if isinstance(action.ask, RecordProviderReport)]
    return {name for one in reports if one.report.operation == "capture" for name in one.references}


def _unreported(watch: Watch, captured_by_report: set[str]) -> Iterator[Violation]:
    """Yield differences between the provider's state and ours, except for what the provider never reported."""
    for effect in watch.done.values():
        if effect.mode == "silent" or effect.operation in CARRIED:
            continue
        state, _ = watch.history.states[f"payment-{effect.subject}"]
        if effect.operation == "void" and (known := state.voids.get(effect.part)) and known.status == "done":
            continue  # the money was released at the provider before: once is enough
        if effect.operation == "capture" and captured_by_report.intersection(state.references):
            continue  # a report of the whole capture, under another reference, came before the gateway's answer
        if effect.reference not in state.references:
            yield Violation("the money at the provider is the money in the log", f"{effect} is not in the log")


def _refolded(watch: Watch, database: Database) -> Iterator[Violation]:
    of_interest: dict[str, list[Recorded]] = {projection.name: [] for projection in PROJECTIONS}
    for recorded in watch.recorded:
        for name in PROJECTED.get(type(recorded.event), ()):
            of_interest[name].append(recorded)
    for projection in PROJECTIONS:
        wanted = folded(projection, of_interest[projection.name])
        rows: Mapping[Key, Row] = database.tables[projection.name].rows
        if rows != wanted:
            wrong = next(key for key in (*wanted, *rows) if rows.get(key) != wanted.get(key))
            yield Violation(
                "every read model is the fold of history",
                f"{projection.name} {wrong}: {rows.get(wrong)} instead of {wanted.get(wrong)}",
            )
