"""The orders that hold a person's data: theirs, and every order with a copy of their content.

An order that was split off, merged, or sent in exchange has the address and the customer of its origin, and some events
quote another order's content: none of them is forgotten without the others. An order that declined to be merged gave
nothing, and is no relative.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from http import HTTPStatus
from typing import Any

import psycopg

from oms_es.app.privacy.rows import events_of
from oms_es.errors import NotFound, OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Event
from oms_es.reports import queries
from oms_es.schemas import order as o
from oms_es.schemas.order.returns import OrderExchangeCredited

ORDERS_MAX = 1_000
"""Orders that are forgotten at once."""
RELATING = (
    o.OrderPlaced,
    o.OrderSplit,
    o.OrderJoined,
    o.OrderMergeRequested,
    o.OrderMergedInto,
    OrderExchangeCredited,
)
OF_CUSTOMER = """
SELECT order_id FROM order_recipients WHERE channel = %s AND customer_id = %s ORDER BY placed_at, order_id LIMIT %s
"""
CALLED = "SELECT order_id, channel, external_id FROM order_status WHERE order_id = ANY(%s)"
OF_RETURN = "SELECT order_id FROM returns WHERE rma_id = %s"
OF_SHIPMENT = "SELECT order_id FROM shipments WHERE shipment_id = %s"

Connection = psycopg.Connection[dict[str, Any]]


class TooManyOrders(OmsError):
    """More related orders exist than are forgotten at once."""

    code = "too_many_orders"
    exit_code = Code.REFUSED
    status = HTTPStatus.CONFLICT


def meant(connection: Connection, order_id: str | None, customer: tuple[str, str] | None) -> list[str]:
    """Return the order, or all orders of the customer, with their relatives. Raise NotFound or TooManyOrders."""
    if customer is not None:
        found = orders_of(connection, *customer)
        if not found:
            raise NotFound(
                f"no order names the customer {'/'.join(customer)}; they have none, or all of them are forgotten"
            )
    else:
        found = [order_id or ""]
        if not queries.is_accepted(connection, found[0]):
            raise NotFound(f"there is no order {order_id}; name one by its id, or by its channel and external id")
    return with_relatives(connection, found)


def orders_of(connection: Connection, channel: str, customer_id: str) -> list[str]:
    """Return the orders that name this customer and are not forgotten. Raise TooManyOrders."""
    rows = connection.execute(OF_CUSTOMER, [channel, customer_id, ORDERS_MAX + 1]).fetchall()
    return _bounded([row["order_id"] for row in rows])


def with_relatives(connection: Connection, orders: Collection[str]) -> list[str]:
    """Return the orders and all their relatives. Raise TooManyOrders."""
    known: dict[str, None] = dict.fromkeys(orders)
    new = list(known)
    while new:
        with connection.transaction():
            found = dict.fromkeys(
                relative
                for recorded in events_of(connection, new, [event.__name__ for event in RELATING])
                for relative in _relatives(connection, recorded.event)
            )
        new = [order_id for order_id in found if order_id not in known]
        known.update(dict.fromkeys(new))
        _bounded(list(known))
    return list(known)


def called(connection: Connection, orders: Collection[str]) -> list[str]:
    """Return each order's name, as its channel has it, with its id."""
    names = {
        row["order_id"]: f"{row['channel']}/{row['external_id']} {row['order_id']}"
        for row in connection.execute(CALLED, [list(orders)])
    }
    return [names.get(order_id, order_id) for order_id in orders]


def _bounded(orders: list[str]) -> list[str]:
    if len(orders) > ORDERS_MAX:
        raise TooManyOrders(f"more than {ORDERS_MAX:,} orders hang together here: forget some of them first, by order")
    return orders


def _relatives(connection: Connection, event: Event) -> Iterator[str]:
    match event:
        case o.OrderSplit(to_order_id=order_id) | o.OrderMergedInto(to_order_id=order_id):
            yield order_id
        case o.OrderJoined(from_order_ids=order_ids):
            yield from order_ids
        case o.OrderMergeRequested(answer=answer) if answer:
            yield answer.order_id
        case OrderExchangeCredited(content=content):
            yield o.order_id_of(content.channel, content.external_id)
        case o.OrderPlaced(exchange_of=exchange_of) if exchange_of:
            yield from _exchanged(connection, exchange_of)


def _exchanged(connection: Connection, exchange_of: str) -> Iterator[str]:
    """Yield the order that an exchange belongs to: the one whose goods came back, or were lost."""
    shipment_id = o.lost_shipment_of(exchange_of)
    query, name = (OF_SHIPMENT, shipment_id) if shipment_id else (OF_RETURN, exchange_of)
    yield from (row["order_id"] for row in connection.execute(query, [name]))
