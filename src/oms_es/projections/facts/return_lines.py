"""Return lines: one row per line of a return, with how many units were requested, received, inspected and credited."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import LineUnits
from oms_es.schemas.returns import rma as r

COUNTS = ("requested", "received", "inspected", "credited")
table = Table(
    "return_lines",
    METADATA,
    Column("rma_id", Text, primary_key=True),
    Column("line_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("resolution", Text, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in COUNTS),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True)),
    Index("return_lines_by_order", "order_id", "line_id"),
)
"""`received_at` is the time when the first of its units came."""
projection = Projection(table, fed_by=("rma-{rma_id}",))
Counted = r.RmaReceived | r.RmaInspected | r.RmaCreditDue


def key_of_return_line(event: r.RmaOpened | Counted) -> Iterable[Key]:
    return [(event.rma_id, line_id) for line_id in dict.fromkeys(line.line_id for line in event.lines)]


@projection.on(r.RmaOpened, keys=key_of_return_line)
def on_rma_opened(_row: Row | None, event: r.RmaOpened, key: Key) -> Row:
    lines = [line for line in event.lines if line.line_id == key[1]]
    return {
        "rma_id": key[0],
        "line_id": key[1],
        "order_id": event.order_id,
        "channel": event.channel,
        "sku": lines[0].sku,
        "reason": lines[0].reason,
        "resolution": event.resolution,
        **dict.fromkeys(COUNTS, 0),
        "requested": sum(line.quantity for line in lines),
        "requested_at": event.requested_at,
        "received_at": None,
    }


@projection.on(r.RmaReceived, r.RmaInspected, r.RmaCreditDue, keys=key_of_return_line)
def on_units_counted(row: Row | None, event: Counted, recorded: Recorded, key: Key) -> Row | None:
    if row is None:
        return None
    match event:
        case r.RmaReceived():
            return {
                **row,
                "received": row["received"] + _units(event.lines, key),
                "received_at": row["received_at"] or recorded.recorded_at,
            }
        case r.RmaInspected():
            return {**row, "inspected": row["inspected"] + _units(event.lines, key)}
    return {**row, "credited": row["credited"] + _units(event.lines, key)}


def _units(lines: Iterable[LineUnits], key: Key) -> int:
    return sum(line.quantity for line in lines if line.line_id == key[1])
