"""The result of a query, within its bounds, in each of its formats."""

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
    """The statement is not one query of readable tables."""

    code = "bad_statement"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Bounds(NamedTuple):
    rows: int
    seconds: int


class Found(NamedTuple):
    """A result. `more`: there were more rows than the bound."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more: bool


def checked(statement: str) -> str:
    """Return the statement without surrounding spaces.

    Raise BadStatement if it is empty, too long, or no valid text.
    """
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
    """Return a value for output: decimal sums as integers, structured values as JSON."""
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if value is None or isinstance(value, str | int | float | date):
        return value
    return to_json(value, fallback=str).decode() if isinstance(value, dict | list | tuple) else str(value)


def as_csv(found: Found) -> str:
    """Return the result as CSV; text that a spreadsheet would execute gets an apostrophe in front."""
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
    """Write the result as Parquet. Raise NoArrow, or BadStatement if a column has values of several types."""
    pa = arrow()
    values = [[row[place] for row in found.rows] for place in range(len(found.columns))]
    try:
        table = pa.table([pa.array(column) for column in values], names=list(found.columns))
    except (pa.ArrowException, OverflowError) as error:
        raise BadStatement(f"a column has values of several kinds, or too large: {error}; cast it") from None
    pa.parquet.write_table(table, into)
