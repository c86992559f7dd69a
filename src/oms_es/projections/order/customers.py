"""Customers: what each has ordered, returned and rated, under the ids of its channel.

An order without a customer id is in no row. `orders` counts all placed orders, including exchanges and parts that were
split off; `cancelled_orders` are among them. E-mail address, telephone number and language are those of the newest
order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA, Sum
from oms_es.projections.order.order_recipients import email_key
from oms_es.schemas.order import OrderCancelled, OrderLinesCancelled, OrderPlaced
from oms_es.schemas.order.amendments import OrderAmended
from oms_es.schemas.order.returns import OrderFeedbackGiven, OrderReturnRequested
from oms_es.schemas.order.split_merge import OrderMergedInto, OrderSplit
from oms_es.schemas.values.personal import PERSONAL_COLUMN

table = Table(
    "customers",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("customer_id", Text, primary_key=True, info=PERSONAL_COLUMN),
    Column("email", Text, nullable=False, info=PERSONAL_COLUMN),
    Column("email_key", Text, nullable=False, info=PERSONAL_COLUMN),
    Column("phone", Text, nullable=False, info=PERSONAL_COLUMN),
    Column("language", Text, nullable=False),
    Column("orders", BigInteger, nullable=False),
    Column("cancelled_orders", BigInteger, nullable=False),
    Column("units", Sum, nullable=False),
    Column("cancelled_units", Sum, nullable=False),
    Column("returns", BigInteger, nullable=False),
    Column("returned_units", Sum, nullable=False),
    Column("ratings", BigInteger, nullable=False),
    Column("rating_sum", Sum, nullable=False),
    Column("last_rating", Integer),
    Column("last_feedback_at", DateTime(timezone=True)),
    Column("last_feedback", Text, nullable=False),
    Column("first_placed_at", DateTime(timezone=True), nullable=False),
    Column("last_placed_at", DateTime(timezone=True), nullable=False),
    Column("last_order_id", Text, nullable=False),
    Index("customers_by_email", "email_key", "channel", "customer_id"),
    Index("customers_by_last_order", "last_placed_at", "channel", "customer_id"),
    Index("customers_by_channel_last_order", "channel", "last_placed_at", "customer_id"),
)
projection = Projection(table, shared=True)
COUNTS = ("orders", "cancelled_orders", "units", "cancelled_units", "returns", "returned_units", "ratings")
OfOneCustomer = (
    OrderPlaced | OrderCancelled | OrderAmended | OrderLinesCancelled | OrderSplit | OrderReturnRequested
) | OrderFeedbackGiven


def key_of_customer(event: OfOneCustomer) -> Iterable[Key]:
    return ((event.channel, event.customer_id),) if event.customer_id else ()


def key_of_merged(event: OrderMergedInto) -> Iterable[Key]:
    return ((event.channel, event.content.customer_id),) if event.content.customer_id else ()


@projection.on(OrderPlaced, keys=key_of_customer)
def on_order_placed(row: Row | None, event: OrderPlaced, key: Key) -> Row:
    units = sum(line.quantity for line in event.lines)
    known = row or _new(event, key)
    newer = (event.placed_at, event.order_id) >= (known["last_placed_at"], known["last_order_id"])
    return {
        **known,
        **(_customer_fields(event) if newer else {}),
        "first_placed_at": min(known["first_placed_at"], event.placed_at),
        "orders": known["orders"] + 1,
        "units": known["units"] + units,
    }


@projection.on(OrderCancelled, keys=key_of_customer)
def on_order_cancelled(row: Row | None, event: OrderCancelled, _key: Key) -> Row | None:
    return _added(row, cancelled_orders=1, cancelled_units=event.units)


@projection.on(OrderAmended, OrderSplit, keys=key_of_customer)
def on_order_amended_or_order_split(row: Row | None, event: OrderAmended | OrderSplit, _key: Key) -> Row | None:
    return _added(row, units=event.more_units)


@projection.on(OrderLinesCancelled, keys=key_of_customer)
def on_order_lines_cancelled(row: Row | None, event: OrderLinesCancelled, _key: Key) -> Row | None:
    return _added(row, cancelled_units=-event.more_units)


@projection.on(OrderMergedInto, keys=key_of_merged)
def on_order_merged_into(row: Row | None, event: OrderMergedInto, _key: Key) -> Row | None:
    """Take the order off: the order that it was merged into is counted instead."""
    return _added(row, orders=-1, units=-event.units)


@projection.on(OrderReturnRequested, keys=key_of_customer)
def on_order_return_requested(row: Row | None, event: OrderReturnRequested, _key: Key) -> Row | None:
    return _added(row, returns=1, returned_units=sum(line.quantity for line in event.lines))


@projection.on(OrderFeedbackGiven, keys=key_of_customer)
def on_order_feedback_given(row: Row | None, event: OrderFeedbackGiven, recorded: Recorded, _key: Key) -> Row | None:
    if row is None:
        return None
    name = f"{event.order_id}/{event.feedback_id}"
    last = row["last_feedback_at"]
    newer = last is None or (recorded.recorded_at, name) > (last, row["last_feedback"])
    latest = {"last_rating": event.rating, "last_feedback_at": recorded.recorded_at, "last_feedback": name}
    return _added({**row, **latest} if newer else row, ratings=1, rating_sum=event.rating)


def _new(event: OrderPlaced, key: Key) -> dict[str, Any]:
    return {
        "channel": key[0],
        "customer_id": key[1],
        **dict.fromkeys((*COUNTS, "rating_sum"), 0),
        "last_rating": None,
        "last_feedback_at": None,
        "last_feedback": "",
        "first_placed_at": event.placed_at,
        **_customer_fields(event),
    }


def _customer_fields(event: OrderPlaced) -> dict[str, Any]:
    assert event.customer
    return {
        "email": event.customer.email or "",
        "email_key": email_key(event.customer.email or ""),
        "phone": event.customer.phone or "",
        "language": event.customer.language or "",
        "last_placed_at": event.placed_at,
        "last_order_id": event.order_id,
    }


def _added(row: Row | None, **counts: int) -> Row | None:
    return row and {**row, **{name: row[name] + n for name, n in counts.items()}}
