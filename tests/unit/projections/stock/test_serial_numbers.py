"""A serial number is where the registry says, and nowhere once its unit was shipped."""

from __future__ import annotations

from typing import Any

from folding import fold
from oms_es.projections.stock.serial_numbers import projection
from oms_es.schemas.catalog import serial as se

CLAIMED = se.SerialsClaimed(sku="A", location="berlin", serials=("1", "2"), receipt_id="r")


def where(*events: Any) -> dict[str, str]:
    return {row["serial"]: row["location"] for row in fold(projection, *events).values()}


def test_what_was_claimed_is_there_and_what_moved_elsewhere() -> None:
    moved = se.SerialsSeen(sku="A", location="paris", serials=("1",), from_location="berlin")
    assert where(CLAIMED) == {"1": "berlin", "2": "berlin"}
    assert where(CLAIMED, moved) == {"1": "paris", "2": "berlin"}


def test_what_left_is_nowhere_and_only_from_where_it_was() -> None:
    assert where(CLAIMED, se.SerialsLeft(sku="A", location="berlin", serials=("1",))) == {"2": "berlin"}
    assert where(CLAIMED, se.SerialsLeft(sku="A", location="paris", serials=("1",))) == where(CLAIMED)
