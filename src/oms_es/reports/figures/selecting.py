"""The SQL query of a question: the rows of the source with their dimensions, then grouped by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Float,
    Numeric,
    Select,
    Subquery,
    Text,
    bindparam,
    desc,
    false,
    func,
    or_,
    select,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect

from oms_es.reports.figures.asking import Question, moments
from oms_es.reports.figures.definition import ROWS_MAX, Filter, Measure
from oms_es.reports.figures.sources import NOW, OF_TIME, SINCE, UNTIL, ZONE, of_time

DECIMALS = 2
"""How many decimals hours and percent have; amounts are whole minor units."""


def selected(question: Question) -> Select[Any]:
    """Return the query. It yields at most one row more than may be shown.

    The rows are grouped completely before they are limited: a limit would make the planner choose a plan that is fast
    for the first rows and slow for all of them.
    """
    rows = _rows(question)
    dimensions = [rows.c[word] for word in question.by]
    measures = [column.label(name) for name, column in _measures(question, rows).items()]
    grouped = select(*dimensions, *measures).group_by(*dimensions) if dimensions else select(*measures)
    counted = grouped.cte("counted").prefix_with("MATERIALIZED")
    order = [counted.c[word] for word in question.by]
    if question.definition.sort is not None:
        order.insert(0, desc(counted.c[question.definition.sort]).nulls_last())
    return select(*counted.c).order_by(*order).limit(ROWS_MAX + 1)


def _rows(question: Question) -> Subquery:
    """Return the query for the rows of the source within the period, with the dimensions and numbers of the
    question.
    """
    source = question.definition.facts
    words: list[ColumnElement[Any]] = [_dimension(question, word).label(word) for word in question.by]
    numbers = {
        f"n_{one.of}": source.numbers[one.of].column for one in question.definition.measure if one.how != "ratio"
    }
    words += [column.label(name) for name, column in numbers.items()]
    return select(*words).select_from(source.rows_for(question.words)).where(*_tests(question)).subquery("asked")


def _dimension(question: Question, word: str) -> ColumnElement[Any]:
    source = question.definition.facts
    if word in source.dimensions:
        return source.dimensions[word]
    at = source.times[question.definition.period_by]
    if word in OF_TIME:
        return of_time(word, at)
    local = func.timezone(bindparam(ZONE, type_=Text), at)
    return cast("ColumnElement[Any]", func.date_trunc(word, local))


def _tests(question: Question) -> Iterator[ColumnElement[bool]]:
    source = question.definition.facts
    if not source.of_period:
        yield from _within(question, source.times[question.definition.period_by])
    for one in question.filters:
        yield _test(_dimension(question, one.dimension), one)


def _within(question: Question, at: ColumnElement[Any]) -> Iterator[ColumnElement[bool]]:
    since, until = moments(question.period, question.zone)
    if since is not None:
        yield at >= bindparam(SINCE, type_=DateTime(timezone=True))
    if until is not None:
        yield at < bindparam(UNTIL, type_=DateTime(timezone=True))
    is_by_time = question.grain is not None or not OF_TIME.keys().isdisjoint(question.words)
    if is_by_time or since is not None or until is not None:
        yield at.is_not(None)


def _test(column: ColumnElement[Any], one: Filter) -> ColumnElement[bool]:
    """Return the condition of a filter; a row without a value passes a filter that excludes values."""
    if one.of is not None:
        return or_(false(), *(column == value for value in one.of))
    return or_(column.is_(None), ~or_(false(), *(column == value for value in one.others or ())))


def _measures(question: Question, rows: Subquery) -> Mapping[str, ColumnElement[Any]]:
    found: dict[str, ColumnElement[Any]] = {}
    units = question.definition.units
    for one in question.definition.measure:
        found[one.name] = (
            _ratio(one, units[one.name], found) if one.how == "ratio" else _counted(one, rows, units[one.name])
        )
    return found


def _counted(one: Measure, rows: Subquery, unit: str) -> ColumnElement[Any]:
    number = rows.c[f"n_{one.of}"]
    decimals = 0 if unit == "minor" else DECIMALS
    match one.how:
        case "mean":
            return func.round(as_type(func.avg(number), Numeric), decimals)
        case "min" | "max":
            least = (func.min if one.how == "min" else func.max)(number)
            return func.round(as_type(least, Numeric), decimals)
        case "percentile":
            assert one.percent is not None
            at = func.percentile_cont(one.percent / 100).within_group(as_type(number, Float(53)))
            return func.round(as_type(at, Numeric), decimals)
        case "share":
            met = func.count().filter(number <= bindparam(None, one.within, unique=True, type_=Numeric))
            return func.round(as_type(100 * met, Numeric) / func.nullif(func.count(number), 0), DECIMALS)
    total = func.coalesce(func.sum(number), 0)
    return func.round(as_type(total, Numeric), DECIMALS) if unit == "hours" else as_type(total, Numeric)


def _ratio(one: Measure, unit: str, found: Mapping[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    assert one.per
    above, below = as_type(found[one.of], Numeric), func.nullif(as_type(found[one.per], Numeric), 0)
    if unit == "percent":
        return func.round(100 * above / below, DECIMALS)
    return func.round((one.times or 1) * above / below, 0 if unit == "minor" else DECIMALS)


def compiled(statement: Select[Any], question: Question) -> tuple[str, dict[str, Any]]:
    """Return the SQL text of a query and its values."""
    text, values = rendered(statement)
    since, until = moments(question.period, question.zone)
    asked = {NOW: question.now, ZONE: question.zone, SINCE: since, UNTIL: until}
    return text, values | {name: value for name, value in asked.items() if name in values}


def rendered(statement: Select[Any]) -> tuple[str, dict[str, Any]]:
    """Return the SQL text and the values in the form that the database's driver takes."""
    dialect = psycopg_dialect.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's dialects have no types
    made = statement.compile(dialect=dialect)
    return str(made), dict(made.params)
