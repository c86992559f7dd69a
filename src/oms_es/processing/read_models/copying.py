"""Rows copied into a table: the server takes a third of the time of rows given as JSON, and writes a quarter less into
its log.

Invariant: what is copied is what the same rows given as JSON would be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier
from psycopg.types.json import Jsonb
from pydantic_core import to_json
from sqlalchemy import ARRAY, BigInteger, Boolean, Date, DateTime, Numeric, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

from oms_es.kernel import Row

BINARY: Mapping[type[Any], str] = {
    Text: "text",
    BigInteger: "int8",
    Boolean: "bool",
    Date: "date",
    DateTime: "timestamptz",
    JSONB: "jsonb",
    Numeric: "numeric",
    Uuid: "uuid",
}
"""Types that the driver refuses to write in binary form where a value does not fit; smaller integers it cuts off. A
table with a column of another type is copied as text, which takes the client three times as long."""


class Copying:
    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self.columns = columns
        types = [BINARY.get(_kind_of(column.type), "") for column in table.columns]
        self._types = types if all(types) else []
        self._adapted: Sequence[tuple[int, Callable[[Any], Any]]] = [
            (number, _json if isinstance(column.type, JSONB) else list)
            for number, column in enumerate(table.columns)
            if isinstance(column.type, JSONB | ARRAY)
        ]
        self._statement: Composed = SQL("COPY {} ({}) FROM STDIN{}").format(
            Identifier(table.name),
            SQL(", ").join(map(Identifier, columns)),
            SQL(" (FORMAT binary)" if self._types else ""),
        )

    def copy_in(self, connection: Connection[Any], rows: Sequence[Row]) -> None:
        """Raises UniqueViolation where one is there already."""
        columns, adapted = self.columns, self._adapted
        with connection.cursor() as curs, curs.copy(self._statement) as copy:
            if self._types:
                copy.set_types(self._types)
            for row in rows:
                values = [row[name] for name in columns]
                for number, adapt in adapted:
                    if values[number] is not None:
                        values[number] = adapt(values[number])
                copy.write_row(values)


def _kind_of(declared: Any) -> type[Any]:
    return type(declared.impl_instance if isinstance(declared, TypeDecorator) else declared)


def _json(value: Any) -> Jsonb:
    return Jsonb(value, to_json)
