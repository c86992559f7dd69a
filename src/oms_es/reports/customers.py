"""Customers: a single one with the amounts spent, and lists, the latest order first.

Invariant: a page costs what it shows: each list reads one index in its order, from where the page before ended.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from oms_es.projections.order.order_recipients import email_key
from oms_es.reports.order_list import Cursor, Customer
from oms_es.reports.queries import Connection, Row, readable

PAGE_MAX = 500
CURRENCIES_MAX = 200
"""More currencies than ISO 4217 has."""


class Asked(NamedTuple):
    """The filters of a list; None means any."""

    channel: str | None = None
    email: str | None = None
    after: Cursor | None = None


class Page(NamedTuple):
    """`after` is where the next page begins; None after the last one."""

    rows: list[Row]
    after: Cursor | None


def page(connection: Connection, asked: Asked, limit: int) -> Page:
    query, values = statement(asked, limit + 1)
    rows = connection.execute(query.encode(), values).fetchall()
    last = rows[limit - 1] if len(rows) > limit else None
    after = Cursor(last["last_placed_at"], f"{last['channel']}~{last['customer_id']}") if last else None
    return Page([readable(row) for row in rows[:limit]], after)


def statement(asked: Asked, limit: int) -> tuple[str, dict[str, Any]]:
    """Return the SQL statement and its values."""
    tests = {
        "channel": "channel = %(channel)s",
        "email": "email_key = %(email)s",
        "after": "(last_placed_at, channel, customer_id) < (%(at)s, %(after_channel)s, %(after_id)s)",
    }
    wanted = " AND ".join(test for field, test in tests.items() if getattr(asked, field) is not None)
    query = (
        f"SELECT * FROM customers {f'WHERE {wanted} ' if wanted else ''}"
        "ORDER BY last_placed_at DESC, channel DESC, customer_id DESC LIMIT %(limit)s"
    )
    channel, _, customer_id = asked.after.order_id.partition("~") if asked.after else ("", "", "")
    return query, {
        "channel": asked.channel,
        "email": asked.email and email_key(asked.email),
        "at": asked.after and asked.after.at,
        "after_channel": channel,
        "after_id": customer_id,
        "limit": limit,
    }


def one(connection: Connection, customer: Customer) -> Row | None:
    query = "SELECT * FROM customers WHERE channel = %s AND customer_id = %s"
    row = connection.execute(query, customer).fetchone()
    return row and readable(row)


def spending(connection: Connection, customer: Customer) -> list[Row]:
    """Return the customer's spending by currency."""
    query = (
        "SELECT currency, orders, ordered_minor, cancelled_minor, refunded_minor, exchanged_minor, spent_minor "
        "FROM customer_spending WHERE channel = %s AND customer_id = %s ORDER BY currency LIMIT %s"
    )
    return [readable(row) for row in connection.execute(query, [*customer, CURRENCIES_MAX])]
