"""Components without a guard: the engine's parts, each without one thing that it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

from rpds import HashTrieMap

from oms_es.aggregates.payment.state import Payment
from oms_es.aggregates.stock import decider as stock
from oms_es.consumers.order.deadline_keeper import due_commands
from oms_es.gateways.simulated.effects import Effect, PendingCallback
from oms_es.kafka.cloudevents import position_of
from oms_es.kafka.groups.feeds import PartitionFeed
from oms_es.kafka.relay.event_publisher import RELAYED_MAX, EventPublisher
from oms_es.kernel import Command, Decider, Recorded, Refused, Row
from oms_es.memory.database import Database, Session
from oms_es.memory.recording import MemoryAnswers, MemoryRecorder, MemoryRows, Transaction
from oms_es.processing.chain import Links
from oms_es.processing.committer import Answer, Answering, Done, Work
from oms_es.processing.intake.worker import Arrival, Intake, IntakeResult
from oms_es.processing.read_models.lookups import Finder
from oms_es.processing.read_models.model import ReadModel, Staged
from oms_es.processing.readers import ConsumerWorker
from oms_es.schemas.order import ForgetOrder, PlaceOrder, RecordReservation
from oms_es.schemas.stock import ExpireReservation
from oms_es.simulation.components import Components
from oms_es.simulation.nodes.engine_node import EngineNode
from oms_es.simulation.nodes.interruptible import AwakeChain, AwakeGroupChain
from oms_es.simulation.world.deliveries import MemoryDeliveries
from oms_es.simulation.world.external_systems import MemoryEffectStore
from oms_es.simulation.world.relay_store import MemoryLeadership, MemoryRelayStore, Saved
from oms_es.simulation.world.sealed_log import MemorySealing
from oms_es.store.http.subscriptions import Delivery, Progress
from oms_es.store.http.tables import Kept
from oms_es.store.recorder import Advance, EventRow
from oms_es.store.store import OUTAGES, Store


class AnyGreater(Database):
    """A database in which a position may move to any greater value, whichever process moves it."""

    def may_move(self, advance: Advance) -> bool:
        return advance.position > self.tracking.get(advance.name, 0) or not advance.previous


class TakesAgain(PartitionFeed):
    """A feed that gives out repeated messages again."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._again: list[Recorded] = []

    def read(self, after: int, limit: int) -> Sequence[Recorded]:
        again, self._again = self._again, []
        return [*again, *super().read(after, limit)]

    def _next(self) -> None:
        if self._gap is None and position_of(self._messages[0])[0] <= self.end:
            repeated = self.cloudevents.recorded(self._messages[0])
            self._again.append(repeated._replace(position=self.end))
        super()._next()


class TrustsMessages(PartitionFeed):
    """A feed that does not look for events missing between two messages."""

    def _next(self) -> None:
        if self._messages:
            self.end = max(self.end, position_of(self._messages[0])[1])
        super()._next()


class AsksEarly(MemoryRecorder):
    """A recorder that makes requests to the outside world before their intent is committed."""

    def append(self, transaction: Transaction, rows: Sequence[EventRow]) -> list[int]:
        ids = super().append(transaction, rows)
        if isinstance(self.client, EngineNode):
            recorded = [self.database.codec.decode(row) for row in rows]
            for gateway in self.client.gateways():
                if intents := [r for r in recorded if type(r.event) in gateway.intents]:
                    gateway.perform(intents)
        return ids


class ForgetfulEffectStore(MemoryEffectStore):
    """An outside world that does not recognise repeated idempotency keys."""

    def effects(
        self,
        asked: Sequence[tuple[UUID, Callable[[], Effect]]],
        callbacks_of: Callable[[Effect], Iterable[PendingCallback]],
    ) -> tuple[dict[UUID, Effect], set[UUID]]:
        for key, _ in asked:
            self.outside.known[self.gateway].pop(key, None)
        return super().effects(asked, callbacks_of)


class Whole(Intake):
    """An intake that rejects a failing batch as a whole."""

    def take(self, arrivals: Sequence[Arrival]) -> IntakeResult:
        given, dead_letters = self._screened(arrivals)
        try:
            return self._commit(given, dead_letters, arrivals[-1].position)
        except Refused as refused:
            return self._commit(
                [], [self._dead_letter(arrival, refused) for arrival in arrivals], arrivals[-1].position
            )


class Everyone(MemoryLeadership):
    """A leadership under which every caller is the relay."""

    def locked(self, _: Session) -> bool:
        return True


class NoFence(MemoryRelayStore):
    """A relay store in which a relay that lost its leadership may still save its position."""

    def fits(self, _: Saved) -> bool:
        return True


class BelievesItsCache(MemoryRecorder):
    """A recorder that does not check whether a stream has grown meanwhile."""

    def stale(self, _transaction: Transaction, _expected: Mapping[str, int]) -> list[str]:
        return []


class NoLock(MemoryRecorder):
    """A recorder whose writers number their events without a lock."""

    def lock(self, transaction: Transaction) -> None:
        """Take no lock."""


class NoRowLock(MemoryRows):
    """Rows that several streams feed, changed by several workers at once without a lock."""

    def lock(self, transaction: Transaction) -> None:
        """Take no lock."""


class SealsOver(MemorySealing):
    """Sealing that does not check whether another sealer was faster."""

    def continues(self, _previous_size: int) -> bool:
        return True


class PositionFirst(MemoryRecorder):
    """A recorder that commits the position in a transaction of its own, before the effects."""

    def advance(self, transaction: Transaction, advance: Advance) -> None:
        super().advance(transaction, advance)
        self.database.tracking[advance.name] = advance.position


class Unbounded(ConsumerWorker):
    """A consumer whose looked-up rows may be older than the event that asks for them."""

    def bound(self) -> int | None:
        return None


class AnyGeneration(MemoryRows):
    """Rows whose rebuild is not noticed."""

    def knows(self, _: Advance) -> bool:
        return True


class Remembers(ReadModel):
    """A read model that keeps cached rows although another process had the position meanwhile."""

    def forget(self) -> None:
        """Forget nothing."""


class BelievesTheEnd(Store):
    """A store that takes every cached stream to be current, as long as no one has written since it last looked."""

    def _remember(self, states: Mapping[str, Any]) -> None:
        super()._remember(states)
        self._newest_at = dict.fromkeys(self._newest_at, self._foreign_appends)


class NeverOvertaken(Store):
    """A store that does not look for what others have written since a chain was begun."""

    def _require_end(self, curs: Any, end: int) -> None:
        """Skip the check that the log ends there."""

    def _require_begin(self, position: int, expected: int) -> None:
        """Skip the check of the beginning."""


class CommittedFacts(AwakeChain):
    """A chain that decides from committed rows, which lack the chain's own changes."""

    def lookups(self, worker: ConsumerWorker, _links: Links) -> Finder:
        return worker.lookups


class BelievesTheRelay(AwakeGroupChain):
    """A chain that takes what the relay has published for what every reader has processed."""

    def _ask_the_relay(self) -> None:
        relayed = self.relayed()
        for reader in self.readers:
            self._know(reader, relayed.position)


class HoldsNothing(ReadModel):
    """Rows that several workers change, written as a chain has made them, whatever they are now."""

    def staged(self) -> Staged:
        return Unheld(self)


class Unheld(Staged):
    def hold(self, transaction: Any) -> None:
        """Skip the check that the rows are unchanged."""


class BelievesRefusals(Store):
    """A store that returns refusals of a stale state."""

    def _maybe_stale(self, expected: Mapping[str, int]) -> dict[str, int]:
        return super()._maybe_stale(expected) if any(expected.values()) else {}

    def _foreign_append_seen(self) -> bool:
        return False


class SavesFirst(EventPublisher):
    """A publisher that moves the relay's position before the broker has the messages."""

    def publish(self, session: Any) -> int:
        rows = self.relay_store.events(session, self.position, RELAYED_MAX)
        if not rows:
            return 0
        last = dict(self._last)
        messages = [self._outgoing(row, last) for row in rows]
        position = rows[-1].notification_id
        self.relay_store.save(session, self.epoch, self.position, position, last)
        self.producer.publish(messages)
        self._last, self.position = last, position
        return len(messages)


def nothing_expires(rows: Iterable[Row], now: datetime) -> Iterator[Command]:
    return (command for command in due_commands(rows, now) if not isinstance(command, ExpireReservation))


def numbered(components: Components) -> Components:
    """Give every copy of an order an id of its own."""
    numbers = count(1)

    def parse(payload: bytes) -> Command:
        order = components.orders(payload)
        assert isinstance(order, PlaceOrder)
        order.__dict__["order_id"] = f"order-number-{next(numbers)}"
        return order

    return replace(components, orders=parse)


def promises_anything(decider: Decider[Any]) -> Decider[Any]:
    """Remove the check that enough stock is available."""

    def decide(state: stock.Stock, command: Any) -> Iterable[Any]:
        return decider.decide(state._replace(policy=state.policy._replace(safety_stock=-1_000_000)), command)

    return replace(decider, decide=decide)


def presells_anything(decider: Decider[Any]) -> Decider[Any]:
    """Remove the limit on how much may be sold before it exists."""

    def decide(state: stock.Stock, command: Any) -> Iterable[Any]:
        return decider.decide(state._replace(policy=state.policy._replace(presale_limit=1_000_000)), command)

    return replace(decider, decide=decide)


def forgets_what_is_held(decider: Decider[Any]) -> Decider[Any]:
    """Remove the check that no case holds an order which is to be forgotten."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        held = isinstance(command, ForgetOrder)
        return decider.decide(state._replace(legal_holds=HashTrieMap()) if held else state, command)

    return replace(decider, decide=decide)


def remembers_whom_it_forgot(decider: Decider[Any]) -> Decider[Any]:
    """Remove what an order that was forgotten no longer takes: it decides as any other."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        return decider.decide(state._replace(forgotten=False), command)

    return replace(decider, decide=decide)


def keeps_no_report(decider: Decider[Any]) -> Decider[Any]:
    """Remove the storage of reports that come before their order: they are ignored."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        return () if state.placed is None and getattr(command, "keep", False) else decider.decide(state, command)

    return replace(decider, decide=decide)


def hears_nothing_early(decider: Decider[Any]) -> Decider[Any]:
    """Remove the report of a reservation that is transferred to an order which has not begun."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        if isinstance(command, RecordReservation) and state.placed is None:
            return ()
        return decider.decide(state, command)

    return replace(decider, decide=decide)


def takes_every_report(decider: Decider[Any]) -> Decider[Any]:
    """Remove the recognition of known provider references: each report counts as another effect."""

    def decide(state: Payment, command: Any) -> Iterable[Any]:
        blind = state._replace(effects=type(state.effects)(), references=type(state.references)())
        return decider.decide(blind if type(command).__name__.startswith("Record") else state, command)

    return replace(decider, decide=decide)


class ForgetsAnswers(MemoryAnswers):
    """Answers that are not stored: a repeated request is decided again."""

    def under(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Kept]:
        super().under(keys)
        return {}

    def keep(self, transaction: Transaction, kept: Sequence[Kept], now: datetime) -> None:
        """Store nothing."""


class AnswersAnyway(Answering):
    """Answering that hides from callers that the database did not answer."""

    def answers(self, works: Sequence[Work]) -> Sequence[Answer]:
        found = super().answers(works)
        return [
            Done(work.command.stream, 0, None, None) if isinstance(answer, OUTAGES) else answer
            for work, answer in zip(works, found, strict=True)
        ]


class MovesFirst(MemoryDeliveries):
    """Deliveries whose subscription's position moves before they exist."""

    def add(self, before: Progress, due: Sequence[tuple[int, str, str]], position: int, now: datetime) -> bool:
        known = self.database.progress[before.name]
        self.database.progress[before.name] = known._replace(position=position)
        self.touch()
        self.database.progress[before.name] = known
        return super().add(before, due, position, now)


class DoneBeforehand(MemoryDeliveries):
    """Deliveries that are marked as done before they are sent."""

    def due(self, name: str, now: datetime, limit: int) -> list[Delivery]:
        found = super().due(name, now, limit)
        for delivery in found:
            self.note_delivered(delivery, 0, now)
        return found


class AllAtOnce(MemoryDeliveries):
    """Deliveries of an order that are all sent at once, whether or not the one before has arrived."""

    def due(self, name: str, now: datetime, limit: int) -> list[Delivery]:
        self.touch()
        return sorted((one for one in self.waiting(name) if one.due_at <= now), key=lambda one: one.position)[:limit]
