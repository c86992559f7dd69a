"""Callbacks of a simulated provider or carrier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from oms_es.gateways.simulated.effects import SqlEffectStore
from oms_es.processing.intake.worker import Arrival

DELIVER = """
WITH due AS (
    DELETE FROM simulated_callbacks_queued WHERE id IN (
        SELECT id FROM simulated_callbacks_queued
        WHERE source = %(source)s AND due_at <= %(now)s ORDER BY due_at, id LIMIT %(limit)s
    ) RETURNING id, source, due_at, payload
), delivered AS (
    INSERT INTO simulated_callbacks (source, payload) SELECT source, payload FROM due ORDER BY due_at, id
    RETURNING id, payload
), before AS (
    SELECT id, payload FROM simulated_callbacks WHERE source = %(source)s AND id > %(after)s ORDER BY id LIMIT %(limit)s
)
SELECT id, payload FROM (SELECT * FROM before UNION ALL SELECT * FROM delivered) AS found ORDER BY id LIMIT %(limit)s
"""


class SimulatedCallbacks:
    """An input of callbacks from simulated systems, in the order in which they were reported."""

    def __init__(self, name: str, dialect: str, database_url: str, clock: Callable[[], datetime]) -> None:
        self.name = name
        self.dialect = dialect
        self.effect_store = SqlEffectStore(database_url, clock)

    def read(self, after: int, limit: int) -> Sequence[Arrival]:
        """Return reported callbacks after a position, including those that are due now and become reported."""
        asked = {"source": self.name, "now": self.effect_store.clock(), "after": after, "limit": limit}
        return [Arrival(row[0], bytes(row[1])) for row in self.effect_store.connection().execute(DELIVER, asked)]

    def outstanding(self) -> int:
        """Return the number of callbacks that are still to be sent."""
        row = (
            self.effect_store.connection()
            .execute("SELECT count(*) FROM simulated_callbacks_queued WHERE source = %s", [self.name])
            .fetchone()
        )
        return row[0] if row else 0
