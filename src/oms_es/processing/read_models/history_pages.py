"""History read once for many read models: pages of the events that they fold, and no more rows held than fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from oms_es.kernel import Projection, Recorded
from oms_es.processing.read_models.staged_rows import StagedRows
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store.archive.reading import whole
from oms_es.store.encoding.trusting import TrustingCodec
from oms_es.store.log import READ_MAX
from oms_es.store.recorder import EVENTS, EventRow

ROWS_HELD_MAX = 100_000
"""In memory, per process."""
SAMPLED_MAX = 20_000
"""Of the newest events, which show how much work each read model is."""


def pages(
    connection: psycopg.Connection[Any], topics: Sequence[str], last: int, after: int = 0
) -> Iterator[list[Recorded]]:
    codec, position = TrustingCodec(VOCABULARY).over(connection), after
    with connection.cursor(binary=True, row_factory=tuple_row) as curs:
        while position < last:
            curs.execute(
                f"SELECT notification_id, originator_id, originator_version, topic, state FROM {EVENTS} "
                "WHERE notification_id > %s AND notification_id <= %s AND topic = ANY(%s) "
                "ORDER BY notification_id LIMIT %s".encode(),
                [position, last, topics, READ_MAX],
            )
            page = [
                codec.decode(EventRow(stream, version, topic, whole(state)), at)
                for at, stream, version, topic, state in curs
            ]
            if not page:
                break
            yield page
            position = page[-1].position


def newest_by_type(connection: psycopg.Connection[Any]) -> Mapping[str, int]:
    """Return how many of the newest events are of each type."""
    with connection.cursor(row_factory=tuple_row) as curs:
        curs.execute(
            f"SELECT topic, count(*) FROM {EVENTS} WHERE notification_id > "
            f"(SELECT max(notification_id) FROM {EVENTS}) - {SAMPLED_MAX} GROUP BY topic".encode()
        )
        return dict(curs)


def work_of(projection: Projection, events: Mapping[str, int]) -> int:
    """Return how many of these events are folded into the projection's rows."""
    return 1 + sum(events.get(event.__name__, 0) for event in projection.folds)


def hold_no_more(staged: Sequence[StagedRows]) -> None:
    """Write the rows that were not touched for the longest, of the read model with the most rows, until all fit."""
    while sum(map(len, staged)) > ROWS_HELD_MAX:
        most = max(staged, key=len)
        most.write(len(most) // 2 + 1)
