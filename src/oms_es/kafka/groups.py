"""A role on Kafka: its share of the partitions, which comes and goes while it works.

Invariant: the position of a partition is kept in PostgreSQL in the transaction of its effects, and is the log's, not
Kafka's; the committed offset is only where to begin to read. What is read again is skipped, and what is missing between
two messages (the chain of predecessors tells) is read from the store. A worker that lost its partition without knowing
it finds the position moved, and none of its effects are kept.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import structlog
from prometheus_client import Gauge

from oms_es.kafka.client import Message, Place
from oms_es.kafka.cloudevents import Wire, place_of, position_of
from oms_es.kafka.reading import Unreadable
from oms_es.kernel import GatewayUnavailable, Recorded
from oms_es.processing import metrics
from oms_es.processing.loop import FeedReader
from oms_es.store.codec import Codec
from oms_es.store.log import READ_MAX
from oms_es.store.recorder import PositionLost, Recording
from oms_es.store.store import OUTAGES

BUFFERED_MAX = 8_000
"""Messages that wait in a partition's buffer before no more are fetched for it."""
WAIT_SECONDS = 0.05
"""How long a process that has nothing to do waits for its clients to ring before it looks by itself."""
HUNGRY_SECONDS = 0.005
"""The same for one that has something to do as soon as others, who do not ring, have come as far."""
MEASURE_SECONDS = 1.0
"""How often it is measured how far each partition is behind."""
ATTEND_SECONDS = 1.0
"""How long a group that calls waits at most, beside the batch in hand: much less than the shortest session."""

log = structlog.get_logger(__name__)
Refill = Callable[[Place, int, int], Iterable[Recorded]]


class Membership(Protocol):
    """What a role needs of its consumer group: of Kafka's, or of a simulation of it."""

    name: str

    @property
    def joined(self) -> bool: ...

    @property
    def calls(self) -> bool: ...

    def poll(self) -> dict[Place, list[Message]]: ...

    def changes(self) -> list[tuple[bool, frozenset[Place]]]: ...

    def seek(self, place: Place, offset: int) -> None: ...

    def pause(self, places: Iterable[Place]) -> None: ...

    def resume(self, places: Iterable[Place]) -> None: ...

    def hint(self, offsets: Mapping[Place, int]) -> None: ...

    def failures(self) -> Mapping[Place, Unreadable]: ...

    def reached(self, place: Place) -> int | None: ...

    def behind(self, place: Place) -> int | None: ...

    @property
    def missing(self) -> Sequence[str]: ...

    def close(self) -> None: ...


class FetchBell:
    """What a loop waits for whose clients fetch on threads of their own: they ring when something has come in."""

    def __init__(self, hungry: Callable[[], bool]) -> None:
        self.hungry = hungry
        self._rang = threading.Event()

    def ring(self) -> None:
        self._rang.set()

    def wait(self, seconds: float) -> bool:
        rang = self._rang.wait(min(seconds, HUNGRY_SECONDS if self.hungry() else WAIT_SECONDS))
        self._rang.clear()
        return rang


class Attendance:
    """Answers for every group of a process that calls while others work.

    From when a join has ended to the next poll the library sends no heartbeat: a member whose turn took longer than its
    session would be thought dead, join again, and be thought dead again.
    """

    def __init__(self) -> None:
        self.workers: Sequence[GroupWorker] = ()
        self._looked = 0.0

    def __call__(self) -> None:
        if time.monotonic() - self._looked < ATTEND_SECONDS:
            return
        for worker in self.workers:
            if worker.group.calls:
                worker.answer()
        self._looked = time.monotonic()


class Share(Protocol):
    """What a role does with one partition."""

    def begin(self) -> int | None:
        """Go where the stored position is; the offset to read from, where that is known. Raises Unreadable."""

    def put(self, messages: Sequence[Message]) -> None: ...

    def step(self) -> int: ...

    def rest(self) -> None: ...

    def passed(self, offset: int, /) -> None:
        """Everything before this offset was given to us, and nothing more is there."""

    def waiting(self) -> int:
        """Messages that are not done yet."""

    def done(self) -> int | None:
        """The offset that is done with all before it; None if it has not moved."""

    @property
    def position(self) -> int:
        """Where it stands."""


class PartitionFeed:
    """The events of one partition: in order, each once, none missing."""

    ready_max = READ_MAX

    def __init__(self, place: Place, wire: Wire, refill: Refill) -> None:
        self.place = place
        self.suffix = f"@{place}"
        self.wire = wire
        self.refill = refill
        self.end = 0  # everything up to here was given out, or is about to be
        self._messages: deque[Message] = deque()
        self._events: deque[Recorded] = deque()
        self._gap: Iterator[Recorded] | None = None
        self._gap_begin = self._gap_end = 0
        self._dropped = 0  # up to here it was done, as far as was known
        self._offsets: deque[tuple[int, int]] = deque()  # (position, the offset after it), oldest first

    def begin(self, position: int) -> None:
        """Give everything after a position, also what was given before: a crash of the database takes back positions
        past events of no interest."""
        if position < self._dropped:
            end = self.end if self._gap is None else self._gap_end
            self._events.clear()
            self._dropped = position
            self._read_from_the_store(position, end)
        self.end = max(self.end, position)

    def put(self, messages: Sequence[Message]) -> None:
        self._messages.extend(messages)

    def read(self, after: int, limit: int) -> Sequence[Recorded]:
        events = self._events
        while events and events[0].position <= after:
            self._dropped = events.popleft().position
        while len(events) < limit and (self._gap or self._messages):
            self._next()
        return [events[i] for i in range(min(limit, len(events)))]

    def offer(self, recorded: Sequence[Recorded]) -> None:
        """What this process appends comes back by way of the topics."""

    def catch_up(self, position: int) -> None:
        """Give what the topic should have had up to a position."""
        if self._gap is None and not self._messages:
            self._read_from_the_store(self.end, position)

    def waiting(self) -> int:
        return len(self._messages) + len(self._events)

    def done(self, position: int) -> int | None:
        """The offset after the last message up to this position, once."""
        found = None
        while self._offsets and self._offsets[0][0] <= position:
            found = self._offsets.popleft()[1]
        return found

    def _next(self) -> None:
        """One event more, from the store while something is missing, or one repeat less."""
        if self._gap is not None:
            try:
                found = next(self._gap, None)
            except BaseException:  # an iterator that has raised is at its end, and the gap is not
                self._read_from_the_store(self._gap_begin, self._gap_end)
                raise
            if found is None:
                self._gap, self.end = None, self._gap_end
            else:
                self._gap_begin = found.position
                self._events.append(found)
            return
        message = self._messages[0]
        position, previous = position_of(message)
        if self.end < previous:
            log.warning("messages are missing, read from the store", place=str(self.place), after=self.end, to=previous)
            self._read_from_the_store(self.end, previous)
            return
        if position > self.end:
            self._events.append(self.wire.recorded(message))
            self.end = position
        self._messages.popleft()
        self._offsets.append((position, message.offset + 1))

    def _read_from_the_store(self, after: int, to: int) -> None:
        self._gap, self._gap_begin, self._gap_end = iter(self.refill(self.place, after, to)), after, to


def missing(
    recorder: Recording, codec: Codec, partitions: Mapping[str, int], place: Place, after: int, to: int
) -> Iterator[Recorded]:
    """The partition's events after one position up to another, from the log itself."""
    while after < to:
        rows = recorder.after(after, READ_MAX, stop=to)
        for row in rows:
            if place_of(str(row.originator_id), partitions) == place:
                yield codec.decode(row, row.id)
        after = rows[-1].id if rows else to


class EventShare:
    """A consumer, projection or gateway on one partition."""

    def __init__(
        self, feed: PartitionFeed, reader: FeedReader, published: Callable[[Place], int] = lambda _place: 0
    ) -> None:
        """`published`: up to which position the relay has published in a partition."""
        self.feed = feed
        self.reader = reader
        self.published = published
        self._published = 0  # when it was last looked

    def begin(self) -> None:
        self.reader.seek()
        self.feed.begin(self.reader.seen)

    def put(self, messages: Sequence[Message]) -> None:
        self.feed.put(messages)

    def step(self) -> int:
        try:
            return self.reader.take_next()
        except PositionLost as lost:
            log.warning("position moved by another worker, seeking", consumer=self.reader.name, reason=str(lost))
            self.begin()
            return 1

    def rest(self) -> None:
        """Others wait for facts up to here: what was passed without interest is saved as soon as there is time."""
        try:
            self.reader.rest()
        except PositionLost:
            self.begin()

    def passed(self, _offset: int, /) -> None:
        """The topic holds nothing more. What was published before the last look and has not come is not there."""
        if self._published > self.feed.end:
            log.warning("the topic has lost messages, read from the store", place=str(self.feed.place))
            self.feed.catch_up(self._published)
        self._published = self.published(self.feed.place)

    def waiting(self) -> int:
        return self.feed.waiting()

    def done(self) -> int | None:
        return self.feed.done(self.reader.saved)

    @property
    def position(self) -> int:
        return self.reader.saved


class GroupWorker:
    """A participant of the loop: one role, on whichever partitions its group gives it."""

    def __init__(
        self,
        group: Membership,
        share_of: Callable[[Place], Share],
        batch_max: int,
        attend: Callable[[], None] = lambda: None,
    ) -> None:
        """`attend` is called between two batches: a turn of many roles takes longer than a group waits for anybody."""
        self.attend = attend
        self.name = group.name
        self.batch_max = batch_max
        self.group = group
        self.share_of = share_of
        self.shares: dict[Place, Share] = {}
        self.stopped: dict[Place, BaseException] = {}
        self._gauges: dict[Place, tuple[Gauge, Gauge]] = {}
        self._paused: set[Place] = set()
        self._changes: deque[tuple[bool, Place]] = deque()
        self._inbox: dict[Place, list[Message]] = {}
        self._unreadable: dict[Place, Unreadable] = {}
        self._measured = 0.0

    def step(self) -> int:
        self.answer()
        self._follow_the_group()
        self._sort_the_inbox()
        self._measure()
        taken = sum(self._step(place, share) for place, share in self.shares.items())
        self._throttle()
        return taken

    def answer(self) -> None:
        """Be there for the group, and take what has come."""
        for place, messages in self.group.poll().items():
            self._inbox.setdefault(place, []).extend(messages)
        self._unreadable.update(self.group.failures())

    def rest(self) -> None:
        """What was passed is saved as it goes."""

    @property
    def hungry(self) -> bool:
        """Whether something was read that may not be done yet."""
        return any(share.waiting() for place, share in self.shares.items() if place not in self.stopped)

    def seek(self) -> None:
        for share in self.shares.values():
            share.begin()

    def close(self) -> None:
        self.group.close()

    def _follow_the_group(self) -> None:
        """One place at a time: what fails on the way, as while the database is away, is done the next time."""
        self._changes.extend((given, place) for given, places in self.group.changes() for place in sorted(places))
        while self._changes:
            given, place = self._changes[0]
            self._drop(place)
            if given:
                self._begin(place)
            self._changes.popleft()
            log.info("partition given" if given else "partition taken", consumer=self.name, place=str(place))
            metrics.PARTITIONS.labels(self.name).set(len(self.shares))

    def _drop(self, place: Place) -> None:
        if self.shares.pop(place, None) is not None:
            self._forget(place)
        self.stopped.pop(place, None)
        self._unreadable.pop(place, None)
        metrics.STOPPED.labels(self.name).set(len(self.stopped))
        self._paused.discard(place)

    def _sort_the_inbox(self) -> None:
        """What came of a partition that is not ours any more is somebody else's."""
        for place, messages in self._inbox.items():
            if share := self.shares.get(place):
                share.put(messages)
        self._inbox.clear()

    def _forget(self, place: Place) -> None:
        """What another process has now is not ours to report."""
        for gauge in (metrics.POSITION, metrics.LAG):
            gauge.remove(self.name, place)

    def _begin(self, place: Place) -> None:
        share = self.share_of(place)
        try:
            self._go_to(place, share)
        except Unreadable as error:
            self._stop(place, error)
        self.shares[place] = share
        self._gauges[place] = (metrics.POSITION.labels(self.name, place), metrics.LAG.labels(self.name, place))

    def _go_to(self, place: Place, share: Share) -> None:
        offset = share.begin()
        if offset is not None:
            self.group.seek(place, offset)
            self._inbox.pop(place, None)  # it was fetched from elsewhere

    def _step(self, place: Place, share: Share) -> int:
        if place in self.stopped:
            return 0
        if place in self._unreadable and not share.waiting():
            self._stop(place, self._unreadable.pop(place))
            return 0
        before = share.position
        try:
            with metrics.timed(self.name) as told:
                taken = share.step()
                told(taken)
            if not taken:
                share.rest()
        except GatewayUnavailable:
            raise
        except OUTAGES:
            raise
        except PositionLost as lost:
            log.warning("position moved by another worker, seeking", consumer=self.name, reason=str(lost))
            return self._again(place, share)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other partitions go on
            self._stop(place, error)
            return 0
        if (offset := share.done()) is not None:
            self.group.hint({place: offset})
            self._gauges[place][0].set(share.position)
        if taken:
            self.attend()
        return taken or int(share.position > before)

    def _again(self, place: Place, share: Share) -> int:
        try:
            self._go_to(place, share)
        except Unreadable as error:
            self._stop(place, error)
        return 1

    def _stop(self, place: Place, error: BaseException) -> None:
        self.stopped[place] = error
        metrics.STOPPED.labels(self.name).set(len(self.stopped))
        log.critical(
            "partition stopped: repair the cause, then start again",
            consumer=self.name,
            place=str(place),
            error=f"{type(error).__name__}: {error}",
        )

    def _measure(self) -> None:
        """How far each partition is behind, now and then: what has come counts, and what is still to come."""
        if time.monotonic() - self._measured < MEASURE_SECONDS:
            return
        self._measured = time.monotonic()
        for place, share in self.shares.items():
            waiting = share.waiting() + len(self._inbox.get(place, ()))
            behind, reached = self.group.behind(place), self.group.reached(place)
            if behind is not None:
                self._gauges[place][1].set(behind + waiting)
            if place not in self.stopped and not waiting and not behind and reached is not None:
                self._pass(place, share, reached)

    def _pass(self, place: Place, share: Share, reached: int) -> None:
        try:
            share.passed(reached)
        except PositionLost:
            self._again(place, share)
        except Unreadable as error:
            self._stop(place, error)

    def _throttle(self) -> None:
        full = {p for p, share in self.shares.items() if share.waiting() > BUFFERED_MAX or p in self.stopped}
        if full != self._paused:
            self.group.pause(full - self._paused)
            self.group.resume(self._paused - full)
            self._paused = full
