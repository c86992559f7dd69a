"""Queries of stock: where to pick from, and which SKUs run low."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from oms_es.app import engine_on
from oms_es.reports import queries
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import serial as se

AT: Any = {"sku": "A", "location": "berlin"}
BEFORE, SPRING, AUTUMN = (datetime(year, 3, 1, tzinfo=UTC) for year in (2097, 2098, 2099))
"""Far enough away that no lot is over while the test runs."""


def test_what_expires_first_is_advised_first_and_what_is_low_is_listed_until_it_came(database_url: str) -> None:
    with engine_on(database_url) as engine:
        refused = engine.submit(
            "test",
            [
                s.ReceiveStock(**AT, receipt_id="1", quantity=3),
                s.ReceiveStock(**AT, receipt_id="2", quantity=2, bin="b", lot="late", lot_expires_at=AUTUMN),
                s.ReceiveStock(**AT, receipt_id="3", quantity=1, bin="c", lot="soon", lot_expires_at=SPRING),
                s.SetReorderPoint(**AT, quantity=6, up_to=20),
            ],
        )
        assert refused == []
        engine.settle()
        with psycopg.connect(database_url, row_factory=dict_row) as connection:
            places = queries.pick_advice(connection, "A", "berlin", BEFORE)
            on_the_day = queries.pick_advice(connection, "A", "berlin", SPRING + timedelta(hours=23))
            after = queries.pick_advice(connection, "A", "berlin", SPRING + timedelta(days=1))
            (low,) = queries.running_low(connection)
        assert [(place["lot"], place["quantity"]) for place in places] == [("soon", 1), ("late", 2), ("", 3)]
        assert on_the_day == places
        assert [place["lot"] for place in after] == ["late", ""]
        assert (low["request_id"], low["status"], low["quantity"], low["atp"]) == ("low/1", "requested", 14, 6)
        engine.submit(
            "test",
            [
                s.ExpectInbound(**AT, inbound_id="po", quantity=14, promised_at=SPRING, request_id="low/1"),
                s.ReceiveInbound(**AT, inbound_id="po", receipt_id="4"),
            ],
        )
        engine.settle()
        with psycopg.connect(database_url, row_factory=dict_row) as connection:
            assert queries.running_low(connection) == []


def test_p08_numbered_units_move_between_locations_and_are_nowhere_twice(database_url: str) -> None:
    claim = se.ReceiveSerials(**AT, receipt_id="r", serials=("1", "2"))
    move = s.MoveStock(**AT, move_id="m", quantity=1, to_location="paris", serials=("1",))
    with engine_on(database_url) as engine:
        engine.submit("test", [claim])
        engine.settle()
        engine.submit("test", [move])
        engine.settle()
        again = se.ReceiveSerials(sku="A", location="rome", receipt_id="x", serials=("1",))
        ((_, refusal),) = engine.submit("test", [again])
        assert refusal.reason == "serial_elsewhere"
        assert "is at paris" in refusal.detail
        with psycopg.connect(database_url, row_factory=dict_row) as connection:
            levels = connection.execute("SELECT location, on_hand, moved_out, moved_in FROM stock_levels ORDER BY 1")
            assert [tuple(row.values()) for row in levels] == [("berlin", 1, 1, 0), ("paris", 1, 0, 1)]
