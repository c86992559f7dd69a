"""The read model of places in a warehouse equals the state of the stock stream."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from folding import fold
from oms_es.projections.stock.stock_places import projection
from oms_es.schemas import stock as s
from stock_life import lived, stock_commands
from story import NOON, at, held

OLD = s.StockReceived(**at(quantity=3), receipt_id="r", bin="b", lot="old", lot_expires_at=NOON)
NEW = s.StockReceived(**at(quantity=2), receipt_id="t", lot="new", lot_expires_at=NOON + timedelta(days=9))


def test_each_bin_lot_and_condition_has_its_row_until_it_is_empty() -> None:
    picks = (s.Pick(bin="b", lot="old", quantity=3), s.Pick(bin="", lot="new", quantity=1))
    shipped = s.StockShipped(**held(quantity=4), shipment_id="x", picks=picks)
    assert {key[2:]: row["quantity"] for key, row in fold(projection, OLD, NEW).items()} == {
        ("b", "old", "sellable"): 3,
        ("", "new", "sellable"): 2,
    }
    assert {key[2:]: row["quantity"] for key, row in fold(projection, OLD, NEW, shipped).items()} == {
        ("", "new", "sellable"): 1
    }


def test_what_expires_goes_with_its_units() -> None:
    moved = s.StockMovedToBin(**at(quantity=1), move_id="m", bin="b", to_bin="c", lot="old", lot_expires_at=NOON)
    rows = fold(projection, OLD, moved)
    assert {key[2]: (row["quantity"], row["lot_expires_at"]) for key, row in rows.items()} == {
        "b": (2, NOON),
        "c": (1, NOON),
    }


@given(st.lists(stock_commands(), max_size=30))
def test_p07_the_rows_are_the_places_of_the_stream_without_drift(asked: list[s.StockCommand]) -> None:
    state, events = lived(asked)
    rows = fold(projection, *events)
    assert {key[2:]: (row["quantity"], row["lot_expires_at"]) for key, row in rows.items()} == {
        tuple(place): tuple(units) for place, units in state.physical.places.items()
    }
