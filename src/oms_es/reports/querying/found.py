"""What a statement found, within its bounds, as the formats that it is taken along in."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from io import StringIO
from typing import Any, BinaryIO, NamedTuple

from pydantic_core import to_json

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.reports.exporting.parquet import arrow
from oms_es.reports.figures.writing import FORMULA

STATEMENT_CHARACTERS_MAX = 100_000
ROWS_MAX = 100_000
SECONDS_MAX = 600
NO_TEXT = "the statement is no text in UTF-8; write it so"


class BadStatement(OmsError):
    """It is not one query of what may be read."""

    code = "bad_statement"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Bounds(NamedTuple):
    rows: int
    seconds: int


class Found(NamedTuple):
    """`more`: there were more rows than were asked for."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more: bool


def checked(statement: str) -> str:
    """Raises BadStatement."""
    if len(statement) > STATEMENT_CHARACTERS_MAX:
        raise BadStatement(f"the statement is longer than {STATEMENT_CHARACTERS_MAX} characters; make a view of less")
    if any("\ud800" <= character <= "\udfff" for character in statement):
        raise BadStatement(NO_TEXT)
    if "\0" in statement or not statement.strip():
        raise BadStatement("write a query, such as: SELECT phase, count(*) FROM order_status GROUP BY phase")
    return statement.strip()


def within(columns: Sequence[str], rows: Sequence[Sequence[Any]], bounds: Bounds) -> Found:
    return Found(columns, [tuple(map(_plain, row)) for row in rows[: bounds.rows]], len(rows) > bounds.rows)


def _plain(value: Any) -> Any:
    """Sums are the whole numbers that they are; what has parts is JSON."""
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if value is None or isinstance(value, str | int | float | date):
        return value
    return to_json(value, fallback=str).decode() if isinstance(value, dict | list | tuple) else str(value)


def as_csv(found: Found) -> str:
    """Text that a spreadsheet would run begins with an apostrophe."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([_cell(cell) for cell in row] for row in (found.columns, *found.rows))
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return "" if value is None else shown(value)


def shown(value: Any) -> str:
    return "-" if value is None else value.isoformat() if isinstance(value, date) else str(value)


def as_json(found: Found) -> dict[str, Any]:
    return {"columns": found.columns, "rows": found.rows, "more": found.more}


def write_parquet(found: Found, into: BinaryIO) -> None:
    """Raises NoArrow, BadStatement."""
    pa = arrow()
    values = [[row[place] for row in found.rows] for place in range(len(found.columns))]
    try:
        table = pa.table([pa.array(column) for column in values], names=list(found.columns))
    except (pa.ArrowException, OverflowError) as error:
        raise BadStatement(f"a column has values of several kinds, or too large: {error}; cast it") from None
    pa.parquet.write_table(table, into)
