"""The sources of stock: its movements, and computed from these the stock at the end of each day, its age, and idle
stock.

Invariant: everything is computed from `stock_movements`, so it sums to the units on hand.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import DateTime, Numeric, Subquery, case, cast, func, select, true

from oms_es.projections.facts import stock_movements
from oms_es.reports.figures.sources.base import (
    NOUGHT,
    ONE,
    Number,
    Source,
    band,
    category,
    hours,
    local_day,
    now,
    of_items,
    since,
    until,
    yes,
    zone,
)

MOVEMENTS = stock_movements.projection.table
moved = MOVEMENTS.c
HOURS_PER_DAY = 24
AGES = ("1: under 30 days", "2: under 90 days", "3: under 180 days", "4: 180 days and more")
HOURS_OF_AGES = (30 * HOURS_PER_DAY, 90 * HOURS_PER_DAY, 180 * HOURS_PER_DAY)
LOST_DECIMALS = 2
movements = Source(
    "Every change of what is on hand.",
    "stock",
    MOVEMENTS,
    {
        "sku": moved.sku,
        "category": category,
        "location": moved.location,
        "kind": moved.kind,
        "condition": moved.condition,
        "reason": moved.reason,
    },
    {
        "movements": Number(ONE, "movements", "movements"),
        "units": Number(moved.quantity, "units", "units that came, less those that went"),
        "units_in": Number(func.greatest(moved.quantity, 0), "units", "units that came"),
        "units_out": Number(func.greatest(-moved.quantity, 0), "units", "units that went"),
    },
    {"recorded_at": moved.recorded_at},
    {"kind": stock_movements.KINDS},
    joins=of_items(moved.sku),
)
_place = (moved.sku, moved.location)
_left = func.sum(-moved.quantity).filter(moved.kind == "shipped")


def _days() -> Subquery:
    """Return the days of the period for each SKU and location, from the first movement to today.

    The usual number of shipped units is the mean over all days, although only the days of the period are returned.
    """
    changed = (
        select(
            *_place,
            local_day(moved.recorded_at).label("day"),
            func.sum(moved.quantity).label("change"),
            func.coalesce(_left, 0).label("shipped"),
        )
        .group_by(*_place, "day")
        .subquery("changed")
    ).c
    by_place: Any = {"partition_by": (changed.sku, changed.location), "order_by": changed.day}
    levels = select(
        changed.sku,
        changed.location,
        changed.day,
        changed.shipped,
        func.sum(changed.change).over(**by_place).label("on_hand"),
        (func.lead(changed.day).over(**by_place) - 1).label("last_day"),
    ).subquery("levels")
    level = levels.c
    last = func.coalesce(level.last_day, func.greatest(local_day(now), level.day))
    with_stock = case((level.on_hand > 0, last - level.day + 1), else_=yes(level.shipped > 0))
    here: Any = {"partition_by": (level.sku, level.location)}
    usual = func.sum(level.shipped).over(**here) / func.nullif(cast(func.sum(with_stock).over(**here), Numeric), 0)
    spans = select(*level, last.label("last"), func.coalesce(usual, 0).label("usual")).subquery("spans")
    span = spans.c
    first, end = func.greatest(span.day, local_day(since)), func.least(span.last, local_day(until))
    days = func.generate_series(first - span.day, end - span.day).table_valued("after", name="later").render_derived()
    on_day = span.day + days.c.after
    shipped = case((on_day == span.day, span.shipped), else_=NOUGHT)
    return (
        select(
            span.sku,
            span.location,
            func.timezone(zone, cast(on_day, DateTime())).label("day_begins"),
            span.on_hand,
            shipped.label("shipped"),
            yes((span.on_hand > 0) | (shipped > 0)).label("there"),
            func.round(span.usual, LOST_DECIMALS).label("usual"),
        )
        .select_from(spans.join(days, true()))
        .subquery("stock_days")
    )


def _layers() -> Subquery:
    """Return the receipts of units, and how many of each are still there if units leave in the order in which they
    came.
    """
    here: Any = {"partition_by": _place}
    since: Any = {**here, "order_by": moved.position.desc(), "rows": (None, -1)}
    later = func.coalesce(func.sum(func.greatest(moved.quantity, 0)).over(**since), 0)
    on_hand = func.sum(moved.quantity).over(**here)
    came = select(*_place, moved.quantity, moved.recorded_at, later.label("later"), on_hand.label("on_hand")).subquery(
        "came"
    )
    left = func.least(came.c.quantity, came.c.on_hand - came.c.later)
    layer = select(came.c.sku, came.c.location, came.c.recorded_at, left.label("units"))
    return layer.where(came.c.quantity > 0, left > 0).subquery("layers")


def _idle() -> Subquery:
    """Return the units on hand of each SKU and location, and since when none were shipped."""
    since = func.coalesce(func.max(moved.recorded_at).filter(moved.kind == "shipped"), func.min(moved.recorded_at))
    on_hand = func.sum(moved.quantity)
    rows = select(*_place, on_hand.label("on_hand"), since.label("since")).group_by(*_place)
    return rows.having(on_hand > 0).subquery("on_hand_now")


_day, _layer, _still = _days(), _layers(), _idle()
stock_days = Source(
    "Days of each SKU at each location, from its first movement to today, and what was on hand when they ended.",
    "stock",
    _day,
    {"sku": _day.c.sku, "category": category, "location": _day.c.location},
    {
        "unit_days": Number(_day.c.on_hand, "unit_days", "units on hand at the end of the day, day by day"),
        "days": Number(ONE, "days", "days of a SKU at a location"),
        "out_days": Number(1 - _day.c.there, "days", "days without any on hand in the end, on which none left"),
        "shipped_units": Number(_day.c.shipped, "units", "units that were shipped"),
        "lost_units": Number(
            (1 - _day.c.there) * _day.c.usual,
            "units",
            "an estimate: for each day without stock, the mean of what is shipped of it there on days with stock",
        ),
    },
    {"day_begins": _day.c.day_begins},
    joins=of_items(_day.c.sku),
)
stock_ages = Source(
    "What is on hand, by when it came to where it is: what came first is taken to have left first.",
    "stock",
    _layer,
    {
        "sku": _layer.c.sku,
        "category": category,
        "location": _layer.c.location,
        "age": band(hours(_layer.c.recorded_at, now), HOURS_OF_AGES, AGES),
    },
    {
        "units": Number(_layer.c.units, "units", "units on hand"),
        "age_hours": Number(hours(_layer.c.recorded_at, now), "hours", "since they came"),
    },
    {"came_at": _layer.c.recorded_at},
    {"age": AGES},
    joins=of_items(_layer.c.sku),
)
idle_stock = Source(
    "SKUs at locations that have units on hand, and how long none of them was shipped: since the first came, if never.",
    "stock",
    _still,
    {
        "sku": _still.c.sku,
        "category": category,
        "location": _still.c.location,
        "idle": band(hours(_still.c.since, now), HOURS_OF_AGES, AGES),
    },
    {
        "skus": Number(ONE, "skus", "SKUs at a location"),
        "units": Number(_still.c.on_hand, "units", "units on hand"),
        "idle_hours": Number(hours(_still.c.since, now), "hours", "since one was shipped"),
    },
    {"idle_since": _still.c.since},
    {"idle": AGES},
    joins=of_items(_still.c.sku),
)
