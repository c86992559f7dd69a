"""Read models as of a moment: folded from what was recorded by then, into tables that only one connection sees.

Invariant: a temporary table stands before the one that it is named like, so every statement that reads the latter reads
the former, unchanged. Nothing else is written, and what is written ends with the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from psycopg.sql import SQL, Identifier
from sqlalchemy import create_engine

from oms_es.kernel import Event, Projection
from oms_es.processing.read_models.history_pages import hold_no_more, pages
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.read_models.rows import SqlRows
from oms_es.processing.read_models.staged_rows import StagedRows
from oms_es.reports.queries import Connection
from oms_es.store.recorder import EVENTS

Reached = Callable[[int, int], None]


def lay_out(
    connection: Connection,
    projections: Iterable[Projection],
    at: datetime,
    reached: Reached = lambda _position, _last: None,
) -> None:
    """`reached` is given how far the log was read, and its end."""
    connection.execute("SET default_transaction_read_only = off")
    staged = [_beside(connection, projection) for projection in projections]
    connection.execute("SET default_transaction_read_only = on")
    interested: dict[type[Event], list[StagedRows]] = {}
    for rows in staged:
        for event in rows.projection.folds:
            interested.setdefault(event, []).append(rows)
    last = connection.execute(f"SELECT max(notification_id) AS last FROM {EVENTS}").fetchall()[0]["last"] or 0
    for page in pages(connection, [event.__name__ for event in interested], last):
        known = [recorded for recorded in page if recorded.recorded_at <= at]
        for rows in staged:
            rows.fold([one for one in known if rows in interested[type(one.event)]])
        hold_no_more(staged)
        reached(page[-1].position, last)
    for rows in staged:
        rows.write(len(rows))
        connection.execute(SQL("ANALYZE {}").format(Identifier("pg_temp", rows.projection.name)))


def _beside(connection: Connection, projection: Projection) -> StagedRows:
    name = Identifier(projection.name)
    connection.execute(SQL("CREATE TEMPORARY TABLE {} (LIKE {} INCLUDING ALL)").format(name, name))
    rows = SqlRows(projection.table, create_engine("postgresql+psycopg://"))  # of which nothing is asked
    return StagedRows(ReadModel(projection, rows, 0), rows, connection)
