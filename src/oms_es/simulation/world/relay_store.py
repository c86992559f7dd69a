"""The relay's lock and positions in the simulated database."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import psycopg

from oms_es.kafka.client import TopicPartition
from oms_es.kafka.relay.leadership import STANDBY_SECONDS
from oms_es.kafka.relay.store import LeadershipLost, LogRow
from oms_es.memory.database import RELAYING, Database, Session
from oms_es.simulation.nodes.node import Node


class MemoryLeadership:
    """The lock of the active relay, with the interface that kafka/relay/leadership.py has for PostgreSQL."""

    def __init__(self, node: Node, database: Database) -> None:
        self.node = node
        self.database = database
        self.touch = database.touching(node, psycopg.OperationalError)
        self.session: Session | None = None
        self.epoch = 0
        self._asked = -STANDBY_SECONDS

    def try_acquire(self) -> bool:
        now = self.node.simulation.now
        if now - self._asked < STANDBY_SECONDS:
            return False
        self._asked = now
        self.touch()
        session = Session(self.node, self.database)
        if not self.locked(session):
            return False
        self.session = session
        self.node.sessions.append(session)
        self.database.relay_epoch += 1
        self.epoch = self.database.relay_epoch
        return True

    def locked(self, session: Session, /) -> bool:
        lock = self.database.locks[RELAYING]
        if lock.owner is not None:
            return False
        lock.owner = session
        return True

    def release(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.end()


class Saved(NamedTuple):
    epoch: int
    previous: int
    position: int


class MemoryRelayStore:
    """The relay's positions, through its session."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def position(self, session: Session) -> int:
        session.touch()
        return self.database.relay_position

    def published(self, session: Session, topics: Sequence[str]) -> dict[TopicPartition, int]:
        session.touch()
        return {
            topic_partition: position
            for topic_partition, position in self.database.published.items()
            if topic_partition.topic in topics
        }

    def begin_topic(self, session: Session, topic: str, partitions: int) -> None:
        session.touch()
        for partition in range(partitions):
            self.database.published.setdefault(TopicPartition(topic, partition), 0)

    def events(self, session: Session, after: int, limit: int) -> list[LogRow]:
        session.touch()
        first = bisect_right(self.database.positions, after)
        rows = self.database.log[first : first + limit]
        return [LogRow(r.id, str(r.originator_id), r.originator_version, r.topic, r.state) for r in rows]

    def save(
        self, session: Session, epoch: int, previous: int, position: int, last: Mapping[TopicPartition, int]
    ) -> None:
        session.touch()
        if not self.fits(Saved(epoch, previous, position)):
            raise LeadershipLost("another relay has moved the position")
        self.database.relay_position = position
        self.database.published.update(last)
        self.database.moves += 1
        session.client.touched(psycopg.OperationalError)

    def fits(self, saved: Saved, /) -> bool:
        return (saved.epoch, saved.previous) == (self.database.relay_epoch, self.database.relay_position)
