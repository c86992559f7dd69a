"""Order numbers: what an order is called, and which order a number is."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
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


def of_the_order(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, OrderNumbered)
    return ((event.order_id,),)


@projection.on(OrderNumbered, keys=of_the_order)
def numbered(_: Row | None, recorded: Recorded, __: Key) -> Row:
    return recorded.event.model_dump()
