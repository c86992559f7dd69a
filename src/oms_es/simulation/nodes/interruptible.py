"""The parts of the engine, divided into steps between which a fault may strike."""

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
from oms_es.processing.gateway_worker import GatewayWorker
from oms_es.processing.intake.worker import IntakeWorker
from oms_es.processing.loop import Loop
from oms_es.processing.readers import FeedReader
from oms_es.processing.sealer import SEAL_SECONDS, Sealer
from oms_es.processing.ticker import TICK_SECONDS, Ticker
from oms_es.simulation.world.broker import MemoryGroup
from oms_es.simulation.world.external_systems import MemoryCallbacks
from oms_es.simulation.world.sealed_log import MemorySealing
from oms_es.store.encoding.codec import Codec
from oms_es.store.log import Bound, Interests, Log, Next, next_among
from oms_es.store.recorder import Move, Recording

INTERESTED: Mapping[type[Event], Sequence[str]] = {
    event: [role for role, interests in INTERESTS.items() if event in interests]
    for event in dict.fromkeys(event for interests in INTERESTS.values() for event in interests)
}
"""The roles that read each event."""


class SortedLog(Log):
    """A log that notes, for each role, the events that it reads."""

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
    """A reader of the log without needless steps.

    It skips events that the reader does not read, steps in which there is nothing else, and most of the pauses in which
    a reader would only save its position; after a restart it therefore repeats more. Once the reader has passed
    `wanted`, nothing up to the end of the log is left for it.
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
        self.events: list[Recorded] = []  # events that this reader reads, since the log begins
        self.positions: list[int] = []
        reader.feed = self
        log.readers[self.name] = self

    def read(self, after: int, limit: int) -> Sequence[Recorded]:
        if after < self.log.begins:
            return self.log.read(after, limit)
        seen = bisect_right(self.positions, after)
        return self.events[seen : seen + limit]

    def next_of(self, after: int, interests: Interests, limit: int, bound: Bound) -> Next | None:
        return next_among(self.read(after, self.ready_max), after, interests, limit, bound)

    def step(self) -> int:
        taken = self.reader.step()
        held = isinstance(self.reader, GatewayWorker) and self.reader.held
        self.stirred = bool(held) or self.reader.seen < self.wanted
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
        """Begin at the stored position; events before the beginning of the cached log may still be for this reader."""
        self.reader.seek()
        self.wanted = max(self.wanted, self.log.begins)
        self.stirred = self.reader.seen < self.wanted


class AwakeChain(Chain):
    """A chain that skips the attempt if no reader has anything to do."""

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
    """A chain that skips the attempt if nothing has come, and this node has appended nothing."""

    groups: Sequence[AwakeGroup]

    @property
    def stirred(self) -> bool:
        return any(group.group.stirred for group in self.groups) or super().stirred


class AwakeIntake(IntakeWorker):
    """An intake that skips steps without input."""

    source: MemoryCallbacks

    @property
    def stirred(self) -> bool:
        return self.source.has_more(self.intake.seen)


class AwakeTicker(Ticker):
    """A ticker that does not look at the deadlines again too soon."""

    @property
    def stirred(self) -> bool:
        return self.timing.monotonic() - self._looked >= TICK_SECONDS


class AwakeSealer(Sealer):
    """A sealer that skips the look at a log that is sealed to its end."""

    sealing: MemorySealing

    @property
    def stirred(self) -> bool:
        due = self.timing.monotonic() - self._looked >= SEAL_SECONDS
        return due and self.sealing.sealed.head.position < self.sealing.database.end


class AwakeRelay(Relay):
    """A relay that skips queries that would find nothing to publish."""

    database: Database
    publishers: Sequence[EventPublisher]

    @property
    def stirred(self) -> bool:
        session = self.leadership.session
        if session is None or not self._begun or session.ended():
            return True
        return any(publisher.position < self.database.end for publisher in self.publishers)


class AwakeLoop(Loop):
    """A loop in which a reader without work takes no step. `rests`: whether passed positions are saved now."""

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
    """A group worker that skips steps in which neither its group nor its feeds give it anything to do."""

    group: MemoryGroup
    database: Database
    still = False
    moves = NEVER  # the number of position changes at its last step: whatever it waits for comes with a change

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
        if not taken and not any(
            isinstance(share, EventTask) and share.reader.is_due() for share in self.tasks.values()
        ):
            self.moves = moves
            self.still = not any(share.waiting() for share in self.tasks.values())
        return taken

    def _step(self, topic_partition: TopicPartition, share: PartitionTask) -> int:
        return 0 if _is_done(share) else super()._step(topic_partition, share)

    def _throttle(self) -> None:
        """Do nothing unless it is stopped: no scenario has so much input that reading must pause."""
        if self.stopped:
            super()._throttle()

    def seek(self) -> None:
        self.still = False
        self.moves = NEVER
        super().seek()


def _is_done(share: PartitionTask) -> bool:
    """Return whether a step would find nothing to read and nothing to save. After an outage a reader may be behind what
    its feed has given it already."""
    if isinstance(share, EventTask):
        feed, reader = share.feed, share.reader
        return not feed.waiting() and reader.seen <= reader.saved and reader.seen >= feed.end
    return not share.waiting()
