"""Customers in the terminal: listed by their newest order, shown with what they spent, and found by their address."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from desk_story import OPEN, STOCK, lived, order, rows_read, shown
from oms_es.app import migrate
from oms_es.exit_codes import Code
from oms_es.reports import customers
from oms_es.reports.order_list import Cursor
from oms_es.schemas import order as o
from oms_es.schemas.returns.feedback import RecordFeedback

MANY = 20_000


def of_customer(number: int, customer_id: str, channel: str = "web") -> o.PlaceOrder:
    customer = {"customer_id": customer_id, "email": f"{customer_id}@example.com".lower()}
    return o.PlaceOrder(**{**order(number, channel=channel).model_dump(), "customer": customer})


@pytest.fixture(scope="module")
def reported() -> list[Any]:
    first = of_customer(0, "C-1")
    feedback = RecordFeedback(order_id=first.order_id, feedback_id="f", rating=4)
    more = (of_customer(1, "C-2"), of_customer(2, "C-1"), of_customer(3, "C-1", "app"), order(4))
    return [OPEN, STOCK, first, *more, feedback]


def named(rows: Any) -> list[str]:
    return [f"{row['channel']}/{row['customer_id']}" for row in rows["customers"]]


def test_customers_are_listed_shown_and_found(database_url: str, oms: Any, reported: list[Any]) -> None:
    lived(database_url, *reported)
    first = shown(oms, "customers", "list", "--limit", "2")
    rest = shown(oms, "customers", "list", "--limit", "2", "--after", first["after"])
    assert (named(first) + named(rest), rest["after"]) == (["app/C-1", "web/C-1", "web/C-2"], None)
    assert named(shown(oms, "customers", "list", "--channel", "web")) == ["web/C-1", "web/C-2"]
    assert named(shown(oms, "customers", "list", "--email", "C-2@EXAMPLE.com")) == ["web/C-2"]
    whole = shown(oms, "customers", "show", "web/C-1")
    assert (whole["customer"]["orders"], whole["customer"]["ratings"], whole["customer"]["last_rating"]) == (2, 1, 4)
    assert [(one["currency"], one["spent_minor"]) for one in whole["spending"]] == [("EUR", 2_000)]
    assert [one["external_id"] for one in whole["newest_orders"]] == ["W-2", "W-0"]
    assert [one["external_id"] for one in shown(oms, "orders", "list", "--customer", "web/C-1")["orders"]] == [
        "W-2",
        "W-0",
    ]
    assert [one["external_id"] for one in shown(oms, "orders", "list", "--email", "c-2@example.com")["orders"]] == [
        "W-1"
    ]
    assert {one["external_id"] for one in shown(oms, "orders", "find", "web/C-1")} == {"W-0", "W-2"}
    _, text, err = oms("customers", "list", "--limit", "1")
    assert ("app/C-1" in text, "--after" in err) == (True, True)
    _, text, _ = oms("customers", "show", "web/C-1")
    assert ("20.00" in text, "c-1@example.com" in text, "web/W-2" in text) == (True, True, True)


def test_what_is_no_customer_is_said(oms: Any) -> None:
    code, out, err = oms("customers", "list")
    assert (code, out, "no customer" in err) == (Code.OK, "", True)
    code, _, err = oms("customers", "show", "web/nobody")
    assert (code, "customers list" in err) == (Code.NOT_FOUND, True)
    for arguments in (
        ("customers", "show", "web"),
        ("orders", "list", "--customer", "web"),
        ("customers", "list", "--after", "x"),
    ):
        assert oms(*arguments)[0] == Code.USAGE, arguments


@pytest.mark.parametrize("asked", [{}, {"channel": "web"}, {"email": "c7@example.com"}])
def test_a_page_reads_an_index_in_its_order_whatever_there_is(database_url: str, asked: dict[str, Any]) -> None:
    migrate(database_url)
    fill = (
        "INSERT INTO customers SELECT CASE n % 2 WHEN 0 THEN 'web' ELSE 'app' END, 'C-' || n, '', 'c' || n || "
        "'@example.com', '', '', 1, 0, 1, 0, 0, 0, 0, 0, NULL, NULL, '', now(), now() - n * interval '1 s', 'o' "
        f"FROM generate_series(1, {MANY}) AS n ON CONFLICT DO NOTHING"
    )
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        connection.execute(fill.encode())
        connection.execute("ANALYZE customers")
        wanted = customers.Asked(**asked)
        first = customers.page(connection, wanted, 50)
        last = first.rows[-1]
        going_on = wanted._replace(after=Cursor(last["last_placed_at"], f"{last['channel']}~{last['customer_id']}"))
        for one in (wanted, going_on):
            query, values = customers.statement(one, 51)
            (row,) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}".encode(), values).fetchall()
            read = sum(rows_read(row["QUERY PLAN"][0]["Plan"]))
            assert read <= 51 * 3, f"{read} rows are read for a page of 50"
