"""Export of everything that is stored about a person, for that person: readable by programs, in the clear.

It only reads. Data is found by the person's orders, accounts and customer ids. Dead letters are found as when they are
forgotten: those that only resemble the person are named and not given out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from oms_es.app.privacy import elsewhere, rows
from oms_es.app.privacy.rows import Customer
from oms_es.app.registry import PROJECTIONS
from oms_es.reports.queries import readable
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store.dead_letters import DEAD_LETTERS
from oms_es.store.encoding.codec import Codec
from oms_es.store.http.subscriptions import DELIVERIES
from oms_es.store.http.tables import ACCESS_LOG
from oms_es.store.privacy.subjects import ACCOUNT, NAMED_BY_STREAM, STATEMENT, stream_of
from oms_es.store.recorder import EVENTS, event_row

FORMAT = "oms-es personal data 1"
HISTORY = f"""
SELECT * FROM {EVENTS} WHERE originator_id = %(own)s
UNION ALL
SELECT e.* FROM order_timeline AS t
JOIN {EVENTS} AS e ON e.originator_id = t.stream AND e.originator_version = t.version
WHERE t.order_id = %(order)s AND t.stream <> %(own)s
ORDER BY notification_id
"""
DELIVERED = f"SELECT subscription, position, body, delivered_at FROM {DELIVERIES} WHERE order_id = ANY(%s)"
LOOKED_AT = f"SELECT at, actor, resource, subject, request_id FROM {ACCESS_LOG} WHERE subject = ANY(%s) ORDER BY entry"
LETTERS = f"SELECT id, source, buried_at, reason, detail, payload FROM {DEAD_LETTERS} WHERE id = ANY(%s) ORDER BY id"
OF_CUSTOMERS = tuple(
    one for one in PROJECTIONS if {"channel", "customer_id"} <= {column.name for column in one.table.columns}
)

Connection = psycopg.Connection[dict[str, Any]]


def exported(connection: Connection, subjects: Sequence[str], now: datetime) -> dict[str, Any]:
    """Return the export, from one snapshot of the database."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        accounts = [one.removeprefix(ACCOUNT) for one in subjects if one.startswith(ACCOUNT)]
        statements = [one for one in subjects if one.startswith(STATEMENT)]
        orders = [one for one in subjects if not one.startswith(NAMED_BY_STREAM)]
        touched = rows.touched_by(connection, subjects)
        customers = rows.customers_in(touched)
        said = elsewhere.said_in(rows.events_of(connection, subjects, rows.PERSONAL_EVENTS))
        names = [*orders, *elsewhere.named(touched)]
        found = elsewhere.dead_letters_of(connection, said)
        return {
            "format": FORMAT,
            "exported_at": now,
            "customers": [{"channel": channel, "customer_id": one} for channel, one in sorted(customers)],
            "orders": [{"order_id": one, "events": list(_events(connection, one))} for one in orders],
            "accounts": [
                {"account_id": one, "events": list(_events(connection, f"{ACCOUNT}{one}"))} for one in accounts
            ],
            "statements": [
                {"statement": one.removeprefix(STATEMENT), "events": list(_events(connection, one))}
                for one in statements
            ],
            "read_models": dict(_rows(connection, orders, accounts, customers)),
            "webhooks": connection.execute(DELIVERED, [list(orders)]).fetchall(),
            "access_log": connection.execute(LOOKED_AT, [names]).fetchall(),
            "dead_letters": [_as_text(row) for row in connection.execute(LETTERS, [found.theirs])],
            "dead_letters_like_theirs": found.like_theirs,
        }


def _events(connection: Connection, subject: str) -> Iterator[dict[str, Any]]:
    """Yield the events of the order's or account's own stream, and those of other streams that an order's timeline
    lists."""
    codec = Codec(VOCABULARY).over(connection)
    with connection.cursor(name="history") as curs:
        curs.itersize = rows.READ_MAX
        for row in curs.execute(HISTORY, {"own": stream_of(subject), "order": subject}):
            recorded = codec.decode(event_row(row), row["notification_id"])
            yield {
                "position": recorded.position,
                "stream": recorded.stream,
                "recorded_at": recorded.recorded_at,
                "actor": recorded.actor,
                "type": type(recorded.event).__name__,
                "event": recorded.event,
            }


def _rows(
    connection: Connection, orders: Sequence[str], accounts: Sequence[str], customers: Collection[Customer]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for projection in PROJECTIONS:
        found: list[dict[str, Any]] = []
        named = {"order_id": orders, "account_id": accounts}
        if by := [name for name in named if name in projection.table.columns]:
            whose = SQL(" OR ").join(SQL("{} = ANY(%s)").format(Identifier(name)) for name in by)
            query = SQL("SELECT * FROM {} WHERE {}").format(Identifier(projection.name), whose)
            found = connection.execute(query, [list(named[name]) for name in by]).fetchall()
        elif projection in OF_CUSTOMERS:
            query = SQL(
                "SELECT t.* FROM {} AS t JOIN unnest(%s::text[], %s::text[]) AS whose(channel, customer_id) "
                "USING (channel, customer_id)"
            ).format(Identifier(projection.name))
            pairs = sorted(customers)
            found = connection.execute(query, [[c for c, _ in pairs], [i for _, i in pairs]]).fetchall()
        if found:
            yield projection.name, [readable(row) for row in found]


def _as_text(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "payload": bytes(row["payload"]).decode(errors="replace")}
