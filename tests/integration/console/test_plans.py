"""Every list page, however many orders there are, reads what it shows: by an index, without counting, as PostgreSQL
itself says of each statement that the page asked.

In one process, so that every statement can be explained: the pages, the handlers of the API and the database are real.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row, scalar_row
from psycopg_pool import ConnectionPool
from sqlalchemy import ARRAY, Boolean, Column, DateTime, Integer, Numeric
from sqlalchemy.dialects.postgresql import JSONB

from conftest import fresh_database
from oms_es.app import PROJECTIONS, Runtime, migrate
from oms_es.console import PATH, Console
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.http.app import Application, all_routes
from oms_es.http.services import Services

ORDERS = 20_000
READ_MAX = 2_000
"""Rows that one step of a plan may read: a page of each phase, and one more of each. A scan of the table reads ten
times as many."""
FILLED = {
    "order_status": {"phase": "completed", "channel": "web"},
    "order_numbers": {},
    "order_recipients": {"country": "DE", "channel": "web"},
    "order_skus": {},
    "payments": {},
    "shipments": {"status": "booked", "location": "berlin"},
    "returns": {"status": "review", "channel": "web"},
    "tracking_numbers": {},
    "open_exceptions": {"kind": "backordered"},
    "reconciliation_breaks": {"account": "bank", "status": "open", "kind": "missing_here", "day": "2026-01-05"},
}
"""And the columns in which all rows are alike, so that no filter by them leaves few."""
ROWS = {"open_exceptions": 1_000}
"""Of those that are no more however many orders there are: the inbox counts them, of so many at most."""
VARIED = {"sku": "'sku-' || n % 100", "external_id": "'W-' || n", "lines": "'[]'::jsonb", "movements": "'[]'::jsonb"}
PAGES = (
    "orders",
    "orders?phase=completed",
    "orders?channel=web",
    "orders?sku=sku-7",
    "orders?country=DE",
    "orders?since=2026-01-01&until=2026-12-31",
    "orders?customer=web~none",
    "search?q=W-17",
    "shipping",
    "shipping?status=booked",
    "shipping?status=booked&location=berlin",
    "returns",
    "returns?status=review",
    "inbox",
    "stock",
    "finance/bank?kind=missing_here",
)
OF_ALL = {"finance/bank?kind=missing_here": "its report counts the account's breaks by kind and age: one aggregate"}
"""Pages that count on purpose, and so are only asked for."""
COUNTS = "WITH oldest AS MATERIALIZED"
"""How the statement begins that counts open exceptions by kind: of at most COUNTED_MAX, it may read those from the
beginning."""


def value_of(column: Column[Any], alike: dict[str, str]) -> str:
    """Return an SQL expression for a value of row number `n`."""
    if column.name in alike:
        return f"'{alike[column.name]}'"
    if column.name in VARIED and not isinstance(column.type, Integer | Numeric):
        return VARIED[column.name]
    if isinstance(column.type, ARRAY):
        return "'{}'"
    if isinstance(column.type, JSONB):
        return "'{}'::jsonb"
    if isinstance(column.type, Boolean):
        return "false"
    if isinstance(column.type, DateTime):
        return "timestamptz '2026-01-01' + n * interval '1 minute'"
    return "n" if isinstance(column.type, Integer | Numeric) else "'x' || lpad(n::text, 9, '0')"


@pytest.fixture(scope="module")
def filled(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    """Make a database with so many rows that were never folded: only the cost of reading them matters here."""
    tables = {projection.name: projection.table for projection in PROJECTIONS}
    with fresh_database(embedded_server) as url:
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            for name, alike in FILLED.items():
                columns = list(tables[name].columns)
                values = ", ".join(value_of(column, alike) for column in columns)
                names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
                filling = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM generate_series(1, {}) AS n").format(
                    sql.Identifier(name), names, sql.SQL(values), sql.Literal(ROWS.get(name, ORDERS))
                )
                connection.execute(filling)
                connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(name)))
            statement = (
                "INSERT INTO statements SELECT 'bank', 'one', 'csv', '', 'EUR', '2026-01-01', '2026-01-31', 0, 0, 0, "
                "0, '', now(), 'test', '{}'"
            )
            connection.execute(statement)
        yield url


class Explaining(psycopg.Connection[dict[str, Any]]):
    """A connection that asks for the plan of every query, with what it really read, before it runs it."""

    plans: list[tuple[str, Any]] = []

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        said = query.as_string(self) if isinstance(query, sql.Composable) else query
        text = said.decode() if isinstance(said, bytes) else said
        if text.lstrip().upper().startswith(("SELECT", "WITH")):
            with self.cursor(row_factory=scalar_row) as curs:
                (plan,) = curs.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}".encode(), params).fetchall()
            self.plans.append((text, plan[0]["Plan"]))
        return super().execute(query, params, **options)


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from steps(part)


def read_by(step: dict[str, Any]) -> int:
    """Return the rows that a step of the plan read, those included that it then filtered out."""
    removed = sum(value for name, value in step.items() if name.startswith("Rows Removed by"))
    return int((step["Actual Rows"] + removed) * step["Actual Loops"])


def test_a_list_page_reads_what_it_shows_by_an_index_and_counts_nothing(
    filled: str,
) -> None:
    found = asyncio.run(asked(filled))
    assert found.keys() == set(PAGES)
    for page, plans in found.items():
        assert plans, page
        if page in OF_ALL:
            continue
        for query, plan in plans:
            of_all = ("Seq Scan", "open_exceptions", ROWS["open_exceptions"])
            counted = [of_all] if query.lstrip().startswith(COUNTS) else []
            assert [one for one in too_much(plan) if one not in counted] == [], (page, query)


def test_what_reads_a_table_or_counts_it_is_found(filled: str) -> None:
    Explaining.plans.clear()
    with Explaining.connect(filled, row_factory=dict_row) as connection:
        connection.execute("SELECT count(*) FROM order_status WHERE phase = 'completed'")
        connection.execute("SELECT * FROM order_status WHERE reason = %s LIMIT 5", ["none"])
        connection.execute("SELECT * FROM order_status WHERE order_id = %s", ["none"])
    count, scan, look = (plan for _, plan in Explaining.plans)
    assert too_much(count)
    assert too_much(scan)
    assert not too_much(look)


def too_much(plan: dict[str, Any]) -> list[tuple[str, str | None, int]]:
    """Return the steps that read more than a page needs, or a large table from its beginning."""
    found = [(step["Node Type"], step.get("Relation Name"), read_by(step)) for step in steps(plan)]
    return [one for one in found if one[2] > READ_MAX or (one[0] == "Seq Scan" and one[1] in FILLED)]


async def asked(url: str) -> dict[str, list[tuple[str, Any]]]:
    """Return, by page, the statements that it ran, each with its plan."""
    found = {}
    with Runtime(url, simulated=False, answers_soon=True) as runtime:
        services = Services(runtime, 1_000)
        services._readers.close()
        services._readers = ConnectionPool(
            url, connection_class=Explaining, kwargs={"row_factory": dict_row, "autocommit": True}, open=True
        )
        application = Application(services, all_routes(), {PATH: Console(services)})
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for page in PAGES:
                Explaining.plans.clear()
                answer = await client.get(f"/console/{page}", follow_redirects=False)
                assert answer.status_code in (200, 303), (page, answer.text)
                found[page] = list(Explaining.plans)
        services.close()
    return found
