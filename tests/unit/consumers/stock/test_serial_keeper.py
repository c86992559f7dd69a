"""A claimed serial number is registered; movements of units with a serial number are reported, and no others."""

from __future__ import annotations

from typing import Any

from oms_es.consumers.stock.serial_keeper import consumer
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import serial as se
from story import at, held, received

NUMBERS: Any = {"serials": ("1", "2")}
HERE: Any = {"sku": "A", "location": "berlin", **NUMBERS}
MOVE: Any = {**at(), "move_id": "m", **NUMBERS}


def test_what_was_claimed_is_let_in() -> None:
    claimed = se.SerialsClaimed(**HERE, receipt_id="r", lot="l")
    assert consumer.react(claimed) == (s.AdmitSerials(**HERE, receipt_id="r", lot="l"),)


def test_what_came_is_seen_and_what_went_has_left() -> None:
    came = s.StockReturned(**at(), **NUMBERS, return_id="r")
    assert consumer.react(came) == (se.RecordSerialsSeen(**HERE),)
    for gone in (
        s.StockShipped(**held(), **NUMBERS, shipment_id="x"),
        s.StockWrittenOff(**at(), **NUMBERS, write_off_id="w", reason="broken"),
        s.StockInboundCancelled(**at(), **NUMBERS, inbound_id="i", reason="lost"),
    ):
        assert consumer.react(gone) == (se.RecordSerialsLeft(**HERE),)


def test_a_move_is_reported_by_both_ends_in_the_same_words() -> None:
    seen = se.RecordSerialsSeen(sku="A", location="paris", **NUMBERS, from_location="berlin")
    assert consumer.react(s.StockMovedOut(**MOVE, to_location="paris")) == (seen,)
    assert consumer.react(s.StockMovedIn(**{**MOVE, "location": "paris"}, from_location="berlin")) == (seen,)


def test_units_without_numbers_are_nothing_to_the_registry() -> None:
    for event in (
        received(1),
        s.StockShipped(**held(), shipment_id="x"),
        s.StockMovedOut(**{**MOVE, "serials": ()}, to_location="paris"),
    ):
        assert consumer.react(event) == ()
