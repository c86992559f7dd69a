"""Fact tables as files, one for each day that their rows belong to: a day is written again if a row of it changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import Table

from oms_es.projections.facts import (
    bookings,
    feedback,
    order_lines,
    order_milestones,
    parcel_lines,
    refunds,
    return_lines,
    stock_movements,
)
from oms_es.projections.shipment import shipments
from oms_es.reports.exporting.manifest import File
from oms_es.reports.exporting.parquet import Columns, written
from oms_es.reports.queries import Connection

FETCHED = 5_000
UNDATED = "__HIVE_DEFAULT_PARTITION__"
"""The name of an unknown day in partitioned files, as their readers expect it."""


class Exported(NamedTuple):
    """An exported table, and the time by whose day (UTC) its rows are grouped.

    `of` joins the table that has the time.
    """

    table: Table
    moment: SQL
    of: SQL = SQL("")


EXPORTED: tuple[Exported, ...] = (
    Exported(order_milestones.projection.table, SQL("t.placed_at")),
    Exported(order_lines.projection.table, SQL("t.placed_at")),
    Exported(parcel_lines.projection.table, SQL("s.requested_at"), SQL("LEFT JOIN shipments s USING (shipment_id)")),
    Exported(shipments.projection.table, SQL("t.requested_at")),
    Exported(return_lines.projection.table, SQL("t.requested_at")),
    Exported(refunds.projection.table, SQL("coalesce(t.requested_at, t.refunded_at)")),
    Exported(stock_movements.projection.table, SQL("t.recorded_at")),
    Exported(bookings.projection.table, SQL("t.requested_at")),
    Exported(feedback.projection.table, SQL("t.recorded_at")),
)


def columns_of(table: Table) -> Columns:
    return {column.name: column.type.python_type for column in table.columns}


def files(connection: Connection, directory: Path, known: Mapping[str, File], position: int) -> Iterator[File]:
    """Yield all current files: the earlier ones whose rows are unchanged, and new ones, named by the position."""
    for exported in EXPORTED:
        yield from _files(connection, directory, exported, known, position)


def _files(
    connection: Connection, directory: Path, exported: Exported, known: Mapping[str, File], position: int
) -> Iterator[File]:
    folder = f"facts/{exported.table.name}/"
    before = {_day_of(file): file for file in known.values() if file.path.startswith(folder)}
    digests = {row["day"]: row["digest"] for row in connection.execute(_digests(exported)).fetchall()}
    columns = columns_of(exported.table)
    if not digests:
        yield before.get(None) or _empty(directory, folder, columns, position)
        return
    for day, digest in digests.items():
        if day in before and before[day].digest == digest:
            yield before[day]
    changed = [day for day, digest in digests.items() if day not in before or before[day].digest != digest]
    with connection.cursor(name="facts") as curs:
        curs.itersize = FETCHED
        curs.execute(_rows(exported), {"days": [day for day in changed if day], "undated": None in changed})
        for day, rows in groupby(curs, key=lambda row: row["_day"]):
            path = directory / folder / f"day={day or UNDATED}" / f"{position:012d}.parquet"
            given = (tuple(row[name] for name in columns) for row in rows)
            yield written(directory, path, columns, given, digests[day])


def _empty(directory: Path, folder: str, columns: Columns, position: int) -> File:
    """Write an empty file, so that a table without rows is in the export, too."""
    return written(directory, directory / folder / f"day={UNDATED}" / f"{position:012d}.parquet", columns, ())


def _day_of(file: File) -> date | None:
    day = file.path.split("/")[2].removeprefix("day=")
    return None if day == UNDATED else date.fromisoformat(day)


def _day(exported: Exported) -> Composed:
    return SQL("({} AT TIME ZONE 'UTC')::date").format(exported.moment)


def _from(exported: Exported) -> Composed:
    return SQL("{} t {}").format(Identifier(exported.table.name), exported.of)


def _digests(exported: Exported) -> Composed:
    """Return the query for the digest of each day's rows, in any order: their number, and the sum of their hashes."""
    return SQL(
        "SELECT {} AS day, count(*) || ':' || sum(hashtextextended(t::text, 0)::numeric) AS digest FROM {} GROUP BY 1"
    ).format(_day(exported), _from(exported))


def _rows(exported: Exported) -> Composed:
    keys = SQL(", ").join(Identifier("t", column.name) for column in exported.table.primary_key)
    day = _day(exported)
    wanted = SQL("{} = ANY(%(days)s::date[]) OR (%(undated)s AND {} IS NULL)").format(day, day)
    return SQL("SELECT t.*, {} AS _day FROM {} WHERE {} ORDER BY _day, {}").format(day, _from(exported), wanted, keys)
