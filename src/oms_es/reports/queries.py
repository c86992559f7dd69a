"""Queries of the read models: bounded reads, each one SQL statement; none writes.

They read tables only. Their results are as old as the projections' positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from oms_es.schemas.order import NOTES_MAX
from oms_es.schemas.stock import lot_over_at
from oms_es.store.dead_letters import DEAD_LETTERS, LISTED_MAX, OPEN
from oms_es.store.recorder import EVENTS, TRACKING

TIMELINE_MAX = 2_000
EXCEPTIONS_MAX = 100
PLACES_MAX = 1_000
REQUESTS_MAX = 1_000
SERIALS_MAX = 10_000
LOCATIONS_MAX = 1_000
SALES_ROWS_MAX = 10_000
NAMES_MAX = 100

Row = dict[str, Any]
Connection = psycopg.Connection[Row]


def readable(row: Mapping[str, Any]) -> Row:
    """Return the row with decimal sums as integers."""
    return {name: int(value) if isinstance(value, Decimal) else value for name, value in row.items()}


@contextmanager
def reading(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = on")
        connection.execute("SET TIME ZONE 'UTC'")
        yield connection


def phases(connection: Connection) -> dict[str, int]:
    """Return the number of orders by phase."""
    rows = connection.execute("SELECT phase, count(*) AS orders FROM order_status GROUP BY phase ORDER BY phase")
    return {row["phase"]: row["orders"] for row in rows}


MIX = {
    "presold": "OrderPresold",
    "waited for stock": "OrderBackordered",
    "payments tried again": "OrderPaymentDeferred",
    "exchanged": "OrderExchangeCredited",
    "refunded in part": "OrderRefundRequested",
    "returned": "RmaInspected",
}
"""Special kinds of orders, and the event that shows each."""


def order_mix(connection: Connection) -> dict[str, int]:
    """Return the number of orders of each special kind."""
    query = "SELECT event, count(DISTINCT order_id) AS orders FROM order_timeline WHERE event = ANY(%s) GROUP BY event"
    found = {row["event"]: row["orders"] for row in connection.execute(query, [list(MIX.values())])}
    split = connection.execute("SELECT count(*) AS orders FROM order_status WHERE shipments > 1").fetchall()
    mix = {name: found.get(event, 0) for name, event in MIX.items()}
    return {"in several parcels": split[0]["orders"], **mix}


def dead_letters_open(connection: Connection) -> int:
    """Return the number of open dead letters, up to LISTED_MAX."""
    query = f"SELECT count(*) AS open FROM (SELECT FROM {DEAD_LETTERS} WHERE {OPEN} LIMIT %s) AS dead_letters"
    count: int = connection.execute(query, [LISTED_MAX]).fetchall()[0]["open"]
    return count


def order(connection: Connection, order_id: str) -> Row | None:
    return connection.execute("SELECT * FROM order_status WHERE order_id = %s", [order_id]).fetchone()


def is_accepted(connection: Connection, order_id: str) -> bool:
    """Return whether history has the order, even if no read model has come that far."""
    query = f"SELECT FROM {EVENTS} WHERE originator_id = %s LIMIT 1"
    return connection.execute(query, [f"order-{order_id}"]).fetchone() is not None


def said_of(connection: Connection, order_id: str) -> list[str]:
    """Return the types of the events in an order's stream, oldest first, whether or not the order was placed."""
    query = f"SELECT topic FROM {EVENTS} WHERE originator_id = %s ORDER BY originator_version LIMIT %s"
    return [row["topic"] for row in connection.execute(query, [f"order-{order_id}", TIMELINE_MAX])]


def timeline(connection: Connection, order_id: str) -> list[Row]:
    query = "SELECT * FROM order_timeline WHERE order_id = %s ORDER BY position LIMIT %s"
    return connection.execute(query, [order_id, TIMELINE_MAX]).fetchall()


def notes_of(connection: Connection, order_id: str, at: int | datetime | None) -> list[Row]:
    """Return the notes about an order, or those known at a time or position, in order."""
    position, moment = (at, None) if isinstance(at, int) else (None, at)
    query = (
        "SELECT note_id, position, recorded_at, actor, note_text FROM order_notes WHERE order_id = %s "
        "AND recorded_at <= coalesce(%s::timestamptz, 'infinity') AND (%s::bigint IS NULL OR position <= %s) "
        "ORDER BY position LIMIT %s"
    )
    return connection.execute(query, [order_id, moment, position, position, NOTES_MAX]).fetchall()


def exceptions_of(connection: Connection, order_id: str) -> list[Row]:
    """Return the order's exceptions that were not resolved since they were last raised."""
    query = (
        "SELECT * FROM open_exceptions e WHERE order_id = %s AND NOT EXISTS (SELECT FROM exception_history h WHERE "
        "h.exception_id = e.exception_id AND h.what = 'resolved' AND h.raised_at >= e.last_raised_at) "
        "ORDER BY raised_at LIMIT %s"
    )
    return connection.execute(query, [order_id, EXCEPTIONS_MAX]).fetchall()


def stock_of(connection: Connection, sku: str) -> list[Row]:
    query = "SELECT * FROM stock_levels WHERE sku = %s ORDER BY location LIMIT %s"
    return connection.execute(query, [sku, LOCATIONS_MAX]).fetchall()


def places_of(connection: Connection, sku: str) -> list[Row]:
    """Return the places of a SKU's units, as far as bins and lots are distinguished; lots that expire first come
    first.
    """
    query = (
        "SELECT location, bin, lot, condition, lot_expires_at, quantity FROM stock_places WHERE sku = %s "
        'ORDER BY location, lot_expires_at NULLS LAST, bin COLLATE "C", lot COLLATE "C", condition LIMIT %s'
    )
    return connection.execute(query, [sku, PLACES_MAX]).fetchall()


def numbered_at(connection: Connection, sku: str) -> dict[str, list[str]]:
    """Return the serial numbers of a SKU by location."""
    query = 'SELECT location, serial FROM serial_numbers WHERE sku = %s ORDER BY location, serial COLLATE "C" LIMIT %s'
    found: dict[str, list[str]] = {}
    for row in connection.execute(query, [sku, SERIALS_MAX]):
        found.setdefault(row["location"], []).append(row["serial"])
    return found


def stock_page(connection: Connection, location: str | None, after: tuple[str, str] | None, limit: int) -> list[Row]:
    """Return a page of stock levels by SKU and location, after where the page before ended."""
    tests = ["location = %(location)s"] if location is not None else []
    tests += ["(sku, location) > (%(sku)s, %(at)s)"] if after else []
    where = f"WHERE {' AND '.join(tests)} " if tests else ""
    query = f"SELECT * FROM stock_levels {where}ORDER BY sku, location LIMIT %(limit)s"
    sku, at = after or ("", "")
    return connection.execute(query.encode(), {"location": location, "sku": sku, "at": at, "limit": limit}).fetchall()


def locations(connection: Connection, *, closed: bool) -> list[Row]:
    query = "SELECT * FROM locations WHERE open OR %s ORDER BY priority, location LIMIT %s"
    return connection.execute(query, [closed, LOCATIONS_MAX]).fetchall()


def is_any_location_open(connection: Connection) -> bool:
    return connection.execute("SELECT FROM locations WHERE open LIMIT 1").fetchone() is not None


def load_of(connection: Connection, location: str) -> Row | None:
    return connection.execute("SELECT day, orders FROM location_load WHERE location = %s", [location]).fetchone()


def pick_advice(connection: Connection, sku: str, location: str, now: datetime) -> list[Row]:
    """Return the sellable places of a SKU in the order of picking: lots that expire first come first, and expired
    lots are left out, even if they are not put aside yet.
    """
    query = (
        "SELECT bin, lot, lot_expires_at, quantity FROM stock_places "
        "WHERE sku = %s AND location = %s AND condition = 'sellable' "
        "AND (lot_expires_at IS NULL OR lot_expires_at >= %s) "
        'ORDER BY lot_expires_at NULLS LAST, bin COLLATE "C", lot COLLATE "C" LIMIT %s'
    )
    today = lot_over_at(now) - timedelta(days=1)
    return connection.execute(query, [sku, location, today, PLACES_MAX]).fetchall()


def running_low(connection: Connection) -> list[Row]:
    """Return the replenishments that were requested and have not come, the oldest first."""
    query = (
        "SELECT r.sku, r.location, r.request_id, r.status, r.quantity, r.requested_at, r.promised_at, "
        "l.atp, l.inbound, l.reorder_point FROM replenishments r JOIN stock_levels l USING (sku, location) "
        "WHERE r.status <> 'received' ORDER BY r.requested_at, r.sku, r.location, r.request_id LIMIT %s"
    )
    return connection.execute(query, [REQUESTS_MAX]).fetchall()


def daily_sales(connection: Connection, days: int) -> list[Row]:
    """Return the sales of the newest days on which anything was sold."""
    query = (
        "SELECT * FROM daily_sales WHERE day IN (SELECT DISTINCT day FROM daily_sales ORDER BY day DESC LIMIT %s) "
        "ORDER BY day, currency, channel LIMIT %s"
    )
    rows = connection.execute(query, [days, SALES_ROWS_MAX]).fetchall()
    return [readable(row) for row in rows]


def positions_of(connection: Connection, prefix: str) -> dict[str, int]:
    """Return the positions of all roles whose names begin with the prefix."""
    query = f"SELECT * FROM {TRACKING} WHERE starts_with(application_name, %s) ORDER BY application_name LIMIT %s"
    rows = connection.execute(query, [prefix, NAMES_MAX])
    return {row["application_name"]: row["notification_id"] for row in rows}


def eventful_order(connection: Connection) -> str | None:
    """Return a completed order with an eventful history: it waited for stock and got it, left in several parcels,
    or was paid late.
    """
    query = """
        SELECT order_id FROM order_timeline JOIN order_status USING (order_id)
        WHERE phase = 'completed' GROUP BY order_id
        ORDER BY bool_or(event = 'OrderBackordered') DESC, max(shipments) > 1 DESC,
                 bool_or(event = 'PaymentAuthorized' AND caused_by IS NULL) DESC, count(*), order_id
        LIMIT 1
    """
    row = connection.execute(query).fetchone()
    return row["order_id"] if row else None
