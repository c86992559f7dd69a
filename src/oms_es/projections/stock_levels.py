"""Stock levels: what is where, and how much of it can still be promised. ATP = on hand - reserved - safety stock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import stock as s

table = Table(
    "stock_levels",
    METADATA,
    Column("sku", Text, primary_key=True),
    Column("location", Text, primary_key=True),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("safety_stock", BigInteger, nullable=False),
    Column("atp", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("shipped", BigInteger, nullable=False),
    Column("short", BigInteger, nullable=False),
)
projection = Projection(table)
NOTHING = dict.fromkeys(("on_hand", "reserved", "safety_stock", "atp", "received", "shipped", "short"), 0)


def of_the_stock(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, s.StockEvent)
    return ((event.sku, event.location),)


@projection.on(
    s.StockReceived,
    s.SafetyStockSet,
    s.StockReserved,
    s.StockReleased,
    s.StockReservationExpired,
    s.StockShipped,
    s.StockShort,
    s.StockReturned,
    keys=of_the_stock,
)
def moved(row: Row | None, recorded: Recorded, key: Key) -> Row:
    level: dict[str, Any] = dict(row) if row else {"sku": key[0], "location": key[1], **NOTHING}
    match recorded.event:
        case s.StockReceived(quantity=n):
            level["received"] += n
            level["on_hand"] += n
        case s.StockReturned(quantity=n):
            level["on_hand"] += n
        case s.SafetyStockSet(quantity=n):
            level["safety_stock"] = n
        case s.StockReserved(quantity=n):
            level["reserved"] += n
        case s.StockReleased(quantity=n) | s.StockReservationExpired(quantity=n):
            level["reserved"] -= n
        case s.StockShipped(quantity=n):
            level["reserved"] -= n
            level["on_hand"] -= n
            level["shipped"] += n
        case s.StockShort(quantity=n):
            level["short"] += n
    level["atp"] = level["on_hand"] - level["reserved"] - level["safety_stock"]
    return level
