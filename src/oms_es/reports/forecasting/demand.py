"""Demand from the fact tables: units in each whole period, and the periods without stock.

For a location these are the units that left it, by the time of their order, with bundles by component. Without a
location they are the ordered units, including those cancelled later. Presales are left out: their demand comes all at
once, before there is stock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Numeric, and_, bindparam, desc, func, or_, select, true
from sqlalchemy import cast as as_type

from oms_es.projections.facts import order_milestones, stock_movements
from oms_es.reports.figures.selecting import rendered
from oms_es.reports.figures.sources import SOURCES
from oms_es.reports.forecasting.asking import Question
from oms_es.reports.queries import Connection

OUT_SHARE = 0.5
"""The share of a period without stock from which on the sold units are not all that was wanted."""
PRESALE = "presale"
FACTS = tuple(dict.fromkeys((*SOURCES["lines"].tables, *SOURCES["shipped"].tables, stock_movements.projection.name)))
"""The read models that it reads."""
moved, order = stock_movements.projection.table.c, order_milestones.projection.table.c


class Series(NamedTuple):
    """A series. `begins` is the first day of its first period; `sold` and `out` have one entry for each period."""

    sku: str
    location: str
    begins: date
    sold: Sequence[int]
    out: Sequence[bool]


def series(connection: Connection, question: Question) -> Iterator[Series]:
    """Yield the series of each SKU of the question with any demand; without named SKUs, those with the most demand
    first.
    """
    sold = _sold(connection, question)
    skus = [sku for sku in question.skus if sku in sold] if question.skus else list(sold)
    first = _first_on_hand(connection, question, skus)
    oldest = _oldest_order(connection, question)
    out = _out(connection, question, skus)
    for sku in skus:
        yield _series(question, sku, sold[sku], first.get(sku), oldest, out.get(sku, []))


def _series(
    question: Question,
    sku: str,
    sold: Mapping[date, int],
    first: date | None,
    oldest: date,
    out: Sequence[tuple[datetime, datetime]],
) -> Series:
    """Return the series.

    It begins with the first stock, or with all history if units were sold before any stock was known. If it began with
    the first sale, it would never begin with a period without sales.
    """
    sale = min(sold)
    begins = max(first if first is not None and first <= sale else min(oldest, sale), question.oldest)
    step = timedelta(days=question.grain.days)
    starts = [begins + n * step for n in range((question.begins - begins) // step)]
    moments = [question.moment(day) for day in (*starts, question.begins)]
    censored = [_is_out(since, until, out) for since, until in pairwise(moments)]
    return Series(sku, question.location, begins, [sold.get(day, 0) for day in starts], censored)


def _is_out(since: datetime, until: datetime, out: Sequence[tuple[datetime, datetime]]) -> bool:
    without = sum((max(min(until, end) - max(since, begin), timedelta()) for begin, end in out), timedelta())
    return without >= (until - since) * OUT_SHARE


def _sold(connection: Connection, question: Question) -> dict[str, dict[date, int]]:
    """Return the units by SKU and first day of the period."""
    source = SOURCES["shipped" if question.location else "lines"]
    at = source.times["placed_at"]
    sku, units = source.dimensions["sku"], source.numbers["units"].column
    tests: list[ColumnElement[bool]] = [
        at >= bindparam("since", question.moment(question.oldest)),
        at < bindparam("until", question.moment(question.begins)),
        source.dimensions["kind"] != PRESALE,
    ]
    if question.location:
        tests.append(source.dimensions["location"] == bindparam("location", question.location))
    chosen = sku.label("sku"), func.sum(units).label("units")
    whole = select(*chosen).select_from(source.rows).where(*tests).group_by(sku).having(func.sum(units) > 0)
    if question.skus:
        whole = whole.where(or_(*(sku == name for name in question.skus)))
    wanted = whole.order_by(desc("units"), sku).limit(question.top).subquery("wanted")
    period = func.date_trunc(question.by, func.timezone(bindparam("zone", question.zone), at)).label("period")
    by_period = (
        select(wanted.c.sku, wanted.c.units, period, as_type(func.sum(units), Numeric).label("sold"))
        .select_from(source.rows)
        .join(wanted, wanted.c.sku == sku)
        .where(*tests)
        .group_by(wanted.c.sku, wanted.c.units, period)
        .order_by(wanted.c.units.desc(), wanted.c.sku, period)
    )
    found: dict[str, dict[date, int]] = defaultdict(dict)
    for row in _rows(connection, by_period):
        found[row["sku"]][row["period"].date()] = int(row["sold"])
    return found


def _first_on_hand(connection: Connection, question: Question, skus: Sequence[str]) -> dict[str, date]:
    local = func.timezone(bindparam("zone", question.zone), func.min(moved.recorded_at))
    first = select(moved.sku, func.date_trunc(question.by, local).label("period")).group_by(moved.sku)
    found = _rows(connection, first.where(*_of_stock(question, skus)))
    return {row["sku"]: row["period"].date() for row in found}


def _oldest_order(connection: Connection, question: Question) -> date:
    local = func.timezone(bindparam("zone", question.zone), func.min(order.placed_at))
    found = _rows(connection, select(func.date_trunc(question.by, local).label("period")))[0]["period"]
    return cast("date", found.date()) if found else question.begins


def _out(connection: Connection, question: Question, skus: Sequence[str]) -> dict[str, list[tuple[datetime, datetime]]]:
    """Return by SKU the intervals in which nothing was on hand."""
    on_hand = func.sum(moved.quantity).over(partition_by=moved.sku, order_by=moved.position)
    later = func.lead(moved.recorded_at).over(partition_by=moved.sku, order_by=moved.position)
    until = func.coalesce(later, bindparam("now", question.now))
    levels = select(moved.sku, moved.recorded_at.label("since"), until.label("until"), on_hand.label("on_hand"))
    each = levels.where(*_of_stock(question, skus)).subquery("levels")
    found: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for row in _rows(connection, select(each).where(and_(each.c.on_hand <= 0, each.c.until > each.c.since))):
        found[row["sku"]].append((row["since"], row["until"]))
    return found


def _of_stock(question: Question, skus: Sequence[str]) -> list[ColumnElement[bool]]:
    here = moved.location == bindparam("location", question.location) if question.location else true()
    return [moved.sku == func.any(bindparam("skus", list(skus))), here]


def _rows(connection: Connection, statement: Any) -> list[dict[str, Any]]:
    text, values = rendered(statement)
    return connection.execute(text.encode(), values).fetchall()
