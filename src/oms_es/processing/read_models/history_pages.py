"""History read once for many read models: pages of the events that they fold, and no more rows held than fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from oms_es.kernel import Recorded
from oms_es.processing.read_models.staged_rows import StagedRows
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store.encoding.trusting import TrustingCodec
from oms_es.store.log import READ_MAX
from oms_es.store.recorder import EVENTS, EventRow

ROWS_HELD_MAX = 100_000
"""In memory, per process."""


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
            page = [codec.decode(EventRow(*row), at) for at, *row in curs]
            if not page:
                break
            yield page
            position = page[-1].position


def hold_no_more(staged: Sequence[StagedRows]) -> None:
    """Of the most rows, those that have not been touched for the longest are written."""
    while sum(map(len, staged)) > ROWS_HELD_MAX:
        most = max(staged, key=len)
        most.write(len(most) // 2 + 1)
