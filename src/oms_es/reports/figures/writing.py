"""An answer as text: cells of a table, CSV, and one HTML file without references to other files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from html import escape
from io import StringIO

from oms_es.reports.figures.answering import BEFORE, MET, MISSED, Answer, Cell, Column
from oms_es.reports.figures.chart import pictures
from oms_es.reports.figures.definition import TARGET, Target
from oms_es.reports.figures.sources import CURRENCY
from oms_es.schemas.values.currency import exponent_of

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Characters with which a formula begins in a spreadsheet."""
GOOD, BAD = "#00613f", "#a33b00"
"""The colours of targets; each result is a word, too."""
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1b1b1b;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}p{margin:.3rem 0}.about{color:#444}figure{margin:1.5rem 0}
figcaption{font-weight:600;margin-bottom:.4rem}.chart{max-width:100%;height:auto;font-size:12px}
.chart line{stroke:#ddd}.chart line.nought{stroke:#555}.chart text{fill:#333}table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;border-bottom:1px solid #e2e2e2;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{border-bottom:2px solid #888}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
"""
STYLE_OF_MARKS = f"td.met{{color:{GOOD}}}td.missed{{color:{BAD};font-weight:600}}"


def title_of(column: Column) -> str:
    """Return the title of a column with its unit; the currency of an amount is in a column of its own."""
    name = column.name.removesuffix(BEFORE).replace("_", " ")
    unit = {"percent": "%", "hours": "h", "minor": ""}.get(column.unit, "")
    return f"{name}{f' ({unit})' if unit else ''}{', before' if column.name.endswith(BEFORE) else ''}"


def shown(row: Sequence[Cell], columns: Sequence[Column]) -> list[str]:
    """Return the cells of a row as text, with amounts in the decimals of their currency."""
    names = [column.name for column in columns]
    currency = str(row[names.index(CURRENCY)]) if CURRENCY in names else ""
    return [_shown(cell, column, currency) for cell, column in zip(row, columns, strict=True)]


def _shown(cell: Cell, column: Column, currency: str) -> str:
    if cell is None:
        return "-"
    if column.unit == "minor" and isinstance(cell, int):
        exponent = exponent_of(currency)
        return f"{Decimal(cell).scaleb(-exponent):,.{exponent}f}"
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M}"
    if column.unit and isinstance(cell, int | float):
        return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.2f}"
    return str(cell) or "-"


def as_csv(answer: Answer) -> str:
    """Return the answer as CSV: amounts in minor units; text that a spreadsheet would execute gets an apostrophe in
    front.
    """
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([header(column) for column in answer.columns])
    writer.writerows([plain(cell) for cell in row] for row in answer.rows)
    return out.getvalue()


def header(column: Column) -> str:
    """Return the header of a file's column, with the unit if there is one."""
    unit = column.unit if column.unit in ("minor", "percent", "hours") else ""
    return f"{column.name}_{unit}" if unit else column.name


def plain(cell: Cell) -> str:
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(FORMULA) else cell
    return "" if cell is None else cell.isoformat() if isinstance(cell, date) else str(cell)


def period_of(answer: Answer) -> str:
    """Return the period in words."""
    asked = answer.question
    until = f" to {asked.period.until}, without it" if asked.period.until else ""
    by = f", by {asked.definition.period_by}" if asked.definition.period_by else ""
    return f"from {asked.period.since or 'the beginning'}{until}{by}, in {asked.zone}"


def as_html(answer: Answer) -> str:
    definition, asked = answer.question.definition, answer.question
    drawn = "".join(
        f"<figure><figcaption>{escape(one.caption)}</figcaption>{one.svg}{_rest(one.left_out)}</figure>"
        for one in pictures(answer)
    )
    heads = "".join(f"<th{_aligned(column)}>{escape(title_of(column))}</th>" for column in answer.columns)
    rows = "".join(_row(row, answer.columns) for row in answer.rows)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(definition.title)}</title>'
        f"<style>{STYLE}{STYLE_OF_MARKS}</style></head><body><h1>{escape(definition.title)}</h1>"
        f'<p class="about">{escape(definition.about)}</p><p>{escape(period_of(answer))}; '
        f"made {asked.now.astimezone(UTC):%Y-%m-%d %H:%M} UTC</p>{_said(targets_of(answer))}{drawn}"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        f"{'' if answer.rows else '<p>Nothing was found in this period.</p>'}</body></html>\n"
    )


def _said(words: str) -> str:
    return f"<p>{escape(words)}</p>" if words else ""


def _rest(left_out: int) -> str:
    return f"<p>{left_out} more are in the table.</p>" if left_out else ""


def _aligned(column: Column) -> str:
    return ' class="n"' if column.unit else ""


def _row(row: Sequence[Cell], columns: Sequence[Column]) -> str:
    cells = zip(shown(row, columns), columns, strict=True)
    return f"<tr>{''.join(f'<td{_classed(text, column)}>{escape(text)}</td>' for text, column in cells)}</tr>"


def _classed(text: str, column: Column) -> str:
    return f' class="{text}"' if is_mark(text, column) else _aligned(column)


def is_mark(text: object, column: Column) -> bool:
    """Return whether a cell is the result of a target."""
    return column.name.endswith(TARGET) and text in (MET, MISSED)


def targets_of(answer: Answer) -> str:
    """Return the targets in words, such as: target of p90: at most 48."""
    each = [
        f"target of {one.measure.replace('_', ' ')}: {'at most' if one.at_least is None else 'at least'} {_bound(one)}"
        for one in answer.question.definition.target
    ]
    return "; ".join(each)


def _bound(one: Target) -> str:
    if one.currency is None:
        return f"{one.bound:,g}"
    exponent = exponent_of(one.currency)
    return f"{Decimal(str(one.bound)).scaleb(-exponent):,.{exponent}f} {one.currency}"
