"""Replenishments: one row per request for more stock, with its status."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import stock as s

table = Table(
    "replenishments",
    METADATA,
    Column("sku", Text, primary_key=True),
    Column("location", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("promised_at", DateTime(timezone=True)),
    Index("replenishments_by_status", "status", "requested_at"),
)
projection = Projection(table, fed_by=("stock-{sku}@{location}",))


def key_of_request(event: Any) -> Iterable[Key]:
    return () if event.request_id is None else ((event.sku, event.location, event.request_id),)


@projection.on(s.ReplenishmentRequested, keys=key_of_request)
def on_replenishment_requested(row: Row | None, event: s.ReplenishmentRequested, recorded: Recorded, key: Key) -> Row:
    return {
        "sku": key[0],
        "location": key[1],
        "request_id": key[2],
        "status": row["status"] if row else "requested",
        "quantity": event.quantity,
        "requested_at": recorded.recorded_at,
        "promised_at": row and row["promised_at"],
    }


@projection.on(s.StockInboundExpected, keys=key_of_request)
def on_stock_inbound_expected(row: Row | None, event: s.StockInboundExpected, _key: Key) -> Row | None:
    return row and {**row, "status": "ordered", "promised_at": event.promised_at}


@projection.on(s.StockReceived, s.StockInboundCancelled, keys=key_of_request)
def on_stock_received_or_stock_inbound_cancelled(
    row: Row | None, event: s.StockReceived | s.StockInboundCancelled, _key: Key
) -> Row | None:
    """Mark a request as ordered or received or, if its inbound was cancelled, as to be ordered again."""
    if row is None:
        return None
    if isinstance(event, s.StockInboundCancelled):
        return {**row, "status": "requested", "promised_at": None}
    left = getattr(event, "outstanding", 0)
    return {**row, "status": "ordered" if left else "received"}
