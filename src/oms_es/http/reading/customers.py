"""One customer, with what was spent and the newest orders; and all of a customer's orders, a page at a time.

Invariant: a customer belongs to one channel, and a key of some channels sees the customers of those. Each view of a
customer is recorded before it is answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from oms_es.http.access import PERSONAL
from oms_es.http.errors import NoResource
from oms_es.http.reading.dated import AT
from oms_es.http.reading.pages import ORDER_ROW, order_page
from oms_es.http.reading.tables import AFTER, LIMIT, page_schema, row_schema
from oms_es.http.requests import PAGE, Asked
from oms_es.http.routing import Route
from oms_es.projections.order import customer_spending
from oms_es.projections.order import customers as read_model
from oms_es.reports import customers, order_list
from oms_es.reports.order_list import Customer
from oms_es.reports.queries import Connection, readable

READS = ("customers", "customer_spending", "order_recipients", "order_status", "order_numbers", "order_skus")


def _named(asked: Asked) -> Customer:
    """Return the customer that the path names. Raise NoResource, also for a customer whom the caller may not see."""
    no_customer = NoResource("there is no such customer of this key's channels; name one as CHANNEL~ID")
    try:
        named = Customer.read(asked.values["customer"])
    except ValueError:
        raise no_customer from None
    if asked.caller.channels is not None and named.channel not in asked.caller.channels:
        raise no_customer
    return named


async def show_customer(asked: Asked) -> Response:
    named = _named(asked)
    await asked.note_personal("~".join(named))
    return asked.json(await asked.read(lambda connection: _whole(connection, named)))


def _whole(connection: Connection, named: Customer) -> dict[str, Any]:
    """Return the customer's row with spending and newest orders. Raise NoResource if there is no such customer."""
    row = customers.one(connection, named)
    if row is None:
        raise NoResource("there is no such customer of this key's channels; name one as CHANNEL~ID")
    newest = order_list.page(connection, order_list.Asked(customer=named), PAGE)
    return {
        **row,
        "spending": customers.spending(connection, named),
        "newest_orders": [readable(one) for one in newest.orders],
    }


async def orders_of_customer(asked: Asked) -> Response:
    named = _named(asked)
    await asked.note_personal("~".join(named))
    return await order_page(asked, order_list.Asked(customer=named))


def routes() -> Iterator[Route]:
    row, spent = row_schema(read_model.table), row_schema(customer_spending.table)
    whole = {
        **row,
        "properties": {
            **row["properties"],
            "spending": {"type": "array", "items": spent, "description": "By currency."},
            "newest_orders": {"type": "array", "items": ORDER_ROW},
        },
    }
    yield Route(
        "GET",
        "/v1/customers/{customer}",
        "get-customer",
        "A customer's orders, spending, returns and ratings. The customer is named as CHANNEL~ID.",
        PERSONAL,
        show_customer,
        (AT,),
        is_dated=True,
        reads=READS,
        answers={200: "It is this.", 404: "There is none."},
        answer=whole,
        tag="orders",
    )
    yield Route(
        "GET",
        "/v1/customers/{customer}/orders",
        "list-orders-of-customer",
        "Orders of a customer, the newest first, a page at a time.",
        PERSONAL,
        orders_of_customer,
        (LIMIT, AFTER, AT),
        is_dated=True,
        reads=READS,
        answers={200: "These."},
        answer=page_schema(ORDER_ROW),
        tag="orders",
    )
