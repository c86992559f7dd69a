"""A year of orders made by SQL: the read models of orders that the engine took through their whole life are copied,
table by table, under other ids and on other days.

Invariant: the tables agree with each other as those that were folded do, which `check` asks of them: orders are in
every table that has orders, sums are the sums of their rows. Only the orders of the first copy have events; so `verify`
would rightly say that no history explains the others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg
from psycopg.rows import scalar_row
from psycopg.sql import SQL, Composed, Identifier, Literal
from rich.console import Console
from sqlalchemy import Column, Date, DateTime, Table

from oms_es.app import PROJECTIONS, engine_on
from oms_es.demo.figures import EPOCH
from oms_es.demo.run import chaos_of, made_up, run

SEED = 1
SAMPLE = 1_000
"""Orders that are sent; of some the channel sends the same again."""
YEAR_DAYS = 364
"""Whole weeks, so that a copy keeps its days of the week more or less."""
SKU_GROUPS_MAX = 20
"""How many times the products of the first copy there are at most."""
CLOCK_SPEED = 2_000.0
"""How many seconds pass for the engine in one of ours: an order is delivered some hours after it was placed."""
KEPT = frozenset(
    {
        *("locations", "sourcing_rules", "carrier_rates", "delivery_options", "gateway_routes", "return_policies"),
        *("connections", "subscriptions", "sellers", "reconciled_accounts", "accounts"),
        "location_load",
    }
)
"""Tables of the shop itself, and of its last day, which do not grow with its orders."""
SUMMED: Mapping[str, Sequence[str]] = {"daily_sales": ("day", "channel", "currency")}
"""Tables whose rows add up orders of a day, with what they are added up by."""
STOCK: Mapping[str, Sequence[str]] = {
    "stock_levels": ("next_inbound_at", "inbounds", "channels", "reserved_by_channel", "channel_atp"),
    "stock_places": ("bin", "lot", "condition", "lot_expires_at"),
}
"""Tables whose rows add up the movements of a SKU, with the columns that are no sums."""
IDENTITIES = frozenset(
    {
        *("order_id", "shipment_id", "payment_id", "refund_id", "rma_id", "deadline_id", "exception_id", "note_id"),
        *("feedback_id", "subject", "stream", "last_order_id", "external_id", "reference", "tracking_number"),
        *("customer_id", "email", "email_key", "milestone_id", "request_id", "serial", "name", "account", "report_id"),
        *("invoice_id", "entry_id", "sha256"),
    }
)
"""Columns by which a row, or what it is about, is known: another in every copy."""
OWNERS = ("order_id", "last_order_id", "shipment_id", "payment_id")
"""Columns that begin with the id of an order, best first."""
ORDER_ID_LENGTH = 36


class Year(NamedTuple):
    """`copies` of what was taken through the engine, spread over a year."""

    copies: int

    @property
    def groups(self) -> int:
        return min(self.copies, SKU_GROUPS_MAX)


def grown(url: str, orders: int) -> None:
    """Fill an empty database with a year of at least so many orders, and check it."""
    first_copy(url)
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("maintenance_work_mem = '512MB'", "synchronous_commit = off", "work_mem = '64MB'"):
            connection.execute(f"SET {setting}".encode())
        year = Year(math.ceil(orders / counted(connection)))
        for projection in PROJECTIONS:
            if projection.name not in KEPT:
                _multiply(connection, projection.table, year)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
        check(connection)


def counted(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM order_status").fetchone()
    assert row
    return int(row[0])


def first_copy(url: str) -> None:
    """Take the orders of the demo through the engine, some of which are cancelled, returned, refunded, or wait."""
    began, since = time.monotonic(), EPOCH + timedelta(days=7)

    def clock() -> datetime:
        return since + timedelta(seconds=(time.monotonic() - began) * CLOCK_SPEED)

    with engine_on(url, chaos=chaos_of(SEED), clock=clock) as engine:
        run(engine, made_up(SAMPLE, SEED), Console(quiet=True))


def _multiply(connection: psycopg.Connection, table: Table, year: Year) -> None:
    if not connection.execute(SQL("SELECT 1 FROM {} LIMIT 1").format(Identifier(table.name))).fetchone():
        return
    how: Callable[[Table, Year], Composed] = _copied
    if table.name in SUMMED or table.name in STOCK:
        how = _summed if table.name in SUMMED else _stocked
        connection.execute(SQL("CREATE TEMPORARY TABLE originals AS TABLE {}").format(Identifier(table.name)))
        connection.execute(SQL("TRUNCATE {}").format(Identifier(table.name)))
    connection.execute(SQL("ALTER TABLE {} SET UNLOGGED").format(Identifier(table.name)))
    with _without_indexes(connection, table.name):
        connection.execute(how(table, year))
    connection.execute("DROP TABLE IF EXISTS originals")


@contextmanager
def _without_indexes(connection: psycopg.Connection, table: str) -> Iterator[None]:
    """Drop the indexes of a table within the context, and make them again after it, which is many times as fast."""
    curs = connection.cursor(row_factory=scalar_row)
    keys = (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'"
    )
    ((key, definition),) = connection.execute(keys.encode(), [table]).fetchall()
    others = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = %s AND indexname <> %s"
    made_again = curs.execute(others.encode(), [table, key]).fetchall()
    names = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename = %s AND indexname <> %s"
    for name in curs.execute(names.encode(), [table, key]).fetchall():
        connection.execute(SQL("DROP INDEX {}").format(Identifier(name)))
    altered = SQL("ALTER TABLE {} ").format(Identifier(table))
    connection.execute(altered + SQL("DROP CONSTRAINT {}").format(Identifier(key)))
    yield
    connection.execute(altered + SQL("ADD CONSTRAINT {} ").format(Identifier(key)) + SQL(definition))
    for one in made_again:
        connection.execute(one.encode())


def _copied(table: Table, year: Year) -> Composed:
    """Return the statement that adds every row once for each further copy."""
    names = SQL(", ").join(Identifier(column.name) for column in table.columns)
    values = SQL(", ").join(_value(table, column) for column in table.columns)
    return SQL(
        "INSERT INTO {table} ({names}) SELECT {values} FROM generate_series(1, {last}) AS c(k),"
        " LATERAL (SELECT {shift} AS days, {group} AS g) AS d, {table} AS t,"
        " LATERAL (SELECT {owner} AS old) AS o, LATERAL (SELECT md5(o.old || k)::uuid::text AS new) AS n"
    ).format(
        table=Identifier(table.name),
        names=names,
        values=values,
        last=Literal(year.copies - 1),
        shift=_shift(year),
        group=_group(year),
        owner=_owner(table),
    )


def _shift(year: Year) -> Composed:
    return SQL("(k * {} / {})").format(Literal(YEAR_DAYS), Literal(year.copies))


def _group(year: Year) -> Composed:
    return SQL("k % {}").format(Literal(year.groups))


def _owner(table: Table) -> Composed:
    """Return the expression for the id of the order that a row belongs to, or for the empty text."""
    owner = next((name for name in OWNERS if name in table.columns), None)
    return (
        SQL("left({}, {})").format(Identifier("t", owner), Literal(ORDER_ID_LENGTH)) if owner else Composed([SQL("''")])
    )


def _value(table: Table, column: Column[object]) -> Composed:
    """Return what a copy has in a column."""
    own = Identifier("t", column.name)
    if column.name in ("event_id", "caused_by"):
        return SQL("md5({}::text || k)::uuid").format(own)
    if column.name == "movement":
        return SQL("regexp_replace({}, '[0-9]+$', (t.position - k::bigint * {})::text)").format(own, Literal(POSITIONS))
    if column.name in ("position", "number"):
        return SQL("{} - k::bigint * {}").format(own, Literal(POSITIONS))
    if column.name == "sku":
        return SQL("CASE WHEN g = 0 OR {0} = '' THEN {0} ELSE {0} || '-' || g END").format(own)
    if column.name in ("items", "missing", "cartons"):
        renamed = r"""regexp_replace({0}::text, '"sku": "([^"]+)"', '"sku": "\1-' || g || '"', 'g')::jsonb"""
        return SQL("CASE WHEN g = 0 THEN {0} ELSE " + renamed + " END").format(own)
    if column.name == "references":
        each = SQL("(SELECT jsonb_agg({}) FROM jsonb_array_elements_text({}) AS r(value))")
        return SQL("coalesce({}, '[]')").format(each.format(_another(Identifier("r", "value")), own))
    if isinstance(column.type, DateTime):
        return SQL("{} - make_interval(days => days)").format(own)
    if column.name == "day":
        return SQL("({}::date - days)::{}").format(own, SQL("date" if isinstance(column.type, Date) else "text"))
    if column.name in IDENTITIES and not (table.name == "order_recipients" and column.name == "name"):
        return _another(own)
    return Composed([own])


def _another(own: Identifier) -> Composed:
    """Return what a text is in a copy that is, or begins with, the id of the row's order, or anything else."""
    return SQL(
        "CASE WHEN {0} = '' THEN '' WHEN old <> '' AND strpos({0}, old) > 0 THEN replace({0}, old, new)"
        " ELSE {0} || '~' || k END"
    ).format(own)


POSITIONS = 100_000_000
"""By how much positions of one copy differ from those of the next: more than a first copy has events. Copies are
earlier than the first, and therefore have lower positions, below zero."""


def _summed(table: Table, year: Year) -> Composed:
    by = SUMMED[table.name]
    day = table.columns["day"]
    moved = SQL("(t.day::date - {})::{}").format(_shift(year), SQL("date" if isinstance(day.type, Date) else "text"))
    names = SQL(", ").join(Identifier(column.name) for column in table.columns)
    values = SQL(", ").join(
        moved
        if column.name == "day"
        else Identifier("t", column.name)
        if column.name in by
        else SQL("sum({})").format(Identifier("t", column.name))
        for column in table.columns
    )
    places = SQL(", ").join(Literal(place) for place, column in enumerate(table.columns, 1) if column.name in by)
    return SQL("INSERT INTO {} ({}) SELECT {} FROM generate_series(0, {}) AS c(k), originals AS t GROUP BY {}").format(
        Identifier(table.name), names, values, Literal(year.copies - 1), places
    )


def _stocked(table: Table, year: Year) -> Composed:
    others = STOCK[table.name]
    names = SQL(", ").join(Identifier(column.name) for column in table.columns)
    values = SQL(", ").join(
        _value(table, column)
        if column.name == "sku"
        else Identifier("t", column.name)
        if column.name in (*others, "location")
        else SQL("{} * times").format(Identifier("t", column.name))
        for column in table.columns
    )
    return SQL(
        "INSERT INTO {} ({}) SELECT {} FROM (SELECT {} AS g, count(*) AS times FROM generate_series(0, {}) AS c(k)"
        " GROUP BY 1) AS groups, originals AS t"
    ).format(Identifier(table.name), names, values, _group(year), Literal(year.copies - 1))


AGREE: Mapping[str, str] = {
    "every order has its milestones": (
        "SELECT count(*) FROM order_status s FULL JOIN order_milestones m USING (order_id)"
        " WHERE s.order_id IS NULL OR m.order_id IS NULL"
    ),
    "days add up their orders": (
        "SELECT count(*) FROM (SELECT day, channel, currency, orders, gross_minor, cancelled_minor FROM daily_sales) d"
        " FULL JOIN (SELECT (placed_at AT TIME ZONE 'UTC')::date AS day, channel, currency,"
        " count(*) FILTER (WHERE merged_at IS NULL) AS orders, sum(gross_minor) AS gross_minor,"
        " sum(cancelled_minor) AS cancelled_minor FROM order_milestones GROUP BY 1, 2, 3) m"
        " USING (day, channel, currency, orders, gross_minor, cancelled_minor)"
        " WHERE d.orders IS NULL OR m.orders IS NULL"
    ),
    "stock is what its movements add up to": (
        "SELECT count(*) FROM (SELECT sku, location, sum(quantity) AS units FROM stock_movements GROUP BY 1, 2) m"
        " FULL JOIN stock_levels l USING (sku, location) WHERE m.units IS DISTINCT FROM l.on_hand"
        " AND NOT (m.units IS NULL AND l.on_hand = 0)"
    ),
    "places hold what is on hand": (
        "SELECT count(*) FROM (SELECT sku, location, sum(quantity) AS units FROM stock_places"
        " GROUP BY 1, 2) p JOIN stock_levels l USING (sku, location)"
        " WHERE p.units <> l.on_hand"
    ),
    "lines belong to orders": (
        "SELECT count(*) FROM order_lines l LEFT JOIN order_status s USING (order_id) WHERE s.order_id IS NULL"
    ),
    "parcels' lines belong to parcels": (
        "SELECT count(*) FROM parcel_lines l LEFT JOIN shipments s USING (shipment_id, order_id)"
        " WHERE s.shipment_id IS NULL"
    ),
    "parcels, payments and refunds belong to orders": (
        "SELECT count(*) FROM (SELECT order_id FROM shipments UNION ALL SELECT order_id FROM payments UNION ALL"
        " SELECT order_id FROM refunds UNION ALL SELECT order_id FROM returns) x"
        " LEFT JOIN order_status s USING (order_id) WHERE s.order_id IS NULL"
    ),
    "customers have as many orders as name them": (
        "SELECT count(*) FROM customers c JOIN (SELECT channel, customer_id, count(*) AS orders FROM order_recipients"
        " GROUP BY 1, 2) r USING (channel, customer_id) WHERE r.orders <> c.orders"
    ),
    "steps of orders' lives belong to them": (
        "SELECT count(*) FROM (SELECT DISTINCT order_id FROM order_timeline) t"
        " LEFT JOIN order_status s USING (order_id) WHERE s.order_id IS NULL"
    ),
}
"""What must be so of the tables, each with the query that counts where it is not."""


def check(connection: psycopg.Connection) -> None:
    """Raise AssertionError unless the tables agree with each other."""
    for meaning, query in AGREE.items():
        row = connection.execute(query.encode()).fetchone()
        assert row == (0,), f"{meaning}: not so in {row} places"
