"""The levels that people see are those that the stock streams decide by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from folding import fold
from oms_es.aggregates.stock import decide, decider
from oms_es.kernel import Event, Refused
from oms_es.projections.stock_levels import projection
from oms_es.schemas import stock as s
from story import at, held, received

BERLIN: Any = ("A", "berlin")


def test_atp_is_on_hand_less_reserved_less_safety_stock() -> None:
    row = fold(projection, received(10), s.SafetyStockSet(**at(quantity=3)), s.StockReserved(**held(quantity=4)))[
        BERLIN
    ]
    assert (row["on_hand"], row["reserved"], row["safety_stock"], row["atp"]) == (10, 4, 3, 3)


def test_what_is_let_go_can_be_promised_again_and_what_is_shipped_is_gone() -> None:
    start = (received(10), s.StockReserved(**held(quantity=4)))
    for event in (s.StockReleased(**held(quantity=4)), s.StockReservationExpired(**held(quantity=4))):
        row = fold(projection, *start, event)[BERLIN]
        assert (row["on_hand"], row["reserved"], row["atp"], row["shipped"]) == (10, 0, 10, 0)
    row = fold(projection, *start, s.StockShipped(**held(quantity=4), shipment_id="x"))[BERLIN]
    assert (row["on_hand"], row["reserved"], row["atp"], row["shipped"], row["received"]) == (6, 0, 6, 4, 10)


def test_a_shortage_is_counted_and_moves_nothing() -> None:
    row = fold(projection, received(1), s.StockShort(**held(quantity=4), available=1))[BERLIN]
    assert (row["on_hand"], row["reserved"], row["atp"], row["short"]) == (1, 0, 1, 4)


def test_each_location_has_its_own_row() -> None:
    rows = fold(projection, received(1), received(2, "paris"), received(3, sku="B"))
    assert {key: row["atp"] for key, row in rows.items()} == {BERLIN: 1, ("A", "paris"): 2, ("B", "berlin"): 3}


where: Any = {"sku": st.just("A"), "location": st.just("berlin")}
claims: Any = {**where, "reservation_id": st.sampled_from(["o/1", "o/2", "p/1"]), "order_id": st.just("o")}
commands = st.one_of(
    st.builds(s.ReceiveStock, **where, receipt_id=st.uuids().map(str), quantity=st.integers(1, 5)),
    st.builds(s.SetSafetyStock, **where, quantity=st.integers(0, 3)),
    st.builds(s.ReserveStock, **claims, quantity=st.integers(1, 5)),
    st.builds(s.ReleaseStock, **claims),
    st.builds(s.ShipStock, **claims, shipment_id=st.just("x")),
)


@given(st.lists(commands, max_size=20))
def test_the_row_is_the_state_of_the_stream(asked: list[s.StockCommand]) -> None:
    state, events = decider.initial, list[Event]()
    for command in asked:
        for event in _decided(state, command):
            state = decider.evolve(state, event)
            events.append(event)
    row: Any = fold(projection, received(1), *events)[BERLIN]
    assert (row["on_hand"], row["reserved"], row["safety_stock"], row["atp"]) == (
        state.on_hand + 1,
        state.promised,
        state.safety_stock,
        state.atp + 1,
    )


def _decided(state: Any, command: s.StockCommand) -> Iterator[Event]:
    try:
        yield from decide(state, command)
    except Refused:
        return
