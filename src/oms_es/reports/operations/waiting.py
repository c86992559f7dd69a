"""Intents that no gateway has performed yet: what the world was not asked for.

Reads    the log, after the position of each gateway
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from oms_es.kafka.groups.watermark import Progress
from oms_es.store.recorder import EVENTS

COUNTED_MAX = 10_000
"""Of one gateway: so many are enough to see."""
AFTER = f"""
SELECT notification_id, originator_id FROM {EVENTS}
WHERE notification_id > %s AND topic = ANY(%s) ORDER BY notification_id LIMIT {COUNTED_MAX}
"""


def intents_waiting(
    connection: psycopg.Connection[dict[str, Any]], intents: Mapping[str, Iterable[str]]
) -> dict[str, int]:
    """How many there are for each gateway, by its name; those without any are left out."""
    progress = Progress.stored(connection)
    waiting: dict[str, int] = {}
    for gateway, names in intents.items():
        rows = connection.execute(AFTER.encode(), [progress.positions.get(gateway, 0), sorted(names)])
        count = sum(not progress.has_taken(gateway, row["originator_id"], row["notification_id"]) for row in rows)
        if count:
            waiting[gateway] = count
    return waiting
