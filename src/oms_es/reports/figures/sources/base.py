"""The parts of sources: numbers, dimensions and times, and expressions that several sources share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Integer,
    Numeric,
    Table,
    Text,
    bindparam,
    case,
    cast,
    extract,
    func,
    literal,
    literal_column,
)
from sqlalchemy.sql.visitors import iterate

from oms_es.projections.catalog import items
from oms_es.projections.facts import order_milestones

Unit = Literal[
    "orders", "parcels", "returns", "refunds", "movements", "exceptions", "payments", "ratings", "stars", "skus",
    "units", "unit_days", "days", "minor", "hours",
]  # fmt: skip
CURRENCY = "currency"
NOW, ZONE, SINCE, UNTIL = "now", "zone", "since", "until"
"""The values of a question that a source may use: the current time, the time zone, the beginning and the end of the
period."""
SECONDS_PER_HOUR = 3_600
WEEKDAYS = ("1: Monday", "2: Tuesday", "3: Wednesday", "4: Thursday", "5: Friday", "6: Saturday", "7: Sunday")
OF_TIME: Mapping[str, tuple[str, ...]] = {
    "weekday": WEEKDAYS,
    "hour_of_day": tuple(f"{hour:02}:00" for hour in range(24)),
}
"""Dimensions of every source that derive from its time, in the time zone of the report, with their values."""
Columns = Mapping[str, ColumnElement[Any]]


@dataclass(frozen=True)
class Number:
    """A number that can be summed, or of which a mean or a percentile can be computed."""

    column: ColumnElement[Any]
    unit: Unit
    says: str


Join = tuple[Table, ColumnElement[bool]]


@dataclass(frozen=True)
class Source:
    """A source.

    `times` select a period; the first is the default. `family` is the entity's family, whose HTTP scope is required.
    `values` lists the values of a dimension that has few. `of_period`: each row is computed from the whole period, so
    it belongs to no day.
    """

    about: str
    family: str
    rows: FromClause
    dimensions: Columns
    numbers: Mapping[str, Number]
    times: Columns
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    of_period: bool = False
    joins: Mapping[str, Join] = field(default_factory=dict)
    """By dimension, the table that is joined only if the dimension is used."""

    @property
    def words(self) -> tuple[str, ...]:
        """The dimensions that are not grains of time."""
        return (*self.dimensions, *(() if self.of_period else OF_TIME))

    def values_of(self, word: str) -> tuple[str, ...]:
        """Return the values of a dimension; empty if it has many."""
        return {**OF_TIME, **self.values}.get(word, ())

    @property
    def tables(self) -> tuple[str, ...]:
        """The read models that it reads for every question."""
        return self.tables_for(())

    def tables_for(self, words: Collection[str]) -> tuple[str, ...]:
        """Return the read models that it reads for these dimensions."""
        return tuple(dict.fromkeys(part.name for part in iterate(self.rows_for(words)) if isinstance(part, Table)))

    def rows_for(self, words: Collection[str]) -> FromClause:
        rows = self.rows
        for table, on in (join for word, join in self.joins.items() if word in words):
            rows = rows.outerjoin(table, on)
        return rows


MOMENT = DateTime(timezone=True)
ONE: ColumnElement[int] = literal_column("1", Integer)
NOUGHT: ColumnElement[int] = literal_column("0", Integer)
now: ColumnElement[Any] = bindparam(NOW, type_=MOMENT)
zone: ColumnElement[Any] = bindparam(ZONE, type_=Text)
since: ColumnElement[Any] = cast(bindparam(SINCE, type_=MOMENT), MOMENT)
until: ColumnElement[Any] = cast(bindparam(UNTIL, type_=MOMENT), MOMENT)
ORDERS = order_milestones.projection.table
m = ORDERS.c
OF_ORDER: Columns = {"channel": m.channel, "kind": m.kind, "country": m.country, "region": m.region}
ITEMS = items.projection.table
CATEGORY = "category"
category: ColumnElement[str] = func.coalesce(ITEMS.c.category, "")
"""The category of the SKU, joined by `of_items`; empty if the SKU was not described."""
KINDS: Mapping[str, tuple[str, ...]] = {"kind": ("standard", "presale", "exchange")}


def of_items(sku: ColumnElement[str]) -> Mapping[str, Join]:
    """Return the join that the category of a SKU needs."""
    return {CATEGORY: (ITEMS, ITEMS.c.sku == sku)}


def hours(begin: ColumnElement[Any], end: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(extract("epoch", end - begin), Numeric) / SECONDS_PER_HOUR


def yes(condition: ColumnElement[Any]) -> ColumnElement[int]:
    return case((condition, ONE), else_=NOUGHT)


def local_day(at: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the day in the time zone of the report."""
    return cast(func.timezone(zone, at), Date)


def of_time(word: str, at: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the weekday, or the hour of the day, in the time zone of the report."""
    local = func.timezone(zone, at)
    if word == "hour_of_day":
        return func.to_char(local, "HH24:00")
    return case(dict(enumerate(WEEKDAYS, start=1)), value=cast(extract("isodow", local), Integer))


def band(number: ColumnElement[Any], ends: tuple[int, ...], names: tuple[str, ...]) -> ColumnElement[Any]:
    """Return the name of the first band whose end is above the number; the last band has no end."""
    bands = ((number < end, literal(name)) for end, name in zip(ends, names, strict=False))
    return case(*bands, else_=names[-1])


AGES = ("1: under an hour", "2: under a day", "3: under a week", "4: a week and more")
HOURS_OF_AGES = (1, 24, 24 * 7)
