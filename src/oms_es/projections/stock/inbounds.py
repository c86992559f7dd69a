"""Inbounds: units on their way to a location, with the promised time; with `from_location` in transit from our own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import stock as s

table = Table(
    "inbounds",
    METADATA,
    Column("sku", Text, primary_key=True),
    Column("location", Text, primary_key=True),
    Column("inbound_id", Text, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("promised_at", DateTime(timezone=True), nullable=False),
    Column("request_id", Text),
    Column("from_location", Text),
    Index("inbounds_by_promise", "promised_at"),
)
projection = Projection(table, fed_by=("stock-{sku}@{location}",))


def key_of_inbound(event: Any) -> Iterable[Key]:
    return () if event.inbound_id is None else ((event.sku, event.location, event.inbound_id),)


@projection.on(s.StockInboundExpected, keys=key_of_inbound)
def on_stock_inbound_expected(_row: Row | None, event: s.StockInboundExpected, key: Key) -> Row:
    return {
        "sku": key[0],
        "location": key[1],
        "inbound_id": key[2],
        "quantity": event.quantity,
        "promised_at": event.promised_at,
        "request_id": event.request_id,
        "from_location": event.from_location,
    }


@projection.on(s.StockReceived, s.StockMovedIn, s.StockInboundCancelled, keys=key_of_inbound)
def on_units_not_awaited(row: Row | None, event: Any, _key: Key) -> Row | None:
    """Lower the outstanding units, and delete the row with the last; more may come than were expected."""
    left = row["quantity"] - event.quantity if row else 0
    return {**row, "quantity": left} if row and left > 0 else None
