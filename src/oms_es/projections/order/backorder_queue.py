"""Backorder queue: which orders wait for which SKUs, and in which turn.

Orders are served first come first served by priority, and none starves: each step of priority is worth a head start of
HEAD_START_SECONDS, not a turn before all later orders. A large order is served like any other: in its turn it keeps
what is there and waits for the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import (
    OrderAmended,
    OrderBackordered,
    OrderCancelled,
    OrderFulfilledElsewhere,
    OrderLinesCancelled,
    OrderMergedInto,
    OrderSourcingRequested,
    OrderSplit,
)
from oms_es.schemas.values.types import shifted

HEAD_START_SECONDS = 86_400

table = Table(
    "backorder_queue",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("waiting_since", DateTime(timezone=True), nullable=False),
    Column("terms", JSONB, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("turn", DateTime(timezone=True), nullable=False),
    Column("promised_at", DateTime(timezone=True)),
    Column("waiting", Boolean, nullable=False),
    Index("backorder_queue_by_sku", "sku", "turn", "order_id"),
    Index("backorder_queue_by_turn", "waiting", "turn", "order_id"),
)
"""`waiting` is true in every row; queries for all rows use its index."""
projection = Projection(table, version=2, fed_by=("order-{order_id}",))


def key_of_demand(event: OrderBackordered | OrderSourcingRequested) -> Iterable[Key]:
    if isinstance(event, OrderSourcingRequested) and event.short is not None:
        return ()  # the round continues: backordered units remain backordered
    return tuple((event.order_id, sku) for sku in event.demand)


def key_of_cancelled(event: OrderCancelled | OrderMergedInto) -> Iterable[Key]:
    return tuple((event.order_id, sku) for sku in event.backordered)


def key_of_change(event: OrderAmended | OrderFulfilledElsewhere | OrderLinesCancelled | OrderSplit) -> Iterable[Key]:
    return tuple((event.order_id, sku) for sku in event.no_longer_backordered)


@projection.on(OrderAmended, OrderFulfilledElsewhere, OrderLinesCancelled, OrderSplit, keys=key_of_change)
def on_demand_changed(
    row: Row | None, event: OrderAmended | OrderFulfilledElsewhere | OrderLinesCancelled | OrderSplit, key: Key
) -> Row | None:
    left = row["quantity"] - event.no_longer_backordered[str(key[1])] if row else 0
    return {**row, "quantity": left} if row and left else None


@projection.on(OrderBackordered, keys=key_of_demand)
def on_order_backordered(row: Row | None, event: OrderBackordered, key: Key) -> Row:
    waiting = row or {
        "order_id": key[0],
        "sku": key[1],
        "quantity": 0,
        "waiting_since": event.placed_at,
        "waiting": True,
        "priority": event.priority,
        "turn": shifted(event.placed_at, timedelta(seconds=-event.priority * HEAD_START_SECONDS)),
    }
    quantity = waiting["quantity"] + event.demand[str(key[1])]
    terms = event.terms.model_dump(mode="json") if event.terms else {}
    return {**waiting, "quantity": quantity, "promised_at": event.promised_at, "terms": terms}


@projection.on(OrderSourcingRequested, keys=key_of_demand)
def on_order_sourcing_requested(_row: Row | None, _event: OrderSourcingRequested, _key: Key) -> None:
    return None


@projection.on(OrderCancelled, OrderMergedInto, keys=key_of_cancelled)
def on_order_cancelled_or_order_merged_into(
    _row: Row | None, _event: OrderCancelled | OrderMergedInto, _key: Key
) -> None:
    return None
