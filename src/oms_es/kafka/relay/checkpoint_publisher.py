"""Publishes the checkpoints of the sealed log, oldest first: a reader keeps them out of reach of the database's owner.

Invariant: every checkpoint is published at least once, in the order of their sizes, the very text that was signed. It
marks how far it came in the session that holds the lock, once the broker has acknowledged it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import psycopg

from oms_es.kafka.client import Outgoing, TopicPartition
from oms_es.kafka.cloudevents import sequence
from oms_es.kafka.relay.event_publisher import MessageProducer
from oms_es.kafka.relay.publishers import MOMENT
from oms_es.kafka.relay.store import RELAY
from oms_es.proof import checkpoints
from oms_es.store.sealing.tables import CHECKPOINTS

CHECKPOINTS_PUBLISHED_MAX = 500
"""Per publish."""
NAME = "checkpoints"
TYPE = b"LogCheckpoint"
UNPUBLISHED = f"""
SELECT size, note, to_char(signed_at AT TIME ZONE 'UTC', '{MOMENT}') FROM {CHECKPOINTS}
WHERE size > (SELECT position FROM {RELAY} WHERE name = %s) ORDER BY size LIMIT %s"""


class CheckpointPublisher:
    """Publishes signed checkpoints; that of the empty tree is left out. Without its topic it waits, and holds nothing
    up: `missing` says so, and is set by who asks the brokers; None while it is not known."""

    batch_max = CHECKPOINTS_PUBLISHED_MAX

    def __init__(self, producer: MessageProducer, topic: str) -> None:
        self.producer = producer
        self.place = TopicPartition(topic, 0)
        self.missing: bool | None = None

    def forget(self) -> None:
        """Another relay asks the brokers from now on, and reports what it finds."""
        self.missing = None

    def begin(self, session: psycopg.Connection[Any], _epoch: int) -> None:
        session.execute(f"INSERT INTO {RELAY} (name) VALUES (%s) ON CONFLICT DO NOTHING", [NAME])

    def publish(self, session: psycopg.Connection[Any]) -> int:
        if self.missing is not False:
            return 0
        rows = session.execute(UNPUBLISHED, [NAME, CHECKPOINTS_PUBLISHED_MAX]).fetchall()
        if rows:
            self.producer.publish([self._message(*row) for row in rows])
            session.execute(f"UPDATE {RELAY} SET position = %s WHERE name = %s", [rows[-1][0], NAME])
        return len(rows)

    def _message(self, size: int, note: str, time: str) -> Outgoing:
        _, checkpoint = checkpoints.read(note)
        value, origin = note.encode(), checkpoint.origin.encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("content-type", b"text/plain; charset=utf-8"),
            ("ce_id", b"%d/%s" % (size, sha256(value).hexdigest()[:16].encode())),
            ("ce_type", TYPE),
            ("ce_source", b"/oms-es/log"),
            ("ce_subject", origin),
            ("ce_time", time.encode()),
            ("ce_sequence", sequence(size)),
        ]
        return Outgoing(self.place, origin, value, headers)
