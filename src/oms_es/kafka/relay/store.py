"""What the relay reads and stores in PostgreSQL: the log, and how far each partition is published.

Invariant: a position moves only in the session that holds the lock, and only from where this relay left it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import psycopg

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kafka.client import TopicPartition
from oms_es.store.archive.reading import whole
from oms_es.store.recorder import EVENTS

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


class LeadershipLost(OmsError):
    """Another relay has taken over, or the session that held the lock has ended."""

    code = "leadership_lost"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class LogRow(NamedTuple):
    """A row of the log."""

    notification_id: int
    originator_id: str
    originator_version: int
    topic: str
    state: bytes


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
        """The position up to which everything is published."""
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
            return [LogRow(at, stream, version, topic, whole(state)) for at, stream, version, topic, state in curs]

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
