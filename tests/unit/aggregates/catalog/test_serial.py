"""A serial number is at one location at most; both ends report a transfer, in either order."""

from __future__ import annotations

from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.catalog.serial import decider
from oms_es.schemas.catalog import serial as se

BERLIN: Any = {"sku": "A", "location": "berlin"}
PARIS: Any = {"sku": "A", "location": "paris"}
CLAIM = se.ReceiveSerials(**BERLIN, serials=("1", "2"), receipt_id="r")
CLAIMED = se.SerialsClaimed(**BERLIN, serials=("1", "2"), receipt_id="r")
MOVE = se.RecordSerialsSeen(**PARIS, serials=("1",), from_location="berlin")
MOVED = se.SerialsSeen(**PARIS, serials=("1",), from_location="berlin")


def test_p08_a_number_that_is_at_one_location_cannot_be_received_at_another() -> None:
    Given(decider).when(CLAIM).then(CLAIMED)
    Given(decider, CLAIMED).when(CLAIM).then()
    for where, receipt in ((PARIS, "x"), (BERLIN, "y")):
        again = se.ReceiveSerials(**where, serials=("3", "2"), receipt_id=receipt)
        Given(decider, CLAIMED).when(again).then_refused("serial_elsewhere")


def test_a_receipt_names_the_numbers_that_came_with_it() -> None:
    received = Given(decider, *decider.decide(decider.initial, CLAIM))
    received.when(CLAIM).then()
    other = CLAIM.model_copy(update={"serials": ("1", "3")})
    received.when(other).then_refused("id_reused", "receipt_id r is known")


def test_a_number_that_left_may_come_back_anywhere() -> None:
    left = se.SerialsLeft(**BERLIN, serials=("1",))
    Given(decider, CLAIMED).when(se.RecordSerialsLeft(**BERLIN, serials=("1", "9"))).then(left)
    Given(decider, CLAIMED, left).when(se.RecordSerialsLeft(**BERLIN, serials=("1",))).then()
    Given(decider, CLAIMED).when(se.RecordSerialsLeft(**PARIS, serials=("1",))).then()
    back = se.RecordSerialsSeen(**PARIS, serials=("1",))
    Given(decider, CLAIMED, left).when(back).then(se.SerialsSeen(**PARIS, serials=("1",)))


def test_a_number_moves_once_whichever_end_is_heard_first() -> None:
    Given(decider, CLAIMED).when(MOVE).then(MOVED)
    Given(decider, CLAIMED, MOVED).when(MOVE).then()
    gone = se.SerialsLeft(**PARIS, serials=("1",))
    Given(decider, CLAIMED, MOVED, gone).when(MOVE).then()  # the other end, heard after the unit was sold


def test_of_several_numbers_those_that_are_there_already_do_not_hide_the_others() -> None:
    both = se.RecordSerialsSeen(**PARIS, serials=("1", "2"), from_location="berlin")
    rest = se.SerialsSeen(**PARIS, serials=("2",), from_location="berlin")
    Given(decider, CLAIMED, MOVED).when(both).then(rest)


def test_so_many_receipts_are_remembered_and_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oms_es.aggregates.catalog.serial.RECEIPTS_REMEMBERED_MAX", 2)
    second, third = (se.SerialsClaimed(**BERLIN, serials=(receipt,), receipt_id=receipt) for receipt in ("r2", "r3"))
    Given(decider, CLAIMED, second).when(CLAIM).then()
    forgotten = Given(decider, CLAIMED, second, third)
    forgotten.when(CLAIM).then_refused("serial_elsewhere")
    forgotten.when(se.ReceiveSerials(**BERLIN, serials=("r2",), receipt_id="r2")).then()


def test_a_number_that_turns_up_twice_is_a_conflict_reported_once() -> None:
    back = se.RecordSerialsSeen(**PARIS, serials=("1", "2"))
    conflict = se.SerialConflictFound(**PARIS, serials=("1", "2"), elsewhere="berlin")
    Given(decider, CLAIMED).when(back).then(conflict)
    Given(decider, CLAIMED, conflict).when(back).then()
    Given(decider, CLAIMED).when(se.RecordSerialsSeen(**BERLIN, serials=("1",))).then()
    gone = Given(decider, CLAIMED, conflict).when(se.RecordSerialsLeft(**PARIS, serials=("1",)))
    gone.then(se.SerialsLeft(**PARIS, serials=("1",)))
