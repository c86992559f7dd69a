"""Stock movements: every change of the units on hand of a SKU at a location, with its cause.

`quantity` is positive if units came. All rows of a SKU at a location sum to what is on hand there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import stock as s

table = Table(
    "stock_movements",
    METADATA,
    Column("position", BigInteger, primary_key=True),
    Column("sku", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("condition", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Index("stock_movements_by_time", "recorded_at", "position"),
)
"""`reference` names the receipt, return, count, adjustment, move or parcel. `order_id` is empty if no order is
concerned."""
projection = Projection(table, insert_only=True)


def _plus(event: Any) -> int:
    return int(event.quantity)


def _minus(event: Any) -> int:
    return -int(event.quantity)


def _variance(event: Any) -> int:
    return int(event.variance)


MOVEMENTS: Mapping[type[Event], tuple[str, Callable[[Any], int], str]] = {
    s.StockReceived: ("received", _plus, "receipt_id"),
    s.StockReturned: ("returned", _plus, "return_id"),
    s.StockMovedIn: ("moved_in", _plus, "move_id"),
    s.StockMovedOut: ("moved_out", _minus, "move_id"),
    s.StockCounted: ("counted", _variance, "count_id"),
    s.StockAdjusted: ("adjusted", _plus, "adjustment_id"),
    s.StockWrittenOff: ("written_off", _minus, "write_off_id"),
    s.StockShipped: ("shipped", _minus, "shipment_id"),
}
"""For each event its kind, the function for the change of the units on hand, and the field that names it."""
KINDS = tuple(kind for kind, _, _ in MOVEMENTS.values())


def key_of_movement(event: s.StockEvent, recorded: Recorded) -> Iterable[Key]:  # noqa: ARG001 - its position is the key
    return ((recorded.position,),)


@projection.on(*MOVEMENTS, keys=key_of_movement)
def on_units_moved(_row: Row | None, event: Any, recorded: Recorded, _key: Key) -> Row:
    kind, change, reference = MOVEMENTS[type(event)]
    fields = event.__dict__
    return {
        "position": recorded.position,
        "sku": event.sku,
        "location": event.location,
        "kind": kind,
        "quantity": change(event),
        "condition": fields.get("condition", "sellable"),
        "reason": fields.get("reason", ""),
        "reference": fields[reference],
        "order_id": fields.get("order_id", ""),
        "recorded_at": recorded.recorded_at,
    }
