"""Account orders: one row per order, with its customer, because an account pays only for orders of its own customer."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance.account import METHOD
from oms_es.schemas.order import OrderPlaced
from oms_es.schemas.values.personal import PERSONAL_COLUMN

table = Table(
    "account_orders",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("customer_id", Text, nullable=False, info=PERSONAL_COLUMN),
)
projection = Projection(table, fed_by=("order-{order_id}",))


def key_of_order(event: OrderPlaced) -> Iterable[Key]:
    return ((event.order_id,),) if any(tender.method == METHOD for tender in event.all_tenders) else ()


@projection.on(OrderPlaced, keys=key_of_order)
def on_order_placed(_row: Row | None, event: OrderPlaced, key: Key) -> Row:
    return {"order_id": key[0], "channel": event.channel, "customer_id": event.customer_id}
