"""The read model of stock levels equals the state of the stock streams."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from folding import fold
from oms_es.aggregates.stock.decider import decider
from oms_es.projections.stock.stock_levels import projection
from oms_es.schemas import stock as s
from stock_life import lived, stock_commands
from story import NOON, at, held, received

BERLIN: Any = ("A", "berlin")


def test_atp_is_on_hand_less_reserved_less_safety_stock() -> None:
    row = fold(projection, received(10), s.SafetyStockSet(**at(quantity=3)), s.StockReserved(**held(quantity=4)))[
        BERLIN
    ]
    assert (row["on_hand"], row["reserved"], row["safety_stock"], row["atp"]) == (10, 4, 3, 3)


def test_what_is_released_can_be_promised_again_and_what_is_shipped_is_gone() -> None:
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


def test_what_is_put_aside_cannot_be_promised() -> None:
    aside = s.StockConditionChanged(**at(quantity=3), was="sellable", condition="damaged", change_id="c")
    row = fold(projection, received(10), aside)[BERLIN]
    assert (row["on_hand"], row["damaged"], row["atp"]) == (10, 3, 7)


def test_a_presale_counts_against_its_limit_until_it_is_covered() -> None:
    limit, sold = s.PresaleLimitSet(**at(quantity=5)), s.StockReserved(**held(quantity=2), presale=True)
    row = fold(projection, limit, sold)[BERLIN]
    assert (row["presale_limit"], row["presold"], row["presale_atp"], row["reserved"]) == (5, 2, 3, 0)
    row = fold(projection, limit, sold, received(3), s.StockPresaleCovered(**held(quantity=2)))[BERLIN]
    assert (row["presold"], row["reserved"], row["atp"], row["presale_atp"]) == (0, 2, 1, 5)


def test_the_next_inbound_is_the_first_that_is_promised() -> None:
    later, sooner = (
        s.StockInboundExpected(**at(quantity=n), inbound_id=name, promised_at=NOON + timedelta(days=n))
        for name, n in (("later", 2), ("sooner", 1))
    )
    row = fold(projection, later, sooner)[BERLIN]
    assert (row["inbound"], row["next_inbound_at"]) == (3, NOON + timedelta(days=1))
    came = s.StockReceived(**at(quantity=1), receipt_id="r", inbound_id="sooner")
    row = fold(projection, later, sooner, came)[BERLIN]
    assert (row["inbound"], row["next_inbound_at"], row["on_hand"]) == (2, NOON + timedelta(days=2), 1)
    over = s.StockInboundCancelled(**at(quantity=2), inbound_id="later", reason="bankrupt")
    row = fold(projection, later, over)[BERLIN]
    assert (row["inbound"], row["next_inbound_at"]) == (0, None)


def test_a_channel_has_its_share_and_leaves_its_buffer() -> None:
    half = s.ChannelShareSet(**at(quantity=1), channel="web", share_percent=50)
    sold = s.StockReserved(**held(quantity=2), channel="web")
    assert fold(projection, received(10), half)[BERLIN]["channel_atp"] == {"web": 5}
    row = fold(projection, received(10), half, sold)[BERLIN]
    assert (row["channel_atp"], row["atp"]) == ({"web": 3}, 8)
    lifted = s.ChannelShareSet(**at(quantity=0), channel="web", share_percent=100)
    assert fold(projection, received(10), half, lifted)[BERLIN]["channel_atp"] == {}


@given(st.lists(stock_commands(), max_size=30))
def test_p07_the_row_is_the_state_of_the_stream_without_drift(asked: list[s.StockCommand]) -> None:
    state, events = lived(asked)
    row: Any = fold(projection, received(1), *events)[BERLIN]
    sides = Counter[str]()
    for place, units in state.physical.places.items():
        sides[place.condition] += units.quantity
    assert (row["on_hand"] - 1, row["damaged"], row["quarantine"]) == (
        state.on_hand,
        sides["damaged"],
        sides["quarantine"],
    )
    assert (row["reserved"], row["presold"], row["safety_stock"], row["atp"] - 1) == (
        state.promised,
        state.presold,
        state.safety_stock,
        state.atp,
    )
    assert row["reserved_by_channel"] == dict(state.of_channels.items())
    assert row["inbound"] == state.supply.inbound
    assert row["presale_limit"] == state.policy.presale_limit
    for channel in state.policy.shares:
        with_one_more = decider.evolve(state, received(1))
        assert row["channel_atp"][channel] == with_one_more.promisable(channel)
