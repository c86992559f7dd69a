"""The orders that hold a person's data: theirs, and every order with a copy of their content; and their accounts.

An order that was split off, merged, or sent in exchange has the address and the customer of its origin, and some events
quote another order's content: none of them is forgotten without the others. An order that declined to be merged gave
nothing, and is no relative.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

import psycopg

from oms_es.app.privacy.rows import events_of
from oms_es.errors import NotFound, OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Event
from oms_es.reports import queries
from oms_es.schemas import order as o
from oms_es.schemas.order.returns import OrderExchangeCredited
from oms_es.store.privacy.subjects import ACCOUNT, STATEMENT

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
ACCOUNTS_OF = """
SELECT account_id FROM accounts WHERE channel = %s AND customer_id = %s ORDER BY account_id LIMIT %s
"""
A_STATEMENT = "SELECT FROM statements WHERE account = %s AND statement_id = %s"
OF_RETURN = "SELECT order_id FROM returns WHERE rma_id = %s"
OF_SHIPMENT = "SELECT order_id FROM shipments WHERE shipment_id = %s"

Connection = psycopg.Connection[dict[str, Any]]


class TooManyOrders(OmsError):
    """More related orders exist than are forgotten at once."""

    code = "too_many_orders"
    exit_code = Code.REFUSED
    status = HTTPStatus.CONFLICT


class Named(NamedTuple):
    """What a request names: an order, a customer of a channel, an account or a statement; one of them."""

    order_id: str | None = None
    customer: tuple[str, str] | None = None
    account_id: str | None = None
    statement: tuple[str, str] | None = None


def meant(connection: Connection, named: Named) -> list[str]:
    """Return the order, or all orders and accounts of the customer, with the orders' relatives, or the account or the
    statement alone: orders by their ids, others by the names of their streams. Raise NotFound or TooManyOrders."""
    order_id, customer, account_id, statement = named
    if statement is not None:
        return [_statement(connection, *statement)]
    if account_id is not None:
        if connection.execute("SELECT FROM accounts WHERE account_id = %s", [account_id]).fetchone() is None:
            raise NotFound(f"there is no account {account_id}; `oms-es account list` names them")
        return [f"{ACCOUNT}{account_id}"]
    accounts = list[str]()
    if customer is not None:
        accounts, found = accounts_of(connection, *customer), orders_of(connection, *customer)
        if not found and not accounts:
            raise NotFound(
                f"no order and no account names the customer {'/'.join(customer)}; they have none, or all of them are "
                "forgotten"
            )
    else:
        found = [order_id or ""]
        if not queries.is_accepted(connection, found[0]):
            raise NotFound(f"there is no order {order_id}; name one by its id, or by its channel and external id")
    return [*with_relatives(connection, found), *accounts]


def _statement(connection: Connection, account: str, statement_id: str) -> str:
    if connection.execute(A_STATEMENT, [account, statement_id]).fetchone() is None:
        raise NotFound(f"there is no statement {account}/{statement_id}; `oms-es reconcile statements` names them")
    return f"{STATEMENT}{account}/{statement_id}"


def accounts_of(connection: Connection, channel: str, customer_id: str) -> list[str]:
    """Return the accounts of this customer that are not forgotten. Raise TooManyOrders."""
    rows = connection.execute(ACCOUNTS_OF, [channel, customer_id, ORDERS_MAX + 1]).fetchall()
    return _bounded([f"{ACCOUNT}{row['account_id']}" for row in rows])


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
    """Return each order's name, as its channel has it, with its id; of an account what it is, and its id."""
    names = {
        row["order_id"]: f"{row['channel']}/{row['external_id']} {row['order_id']}"
        for row in connection.execute(CALLED, [list(orders)])
    }
    return [labelled(subject) if subject not in names else names[subject] for subject in orders]


def labelled(subject: str) -> str:
    """Return an account or a statement by what it is and its id; an order by its id."""
    for kind in (ACCOUNT, STATEMENT):
        if subject.startswith(kind):
            return f"{kind.removesuffix('-')} {subject.removeprefix(kind)}"
    return subject


def _bounded(orders: list[str]) -> list[str]:
    if len(orders) > ORDERS_MAX:
        raise TooManyOrders(
            f"more than {ORDERS_MAX:,} orders or accounts belong together here: forget some of them first, one by one"
        )
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
