"""What a role reads of one partition: events in their order, with what is missing read from the store."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import structlog

from oms_es.kafka.client import Message, TopicPartition
from oms_es.kafka.cloudevents import CloudEventsCodec, partition_for_stream, position_of
from oms_es.kafka.groups.reading import Unreadable
from oms_es.kernel import Recorded
from oms_es.processing.readers import FeedReader
from oms_es.store.encoding.codec import Codec
from oms_es.store.log import READ_MAX, Bound, Interests, Next, next_among
from oms_es.store.recorder import Move, PositionLost, Recording

log = structlog.get_logger(__name__)

BUFFERED_MAX = 8_000
"""Messages that wait in a partition's buffer before no more are fetched for it."""

WAIT_SECONDS = 0.05
"""How long a process that has nothing to do waits for its clients to ring before it looks by itself."""

PENDING_WAIT_SECONDS = 0.005
"""The same for one that has something to do as soon as others, who do not ring, have come as far."""

Backfill = Callable[[TopicPartition, int, int], Iterable[Recorded]]


class Membership(Protocol):
    """What a role needs of its consumer group: of Kafka's, or of a simulation of it."""

    name: str

    @property
    def topics(self) -> Sequence[str]: ...

    @property
    def joined(self) -> bool: ...

    @property
    def calls(self) -> bool: ...

    def poll(self) -> dict[TopicPartition, list[Message]]: ...

    def changes(self) -> list[tuple[bool, frozenset[TopicPartition]]]: ...

    def seek(self, topic_partition: TopicPartition, offset: int) -> None: ...

    def pause(self, topic_partitions: Iterable[TopicPartition]) -> None: ...

    def resume(self, topic_partitions: Iterable[TopicPartition]) -> None: ...

    def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None: ...

    def failures(self) -> Mapping[TopicPartition, Unreadable]: ...

    def reached(self, topic_partition: TopicPartition) -> int | None: ...

    def behind(self, topic_partition: TopicPartition) -> int | None: ...

    @property
    def missing(self) -> Sequence[str]: ...

    def close(self) -> None: ...


class FetchSignal:
    """What a loop waits for whose clients fetch on threads of their own: they ring when something has come in."""

    def __init__(self, has_pending: Callable[[], bool]) -> None:
        self.has_pending = has_pending
        self._notified = threading.Event()

    def notify(self) -> None:
        self._notified.set()

    def wait(self, seconds: float) -> bool:
        notified = self._notified.wait(min(seconds, PENDING_WAIT_SECONDS if self.has_pending() else WAIT_SECONDS))
        self._notified.clear()
        return notified


class PartitionTask(Protocol):
    """What a role does with one partition."""

    def begin(self) -> int | None:
        """Go where the stored position is; the offset to read from, where that is known. Raises Unreadable."""

    def put(self, messages: Sequence[Message]) -> None: ...

    def step(self) -> int: ...

    def unsaved(self) -> Sequence[Move]: ...

    def was_saved(self, move: Move, /) -> None: ...

    def passed(self, offset: int, /) -> None:
        """Every message before this offset has been given to us."""

    def waiting(self) -> int:
        """Messages that are not done yet."""

    def may_go_on(self) -> bool:
        """Whether a step may find something to do, after one that found nothing."""

    def done(self) -> int | None:
        """The offset up to which everything is processed; None if it has not moved."""

    @property
    def position(self) -> int:
        """Where it stands."""


class PartitionFeed:
    """The events of one partition: in order, each once, none missing."""

    def __init__(
        self,
        topic_partition: TopicPartition,
        cloudevents: CloudEventsCodec,
        backfill: Backfill,
        appended: Callable[[Sequence[Recorded]], None] = lambda _recorded: None,
    ) -> None:
        """`appended` is given what this process has appended, which also comes back by way of the topics."""
        self.notify_appended = appended
        self.topic_partition = topic_partition
        self.suffix = f"@{topic_partition}"
        self.cloudevents = cloudevents
        self.backfill = backfill
        self.end = 0  # everything up to here was given out, or is about to be
        self._messages: deque[Message] = deque()
        self._events: deque[Recorded] = deque()
        self._gap: Iterator[Recorded] | None = None
        self._gap_begin = self._gap_end = 0
        self._dropped = 0  # up to here it was done, as far as was known
        self._offsets: deque[tuple[int, int]] = deque()  # (position, the offset after it), oldest first

    def begin(self, position: int) -> None:
        """Give everything after a position, also what was given before: a crash of the database takes back positions
        past events of no interest. And nothing before it: others have taken it meanwhile."""
        end = self.end if self._gap is None else max(self.end, self._gap_end)
        if position < self._dropped:
            self._events.clear()
            self._dropped = position
            self._read_from_the_store(position, end)
        elif self._gap is not None and position >= self._gap_end:
            self._gap, self.end = None, end
        elif self._gap is not None and position > self._gap_begin:
            self._read_from_the_store(position, self._gap_end)
        self.end = max(self.end, position)
        self._dropped = max(self._dropped, position)

    def put(self, messages: Sequence[Message]) -> None:
        self._messages.extend(messages)

    def read(self, after: int, limit: int) -> Sequence[Recorded]:
        events = self._events
        self._drop(after)
        while len(events) < limit and (self._gap or self._messages):
            self._next()
            self._drop(after)
        return [events[i] for i in range(min(limit, len(events)))]

    def next_of(self, after: int, interests: Interests, limit: int, bound: Bound) -> Next | None:
        return next_among(self.read(after, READ_MAX), after, interests, limit, bound)

    def _drop(self, after: int) -> None:
        while self._events and self._events[0].position <= after:
            self._dropped = max(self._dropped, self._events.popleft().position)

    def catch_up(self, position: int) -> None:
        """Read events from the store that the topic should have had up to a position."""
        if self._gap is None and not self._messages:
            self._read_from_the_store(self.end, position)

    def waiting(self) -> int:
        return len(self._messages) + len(self._events)

    def has_more(self) -> bool:
        return bool(self._messages or self._events) or self._gap is not None

    def done(self, position: int) -> int | None:
        """The offset after the last message up to this position, once."""
        found = None
        while self._offsets and self._offsets[0][0] <= position:
            found = self._offsets.popleft()[1]
        return found

    def _next(self) -> None:
        """Take the next event, from the store while events are missing; drop it if it is a repeat."""
        if self._gap is not None:
            try:
                found = next(self._gap, None)
            except BaseException:  # an iterator that has raised is at its end, and the gap is not
                self._read_from_the_store(self._gap_begin, self._gap_end)
                raise
            if found is None:
                self._gap, self.end = None, max(self.end, self._gap_end)
            else:
                self._gap_begin = found.position
                self._events.append(found)
            return
        message = self._messages[0]
        position, previous = position_of(message)
        if self.end < previous:
            log.warning(
                "messages are missing, read from the store",
                topic_partition=str(self.topic_partition),
                after=self.end,
                to=previous,
            )
            self._read_from_the_store(self.end, previous)
            return
        if position > self.end:
            self._events.append(self.cloudevents.recorded(message))
            self.end = position
        self._messages.popleft()
        self._offsets.append((position, message.offset + 1))

    def _read_from_the_store(self, after: int, to: int) -> None:
        self._gap, self._gap_begin, self._gap_end = iter(self.backfill(self.topic_partition, after, to)), after, to


def missing(
    recorder: Recording,
    codec: Codec,
    partitions: Mapping[str, int],
    topic_partition: TopicPartition,
    after: int,
    to: int,
) -> Iterator[Recorded]:
    """The partition's events after one position up to another, from the log itself."""
    while after < to:
        rows = recorder.after(after, READ_MAX, stop=to)
        for row in rows:
            if partition_for_stream(str(row.originator_id), partitions) == topic_partition:
                yield codec.decode(row, row.id)
        after = rows[-1].id if rows else to


class EventTask:
    """A consumer, projection or gateway on one partition."""

    def __init__(
        self, feed: PartitionFeed, reader: FeedReader, published: Callable[[TopicPartition], int] = lambda _place: 0
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

    def unsaved(self) -> Sequence[Move]:
        """Others wait for rows up to here: what was passed without interest is saved as soon as there is time."""
        return self.reader.unsaved()

    def was_saved(self, move: Move, /) -> None:
        self.reader.was_saved(move)

    def passed(self, _offset: int, /) -> None:
        """The topic holds nothing more. What was published before the last look and has not come is not there."""
        if self._published > self.feed.end:
            log.warning(
                "the topic has lost messages, read from the store", topic_partition=str(self.feed.topic_partition)
            )
            self.feed.catch_up(self._published)
        self._published = self.published(self.feed.topic_partition)

    def waiting(self) -> int:
        return self.feed.waiting()

    def may_go_on(self) -> bool:
        return self.feed.has_more() or self.reader.is_due()

    def done(self) -> int | None:
        return self.feed.done(self.reader.saved)

    @property
    def position(self) -> int:
        return self.reader.saved
