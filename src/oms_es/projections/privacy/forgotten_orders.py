"""Forgotten orders: why, when and by whom, and the case under which it is on file. It holds nothing of the person."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import OrderForgotten

table = Table(
    "forgotten_orders",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("forgotten_at", DateTime(timezone=True), nullable=False),
    Column("forgotten_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("case_id", Text),
    Column("position", BigInteger, nullable=False),
    Index("forgotten_orders_by_position", "position"),
)
projection = Projection(table, fed_by=("order-{order_id}",))


def key_of_order(event: OrderForgotten) -> tuple[Key, ...]:
    return ((event.order_id,),)


@projection.on(OrderForgotten, keys=key_of_order)
def on_order_forgotten(_row: Row | None, event: OrderForgotten, recorded: Recorded, _key: Key) -> Row:
    return {
        "order_id": event.order_id,
        "forgotten_at": recorded.recorded_at,
        "forgotten_by": recorded.actor,
        "reason": event.reason,
        "case_id": event.case_id,
        "position": recorded.position,
    }
