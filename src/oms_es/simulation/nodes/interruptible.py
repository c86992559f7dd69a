"""The parts of the engine, cut into steps at which a fault may strike."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oms_es.app.workers import INTERESTS
from oms_es.kafka.client import TopicPartition
from oms_es.kafka.groups.feeds import EventTask, PartitionTask
from oms_es.kafka.groups.group_chain import GroupChain
from oms_es.kafka.groups.group_worker import GroupWorker
from oms_es.kafka.relay.event_publisher import EventPublisher
from oms_es.kafka.relay.relay import Relay
from oms_es.kernel import Event, Recorded
from oms_es.memory.client import NEVER
from oms_es.memory.database import Database
from oms_es.processing.chain import Chain
from oms_es.processing.intake.worker import IntakeWorker
from oms_es.processing.loop import Loop
from oms_es.processing.readers import FeedReader
from oms_es.processing.sealer import SEAL_SECONDS, Sealer
from oms_es.processing.ticker import TICK_SECONDS, Ticker
from oms_es.simulation.world.broker import MemoryGroup
from oms_es.simulation.world.external_systems import MemoryCallbacks
from oms_es.simulation.world.sealed_log import MemorySealing
from oms_es.store.encoding.codec import Codec
from oms_es.store.log import Log
from oms_es.store.recorder import Move, Recording

INTERESTED: Mapping[type[Event], Sequence[str]] = {
    event: [role for role, interests in INTERESTS.items() if event in interests]
    for event in dict.fromkeys(event for interests in INTERESTS.values() for event in interests)
}
"""Who is interested in an event."""


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
        self.notify_appended = log.notify_appended
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

    def unsaved(self) -> Sequence[Move]:
        self.reader.seen = self.seen()
        return self.reader.unsaved()

    def was_saved(self, move: Move) -> None:
        self.reader.was_saved(move)

    def was_lost(self, _move: Move) -> None:
        self.seek()

    def seek(self) -> None:
        """What lies before the log begins is not known to be of no interest."""
        self.reader.seek()
        self.wanted = max(self.wanted, self.log.begins)
        self.stirred = self.reader.seen < self.wanted


class AwakeChain(Chain):
    """Spares the attempt where no reader has anything to do."""

    awake: Sequence[Awake]

    @property
    def stirred(self) -> bool:
        return any(awake.stirred for awake in self.awake)

    def step(self) -> int:
        for awake in self.awake:
            awake.reader.seen = awake.seen()
        taken = super().step()
        for awake in self.awake:
            awake.stirred = awake.reader.seen < awake.wanted
        return taken


class AwakeGroupChain(GroupChain):
    """Spares the attempt where nothing has come, and this node has appended nothing."""

    groups: Sequence[AwakeGroup]

    @property
    def stirred(self) -> bool:
        return any(group.group.stirred for group in self.groups) or super().stirred


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


class AwakeSealer(Sealer):
    """Spares the look at a log that is sealed up to its end."""

    sealing: MemorySealing

    @property
    def stirred(self) -> bool:
        due = self.timing.monotonic() - self._looked >= SEAL_SECONDS
        return due and self.sealing.sealed.head.position < self.sealing.database.end


class AwakeRelay(Relay):
    """Spares the query that would find nothing to publish."""

    database: Database
    publishers: Sequence[EventPublisher]

    @property
    def stirred(self) -> bool:
        session = self.leadership.session
        if session is None or not self._begun or session.ended():
            return True
        return any(publisher.position < self.database.end for publisher in self.publishers)


class AwakeLoop(Loop):
    """A reader without work takes no step. `rests`: whether what was passed is saved now."""

    workers: Sequence[Any]
    rests = False

    def iterate(self) -> int:
        self.last_iteration_at = self.timing.monotonic()
        self.refresh()
        taken = 0
        for worker in self.workers:
            if worker.stirred:
                taken += self._step(worker)
        return taken + self._save_positions() if self.waited_for else taken

    def _save_positions(self) -> int:
        return super()._save_positions() if self.rests or self.waited_for else 0


class AwakeGroup(GroupWorker):
    """Spares a role the steps in which neither its group nor what it has read gives it anything to do."""

    group: MemoryGroup
    database: Database
    still = False
    moves = NEVER  # of positions, when it last took a step: what it waits for comes with one

    def __init__(
        self,
        group: MemoryGroup,
        task_for: Callable[[TopicPartition], PartitionTask],
        batch_max: int,
        database: Database,
    ) -> None:
        super().__init__(group, task_for, batch_max)
        self.database = database

    @property
    def stirred(self) -> bool:
        return self.group.stirred or not (self.still or self.moves == self.database.moves)

    def receive(self) -> None:
        if self.group.stirred or self._changes or self._inbox:
            self.still, self.moves = False, NEVER
            super().receive()

    def step(self) -> int:
        moves = self.database.moves
        self.still, self.moves = False, NEVER
        if self.group.stirred or self._changes or self._inbox:
            taken = super().step()
        else:
            taken = sum([self._step(topic_partition, share) for topic_partition, share in self.tasks.items()])
        if not taken:
            self.moves = moves
            self.still = not any(share.waiting() for share in self.tasks.values())
        return taken

    def _step(self, topic_partition: TopicPartition, share: PartitionTask) -> int:
        return 0 if _is_done(share) else super()._step(topic_partition, share)

    def _throttle(self) -> None:
        """So much that it must wait comes in no scenario."""
        if self.stopped:
            super()._throttle()

    def seek(self) -> None:
        self.still = False
        self.moves = NEVER
        super().seek()


def _is_done(share: PartitionTask) -> bool:
    """Whether a step would find nothing to read, and nothing to save. After an outage a reader may stand before what
    its feed has given it already."""
    if isinstance(share, EventTask):
        feed, reader = share.feed, share.reader
        return not feed.waiting() and reader.seen <= reader.saved and reader.seen >= feed.end
    return not share.waiting()
