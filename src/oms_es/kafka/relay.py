"""The relay: publishes the log of PostgreSQL to Kafka, in order.

Invariant: one relay publishes at a time, the one that holds the lock; it publishes the log in order, and moves its
position only after every message up to there was acknowledged. What it published without having moved its position is
published again, with the same positions and the same predecessors.

The lock is the session's, and the position is saved in the same session: a relay whose session has ended cannot save.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import psycopg
import structlog

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kafka.client import KafkaUnavailable, Outgoing, TooLarge, TopicPartition, too_large
from oms_es.kafka.cloudevents import CloudEventsCodec, partition_for_stream
from oms_es.kafka.reading import TopicReplaced
from oms_es.processing import metrics
from oms_es.processing.readers import NothingToSave
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.log import AppendListener
from oms_es.store.recorder import APPEND_LOCK, EVENTS

RELAY_LOCK = APPEND_LOCK + 2
RELAYED_MAX = 1_000
"""Events per publish: so much is published again after a crash."""
STANDBY_SECONDS = 1.0
"""How often a standby asks for the lock."""
CHECK_SECONDS = 5.0
"""How often the relay checks that no topic was deleted and made again."""
REFRESH_SECONDS = 0.05
"""How often the relay polls for rows that send no notification."""
STATEMENT_SECONDS_MAX = 30
RELAY, RELAY_PARTITIONS = "oms_relay", "oms_relay_partitions"

CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {RELAY} (
        name text PRIMARY KEY,
        position bigint NOT NULL DEFAULT 0,
        epoch bigint NOT NULL DEFAULT 0
    )""",
    f"""
    CREATE TABLE IF NOT EXISTS {RELAY_PARTITIONS} (
        topic text,
        partition integer,
        position bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (topic, partition)
    )""",
)

NO_WAIT_FOR_THE_DISK = "-c synchronous_commit=off"
"""What a crash of the database takes back from a relay is published again."""
WAIT_FOR_THE_DISK = "set_config('synchronous_commit', 'on', true)"
SAVE = f"""
WITH moved AS (
    UPDATE {RELAY} SET position = %s WHERE name = 'events' AND epoch = %s AND position = %s
    RETURNING position
), kept AS (
    UPDATE {RELAY_PARTITIONS} AS kept SET position = now.position
    FROM moved, unnest(%s::text[], %s::integer[], %s::bigint[]) AS now(topic, partition, position)
    WHERE kept.topic = now.topic AND kept.partition = now.partition
)
SELECT FROM moved
"""
"""One statement, and one answer to wait for."""

log = structlog.get_logger(__name__)


class LeadershipLost(OmsError):
    """Another relay has taken over, or the session that held the lock has ended."""

    code = "leadership_lost"
    exit_code = Code.UNEXPECTED
    status = HTTPStatus.SERVICE_UNAVAILABLE


class LogRow(NamedTuple):
    """A row of the log."""

    notification_id: int
    originator_id: str
    originator_version: int
    topic: str
    state: bytes


class MessageProducer(Protocol):
    """What the relay needs of a broker's client."""

    def publish(self, messages: Sequence[Outgoing], meanwhile: Callable[[], None] = ...) -> None: ...

    def partitions(self, topics: Sequence[str]) -> dict[str, int]: ...

    def messages(self, partitions: Mapping[str, int]) -> dict[str, int]: ...

    def discard(self) -> None: ...

    def close(self) -> None: ...


class LeaderLock(Protocol):
    """Whether this relay is the one, by the lock of a session of PostgreSQL, or of a simulation of it."""

    session: Any
    epoch: int

    def try_acquire(self) -> bool: ...

    def release(self) -> None: ...


class Leadership:
    """The lock, and the session that holds it."""

    def __init__(self, database_url: str, timing: Timing = SYSTEM_TIMING) -> None:
        self.database_url = database_url
        self.timing = timing
        self.session: psycopg.Connection[Any] | None = None
        self.epoch = 0
        self._asked = -STANDBY_SECONDS

    def try_acquire(self) -> bool:
        """True in the moment in which this relay becomes the active one. Asks no more often than STANDBY_SECONDS."""
        if self.timing.monotonic() - self._asked < STANDBY_SECONDS:
            return False
        self._asked = self.timing.monotonic()
        session = psycopg.connect(
            self.database_url,
            autocommit=True,
            options=f"-c statement_timeout={STATEMENT_SECONDS_MAX}s {NO_WAIT_FOR_THE_DISK}",
        )
        row = session.execute("SELECT pg_try_advisory_lock(%s)", [RELAY_LOCK]).fetchone()
        if row is None or not row[0]:
            session.close()
            return False
        self.session = session
        row_of_epoch = session.execute(
            f"INSERT INTO {RELAY} AS kept (name, epoch) VALUES ('events', 1) "
            "ON CONFLICT (name) DO UPDATE SET epoch = kept.epoch + 1 RETURNING epoch"
        ).fetchone()
        assert row_of_epoch
        self.epoch = row_of_epoch[0]
        log.info("relay is active", epoch=self.epoch)
        metrics.RELAY_ACTIVE.set(1)
        return True

    def release(self) -> None:
        session, self.session = self.session, None
        metrics.RELAY_ACTIVE.set(0)
        if session is not None:
            with suppress(psycopg.Error):
                session.close()


class RelaySignal(AppendListener):
    """The log's, and a look from time to time: states and dead letters ring none."""

    def wait(self, seconds: float) -> bool:
        return super().wait(min(seconds, REFRESH_SECONDS))


class TopicPublisher(Protocol):
    """One kind of thing that the active relay publishes."""

    @property
    def batch_max(self) -> int: ...

    def begin(self, session: Any, epoch: int) -> None:
        """Go where the stored position is."""

    def publish(self, session: Any) -> int:
        """The next batch; how many messages. Raises KafkaUnavailable, LeadershipLost."""


class Relay(NothingToSave):
    """A participant of the loop: stands by, or publishes."""

    name = "relay"
    batch_max = RELAYED_MAX

    def __init__(
        self,
        leadership: LeaderLock,
        producer: MessageProducer,
        publishers: Sequence[TopicPublisher],
        check: Callable[[Any], None] = lambda _session: None,
        timing: Timing = SYSTEM_TIMING,
        note: Callable[[str], None] = lambda _problem: None,
    ) -> None:
        """`check` raises TopicReplaced if a topic is not the one that was published to before.

        `note` is given what stops it, for whoever asks another process, and "" when it goes on.
        """
        self.check = check
        self.note = note
        self.timing = timing
        self.problem = ""
        self._noted = False  # whoever was the relay before may have stopped
        self._checked = -CHECK_SECONDS
        self.leadership = leadership
        self.producer = producer
        self.publishers = publishers
        self._begun = False

    @property
    def active(self) -> bool:
        return self.leadership.session is not None

    def step(self) -> int:
        if not self.active and not self.leadership.try_acquire():
            return 0
        try:
            return self._publish()
        except TooLarge as error:
            self._begun = False
            self._report(str(error))
            raise
        except KafkaUnavailable:
            self._begun = False  # begin again where the position is stored
            raise
        except (LeadershipLost, psycopg.OperationalError) as error:
            self._stand_by(error)
            return 0

    def seek(self) -> None:
        self._begun = False

    def close(self) -> None:
        self.producer.close()
        self.leadership.release()

    def _publish(self) -> int:
        session = self.leadership.session
        assert session
        self._check_topics(session)
        if not self._begun:
            for publisher in self.publishers:
                publisher.begin(session, self.leadership.epoch)
            self._begun = True
        published = self._published(session)
        metrics.RELAY_PUBLISHED.inc(sum(published))
        if self.problem or not self._noted:
            self._report("")
        return max(published)

    def _published(self, session: Any) -> list[int]:
        """A publisher that fails does not hold up the others. Raises TooLarge after the others had their turn."""
        published, refused = [0], None
        for publisher in self.publishers:
            try:
                published.append(publisher.publish(session))
            except TooLarge as error:
                refused = refused or error
        if refused:
            raise refused
        return published

    def _report(self, problem: str) -> None:
        """What stops it, or "" if nothing does any more."""
        if problem and problem != self.problem:
            log.critical("relay stopped", reason=problem)
        if problem != self.problem or not self._noted:
            self.note(problem)
        self.problem, self._noted = problem, True
        metrics.STOPPED.labels(self.name).set(int(bool(problem)))

    def _check_topics(self, session: Any) -> None:
        """What was published since the last look is in the topics of before, or in the one that a person accepts."""
        if self.timing.monotonic() - self._checked < CHECK_SECONDS and not self.problem:
            return
        try:
            self.check(session)
        except TopicReplaced as replaced:
            self._report(str(replaced))
            raise KafkaUnavailable(self.problem) from replaced
        self._checked = self.timing.monotonic()

    def _stand_by(self, error: Exception) -> None:
        log.warning("relay stands by", reason=str(error))
        self.producer.discard()
        self.leadership.release()
        self._begun = self._noted = False


class RelayStore(Protocol):
    """What the relay reads and keeps in the database, by way of the session that holds the lock."""

    def position(self, session: Any) -> int: ...

    def published(self, session: Any, topics: Sequence[str]) -> dict[TopicPartition, int]: ...

    def begin_topic(self, session: Any, topic: str, partitions: int) -> None: ...

    def events(self, session: Any, after: int, limit: int) -> list[LogRow]: ...

    def save(
        self, session: Any, epoch: int, previous: int, position: int, last: Mapping[TopicPartition, int]
    ) -> None: ...


class SqlRelayStore:
    def position(self, session: psycopg.Connection[Any]) -> int:
        """Up to which everything is published."""
        row = session.execute(f"SELECT position FROM {RELAY} WHERE name = 'events'").fetchone()
        return row[0] if row else 0

    def published(self, session: psycopg.Connection[Any], topics: Sequence[str]) -> dict[TopicPartition, int]:
        """The position last published in each partition of the topics that were ever begun."""
        found = session.execute(
            f"SELECT topic, partition, position FROM {RELAY_PARTITIONS} WHERE topic = ANY(%s)", [list(topics)]
        )
        return {TopicPartition(topic, partition): position for topic, partition, position in found}

    def begin_topic(self, session: psycopg.Connection[Any], topic: str, partitions: int) -> None:
        """How many partitions there are is written down at the first sight, before anything is in them."""
        session.execute(
            f"INSERT INTO {RELAY_PARTITIONS} (topic, partition) SELECT %s, n FROM generate_series(0, %s) AS n "
            f"RETURNING {WAIT_FOR_THE_DISK}",
            [topic, partitions - 1],
        )

    def events(self, session: psycopg.Connection[Any], after: int, limit: int) -> list[LogRow]:
        with session.cursor(binary=True) as curs:
            curs.execute(
                "SELECT notification_id, originator_id, originator_version, topic, state "
                f"FROM {EVENTS} WHERE notification_id > %s ORDER BY notification_id LIMIT %s",
                [after, limit],
                prepare=True,
            )
            return [LogRow(*row) for row in curs]

    def save(
        self,
        session: psycopg.Connection[Any],
        epoch: int,
        previous: int,
        position: int,
        last: Mapping[TopicPartition, int],
    ) -> None:
        """Raises LeadershipLost if another relay has begun, or has moved the position; then nothing is saved."""
        topics, partitions = (
            [topic_partition.topic for topic_partition in last],
            [topic_partition.partition for topic_partition in last],
        )
        moved = session.execute(
            SAVE, [position, epoch, previous, topics, partitions, list(last.values())], prepare=True
        ).fetchone()
        if moved is None:
            raise LeadershipLost("another relay has moved the position")


SQL_RELAY_STORE = SqlRelayStore()


class Batch(NamedTuple):
    """Events of the log, ready to be sent: up to which position, and the last one of every partition after them."""

    messages: list[Outgoing]
    position: int
    last: Mapping[TopicPartition, int]


class EventPublisher:
    """The log, to the event topics."""

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
        """Raises KafkaUnavailable if somebody else publishes there: nobody could separate two logs in one topic."""
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
