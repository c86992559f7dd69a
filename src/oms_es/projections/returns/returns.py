"""Returns: one row per return, with its status and how many of its units came back and were accepted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import LineUnits
from oms_es.schemas.returns import rma as r

table = Table(
    "returns",
    METADATA,
    Column("rma_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("resolution", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("surplus", BigInteger, nullable=False),
    Column("inspected", BigInteger, nullable=False),
    Column("credited", BigInteger, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("note", Text, nullable=False),
    Index("returns_by_order", "order_id"),
    Index("returns_by_time", "requested_at", "rma_id"),
    Index("returns_by_state", "status", "requested_at", "rma_id"),
)
projection = Projection(table, version=2, fed_by=("rma-{rma_id}",))
STATUSES = ("opened", "review", "approved", "refused", "closed")


def key_of_return(event: r.RmaEvent) -> Iterable[Key]:
    return ((event.rma_id,),)


def _units(lines: Sequence[LineUnits] | Sequence[r.ReturnLine]) -> int:
    return sum(line.quantity for line in lines)


@projection.on(r.RmaOpened, keys=key_of_return)
def on_rma_opened(_row: Row | None, event: r.RmaOpened, recorded: Recorded, key: Key) -> Row:
    return {
        "rma_id": key[0],
        "order_id": event.order_id,
        "channel": event.channel,
        "status": "opened",
        "resolution": event.resolution,
        "reasons": ", ".join(sorted({line.reason for line in event.lines})),
        "units": _units(event.lines),
        "received": 0,
        "surplus": 0,
        "inspected": 0,
        "credited": 0,
        "requested_at": event.requested_at,
        "changed_at": recorded.recorded_at,
        "note": "",
    }


@projection.on(
    r.RmaReviewRequested,
    r.RmaApproved,
    r.RmaRefused,
    r.RmaReceived,
    r.RmaSurplusReceived,
    r.RmaInspected,
    r.RmaCreditDue,
    r.RmaClosed,
    keys=key_of_return,
)
def on_return_moved_on(row: Row | None, event: Event, recorded: Recorded, _key: Key) -> Row | None:
    if row is None:
        return None
    changes: dict[str, Any] = {"changed_at": recorded.recorded_at}
    match event:
        case r.RmaReviewRequested(reasons=reasons):
            changes |= {"status": "review", "note": "; ".join(reasons)}
        case r.RmaApproved(note=note):
            changes |= {"status": "approved", "note": note}
        case r.RmaRefused(reason=reason):
            changes |= {"status": "refused", "note": reason}
        case r.RmaReceived(lines=lines):
            changes["received"] = row["received"] + _units(lines)
        case r.RmaSurplusReceived(lines=lines):
            changes["surplus"] = row["surplus"] + _units(lines)
        case r.RmaInspected(lines=inspected):
            changes["inspected"] = row["inspected"] + _units(inspected)
        case r.RmaCreditDue(lines=lines):
            changes["credited"] = row["credited"] + _units(lines)
        case r.RmaClosed():
            changes["status"] = "closed"
    return {**row, **changes}
