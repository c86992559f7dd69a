"""A poll is a transaction: what came for all roles of a worker, and what follows from it, committed together.

Invariant: a chain takes an event for a role only where this worker has the event's partition, and has taken everything
of that partition before it. What lies between two messages, or between the newest message and what this worker has
appended itself, is read from the log. What cannot be taken so is left to the steps of each role.

Facts are complete only where this worker has every partition of the read models that are asked: elsewhere those who ask
take steps of their own, which wait until the facts are as new as the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from oms_es.kafka.client import TopicPartition
from oms_es.kafka.cloudevents import partition_for_stream
from oms_es.kafka.groups.feeds import EventTask, PartitionFeed
from oms_es.kafka.groups.group_worker import GroupWorker
from oms_es.kafka.groups.watermark import Relayed
from oms_es.kernel import Event, GatewayUnavailable, Recorded
from oms_es.processing.chain import NEW_MAX, Chain, Interested, Links, interested_of
from oms_es.processing.readers import ConsumerWorker, FeedReader, ProjectionWorker
from oms_es.store.log import Log
from oms_es.store.store import Store

NO_ONE = Interested((), ())
GROUP_NEW_MAX = 1_000
"""Events that a chain of one worker begins with, where no others hinder it: taken in steps they would be a transaction
for each role and each partition."""
GROUP_FOLLOWING_MAX = 5_000
"""Events decided in one such chain."""


class Known(NamedTuple):
    """A reader that has come to `seen` has taken everything of its partition up to `position` of the log."""

    seen: int
    position: int


class GroupChain(Chain):
    """`groups`: of the consumers, and of the read models of facts, that this worker runs.

    `relayed` says how far the relay has come; `topics`: how many partitions each has that the relay publishes.
    """

    def __init__(
        self,
        groups: Sequence[GroupWorker],
        store: Store,
        feed: Log,
        relayed: Callable[[], Relayed],
        topics: Callable[[], Mapping[str, int]],
        new_max: int = GROUP_NEW_MAX,
        following_max: int = GROUP_FOLLOWING_MAX,
        name: str = "chain",
    ) -> None:
        super().__init__((), (), store, feed, new_max, following_max, name)
        self._limits = min(NEW_MAX, new_max), new_max
        self.groups = groups
        self.relayed = relayed
        self.topics = topics
        self._partitions: Mapping[str, int] = {}
        self._feeds: dict[FeedReader, PartitionFeed] = {}
        self._places: dict[TopicPartition, tuple[list[ConsumerWorker], list[ProjectionWorker]]] = {}
        self._known: dict[FeedReader, Known] = {}
        self._end = 0  # of what this worker has appended, when it was last looked

    def step(self) -> int:
        with suppress(GatewayUnavailable):  # brokers that do not answer are for each group to meet
            for group in self.groups:
                group.receive()
        if not self.stirred or not self._gather():
            return 0
        self.feed.refresh()
        taken = super().step()
        self._end = self.feed.end
        return taken

    @property
    def stirred(self) -> bool:
        """Whether messages have come, or this worker has appended anything."""
        return self.feed.end > self._end or any(group.has_pending for group in self.groups)

    def commit(self, links: Links) -> None:
        super().commit(links)
        self.new_max = min(2 * self.new_max, self._limits[1])

    def was_overtaken(self) -> None:
        """The less is decided at once, the less is in vain, and the sooner it is done."""
        self.new_max = max(self.new_max // 2, self._limits[0])

    def begin(self) -> int:
        begin = super().begin()
        if self.feed.end - begin > self.new_max:
            self._ask_the_relay()
            begin = super().begin()
        return begin

    def position(self, reader: FeedReader) -> int:
        known = self._known.get(reader)
        return known.position if known and known.seen <= reader.seen < known.position else reader.seen

    def passed(self, reader: FeedReader, position: int) -> None:
        """One to which nothing was of interest does not move: there would be a position to save for each."""
        self._known[reader] = Known(reader.seen, position)
        self._feeds[reader].begin(reader.seen)

    def interested(self, recorded: Recorded) -> Interested:
        """The readers of this worker that own the event's partition."""
        kind = type(recorded.event)
        if not any(kind in interests for interests in self._interests):
            return NO_ONE
        topic_partition = partition_for_stream(recorded.stream, self._partitions)
        key = kind, topic_partition
        if key not in self._interested:
            self._interested[key] = interested_of(kind, *self._places.get(topic_partition, ((), ())))
        return self._interested[key]

    def seek(self) -> None:
        for group in self.groups:
            group.seek()

    def _gather(self) -> bool:
        """Collect the current participants, as partitions come and go. False if there are none."""
        self._learn_the_topics()
        facts = frozenset(group.name for group in self.groups if self._is_whole(group))
        tasks = {
            task.reader: (topic_partition, task.feed)
            for group in self.groups
            for topic_partition, task in group.tasks.items()
            if isinstance(task, EventTask) and topic_partition not in group.stopped and _may(task.reader, facts)
        }
        if list(tasks) != list(self.readers):
            self.readers = list(tasks)
            self.consumers = [reader for reader in tasks if isinstance(reader, ConsumerWorker)]
            self.projections = [reader for reader in tasks if isinstance(reader, ProjectionWorker)]
            self._feeds = {reader: feed for reader, (_, feed) in tasks.items()}
            self._known = {reader: known for reader, known in self._known.items() if reader in tasks}
            self._places = {}
            for reader, (topic_partition, _) in tasks.items():
                consumers, projections = self._places.setdefault(topic_partition, ([], []))
                if isinstance(reader, ConsumerWorker):
                    consumers.append(reader)
                elif isinstance(reader, ProjectionWorker):
                    projections.append(reader)
            self._interests: set[frozenset[type[Event]]] = {reader.interests for reader in tasks}
            self._interested.clear()
        return bool(self.consumers)

    def _learn_the_topics(self) -> None:
        """Their partitions never change; a topic may not have been published yet."""
        if any(topic not in self._partitions for group in self.groups for topic in group.group.topics):
            self._partitions = self.topics()

    def _is_whole(self, group: GroupWorker) -> bool:
        """Whether it has every partition, none of which had to stop."""
        wanted = [self._partitions.get(topic) for topic in group.group.topics]
        return None not in wanted and len(group.tasks) == sum(filter(None, wanted)) and not group.stopped

    def _ask_the_relay(self) -> None:
        """A reader that has had the last message of its partition has had everything that is relayed."""
        relayed = self.relayed()
        for topic_partition, readers in self._places.items():
            for reader in _each(readers):
                if topic_partition in relayed.last and reader.seen >= relayed.last[topic_partition]:
                    self._know(reader, relayed.position)

    def _know(self, reader: FeedReader, position: int) -> None:
        if position > self.position(reader):
            self._known[reader] = Known(reader.seen, position)


def _each(readers: tuple[Sequence[FeedReader], Sequence[FeedReader]]) -> Iterator[FeedReader]:
    for some in readers:
        yield from some


def _may(reader: FeedReader, facts: frozenset[str]) -> bool:
    return not isinstance(reader, ConsumerWorker) or reader.lookup_projections <= facts
