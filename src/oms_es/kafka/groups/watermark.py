"""How far the roles have come that read topics, as one position of the log.

Invariant: everything up to the position given is done by every role asked for. A partition that a role has read to its
end delays no reader, however long ago that end was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from oms_es.kafka.client import TopicPartition
from oms_es.kafka.cloudevents import partition_for_stream
from oms_es.kafka.relay.store import RELAY, RELAY_PARTITIONS
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.recorder import TRACKING, Recorder

REFRESH_SECONDS = 1.0
COVERED = f"""
SELECT least((SELECT position FROM {RELAY} WHERE name = 'events'), min(done)) AS covered
FROM (
    SELECT greatest(coalesce(own.notification_id, 0), coalesce(log.notification_id, 0)) AS done, published.position
    FROM unnest(%b::text[], %b::text[]) AS role(name, topic)
    JOIN {RELAY_PARTITIONS} AS published ON published.topic = role.topic
    LEFT JOIN {TRACKING} AS own
        ON own.application_name = role.name || '@' || published.topic || '/' || published.partition
    LEFT JOIN {TRACKING} AS log ON log.application_name = role.name
) AS progress
WHERE done < position
"""

RELAYED = f"""
SELECT topic, partition, position, (SELECT position FROM {RELAY} WHERE name = 'events') AS relayed
FROM {RELAY_PARTITIONS}
"""


class Relayed(NamedTuple):
    """Up to which position the relay has published, and the last position in each partition up to there."""

    position: int
    last: Mapping[TopicPartition, int]


class Watermark:
    """`topics`: what each role reads."""

    def __init__(self, recorder: Recorder, topics: Mapping[str, Sequence[str]]) -> None:
        self.recorder = recorder
        self.topics = topics

    def position(self, roles: Iterable[str]) -> int:
        pairs = [(role, topic) for role in roles for topic in self.topics[role]]
        with self.recorder.datastore.cursor() as curs:
            row = curs.execute(
                COVERED, [[role for role, _ in pairs], [topic for _, topic in pairs]], prepare=True
            ).fetchone()
        return (row and row["covered"]) or 0


def relayed(recorder: Recorder) -> Relayed:
    """As of one moment."""
    with recorder.datastore.cursor() as curs:
        rows = curs.execute(RELAYED, prepare=True).fetchall()
    last = {TopicPartition(row["topic"], row["partition"]): row["position"] for row in rows}
    return Relayed(rows[0]["relayed"] or 0 if rows else 0, last)


class Published:
    """The position that was published last in each partition, as it was known a moment ago."""

    def __init__(self, recorder: Recorder, timing: Timing = SYSTEM_TIMING) -> None:
        self.recorder = recorder
        self.timing = timing
        self._asked = -REFRESH_SECONDS
        self._last: Mapping[TopicPartition, int] = {}

    def __call__(self, topic_partition: TopicPartition) -> int:
        if self.timing.monotonic() - self._asked > REFRESH_SECONDS:
            with self.recorder.datastore.cursor() as curs:
                curs.execute(f"SELECT topic, partition, position FROM {RELAY_PARTITIONS}", prepare=True)
                self._last = {TopicPartition(row["topic"], row["partition"]): row["position"] for row in curs}
            self._asked = self.timing.monotonic()
        return self._last.get(topic_partition, 0)


def published_partitions(reading: psycopg.Connection[dict[str, Any]] | psycopg.Cursor[Any]) -> dict[str, int]:
    """How many each topic has that the relay publishes."""
    counted = reading.execute(f"SELECT topic, count(*) AS partitions FROM {RELAY_PARTITIONS} GROUP BY topic")
    return {row["topic"]: row["partitions"] for row in counted}


class Progress(NamedTuple):
    """How far each role has come: in the log, and in each partition of the topics that it reads on Kafka."""

    positions: Mapping[str, int]
    partitions: Mapping[str, int]

    @classmethod
    def stored(cls, connection: psycopg.Connection[dict[str, Any]]) -> Progress:
        rows = connection.execute(f"SELECT application_name, notification_id FROM {TRACKING}")
        positions = {row["application_name"]: row["notification_id"] for row in rows}
        return cls(positions, published_partitions(connection))

    def has_taken(self, role: str, stream: str, position: int) -> bool:
        """Whether the role has done the event at this position."""
        if position <= self.positions.get(role, 0):
            return True
        if not self.partitions:
            return False
        return position <= self.positions.get(f"{role}@{partition_for_stream(stream, self.partitions)}", 0)

    def topic_partitions(self, role: str) -> dict[str, int]:
        """How far the role has come in the log, and in each partition in which it has come further."""
        log = self.positions.get(role, 0)
        own = {name: at for name, at in self.positions.items() if name.startswith(f"{role}@") and at > log}
        return {role: log, **own}


NOTHING = Progress({}, {})
