"""How far the roles have come that read topics, as one position of the log.

Invariant: everything up to the position given is done by every role asked for. A partition that a role has read to its
end holds nobody back, however long ago that end was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from oms_es.runtime.recorder import TRACKING, Recorder
from oms_es.runtime.relay import RELAY, RELAY_PARTITIONS

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


class Coverage:
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
