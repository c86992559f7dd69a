"""Account orders: one row per order, with its customer and the orders that it was split off or merged from.

An account pays only for orders of its own customer; a gift card also for what was split off an order that its code was
given for.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance.account import METHOD
from oms_es.schemas.order import OrderJoined, OrderPlaced
from oms_es.schemas.values.personal import PERSONAL_COLUMN

table = Table(
    "account_orders",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("customer_id", Text, nullable=False, info=PERSONAL_COLUMN),
    Column("joined_from", ARRAY(Text), nullable=False),
)
projection = Projection(table, version=2, fed_by=("order-{order_id}",))


def key_of_order(event: OrderPlaced) -> Iterable[Key]:
    return ((event.order_id,),) if any(tender.method == METHOD for tender in event.all_tenders) else ()


@projection.on(OrderPlaced, keys=key_of_order)
def on_order_placed(_row: Row | None, event: OrderPlaced, key: Key) -> Row:
    return {"order_id": key[0], "channel": event.channel, "customer_id": event.customer_id, "joined_from": []}


def key_of_joined(event: OrderJoined) -> Iterable[Key]:
    return ((event.order_id,),)


@projection.on(OrderJoined, keys=key_of_joined)
def on_order_joined(row: Row | None, event: OrderJoined, _key: Key) -> Row | None:
    return row and {**row, "joined_from": list(event.from_order_ids)}
