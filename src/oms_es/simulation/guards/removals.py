"""Components without a guard: the engine's parts, each without one thing that it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from oms_es.gateways.simulated.effects import Effect, PendingCallback
from oms_es.kafka.cloudevents import position_of
from oms_es.kafka.groups.feeds import PartitionFeed
from oms_es.kafka.relay.event_publisher import RELAYED_MAX, EventPublisher
from oms_es.kernel import Recorded, Refused
from oms_es.memory.database import Database, Session
from oms_es.memory.recording import MemoryRecorder, MemoryRows, Transaction
from oms_es.processing.chain import Links
from oms_es.processing.intake.worker import Arrival, Intake, IntakeResult
from oms_es.processing.read_models.lookups import Finder
from oms_es.processing.read_models.model import ReadModel, Staged
from oms_es.processing.readers import ConsumerWorker
from oms_es.simulation.nodes.engine_node import EngineNode
from oms_es.simulation.nodes.interruptible import AwakeChain, AwakeGroupChain
from oms_es.simulation.world.external_systems import MemoryEffectStore
from oms_es.simulation.world.relay_store import MemoryLeadership, MemoryRelayStore, Saved
from oms_es.simulation.world.sealed_log import MemorySealing
from oms_es.store.recorder import Advance, EventRow
from oms_es.store.store import Store


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
