"""Publishes the log to the event topics, in order, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from oms_es.kafka.client import KafkaUnavailable, Outgoing, TooLarge, TopicPartition, too_large
from oms_es.kafka.cloudevents import CloudEventsCodec, partition_for_stream
from oms_es.kafka.relay.store import SQL_RELAY_STORE, LogRow, RelayStore
from oms_es.processing import metrics

RELAYED_MAX = 1_000
"""Events per publish: so much is published again after a crash."""


class MessageProducer(Protocol):
    """What the relay needs of a broker's client."""

    def publish(self, messages: Sequence[Outgoing], meanwhile: Callable[[], None] = ...) -> None: ...

    def partitions(self, topics: Sequence[str]) -> dict[str, int]: ...

    def messages(self, partitions: Mapping[str, int]) -> dict[str, int]: ...

    def discard(self) -> None: ...

    def close(self) -> None: ...


class TopicPublisher(Protocol):
    """One kind of thing that the active relay publishes."""

    @property
    def batch_max(self) -> int: ...

    def begin(self, session: Any, epoch: int) -> None:
        """Continue from the stored position."""

    def publish(self, session: Any) -> int:
        """Publish the next batch; returns how many messages. Raises KafkaUnavailable, LeadershipLost."""


class Batch(NamedTuple):
    """Events of the log, ready to be sent: up to which position, and the last one of every partition after them."""

    messages: list[Outgoing]
    position: int
    last: Mapping[TopicPartition, int]


class EventPublisher:
    """Publishes the log to the event topics."""

    batch_max = RELAYED_MAX

    def __init__(
        self,
        producer: MessageProducer,
        cloudevents: CloudEventsCodec,
        topics: Sequence[str],
        relay_store: RelayStore = SQL_RELAY_STORE,
    ) -> None:
        self.producer = producer
        self.cloudevents = cloudevents
        self.topics = topics
        self.relay_store = relay_store
        self.position = self.epoch = 0
        self._limit = RELAYED_MAX  # less while something in the next batch is too large
        self._partitions: Mapping[str, int] = {}
        self._last: Mapping[TopicPartition, int] = {}
        self._ahead: Batch | None = None

    def begin(self, session: Any, epoch: int) -> None:
        self._ahead = None
        self.epoch, self.position = epoch, self.relay_store.position(session)
        self._partitions = self.producer.partitions(self.topics)
        self._last = self._last_of(session)
        for topic, there in self._partitions.items():
            known = sum(topic_partition.topic == topic for topic_partition in self._last)
            if known != there:
                raise KafkaUnavailable(
                    f"{topic} has {there} partitions and had {known}: keys would change places; restore it, "
                    "or publish a new version of the topic"
                )

    def _last_of(self, session: Any) -> dict[TopicPartition, int]:
        known = {topic_partition.topic for topic_partition in self.relay_store.published(session, self.topics)}
        self._begin_topics(session, {topic: n for topic, n in self._partitions.items() if topic not in known})
        return self.relay_store.published(session, self.topics)

    def _begin_topics(self, session: Any, new: Mapping[str, int]) -> None:
        """Raises KafkaUnavailable if another program publishes there: no reader could separate two logs in one
        topic."""
        for topic, messages in self.producer.messages(new).items():
            if messages:
                raise KafkaUnavailable(f"{topic} holds the events of another log; this one needs a Kafka of its own")
            self.relay_store.begin_topic(session, topic, new[topic])

    def publish(self, session: Any) -> int:
        batch, self._ahead = self._ahead or self._read(session, self.position, self._last), None
        if not batch.messages:
            return 0
        try:
            self.producer.publish(batch.messages, lambda: self._look_ahead(session, batch))
        except TooLarge as error:
            return self._with_less(session, batch, error)
        self._limit = min(RELAYED_MAX, 2 * self._limit)
        topic_partitions = {message.topic_partition: batch.last[message.topic_partition] for message in batch.messages}
        self.relay_store.save(session, self.epoch, self.position, batch.position, topic_partitions)
        self._last, self.position = batch.last, batch.position
        metrics.RELAY_POSITION.set(batch.position)
        return len(batch.messages)

    def _with_less(self, session: Any, batch: Batch, error: TooLarge) -> int:
        """Halved, so that everything before what is too large is published and saved. Raises TooLarge for that."""
        self._ahead = None
        if len(batch.messages) == 1:
            headers = dict(batch.messages[0].headers)
            version = (headers["ce_streamversion"] or b"").decode()
            name, stream = (headers["ce_type"] or b"").decode(), batch.messages[0].key.decode()
            what = f"event {name}, version {version} of {stream} at position {batch.position},"
            raise too_large(batch.messages[0], what) from error
        self._limit = len(batch.messages) // 2
        return self.publish(session)

    def _look_ahead(self, session: Any, batch: Batch) -> None:
        """Get the next batch ready while the brokers write this one, if there is sure to be one."""
        if len(batch.messages) == RELAYED_MAX:
            self._ahead = self._read(session, batch.position, batch.last)

    def _read(self, session: Any, after: int, last: Mapping[TopicPartition, int]) -> Batch:
        rows, topic_partitions = self.relay_store.events(session, after, self._limit), dict(last)
        messages = [self._outgoing(row, topic_partitions) for row in rows]
        return Batch(messages, rows[-1].notification_id if rows else after, topic_partitions)

    def _outgoing(self, row: LogRow, last: dict[TopicPartition, int]) -> Outgoing:
        topic_partition = partition_for_stream(row.originator_id, self._partitions)
        previous, last[topic_partition] = last.get(topic_partition, 0), row.notification_id
        return self.cloudevents.outgoing(row, row.notification_id, topic_partition, previous)
