"""Legal holds: which case keeps which order from being forgotten, since when, and until when it did."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import OrderLegalHoldLifted, OrderLegalHoldPlaced

table = Table(
    "legal_holds",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("case_id", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("lifted_at", DateTime(timezone=True)),
    Column("lifted_by", Text),
    Index("legal_holds_by_time", "placed_at"),
)
projection = Projection(table, fed_by=("order-{order_id}",))


def key_of_hold(event: OrderLegalHoldPlaced | OrderLegalHoldLifted) -> tuple[Key, ...]:
    return ((event.order_id, event.case_id),)


@projection.on(OrderLegalHoldPlaced, keys=key_of_hold)
def on_order_legal_hold_placed(_row: Row | None, event: OrderLegalHoldPlaced, recorded: Recorded, _key: Key) -> Row:
    return {
        "order_id": event.order_id,
        "case_id": event.case_id,
        "reason": event.reason,
        "placed_at": recorded.recorded_at,
        "placed_by": recorded.actor,
        "lifted_at": None,
        "lifted_by": None,
    }


@projection.on(OrderLegalHoldLifted, keys=key_of_hold)
def on_order_legal_hold_lifted(
    row: Row | None, _event: OrderLegalHoldLifted, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {**row, "lifted_at": recorded.recorded_at, "lifted_by": recorded.actor}
