"""Payments, parcels and returns are listed by what a person may search for, and a page reads only what it shows."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from desk_story import OPEN, STOCK, lived, order, rows_read, shown
from oms_es.app import migrate
from oms_es.exit_codes import Code
from oms_es.reports import lists
from oms_es.reports.order_list import Cursor
from oms_es.schemas import order as o
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.returns.rma import ReturnLine

MANY = 20_000
LISTED = {"payment": "payments", "shipment": "shipments", "return": "returns"}


def returned(number: int) -> RequestReturn:
    lines = (ReturnLine(line_id="1", quantity=1, reason="damaged"),)
    order_id = o.order_id_of("web", f"W-{number}")
    return RequestReturn(order_id=order_id, rma_id=f"r{number}", lines=lines, now=order(number).placed_at)


@pytest.fixture
def three(database_url: str, oms: Any) -> Any:
    lived(database_url, OPEN, STOCK, *(order(n) for n in range(3)), *(returned(n) for n in range(3)))
    return oms


def names(reported: Any, what: str) -> list[str]:
    return [row["external_id"] for row in reported[LISTED[what]]]


@pytest.mark.parametrize("what", LISTED)
def test_pages_follow_each_other_without_gap_or_repeat_and_the_newest_come_first(three: Any, what: str) -> None:
    first = shown(three, what, "list", "--limit", "2")
    rest = shown(three, what, "list", "--limit", "2", "--after", first["after"])
    assert (names(first, what) + names(rest, what), rest["after"]) == (["W-2", "W-1", "W-0"], None)
    _, text, err = three(what, "list", "--limit", "2")
    assert "web/W-2" in text
    assert f"--after {first['after']}" in err


@pytest.mark.parametrize("what", LISTED)
def test_those_of_an_order_in_a_state_or_since_a_moment_are_listed(three: Any, what: str) -> None:
    assert names(shown(three, what, "list", "--order", "web/W-1"), what) == ["W-1"]
    assert names(shown(three, what, "list", "--since", "2100-01-01"), what) == []
    assert len(names(shown(three, what, "list", "--until", "2100-01-01"), what)) == 3
    state = "--state" if what == "payment" else "--status"
    whole = shown(three, what, "list")[LISTED[what]]
    for now in {row[state[2:]] for row in whole}:
        same = [row["external_id"] for row in whole if row[state[2:]] == now]
        assert names(shown(three, what, "list", state, now), what) == same
    code, out, err = three(what, "list", state, "nowhere")
    assert (code, out, "there is no" in err) == (Code.USAGE, "", True)
    code, _, err = three(what, "list", "--after", "somewhere")
    assert (code, "no cursor" in err) == (Code.USAGE, True)


@pytest.mark.parametrize("what", LISTED)
def test_an_empty_list_says_so_and_is_no_mistake(oms: Any, what: str) -> None:
    code, out, err = oms(what, "list")
    assert (code, out, "there are no such" in err) == (Code.OK, "", True)


@pytest.mark.parametrize("state", [None, "lost"])
def test_a_page_reads_an_index_in_its_order_whatever_there_is(database_url: str, state: str | None) -> None:
    migrate(database_url)
    fill = (
        "INSERT INTO payments (payment_id, order_id, method, gateway, state, currency, requested_minor, "
        "authorized_minor, released_minor, captured_minor, refunded_minor, disputed_minor, lost_minor, reference, "
        "reason, action, action_content, requested_at, changed_at) "
        "SELECT 'p' || n, 'o' || n, 'card', '', CASE n WHEN 7 THEN 'lost' ELSE 'captured' END, 'EUR', "
        f"1, 1, 0, 1, 0, 0, 0, '', '', '', '', now() - n * interval '1 s', now() FROM generate_series(1, {MANY}) AS n"
    )
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        connection.execute(fill.encode())
        connection.execute("ANALYZE payments")
        asked = lists.Asked(state=state)
        first = lists.page(connection, lists.PAYMENTS, asked, 50)
        assert len(first.rows) == (1 if state else 50)
        for going_on in (asked, asked._replace(after=Cursor(first.rows[-1]["requested_at"], "p"))):
            query, values = lists.statement(lists.PAYMENTS, going_on, 51)
            (row,) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}".encode(), values).fetchall()
            read = sum(rows_read(row["QUERY PLAN"][0]["Plan"]))
            assert read <= 51 * 3, f"{read} rows are read for a page of 50"
