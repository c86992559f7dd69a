"""Which topics ours are: a name may be deleted and made again, an id is never given twice.

Invariant: the id that is kept is that of the topic whose positions are kept. Another one takes its place only when a
person says so, in the transaction that says where to read on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

from oms_es.kafka.client import KafkaUnavailable, TopicPartition
from oms_es.kafka.groups.reading import TopicReplaced
from oms_es.store import stops
from oms_es.store.recorder import TRACKING

TOPICS = "oms_topics"
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {TOPICS} (
        name text PRIMARY KEY,
        id uuid NOT NULL,
        kept_at timestamptz NOT NULL DEFAULT now()
    )""",
)
KEEP = f"INSERT INTO {TOPICS} (name, id) SELECT * FROM unnest(%s::text[], %s::uuid[]) ON CONFLICT DO NOTHING"
KEPT = f"SELECT name, id FROM {TOPICS} WHERE name = ANY(%s)"
REPLACE = (
    f"INSERT INTO {TOPICS} (name, id) VALUES (%s, %s) "
    "ON CONFLICT (name) DO UPDATE SET id = excluded.id, kept_at = now()"
)
READ_ON = f"UPDATE {TRACKING} SET notification_id = %s WHERE application_name = %s"
BEGIN_AGAIN = f"DELETE FROM {TRACKING} WHERE application_name = %s"
"""A position of nothing is no row."""


class Executing(Protocol):
    """A connection or a cursor."""

    def execute(self, query: Any, params: Any = None, /) -> Any: ...


class SameTopic:
    """Asks whether a topic still is the one whose positions are kept; the first sight of one is kept."""

    def __init__(
        self, id_of: Callable[[str], UUID | None], kept: Callable[[Mapping[str, UUID]], Mapping[str, UUID]]
    ) -> None:
        """`id_of` asks the brokers; `kept` keeps ids of topics that are new, and says what is kept of all."""
        self.id_of = id_of
        self.kept = kept
        self._known: dict[str, UUID] = {}

    def check(self, topic: str) -> None:
        """Raises TopicReplaced, and KafkaUnavailable if there is no such topic."""
        seen = self.id_of(topic)
        if seen is None:
            raise KafkaUnavailable(f"there is no topic {topic}; `oms-es topics` makes it")
        if self._known.get(topic) != seen:  # a person may have said meanwhile that another one is right
            self._known = {**self._known, **self.kept({topic: seen})}
        if self._known[topic] != seen:
            raise TopicReplaced(why_replaced(topic))


def kept_ids(connection: Executing, seen: Mapping[str, UUID]) -> dict[str, UUID]:
    """Keep the ids of those of which none is kept; what is kept of all of them."""
    connection.execute(KEEP, [list(seen), list(seen.values())])
    rows = connection.execute(KEPT, [list(seen)]).fetchall()
    return dict(tuple(row.values()) if isinstance(row, Mapping) else row for row in rows)


def replace(connection: Executing, topic: str, seen: UUID) -> None:
    """Keep this id from now on."""
    connection.execute(REPLACE, [topic, seen])


def read_on(connection: Executing, role: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Move the positions of a role that keeps offsets. A worker that has it finds its own position lost."""
    for topic_partition, offset in offsets.items():
        name = f"{role}@{topic_partition}"
        connection.execute(stops.CLEAR, [name])
        if offset:
            connection.execute(READ_ON, [offset, name])
        else:
            connection.execute(BEGIN_AGAIN, [name])


def replaced(connection: Executing, seen: Mapping[str, UUID]) -> list[str]:
    """Those of these topics of which another id is kept."""
    kept = kept_ids(connection, seen)
    return [topic for topic in seen if kept[topic] != seen[topic]]


def why_replaced(topic: str) -> str:
    return (
        f"{topic} was deleted and made again: messages may be lost unread. Look for what their senders "
        f"have; then `oms-es topics accept-replaced {topic}` goes on with the new one; start again afterwards"
    )


def outside(
    positions: Mapping[TopicPartition, int], begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> list[TopicPartition]:
    """The places that do not hold the position at which they are to be read on."""
    return [
        topic_partition
        for topic_partition, at in positions.items()
        if not begins.get(topic_partition, at) <= at <= ends.get(topic_partition, at)
    ]
