"""Callbacks that a simulated provider or carrier sends by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psycopg

from oms_es.gateways.simulated.effects import SqlLedger
from oms_es.processing.intake import Arrival


class SimulatedCallbacks:
    """What a simulated world tells of its own accord, in the order in which it told it."""

    def __init__(self, name: str, dialect: str, database_url: str, clock: Callable[[], datetime]) -> None:
        self.name = name
        self.dialect = dialect
        self.ledger = SqlLedger(database_url, clock)

    def read(self, after: int, limit: int) -> Sequence[Arrival]:
        connection = self.ledger.connection()
        found = self._told(connection, after, limit)
        if not found:
            with connection.transaction():
                connection.execute(
                    "WITH due AS (DELETE FROM simulated_callbacks_queued WHERE id IN (SELECT id FROM "
                    "simulated_callbacks_queued WHERE source = %s AND due_at <= %s ORDER BY due_at, id LIMIT %s) "
                    "RETURNING id, source, due_at, payload) "
                    "INSERT INTO simulated_callbacks (source, payload) SELECT source, payload FROM due "
                    "ORDER BY due_at, id",
                    [self.name, self.ledger.clock(), limit],
                )
            found = self._told(connection, after, limit)
        return found

    def outstanding(self) -> int:
        """Callbacks that are still to be told."""
        row = (
            self.ledger.connection()
            .execute("SELECT count(*) FROM simulated_callbacks_queued WHERE source = %s", [self.name])
            .fetchone()
        )
        return row[0] if row else 0

    def _told(self, connection: psycopg.Connection[Any], after: int, limit: int) -> list[Arrival]:
        rows = connection.execute(
            "SELECT id, payload FROM simulated_callbacks WHERE source = %s AND id > %s ORDER BY id LIMIT %s",
            [self.name, after, limit],
        )
        return [Arrival(row[0], bytes(row[1])) for row in rows]
