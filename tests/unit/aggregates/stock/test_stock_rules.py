"""Edge cases of stock: serial numbers, lots, inbounds, channel shares, and how long ids are remembered."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic_core import from_json, to_json

from dsl import Given
from oms_es.aggregates.stock.decider import CHANNELS_MAX, decider, dump, restore
from oms_es.aggregates.stock.movements import INBOUNDS_MAX, PLACES_MAX
from oms_es.aggregates.stock.quantities import MOVEMENTS_REMEMBERED_MAX, SETTLED_REMEMBERED_MAX, Memory, StockPlace
from oms_es.aggregates.stock.reservations import COVERED_MAX
from oms_es.kernel import Event, Refused
from oms_es.schemas import stock as s
from stock_life import NOON

AT: Any = {"sku": "A", "location": "berlin"}
FIVE = s.StockReceived(**AT, receipt_id="r", quantity=5)
NUMBERED = s.StockReceived(**AT, receipt_id="n", quantity=3, serials=("1", "2", "3"))
LATER = NOON + timedelta(days=30)


def given(*events: Event) -> Given:
    return Given(decider, *events)


def lot(name: str, quantity: int, expires_at: datetime | None, bin_name: str = "", **more: Any) -> s.StockReceived:
    return s.StockReceived(
        **AT,
        receipt_id=f"{name}{bin_name}",
        quantity=quantity,
        lot=name,
        bin=bin_name,
        lot_expires_at=expires_at,
        **more,
    )


def reserve(n: int, order: str, **more: Any) -> s.ReserveStock:
    return s.ReserveStock(**AT, reservation_id=f"{order}/1", order_id=order, quantity=n, **more)


def reserved(n: int, order: str, **more: Any) -> s.StockReserved:
    return s.StockReserved(**AT, reservation_id=f"{order}/1", order_id=order, quantity=n, **more)


def short(n: int, order: str, available: int, **more: Any) -> s.StockShort:
    return s.StockShort(**AT, reservation_id=f"{order}/1", order_id=order, quantity=n, available=available, **more)


def refusal(*events: Event, command: s.StockCommand) -> Refused:
    with pytest.raises(Refused) as refused:
        tuple(decider.decide(given(*events).state, command))
    return refused.value


# --- what a channel may have


def share(channel: str, percent: int, buffer: int = 0) -> s.ChannelShareSet:
    return s.ChannelShareSet(**AT, channel=channel, share_percent=percent, quantity=buffer)


def set_share(channel: str, percent: int, buffer: int = 0) -> s.SetChannelShare:
    return s.SetChannelShare(**AT, channel=channel, share_percent=percent, buffer_units=buffer)


def test_a_share_is_lifted_by_having_all_and_no_buffer() -> None:
    lifted = share("web", 100)
    given(share("web", 60)).when(set_share("web", 100)).then(lifted)
    given().when(set_share("web", 100)).then()
    given(share("web", 60), lifted).when(set_share("web", 100)).then()
    given(share("web", 60)).when(set_share("web", 60, 1)).then(share("web", 60, 1))
    given(FIVE, share("web", 60), lifted).when(reserve(5, "o", channel="web")).then(reserved(5, "o", channel="web"))


def test_only_so_many_channels_have_a_share_and_each_of_them_may_change_it() -> None:
    full = [share(f"c{n}", 50) for n in range(CHANNELS_MAX)]
    given(*full).when(set_share("web", 50)).then_refused("too_many_channels")
    given(*full[:-1]).when(set_share("web", 50)).then(share("web", 50))
    given(*full).when(set_share("c0", 60)).then(share("c0", 60))
    given(*full).when(set_share("web", 100)).then()
    given(*full, share("c0", 100)).when(set_share("web", 50)).then(share("web", 50))


def test_what_a_channel_has_been_promised_counts_against_its_share_until_it_is_released() -> None:
    ten = s.StockReceived(**AT, receipt_id="r", quantity=10)
    half = share("web", 50)
    mine = reserved(3, "o", channel="web")
    given(ten, half, mine).when(reserve(3, "p", channel="web")).then(short(3, "p", 2, channel="web"))
    given(ten, half, mine).when(reserve(2, "p", channel="web")).then(reserved(2, "p", channel="web"))
    given(ten, half, mine).when(reserve(7, "p", channel="shop")).then(reserved(7, "p", channel="shop"))
    part = s.StockReleased(**AT, reservation_id="o/1", order_id="o", quantity=1, channel="web", release_id="x")
    given(ten, half, mine, part).when(reserve(3, "p", channel="web")).then(reserved(3, "p", channel="web"))
    given(ten, half, mine, part).when(reserve(4, "p", channel="web")).then(short(4, "p", 3, channel="web"))
    moved = s.StockReservationTransferred(
        **AT, reservation_id="o/1", order_id="o", quantity=2, channel="web", to_reservation_id="q/1", to_order_id="q"
    )
    given(ten, half, mine, moved).when(reserve(3, "p", channel="web")).then(short(3, "p", 2, channel="web"))


def test_a_share_is_of_what_may_be_sold_and_a_buffer_is_of_what_is_left() -> None:
    kept = s.SafetyStockSet(**AT, quantity=2)
    ten = s.StockReceived(**AT, receipt_id="r", quantity=10)
    given(ten, kept, share("web", 50)).when(reserve(5, "o", channel="web")).then(short(5, "o", 4, channel="web"))
    given(ten, kept, share("web", 100, 3)).when(reserve(6, "o", channel="web")).then(short(6, "o", 5, channel="web"))
    given(FIVE, share("web", 50)).when(reserve(3, "o", channel="web")).then(short(3, "o", 2, channel="web"))


# --- presales, and what runs low


def sold_before(n: int, order: str) -> s.StockReserved:
    return reserved(n, order, presale=True)


LIMIT = s.PresaleLimitSet(**AT, quantity=500)


def covered(order: str, n: int = 1, **more: Any) -> s.StockPresaleCovered:
    return s.StockPresaleCovered(**AT, reservation_id=f"{order}/1", order_id=order, quantity=n, **more)


def test_a_presale_is_from_stock_where_there_is_some_and_else_up_to_the_limit() -> None:
    limit = s.PresaleLimitSet(**AT, quantity=4)
    given(FIVE, limit).when(reserve(5, "o", presale=True)).then(sold_before(5, "o"), covered("o", 5))
    given(FIVE, limit).when(reserve(6, "o", presale=True)).then(short(6, "o", 5, presale=True))
    given(limit).when(reserve(4, "o", presale=True)).then(sold_before(4, "o"))
    given(limit).when(reserve(5, "o", presale=True)).then(short(5, "o", 4, presale=True))
    given(limit).when(reserve(1, "o")).then(short(1, "o", 0))
    given().when(s.SetPresaleLimit(**AT, quantity=4)).then(limit)
    given(limit).when(s.SetPresaleLimit(**AT, quantity=4)).then()


def test_only_so_many_presales_are_covered_at_once_and_the_last_says_that_there_are_more() -> None:
    waiting = [sold_before(1, f"o{n:03}") for n in range(COVERED_MAX + 1)]
    enough = s.StockReceived(**AT, receipt_id="r", quantity=COVERED_MAX + 1)
    first = [covered(f"o{n:03}", more=n == COVERED_MAX - 1) for n in range(COVERED_MAX)]
    receive = s.ReceiveStock(**AT, receipt_id="r", quantity=COVERED_MAX + 1)
    given(LIMIT, *waiting).when(receive).then(enough, *first)
    rest = given(LIMIT, *waiting, enough, *first)
    rest.when(s.CoverPresales(**AT)).then(covered(f"o{COVERED_MAX:03}"))
    given(LIMIT, *waiting[:-1]).when(receive).then(enough, *(covered(f"o{n:03}") for n in range(COVERED_MAX)))


def test_presales_are_not_covered_from_the_safety_stock_nor_from_what_others_were_promised() -> None:
    kept = s.SafetyStockSet(**AT, quantity=2)
    receive = s.ReceiveStock(**AT, receipt_id="r", quantity=5)
    given(LIMIT, kept, sold_before(4, "o")).when(receive).then(FIVE)
    given(LIMIT, kept, sold_before(3, "o")).when(receive).then(FIVE, covered("o", 3))
    lowered = s.SafetyStockSet(**AT, quantity=1)
    given(LIMIT, kept, sold_before(4, "o"), FIVE).when(s.SetSafetyStock(**AT, quantity=1)).then(
        lowered, covered("o", 4)
    )
    given(LIMIT, sold_before(4, "o")).when(s.CoverPresales(**AT)).then()
    before = (FIVE, reserved(2, "p"), LIMIT, sold_before(4, "o"))
    let_go = s.StockReleased(**AT, reservation_id="p/1", order_id="p", quantity=2)
    given(*before).when(s.ReleaseStock(**AT, reservation_id="p/1", order_id="p")).then(let_go, covered("o", 4))


def ran_low(n: int, available: int, occasion: int = 1, point: int = 3) -> s.StockRanLow:
    return s.StockRanLow(**AT, quantity=n, available=available, reorder_point=point, occasion=occasion)


def test_running_low_again_is_another_occasion() -> None:
    point = s.ReorderPointSet(**AT, quantity=3, up_to=10)
    before = (FIVE, point, reserved(2, "o"), ran_low(7, 3))
    more = s.StockReceived(**AT, receipt_id="s", quantity=5)
    given(*before, more).when(reserve(5, "p")).then(reserved(5, "p"), ran_low(7, 3, occasion=2))
    given(*before).when(reserve(1, "p")).then(reserved(1, "p"))
    given(*before, s.StockReceived(**AT, receipt_id="s", quantity=1)).when(reserve(1, "p")).then(
        reserved(1, "p"), ran_low(7, 3, occasion=2)
    )


def test_at_least_one_is_wanted_and_another_point_may_be_reached_at_once() -> None:
    three = s.StockReceived(**AT, receipt_id="r", quantity=3)
    point = s.ReorderPointSet(**AT, quantity=3, up_to=3)
    given(three).when(s.SetReorderPoint(**AT, quantity=3, up_to=3)).then(point, ran_low(1, 3))
    given(three, point, ran_low(1, 3)).when(s.SetReorderPoint(**AT, quantity=3, up_to=3)).then()
    higher = s.ReorderPointSet(**AT, quantity=4, up_to=9)
    given(three, point, ran_low(1, 3)).when(s.SetReorderPoint(**AT, quantity=4, up_to=9)).then(
        higher, ran_low(6, 3, occasion=2, point=4)
    )
    off = s.ReorderPointSet(**AT, quantity=0, up_to=3)
    given(three, point).when(s.SetReorderPoint(**AT, quantity=0, up_to=3)).then(off)
    only_more = s.ReorderPointSet(**AT, quantity=2, up_to=9)
    given(three, s.ReorderPointSet(**AT, quantity=2, up_to=3)).when(s.SetReorderPoint(**AT, quantity=2, up_to=9)).then(
        only_more
    )


def test_replenishment_is_asked_for_once_by_its_name() -> None:
    ask = s.RequestReplenishment(**AT, request_id="low/1", quantity=7)
    asked = s.ReplenishmentRequested(**AT, request_id="low/1", quantity=7)
    given().when(ask).then(asked)
    given(asked).when(ask).then()
    given(asked).when(ask.model_copy(update={"request_id": "low/2"})).then(
        asked.model_copy(update={"request_id": "low/2"})
    )


# --- holds and what ends them


def expired(n: int, order: str) -> s.StockReservationExpired:
    return s.StockReservationExpired(**AT, reservation_id=f"{order}/1", order_id=order, quantity=n)


def test_only_a_hold_makes_room_for_the_next_claim_of_its_holder() -> None:
    fast = reserved(3, "cart", expires_at=LATER)
    again = s.ReserveStock(**AT, reservation_id="tab-2", order_id="cart", quantity=3)
    let_go = s.StockReleased(**AT, reservation_id="cart/1", order_id="cart", quantity=3)
    for_good = s.StockReserved(**AT, reservation_id="tab-2", order_id="cart", quantity=3)
    given(FIVE, fast).when(again).then(let_go, for_good)
    no_hold = s.StockShort(**AT, reservation_id="tab-2", order_id="cart", quantity=3, available=2)
    given(FIVE, reserved(3, "cart")).when(again).then(no_hold)
    given(FIVE, fast, expired(3, "cart")).when(again).then(for_good)
    given(FIVE, fast, let_go, for_good).when(
        s.ReserveStock(**AT, reservation_id="tab-3", order_id="cart", quantity=3)
    ).then(s.StockShort(**AT, reservation_id="tab-3", order_id="cart", quantity=3, available=2))


def test_a_hold_that_changed_hands_is_the_new_holder_s() -> None:
    moved = s.StockReservationTransferred(
        **AT, reservation_id="cart/1", order_id="cart", quantity=3, to_reservation_id="u/1", to_order_id="user"
    )
    held = given(FIVE, reserved(3, "cart", expires_at=LATER), moved)
    mine = s.ReserveStock(**AT, reservation_id="u/2", order_id="user", quantity=5)
    let_go = s.StockReleased(**AT, reservation_id="u/1", order_id="user", quantity=3)
    held.when(mine).then(let_go, s.StockReserved(**AT, reservation_id="u/2", order_id="user", quantity=5))
    other = s.ReserveStock(**AT, reservation_id="c/2", order_id="cart", quantity=3)
    held.when(other).then(s.StockShort(**AT, reservation_id="c/2", order_id="cart", quantity=3, available=2))
    expire = s.ExpireReservation(**AT, reservation_id="u/1", order_id="user", now=LATER)
    held.when(expire).then(s.StockReservationExpired(**AT, reservation_id="u/1", order_id="user", quantity=3))


def test_a_reservation_without_an_end_does_not_expire() -> None:
    expire = s.ExpireReservation(**AT, reservation_id="o/1", order_id="o", now=LATER)
    given(FIVE, reserved(2, "o")).when(expire).then()
    given(FIVE).when(expire).then()


def test_a_part_is_released_once_also_without_a_name_of_its_own() -> None:
    part = s.ReleaseStock(**AT, reservation_id="o/1", order_id="o", quantity=1)
    released = s.StockReleased(**AT, reservation_id="o/1", order_id="o", quantity=1, release_id="1")
    given(FIVE, reserved(3, "o")).when(part).then(released)
    given(FIVE, reserved(3, "o"), released).when(part).then()
    rest = s.StockReleased(**AT, reservation_id="o/1", order_id="o", quantity=2)
    given(FIVE, reserved(3, "o"), released).when(s.ReleaseStock(**AT, reservation_id="o/1", order_id="o")).then(rest)


# --- losses


def broken(n: int, order: str, reason: str) -> s.StockReservationBroken:
    return s.StockReservationBroken(**AT, reservation_id=f"{order}/1", order_id=order, quantity=n, reason=reason)


def test_a_loss_that_leaves_enough_breaks_nothing_and_presales_are_not_broken() -> None:
    count = s.CountStock(**AT, count_id="c", quantity=3)
    counted = s.StockCounted(**AT, count_id="c", quantity=3, expected=5)
    given(FIVE, reserved(3, "o")).when(count).then(counted)
    given(FIVE, reserved(4, "o")).when(count).then(broken(4, "o", "counted 3, expected 5"), counted)
    given(FIVE, LIMIT, reserved(4, "o"), sold_before(9, "p")).when(count).then(
        broken(4, "o", "counted 3, expected 5"), counted
    )
    given(FIVE, reserved(2, "o"), reserved(2, "p")).when(count).then(broken(2, "p", "counted 3, expected 5"), counted)
    more = s.CountStock(**AT, count_id="c", quantity=6)
    given(FIVE, reserved(5, "o")).when(more).then(s.StockCounted(**AT, count_id="c", quantity=6, expected=5))


def test_each_loss_says_why_it_broke_a_promise() -> None:
    promised = (FIVE, reserved(5, "o"))
    adjust = s.AdjustStock(**AT, adjustment_id="a", quantity=-1, reason="mice")
    gone = s.StockAdjusted(**AT, adjustment_id="a", quantity=-1, reason="mice")
    given(*promised).when(adjust).then(broken(5, "o", "adjusted: mice"), gone)
    write_off = s.WriteOffStock(**AT, write_off_id="w", quantity=1, condition="sellable", reason="fire")
    burnt = s.StockWrittenOff(**AT, write_off_id="w", quantity=1, condition="sellable", reason="fire")
    given(*promised).when(write_off).then(broken(5, "o", "written off: fire"), burnt)


def test_what_is_lost_of_units_put_aside_breaks_nothing() -> None:
    aside = s.StockConditionChanged(**AT, change_id="c", quantity=2, was="sellable", condition="damaged", reason="wet")
    promised = (FIVE, aside, reserved(3, "o"))
    count = s.CountStock(**AT, count_id="k", quantity=0, condition="damaged")
    counted = s.StockCounted(**AT, count_id="k", quantity=0, expected=2, condition="damaged")
    given(*promised).when(count).then(counted)
    found = s.ChangeCondition(**AT, change_id="d", quantity=2, was="damaged", condition="sellable", reason="dry")
    dry = s.StockConditionChanged(**AT, change_id="d", quantity=2, was="damaged", condition="sellable", reason="dry")
    given(*promised).when(found).then(dry)
    assert given(*promised, dry).state.atp == 2


def test_what_left_for_a_broken_promise_breaks_another_s() -> None:
    """Three were there, the count said one, and two of them were taken all the same."""
    three = s.StockReceived(**AT, receipt_id="r", quantity=3)
    why = "counted 2, expected 3"
    before = (three, reserved(2, "o"), broken(2, "o", why), s.StockCounted(**AT, count_id="c", quantity=2, expected=3))
    ship = s.ShipStock(**AT, reservation_id="o/1", order_id="o", shipment_id="x")
    left = s.StockShipped(**AT, reservation_id="o/1", order_id="o", quantity=2, shipment_id="x", broken=True)
    given(*before).when(ship).then(left)
    other = broken(1, "p", "left in x for another order")
    given(*before, reserved(1, "p")).when(ship).then(other, left)
    given(*before, left).when(ship).then()
    given(*before, left).when(reserve(1, "q")).then(short(1, "q", 0))


# --- numbers


def test_of_numbers_sent_twice_each_is_one_unit() -> None:
    admit = s.AdmitSerials(**AT, receipt_id="s", serials=("4", "4", "1"), lot="l", lot_expires_at=NOON)
    reported = s.StockReceived(**AT, receipt_id="s", quantity=1, serials=("4",), lot="l", lot_expires_at=NOON)
    given(NUMBERED).when(admit).then(reported)
    given(NUMBERED, reported).when(admit.model_copy(update={"serials": ("5",)})).then()
    restock = s.RestockReturn(**AT, return_id="x", quantity=1, serials=("1", "4", "4", "5"))
    given(NUMBERED).when(restock).then(s.StockReturned(**AT, return_id="x", quantity=1, serials=("4",)))


def test_numbered_units_that_were_expected_are_still_to_come_as_far_as_they_did_not() -> None:
    expected = s.StockInboundExpected(**AT, inbound_id="po", quantity=3, promised_at=NOON, request_id="low/1")
    admit = s.AdmitSerials(**AT, receipt_id="s", serials=("1", "2"), inbound_id="po")
    came = s.StockReceived(
        **AT, receipt_id="s", quantity=2, serials=("1", "2"), inbound_id="po", request_id="low/1", outstanding=1
    )
    given(expected).when(admit).then(came)
    assert given(expected, came).state.supply.inbound == 1
    surplus = admit.model_copy(update={"serials": ("1", "2", "3", "4")})
    (reported,) = decider.decide(given(expected).state, surplus)
    assert isinstance(reported, s.StockReceived)
    assert (reported.quantity, reported.outstanding) == (4, 0)
    assert given(expected, reported).state.supply.inbound == 0


def test_a_count_names_what_was_found_and_nothing_else() -> None:
    count = s.CountStock(**AT, count_id="c", quantity=2, serials=("3", "1"))
    counted = s.StockCounted(**AT, count_id="c", quantity=2, expected=3, serials=("2",))
    given(NUMBERED).when(count).then(counted)
    strange = count.model_copy(update={"serials": ("1", "9")})
    assert "9" in str(refusal(NUMBERED, command=strange))
    given(NUMBERED).when(strange).then_refused("serial_not_there")
    given(NUMBERED).when(count.model_copy(update={"serials": ("1",)})).then_refused("serials_needed")
    given(NUMBERED).when(count.model_copy(update={"serials": ("1", "1")})).then_refused("serials_needed")
    assert dict(given(NUMBERED, counted).state.physical.serials.items()) == {"1": StockPlace(), "3": StockPlace()}


def test_numbers_go_where_their_units_go_and_leave_with_them() -> None:
    aside = s.ChangeCondition(**AT, change_id="c", quantity=1, condition="damaged", reason="wet", serials=("2",))
    wet = s.StockConditionChanged(
        **AT, change_id="c", quantity=1, was="sellable", condition="damaged", reason="wet", serials=("2",)
    )
    given(NUMBERED).when(aside).then(wet)
    given(NUMBERED).when(aside.model_copy(update={"serials": ()})).then_refused("serials_needed")
    given(NUMBERED).when(aside.model_copy(update={"serials": ("1", "2")})).then_refused("serials_needed")
    given(NUMBERED).when(aside.model_copy(update={"serials": ("9",)})).then_refused("serial_not_there")
    whole = s.MoveToBin(**AT, move_id="m", quantity=3, to_bin="b")
    moved = s.StockMovedToBin(**AT, move_id="m", quantity=3, to_bin="b", serials=("1", "2", "3"))
    given(NUMBERED).when(whole).then(moved)
    state = given(NUMBERED, wet, moved.model_copy(update={"quantity": 2, "serials": ("1", "3")})).state
    assert dict(state.physical.serials.items()) == {
        "1": StockPlace("b"),
        "2": StockPlace(condition="damaged"),
        "3": StockPlace("b"),
    }
    out = s.MoveStock(**AT, move_id="o", quantity=1, to_location="paris", serials=("3",))
    gone = s.StockMovedOut(**AT, move_id="o", quantity=1, to_location="paris", serials=("3",))
    given(NUMBERED).when(out).then(gone)
    assert "3" not in given(NUMBERED, gone).state.physical.serials
    adjust = s.AdjustStock(**AT, adjustment_id="a", quantity=-1, reason="lost", serials=("1",))
    lost = s.StockAdjusted(**AT, adjustment_id="a", quantity=-1, reason="lost", serials=("1",))
    given(NUMBERED).when(adjust).then(lost)
    assert "1" not in given(NUMBERED, lost).state.physical.serials
    found = s.AdjustStock(**AT, adjustment_id="a", quantity=1, reason="found", serials=("7",))
    given(NUMBERED).when(found).then_refused("serial_not_there")


def test_of_numbered_units_the_named_ones_are_picked_and_else_the_first_of_what_expires_first() -> None:
    soon = lot("soon", 2, NOON, serials=("s1", "s2"))
    late = lot("late", 2, LATER, serials=("l1", "l2"))
    ship = s.ShipStock(**AT, reservation_id="o/1", order_id="o", shipment_id="x")

    def left(*serials: str) -> s.StockShipped:
        state = given(soon, late, reserved(2, "o")).state
        (shipped,) = decider.decide(state, ship.model_copy(update={"serials": serials}))
        assert isinstance(shipped, s.StockShipped)
        return shipped

    assert left().serials == ("s1", "s2")
    assert left().picks == (s.Pick(bin="", lot="soon", quantity=2),)
    assert left("l2").serials == ("l2", "s1")
    assert {(pick.lot, pick.quantity) for pick in left("l2").picks} == {("late", 1), ("soon", 1)}
    assert left("l2", "l2", "nobody's").serials == ("l2", "s1")
    assert left("l2", "l1", "s1").serials == ("l2", "l1")


# --- lots and bins


def test_a_lot_keeps_its_date_wherever_it_goes() -> None:
    milk = lot("m", 4, NOON)
    aside = s.ChangeCondition(**AT, change_id="c", quantity=1, lot="m", condition="damaged", reason="wet")
    wet = s.StockConditionChanged(
        **AT, change_id="c", quantity=1, lot="m", was="sellable", condition="damaged", reason="wet", lot_expires_at=NOON
    )
    given(milk).when(aside).then(wet)
    move = s.MoveToBin(**AT, move_id="b", quantity=1, lot="m", to_bin="b")
    moved = s.StockMovedToBin(**AT, move_id="b", quantity=1, lot="m", to_bin="b", lot_expires_at=NOON)
    given(milk).when(move).then(moved)
    out = s.MoveStock(**AT, move_id="o", quantity=1, lot="m", to_location="paris")
    gone = s.StockMovedOut(**AT, move_id="o", quantity=1, lot="m", to_location="paris", lot_expires_at=NOON)
    given(milk).when(out).then(gone)
    places = given(milk, wet, moved, gone).state.physical.places
    assert {(place.bin, place.condition): tuple(units) for place, units in places.items()} == {
        ("", "sellable"): (1, NOON),
        ("", "damaged"): (1, NOON),
        ("b", "sellable"): (1, NOON),
    }


def test_when_a_lot_is_over_it_is_put_aside_in_every_bin_and_nothing_else_is() -> None:
    numbered = lot("soon", 2, NOON, "c", serials=("2", "1"))
    physical = (lot("soon", 2, NOON, "b"), numbered, lot("late", 1, NOON, "b"), lot("soon", 1, LATER, "d"))
    damaged = lot("soon", 1, NOON, "e").model_copy(update={"receipt_id": "e"})
    put_aside = s.StockConditionChanged(
        **AT, change_id="w", quantity=1, bin="e", lot="soon", was="sellable", condition="damaged", reason="wet",
        lot_expires_at=NOON,
    )  # fmt: skip
    expire = s.ExpireLot(**AT, lot="soon", now=NOON)

    def over(bin_name: str, *serials: str) -> s.StockConditionChanged:
        return s.StockConditionChanged(
            **AT,
            quantity=2,
            bin=bin_name,
            lot="soon",
            was="sellable",
            condition="quarantine",
            change_id=f"expired/soon/{bin_name}",
            reason="lot soon expired",
            lot_expires_at=NOON,
            serials=serials,
        )

    given(*physical, damaged, put_aside).when(expire).then(over("b"), over("c", "1", "2"))
    why = "lot soon expired"
    given(*physical, reserved(4, "o")).when(expire).then(broken(4, "o", why), over("b"), over("c", "1", "2"))
    given(*physical, reserved(2, "o")).when(expire).then(over("b"), over("c", "1", "2"))


def test_units_are_named_by_their_place_where_they_are_refused() -> None:
    write_off = s.WriteOffStock(**AT, write_off_id="w", quantity=9, reason="", bin="b", lot="l")
    assert "bin b, lot l (damaged)" in str(refusal(FIVE, command=write_off))
    nowhere = s.WriteOffStock(**AT, write_off_id="w", quantity=9, reason="", condition="sellable")
    assert "no bin (sellable) holds 5 units, not 9" in str(refusal(FIVE, command=nowhere))


def test_damaged_units_move_also_where_the_sellable_ones_are_promised() -> None:
    aside = s.StockConditionChanged(**AT, change_id="c", quantity=2, was="sellable", condition="damaged", reason="")
    move = s.MoveStock(**AT, move_id="m", quantity=2, to_location="paris", condition="damaged")
    moved = s.StockMovedOut(**AT, move_id="m", quantity=2, to_location="paris", condition="damaged")
    given(FIVE, aside, reserved(3, "o")).when(move).then(moved)
    sellable = s.MoveStock(**AT, move_id="m", quantity=2, to_location="paris")
    given(FIVE, reserved(3, "o")).when(sellable).then(
        s.StockMovedOut(**AT, move_id="m", quantity=2, to_location="paris")
    )
    given(FIVE, reserved(4, "o")).when(sellable).then_refused("promised")


def test_nothing_happens_to_units_that_stay_as_they_are() -> None:
    given(FIVE).when(s.MoveToBin(**AT, move_id="m", quantity=1, to_bin="")).then()
    given(FIVE).when(s.ChangeCondition(**AT, change_id="c", quantity=1, condition="sellable", reason="")).then()
    given(FIVE).when(s.AdjustStock(**AT, adjustment_id="a", quantity=0, reason="")).then()
    given().when(s.AdjustStock(**AT, adjustment_id="a", quantity=2, reason="found")).then(
        s.StockAdjusted(**AT, adjustment_id="a", quantity=2, reason="found")
    )


# --- inbounds


def expected(n: int, **more: Any) -> s.StockInboundExpected:
    return s.StockInboundExpected(**AT, inbound_id="po", quantity=n, promised_at=NOON, **more)


IN_TRANSIT = s.StockInboundExpected(
    **AT,
    inbound_id="move/paris/m",
    quantity=2,
    promised_at=NOON,
    move_id="m",
    from_location="paris",
    lot="l",
    lot_expires_at=LATER,
    condition="damaged",
    serials=("1", "2"),
)


def test_what_is_on_its_way_arrives_as_it_left() -> None:
    receive = s.ReceiveInbound(**AT, inbound_id="move/paris/m", receipt_id="r", bin="b")
    arrived = s.StockMovedIn(
        **AT,
        inbound_id="move/paris/m",
        receipt_id="r",
        quantity=2,
        bin="b",
        lot="l",
        lot_expires_at=LATER,
        condition="damaged",
        move_id="m",
        from_location="paris",
        serials=("1", "2"),
    )
    given(IN_TRANSIT).when(receive).then(arrived)
    one = receive.model_copy(update={"quantity": 1, "serials": ("2", "2")})
    part = arrived.model_copy(update={"quantity": 1, "serials": ("2",)})
    given(IN_TRANSIT).when(one).then(part)
    given(IN_TRANSIT).when(one.model_copy(update={"serials": ()})).then_refused("serials_needed")
    given(IN_TRANSIT).when(one.model_copy(update={"serials": ("9",)})).then_refused("serial_not_there")
    rest = receive.model_copy(update={"receipt_id": "s"})
    given(IN_TRANSIT, part).when(rest).then(
        arrived.model_copy(update={"quantity": 1, "serials": ("1",), "receipt_id": "s"})
    )
    lost = s.CancelInbound(**AT, inbound_id="move/paris/m", reason="stolen")
    (cancelled,) = decider.decide(given(IN_TRANSIT, part).state, lost)
    assert isinstance(cancelled, s.StockInboundCancelled)
    assert (cancelled.quantity, cancelled.serials, cancelled.move_id) == (1, ("1",), "m")
    assert given(IN_TRANSIT, part, cancelled).state.supply.inbound == 0


def test_what_came_may_be_of_another_lot_than_was_reported() -> None:
    receive = s.ReceiveInbound(**AT, inbound_id="po", receipt_id="r", lot="l", lot_expires_at=LATER, bin="b")
    came = s.StockReceived(
        **AT, inbound_id="po", receipt_id="r", quantity=2, lot="l", lot_expires_at=LATER, bin="b", outstanding=0
    )
    given(expected(2)).when(receive).then(came)
    given(expected(2)).when(receive.model_copy(update={"serials": ("1",)})).then_refused("serial_not_there")
    given(expected(2), came).when(receive.model_copy(update={"receipt_id": "s"})).then_refused("unknown_inbound")


def test_more_may_come_of_an_order_than_was_expected_and_it_is_over_then() -> None:
    receive = s.ReceiveInbound(**AT, inbound_id="po", receipt_id="r", quantity=5)
    came = s.StockReceived(**AT, inbound_id="po", receipt_id="r", quantity=5, outstanding=0)
    given(expected(2)).when(receive).then(came)
    state = given(expected(2), came).state
    assert (state.on_hand, state.supply.inbound, len(state.supply.inbounds)) == (5, 0, 0)


def test_what_is_expected_is_sent_again_only_where_it_is_another() -> None:
    expect = s.ExpectInbound(**AT, inbound_id="po", quantity=2, promised_at=NOON)
    given(expected(2)).when(expect).then()
    given(expected(2)).when(expect.model_copy(update={"quantity": 3})).then(expected(3))
    given(expected(2)).when(expect.model_copy(update={"request_id": "low/1"})).then(expected(2, request_id="low/1"))
    assert given(expected(2), expected(3)).state.supply.inbound == 3
    cancelled = s.StockInboundCancelled(**AT, inbound_id="po", quantity=2, reason="")
    given(expected(2), cancelled).when(expect).then()
    given(IN_TRANSIT).when(expect.model_copy(update={"inbound_id": "move/paris/m"})).then_refused("is_a_move")


def test_only_so_many_inbounds_are_expected_at_once() -> None:
    full = [expected(1).model_copy(update={"inbound_id": f"po-{n}"}) for n in range(INBOUNDS_MAX)]
    expect = s.ExpectInbound(**AT, inbound_id="one-more", quantity=1, promised_at=NOON)
    given(*full).when(expect).then_refused("too_many_inbounds")
    given(*full).when(expect.model_copy(update={"inbound_id": "po-0", "quantity": 2})).then(
        expected(2).model_copy(update={"inbound_id": "po-0"})
    )
    given(*full[:-1]).when(expect).then(expected(1).model_copy(update={"inbound_id": "one-more"}))


def test_what_is_on_its_way_counts_for_what_is_supplied_and_not_for_what_may_be_promised() -> None:
    state = given(FIVE, expected(2), s.SafetyStockSet(**AT, quantity=1), reserved(1, "o")).state
    assert (state.atp, state.supplied) == (3, 5)


# --- what is remembered


def test_the_oldest_names_are_forgotten() -> None:
    memory = Memory()
    for name in "abcab":
        memory = memory.add(name, 3)
    assert (memory.oldest, list(memory.in_order)) == ("a", ["a", "b", "c"])
    memory = memory.add("d", 3)
    assert [memory.knows(name) for name in "abcd"] == [False, True, True, True]
    assert (memory.oldest, list(memory.in_order)) == ("b", ["b", "c", "d"])
    assert Memory.of("bcd") == memory


def test_a_repeat_decides_nothing_as_long_as_it_is_remembered() -> None:
    assert SETTLED_REMEMBERED_MAX == MOVEMENTS_REMEMBERED_MAX
    names = [f"n{n}" for n in range(MOVEMENTS_REMEMBERED_MAX)]
    stock = given(FIVE).state
    full = Memory.of(["receipt/r", *names[1:]])
    full_settled = Memory.of(["o/1", *(f"{name}/1" for name in names[1:])])
    stock = stock._replace(movements=full, settled=full_settled)
    receive = s.ReceiveStock(**AT, receipt_id="r", quantity=5)
    assert not tuple(decider.decide(stock, receive))
    assert not tuple(decider.decide(stock, reserve(1, "o")))
    another = decider.evolve(stock, s.StockReceived(**AT, receipt_id="z", quantity=1))
    assert tuple(decider.decide(another, receive)), "the oldest receipt is forgotten"
    settled = decider.evolve(stock, short(9, "z", 5))
    assert tuple(decider.decide(settled, reserve(1, "o"))), "the oldest end of a reservation is forgotten"


def test_with_the_memory_of_its_end_a_broken_promise_is_forgotten() -> None:
    before = given(FIVE, reserved(2, "o"), broken(2, "o", "why")).state
    assert "o/1" in before.broken
    full = Memory.of(["o/1", *(f"n{n}" for n in range(SETTLED_REMEMBERED_MAX - 1))])
    full_state = before._replace(settled=full)
    after = decider.evolve(full_state, short(9, "z", 5))
    assert "o/1" not in after.broken
    assert "o/1" in decider.evolve(before, short(9, "z", 5)).broken


# --- room, and what old streams say


def test_every_new_place_needs_room_and_a_known_one_does_not() -> None:
    full = [s.StockReceived(**AT, receipt_id=f"{n}", quantity=1, bin=f"{n}") for n in range(PLACES_MAX)]
    po = expected(1)
    asked: list[s.StockCommand] = [
        s.AdjustStock(**AT, adjustment_id="a", quantity=1, reason="", bin="x"),
        s.MoveToBin(**AT, move_id="m", quantity=1, bin="1", to_bin="x"),
        s.ReceiveInbound(**AT, inbound_id="po", receipt_id="r", bin="x"),
        s.CountStock(**AT, count_id="c", quantity=1, bin="x"),
    ]
    for command in asked:
        given(*full, po).when(command).then_refused("too_many_places")
        known = command.model_copy(update={"to_bin" if isinstance(command, s.MoveToBin) else "bin": "2"})
        assert tuple(decider.decide(given(*full, po).state, known))
    nothing_there = s.CountStock(**AT, count_id="c", quantity=0, bin="x")
    given(*full).when(nothing_there).then(s.StockCounted(**AT, count_id="c", quantity=0, expected=0, bin="x"))


def test_a_cancelled_inbound_says_what_it_was_for() -> None:
    cancel = s.CancelInbound(**AT, inbound_id="po", reason="sold out")
    cancelled = s.StockInboundCancelled(**AT, inbound_id="po", quantity=2, reason="sold out", request_id="low/1")
    given(expected(2, request_id="low/1")).when(cancel).then(cancelled)
    given().when(cancel).then()


def test_a_presale_that_is_released_may_be_sold_again() -> None:
    limit = s.PresaleLimitSet(**AT, quantity=4)
    let_go = s.StockReleased(**AT, reservation_id="o/1", order_id="o", quantity=3, presale=True)
    part = let_go.model_copy(update={"quantity": 1, "release_id": "x"})
    before = given(limit, sold_before(3, "o"))
    before.when(s.ReleaseStock(**AT, reservation_id="o/1", order_id="o")).then(let_go)
    state = given(limit, sold_before(3, "o"), let_go).state
    assert (state.presold, state.presale_left, state.promised) == (0, 4, 0)
    state = given(limit, sold_before(3, "o"), part).state
    assert (state.presold, state.presale_left) == (2, 2)


def test_a_hold_lasts_while_any_of_it_is_left_and_whatever_else_its_holder_has() -> None:
    hold = reserved(3, "cart", expires_at=LATER)
    some_back = s.StockReleased(**AT, reservation_id="cart/1", order_id="cart", quantity=1, release_id="x")
    again = s.ReserveStock(**AT, reservation_id="tab-2", order_id="cart", quantity=5)
    rest = s.StockReleased(**AT, reservation_id="cart/1", order_id="cart", quantity=2)
    whole = s.StockReserved(**AT, reservation_id="tab-2", order_id="cart", quantity=5)
    given(FIVE, hold, some_back).when(again).then(rest, whole)
    firm = s.StockReserved(**AT, reservation_id="firm", order_id="cart", quantity=1)
    firm_off = s.StockReleased(**AT, reservation_id="firm", order_id="cart", quantity=1)
    given(FIVE, firm, hold, firm_off).when(again).then(rest.model_copy(update={"quantity": 3}), whole)


def test_a_fact_about_a_reservation_that_no_one_remembers_is_never_refused() -> None:
    why = broken(2, "ghost", "why")
    state = given(FIVE, why).state
    assert state.broken["ghost/1"][:2] == ("ghost", 2)
    moved = s.StockReservationTransferred(
        **AT, reservation_id="ghost/1", order_id="ghost", quantity=2, to_reservation_id="p/1", to_order_id="p"
    )
    assert given(FIVE, moved).state.reserved["p/1"][:2] == ("p", 2)
    was_covered = given(FIVE, covered("ghost", 2)).state
    assert was_covered.reserved["ghost/1"][:2] == ("ghost", 2)
    assert (was_covered.promised, was_covered.presold) == (2, -2)
    shipped = s.StockShipped(**AT, reservation_id="ghost/1", order_id="ghost", quantity=2, shipment_id="x")
    assert given(FIVE, shipped).state.on_hand == 3
    cancelled = s.StockInboundCancelled(**AT, inbound_id="ghost", quantity=2, reason="")
    assert given(FIVE, cancelled).state.supply.inbound == 0


def test_what_is_known_to_arrive_somewhere_needs_no_new_room_there() -> None:
    full = [s.StockReceived(**AT, receipt_id=f"{n}", quantity=1, bin=f"{n}") for n in range(PLACES_MAX - 1)]
    there = s.StockReturned(**AT, return_id="x", quantity=1, bin="1", lot="l", condition="damaged")
    receive = s.ReceiveInbound(**AT, inbound_id="move/paris/m", receipt_id="r", bin="1")
    assert tuple(decider.decide(given(*full, there, IN_TRANSIT).state, receive))
    given(*full, there, IN_TRANSIT).when(receive.model_copy(update={"lot": "k"})).then_refused("too_many_places")
    assert tuple(decider.decide(given(*full, IN_TRANSIT).state, receive))


# --- where units are afterwards


def places(given_: Given) -> dict[tuple[str, str, str], int]:
    return {tuple(place): units.quantity for place, units in given_.state.physical.places.items()}


BIN_LOT = lot("l", 4, LATER, "b")


def test_units_that_are_put_aside_are_not_picked_though_they_expire_first() -> None:
    wet = s.StockConditionChanged(
        **AT, change_id="c", quantity=2, lot="soon", was="sellable", condition="damaged", reason="wet"
    )
    ship = s.ShipStock(**AT, reservation_id="o/1", order_id="o", shipment_id="x")
    physical = (lot("soon", 2, NOON), wet, lot("late", 3, LATER, "b"), reserved(2, "o"))
    left = s.StockShipped(
        **AT,
        reservation_id="o/1",
        order_id="o",
        quantity=2,
        shipment_id="x",
        picks=(s.Pick(bin="b", lot="late", quantity=2),),
    )
    given(*physical).when(ship).then(left)
    assert places(given(*physical, left)) == {("", "soon", "damaged"): 2, ("b", "late", "sellable"): 1}


def test_a_named_unit_is_not_picked_a_second_time() -> None:
    soon, late = lot("soon", 2, NOON, serials=("s1", "s2")), lot("late", 2, LATER, serials=("l1", "l2"))
    ship = s.ShipStock(**AT, reservation_id="o/1", order_id="o", shipment_id="x", serials=("s2",))
    (left,) = decider.decide(given(soon, late, reserved(3, "o")).state, ship)
    assert isinstance(left, s.StockShipped)
    assert left.serials == ("s2", "s1", "l1")
    assert {(pick.lot, pick.quantity) for pick in left.picks} == {("soon", 2), ("late", 1)}
    after = given(soon, late, reserved(3, "o"), left)
    assert places(after) == {("", "late", "sellable"): 1}
    assert set(after.state.physical.serials.keys()) == {"l2"}


def test_what_moves_leaves_the_place_it_was_in() -> None:
    out = s.StockMovedOut(**AT, move_id="o", quantity=1, bin="b", lot="l", to_location="paris")
    assert places(given(BIN_LOT, out)) == {("b", "l", "sellable"): 3}
    aside = s.StockConditionChanged(
        **AT, change_id="c", quantity=3, bin="b", lot="l", was="sellable", condition="damaged", reason=""
    )
    shelved = s.StockMovedToBin(**AT, move_id="m", quantity=2, bin="b", to_bin="c", lot="l", condition="damaged")
    gone = out.model_copy(update={"condition": "damaged", "bin": "c"})
    moved = given(BIN_LOT, aside, shelved, gone)
    assert places(moved) == {("b", "l", "sellable"): 1, ("b", "l", "damaged"): 1, ("c", "l", "damaged"): 1}
    assert (moved.state.on_hand, moved.state.sellable) == (3, 1)
    again = s.MoveStock(**AT, move_id="o", quantity=1, bin="b", lot="l", to_location="paris")
    given(BIN_LOT, out).when(again).then()
    worse = aside.model_copy(update={"change_id": "d", "was": "damaged", "condition": "quarantine", "quantity": 1})
    assert places(given(BIN_LOT, aside, worse)) == {
        ("b", "l", "sellable"): 1,
        ("b", "l", "damaged"): 2,
        ("b", "l", "quarantine"): 1,
    }


def test_a_presale_that_changes_hands_or_is_covered_stays_one_promise() -> None:
    limit = s.PresaleLimitSet(**AT, quantity=9)
    sold = reserved(3, "o", presale=True, channel="web")
    moved = s.StockReservationTransferred(
        **AT,
        reservation_id="o/1",
        order_id="o",
        quantity=2,
        channel="web",
        presale=True,
        to_reservation_id="p/1",
        to_order_id="p",
    )
    state = given(limit, sold, moved).state
    assert (state.presold, state.promised) == (3, 0)
    came = s.StockReceived(**AT, receipt_id="r", quantity=10)
    was_covered = covered("o", 3, channel="web")
    half = share("web", 50)
    given(limit, half, sold, came).when(reserve(5, "q", channel="web")).then(
        reserved(5, "q", channel="web"), was_covered
    )
    given(limit, half, sold, came, was_covered).when(reserve(3, "q", channel="web")).then(
        short(3, "q", 2, channel="web")
    )
    let_go = s.StockReleased(**AT, reservation_id="o/1", order_id="o", quantity=3, channel="web")
    given(limit, half, sold, came, was_covered, let_go).when(reserve(5, "q", channel="web")).then(
        reserved(5, "q", channel="web")
    )


def test_a_snapshot_keeps_what_is_on_its_way_and_what_was_broken() -> None:
    hold = reserved(2, "o", expires_at=LATER, channel="web")
    lost = broken(2, "o", "why")
    state = given(
        FIVE, IN_TRANSIT, expected(2, request_id="low/1"), hold, lost, reserved(1, "p", expires_at=NOON)
    ).state
    assert restore(from_json(to_json(dump(state)))) == state
    assert state.broken["o/1"].expires_at == LATER
    assert state.supply.inbounds["move/paris/m"].lot_expires_at == LATER


def test_what_comes_is_given_to_presales_in_turn_until_it_is_used_up() -> None:
    receive = s.ReceiveStock(**AT, receipt_id="r", quantity=5)
    given(LIMIT, sold_before(2, "o"), sold_before(3, "p")).when(receive).then(FIVE, covered("o", 2), covered("p", 3))
    three = (sold_before(2, "o"), sold_before(2, "p"), sold_before(2, "q"))
    given(LIMIT, *three).when(receive).then(FIVE, covered("o", 2), covered("p", 2))


def test_a_presale_may_be_a_hold_as_well() -> None:
    hold = reserved(3, "cart", presale=True, expires_at=LATER)
    again = s.ReserveStock(**AT, reservation_id="tab-2", order_id="cart", quantity=500, presale=True)
    let_go = s.StockReleased(**AT, reservation_id="cart/1", order_id="cart", quantity=3, presale=True)
    anew = s.StockReserved(**AT, reservation_id="tab-2", order_id="cart", quantity=500, presale=True)
    given(LIMIT, hold).when(again).then(let_go, anew)


def test_a_broken_promise_is_not_forgotten_before_the_memory_of_its_end_is() -> None:
    before = given(FIVE, reserved(2, "o"), broken(2, "o", "why"), reserved(2, "p")).state
    full = before._replace(settled=Memory.of(["o/1", *(f"n{n}" for n in range(SETTLED_REMEMBERED_MAX - 1))]))
    some_back = s.StockReleased(**AT, reservation_id="p/1", order_id="p", quantity=1)
    assert "o/1" in decider.evolve(full, some_back).broken
    all_back = s.StockReleased(**AT, reservation_id="p/1", order_id="p", quantity=2)
    assert "o/1" not in decider.evolve(full, all_back).broken
