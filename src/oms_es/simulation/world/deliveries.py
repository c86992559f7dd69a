"""Subscriptions' positions and deliveries in the simulated database.

Invariant: as in store/http/subscriptions.py, deliveries and the position that covers them are committed together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from itertools import islice

import psycopg

from oms_es.kernel import Event
from oms_es.memory.database import DELIVERING, Database, Session
from oms_es.memory.kept_codec import Kept
from oms_es.simulation.nodes.node import Node
from oms_es.store.encoding.codec import Codec
from oms_es.store.http.subscriptions import Delivery, Occurred, Progress
from oms_es.store.http.webhook_secrets import Rotating

SECRET = "whsec_c2ltdWxhdGVkIHNlY3JldCBvZiBhIHdvcmxk"
NO_EVENTS: dict[str, type[Event]] = {}
WRITTEN = Codec(NO_EVENTS)


class MemoryDeliveries:
    """One session of a node, with the interface that `DeliveryTables` has for PostgreSQL."""

    error = psycopg.OperationalError

    def __init__(self, node: Node, database: Database) -> None:
        self.node = node
        self.database = database
        self.session = Session(node, database, DELIVERING)
        node.sessions.append(self.session)
        self.touch = self.session.touch

    def try_lock(self) -> bool:
        self.touch()
        lock = self.session.lock
        if lock.owner is None:
            lock.owner = self.session
        return lock.owner is self.session

    def close(self) -> None:
        self.session.end()
        if self.session in self.node.sessions:
            self.node.sessions.remove(self.session)

    def names(self) -> list[tuple[str, int]]:
        self.touch()
        rows = self.database.tables["subscriptions"].rows.values()
        return sorted((row["name"], row["opened_position"]) for row in rows)

    def progress(self, name: str, opened_position: int) -> Progress:
        self.touch()
        return self.database.progress.setdefault(name, Progress(name, opened_position, 0))

    def resume(self, name: str, rounds: int, now: datetime) -> None:
        self.touch()
        self.database.progress[name] = self.database.progress[name]._replace(rounds=rounds)
        for waiting in self.waiting(name):
            self._put(waiting._replace(attempts=0, due_at=now))

    def occurred(self, position: int, types: Sequence[str]) -> tuple[list[Occurred], int]:
        self.touch()
        first = bisect_right(self.database.positions, position)
        found = [
            Occurred(
                row.id,
                str(row.originator_id),
                row.originator_version,
                row.topic,
                WRITTEN.encode(row.state.recorded) if isinstance(row.state, Kept) else row.state,
            )
            for row in islice(self.database.log, first, None)
            if row.topic in types
        ]
        return found, max(self.database.end, position)

    def pending(self, name: str) -> int:
        self.touch()
        return len(self.waiting(name))

    def add(self, before: Progress, due: Sequence[tuple[int, str, str]], position: int, now: datetime) -> bool:
        self.touch()
        known = self.database.progress[before.name]
        if known.position != before.position:
            return False
        self.database.progress[before.name] = known._replace(position=position)
        for at, order_id, body in due:
            self._put(Delivery(before.name, at, order_id, body, 0, now, None, "", None))
        self.node.touched(self.error)
        return True

    def due(self, name: str, now: datetime, limit: int) -> list[Delivery]:
        self.touch()
        earliest: dict[str, Delivery] = {}
        for waiting in self.waiting(name):
            earliest.setdefault(waiting.order_id, waiting)
        found = sorted((one.due_at, one.position, one) for one in earliest.values() if one.due_at <= now)
        return [one for _, _, one in found[:limit]]

    def secrets(self, _subscription: Rotating, _now: datetime) -> Sequence[str]:
        self.touch()
        return [SECRET]

    def note_delivered(self, delivery: Delivery, status: int, at: datetime) -> None:
        self.touch()
        known = self.database.deliveries[delivery.subscription, delivery.position]
        self._put(known._replace(attempts=known.attempts + 1, last_status=status, last_error="", delivered_at=at))
        self.node.touched(self.error)

    def note_failed(self, delivery: Delivery, status: int | None, error: str, due_at: datetime) -> None:
        self.touch()
        known = self.database.deliveries[delivery.subscription, delivery.position]
        if known.delivered_at is None:
            more = known.attempts + 1
            self._put(known._replace(attempts=more, last_status=status, last_error=error, due_at=due_at))
        self.node.touched(self.error)

    def sweep(self, before: datetime) -> None:
        """Do nothing: old deliveries are kept for the checks in the end."""

    def waiting(self, name: str) -> list[Delivery]:
        """Return the waiting deliveries in the order of their positions, in which they were stored."""
        deliveries = self.database.deliveries.values()
        return [one for one in deliveries if one.subscription == name and one.delivered_at is None]

    def _put(self, delivery: Delivery) -> None:
        self.database.deliveries[delivery.subscription, delivery.position] = delivery
