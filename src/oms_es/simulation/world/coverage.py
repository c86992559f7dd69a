"""The progress of each role on the simulated topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from eventsourcing.persistence import OperationalError

from oms_es.kafka.client import TopicPartition
from oms_es.kafka.groups.watermark import Relayed
from oms_es.memory.database import Database
from oms_es.simulation.nodes.node import Node


class MemoryCoverage:
    """The progress of roles that read topics, with the interface that kafka/groups/watermark.py has for PostgreSQL."""

    def __init__(self, node: Node, database: Database, topics: Mapping[str, Sequence[str]]) -> None:
        self.database = database
        self.touch = database.touching(node, OperationalError)
        self.topics = topics
        self._names: dict[str, list[tuple[str, TopicPartition]]] = {}
        self._known = 0  # the number of published partitions when the names were made

    def position(self, roles: Iterable[str]) -> int:
        self.touch()
        return self.covered(roles)

    def relayed(self) -> Relayed:
        self.touch()
        return Relayed(self.database.relay_position, dict(self.database.published))

    def covered(self, roles: Iterable[str]) -> int:
        published, tracking = self.database.published, self.database.tracking
        covered = self.database.relay_position
        for role in roles:
            whole = tracking.get(role, 0)
            for name, topic_partition in self._places(role):
                position = published[topic_partition]
                if whole < position and (done := tracking.get(name, 0)) < position:
                    covered = min(covered, max(whole, done))
        return covered

    def _places(self, role: str) -> Sequence[tuple[str, TopicPartition]]:
        """Return the partitions that the role reads, each with the name of its position."""
        published = self.database.published
        if self._known != len(published):
            self._names, self._known = {}, len(published)
        if role not in self._names:
            topic_partitions = [
                topic_partition for topic_partition in published if topic_partition.topic in self.topics[role]
            ]
            self._names[role] = [(f"{role}@{topic_partition}", topic_partition) for topic_partition in topic_partitions]
        return self._names[role]
