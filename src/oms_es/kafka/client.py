"""A client of Kafka, on top of kafka-python, which has no types: only modules of the package `kafka` use that library.

Invariant: `publish` returns only when the broker has acknowledged every message; after any other end the producer is
thrown away, because it is not known which of them arrived.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, NamedTuple
from uuid import UUID

from kafka import (  # type: ignore[import-untyped] # the library has no types; everything of it stays in this module
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
)
from kafka import (
    TopicPartition as KafkaTopicPartition,
)
from kafka.errors import (  # type: ignore[import-untyped] # the same
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from kafka.partitioner.default import murmur2  # type: ignore[import-untyped] # the same

from oms_es.exit_codes import Code
from oms_es.kafka import records as kafka_records
from oms_es.kernel import GatewayUnavailable
from oms_es.schemas.order import ASSIGNMENTS_MAX, LINES_MAX, TENDERS_MAX
from oms_es.schemas.values.types import DERIVED_LENGTH_MAX

PUBLISH_SECONDS_MAX = 30.0
"""Our own deadline for a publish. The library's must never fire: its idempotent producer would wait for ever."""
WATCH_SECONDS = 0.5
"""How often a publish that takes long is looked after."""
DELIVERY_MS_NEVER = 86_400_000
LINGER_MS = 5
BATCH_BYTES = 262_144
KEYS_CACHED_MAX = 200_000
CLOSE_SECONDS_MAX = 5.0
REQUEST_MS = 10_000
REQUEST_BYTES_MAX = 50_000_000
"""How large a message may be is for its topic to say; brokers take requests of twice this size."""
CHARACTER_BYTES_MAX = 4
NAME_BYTES_MAX = DERIVED_LENGTH_MAX * CHARACTER_BYTES_MAX
ORDER_BYTES_MAX = (3 * LINES_MAX + 2 * TENDERS_MAX) * NAME_BYTES_MAX
"""Of the largest order that is accepted. By line it has an id and a SKU, by tender a method and a token, half as long
as a name that is made here may be; all else is less than what that leaves."""
PART_NAMES_MAX = 9
MESSAGE_BYTES_MAX = ASSIGNMENTS_MAX * PART_NAMES_MAX * NAME_BYTES_MAX
"""Of the topics that we publish to. The largest event of the largest order is its release, with every part in a parcel
of its own; it is less than a request."""
RECONNECT_MS_MAX = 1_000
ANSWER_SECONDS = 0.002
"""How often it is looked whether an answer has come, by a client that has a thread of its own."""

kafka_records.install()

Header = tuple[str, bytes | None]
"""Its name and its value, which others may leave out."""
Headers = Mapping[str, bytes]
Config = Mapping[str, Any]


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class Message(NamedTuple):
    """As it was read: `value` is None for a tombstone. `headers` has one of each name, `pairs` all as they were."""

    topic_partition: TopicPartition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    pairs: Sequence[Header] = ()


class Outgoing(NamedTuple):
    topic_partition: TopicPartition
    key: bytes
    value: bytes | None
    headers: Sequence[Header]


class KafkaUnavailable(GatewayUnavailable):
    """The broker does not answer, or not with what was asked. What was being published may or may not be there."""

    code = "no_kafka"
    exit_code = Code.NO_KAFKA


def no_topic(*topics: str) -> str:
    return f"there is no topic {', '.join(topics)}; `oms-es topics` makes it"


def unanswered(what: str, error: Exception) -> KafkaUnavailable:
    """Return the error for a request to the brokers that failed, with what can be done about it."""
    name = type(error).__name__
    why = str(error) if name in str(error) else f"{name}: {error}"
    return KafkaUnavailable(f"{what}: {why}; look whether the brokers of OMS_KAFKA run and allow this to its login")


class TooLarge(KafkaUnavailable):
    """A message is larger than the broker, or its topic, takes."""

    code = "message_too_large"


def too_large(message: Outgoing, what: str) -> TooLarge:
    """What is published in order can be neither passed nor shortened: a person makes room for it."""
    size = len(message.key) + len(message.value or b"") + sum(len(k) + len(v or b"") for k, v in message.headers)
    topic = message.topic_partition.topic
    return TooLarge(
        f"{what} has {size:,} bytes, more than {topic} takes, and the relay waits; "
        f"allow that much: `kafka-configs.sh --bootstrap-server $OMS_KAFKA --alter --topic {topic} --add-config "
        f"max.message.bytes={MESSAGE_BYTES_MAX}`; then it goes on by itself"
    )


def make_no_topics(cluster: Any) -> None:
    """Ask for topics without having those made that are missing, as brokers do unless they are set up otherwise.

    The library (3.0.12) has a setting for it, and passes it on to none of its requests.
    """
    cluster.config["allow_auto_create_topics"] = False


class Topic(NamedTuple):
    """`bytes_max`: of a message; None leaves it to the brokers. `kept`: for ever, not as long as others are."""

    name: str
    partitions: int
    compacted: bool
    bytes_max: int | None = None
    kept: bool = False


def connection(bootstrap: str, **security: Any) -> Config:
    """What every client needs to reach the brokers; `security` in the library's own names.

    Raises KafkaUnavailable where the compiled checksum is missing: with the Python one, everything is several times
    slower, and would only show as lag.
    """
    if find_spec("crc32c") is None:
        raise KafkaUnavailable("the package crc32c is missing; install oms-es with its dependencies")
    return {
        "bootstrap_servers": bootstrap.split(","),
        "reconnect_backoff_max_ms": RECONNECT_MS_MAX,
        **{name: value for name, value in security.items() if value},
    }


@lru_cache(maxsize=KEYS_CACHED_MAX)
def partition_of(key: bytes, partitions: int) -> int:
    """Where every Kafka client puts this key: murmur2, as the Java client's default partitioner has it."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def _await(producer: Any, sent: Sequence[Any]) -> Any:
    """The future to blame, if any message was not acknowledged: before others, of what is too large.

    What is behind a batch that is too large may never be answered: a wait is looked after, and ends with that batch.
    """
    deadline = time.monotonic() + PUBLISH_SECONDS_MAX
    while True:
        try:
            producer._accumulator.await_flush_completion(timeout=WATCH_SECONDS)  # noqa: SLF001 - `flush` begins, and waits
        except KafkaTimeoutError:
            pass
        else:
            break
        if time.monotonic() > deadline or any(_is_too_large(future.exception) for future in sent):
            break
        producer._accumulator.begin_flush()  # noqa: SLF001 - every wait ends what it began
    failed = [future for future in sent if not future.succeeded()]
    return next((future for future in failed if _is_too_large(future.exception)), failed[0] if failed else None)


def _is_too_large(error: BaseException | None) -> bool:
    return isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError)


def _unpublished(error: BaseException | None, said: str) -> KafkaUnavailable:
    return (TooLarge if _is_too_large(error) else KafkaUnavailable)(f"not published: {said}")


class Producer:
    """Sends in order, and knows whether it arrived. A new client is made after every failure."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._producer: Any = None

    def publish(self, messages: Sequence[Outgoing], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Raises KafkaUnavailable if any message was not acknowledged in time.

        `meanwhile` is done while the brokers write.
        """
        try:
            producer = self._opened()
            sent = [
                producer.send(
                    topic_partition.topic, value, key, kafka_records.Written(headers), topic_partition.partition
                )
                for topic_partition, key, value, headers in messages
            ]
            producer._accumulator.begin_flush()  # noqa: SLF001 - `flush` begins, and waits
            producer._sender.wakeup()  # noqa: SLF001 - the same
            meanwhile()
            failed = _await(producer, sent)
        except (KafkaError, OSError, AssertionError) as error:
            self.discard()
            raise _unpublished(error, f"{type(error).__name__}: {error}") from error
        if failed is not None:
            self.discard()
            raise _unpublished(failed.exception, str(failed.exception or "no acknowledgement"))

    def partitions(self, topics: Sequence[str]) -> dict[str, int]:
        """How many each topic has. Raises KafkaUnavailable if one does not exist."""
        found: dict[str, int] = {}
        try:
            producer = self._opened()
            for topic in topics:
                producer._sender.add_topic(topic)  # noqa: SLF001 - one question for all of them
            for topic in topics:
                found[topic] = len(producer.partitions_for(topic))
        except (KafkaError, OSError) as error:
            self.discard()
            missing = ", ".join(topic for topic in topics if topic not in found)
            raise KafkaUnavailable(f"{missing}: {type(error).__name__}: {error}; `oms-es topics` makes it") from error
        return found

    def messages(self, partitions: Mapping[str, int]) -> dict[str, int]:
        """How many were ever published to each topic, as far as they can be counted: its end offsets."""
        counts = dict.fromkeys(partitions, 0)
        if not counts:
            return counts
        topic_partitions = [
            KafkaTopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)
        ]
        try:
            reader = self._reader()
            try:
                for topic_partition, end in reader.end_offsets(topic_partitions).items():
                    counts[topic_partition.topic] += end
            finally:
                reader.close(autocommit=False)
        except (KafkaError, OSError) as error:
            raise unanswered(", ".join(counts), error) from error
        return counts

    def topic_ids(self, topics: Sequence[str]) -> dict[str, UUID]:
        """What distinguishes each from others of its name, as the brokers say now. Raises KafkaUnavailable."""
        self.partitions(topics)
        cluster = self._asked_now(topics)
        if missing := [topic for topic in topics if not cluster.partitions_for_topic(topic)]:
            raise KafkaUnavailable(no_topic(*missing))
        return {topic: cluster.topic_id(topic) for topic in topics}

    def missing(self, topics: Sequence[str]) -> list[str]:
        """Those that do not exist, as the brokers say now, without waiting for them. Raises KafkaUnavailable."""
        cluster = self._asked_now(topics)
        return [topic for topic in topics if not cluster.partitions_for_topic(topic)]

    def _asked_now(self, topics: Sequence[str]) -> Any:
        """The cluster as the brokers describe it now. Raises KafkaUnavailable."""
        try:
            producer = self._opened()
            for topic in topics:
                producer._sender.add_topic(topic)  # noqa: SLF001 - one question for all of them
            cluster = producer._metadata  # noqa: SLF001 - there is no public way
            asked, deadline = cluster.request_update(), time.monotonic() + REQUEST_MS / 1_000
            while not asked.is_done and time.monotonic() < deadline:
                time.sleep(ANSWER_SECONDS)
        except (KafkaError, OSError) as error:
            self.discard()
            raise unanswered("topics", error) from error
        if not asked.is_done:
            raise KafkaUnavailable("topics: the brokers do not answer")
        if asked.failed() and not isinstance(asked.exception, UnknownTopicOrPartitionError):
            raise unanswered("topics", asked.exception)  # what it knows is of before
        return cluster

    def held(self, topic: str) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """The offset of the oldest message of each partition, and the one after its newest. Raises KafkaUnavailable."""
        topic_partitions = [TopicPartition(topic, number) for number in range(self.partitions([topic])[topic])]
        try:
            reader = self._reader()
            try:
                asked = [KafkaTopicPartition(*topic_partition) for topic_partition in topic_partitions]
                begins, ends = reader.beginning_offsets(asked), reader.end_offsets(asked)
            finally:
                reader.close(autocommit=False)
        except (KafkaError, OSError) as error:
            raise unanswered(topic, error) from error
        return (
            {TopicPartition(*at): n for at, n in begins.items()},
            {TopicPartition(*at): n for at, n in ends.items()},
        )

    def discard(self) -> None:
        """Stop at once: what it still holds must not arrive after what is published next."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer._sender.force_close()  # noqa: SLF001 - `close` raises before it stops while anything is unsent
            with suppress(Exception):
                producer.close(timeout=0)

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):
                producer.close(timeout=CLOSE_SECONDS_MAX)

    def _reader(self) -> Any:
        reader = KafkaConsumer(**self.config, enable_auto_commit=False, metrics_enabled=False)
        make_no_topics(reader._cluster)  # noqa: SLF001 - there is no public way
        return reader

    def _opened(self) -> Any:
        if self._producer is None:
            self._producer = KafkaProducer(
                **self.config,
                acks="all",
                enable_idempotence=True,
                linger_ms=LINGER_MS,
                batch_size=BATCH_BYTES,
                max_request_size=REQUEST_BYTES_MAX,
                request_timeout_ms=REQUEST_MS,
                delivery_timeout_ms=DELIVERY_MS_NEVER,
                max_block_ms=REQUEST_MS,
                metrics_enabled=False,
            )
            make_no_topics(self._producer._metadata)  # noqa: SLF001 - there is no public way
            # the library (3.0.12) splits what is too large, and then waits for ever for what it split; callers halve
            self._producer._sender._can_split = lambda _batch, _error: False  # noqa: SLF001 - nothing public says so
        return self._producer


def create_topics(config: Config, topics: Iterable[Topic], replicas: int) -> list[str]:
    """Make those that are missing; their names. What exists is left as it is. Raises KafkaUnavailable."""
    try:
        admin = KafkaAdminClient(**config)
        try:
            there = set(admin.list_topics())
            missing = [topic for topic in topics if topic.name not in there]
            return _created(admin, missing, replicas)
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise unanswered("topics", error) from error


def _created(admin: Any, topics: Sequence[Topic], replicas: int) -> list[str]:
    """All in one request; one by one if another process makes some of them at the same time."""
    if not topics:
        return []
    try:
        admin.create_topics({topic.name: _options(topic, replicas) for topic in topics}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        if len(topics) == 1:
            return []
        return [name for topic in topics for name in _created(admin, [topic], replicas)]
    return [topic.name for topic in topics]


def _options(topic: Topic, replicas: int) -> dict[str, Any]:
    configs = {"cleanup.policy": "compact" if topic.compacted else "delete"}
    if topic.bytes_max is not None:
        configs["max.message.bytes"] = str(topic.bytes_max)
    if topic.kept:
        configs |= {"retention.ms": "-1", "retention.bytes": "-1"}
    return {"num_partitions": topic.partitions, "replication_factor": replicas, "configs": configs}
