"""Limits of PostgreSQL's columns, so that the simulated database, and tests without a real one, refuse what it would
refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json
from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Integer, Numeric, Table
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

OFFSET_MAX = timedelta(hours=16)
INDEX_ROW_BYTES_MAX = 2_704
"""Bytes of an index row in a B-tree with pages of 8,192 bytes: a third of a page, less its overhead."""


class DoesNotFit(OmsError):
    """A value does not fit the column's type."""

    code = "does_not_fit"
    exit_code = Code.UNEXPECTED
    status = HTTPStatus.INTERNAL_SERVER_ERROR


def check(table: Table, row: Mapping[str, Any]) -> None:
    """Raise DoesNotFit if PostgreSQL would refuse the row."""
    for column, problem in _problems(table, row):
        raise DoesNotFit(f"{table.name}.{column}: {problem}")


def _problems(table: Table, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for column in _columns(table):
        value = row[column.name]
        if value is None:
            if not column.nullable:
                yield column.name, "null"
        elif problem := _problem(column, value):
            yield column.name, problem
    for index in _indexed(table):
        size = sum(len(str(row[name]).encode()) + 8 for name in index)
        if size > INDEX_ROW_BYTES_MAX:
            yield "+".join(index), f"an index row of {size} bytes"


@cache
def _columns(table: Table) -> tuple[Column[Any], ...]:
    return tuple(table.columns)


@cache
def _indexed(table: Table) -> tuple[tuple[str, ...], ...]:
    return (tuple(column.name for column in table.primary_key), *(tuple(i.columns.keys()) for i in table.indexes))


def _problem(column: Column[Any], value: Any) -> str:
    kind = column.type
    if isinstance(kind, JSONB):
        return _of_text(to_json(value).decode(), nul="\\u0000")
    if isinstance(kind, ARRAY):
        return "".join(_of_text(str(item)) for item in value)
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, datetime):
        return _of_moment(value) if isinstance(kind, DateTime) else ""
    if isinstance(value, int) and not isinstance(value, bool):
        bits = 63 if isinstance(kind, BigInteger) else 31 if isinstance(kind, Integer) else 0
        if isinstance(kind, Numeric) and not isinstance(kind, Integer):
            return ""
        return f"{value} is out of range" if bits and not -(2**bits) <= value < 2**bits else ""
    return ""


def _of_text(value: str, nul: str = "\x00") -> str:
    if nul in value:
        return "a text with the character NUL"
    return "" if value.isascii() else _encoded(value)


def _encoded(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return "a text that is no UTF-8"
    return ""


def _of_moment(value: datetime) -> str:
    offset = value.utcoffset()
    if offset is None or abs(offset) >= OFFSET_MAX:
        return f"an offset of {offset}"
    return ""
