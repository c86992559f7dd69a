"""The answer to a question: rows with exact numbers, beside those of the period of comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg.errors import InvalidParameterValue

from oms_es.reports.figures.asking import Question, steps
from oms_es.reports.figures.definition import GRAINS, ROWS_MAX, TARGET
from oms_es.reports.figures.selecting import compiled, selected
from oms_es.reports.figures.sources import CURRENCY
from oms_es.reports.figures.words import BadReport, TooLarge
from oms_es.reports.queries import Connection

Cell = str | int | float | date | datetime | None
MET, MISSED = "met", "missed"
"""The two results of a target."""
BEFORE = "_before"
"""The suffix of a measure's column for the period of comparison."""


class Column(NamedTuple):
    """A column of an answer. `unit` is the measure's; it is empty for a dimension."""

    name: str
    unit: str


class Answer(NamedTuple):
    question: Question
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    def as_json(self) -> dict[str, Any]:
        """Return the answer for programs: amounts in minor units, with their currency in a column."""
        asked = self.question
        return {
            "report": asked.definition.name,
            "title": asked.definition.title,
            "from": asked.period.since,
            "to": asked.period.until,
            "time": asked.definition.period_by,
            "timezone": asked.zone,
            "compare": asked.compare,
            "columns": [column._asdict() for column in self.columns],
            "rows": [dict(zip((column.name for column in self.columns), row, strict=True)) for row in self.rows],
        }


def answer(connection: Connection, question: Question) -> Answer:
    """Answer the question. Raise TooLarge if there are too many rows."""
    return judged(_answered(connection, question))


def judged(found: Answer) -> Answer:
    """Return the answer with a column for each target: met, missed, or empty if the row has no value for it."""
    names = [column.name for column in found.columns]
    rows = [list(row) for row in found.rows]
    for one in found.question.definition.target:
        place = names.index(one.measure)
        of = names.index(CURRENCY) if one.currency else None
        for row in rows:
            value, counts = row[place], of is None or row[of] == one.currency
            row.append((MET if one.is_met(value) else MISSED) if counts and isinstance(value, int | float) else None)
    more = [Column(f"{one.measure}{TARGET}", "") for one in found.question.definition.target]
    return Answer(found.question, [*found.columns, *more], [tuple(row) for row in rows])


def _answered(connection: Connection, question: Question) -> Answer:
    now = _asked(connection, question)
    units = question.definition.units
    columns = [Column(word, "") for word in question.by]
    if question.compare is None:
        rows = [(*key, *measures) for key, measures in now.items()]
        return Answer(question, [*columns, *(Column(*one) for one in units.items())], _top(question, rows))
    then = _moved(question, _asked(connection, question.before))
    columns += [Column(name, unit) for one, unit in units.items() for name in (one, one + BEFORE)]
    nothing = (None,) * len(units)
    keys = [*now, *sorted((key for key in then if key not in now), key=_sortable)]
    if question.definition.sort is None:
        keys.sort(key=_sortable)
    pairs = ((key, zip(now.get(key, nothing), then.get(key, nothing), strict=True)) for key in keys)
    return Answer(
        question, columns, _top(question, [(*key, *(n for pair in both for n in pair)) for key, both in pairs])
    )


def _top(question: Question, rows: list[tuple[Cell, ...]]) -> list[tuple[Cell, ...]]:
    return rows[: question.definition.top] if question.definition.top else rows


Key = tuple[Cell, ...]


def _asked(connection: Connection, question: Question) -> dict[Key, tuple[Cell, ...]]:
    statement, values = compiled(selected(question), question)
    try:
        rows = connection.execute(statement.encode(), values).fetchall()
    except InvalidParameterValue:
        raise BadReport(f"the database does not know the time zone {question.zone}; name a city's, or UTC") from None
    if len(rows) > ROWS_MAX and question.definition.top is None:
        raise TooLarge(f"it would have more than {ROWS_MAX} rows; ask by fewer dimensions, or for a shorter period")
    width = len(question.by)
    cells = [tuple(_cell(question, name, value) for name, value in row.items()) for row in rows]
    return {row[:width]: row[width:] for row in cells}


def _cell(question: Question, name: str, value: Any) -> Cell:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and _is_whole(question, name) else float(value)
    if name in GRAINS and name != "hour" and isinstance(value, datetime):
        return value.date()
    found: Cell = value
    return found


def _is_whole(question: Question, name: str) -> bool:
    """Return whether a measure's values are integers; hours, percent and means have decimals, even if these are
    zero.
    """
    one = next(one for one in question.definition.measure if one.name == name)
    unit = question.definition.units[name]
    return unit == "minor" or (unit not in ("hours", "percent") and one.how in ("sum", "min", "max"))


def _moved(question: Question, then: Mapping[Key, tuple[Cell, ...]]) -> dict[Key, tuple[Cell, ...]]:
    """Return the rows with their hours, days, weeks or months moved to the period beside which they are shown: the
    first to the first.
    """
    grain = question.grain
    if grain is None:
        return dict(then)
    place = question.by.index(grain)
    since, began = question.period.since, question.before.period.since
    assert since
    assert began
    found = {}
    for key, measures in then.items():
        at = key[place]
        assert isinstance(at, date)
        found[(*key[:place], _bucket(grain, since, steps(grain, began, at)), *key[place + 1 :])] = measures
    return found


def _bucket(grain: str, since: date, count: int) -> Cell:
    """Return the beginning of the bucket that is `count` buckets after that of the first day."""
    first = datetime.combine(since, time())
    match grain:
        case "hour":
            return first + timedelta(hours=count)
        case "day":
            return (first + timedelta(days=count)).date()
        case "week":
            return (first - timedelta(days=first.weekday()) + timedelta(weeks=count)).date()
        case "month":
            return _month(first.year, first.month - 1 + count)
        case "quarter":
            return _month(first.year, (first.month - 1) // 3 * 3 + 3 * count)
    return date(first.year + count, 1, 1)


def _month(year: int, months: int) -> date:
    return date(year + months // 12, months % 12 + 1, 1)


def _sortable(key: Key) -> tuple[tuple[bool, str], ...]:
    return tuple((cell is None, str(cell)) for cell in key)
