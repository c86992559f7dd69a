"""One client that reads topics for all roles of a process, each of which is a member of a group of its own.

Invariant: a role that reads here was given by its own client everything before the offset at which it began, and is
given everything after it, in order, until it is let go at an offset. Offsets decide only who reads where: what is a
repeat, and what is missing, a feed finds out by the positions that its messages name.

A role that is behind the others reads by its own client, and neither waits for them nor holds them up: it is let go
once more than BUFFERED_MAX messages of a partition wait for it here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer  # type: ignore[import-untyped] # the library has no types
from kafka import TopicPartition as KafkaTopicPartition
from kafka.errors import KafkaError  # type: ignore[import-untyped] # the same

from oms_es.kafka.client import (
    CLOSE_SECONDS_MAX,
    Config,
    KafkaUnavailable,
    Message,
    TopicPartition,
    make_no_topics,
    unanswered,
)
from oms_es.kafka.groups.feeds import BUFFERED_MAX, Membership
from oms_es.kafka.groups.fetching import READING, FetchWatch, messages_of
from oms_es.kafka.groups.membership import Group
from oms_es.kafka.groups.reading import Unreadable, keep_failures_apart

AT_ONCE = -1
"""No offset has to be passed before a partition is shared."""
ASK_SECONDS = 0.05
"""How often it is looked whether a group has to form again, by a client that reads nothing."""
Batches = dict[TopicPartition, list[Message]]


class SharedReader:
    """Reads each partition once, from where the first of its readers began."""

    def __init__(self, config: Config, notify: Callable[[], None] = lambda: None, roles: int = 2) -> None:
        """`roles`: how many may read here; a single one reads by its own client."""
        self.config = config
        self.roles = roles
        self._watch = FetchWatch(notify)
        self._consumer: Any = None
        self._readers: dict[TopicPartition, set[str]] = {}
        self._begins: dict[TopicPartition, int] = {}  # of those that the client does not know yet
        self._changed = False
        self._inboxes: dict[str, Batches] = {}
        self._unread: dict[TopicPartition, int] = {}  # what failed in this poll, and from where
        self._let_go: dict[str, dict[TopicPartition, int]] = {}

    def member(self, group: Group) -> Membership:
        """A member of its group that reads here as soon as it can."""
        return SharingGroup(group, self) if self.roles > 1 else group

    def position(self, topic_partition: TopicPartition) -> int | None:
        """The offset up to which everything was given to those who read it; None if it is not read."""
        if topic_partition not in self._readers:
            return None
        return self._begins.get(topic_partition, self._offset(topic_partition))

    def behind(self, topic_partition: TopicPartition) -> int | None:
        """How far the newest message is from what was given out; None while unknown."""
        position, newest = self.position(topic_partition), None
        if self._consumer is not None and topic_partition not in self._begins:
            with suppress(KafkaError):
                newest = self._consumer.highwater(KafkaTopicPartition(*topic_partition))
        return None if newest is None or position is None else max(0, newest - position)

    def begin(self, name: str, topic_partition: TopicPartition, offset: int) -> None:
        """Give to a reader what comes from here on, if need be with a few messages again before that."""
        if topic_partition not in self._readers:
            self._begins[topic_partition] = offset
            self._changed = True
        self._readers.setdefault(topic_partition, set()).add(name)

    def end(self, name: str, topic_partition: TopicPartition) -> int | None:
        """Read no longer for it; the offset up to which it was given everything, also if it was let go there."""
        let_go = self._let_go.get(name, {}).pop(topic_partition, None)
        offset, readers = self.position(topic_partition), self._readers.get(topic_partition, set())
        readers.discard(name)
        if not readers and self._readers.pop(topic_partition, None) is not None:
            self._begins.pop(topic_partition, None)
            self._changed = True
        return offset if let_go is None else let_go

    def poll(self) -> None:
        """Read what has come, if it may be anything. Raises KafkaUnavailable."""
        if not self._changed and (not self._readers or self._watch.is_still()):
            return
        try:
            consumer = self._opened()
            self._assign(consumer)
            if not self._readers:
                return
            self._watch.begin()
            records = consumer.poll(timeout_ms=0)
        except (KafkaError, OSError) as error:
            self._watch.stir()
            raise unanswered("reading for all roles", error) from error
        if records:
            self._watch.stir()  # there may be more
        for topic_partition, messages in messages_of(records).items():
            for name in self._readers.get(topic_partition, set()).copy():
                inbox = self._inboxes.setdefault(name, {}).setdefault(topic_partition, [])
                inbox.extend(messages)
                if len(inbox) > BUFFERED_MAX:
                    self._release(name, topic_partition)
        while self._unread:
            topic_partition, offset = self._unread.popitem()
            for name in self._readers.get(topic_partition, set()).copy():
                self._release(name, topic_partition, offset)

    def has(self, name: str) -> bool:
        """Whether something waits for a reader."""
        return name in self._inboxes

    def take(self, name: str) -> Batches:
        """What has come for a reader."""
        return self._inboxes.pop(name, {})

    def let_go(self, name: str) -> Mapping[TopicPartition, int]:
        """The partitions that cannot be read on here, and from where its own client has to read them."""
        return self._let_go.pop(name, {})

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(Exception):
                consumer.close(autocommit=False, timeout_ms=int(CLOSE_SECONDS_MAX * 1_000))

    def _assign(self, consumer: Any) -> None:
        if not self._changed:
            return
        if self._readers:
            consumer.assign([KafkaTopicPartition(*topic_partition) for topic_partition in self._readers])
        else:
            consumer.unsubscribe()
        for topic_partition, offset in self._begins.items():
            consumer.seek(KafkaTopicPartition(*topic_partition), offset)
            consumer.resume(KafkaTopicPartition(*topic_partition))
        self._begins.clear()
        self._changed = False
        self._watch.stir()

    def _opened(self) -> Any:
        if self._consumer is None:
            self._consumer = KafkaConsumer(
                **self.config, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **READING
            )
            make_no_topics(self._consumer._cluster)  # noqa: SLF001 - there is no public way
            self._watch.install(self._consumer._fetcher)  # noqa: SLF001 - the same
            keep_failures_apart(self._consumer._fetcher, self._fail, (KafkaError,))  # noqa: SLF001 - the same
        return self._consumer

    def _fail(self, partition: Any, offset: int, _error: Exception) -> None:
        """Its readers go on by their own clients, which meet the same and report it; first what came before it."""
        self._unread[TopicPartition(*partition)] = offset

    def _release(self, name: str, topic_partition: TopicPartition, offset: int | None = None) -> None:
        """Its own client goes on, from an offset, or from where it was given everything."""
        given = self.end(name, topic_partition)
        from_here = given if offset is None else offset
        assert from_here is not None
        self._let_go.setdefault(name, {})[topic_partition] = from_here

    def _offset(self, topic_partition: TopicPartition) -> int | None:
        if self._consumer is None:
            return None
        state = self._consumer._subscription.assignment.get(  # noqa: SLF001 - the public one waits for brokers
            KafkaTopicPartition(*topic_partition)
        )
        return None if state is None or state.position is None else int(state.position.offset)


class SharingGroup:
    """Membership of a consumer group whose partitions another client reads, as soon as this one has come as far."""

    def __init__(self, group: Group, reader: SharedReader) -> None:
        self.group = group
        self.reader = reader
        self.name = group.name
        self.topics = group.topics
        self._own: dict[TopicPartition, int] = {}  # read by our own client, until it is further than this
        self._ask_at = 0.0
        self._shared: set[TopicPartition] = set()

    @property
    def joined(self) -> bool:
        return self.group.joined

    @property
    def calls(self) -> bool:
        return self.group.calls

    @property
    def missing(self) -> Sequence[str]:
        return self.group.missing

    def poll(self) -> Batches:
        """What has come, by partition: first what was read for all, then what our own client goes on with.

        More is read for all only after what waits here was taken: many roles, each with its poll, would else read on
        for one that has not had its turn. Raises KafkaUnavailable if one of the two clients fails and nothing has come:
        the other is asked whatever ails the first, as the group waits for one, and other partitions come by the other.
        """
        failed: KafkaUnavailable | None = None
        ours: Batches = {}
        try:
            if not self.reader.has(self.name):
                self.reader.poll()
        except KafkaUnavailable as error:
            failed = error
        try:
            ours = self._ask()
        except KafkaUnavailable as error:
            failed = error
        found = self.reader.take(self.name)
        for topic_partition, offset in self.reader.let_go(self.name).items():
            self._read_ourselves(topic_partition, offset, past=offset)
        for topic_partition, messages in ours.items():
            found.setdefault(topic_partition, []).extend(messages)
        self._share()
        if failed and not found:
            raise failed
        return found

    def _ask(self) -> Batches:
        """Ask our own client: one that reads nothing only now and then, as a worker asks several times a turn."""
        now = time.monotonic()
        if self.group.idle and now < self._ask_at:
            return {}
        self._ask_at = now + ASK_SECONDS
        return self.group.poll()

    def changes(self) -> list[tuple[bool, frozenset[TopicPartition]]]:
        changes = self.group.changes()
        for assigned, topic_partitions in changes:
            for topic_partition in topic_partitions:
                self._leave(topic_partition)
                if assigned:
                    self._own[topic_partition] = AT_ONCE
        self.group.idle = not self._own
        return changes

    def failures(self) -> Mapping[TopicPartition, Unreadable]:
        failures = self.group.failures()
        for topic_partition in failures:
            self._own.pop(topic_partition, None)
        return failures

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        self._leave(topic_partition)
        self._read_ourselves(topic_partition, offset)

    def pause(self, topic_partitions: Iterable[TopicPartition]) -> None:
        for topic_partition in topic_partitions:
            offset = self._leave(topic_partition)
            self.group.pause([topic_partition])
            if offset is not None:
                self.group.seek(topic_partition, offset)

    def resume(self, topic_partitions: Iterable[TopicPartition]) -> None:
        for topic_partition in topic_partitions:
            self._read_ourselves(topic_partition)

    def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.group.commit_offsets(offsets)

    def reached(self, topic_partition: TopicPartition) -> int | None:
        by = self.reader.position if topic_partition in self._shared else self.group.reached
        return by(topic_partition)

    def behind(self, topic_partition: TopicPartition) -> int | None:
        by = self.reader.behind if topic_partition in self._shared else self.group.behind
        return by(topic_partition)

    def close(self) -> None:
        """What is read for it by another client is of no use then: the process ends."""
        self.group.close()

    def _share(self) -> None:
        """Leave to the shared reader what our own client has read as far, or to its end where it is read by no one."""
        for topic_partition in [at for at in self._own if self._is_level(at)]:
            offset = self.group.reached(topic_partition)
            assert offset is not None
            self.group.pause([topic_partition])
            self.reader.begin(self.name, topic_partition, offset)
            del self._own[topic_partition]
            self._shared.add(topic_partition)
        self.group.idle = not self._own

    def _is_level(self, topic_partition: TopicPartition) -> bool:
        own, shared = self.group.reached(topic_partition), self.reader.position(topic_partition)
        if own is None or own <= self._own[topic_partition]:
            return False
        return self.group.behind(topic_partition) == 0 if shared is None else own >= shared

    def _leave(self, topic_partition: TopicPartition) -> int | None:
        """Neither reads it any more; from where our own client would go on, if the shared one had it."""
        self._own.pop(topic_partition, None)
        if topic_partition not in self._shared:
            return None
        self._shared.discard(topic_partition)
        return self.reader.end(self.name, topic_partition)

    def _read_ourselves(self, topic_partition: TopicPartition, offset: int | None = None, past: int = AT_ONCE) -> None:
        self._shared.discard(topic_partition)
        self._own[topic_partition] = past
        self.group.idle = False
        if offset is not None:
            self.group.seek(topic_partition, offset)
        self.group.resume([topic_partition])
