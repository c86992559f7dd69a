"""Order numbers: the number of each order, and the order of each number."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Index, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.catalog.numbering import OrderNumbered

table = Table(
    "order_numbers",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Index("order_numbers_by_name", "name"),
)
projection = Projection(table)


def key_of_order(event: OrderNumbered) -> Iterable[Key]:
    return ((event.order_id,),)


@projection.on(OrderNumbered, keys=key_of_order)
def on_order_numbered(_row: Row | None, event: OrderNumbered, _key: Key) -> Row:
    return event.model_dump()
