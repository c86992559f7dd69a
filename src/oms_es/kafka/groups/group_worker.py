"""A role on Kafka: its share of the partitions, which comes and goes while it works.

Invariant: the position of a partition is kept in PostgreSQL in the transaction of its effects, and is the log's, not
Kafka's; the committed offset is only where to begin to read. What is read again is skipped, and what is missing between
two messages (each message names its predecessor) is read from the store. A worker that lost its partition without
knowing it finds the position moved, and none of its effects are kept.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from prometheus_client import Gauge

from oms_es.kafka.client import Message, TopicPartition
from oms_es.kafka.groups.feeds import BUFFERED_MAX, Membership, PartitionTask
from oms_es.kafka.groups.reading import Unreadable
from oms_es.kernel import GatewayUnavailable
from oms_es.processing import metrics
from oms_es.store.recorder import Move, PositionLost
from oms_es.store.store import OUTAGES

log = structlog.get_logger(__name__)

MEASURE_SECONDS = 1.0
"""How often it is measured how far each partition is behind."""

KEEP_ALIVE_SECONDS = 1.0
"""How long a group that calls waits at most, beside the batch in hand: much less than the shortest session."""


class Heartbeats:
    """Answers for every group of a process that calls while others work.

    From when a join has ended to the next poll the library sends no heartbeat: a member whose turn took longer than its
    session would be thought dead, join again, and be thought dead again.
    """

    def __init__(self) -> None:
        self.workers: Sequence[GroupWorker] = ()
        self._looked = 0.0

    def __call__(self) -> None:
        if time.monotonic() - self._looked < KEEP_ALIVE_SECONDS:
            return
        for worker in self.workers:
            if worker.group.calls:
                worker.answer()
        self._looked = time.monotonic()


class GroupWorker:
    """A participant of the loop: one role, on whichever partitions its group gives it."""

    def __init__(
        self,
        group: Membership,
        task_for: Callable[[TopicPartition], PartitionTask],
        batch_max: int,
        keep_alive: Callable[[], None] = lambda: None,
    ) -> None:
        """`keep_alive` is called between two batches: a turn of many roles takes longer than a group waits."""
        self.keep_alive = keep_alive
        self.name = group.name
        self.batch_max = batch_max
        self.group = group
        self.task_for = task_for
        self.tasks: dict[TopicPartition, PartitionTask] = {}
        self.stopped: dict[TopicPartition, BaseException] = {}
        self._gauges: dict[TopicPartition, tuple[Gauge, Gauge]] = {}
        self._paused: set[TopicPartition] = set()
        self._resting: dict[TopicPartition, None] = {}  # those that had nothing to do in their last step
        self._saving: dict[str, TopicPartition] = {}  # whose position it is that is being saved
        self._changes: deque[tuple[bool, TopicPartition]] = deque()
        self._inbox: dict[TopicPartition, list[Message]] = {}
        self._unreadable: dict[TopicPartition, Unreadable] = {}
        self._measured = 0.0

    def step(self) -> int:
        self.receive()
        self._measure()
        try:
            return sum(self._step(at, task) for at, task in self.tasks.items() if not self._rests(at, task))
        finally:  # while a gateway does not answer, messages come all the same
            self._throttle()

    def receive(self) -> None:
        """What has come of the partitions that are ours now."""
        self.answer()
        self._follow_the_group()
        self._sort_the_inbox()

    def answer(self) -> None:
        """Answer the group's heartbeat, and take the messages that have arrived."""
        for topic_partition, messages in self.group.poll().items():
            self._inbox.setdefault(topic_partition, []).extend(messages)
        self._unreadable.update(self.group.failures())

    @property
    def has_pending(self) -> bool:
        """Whether something was read that may not be done yet."""
        return any(
            task.waiting() for topic_partition, task in self.tasks.items() if topic_partition not in self.stopped
        )

    def seek(self) -> None:
        """After an outage: what was fetched and not committed is fetched again, where a task has dropped it."""
        for topic_partition, task in self.tasks.items():
            self._again(topic_partition, task)

    def unsaved(self) -> Sequence[Move]:
        """Of every partition that rests: other roles, here and elsewhere, wait until it has come so far."""
        moves = [(move, at) for at in self._resting for move in self.tasks[at].unsaved()]
        self._saving = {move.name: at for move, at in moves}
        return [move for move, _ in moves]

    def was_saved(self, move: Move) -> None:
        topic_partition = self._saving[move.name]
        task = self.tasks[topic_partition]
        task.was_saved(move)
        self._commit(topic_partition, task)

    def was_lost(self, move: Move) -> None:
        topic_partition = self._saving[move.name]
        log.warning("position moved by another worker, seeking", consumer=self.name, position=move.name)
        self._again(topic_partition, self.tasks[topic_partition])

    def close(self) -> None:
        self.group.close()

    def _follow_the_group(self) -> None:
        """One place at a time: what fails on the way, as while the database is away, is done the next time."""
        self._changes.extend(
            (assigned, topic_partition)
            for assigned, topic_partitions in self.group.changes()
            for topic_partition in sorted(topic_partitions)
        )
        while self._changes:
            assigned, topic_partition = self._changes[0]
            self._drop(topic_partition)
            if assigned:
                self._begin(topic_partition)
            self._changes.popleft()
            log.info(
                "partition assigned" if assigned else "partition revoked",
                consumer=self.name,
                topic_partition=str(topic_partition),
            )
            metrics.PARTITIONS.labels(self.name).set(len(self.tasks))

    def _drop(self, topic_partition: TopicPartition) -> None:
        if self.tasks.pop(topic_partition, None) is not None:
            self._forget(topic_partition)
        self._resting.pop(topic_partition, None)
        self.stopped.pop(topic_partition, None)
        self._unreadable.pop(topic_partition, None)
        metrics.STOPPED.labels(self.name).set(len(self.stopped))
        self._paused.discard(topic_partition)

    def _sort_the_inbox(self) -> None:
        """Drop messages of partitions that now belong to another member."""
        for topic_partition, messages in self._inbox.items():
            if task := self.tasks.get(topic_partition):
                task.put(messages)
        self._inbox.clear()

    def _forget(self, topic_partition: TopicPartition) -> None:
        """What another process has now is not ours to report."""
        for gauge in (metrics.POSITION, metrics.LAG):
            gauge.remove(self.name, topic_partition)

    def _begin(self, topic_partition: TopicPartition) -> None:
        task = self.task_for(topic_partition)
        try:
            self._go_to(topic_partition, task)
        except Unreadable as error:
            self._stop(topic_partition, error)
        self.tasks[topic_partition] = task
        self._gauges[topic_partition] = (
            metrics.POSITION.labels(self.name, topic_partition),
            metrics.LAG.labels(self.name, topic_partition),
        )

    def _go_to(self, topic_partition: TopicPartition, task: PartitionTask) -> None:
        offset = task.begin()
        if offset is not None:
            self.group.seek(topic_partition, offset)
            self._inbox.pop(topic_partition, None)  # it was fetched from elsewhere

    def _rests(self, topic_partition: TopicPartition, task: PartitionTask) -> bool:
        """Most partitions of most roles do, at any time: nothing has come since they had nothing to do."""
        resting = topic_partition in self._resting and topic_partition not in self._unreadable
        return resting and not task.may_go_on()

    def _step(self, topic_partition: TopicPartition, task: PartitionTask) -> int:
        self._resting.pop(topic_partition, None)
        if topic_partition in self.stopped:
            return 0
        if topic_partition in self._unreadable and not task.waiting():
            self._stop(topic_partition, self._unreadable.pop(topic_partition))
            return 0
        before = task.position
        try:
            with metrics.timed(self.name) as observe:
                taken = task.step()
                observe(taken)
        except GatewayUnavailable:
            raise
        except OUTAGES:
            raise
        except PositionLost as lost:
            log.warning("position moved by another worker, seeking", consumer=self.name, reason=str(lost))
            return self._again(topic_partition, task)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other partitions go on
            self._stop(topic_partition, error)
            return 0
        self._commit(topic_partition, task)
        if taken:
            self.keep_alive()
        else:
            self._resting[topic_partition] = None
        return taken or int(task.position > before)

    def _commit(self, topic_partition: TopicPartition, task: PartitionTask) -> None:
        """Commit to Kafka the offsets that the database has already processed."""
        if (offset := task.done()) is not None:
            self.group.commit_offsets({topic_partition: offset})
            self._gauges[topic_partition][0].set(task.position)

    def _again(self, topic_partition: TopicPartition, task: PartitionTask) -> int:
        try:
            self._go_to(topic_partition, task)
        except Unreadable as error:
            self._stop(topic_partition, error)
        return 1

    def _stop(self, topic_partition: TopicPartition, error: BaseException) -> None:
        self.stopped[topic_partition] = error
        self._resting.pop(topic_partition, None)
        metrics.STOPPED.labels(self.name).set(len(self.stopped))
        log.critical(
            "partition stopped: repair the cause, then start again",
            consumer=self.name,
            topic_partition=str(topic_partition),
            error=f"{type(error).__name__}: {error}",
        )

    def _measure(self) -> None:
        """How far each partition is behind, now and then: what has come counts, and what is still to come."""
        if time.monotonic() - self._measured < MEASURE_SECONDS:
            return
        self._measured = time.monotonic()
        for topic_partition, task in self.tasks.items():
            waiting = task.waiting() + len(self._inbox.get(topic_partition, ()))
            behind, reached = self.group.behind(topic_partition), self.group.reached(topic_partition)
            if behind is not None:
                self._gauges[topic_partition][1].set(behind + waiting)
            if topic_partition not in self.stopped and not waiting and not behind and reached is not None:
                self._pass(topic_partition, task, reached)

    def _pass(self, topic_partition: TopicPartition, task: PartitionTask, reached: int) -> None:
        try:
            task.passed(reached)
        except PositionLost:
            self._again(topic_partition, task)
        except Unreadable as error:
            self._stop(topic_partition, error)

    def _throttle(self) -> None:
        full = {p for p, task in self.tasks.items() if task.waiting() > BUFFERED_MAX or p in self.stopped}
        if full != self._paused:
            self.group.pause(full - self._paused)
            self.group.resume(self._paused - full)
            self._paused = full
