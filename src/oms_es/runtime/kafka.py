"""Kafka, by way of kafka-python, which has no types: the one module that knows it.

Invariant: `publish` returns only when the broker has acknowledged every message; after any other end the producer is
thrown away, because nobody knows which of them arrived.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from kafka import (  # type: ignore[import-untyped] # the library has no types; everything of it stays in this module
    ConsumerRebalanceListener,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    TopicPartition,
)
from kafka.coordinator.assignors.cooperative_sticky import (  # type: ignore[import-untyped] # the same
    CooperativeStickyAssignor,
)
from kafka.errors import KafkaError, TopicAlreadyExistsError  # type: ignore[import-untyped] # the same
from kafka.partitioner.default import murmur2  # type: ignore[import-untyped] # the same
from kafka.structs import OffsetAndMetadata  # type: ignore[import-untyped] # the same

from oms_es.kernel import GatewayUnavailable
from oms_es.runtime import kafka_records

PUBLISH_SECONDS_MAX = 30.0
"""Our own deadline for a publish. The library's must never fire: its idempotent producer would wait for ever."""
DELIVERY_MS_NEVER = 86_400_000
LINGER_MS = 5
BATCH_BYTES = 262_144
KEYS_CACHED_MAX = 200_000
MESSAGES_PER_POLL_MAX = 2_000
SESSION_SECONDS = 10.0
"""A worker that is silent for longer is thought to be dead, and its partitions go to others."""
HEARTBEATS_PER_SESSION = 5
POLL_INTERVAL_MS_MAX = 120_000
"""A worker that takes longer than this over its batches is thought to be stuck, and its partitions go to others."""
FETCH_WAIT_MS = 500
"""How long a broker waits for something to come before it says that there is nothing."""
LOOK_SECONDS = 0.5
"""How often the library has its turn, whether or not messages came: it notices what happened to its group."""
HINT_SECONDS = 0.5
"""How often offsets are committed at most: they say where to begin to read, and every commit is work for a broker."""
JOIN_SECONDS = 0.05
"""Per poll while a group forms. A process has many groups, which all form at once when a member comes or goes: were
each waited for in turn, none would get on."""
CLOSE_SECONDS_MAX = 5.0
REQUEST_MS = 10_000
RECONNECT_MS_MAX = 1_000

kafka_records.install()

Headers = Mapping[str, bytes]
Config = Mapping[str, Any]


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class Message(NamedTuple):
    """As it was read: `value` is None for a tombstone."""

    place: Place
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Outgoing(NamedTuple):
    place: Place
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]


class KafkaUnavailable(GatewayUnavailable):
    """The broker does not answer, or not with what was asked. What was being published may or may not be there."""


class Topic(NamedTuple):
    name: str
    partitions: int
    compacted: bool


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


class Publisher:
    """Sends in order, and knows whether it arrived. The client is made anew after every failure."""

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
                producer.send(place.topic, value, key, kafka_records.Written(headers), place.partition)
                for place, key, value, headers in messages
            ]
            producer._accumulator.begin_flush()  # noqa: SLF001 - `flush` begins, and waits
            producer._sender.wakeup()  # noqa: SLF001 - the same
            meanwhile()
            producer._accumulator.await_flush_completion(timeout=PUBLISH_SECONDS_MAX)  # noqa: SLF001 - the same
            failed = next((future for future in sent if not future.succeeded()), None)
        except (KafkaError, OSError, AssertionError) as error:
            self.discard()
            raise KafkaUnavailable(f"not published: {type(error).__name__}: {error}") from error
        if failed is not None:
            self.discard()
            raise KafkaUnavailable(f"not published: {failed.exception or 'no acknowledgement'}")

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
        places = [TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)]
        try:
            reader = KafkaConsumer(**self.config, enable_auto_commit=False, metrics_enabled=False)
            try:
                for place, end in reader.end_offsets(places).items():
                    counts[place.topic] += end
            finally:
                reader.close(autocommit=False)
        except (KafkaError, OSError) as error:
            raise KafkaUnavailable(f"{', '.join(counts)}: {type(error).__name__}: {error}") from error
        return counts

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

    def _opened(self) -> Any:
        if self._producer is None:
            self._producer = KafkaProducer(
                **self.config,
                acks="all",
                enable_idempotence=True,
                linger_ms=LINGER_MS,
                batch_size=BATCH_BYTES,
                request_timeout_ms=REQUEST_MS,
                delivery_timeout_ms=DELIVERY_MS_NEVER,
                max_block_ms=REQUEST_MS,
                metrics_enabled=False,
            )
        return self._producer


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc] # the library has no types
    """Called on the client's own thread, where nothing may be decided: what happened is only written down."""

    def __init__(self) -> None:
        self.happened: SimpleQueue[tuple[bool, frozenset[Place]]] = SimpleQueue()

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self.happened.put((True, frozenset(Place(p.topic, p.partition) for p in assigned)))

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self.happened.put((False, frozenset(Place(p.topic, p.partition) for p in revoked)))


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
    task = coordinator._join_task  # noqa: SLF001 - nothing public tells
    if task is not None:
        if not isinstance(task, _Join):
            coordinator._join_task = _Join(task)  # noqa: SLF001 - the same
        coordinator.request_rejoin()  # until it is over
    return bool(coordinator.need_rejoin())


class Group:
    """Membership of a consumer group. Offsets are committed by hand, as a hint for whoever comes next."""

    def __init__(
        self,
        config: Config,
        name: str,
        topics: Sequence[str],
        session_seconds: float = SESSION_SECONDS,
        ring: Callable[[], None] = lambda: None,
    ) -> None:
        """`ring` is called on the client's own thread when something has come in."""
        self.name = name
        self.topics = topics
        self.config = config
        self.session_ms = int(session_seconds * 1_000)
        self.ring = ring
        self._rebalances = Rebalances()
        self._consumer: Any = None
        self._stirred = True
        self._look_at = self._hint_at = 0.0
        self._hints: dict[Place, int] = {}

    def poll(self, seconds: float = 0.0) -> dict[Place, list[Message]]:
        """What has come, by partition. Raises KafkaUnavailable."""
        try:
            consumer = self._opened()
            if time.monotonic() > self._hint_at:
                self._commit_hints()
            joining = _joining(consumer._coordinator)  # noqa: SLF001 - nothing public tells
            if joining:
                seconds = max(seconds, JOIN_SECONDS)
            elif not seconds and self._still():
                return {}
            self._stirred, self._look_at = False, time.monotonic() + LOOK_SECONDS
            records = consumer.poll(timeout_ms=int(seconds * 1_000), max_records=MESSAGES_PER_POLL_MAX)
        except (KafkaError, OSError) as error:
            raise KafkaUnavailable(f"{self.name}: {type(error).__name__}: {error}") from error
        self._stirred |= bool(records)  # there may be more
        return {(place := Place(*at)): [_message(place, r) for r in found] for at, found in records.items()}

    def changes(self) -> list[tuple[bool, frozenset[Place]]]:
        """What the group has given us (True) and taken from us (False) since it was last asked, in order."""
        found: list[tuple[bool, frozenset[Place]]] = []
        with suppress(Empty):
            while True:
                found.append(self._rebalances.happened.get_nowait())
        for place in frozenset[Place]().union(*[places for given, places in found if not given]):
            self._hints.pop(place, None)  # whoever has it now may be further
        return found

    @property
    def joined(self) -> bool:
        """Whether it is known which partitions are ours."""
        if self._consumer is None:
            return False
        coordinator = self._consumer._coordinator  # noqa: SLF001 - nothing public tells
        return coordinator._join_task is None and not coordinator.need_rejoin()  # noqa: SLF001 - the same

    @property
    def calls(self) -> bool:
        """Whether the group waits for a poll of ours: to begin a join, or to hear that we know that it has ended."""
        if self._consumer is None:
            return False
        coordinator = self._consumer._coordinator  # noqa: SLF001 - nothing public tells
        task = coordinator._join_task  # noqa: SLF001 - the same
        return bool(coordinator.need_rejoin()) if task is None else bool(getattr(task, "task", task).is_done)

    def seek(self, place: Place, offset: int) -> None:
        self._stirred = True
        with suppress(ValueError, KeyError):  # it was taken from us again meanwhile
            self._opened().seek(TopicPartition(*place), offset)

    def pause(self, places: Iterable[Place]) -> None:
        self._each("pause", places)

    def resume(self, places: Iterable[Place]) -> None:
        self._each("resume", places)

    def hint(self, offsets: Mapping[Place, int]) -> None:
        """Commit the offsets to go on from, before long and without waiting: if it fails, the next ones will do."""
        self._hints.update(offsets)

    def lag(self, place: Place, offset: int) -> int | None:
        """Messages between `offset` and the newest; None while unknown."""
        newest = None
        with suppress(KafkaError, KeyError):  # it was taken from us meanwhile
            newest = self._opened().highwater(TopicPartition(*place)) if self._consumer else None
        return None if newest is None else max(0, newest - offset)

    def close(self) -> None:
        """Leave the group, so that others need not wait for our session to end."""
        self._commit_hints()
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(Exception):
                consumer.close(autocommit=False, timeout_ms=int(CLOSE_SECONDS_MAX * 1_000))

    def _commit_hints(self) -> None:
        if not self._hints or self._consumer is None:
            return
        told = {TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in self._hints.items()}
        self._hints, self._hint_at = {}, time.monotonic() + HINT_SECONDS
        with suppress(KafkaError, OSError):
            self._consumer.commit_async(told)

    def _each(self, verb: str, places: Iterable[Place]) -> None:
        self._stirred = True
        for place in places:
            with suppress(Exception):  # it was taken from us meanwhile
                getattr(self._opened(), verb)(TopicPartition(*place))

    def _opened(self) -> Any:
        if self._consumer is None:
            self._consumer = KafkaConsumer(
                **self.config,
                group_id=self.name,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                partition_assignment_strategy=[CooperativeStickyAssignor],
                max_poll_records=MESSAGES_PER_POLL_MAX,
                session_timeout_ms=self.session_ms,
                heartbeat_interval_ms=self.session_ms // HEARTBEATS_PER_SESSION,
                max_poll_interval_ms=POLL_INTERVAL_MS_MAX,
                fetch_max_wait_ms=FETCH_WAIT_MS,
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
            self._consumer.subscribe(topics=list(self.topics), listener=self._rebalances)
            self._ring_after_fetches(self._consumer._fetcher)  # noqa: SLF001 - nothing public tells
        return self._consumer

    def _still(self) -> bool:
        """Whether a fetch is under way, and nothing has come in since the last poll: then a poll would cost much of
        the time of a process with many groups, and bring nothing."""
        fetching = self._consumer._fetcher._nodes_with_pending_fetch_requests  # noqa: SLF001 - nothing public tells
        return fetching and not self._stirred and time.monotonic() < self._look_at

    def _ring_after_fetches(self, fetcher: Any) -> None:
        ended = fetcher._clear_pending_fetch_request  # noqa: SLF001 - the last that is done of a fetch

        def ended_and_ring(*told: Any) -> None:
            ended(*told)
            self._stirred = True
            self.ring()

        fetcher._clear_pending_fetch_request = ended_and_ring  # noqa: SLF001 - the same


def _message(place: Place, record: Any) -> Message:
    return Message(place, record.offset, record.key, record.value, dict(record.headers))


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
        raise KafkaUnavailable(f"topics: {type(error).__name__}: {error}") from error


def _created(admin: Any, topics: Sequence[Topic], replicas: int) -> list[str]:
    """All in one request; one by one if somebody else makes some of them at the same time."""
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
    return {
        "num_partitions": topic.partitions,
        "replication_factor": replicas,
        "configs": {"cleanup.policy": "compact" if topic.compacted else "delete"},
    }
