"""Kafka in memory, as far as the engine uses it: partitions, groups that rebalance, repeated messages, lost
acknowledgements.

Invariant: a partition keeps the order in which messages were appended, and every message that was acknowledged, until
its retention is over.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from oms_es.kafka.client import Header, KafkaUnavailable, Message, Outgoing, Topic, TopicPartition
from oms_es.kafka.groups.reading import Unreadable
from oms_es.memory.client import outage
from oms_es.simulation.nodes.node import Node

MESSAGES_PER_POLL_MAX = 500
SESSION_SECONDS = 10.0
"""How long a group waits for a member that is silent."""


def given(headers: Sequence[Header]) -> dict[str, bytes]:
    return {name: value for name, value in headers if value is not None}


class Partition:
    def __init__(self, topic_partition: TopicPartition) -> None:
        self.topic_partition = topic_partition
        self.base = 0  # the offset of the oldest message that is kept
        self.messages: list[Message] = []

    @property
    def end(self) -> int:
        return self.base + len(self.messages)

    def append(self, key: bytes, value: bytes | None, headers: Sequence[Header]) -> Message:
        message = Message(self.topic_partition, self.end, key, value, given(headers), headers)
        self.messages.append(message)
        return message

    def read(self, offset: int, limit: int) -> list[Message]:
        first = max(0, offset - self.base)
        return self.messages[first : first + limit]

    def forget(self, offset: int) -> None:
        """Apply retention: drop messages before the offset."""
        if offset > self.base:
            del self.messages[: offset - self.base]
            self.base = offset


class Broker:
    """The broker. `on_append` gets every message when it is stored."""

    def __init__(self, topics: Iterable[Topic], on_append: Callable[[Message], None]) -> None:
        self.partitions = {
            topic.name: [Partition(TopicPartition(topic.name, number)) for number in range(topic.partitions)]
            for topic in topics
        }
        self.on_append = on_append
        self.groups: dict[str, Members] = {}
        self.away_until = 0.0
        self.readers: dict[str, list[Node]] = defaultdict(list)

    def touch(self, node: Node) -> None:
        node.touch(KafkaUnavailable)
        self.answer(node)

    def answer(self, node: Node) -> None:
        if self.away_until and node.simulation.scheduler.now < self.away_until:
            raise outage(KafkaUnavailable, "the brokers are away")

    def append(
        self, topic_partition: TopicPartition, key: bytes, value: bytes | None, headers: Sequence[Header]
    ) -> None:
        self.on_append(self.partitions[topic_partition.topic][topic_partition.partition].append(key, value, headers))
        for members in self.groups.values():
            if topic_partition in members.owners:
                members.owners[topic_partition].stirred = True
        for node in self.readers[topic_partition.topic]:
            node.wake()

    def members(self, group: str, topics: Sequence[str]) -> Members:
        if group not in self.groups:
            self.groups[group] = Members([p for topic in topics for p in self.partitions[topic]])
        return self.groups[group]

    def expel(self, node: Node) -> None:
        """Remove a node from every group: they have waited for it long enough."""
        for members in self.groups.values():
            members.leave([group for group in members.joined if group.node is node])


class Members:
    """The members of a group, and the owner of each partition."""

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self.partitions = {partition.topic_partition: partition for partition in partitions}
        self.joined: list[MemoryGroup] = []
        self.owners: dict[TopicPartition, MemoryGroup] = {}
        self.committed: dict[TopicPartition, int] = {}

    def join(self, group: MemoryGroup) -> None:
        self.joined.append(group)
        self._share_out()

    def leave(self, gone: Sequence[MemoryGroup]) -> None:
        left = [group for group in self.joined if group not in gone]
        if len(left) < len(self.joined):
            for group in gone:
                group.stirred = True  # the member finds out at its next call, and joins again
            self.joined = left
            self._share_out()

    def _share_out(self) -> None:
        """Assign the partitions. A member keeps a partition unless another member would then have fewer than a fair
        share."""
        topic_partitions, joined = sorted(self.partitions), self.joined
        fair = -(-len(topic_partitions) // len(joined)) if joined else 0
        counts = dict.fromkeys(joined, 0)
        owners: dict[TopicPartition, MemoryGroup] = {}
        for topic_partition in topic_partitions:
            kept = self.owners.get(topic_partition)
            if kept in counts and counts[kept] < fair:
                owners[topic_partition] = kept
                counts[kept] += 1
        for topic_partition in topic_partitions:
            if topic_partition not in owners and joined:
                owners[topic_partition] = min(joined, key=counts.__getitem__)
                counts[owners[topic_partition]] += 1
        for topic_partition in topic_partitions:
            before, now = self.owners.get(topic_partition), owners.get(topic_partition)
            if before is not now:
                if before is not None:
                    before.notify(False, topic_partition)
                if now is not None:
                    now.notify(True, topic_partition)
                    now.node.wake()
        self.owners = owners


class MemoryGroup:
    """One member of a group, with the interface that kafka/client.py has for a broker."""

    def __init__(self, node: Node, broker: Broker, name: str, topics: Sequence[str]) -> None:
        self.node = node
        self.broker = broker
        self.name = name
        self.topics = topics
        self.members = broker.members(name, topics)
        self.pending: deque[tuple[bool, TopicPartition]] = deque()
        self.at: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.stirred = True  # there may be something to poll
        self._changes: list[tuple[bool, frozenset[TopicPartition]]] = []
        for topic in topics:
            if node not in broker.readers[topic]:
                broker.readers[topic].append(node)

    @property
    def joined(self) -> bool:
        return self in self.members.joined

    @property
    def calls(self) -> bool:
        """Return False: a simulated group waits for its members until they are taken to be dead."""
        return False

    def notify(self, given: bool, topic_partition: TopicPartition) -> None:  # noqa: FBT001 - as the group reports it
        self.pending.append((given, topic_partition))
        self.stirred = True

    def poll(self) -> dict[TopicPartition, list[Message]]:
        self.broker.answer(self.node)
        self.stirred = False
        try:
            return self._polled()
        except BaseException:
            self.stirred = True  # all messages are still to come
            raise

    def _polled(self) -> dict[TopicPartition, list[Message]]:
        if not self.joined:
            self.broker.touch(self.node)
            self.members.join(self)
        while self.pending:
            self._follow(*self.pending.popleft())
        found: dict[TopicPartition, list[Message]] = {}
        for topic_partition, offset in self.at.items():
            partition = self.members.partitions[topic_partition]
            if offset < partition.end and topic_partition not in self.paused:
                found[topic_partition] = partition.read(offset, MESSAGES_PER_POLL_MAX)
        if found:
            self.broker.touch(self.node)
            for topic_partition, messages in found.items():
                if topic_partition in self.at:
                    self.at[topic_partition] = messages[-1].offset + 1
                    self.stirred |= len(messages) == MESSAGES_PER_POLL_MAX
        return found

    def changes(self) -> list[tuple[bool, frozenset[TopicPartition]]]:
        changes, self._changes = self._changes, []
        return changes

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        if topic_partition in self.at:
            self.at[topic_partition] = offset
            self.stirred = True

    def pause(self, topic_partitions: Iterable[TopicPartition]) -> None:
        self.paused.update(topic_partitions)

    def resume(self, topic_partitions: Iterable[TopicPartition]) -> None:
        self.paused.difference_update(topic_partitions)
        self.stirred = True

    def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        for topic_partition, offset in offsets.items():
            if self.members.owners.get(topic_partition) is self:
                self.members.committed[topic_partition] = offset

    def failures(self) -> dict[TopicPartition, Unreadable]:
        """Return nothing: everything that is kept can be read."""
        return {}

    def reached(self, topic_partition: TopicPartition) -> int | None:
        return self.at.get(topic_partition)

    def behind(self, topic_partition: TopicPartition) -> int | None:
        return (
            self.members.partitions[topic_partition].end - self.at[topic_partition]
            if topic_partition in self.at
            else None
        )

    @property
    def missing(self) -> Sequence[str]:
        """Return nothing: every topic exists."""
        return ()

    def close(self) -> None:
        self.members.leave([self])

    def rewind(self, messages: int) -> None:
        """Go back by some messages in each partition, so that they are delivered again."""
        for topic_partition, offset in self.at.items():
            self.at[topic_partition] = max(self.members.partitions[topic_partition].base, offset - messages)
        self.stirred = True

    def _follow(self, given: bool, topic_partition: TopicPartition) -> None:  # noqa: FBT001 - as the group reports it
        if given:
            self.at[topic_partition] = self.members.committed.get(topic_partition, 0)
        else:
            self.at.pop(topic_partition, None)
            self.paused.discard(topic_partition)
        self._changes.append((given, frozenset({topic_partition})))


class MemoryPublisher:
    """A producer. Its messages may arrive in part, or arrive without an acknowledgement."""

    def __init__(self, node: Node, broker: Broker) -> None:
        self.node = node
        self.broker = broker

    def publish(self, messages: Sequence[Outgoing], meanwhile: Callable[[], None] = lambda: None) -> None:
        for topic_partition, key, value, headers in messages:
            self.broker.touch(self.node)
            self.broker.append(topic_partition, key, value, headers)
        meanwhile()
        self.node.touched(KafkaUnavailable)

    def partitions(self, topics: Sequence[str]) -> dict[str, int]:
        self.broker.touch(self.node)
        return {topic: len(self.broker.partitions[topic]) for topic in topics}

    def messages(self, partitions: Mapping[str, int]) -> dict[str, int]:
        self.broker.touch(self.node)
        return {topic: sum(partition.end for partition in self.broker.partitions[topic]) for topic in partitions}

    def discard(self) -> None:
        """Do nothing: no message waits to be sent."""

    def close(self) -> None:
        """Do nothing: no message waits to be sent."""
