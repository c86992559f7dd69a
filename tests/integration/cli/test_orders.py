"""Orders are listed and found by everything a person may know of them, and a page reads only what it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from desk_story import NOON, order, rows_read
from oms_es.app import Engine, migrate
from oms_es.exit_codes import Code
from oms_es.reports import order_list
from oms_es.reports.order_list import Asked, Cursor, page
from oms_es.schemas import order as o
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.catalog.numbering import AssignOrderNumber
from oms_es.schemas.stock import ReceiveStock

MANY = 20_000


@pytest.fixture
def five(database_url: str, oms: Any) -> Any:
    """Make four completed orders, and one of another channel that waits for stock."""
    with Engine(database_url) as engine:
        engine.submit("test", [OpenLocation(location="berlin", country="DE")])
        engine.submit("test", [ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=10)])
        engine.settle()
        engine.submit("test", [order(n) for n in range(4)])
        engine.submit("test", [order(4, sku="RARE", channel="shop", name="Grace  HOPPER")])
        engine.settle()
    return oms


def listed(oms: Any, *arguments: str) -> Any:
    code, out, err = oms("orders", "list", "--json", *arguments)
    assert code == Code.OK, err
    return json.loads(out)


def ids(oms: Any, *arguments: str) -> list[str]:
    return [f"{row['channel']}/{row['external_id']}" for row in listed(oms, *arguments)["orders"]]


def test_the_newest_come_first_and_pages_follow_each_other_without_gap_or_repeat(five: Any) -> None:
    seen: list[str] = []
    after: tuple[str, ...] = ()
    for _ in range(3):
        reported = listed(five, "--limit", "2", *after)
        seen += [row["external_id"] for row in reported["orders"]]
        after = ("--after", reported["after"]) if reported["after"] else ()
    assert (seen, after) == (["W-4", "W-3", "W-2", "W-1", "W-0"], ())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--phase", "backordered", "--phase", "backordered"), ["shop/W-4"]),
        (("--phase", "backordered", "--phase", "completed", "--limit", "2"), ["shop/W-4", "web/W-3"]),
        (("--channel", "web", "--limit", "1"), ["web/W-3"]),
        (("--channel", "web", "--phase", "backordered"), []),
        (("--sku", "RARE"), ["shop/W-4"]),
        (("--sku", "A", "--until", "2026-01-01T14:00Z"), ["web/W-1", "web/W-0"]),
        (("--since", "2026-01-01T15:00Z", "--channel", "web"), ["web/W-3"]),
        (("--name", "grace hopper"), ["shop/W-4"]),
        (("--postal-code", "10115", "--limit", "1"), ["shop/W-4"]),
        (("--country", "FR"), []),
        (("--country", "DE", "--sku", "A", "--limit", "1"), ["web/W-3"]),
    ],
)
def test_what_is_asked_is_what_is_listed(five: Any, arguments: tuple[str, ...], expected: list[str]) -> None:
    assert ids(five, *arguments) == expected


def test_held_orders_are_listed_by_the_hold(five: Any, database_url: str) -> None:
    assert five("order", "hold", "shop/W-4", "--kind", "fraud")[0] == Code.OK
    with Engine(database_url) as engine:
        engine.settle()
    assert ids(five, "--hold", "fraud") == ["shop/W-4"]
    assert ids(five, "--hold", "address") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--phase", "compleeted"), "did you mean completed?"),
        (("--hold", "frad"), "did you mean fraud?"),
        (("--after", "page 2"), "no cursor"),
        (("--after", "2026-01-01T12:00Z"), "no cursor"),
        (("--since", "yesterday"), "no moment"),
    ],
)
def test_what_cannot_be_asked_gets_a_sentence(oms: Any, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = oms("orders", "list", *arguments)
    assert code == Code.USAGE
    assert said in err


def test_an_order_is_found_by_whatever_names_it(five: Any, database_url: str) -> None:
    order_id = o.order_id_of("web", "W-2")
    with Engine(database_url) as engine:
        with engine.rows.one() as connection:
            booked, paid = (
                connection.execute(query, [order_id]).fetchall()[0]["name"]
                for query in (
                    "SELECT tracking_number AS name FROM tracking_numbers WHERE order_id = %s",
                    "SELECT reference AS name FROM payments WHERE order_id = %s",
                )
            )
        engine.submit("test", [AssignOrderNumber(channel="web", order_id=order_id)])
        engine.settle()
    for text, what in (
        (order_id, "order"),
        ("web/W-2", "order"),
        ("W-2", "channel's id"),
        (booked, "tracking number"),
        (paid, "payment's reference"),
        (f"{order_id}.1", "payment"),
    ):
        code, out, err = five("orders", "find", text, "--json")
        assert code == Code.OK, err
        (row,) = json.loads(out)
        assert row["order_id"] == order_id
        assert what in row["found_by"]
    assert "shipment" in json.loads(five("orders", "find", f"{order_id}.1", "--json")[1])[0]["found_by"]
    assert len(json.loads(five("orders", "find", "A", "--json")[1])) == 4
    assert len(json.loads(five("orders", "find", "ada lovelace", "--json")[1])) == 4
    code, _, err = five("orders", "find", "nothing-like-it")
    assert (code, err.count("\n")) == (Code.NOT_FOUND, 1)


def test_a_cursor_reads_as_it_was_written() -> None:
    cursor = Cursor(NOON + timedelta(microseconds=7), "an~id")
    assert Cursor.read(str(cursor)) == cursor


FILL = """
INSERT INTO order_status SELECT 'o' || n, (ARRAY['web', 'shop'])[1 + n %% 2], 'E-' || n,
  (ARRAY['completed', 'cancelled', 'held'])[1 + n %% 3], 'EUR', 1, 1, 1, 0, now() - n * interval '1 s', now(),
  0, 0, 0, 0, '', 'standard', 0, ARRAY[]::text[], NULL, 0 FROM generate_series(1, %(many)s) AS n;
"""
SKUS = "INSERT INTO order_skus SELECT 'o' || n, 'A', now() - n * interval '1 s' FROM generate_series(1, %(many)s) AS n"
TO = (
    "INSERT INTO order_recipients "
    "SELECT 'o' || n, now() - n * interval '1 s', 'Ada', 'ada', '10115', 'DE', 'web', '', '' "
    "FROM generate_series(1, %(many)s) AS n"
)


@pytest.mark.parametrize(
    "asked",
    [
        Asked(),
        Asked(channel="web"),
        Asked(phases=["held"]),
        Asked(channel="web", phases=["held"]),
        Asked(sku="A"),
        Asked(country="DE"),
        Asked(name="Ada"),
        Asked(postal_code="10 115"),
        Asked(hold="fraud", phases=["sourcing"]),
        Asked(since=NOON - timedelta(days=900), until=NOON + timedelta(days=36_500)),
    ],
    ids=str,
)
def test_a_page_reads_what_it_shows_however_many_orders_there_are(full: str, asked: Asked) -> None:
    with psycopg.connect(full, row_factory=dict_row) as connection:
        for going_on in (asked, asked._replace(after=Cursor(datetime.now(UTC) - timedelta(hours=1), "o3600"))):
            query, values = order_list.statement(going_on, 51)
            (row,) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}".encode(), values).fetchall()
            read = sum(rows_read(row["QUERY PLAN"][0]["Plan"]))
            assert read <= 51 * (len(order_list.PHASES) + 8), f"{read} rows are read for a page of 50"
        assert len(page(connection, asked, 50).orders) == (0 if asked.hold else 50)


@pytest.fixture(scope="module")
def full(embedded_server: Any) -> Iterator[str]:
    from conftest import fresh_database

    with fresh_database(embedded_server) as url:
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in (FILL, SKUS, TO):
                connection.execute(statement.encode(), {"many": MANY})
            connection.execute("ANALYZE")
        yield url
