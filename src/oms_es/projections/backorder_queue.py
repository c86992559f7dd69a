"""Backorder queue: which orders wait for which SKUs, in the order in which they were placed."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import OrderBackordered, OrderCancelled, OrderSourcingRequested

table = Table(
    "backorder_queue",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("waiting_since", DateTime(timezone=True), nullable=False),
    Column("terms", JSONB, nullable=False),
    Index("backorder_queue_by_sku", "sku", "waiting_since", "order_id"),
)
projection = Projection(table)


def of_the_demand(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, OrderBackordered | OrderSourcingRequested)
    if isinstance(event, OrderSourcingRequested) and event.short is not None:
        return ()  # the round goes on: what is backordered stays so
    return tuple((event.order_id, sku) for sku in event.demand)


def of_the_cancelled(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, OrderCancelled)
    return tuple((event.order_id, sku) for sku in event.backordered)


@projection.on(OrderBackordered, keys=of_the_demand)
def waits(row: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, OrderBackordered)
    waiting = row or {"order_id": key[0], "sku": key[1], "quantity": 0, "waiting_since": event.placed_at}
    terms = event.terms.model_dump(mode="json") if event.terms else {}
    return {**waiting, "quantity": waiting["quantity"] + event.demand[str(key[1])], "terms": terms}


@projection.on(OrderSourcingRequested, keys=of_the_demand)
def is_sought_again(_: Row | None, __: Recorded, ___: Key) -> None:
    return None


@projection.on(OrderCancelled, keys=of_the_cancelled)
def no_longer_waits(_: Row | None, __: Recorded, ___: Key) -> None:
    return None
