"""Customer spending: the worth of each customer's orders, by currency; amounts of two currencies are never added.

`spent_minor` is the ordered amount less what was cancelled, refunded, or paid with goods that came back for an
exchange. It is the worth of orders, not a sum of payments.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Index, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA, Sum
from oms_es.schemas.order import OrderCancelled, OrderLinesCancelled, OrderPlaced
from oms_es.schemas.order.amendments import OrderAmended
from oms_es.schemas.order.payment import OrderCreditLeft, OrderMoneyBack, OrderMoneyGone
from oms_es.schemas.order.refunds import OrderRefundRequested
from oms_es.schemas.order.split_merge import OrderMergedInto, OrderSplit
from oms_es.schemas.values.personal import PERSONAL_COLUMN

table = Table(
    "customer_spending",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("customer_id", Text, primary_key=True, info=PERSONAL_COLUMN),
    Column("currency", Text, primary_key=True),
    Column("orders", BigInteger, nullable=False),
    Column("ordered_minor", Sum, nullable=False),
    Column("cancelled_minor", Sum, nullable=False),
    Column("refunded_minor", Sum, nullable=False),
    Column("exchanged_minor", Sum, nullable=False),
    Column("spent_minor", Sum, nullable=False),
    Index("customer_spending_by_spent", "currency", "spent_minor", "channel", "customer_id"),
)
projection = Projection(table, shared=True)
COUNTS = ("orders", "ordered_minor", "cancelled_minor", "refunded_minor", "exchanged_minor")
Change = OrderPlaced | OrderCancelled | OrderAmended | OrderLinesCancelled | OrderSplit
Money = OrderRefundRequested | OrderMoneyGone | OrderMoneyBack | OrderCreditLeft


def key_of_spending(event: Change | Money) -> Iterable[Key]:
    return ((event.channel, event.customer_id, event.currency),) if event.customer_id else ()


def key_of_merged(event: OrderMergedInto) -> Iterable[Key]:
    return ((event.channel, event.content.customer_id, event.currency),) if event.content.customer_id else ()


def key_of_refund(event: OrderMoneyGone | OrderMoneyBack) -> Iterable[Key]:
    return key_of_spending(event) if event.why == "refunded" else ()


@projection.on(OrderPlaced, keys=key_of_spending)
def on_order_placed(row: Row | None, event: OrderPlaced, key: Key) -> Row:
    return _added(row, key, orders=1, ordered_minor=event.total_minor, exchanged_minor=event.credit_minor)


@projection.on(OrderCancelled, keys=key_of_spending)
def on_order_cancelled(row: Row | None, event: OrderCancelled, key: Key) -> Row:
    return _added(row, key, cancelled_minor=event.total_minor)


@projection.on(OrderAmended, OrderSplit, keys=key_of_spending)
def on_order_amended_or_order_split(row: Row | None, event: OrderAmended | OrderSplit, key: Key) -> Row:
    return _added(row, key, ordered_minor=event.more_minor)


@projection.on(OrderLinesCancelled, keys=key_of_spending)
def on_order_lines_cancelled(row: Row | None, event: OrderLinesCancelled, key: Key) -> Row:
    return _added(row, key, cancelled_minor=-event.more_minor)


@projection.on(OrderMergedInto, keys=key_of_merged)
def on_order_merged_into(row: Row | None, event: OrderMergedInto, key: Key) -> Row:
    """Take the order off: the order that it was merged into is counted instead."""
    return _added(row, key, orders=-1, ordered_minor=-event.total_minor)


@projection.on(OrderRefundRequested, keys=key_of_spending)
def on_order_refund_requested(row: Row | None, event: OrderRefundRequested, key: Key) -> Row:
    """Count a refund.

    The part that comes from an exchange's credit is refunded by the order that paid it, and counted there.
    """
    return _added(row, key, refunded_minor=event.amount_minor - (event.credit.amount_minor if event.credit else 0))


@projection.on(OrderMoneyGone, OrderMoneyBack, keys=key_of_refund)
def on_order_money_gone_or_back(row: Row | None, event: OrderMoneyGone | OrderMoneyBack, key: Key) -> Row:
    more = event.amount_minor if isinstance(event, OrderMoneyGone) else -event.amount_minor
    return _added(row, key, refunded_minor=more)


@projection.on(OrderCreditLeft, keys=key_of_spending)
def on_order_credit_left(row: Row | None, event: OrderCreditLeft, key: Key) -> Row:
    """Count the unused credit of an exchange, which is refunded by the order whose goods came back, and counted
    there.
    """
    return _added(row, key, exchanged_minor=-event.amount_minor)


def _added(row: Row | None, key: Key, **counts: int) -> Row:
    before = row or {"channel": key[0], "customer_id": key[1], "currency": key[2], **dict.fromkeys(COUNTS, 0)}
    now = {**before, **{name: before[name] + n for name, n in counts.items()}}
    less = now["cancelled_minor"] + now["refunded_minor"] + now["exchanged_minor"]
    return {**now, "spent_minor": now["ordered_minor"] - less}
