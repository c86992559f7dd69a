"""A fork: the engine in memory, on a copy of history up to a position.

Invariant: the deciders, consumers, looked-up read models, chains and the loop are those of the engine. Different are
the place where decisions are stored, the clock, and that no gateway asks anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from eventsourcing.persistence import Notification

from oms_es.app.engine import CHAINS, projections_looked_up
from oms_es.app.registry import CONSUMERS, DECIDERS, PROJECTIONS
from oms_es.consumers.order.deadline_keeper import due_commands
from oms_es.kernel import Command, Recorded, Row
from oms_es.memory.client import Alone
from oms_es.memory.database import Database
from oms_es.memory.kept_codec import Kept, KeptCodec
from oms_es.memory.lookups import MemoryLookups
from oms_es.memory.recording import MemoryRecorder, MemoryRows
from oms_es.processing.chain import NEW_MAX, Chain, Links
from oms_es.processing.loop import Loop
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.readers import BATCH_MAX, ConsumerWorker, ProjectionWorker, Worker
from oms_es.projections.operations import deadlines
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.draft import Draft
from oms_es.store.log import Log
from oms_es.store.store import Store
from oms_es.whatif.reliving.outside import restating

FACTS = tuple(projection for projection in PROJECTIONS if projection.name in projections_looked_up(CONSUMERS))
"""The read models that reactions look up."""


class ForkStore(Store):
    """A store that knows the draft being made, because the fork's clock depends on positions."""

    drafted: Draft | None = None

    def draft(self, end: int) -> Draft:
        self.drafted = super().draft(end)
        return self.drafted

    def execute(self, *arguments: Any, **options: Any) -> list[Recorded]:
        self.drafted = None
        return super().execute(*arguments, **options)

    @property
    def next_position(self) -> int:
        """The position of the event that will be decided next."""
        if self.drafted is not None and self.drafted.end >= self.recorder.end():
            return self.drafted.end + len(self.drafted.recorded) + 1
        return self.recorder.end() + 1


class Decides(Exception):
    """Something follows from the new events."""


class Passing(Chain):
    """A chain that is committed only if no event follows: readers then have passed what is nothing to them.

    Invariant: no event is decided.
    """

    def commit(self, links: Links) -> None:
        """Raises Decides."""
        if links.draft.recorded:
            raise Decides
        super().commit(links)


class Fork:
    """An engine in memory. `clock` returns the time at which the event at a position is recorded."""

    def __init__(self, clock: Callable[[int], datetime], batch_max: int = BATCH_MAX) -> None:
        codec = KeptCodec(EVENTS)
        self.database = Database(codec, [projection.table for projection in FACTS], lambda _rows: None)
        client = Alone()
        self.recorder = MemoryRecorder(client, self.database)
        self.store = ForkStore(map(restating, DECIDERS), EVENTS, self.recorder, lambda: clock(self.store.next_position))
        self.store.codec = codec
        self.log = Log(self.recorder, codec)
        self.projections = [
            ProjectionWorker(ReadModel(p, MemoryRows(client, self.database, p.table)), self.log) for p in FACTS
        ]
        lookups = MemoryLookups(client, self.database)
        self.consumers = [
            ConsumerWorker(consumer, self.store, self.log, lookups, self._facts_position, batch_max)
            for consumer in CONSUMERS
        ]

    @property
    def end(self) -> int:
        return self.database.end

    def takes(self, count: int) -> bool:
        """Return whether a chain takes so many events more at once."""
        return self.end - self._seen() + count <= NEW_MAX

    def pass_by(self) -> bool:
        """Let every reader pass the new events, if nothing follows from them; return whether they did."""
        self.log.refresh()
        while self._seen() < self.end:
            behind = [consumer for consumer in self.consumers if consumer.seen < self.end]
            if not Passing(behind, self.projections, self.store, self.log, following_max=0, name="passing").step():
                return False
        return True

    def _seen(self) -> int:
        """Return the position up to which every reader has passed."""
        return min(reader.seen for reader in (*self.consumers, *self.projections))

    def loop(self, beside: Sequence[Worker], gateways: Sequence[Worker], ticker: Worker) -> Loop:
        """Return the engine's loop.

        `beside` runs before every worker; `gateways` and `ticker` take the places of the engine's.
        """
        first, second = (Chain(self.consumers, self.projections, self.store, self.log, name=name) for name in CHAINS)
        workers: list[Worker] = [first, *self.consumers, *gateways, second, *self.projections, ticker]
        every = [one for worker in workers for one in (*beside, worker)]
        return Loop(every, Unheard(), 0.0, self.log.refresh, save=self.recorder.move_at_rest)

    def begin(self, history: Iterable[Recorded]) -> None:
        """Begin with a copy of history, to all of which the engine has reacted."""
        rows = [Notification(r.stream, r.version, type(r.event).__name__, Kept.of(r), r.position) for r in history]
        if not rows:
            return
        self.database.commit(rows)
        self.database.sequence = self.end
        self.log.start_at(self.end)
        for consumer in self.consumers:
            self.database.tracking[consumer.name] = self.end
            consumer.seek()
        for projection in self.projections:
            while projection.step():
                pass

    @property
    def knows_deadlines(self) -> bool:
        """Return whether the deadlines of every event are in their read model."""
        return next(p.seen for p in self.projections if p.name == deadlines.projection.name) >= self.end

    def events(self, after: int) -> list[Recorded]:
        codec = self.store.codec
        return [codec.decode(row, row.id) for row in self.recorder.after(after, self.end - after)]

    def version(self, stream: str) -> int:
        return len(self.database.streams.get(stream, ()))

    def due(self, now: datetime) -> Sequence[Command]:
        return tuple(due_commands(self.due_rows(now), now))

    def due_rows(self, now: datetime) -> Sequence[Row]:
        """Return the deadlines that are over, the earliest first."""
        found = self.database.tables[deadlines.projection.name].found(None, None, "due_at", BATCH_MAX)
        return [row for row in found if row["due_at"] <= now]

    def _facts_position(self, names: frozenset[str]) -> int:
        return min(worker.seen for worker in self.projections if worker.name in names)


class Unheard:
    """A notification that never comes: no other process appends to a fork."""

    def wait(self, _seconds: float) -> bool:
        return False
