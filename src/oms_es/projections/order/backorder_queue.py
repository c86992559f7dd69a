"""Backorder queue: which orders wait for which SKUs, and whose `turn` it is.

First come first served by priority, and nobody starves: each step of priority is worth a head start of
HEAD_START_SECONDS, not a place before everybody who ever comes. A large order is served like any other: in its turn it
keeps what is there and waits for the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Recorded, Row
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
"""`waiting` is true of every row: whoever wants all of them asks by it."""
projection = Projection(table, version=2)


def of_the_demand(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, OrderBackordered | OrderSourcingRequested)
    if isinstance(event, OrderSourcingRequested) and event.short is not None:
        return ()  # the round goes on: what is backordered stays so
    return tuple((event.order_id, sku) for sku in event.demand)


def of_the_cancelled(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, OrderCancelled | OrderMergedInto)
    return tuple((event.order_id, sku) for sku in event.backordered)


def of_the_change(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, OrderAmended | OrderFulfilledElsewhere | OrderLinesCancelled | OrderSplit)
    return tuple((event.order_id, sku) for sku in event.no_longer_backordered)


@projection.on(OrderAmended, OrderFulfilledElsewhere, OrderLinesCancelled, OrderSplit, keys=of_the_change)
def waits_for_less(row: Row | None, recorded: Recorded, key: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, OrderAmended | OrderFulfilledElsewhere | OrderLinesCancelled | OrderSplit)
    left = row["quantity"] - event.no_longer_backordered[str(key[1])] if row else 0
    return {**row, "quantity": left} if row and left else None


@projection.on(OrderBackordered, keys=of_the_demand)
def waits(row: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, OrderBackordered)
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


@projection.on(OrderSourcingRequested, keys=of_the_demand)
def is_sought_again(_: Row | None, __: Recorded, ___: Key) -> None:
    return None


@projection.on(OrderCancelled, OrderMergedInto, keys=of_the_cancelled)
def no_longer_waits(_: Row | None, __: Recorded, ___: Key) -> None:
    return None
