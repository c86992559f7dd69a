"""Input from outside by way of a topic: on each partition, from the offset that is kept in PostgreSQL.

Invariant: the position moves past a message only in the transaction that keeps what became of it, and only while the
topic is the one whose positions are kept. What is not there to be read is never passed in silence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from oms_es.kafka.client import Message, TopicPartition
from oms_es.processing.intake.worker import Arrival, IntakeWorker
from oms_es.store.recorder import Move


class PartitionSource:
    """Input from outside on one partition; its position is the offset after it."""

    def __init__(self, topic_partition: TopicPartition, name: str, dialect: str) -> None:
        self.topic_partition = topic_partition
        self.name = f"{name}@{topic_partition}"
        self.dialect = dialect
        self._arrivals: deque[Arrival] = deque()

    def put(self, messages: Sequence[Message]) -> None:
        self._arrivals.extend(Arrival(message.offset + 1, message.value or b"", message.pairs) for message in messages)

    def clear(self) -> None:
        """It is read again, from elsewhere."""
        self._arrivals.clear()

    def read(self, after: int, limit: int) -> Sequence[Arrival]:
        arrivals = self._arrivals
        while arrivals and arrivals[0].position <= after:
            arrivals.popleft()
        return [arrivals[i] for i in range(min(limit, len(arrivals)))]

    def waiting(self) -> int:
        return len(self._arrivals)


class InputTask:
    """Input from outside on one partition.

    `check` raises if the topic is not the one whose positions are kept. It is asked after messages have come: then they
    are of that topic, too.
    """

    def __init__(self, source: PartitionSource, worker: IntakeWorker, check: Callable[[str], None]) -> None:
        self.source = source
        self.worker = worker
        self.check = check
        self._unchecked = False
        self._reported = 0

    def begin(self) -> int:
        """What was fetched is dropped only where nothing fails before it is fetched again."""
        self.worker.seek()
        self.check(self.source.topic_partition.topic)
        self.source.clear()
        return self.worker.intake.seen

    def put(self, messages: Sequence[Message]) -> None:
        self.source.put(messages)
        self._unchecked = True

    def step(self) -> int:
        if self._unchecked:
            self.check(self.source.topic_partition.topic)
            self._unchecked = False
        return self.worker.step()

    def unsaved(self) -> Sequence[Move]:
        """Nothing: every arrival moved the position."""
        return ()

    def was_saved(self, _move: Move, /) -> None:
        """Nothing is."""

    def passed(self, offset: int) -> None:
        """What lies behind the last message, as the end of a transaction does, is nothing to wait for."""
        if offset > self.worker.intake.seen and not self.source.waiting():
            self.check(self.source.topic_partition.topic)
            self.worker.intake.pass_to(offset)

    def waiting(self) -> int:
        return self.source.waiting()

    def may_go_on(self) -> bool:
        """Its worker waits for more than messages: how many are taken in a while is bounded."""
        return True

    def done(self) -> int | None:
        seen = self.worker.intake.seen
        if seen == self._reported:
            return None
        self._reported = seen
        return seen

    @property
    def position(self) -> int:
        return self.worker.intake.seen
