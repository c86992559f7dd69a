"""Membership of a consumer group, by way of kafka-python: which partitions are ours, and what comes of them.

Invariant: what cannot be read of one partition stops that partition alone (`failures`). A group that `keeps_positions`
reads nothing of a partition before `seek` says from where, and never moves the position by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from kafka import (  # type: ignore[import-untyped] # the library has no types
    ConsumerRebalanceListener,
    KafkaConsumer,
)
from kafka import (
    TopicPartition as KafkaTopicPartition,
)
from kafka.coordinator.assignors.cooperative_sticky import (  # type: ignore[import-untyped] # the same
    CooperativeStickyAssignor,
)
from kafka.errors import (  # type: ignore[import-untyped] # the same
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from kafka.structs import OffsetAndMetadata  # type: ignore[import-untyped] # the same

from oms_es.kafka.client import CLOSE_SECONDS_MAX, Config, Message, TopicPartition, make_no_topics, unanswered
from oms_es.kafka.groups.fetching import MESSAGES_PER_POLL_MAX, READING, FetchWatch, messages_of
from oms_es.kafka.groups.reading import PositionGone, Unreadable, keep_failures_apart, why_unreadable

SESSION_SECONDS = 10.0
"""A worker that is silent for longer is thought to be dead, and its partitions go to others."""
HEARTBEATS_PER_SESSION = 5
POLL_INTERVAL_MS_MAX = 120_000
"""A worker that takes longer than this over its batches is thought to be stuck, and its partitions go to others."""
COMMIT_INTERVAL_SECONDS = 2.0
"""How often offsets are committed at most: they say where to begin to read, and every commit is work for a broker."""
JOIN_SECONDS = 0.05
"""Per poll while a group forms. A process has many groups, which all form at once when a member comes or goes: were
each waited for in turn, none would get on."""


TRUNCATED = "as after an unclean election of a leader or from an older copy, and what came since may have their numbers"


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc] # the library has no types
    """Called on the client's own thread, where nothing may be decided: what happened is only written down."""

    def __init__(self, given: Callable[[Any], None] = lambda _partition: None) -> None:
        """`given` is called with each partition before anything is read of it."""
        self.given = given
        self.happened: SimpleQueue[tuple[bool, frozenset[TopicPartition]]] = SimpleQueue()

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        for partition in assigned:
            self.given(partition)
        self.happened.put((True, frozenset(TopicPartition(p.topic, p.partition) for p in assigned)))

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self.happened.put((False, frozenset(TopicPartition(p.topic, p.partition) for p in revoked)))


class _Join:
    """A join under way that does not look finished, whatever it is, until it is waited for."""

    is_done = False

    def __init__(self, task: Any) -> None:
        self.task = task
        self.add_callback, self.add_errback = task.add_callback, task.add_errback


def _joining(coordinator: Any) -> bool:
    """Whether a join has to begin, or to be brought to its end by a poll that waits for it.

    The library (3.0.12) forgets a join that no poll waited for to its end. If it ended between two polls, another is
    begun, and every other member has to join again; if it was begun because topics were seen to have partitions, it is
    never looked at again, and the member is in no group for ever. A process of many groups polls each now and then.
    """
    task = coordinator._join_task  # noqa: SLF001 - there is no public way
    if task is not None:
        if not isinstance(task, _Join):
            coordinator._join_task = _Join(task)  # noqa: SLF001 - the same
        coordinator.request_rejoin()  # until it is over
    return bool(coordinator.need_rejoin())


class Group:
    """Membership of a consumer group. Offsets are committed by hand, as a hint for the next member."""

    def __init__(
        self,
        config: Config,
        name: str,
        topics: Sequence[str],
        session_seconds: float = SESSION_SECONDS,
        notify: Callable[[], None] = lambda: None,
        *,
        keeps_positions: bool = False,
    ) -> None:
        """`notify` is called on the client's own thread when something has come in.

        `keeps_positions`: the offset to read from is given by `seek`; without it, it is the one committed.
        """
        self.keeps_positions = keeps_positions
        self.name = name
        self.topics = topics
        self.config = config
        self.session_ms = int(session_seconds * 1_000)
        self.idle = False
        """Whether this client fetches nothing: another one reads all of its partitions."""
        self._rebalances = Rebalances(self._wait_for_seek) if keeps_positions else Rebalances()
        self._failures: dict[TopicPartition, tuple[int, Exception]] = {}
        self._consumer: Any = None
        self._watch = FetchWatch(notify)
        self._commit_at = 0.0
        self._pending_offsets: dict[TopicPartition, int] = {}

    def poll(self, seconds: float = 0.0) -> dict[TopicPartition, list[Message]]:
        """What has come, by partition. Raises KafkaUnavailable."""
        try:
            consumer = self._opened()
            if time.monotonic() > self._commit_at:
                self._commit_pending()
            joining = _joining(consumer._coordinator)  # noqa: SLF001 - there is no public way
            if joining:
                seconds = max(seconds, JOIN_SECONDS)
            elif not seconds and self._watch.is_still(idle=self.idle):
                return {}
            self._watch.begin()
            records = consumer.poll(timeout_ms=int(seconds * 1_000), max_records=MESSAGES_PER_POLL_MAX)
        except NoOffsetForPartitionError:  # it was given to us in this moment, and waits for `seek`
            return {}
        except LogTruncationError as error:
            for partition in error.divergent_offsets:
                self._fail(partition, self._offset(partition) or 0, error)
            return {}
        except (KafkaError, OSError) as error:
            self._watch.stir()
            raise unanswered(self.name, error) from error
        if records:
            self._watch.stir()  # there may be more
        return messages_of(records)

    def changes(self) -> list[tuple[bool, frozenset[TopicPartition]]]:
        """What the group has given us (True) and taken from us (False) since it was last asked, in order."""
        found: list[tuple[bool, frozenset[TopicPartition]]] = []
        while not self._rebalances.happened.empty():  # no one else takes from it
            found.append(self._rebalances.happened.get_nowait())
        for topic_partition in frozenset[TopicPartition]().union(
            *[topic_partitions for given, topic_partitions in found if not given]
        ):
            self._pending_offsets.pop(topic_partition, None)  # the member that has it now may be further
        return found

    def failures(self) -> dict[TopicPartition, Unreadable]:
        """What cannot be read on since it was last asked: nothing more comes of these partitions."""
        failures, self._failures = self._failures, {}
        return {
            topic_partition: self._why(topic_partition, offset, error)
            for topic_partition, (offset, error) in failures.items()
        }

    @property
    def joined(self) -> bool:
        """Whether it is known which partitions are ours."""
        if self._consumer is None:
            return False
        coordinator = self._consumer._coordinator  # noqa: SLF001 - there is no public way
        return coordinator._join_task is None and not coordinator.need_rejoin()  # noqa: SLF001 - the same

    @property
    def calls(self) -> bool:
        """Whether the group waits for a poll of ours: to begin a join, or to hear that we know that it has ended."""
        if self._consumer is None:
            return False
        coordinator = self._consumer._coordinator  # noqa: SLF001 - there is no public way
        task = coordinator._join_task  # noqa: SLF001 - the same
        return bool(coordinator.need_rejoin()) if task is None else bool(getattr(task, "task", task).is_done)

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        self._watch.stir()
        with suppress(ValueError, KeyError):  # it was taken from us again meanwhile
            self._opened().seek(KafkaTopicPartition(*topic_partition), offset)
            if self.keeps_positions:
                self._opened().resume(KafkaTopicPartition(*topic_partition))

    def reached(self, topic_partition: TopicPartition) -> int | None:
        """The offset up to which everything was given out that there is to read, also past what a transaction took
        back; None while unknown."""
        return self._offset(KafkaTopicPartition(*topic_partition)) if self._consumer else None

    def topic_id(self, topic: str) -> UUID | None:
        """What distinguishes a topic from another of its name, as the brokers say now; None if they know no such topic.

        Raises KafkaUnavailable.
        """
        try:
            consumer = self._opened()
            cluster = consumer._cluster  # noqa: SLF001 - there is no public way
            consumer._net.run(cluster._do_refresh_metadata, None)  # noqa: SLF001 - one that was asked for after this call
            found: UUID | None = cluster.topic_id(topic) if cluster.partitions_for_topic(topic) else None
        except (KafkaError, OSError) as error:
            raise unanswered(topic, error) from error
        return found

    @property
    def missing(self) -> list[str]:
        """Topics that the brokers did not know when they were last asked."""
        if self._consumer is None:
            return []
        known = self._consumer._cluster.partitions_for_topic  # noqa: SLF001 - the public one asks the brokers
        return [topic for topic in self.topics if not known(topic)]

    def pause(self, topic_partitions: Iterable[TopicPartition]) -> None:
        self._each("pause", topic_partitions)

    def resume(self, topic_partitions: Iterable[TopicPartition]) -> None:
        self._each("resume", topic_partitions)

    def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the offsets to go on from, before long and without waiting: if it fails, the next ones will do."""
        self._pending_offsets.update(offsets)

    def behind(self, topic_partition: TopicPartition) -> int | None:
        """How far the newest message is from what was given out; None while unknown."""
        newest, reached = None, self.reached(topic_partition)
        with suppress(KafkaError, KeyError):  # it was taken from us meanwhile
            newest = self._opened().highwater(KafkaTopicPartition(*topic_partition)) if self._consumer else None
        return None if newest is None or reached is None else max(0, newest - reached)

    def close(self) -> None:
        """Leave the group, so that others need not wait for our session to end."""
        self._commit_pending()
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(Exception):
                consumer.close(autocommit=False, timeout_ms=int(CLOSE_SECONDS_MAX * 1_000))

    def _commit_pending(self) -> None:
        if not self._pending_offsets or self._consumer is None:
            return
        offsets = {
            KafkaTopicPartition(*topic_partition): OffsetAndMetadata(offset, "", -1)
            for topic_partition, offset in self._pending_offsets.items()
        }
        self._pending_offsets, self._commit_at = {}, time.monotonic() + COMMIT_INTERVAL_SECONDS
        with suppress(KafkaError, OSError):
            self._consumer.commit_async(offsets)

    def _each(self, verb: str, topic_partitions: Iterable[TopicPartition]) -> None:
        self._watch.stir()
        for topic_partition in topic_partitions:
            with suppress(Exception):  # it was taken from us meanwhile
                getattr(self._opened(), verb)(KafkaTopicPartition(*topic_partition))

    def _opened(self) -> Any:
        if self._consumer is None:
            self._consumer = KafkaConsumer(
                **self.config,
                group_id=self.name,
                enable_auto_commit=False,
                auto_offset_reset="none" if self.keeps_positions else "earliest",
                partition_assignment_strategy=[CooperativeStickyAssignor],
                session_timeout_ms=self.session_ms,
                heartbeat_interval_ms=self.session_ms // HEARTBEATS_PER_SESSION,
                max_poll_interval_ms=POLL_INTERVAL_MS_MAX,
                **READING,
            )
            make_no_topics(self._consumer._cluster)  # noqa: SLF001 - there is no public way
            self._consumer.subscribe(topics=list(self.topics), listener=self._rebalances)
            self._watch.install(self._consumer._fetcher)  # noqa: SLF001 - the same
            keep_failures_apart(self._consumer._fetcher, self._fail)  # noqa: SLF001 - the same
        return self._consumer

    def _wait_for_seek(self, partition: Any) -> None:
        """A position, so that the library does not look for one; and nothing is fetched."""
        self._consumer.pause(partition)
        self._consumer.seek(partition, 0)

    def _fail(self, partition: Any, offset: int, error: Exception) -> None:
        with suppress(KeyError):  # it was taken from us meanwhile
            self._consumer.pause(partition)
        self._failures[TopicPartition(*partition)] = (offset, error)

    def _why(self, topic_partition: TopicPartition, offset: int, error: Exception) -> Unreadable:
        if isinstance(error, OffsetOutOfRangeError | LogTruncationError):
            return PositionGone(self._why_gone(topic_partition, offset))
        return why_unreadable(topic_partition, offset, error)

    def _why_gone(self, topic_partition: TopicPartition, offset: int) -> str:
        """With what is there now, as far as the brokers say so."""
        there, partition = "", KafkaTopicPartition(*topic_partition)
        how = f"position {offset} is not in {topic_partition} any more"
        why = "messages may be lost unread"
        with suppress(KafkaError, OSError, KeyError):
            begins, ends = (self._consumer.beginning_offsets([partition]), self._consumer.end_offsets([partition]))
            begin, end = begins[partition], ends[partition]
            there = f", which holds {begin} to {end}"
            if offset > end:
                how = f"position {offset} is beyond the end of {topic_partition}"
                why = f"the brokers have lost the messages from {end} on, which were read here before, {TRUNCATED}"
        return (
            f"{how}{there}: {why}. Ask their senders to repeat them, which does no harm; "
            f"then `oms-es topics accept-loss {topic_partition.topic}` continues from the oldest message there is; "
            "start the worker again afterwards"
        )

    def _offset(self, partition: Any) -> int | None:
        state = self._consumer._subscription.assignment.get(partition)  # noqa: SLF001 - the public one waits for brokers
        return None if state is None or state.position is None else int(state.position.offset)
