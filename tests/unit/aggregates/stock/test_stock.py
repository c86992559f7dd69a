"""The rules of stock, three tests each: it happens, nothing happens, it is refused; then its laws as properties."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from dsl import Given
from oms_es.aggregates.stock.decider import Reservation, Stock, decide, decider, dump, evolve, restore
from oms_es.kernel import Refused
from oms_es.schemas import stock as s
from stock_life import lived

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AT: Any = {"sku": "A", "location": "berlin"}
TWO_ON_HAND = s.StockReceived(**AT, receipt_id="r", quantity=2)


def reserve(n: int, key: str = "o/1", expires_at: datetime | None = None) -> s.ReserveStock:
    return s.ReserveStock(**AT, reservation_id=key, order_id="o", quantity=n, expires_at=expires_at)


def reserved(n: int, key: str = "o/1", expires_at: datetime | None = None) -> s.StockReserved:
    return s.StockReserved(**AT, reservation_id=key, order_id="o", quantity=n, expires_at=expires_at)


def test_a_claim_within_the_promise_is_reserved() -> None:
    Given(decider, TWO_ON_HAND).when(reserve(2)).then(reserved(2))


def test_a_repeated_claim_decides_nothing() -> None:
    Given(decider, TWO_ON_HAND, reserved(2)).when(reserve(2)).then()


def test_a_claim_beyond_the_promise_is_short_and_says_what_there_was() -> None:
    short = s.StockShort(**AT, reservation_id="o/1", order_id="o", quantity=3, available=2)
    Given(decider, TWO_ON_HAND).when(reserve(3)).then(short)
    Given(decider, TWO_ON_HAND, short).when(reserve(3)).then()


def test_safety_stock_is_not_promised() -> None:
    kept = s.SafetyStockSet(**AT, quantity=1)
    Given(decider, TWO_ON_HAND, kept).when(reserve(2)).then(
        s.StockShort(**AT, reservation_id="o/1", order_id="o", quantity=2, available=1)
    )
    Given(decider, TWO_ON_HAND, kept).when(s.SetSafetyStock(**AT, quantity=1)).then()


def test_a_receipt_counts_once() -> None:
    receive = s.ReceiveStock(**AT, receipt_id="r", quantity=2)
    Given(decider).when(receive).then(TWO_ON_HAND)
    Given(decider, TWO_ON_HAND).when(receive).then()


def test_a_released_reservation_can_be_promised_again() -> None:
    released = s.StockReleased(**AT, reservation_id="o/1", order_id="o", quantity=2)
    release = s.ReleaseStock(**AT, reservation_id="o/1", order_id="o")
    Given(decider, TWO_ON_HAND, reserved(2)).when(release).then(released)
    Given(decider, TWO_ON_HAND, reserved(2), released).when(release).then()
    Given(decider, TWO_ON_HAND, reserved(2), released).when(reserve(2, "p/1")).then(reserved(2, "p/1"))


def test_a_part_of_a_reservation_is_released_once_per_release() -> None:
    part = s.ReleaseStock(**AT, reservation_id="o/1", order_id="o", quantity=1, release_id="x")
    released = s.StockReleased(**AT, reservation_id="o/1", order_id="o", quantity=1, release_id="x")
    held = Given(decider, TWO_ON_HAND, reserved(2), released)
    Given(decider, TWO_ON_HAND, reserved(2)).when(part).then(released)
    held.when(part).then()
    rest = s.StockReleased(**AT, reservation_id="o/1", order_id="o", quantity=1, release_id="y")
    held.when(part.model_copy(update={"release_id": "y", "quantity": 5})).then(rest)
    Given(decider, TWO_ON_HAND).when(part).then()


TRANSFER = s.TransferReservation(
    **AT, reservation_id="o/1", order_id="o", to_reservation_id="p/1", to_order_id="p", quantity=1, remaining=1
)


def not_there(n: int, available: int = 0) -> s.StockShort:
    return s.StockShort(**AT, reservation_id="p/1", order_id="p", quantity=n, available=available)


def test_a_reservation_changes_hands_whole_or_in_part() -> None:
    transfer = TRANSFER
    transferred = s.StockReservationTransferred(
        **AT, reservation_id="o/1", order_id="o", to_reservation_id="p/1", to_order_id="p", quantity=1
    )
    Given(decider, TWO_ON_HAND, reserved(2)).when(transfer).then(transferred)
    Given(decider, TWO_ON_HAND, reserved(2), transferred).when(transfer).then()
    whole = transferred.model_copy(update={"quantity": 2})
    Given(decider, TWO_ON_HAND, reserved(2)).when(transfer.model_copy(update={"quantity": 2})).then(whole)
    after = Given(decider, TWO_ON_HAND, reserved(2), whole).state
    assert after.promised == 2
    assert dict(after.reserved.items()) == {"p/1": Reservation("p", 2, since=1)}


def test_what_is_not_held_any_more_does_not_change_hands_and_is_short_once() -> None:
    nothing = Given(decider, TWO_ON_HAND)
    nothing.when(TRANSFER).then(not_there(1))
    Given(decider, TWO_ON_HAND, not_there(1)).when(TRANSFER).then()


def test_of_a_broken_promise_no_one_gets_a_part_and_the_rest_is_still_waited_for() -> None:
    broken = s.StockReservationBroken(**AT, reservation_id="o/1", order_id="o", quantity=2, reason="counted")
    settled = s.StockBrokenPromiseSettled(**AT, reservation_id="o/1", order_id="o", quantity=1, left=1)
    history = (TWO_ON_HAND, reserved(2), broken)
    Given(decider, *history).when(TRANSFER).then(settled, not_there(1))
    after = Given(decider, *history, settled, not_there(1))
    after.when(TRANSFER).then()
    assert after.state.broken["o/1"].quantity == 1


def test_more_than_is_held_does_not_change_hands_and_what_the_giver_does_not_count_on_is_released() -> None:
    """A person released a part of an order's reservation."""
    held = Given(decider, TWO_ON_HAND, reserved(2))
    let_go = s.StockReleased(**AT, reservation_id="o/1", order_id="o", quantity=1)
    held.when(TRANSFER.model_copy(update={"quantity": 3})).then(let_go, not_there(3, available=2))
    rest = TRANSFER.model_copy(update={"quantity": 3, "remaining": 2})
    held.when(rest).then(not_there(3, available=2))
    held.when(rest.model_copy(update={"remaining": None})).then(not_there(3, available=2))


def test_a_return_is_put_back_once() -> None:
    restock = s.RestockReturn(**AT, return_id="rma/1", quantity=1)
    returned = s.StockReturned(**AT, return_id="rma/1", quantity=1)
    Given(decider).when(restock).then(returned)
    Given(decider, returned).when(restock).then()
    Given(decider, returned).when(reserve(1)).then(reserved(1))


def test_a_reservation_expires_at_its_time_and_not_before() -> None:
    held = Given(decider, TWO_ON_HAND, reserved(2, expires_at=NOON))
    expire = s.ExpireReservation(**AT, reservation_id="o/1", order_id="o", now=NOON)
    held.when(expire).then(s.StockReservationExpired(**AT, reservation_id="o/1", order_id="o", quantity=2))
    held.when(expire.model_copy(update={"now": NOON - timedelta(seconds=1)})).then()


def test_shipping_takes_the_units_off_the_shelf_once() -> None:
    ship = s.ShipStock(**AT, reservation_id="o/1", order_id="o", shipment_id="x")
    shipped = s.StockShipped(**AT, reservation_id="o/1", order_id="o", shipment_id="x", quantity=2)
    Given(decider, TWO_ON_HAND, reserved(2)).when(ship).then(shipped)
    Given(decider, TWO_ON_HAND, reserved(2), shipped).when(ship).then()
    Given(decider, TWO_ON_HAND).when(ship).then_refused("not_reserved")


quantities = st.integers(1, 9)
keys = st.sampled_from([f"o{i}/1" for i in range(5)])
moments = st.sampled_from([NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=2)])
commands = st.one_of(
    st.builds(
        s.ReceiveStock,
        **{k: st.just(v) for k, v in AT.items()},
        receipt_id=st.sampled_from("rstu"),
        quantity=quantities,
    ),
    st.builds(s.SetSafetyStock, **{k: st.just(v) for k, v in AT.items()}, quantity=st.integers(0, 3)),
    st.builds(reserve, quantities, keys, moments),
    st.builds(lambda key: s.ReleaseStock(**AT, reservation_id=key, order_id="o"), keys),
    st.builds(lambda key, now: s.ExpireReservation(**AT, reservation_id=key, order_id="o", now=now), keys, moments),
)


@given(st.lists(commands, max_size=30))
def test_promises_never_exceed_what_is_on_hand_and_every_command_is_idempotent(history: list[s.StockCommand]) -> None:
    stock = Stock()
    for command in history:
        with suppress(Refused):
            stock = reduce(evolve, tuple(decide(stock, command)), stock)
            assert list(decide(stock, command)) == []
        assert stock.promised <= stock.on_hand
        assert stock.promised == sum(held.quantity for held in stock.reserved.values())


@given(st.lists(commands, max_size=30))
def test_a_snapshot_restores_the_state_whole(history: list[s.StockCommand]) -> None:
    stock, _ = lived(history)
    assert restore(json.loads(to_json(dump(stock)))) == stock
    assert all(isinstance(held, Reservation) for held in stock.reserved.values())
