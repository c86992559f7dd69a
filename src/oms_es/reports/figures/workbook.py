"""An answer as an XLSX workbook: numbers as numbers, days as days, text as text and never as a formula or a link.

Amounts are in the currency's own unit, such as euros, in a format that names the currency; percentages are fractions of
one. A workbook stores 15 digits of a number, so an amount with more digits is not exact in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from io import BytesIO
from typing import Any

from oms_es.reports.figures.answering import MET, MISSED, Answer, Cell, Column
from oms_es.reports.figures.sources import CURRENCY
from oms_es.reports.figures.writing import BAD, GOOD, is_mark, period_of, targets_of, title_of
from oms_es.schemas.values.currency import exponent_of

WIDTH_MIN, WIDTH_MAX = 10, 40
LIKE_A_CURRENCY = re.compile(r"[A-Z]{3}")
NEVER: Mapping[str, bool] = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
"""Conversions of text that are turned off."""


def as_xlsx(answer: Answer) -> bytes:
    from xlsxwriter import Workbook

    out = BytesIO()
    with Workbook(out, {"in_memory": True, **NEVER}) as book:
        book.set_properties(
            {"title": answer.question.definition.title, "created": answer.question.now.replace(tzinfo=None)}
        )
        _report(book, answer)
        _about(book, answer)
    return out.getvalue()


def _report(book: Any, answer: Answer) -> None:
    sheet = book.add_worksheet("Report")
    head = {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}
    for place, column in enumerate(answer.columns):
        form = book.add_format({**head, "align": "right" if column.unit else "left"})
        sheet.write_string(0, place, title_of(column), form)
        sheet.set_column(place, place, _width(answer, place))
    formats = cache(lambda shape: book.add_format({"num_format": shape}))
    marks = {MET: book.add_format({"font_color": GOOD}), MISSED: book.add_format({"font_color": BAD, "bold": True})}
    names = [column.name for column in answer.columns]
    money = names.index(CURRENCY) if CURRENCY in names else None
    for number, row in enumerate(answer.rows, start=1):
        currency = str(row[money]) if money is not None else ""
        for place, (cell, column) in enumerate(zip(row, answer.columns, strict=True)):
            _write(sheet, number, place, cell, column, currency, formats, marks)
    sheet.freeze_panes(1, 0)
    if answer.rows:
        sheet.autofilter(0, 0, len(answer.rows), len(answer.columns) - 1)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _write(
    sheet: Any, row: int, place: int, cell: Cell, column: Column, currency: str, formats: Any, marks: Any
) -> None:
    if cell is None:
        return
    if isinstance(cell, datetime):
        sheet.write_datetime(row, place, cell.replace(tzinfo=None), formats("yyyy-mm-dd hh:mm"))
    elif isinstance(cell, date):
        sheet.write_datetime(row, place, cell, formats("yyyy-mm-dd"))
    elif isinstance(cell, str):
        sheet.write_string(row, place, cell, *([marks[cell]] if is_mark(cell, column) else []))
    elif column.unit == "minor":
        exponent = exponent_of(currency)
        sheet.write_number(row, place, float(Decimal(cell).scaleb(-exponent)), formats(_money(currency, exponent)))
    elif column.unit == "percent":
        sheet.write_number(row, place, float(Decimal(str(cell)) / 100), formats("0.00%"))
    else:
        sheet.write_number(row, place, cell, formats("#,##0" if isinstance(cell, int) else "#,##0.00"))


def _money(currency: str, exponent: int) -> str:
    """Return the number format of a currency.

    Its name becomes text of the format; one that does not look like a currency is left out, as it could be any code.
    """
    named = f" [${currency}]" if LIKE_A_CURRENCY.fullmatch(currency) else ""
    return f"#,##0{'.' if exponent else ''}{'0' * exponent}{named}"


def _width(answer: Answer, place: int) -> int:
    column = answer.columns[place]
    longest = max((len(str(row[place])) for row in answer.rows), default=0)
    return min(max(WIDTH_MIN, len(title_of(column)) + 2, longest + (5 if column.unit else 2)), WIDTH_MAX)


def _about(book: Any, answer: Answer) -> None:
    """Write the sheet that says what the report is, and when it was made."""
    sheet, definition = book.add_worksheet("About"), answer.question.definition
    bold, wrapped = book.add_format({"bold": True, "valign": "top"}), book.add_format({"text_wrap": True})
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, 1, 80)
    made = f"{answer.question.now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    said = [
        ("report", definition.title),
        ("says", definition.about),
        ("period", period_of(answer)),
        ("targets", targets_of(answer) or "none"),
        ("made", made),
        ("rows", str(len(answer.rows))),
    ]
    for number, (name, text) in enumerate(said):
        sheet.write_string(number, 0, name, bold)
        sheet.write_string(number, 1, text, wrapped)
