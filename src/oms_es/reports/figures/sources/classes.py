"""Classes of SKUs within a period: by revenue (A, B, C), and by how evenly they are ordered (X, Y, Z).

A: the SKUs with the highest revenue, up to the one that reaches 80 % of all, without cancelled units; B: up to 95 %; C:
the rest, including those without revenue. X, Y, Z: the standard deviation of the units ordered by week, over all weeks
from the first to the last in which anything was ordered, is up to half of their mean, up to the mean, or more.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Numeric, Subquery, case, cast, extract, func, or_, select

from oms_es.reports.figures.sources.base import CURRENCY, ONE, Number, Source, since, until, zone
from oms_es.reports.figures.sources.orders import lines

A_SHARE, B_SHARE = 80, 95
X_SHARE, Y_SHARE = 50, 100
DAYS_PER_WEEK = 7


def _classes() -> Subquery:
    at, sku, currency = lines.times["placed_at"], lines.dimensions["sku"], lines.dimensions[CURRENCY]
    units, net = lines.numbers["units"].column, lines.numbers["net_minor"].column
    week = func.date_trunc("week", func.timezone(zone, at))
    counted = (func.sum(units).label("units"), func.sum(net).label("net"))
    weekly = (
        select(sku.label("sku"), currency.label("currency"), week.label("week"), *counted)
        .select_from(lines.rows)
        .where(or_(since.is_(None), at >= since), or_(until.is_(None), at < until))
        .group_by(sku, currency, "week")
        .cte("weekly")
    )
    w = weekly.c
    whole = (
        select(
            w.sku,
            w.currency,
            func.sum(w.units).label("units"),
            func.sum(w.net).label("net"),
            func.sum(w.units * w.units).label("squares"),
        )
        .group_by(w.sku, w.currency)
        .subquery("whole")
    )
    first, last = (select(which(w.week)).scalar_subquery() for which in (func.min, func.max))
    return _classed(whole, cast(extract("day", last - first), Numeric) / DAYS_PER_WEEK + 1)


def _classed(whole: Subquery, weeks: ColumnElement[Any]) -> Subquery:
    """Return the SKUs with their classes. Nothing is divided, so that values at a bound are exact."""
    one = whole.c
    brings = func.greatest(one.net, 0)
    here: Any = {"partition_by": one.currency}
    before = func.sum(brings).over(**here, order_by=(one.net.desc(), one.sku), rows=(None, 0)) - brings
    square = one.units * one.units
    ranked = select(
        *(one.sku, one.currency, one.units, one.net),
        before.label("before"),
        func.sum(brings).over(**here).label("of_all"),
        square.label("square"),
        (one.squares * weeks - square).label("spread"),
    ).subquery("ranked")
    r = ranked.c
    abc = case(
        (r.net <= 0, "C"),
        (100 * r.before < A_SHARE * r.of_all, "A"),
        (100 * r.before < B_SHARE * r.of_all, "B"),
        else_="C",
    )
    xyz = case(
        (10_000 * r.spread <= X_SHARE * X_SHARE * r.square, "X"),
        (10_000 * r.spread <= Y_SHARE * Y_SHARE * r.square, "Y"),
        else_="Z",
    )
    return select(r.sku, r.currency, r.units, r.net, abc.label("abc"), xyz.label("xyz")).subquery("classes")


_class = _classes()
classes = Source(
    "SKUs, classed by what they brought in within the period, and by how evenly they were ordered in it.",
    "orders",
    _class,
    {"sku": _class.c.sku, CURRENCY: _class.c.currency, "abc": _class.c.abc, "xyz": _class.c.xyz},
    {
        "skus": Number(ONE, "skus", "SKUs"),
        "units": Number(_class.c.units, "units", "units ordered, also those cancelled since"),
        "net_minor": Number(_class.c.net, "minor", "goods that were not cancelled"),
    },
    {},
    {"abc": ("A", "B", "C"), "xyz": ("X", "Y", "Z")},
    of_period=True,
)
