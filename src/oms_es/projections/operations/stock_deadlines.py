"""Deadlines of stock: reservations that expire, and lots that may be sold until a date, counted by bin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from oms_es.kernel import Key, Row
from oms_es.schemas import stock as s

LOT = "lot/"

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The expiry of a lot that has no expiry date."""


def lot_of(event: s.StockEvent, bin_name: str, lot: str) -> Key:
    """Return the key of a lot in a bin. It states the length of the bin's name, which may contain any character."""
    return (f"{LOT}{event.sku}@{event.location}/{len(bin_name)}/{bin_name}/{lot}",)


def key_of_lot(event: s.PlacedEvent) -> Iterable[Key]:
    """Return the keys of the lots that an event changes: only sellable units in a lot are put aside when the lot is
    over.
    """
    if not event.lot:
        return ()
    was = event.was if isinstance(event, s.StockConditionChanged) else event.condition
    if "sellable" not in (was, event.condition):
        return ()
    here = lot_of(event, event.bin, event.lot)
    return (here, lot_of(event, event.to_bin, event.lot)) if isinstance(event, s.StockMovedToBin) else (here,)


def key_of_reservation(event: s.ReservationEvent) -> Iterable[Key]:
    if isinstance(event, s.StockReserved) and event.expires_at is None:
        return ()
    if event.reservation_id.startswith(f"{event.order_id}/"):
        return ()  # an order's reservation has no end of its own; the order releases it
    return ((f"{event.sku}@{event.location}/{event.reservation_id}",),)


def key_of_shipped(event: s.StockShipped) -> Iterable[Key]:
    return (*key_of_reservation(event), *(lot_of(event, pick.bin, pick.lot) for pick in event.picks if pick.lot))


def lot_change(event: Any, key: Key) -> int:
    """Return the change of the lot's sellable units in this bin."""
    n: int = event.quantity
    match event:
        case s.StockMovedOut() | s.StockWrittenOff():
            return -n
        case s.StockCounted():
            return event.variance
        case s.StockMovedToBin():
            return -n if key == lot_of(event, event.bin, event.lot) else n
        case s.StockConditionChanged():
            return n * (event.condition == "sellable") - n * (event.was == "sellable")
    return n


def counted_lot(row: Row, change: int, expires_at: datetime | None) -> Row | None:
    units = row["units"] + change
    due_at = s.lot_over_at(expires_at) if expires_at else row["due_at"]
    return {**row, "units": units, "due_at": due_at} if units else None
