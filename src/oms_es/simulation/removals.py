"""Guards taken out: the engine's parts, each without one thing that it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

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
from oms_es.processing.committer import Answer, Answering, Done, Work
from oms_es.processing.intake.worker import Arrival, Intake, IntakeResult
from oms_es.processing.read_models.lookups import Finder
from oms_es.processing.read_models.model import ReadModel, Staged
from oms_es.processing.readers import ConsumerWorker
from oms_es.schemas.order import PlaceOrder, RecordReservation
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
    """A position moves whenever it rises, no matter who moves it."""

    def may_move(self, advance: Advance) -> bool:
        return advance.position > self.tracking.get(advance.name, 0) or not advance.previous


class TakesAgain(PartitionFeed):
    """What comes again is given out again."""

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
    """What lies between two messages is not looked for."""

    def _next(self) -> None:
        if self._messages:
            self.end = max(self.end, position_of(self._messages[0])[1])
        super()._next()


class AsksEarly(MemoryRecorder):
    """The outside world is asked before the intent is recorded."""

    def append(self, transaction: Transaction, rows: Sequence[EventRow]) -> list[int]:
        ids = super().append(transaction, rows)
        if isinstance(self.client, EngineNode):
            recorded = [self.database.codec.decode(row) for row in rows]
            for gateway in self.client.gateways():
                if intents := [r for r in recorded if type(r.event) in gateway.intents]:
                    gateway.perform(intents)
        return ids


class ForgetfulEffectStore(MemoryEffectStore):
    """The world does not recognise a key that it has seen."""

    def effects(
        self,
        asked: Sequence[tuple[UUID, Callable[[], Effect]]],
        callbacks_of: Callable[[Effect], Iterable[PendingCallback]],
    ) -> tuple[dict[UUID, Effect], set[UUID]]:
        for key, _ in asked:
            self.outside.known.pop(key, None)
        return super().effects(asked, callbacks_of)


class Whole(Intake):
    """A batch that fails is rejected as it is."""

    def take(self, arrivals: Sequence[Arrival]) -> IntakeResult:
        given, dead_letters = self._screened(arrivals)
        try:
            return self._commit(given, dead_letters, arrivals[-1].position)
        except Refused as refused:
            return self._commit(
                [], [self._dead_letter(arrival, refused) for arrival in arrivals], arrivals[-1].position
            )


class Everyone(MemoryLeadership):
    """Every caller is the relay."""

    def locked(self, _: Session) -> bool:
        return True


class NoFence(MemoryRelayStore):
    """A deposed relay may still save its position."""

    def fits(self, _: Saved) -> bool:
        return True


class BelievesItsCache(MemoryRecorder):
    """Whether a stream has grown meanwhile is not asked."""

    def stale(self, _transaction: Transaction, _expected: Mapping[str, int]) -> list[str]:
        return []


class NoLock(MemoryRecorder):
    """Writers number their events side by side."""

    def lock(self, transaction: Transaction) -> None:
        """No lock is waited for."""


class NoRowLock(MemoryRows):
    """Rows that several streams feed are changed by several workers at once."""

    def lock(self, transaction: Transaction) -> None:
        """No lock is waited for."""


class SealsOver(MemorySealing):
    """Whether another sealer was there first is not asked."""

    def continues(self, _previous_size: int) -> bool:
        return True


class PositionFirst(MemoryRecorder):
    """The position is kept in a transaction of its own, before the effects."""

    def advance(self, transaction: Transaction, advance: Advance) -> None:
        super().advance(transaction, advance)
        self.database.tracking[advance.name] = advance.position


class Unbounded(ConsumerWorker):
    """Facts may be older than the event that asks for them."""

    def bound(self) -> int | None:
        return None


class AnyGeneration(MemoryRows):
    """A rebuild of the rows goes unnoticed."""

    def knows(self, _: Advance) -> bool:
        return True


class Remembers(ReadModel):
    """Rows are remembered although another process had the position meanwhile."""

    def forget(self) -> None:
        """Nothing is forgotten."""


class BelievesTheEnd(Store):
    """Every cached stream is believed to be the newest as long as no one has written since this store last looked."""

    def _remember(self, states: Mapping[str, Any]) -> None:
        super()._remember(states)
        self._newest_at = dict.fromkeys(self._newest_at, self._foreign_appends)


class NeverOvertaken(Store):
    """What others have written since a chain was begun is not looked for."""

    def _require_end(self, curs: Any, end: int) -> None:
        """It is believed to end there."""

    def _require_begin(self, position: int, expected: int) -> None:
        """Whatever is given is taken for it."""


class CommittedFacts(AwakeChain):
    """What a chain decides is decided from facts that lack what it has changed itself."""

    def lookups(self, worker: ConsumerWorker, _staged: Mapping[str, Staged]) -> Finder:
        return worker.lookups


class BelievesTheRelay(AwakeGroupChain):
    """What the relay has published is taken for what every reader has taken."""

    def _ask_the_relay(self) -> None:
        relayed = self.relayed()
        for reader in self.readers:
            self._know(reader, relayed.position)


class HoldsNothing(ReadModel):
    """Rows that several workers change are written as a chain has made them, whatever they are now."""

    def staged(self) -> Staged:
        return Unheld(self)


class Unheld(Staged):
    def hold(self, transaction: Any) -> None:
        """They are believed to be as they were."""


class BelievesRefusals(Store):
    """What a stale state refuses is refused."""

    def _maybe_stale(self, expected: Mapping[str, int]) -> dict[str, int]:
        return super()._maybe_stale(expected) if any(expected.values()) else {}

    def _foreign_append_seen(self) -> bool:
        return False


class SavesFirst(EventPublisher):
    """The relay's position moves before the broker has the messages."""

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
    """Every copy of an order gets an id of its own."""
    numbers = count(1)

    def parse(payload: bytes) -> Command:
        order = components.orders(payload)
        assert isinstance(order, PlaceOrder)
        order.__dict__["order_id"] = f"order-number-{next(numbers)}"
        return order

    return replace(components, orders=parse)


def promises_anything(decider: Decider[Any]) -> Decider[Any]:
    """Whether there is as much is not asked."""

    def decide(state: stock.Stock, command: Any) -> Iterable[Any]:
        return decider.decide(state._replace(policy=state.policy._replace(safety_stock=-1_000_000)), command)

    return replace(decider, decide=decide)


def presells_anything(decider: Decider[Any]) -> Decider[Any]:
    """How many may be sold before they exist is not asked."""

    def decide(state: stock.Stock, command: Any) -> Iterable[Any]:
        return decider.decide(state._replace(policy=state.policy._replace(presale_limit=1_000_000)), command)

    return replace(decider, decide=decide)


def hears_nothing_early(decider: Decider[Any]) -> Decider[Any]:
    """A lock that goes over to an order which has not begun yet is not reported."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        if isinstance(command, RecordReservation) and state.placed is None:
            return ()
        return decider.decide(state, command)

    return replace(decider, decide=decide)


def takes_every_report(decider: Decider[Any]) -> Decider[Any]:
    """A provider's reference that is known already is taken for another effect."""

    def decide(state: Payment, command: Any) -> Iterable[Any]:
        blind = state._replace(effects=type(state.effects)(), references=type(state.references)())
        return decider.decide(blind if type(command).__name__.startswith("Record") else state, command)

    return replace(decider, decide=decide)


class ForgetsAnswers(MemoryAnswers):
    """A request that is sent again is decided again."""

    def under(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Kept]:
        super().under(keys)
        return {}

    def keep(self, transaction: Transaction, kept: Sequence[Kept], now: datetime) -> None:
        """It keeps none."""


class AnswersAnyway(Answering):
    """That the database did not answer is not said to who asked."""

    def answers(self, works: Sequence[Work]) -> Sequence[Answer]:
        found = super().answers(works)
        return [
            Done(work.command.stream, 0, None, None) if isinstance(answer, OUTAGES) else answer
            for work, answer in zip(works, found, strict=True)
        ]


class MovesFirst(MemoryDeliveries):
    """A subscription has come further before its deliveries are there."""

    def add(self, before: Progress, due: Sequence[tuple[int, str, str]], position: int, now: datetime) -> bool:
        known = self.database.progress[before.name]
        self.database.progress[before.name] = known._replace(position=position)
        self.touch()
        self.database.progress[before.name] = known
        return super().add(before, due, position, now)


class DoneBeforehand(MemoryDeliveries):
    """A delivery is done with when it is about to be sent."""

    def due(self, name: str, now: datetime, limit: int) -> list[Delivery]:
        found = super().due(name, now, limit)
        for delivery in found:
            self.note_delivered(delivery, 0, now)
        return found


class AllAtOnce(MemoryDeliveries):
    """Of an order everything is sent that waits, whether or not what was before it has arrived."""

    def due(self, name: str, now: datetime, limit: int) -> list[Delivery]:
        self.touch()
        return sorted((one for one in self.waiting(name) if one.due_at <= now), key=lambda one: one.position)[:limit]
