"""Stock places: the units in each bin, by lot and condition; lots that expire first are picked first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import stock as s

table = Table(
    "stock_places",
    METADATA,
    Column("sku", Text, primary_key=True),
    Column("location", Text, primary_key=True),
    Column("bin", Text, primary_key=True),
    Column("lot", Text, primary_key=True),
    Column("condition", Text, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("lot_expires_at", DateTime(timezone=True)),
    Index("stock_places_by_expiry", "lot_expires_at"),
)
projection = Projection(table, fed_by=("stock-{sku}@{location}",))


def key_of_place(event: s.PlacedEvent) -> Iterable[Key]:
    return ((event.sku, event.location, event.bin, event.lot, event.condition),)


def key_of_picks(event: s.StockShipped) -> Iterable[Key]:
    picked = event.picks or (s.Pick(bin="", lot="", quantity=event.quantity),)
    return tuple((event.sku, event.location, pick.bin, pick.lot, "sellable") for pick in picked)


def key_of_both_places(event: s.StockMovedToBin | s.StockConditionChanged) -> Iterable[Key]:
    """Return the place that the units are taken from first, as its expiry goes with them."""
    return (_place_before(event), *key_of_place(event)) if isinstance(event, s.StockConditionChanged) else _bins(event)


def _place_before(event: s.StockConditionChanged) -> Key:
    return (event.sku, event.location, event.bin, event.lot, event.was)


def _bins(event: s.StockMovedToBin) -> tuple[Key, Key]:
    rest = (event.lot, event.condition)
    return (event.sku, event.location, event.bin, *rest), (event.sku, event.location, event.to_bin, *rest)


@projection.on(s.StockReceived, s.StockReturned, s.StockMovedIn, keys=key_of_place)
def on_units_came(row: Row | None, event: Any, key: Key) -> Row | None:
    return _put(row, key, event.quantity, event.lot_expires_at)


@projection.on(s.StockMovedOut, s.StockWrittenOff, s.StockAdjusted, s.StockCounted, keys=key_of_place)
def on_units_changed(row: Row | None, event: Any, key: Key) -> Row | None:
    match event:
        case s.StockCounted():
            return _put(row, key, event.variance, None)
        case s.StockAdjusted():
            return _put(row, key, event.quantity, None)
    return _put(row, key, -event.quantity, None)


@projection.on(s.StockShipped, keys=key_of_picks)
def on_stock_shipped(row: Row | None, event: s.StockShipped, key: Key) -> Row | None:
    units = sum(pick.quantity for pick in event.picks if (pick.bin, pick.lot) == key[2:4])
    return _put(row, key, -units if event.picks else -event.quantity, None)


@projection.on(s.StockMovedToBin, s.StockConditionChanged, keys=key_of_both_places)
def on_stock_moved_to_bin_or_stock_condition_changed(row: Row | None, event: Any, key: Key) -> Row | None:
    from_here = key == next(iter(key_of_both_places(event)))
    return _put(row, key, -event.quantity if from_here else event.quantity, event.lot_expires_at)


def _put(row: Row | None, key: Key, units: int, expires_at: Any) -> Row | None:
    quantity = (row["quantity"] if row else 0) + units
    if quantity == 0:
        return None
    names = ("sku", "location", "bin", "lot", "condition")
    known = row["lot_expires_at"] if row else None
    return {**dict(zip(names, key, strict=True)), "quantity": quantity, "lot_expires_at": expires_at or known}
