"""Inbound goods are shown until they have arrived, and requested ones until they are covered."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from folding import fold, recorded_at
from oms_es.projections.stock import inbounds, replenishments
from oms_es.schemas import stock as s
from stock_life import lived, stock_commands
from story import NOON, at, received

REQUESTED = s.ReplenishmentRequested(**at(quantity=8), request_id="low/1")
EXPECTED = s.StockInboundExpected(**at(quantity=8), inbound_id="po-1", promised_at=NOON, request_id="low/1")


def arrived(quantity: int, outstanding: int) -> s.StockReceived:
    return s.StockReceived(
        **at(quantity=quantity),
        receipt_id=f"+{quantity}",
        inbound_id="po-1",
        request_id="low/1",
        outstanding=outstanding,
    )


def test_an_inbound_is_outstanding_until_its_last_unit_has_come() -> None:
    key: Any = ("A", "berlin", "po-1")
    assert fold(inbounds.projection, EXPECTED)[key]["quantity"] == 8
    assert fold(inbounds.projection, EXPECTED, arrived(3, 5), received(2))[key]["quantity"] == 5
    assert fold(inbounds.projection, EXPECTED, arrived(3, 5), arrived(6, 0)) == {}
    over = s.StockInboundCancelled(**at(quantity=8), inbound_id="po-1", reason="bankrupt")
    assert fold(inbounds.projection, EXPECTED, over) == {}


def test_a_request_is_asked_then_ordered_then_received_or_asked_again() -> None:
    def row(*events: s.StockEvent) -> Any:
        return fold(replenishments.projection, REQUESTED, *events)["A", "berlin", "low/1"]

    assert (row()["status"], row()["requested_at"], row()["quantity"]) == ("requested", recorded_at(1), 8)
    assert (row(EXPECTED)["status"], row(EXPECTED)["promised_at"]) == ("ordered", NOON)
    assert row(EXPECTED, arrived(3, 5))["status"] == "ordered"
    assert row(EXPECTED, arrived(3, 5), arrived(5, 0))["status"] == "received"
    over = s.StockInboundCancelled(**at(quantity=8), inbound_id="po-1", reason="bankrupt", request_id="low/1")
    assert (row(EXPECTED, over)["status"], row(EXPECTED, over)["promised_at"]) == ("requested", None)


@given(st.lists(stock_commands(), max_size=30))
def test_p07_the_rows_are_the_inbounds_of_the_stream_without_drift(asked: list[s.StockCommand]) -> None:
    state, events = lived(asked)
    rows = fold(inbounds.projection, *events)
    assert {key[2]: (row["quantity"], row["promised_at"]) for key, row in rows.items()} == {
        inbound_id: known[:2] for inbound_id, known in state.supply.inbounds.items()
    }
