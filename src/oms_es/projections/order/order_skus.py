"""Order SKUs: which orders have, or once had, a line of a SKU."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import OrderAmended, OrderPlaced

table = Table(
    "order_skus",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Index("order_skus_by_sku", "sku", "placed_at", "order_id"),
)
projection = Projection(table, fed_by=("order-{order_id}",))


def key_of_lines(event: OrderPlaced | OrderAmended) -> Iterable[Key]:
    return tuple({(event.order_id, line.sku): None for line in event.lines or ()})


@projection.on(OrderPlaced, OrderAmended, keys=key_of_lines)
def on_order_placed_or_order_amended(row: Row | None, event: OrderPlaced | OrderAmended, key: Key) -> Row:
    return row or {"order_id": key[0], "sku": key[1], "placed_at": event.placed_at}
