"""Kafka, as far as the engine knows it: partitions, groups that rebalance, messages that come twice, acknowledgements
that get lost.

Invariant: a partition keeps the order in which messages were appended, and every message that was acknowledged, until
its retention is over.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from oms_es.kafka.client import Header, KafkaUnavailable, Message, Outgoing, Place, Topic
from oms_es.kafka.reading import Unreadable
from oms_es.simulation.node import Node, outage

MESSAGES_PER_POLL_MAX = 500
SESSION_SECONDS = 10.0
"""How long a group waits for a member that is silent."""


def given(headers: Sequence[Header]) -> dict[str, bytes]:
    return {name: value for name, value in headers if value is not None}


class Partition:
    def __init__(self, place: Place) -> None:
        self.place = place
        self.base = 0  # the offset of the oldest message kept
        self.messages: list[Message] = []

    @property
    def end(self) -> int:
        return self.base + len(self.messages)

    def append(self, key: bytes, value: bytes | None, headers: Sequence[Header]) -> Message:
        message = Message(self.place, self.end, key, value, given(headers), headers)
        self.messages.append(message)
        return message

    def read(self, offset: int, limit: int) -> list[Message]:
        first = max(0, offset - self.base)
        return self.messages[first : first + limit]

    def forget(self, offset: int) -> None:
        """Retention: what is older is gone."""
        if offset > self.base:
            del self.messages[: offset - self.base]
            self.base = offset


class Broker:
    """`on_append` is told of every message in the moment in which it is kept."""

    def __init__(self, topics: Iterable[Topic], on_append: Callable[[Message], None]) -> None:
        self.partitions = {
            topic.name: [Partition(Place(topic.name, number)) for number in range(topic.partitions)] for topic in topics
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

    def append(self, place: Place, key: bytes, value: bytes | None, headers: Sequence[Header]) -> None:
        self.on_append(self.partitions[place.topic][place.partition].append(key, value, headers))
        for members in self.groups.values():
            if place in members.owners:
                members.owners[place].stirred = True
        for node in self.readers[place.topic]:
            node.wake()

    def members(self, group: str, topics: Sequence[str]) -> Members:
        if group not in self.groups:
            self.groups[group] = Members([p for topic in topics for p in self.partitions[topic]])
        return self.groups[group]

    def expel(self, node: Node) -> None:
        """Every group has waited for this node for long enough."""
        for members in self.groups.values():
            members.leave([group for group in members.joined if group.node is node])


class Members:
    """Who is in a group, and who has which partition."""

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self.partitions = {partition.place: partition for partition in partitions}
        self.joined: list[MemoryGroup] = []
        self.owners: dict[Place, MemoryGroup] = {}
        self.committed: dict[Place, int] = {}

    def join(self, group: MemoryGroup) -> None:
        self.joined.append(group)
        self._share_out()

    def leave(self, gone: Sequence[MemoryGroup]) -> None:
        left = [group for group in self.joined if group not in gone]
        if len(left) < len(self.joined):
            for group in gone:
                group.stirred = True  # it will find out, and join again
            self.joined = left
            self._share_out()

    def _share_out(self) -> None:
        """Whoever has a partition keeps it, if nobody then has fewer than a fair share."""
        places, joined = sorted(self.partitions), self.joined
        fair = -(-len(places) // len(joined)) if joined else 0
        counts = dict.fromkeys(joined, 0)
        owners: dict[Place, MemoryGroup] = {}
        for place in places:
            kept = self.owners.get(place)
            if kept in counts and counts[kept] < fair:
                owners[place] = kept
                counts[kept] += 1
        for place in places:
            if place not in owners and joined:
                owners[place] = min(joined, key=counts.__getitem__)
                counts[owners[place]] += 1
        for place in places:
            before, now = self.owners.get(place), owners.get(place)
            if before is not now:
                if before is not None:
                    before.tell(False, place)
                if now is not None:
                    now.tell(True, place)
                    now.node.wake()
        self.owners = owners


class MemoryGroup:
    """One member of a group, as kafka/client.py has it at a broker."""

    def __init__(self, node: Node, broker: Broker, name: str, topics: Sequence[str]) -> None:
        self.node = node
        self.broker = broker
        self.name = name
        self.members = broker.members(name, topics)
        self.told: deque[tuple[bool, Place]] = deque()
        self.at: dict[Place, int] = {}
        self.paused: set[Place] = set()
        self.stirred = True  # there may be something to poll
        self._changes: list[tuple[bool, frozenset[Place]]] = []
        for topic in topics:
            if node not in broker.readers[topic]:
                broker.readers[topic].append(node)

    @property
    def joined(self) -> bool:
        return self in self.members.joined

    @property
    def calls(self) -> bool:
        """A simulated group waits for its members until they are thought dead."""
        return False

    def tell(self, given: bool, place: Place) -> None:  # noqa: FBT001 - as the group tells it
        self.told.append((given, place))
        self.stirred = True

    def poll(self) -> dict[Place, list[Message]]:
        self.broker.answer(self.node)
        self.stirred = False
        try:
            return self._polled()
        except BaseException:
            self.stirred = True  # it is all still to come
            raise

    def _polled(self) -> dict[Place, list[Message]]:
        if not self.joined:
            self.broker.touch(self.node)
            self.members.join(self)
        while self.told:
            self._follow(*self.told.popleft())
        found: dict[Place, list[Message]] = {}
        for place, offset in self.at.items():
            partition = self.members.partitions[place]
            if offset < partition.end and place not in self.paused:
                found[place] = partition.read(offset, MESSAGES_PER_POLL_MAX)
        if found:
            self.broker.touch(self.node)
            for place, messages in found.items():
                if place in self.at:
                    self.at[place] = messages[-1].offset + 1
                    self.stirred |= len(messages) == MESSAGES_PER_POLL_MAX
        return found

    def changes(self) -> list[tuple[bool, frozenset[Place]]]:
        changes, self._changes = self._changes, []
        return changes

    def seek(self, place: Place, offset: int) -> None:
        if place in self.at:
            self.at[place] = offset
            self.stirred = True

    def pause(self, places: Iterable[Place]) -> None:
        self.paused.update(places)

    def resume(self, places: Iterable[Place]) -> None:
        self.paused.difference_update(places)
        self.stirred = True

    def hint(self, offsets: Mapping[Place, int]) -> None:
        for place, offset in offsets.items():
            if self.members.owners.get(place) is self:
                self.members.committed[place] = offset

    def failures(self) -> dict[Place, Unreadable]:
        """Everything that is kept can be read."""
        return {}

    def reached(self, place: Place) -> int | None:
        return self.at.get(place)

    def behind(self, place: Place) -> int | None:
        return self.members.partitions[place].end - self.at[place] if place in self.at else None

    @property
    def missing(self) -> Sequence[str]:
        """Every topic is there."""
        return ()

    def close(self) -> None:
        self.members.leave([self])

    def rewind(self, messages: int) -> None:
        """Deliver some again."""
        for place, offset in self.at.items():
            self.at[place] = max(self.members.partitions[place].base, offset - messages)
        self.stirred = True

    def _follow(self, given: bool, place: Place) -> None:  # noqa: FBT001 - as the group tells it
        if given:
            self.at[place] = self.members.committed.get(place, 0)
        else:
            self.at.pop(place, None)
            self.paused.discard(place)
        self._changes.append((given, frozenset({place})))


class MemoryPublisher:
    """A producer. What it sends may arrive in part, or arrive without that it is told so."""

    def __init__(self, node: Node, broker: Broker) -> None:
        self.node = node
        self.broker = broker

    def publish(self, messages: Sequence[Outgoing], meanwhile: Callable[[], None] = lambda: None) -> None:
        for place, key, value, headers in messages:
            self.broker.touch(self.node)
            self.broker.append(place, key, value, headers)
        meanwhile()
        self.node.touched(KafkaUnavailable)

    def partitions(self, topics: Sequence[str]) -> dict[str, int]:
        self.broker.touch(self.node)
        return {topic: len(self.broker.partitions[topic]) for topic in topics}

    def messages(self, partitions: Mapping[str, int]) -> dict[str, int]:
        self.broker.touch(self.node)
        return {topic: sum(partition.end for partition in self.broker.partitions[topic]) for topic in partitions}

    def discard(self) -> None:
        """Nothing waits to be sent."""

    def close(self) -> None:
        """Nothing waits to be sent."""
