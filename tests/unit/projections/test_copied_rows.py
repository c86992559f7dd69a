"""Many new rows are copied, and are what the same rows written as JSON would be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Integer, MetaData, Table, Text, Uuid
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateTable

from oms_es.kernel import Row
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.rows import COPIED_MIN, SqlRows
from oms_es.projections.base import Sum

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
VALUES: Sequence[Row] = [
    {"sum": 10**30, "day": date(1, 1, 1), "at": NOW, "more": {"a": ["ü", 1.5, None]}, "id": UUID(int=1), "is": True},
    {"sum": -1, "day": date(9999, 12, 31), "at": NOW.replace(year=9999), "more": [], "id": UUID(int=0), "is": False},
    {"sum": None, "day": None, "at": None, "more": None, "id": None, "is": None},
]
TEXTS = ["plain", "tab\tin it", "\\N", "\x02", "back\\slash", "line\nend\r", '"quoted", {braces}', "ü ☃ 𝄞", ""]
ROWS: Sequence[Row] = [
    {"name": text, "number": number, **values}
    for number, (text, values) in enumerate([(text, values) for text in TEXTS for values in VALUES] * 2)
]
LARGEST = 2**63 - 1


def columns() -> list[Any]:
    keys = [Column("name", Text, primary_key=True), Column("number", BigInteger, primary_key=True)]
    others: dict[str, Any] = {
        "sum": Sum,
        "day": Date,
        "at": DateTime(timezone=True),
        "more": JSONB,
        "id": Uuid,
        "is": Boolean,
    }
    return [*keys, *(Column(name, kind) for name, kind in others.items())]


@pytest.fixture
def connections(database_url: str) -> Iterator[Connections]:
    opened = Connections(database_url)
    yield opened
    opened.close()


def table(connections: Connections, *more: Column[Any]) -> SqlRows:
    made = Table("copied", MetaData(), *columns(), *more)
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's dialects have no types
    with connections.one() as connection:
        connection.execute(str(CreateTable(made).compile(dialect=dialect)).encode())
    return SqlRows(made, connections)


def kept(connections: Connections) -> list[dict[str, Any]]:
    with connections.one() as connection:
        return connection.execute("SELECT * FROM copied ORDER BY number").fetchall()


def write(rows: SqlRows, new: Sequence[Row], changed: Sequence[Row] = ()) -> None:
    with rows.writing() as connection:
        rows.write(connection, new, changed, [])


def test_rows_that_are_copied_are_those_that_are_written_as_json(connections: Connections) -> None:
    rows = table(connections)
    write(rows, ROWS)
    copied = kept(connections)
    with connections.one() as connection:
        connection.execute("TRUNCATE copied")
    write(rows, [], ROWS)
    assert copied == kept(connections) == list(ROWS)


def test_few_rows_are_not_copied(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(connections)
    monkeypatch.setattr(rows, "copying", None)
    write(rows, ROWS[: COPIED_MIN - 1])
    with pytest.raises(AttributeError):
        write(rows, ROWS)
    assert kept(connections) == list(ROWS[: COPIED_MIN - 1])


def test_new_rows_of_which_one_is_there_already_are_written_all_the_same(connections: Connections) -> None:
    rows = table(connections)
    write(rows, [], [{**ROWS[7], "sum": 7}])
    write(rows, ROWS)
    assert kept(connections) == list(ROWS)


@pytest.mark.parametrize("value", [LARGEST + 1, -LARGEST - 2])
def test_a_number_that_does_not_fit_is_refused_and_nothing_is_written(connections: Connections, value: int) -> None:
    for more in ((), (Column("small", Integer),)):
        rows = table(connections, *more)
        good = [{**row, "small": 2**31 - 1} for row in ROWS]
        with pytest.raises((psycopg.Error, OverflowError)):
            write(rows, [*good, {**good[0], "number": value}])
        if more:
            with pytest.raises(psycopg.DataError):
                write(rows, [*good[1:], {**good[0], "small": 2**31}])
        assert kept(connections) == []
        with connections.one() as connection:
            connection.execute("DROP TABLE copied")
