"""Daily sales: orders, units and money per day of placing (UTC), channel and currency; cancellations beside them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from sqlalchemy import BigInteger, Column, Date, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA, Sum
from oms_es.schemas.order import (
    OrderAmended,
    OrderCancelled,
    OrderLinesCancelled,
    OrderMergedInto,
    OrderPlaced,
    OrderSplit,
)

table = Table(
    "daily_sales",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("orders", BigInteger, nullable=False),
    Column("units", Sum, nullable=False),
    Column("gross_minor", Sum, nullable=False),
    Column("cancelled_orders", BigInteger, nullable=False),
    Column("cancelled_units", Sum, nullable=False),
    Column("cancelled_minor", Sum, nullable=False),
)
projection = Projection(table, version=2, shared=True)
DATED = OrderPlaced | OrderCancelled | OrderAmended | OrderLinesCancelled | OrderSplit | OrderMergedInto
COUNTS = ("orders", "units", "gross_minor", "cancelled_orders", "cancelled_units", "cancelled_minor")


def key_of_day(event: DATED) -> Iterable[Key]:
    return ((event.placed_at.astimezone(UTC).date(), event.channel, event.currency),)


@projection.on(OrderPlaced, keys=key_of_day)
def on_order_placed(row: Row | None, event: OrderPlaced, key: Key) -> Row:
    units = sum(line.quantity for line in event.lines)
    return _added(row, key, orders=1, units=units, gross_minor=event.total_minor)


@projection.on(OrderCancelled, keys=key_of_day)
def on_order_cancelled(row: Row | None, event: OrderCancelled, key: Key) -> Row:
    return _added(row, key, cancelled_orders=1, cancelled_units=event.units, cancelled_minor=event.total_minor)


@projection.on(OrderAmended, OrderSplit, keys=key_of_day)
def on_order_amended_or_order_split(row: Row | None, event: OrderAmended | OrderSplit, key: Key) -> Row:
    return _added(row, key, units=event.more_units, gross_minor=event.more_minor)


@projection.on(OrderLinesCancelled, keys=key_of_day)
def on_order_lines_cancelled(row: Row | None, event: OrderLinesCancelled, key: Key) -> Row:
    return _added(row, key, cancelled_units=-event.more_units, cancelled_minor=-event.more_minor)


@projection.on(OrderMergedInto, keys=key_of_day)
def on_order_merged_into(row: Row | None, event: OrderMergedInto, key: Key) -> Row:
    """Take the order off: the order that it was merged into is counted instead."""
    return _added(row, key, orders=-1, units=-event.units, gross_minor=-event.total_minor)


def _added(row: Row | None, key: Key, **counts: int) -> Row:
    day = row or {"day": key[0], "channel": key[1], "currency": key[2], **dict.fromkeys(COUNTS, 0)}
    return {**day, **{name: day[name] + n for name, n in counts.items()}}
