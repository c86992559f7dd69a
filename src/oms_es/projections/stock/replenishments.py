"""Replenishments: what ran low, what was asked for, and how far that has come. One row per request."""

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
projection = Projection(table)


def of_the_request(recorded: Recorded) -> Iterable[Key]:
    event: Any = recorded.event
    return () if event.request_id is None else ((event.sku, event.location, event.request_id),)


@projection.on(s.ReplenishmentRequested, keys=of_the_request)
def is_requested(row: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, s.ReplenishmentRequested)
    return {
        "sku": key[0],
        "location": key[1],
        "request_id": key[2],
        "status": row["status"] if row else "requested",
        "quantity": event.quantity,
        "requested_at": recorded.recorded_at,
        "promised_at": row and row["promised_at"],
    }


@projection.on(s.StockInboundExpected, keys=of_the_request)
def is_ordered(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, s.StockInboundExpected)
    return row and {**row, "status": "ordered", "promised_at": event.promised_at}


@projection.on(s.StockReceived, s.StockInboundCancelled, keys=of_the_request)
def is_over(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    """Received, or to be ordered again."""
    if row is None:
        return None
    if isinstance(recorded.event, s.StockInboundCancelled):
        return {**row, "status": "requested", "promised_at": None}
    left = getattr(recorded.event, "outstanding", 0)
    return {**row, "status": "ordered" if left else "received"}
