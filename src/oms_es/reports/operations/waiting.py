"""Intents that no gateway has performed yet.

Reads    the log, after the position of each gateway
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from oms_es.kafka.groups.watermark import Progress
from oms_es.store.recorder import EVENTS

COUNTED_MAX = 10_000
"""How many intents of one gateway are counted."""
AFTER = f"""
SELECT notification_id, originator_id FROM {EVENTS}
WHERE notification_id > %s AND topic = ANY(%s) ORDER BY notification_id LIMIT {COUNTED_MAX}
"""


def intents_waiting(
    connection: psycopg.Connection[dict[str, Any]], intents: Mapping[str, Iterable[str]]
) -> dict[str, int]:
    """Return the number of waiting intents by the gateway's name, without zeros."""
    progress = Progress.stored(connection)
    waiting: dict[str, int] = {}
    for gateway, names in intents.items():
        rows = connection.execute(AFTER.encode(), [progress.positions.get(gateway, 0), sorted(names)])
        count = sum(not progress.has_taken(gateway, row["originator_id"], row["notification_id"]) for row in rows)
        if count:
            waiting[gateway] = count
    return waiting
