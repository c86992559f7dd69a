"""Movements of stock count once each; a loss is recorded as it is, and breaks the newest reservations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import Given
from oms_es.aggregates.stock.decider import Stock, decider
from oms_es.aggregates.stock.movements import PLACES_MAX
from oms_es.schemas import stock as s
from oms_es.schemas.values.types import UNITS_MAX
from oms_es.verification.stock_checks import StockCounts
from stock_life import NOON, lived

AT: Any = {"sku": "A", "location": "berlin"}
FIVE = s.StockReceived(**AT, receipt_id="r", quantity=5)
NUMBERED = s.StockReceived(**AT, receipt_id="n", quantity=2, serials=("1", "2"))
LATER = NOON + timedelta(days=30)


def reserved(n: int, order: str, **more: Any) -> s.StockReserved:
    return s.StockReserved(**AT, reservation_id=f"{order}/1", order_id=order, quantity=n, **more)


def broken(n: int, order: str, reason: str) -> s.StockReservationBroken:
    return s.StockReservationBroken(**AT, reservation_id=f"{order}/1", order_id=order, quantity=n, reason=reason)


def reserve(n: int, order: str, **more: Any) -> s.ReserveStock:
    return s.ReserveStock(**AT, reservation_id=f"{order}/1", order_id=order, quantity=n, **more)


# --- counted, adjusted, put aside


def test_a_count_records_its_variance_once() -> None:
    count = s.CountStock(**AT, count_id="c", quantity=4)
    counted = s.StockCounted(**AT, count_id="c", quantity=4, expected=5)
    assert counted.variance == -1
    Given(decider, FIVE).when(count).then(counted)
    Given(decider, FIVE, counted).when(count).then()
    Given(decider, FIVE, counted).when(reserve(5, "o")).then(
        s.StockShort(**AT, reservation_id="o/1", order_id="o", quantity=5, available=4)
    )


def test_p29_a_count_below_what_is_promised_is_recorded_and_breaks_holds_first_then_the_newest() -> None:
    promised = (FIVE, reserved(2, "old"), reserved(1, "cart", expires_at=LATER), reserved(2, "new"))
    count = s.CountStock(**AT, count_id="c", quantity=3)
    why, counted = "counted 3, expected 5", s.StockCounted(**AT, count_id="c", quantity=3, expected=5)
    given = Given(decider, *promised)
    given.when(count).then(broken(1, "cart", why), broken(2, "new", why), counted)
    after = Given(decider, *promised, broken(1, "cart", why), broken(2, "new", why), counted)
    after.when(count).then()
    assert (after.state.promised, after.state.on_hand) == (2, 3)


def test_what_left_although_its_promise_was_broken_shows_that_the_count_was_wrong() -> None:
    why = "counted 1, expected 5"
    lost = (broken(2, "o", why), s.StockCounted(**AT, count_id="c", quantity=1, expected=5))
    ship = s.ShipStock(**AT, reservation_id="o/1", order_id="o", shipment_id="x")
    found = s.StockAdjusted(
        **AT, quantity=1, adjustment_id="found/x/o/1", reason="left in x though it was not recorded there"
    )
    left = s.StockShipped(**AT, reservation_id="o/1", order_id="o", quantity=2, shipment_id="x", broken=True)
    Given(decider, FIVE, reserved(2, "o"), *lost).when(ship).then(found, left)
    Given(decider, FIVE, reserved(2, "o"), *lost, found, left).when(ship).then()


def test_a_broken_promise_is_settled_when_its_order_releases_it_whole_or_in_parts() -> None:
    lost = (broken(3, "o", "w"), s.StockCounted(**AT, count_id="c", quantity=1, expected=5))
    given = Given(decider, FIVE, reserved(3, "o"), *lost)
    of: Any = {**AT, "reservation_id": "o/1", "order_id": "o"}
    part, rest = s.ReleaseStock(**of, quantity=1, release_id="line"), s.ReleaseStock(**of)
    settled = s.StockBrokenPromiseSettled(**of, quantity=1, left=2, release_id="line")
    given.when(part).then(settled)
    fewer = Given(decider, FIVE, reserved(3, "o"), *lost, settled)
    fewer.when(part).then()
    fewer.when(s.ShipStock(**of, shipment_id="x")).then(
        s.StockAdjusted(
            **AT, quantity=1, adjustment_id="found/x/o/1", reason="left in x though it was not recorded there"
        ),
        s.StockShipped(**of, quantity=2, shipment_id="x", broken=True),
    )
    fewer.when(rest).then(s.StockBrokenPromiseSettled(**of, quantity=2))
    Given(decider, FIVE, reserved(3, "o"), *lost, settled, s.StockBrokenPromiseSettled(**of, quantity=2)).when(
        rest
    ).then()


def test_what_was_never_broken_is_not_settled() -> None:
    rest = s.ReleaseStock(**AT, reservation_id="o/1", order_id="o")
    Given(decider, FIVE).when(rest).then()
    short = s.StockShort(**AT, reservation_id="o/1", order_id="o", quantity=9, available=5)
    Given(decider, FIVE, short).when(rest).then()


def test_an_adjustment_has_a_reason_and_takes_no_more_than_is_there() -> None:
    adjust = s.AdjustStock(**AT, adjustment_id="a", quantity=-2, reason="eaten by mice")
    adjusted = s.StockAdjusted(**AT, adjustment_id="a", quantity=-2, reason="eaten by mice")
    Given(decider, FIVE).when(adjust).then(adjusted)
    Given(decider, FIVE, adjusted).when(adjust).then()
    Given(decider).when(adjust).then_refused("not_there")


def test_damaged_units_are_there_and_not_promised() -> None:
    put_aside = s.ChangeCondition(**AT, change_id="c", quantity=4, condition="damaged", reason="wet")
    aside = s.StockConditionChanged(**AT, change_id="c", quantity=4, was="sellable", condition="damaged", reason="wet")
    Given(decider, FIVE).when(put_aside).then(aside)
    Given(decider, FIVE, aside).when(put_aside).then()
    Given(decider, FIVE, reserved(2, "o")).when(put_aside).then(broken(2, "o", "damaged: wet"), aside)
    Given(decider).when(put_aside).then_refused("not_there")
    state = Given(decider, FIVE, aside).state
    assert (state.on_hand, state.sellable, state.atp) == (5, 1, 1)
    write_off = s.WriteOffStock(**AT, write_off_id="w", quantity=4, reason="wet")
    gone = s.StockWrittenOff(**AT, write_off_id="w", quantity=4, condition="damaged", reason="wet")
    Given(decider, FIVE, aside).when(write_off).then(gone)
    Given(decider, FIVE, aside, gone).when(write_off).then()
    Given(decider, FIVE).when(write_off).then_refused("not_there")


# --- bins, lots, numbers


def lot(name: str, quantity: int, expires_at: Any, bin_name: str = "") -> s.StockReceived:
    return s.StockReceived(
        **AT, receipt_id=f"{name}{bin_name}", quantity=quantity, lot=name, bin=bin_name, lot_expires_at=expires_at
    )


def test_what_expires_first_is_shipped_first() -> None:
    ship = s.ShipStock(**AT, reservation_id="o/1", order_id="o", shipment_id="x")
    physical = (FIVE, lot("late", 5, LATER), lot("soon", 2, NOON, "b"), reserved(4, "o"))
    picks = (s.Pick(bin="b", lot="soon", quantity=2), s.Pick(bin="", lot="late", quantity=2))
    shipped = s.StockShipped(**AT, reservation_id="o/1", order_id="o", quantity=4, shipment_id="x", picks=picks)
    Given(decider, *physical).when(ship).then(shipped)
    Given(decider, *physical, shipped).when(ship).then()


def test_a_lot_goes_into_quarantine_when_its_time_is_over_and_not_before() -> None:
    expire = s.ExpireLot(**AT, lot="soon", now=NOON)
    over = s.StockConditionChanged(
        **AT,
        quantity=2,
        lot="soon",
        was="sellable",
        condition="quarantine",
        change_id="expired/soon/",
        reason="lot soon expired",
        lot_expires_at=NOON,
    )
    Given(decider, lot("soon", 2, NOON)).when(expire).then(over)
    Given(decider, lot("soon", 2, NOON), over).when(expire).then()
    Given(decider, lot("soon", 2, LATER)).when(expire).then()
    Given(decider, lot("soon", 2, NOON), reserved(1, "o")).when(expire).then(broken(1, "o", over.reason), over)


def test_units_move_between_bins_and_are_as_many_as_before() -> None:
    move = s.MoveToBin(**AT, move_id="m", quantity=2, to_bin="b")
    moved = s.StockMovedToBin(**AT, move_id="m", quantity=2, to_bin="b")
    Given(decider, FIVE).when(move).then(moved)
    Given(decider, FIVE, moved).when(move).then()
    Given(decider).when(move).then_refused("not_there")
    assert Given(decider, FIVE, moved).state.on_hand == 5


def test_there_are_only_so_many_bins() -> None:
    full = [s.StockReceived(**AT, receipt_id=f"{n}", quantity=1, bin=f"{n}") for n in range(PLACES_MAX)]
    one_more = s.ReceiveStock(**AT, receipt_id="x", quantity=1, bin="x")
    Given(decider, *full).when(one_more).then_refused("too_many_places")
    Given(decider, *full).when(one_more.model_copy(update={"bin": "1"})).then(
        s.StockReceived(**AT, receipt_id="x", quantity=1, bin="1")
    )


def test_p08_a_numbered_unit_is_here_once_and_leaves_once() -> None:
    admit = s.AdmitSerials(**AT, receipt_id="again", serials=("2", "3"))
    Given(decider, NUMBERED).when(admit).then(s.StockReceived(**AT, receipt_id="again", quantity=1, serials=("3",)))
    Given(decider, NUMBERED).when(admit.model_copy(update={"serials": ("1", "2")})).then()
    ship = s.ShipStock(**AT, reservation_id="o/1", order_id="o", shipment_id="x", serials=("2",))
    shipped = s.StockShipped(
        **AT,
        reservation_id="o/1",
        order_id="o",
        quantity=1,
        shipment_id="x",
        picks=(s.Pick(bin="", lot="", quantity=1),),
        serials=("2",),
    )
    Given(decider, NUMBERED, reserved(1, "o")).when(ship).then(shipped)
    other = ship.model_copy(update={"reservation_id": "p/1", "order_id": "p"})
    (left,) = decider.decide(Given(decider, NUMBERED, reserved(1, "o"), shipped, reserved(1, "p")).state, other)
    assert isinstance(left, s.StockShipped)
    assert left.serials == ("1",)  # 2 has left already


def test_numbered_units_are_named_when_they_leave_one_by_one() -> None:
    write_off = s.WriteOffStock(**AT, write_off_id="w", quantity=1, condition="sellable", reason="stolen")
    Given(decider, NUMBERED).when(write_off).then_refused("serials_needed")
    Given(decider, NUMBERED).when(write_off.model_copy(update={"serials": ("9",)})).then_refused("serial_not_there")
    Given(decider, NUMBERED).when(s.CountStock(**AT, count_id="c", quantity=1)).then_refused("serials_needed")
    count = s.CountStock(**AT, count_id="c", quantity=1, serials=("2",))
    Given(decider, NUMBERED).when(count).then(
        s.StockCounted(**AT, count_id="c", quantity=1, expected=2, serials=("1",))
    )


# --- between locations, and from outside


def test_what_moves_to_another_location_leaves_once_and_only_if_no_one_was_promised_it() -> None:
    move = s.MoveStock(**AT, move_id="m", quantity=3, to_location="paris")
    moved = s.StockMovedOut(**AT, move_id="m", quantity=3, to_location="paris")
    Given(decider, FIVE).when(move).then(moved)
    Given(decider, FIVE, moved).when(move).then()
    Given(decider, FIVE, reserved(3, "o")).when(move).then_refused("promised")
    Given(decider, FIVE).when(move.model_copy(update={"to_location": "berlin"})).then_refused("same_location")


def test_a_move_is_let_in_at_once_or_expected_and_received() -> None:
    admit = s.AdmitMove(**AT, move_id="m", from_location="paris", quantity=3)
    here = s.StockMovedIn(**AT, move_id="m", from_location="paris", quantity=3)
    Given(decider).when(admit).then(here)
    Given(decider, here).when(admit).then()
    expected = s.StockInboundExpected(
        **AT, quantity=3, inbound_id="move/paris/m", promised_at=LATER, move_id="m", from_location="paris"
    )
    Given(decider).when(admit.model_copy(update={"arrives_at": LATER})).then(expected)
    receive = s.ReceiveInbound(**AT, inbound_id="move/paris/m", receipt_id="r")
    arrived = here.model_copy(update={"receipt_id": "r", "inbound_id": "move/paris/m"})
    Given(decider, expected).when(receive).then(arrived)
    Given(decider, expected, arrived).when(receive).then()
    Given(decider, expected).when(receive.model_copy(update={"quantity": 4})).then_refused("exceeds_transit")
    lost = s.CancelInbound(**AT, inbound_id="move/paris/m", reason="fell off the lorry")
    cancelled = s.StockInboundCancelled(
        **AT, inbound_id="move/paris/m", reason=lost.reason, quantity=3, move_id="m", from_location="paris"
    )
    Given(decider, expected).when(lost).then(cancelled)
    Given(decider, expected, cancelled).when(lost).then()


def test_an_inbound_is_expected_promised_again_and_received_in_parts() -> None:
    expect = s.ExpectInbound(**AT, inbound_id="po", quantity=8, promised_at=NOON, request_id="low/1")
    expected = s.StockInboundExpected(**AT, inbound_id="po", quantity=8, promised_at=NOON, request_id="low/1")
    Given(decider).when(expect).then(expected)
    Given(decider, expected).when(expect).then()
    later = expected.model_copy(update={"promised_at": LATER})
    Given(decider, expected).when(expect.model_copy(update={"promised_at": LATER})).then(later)
    some = s.ReceiveInbound(**AT, inbound_id="po", receipt_id="1", quantity=3)
    came = s.StockReceived(**AT, inbound_id="po", receipt_id="1", quantity=3, request_id="low/1", outstanding=5)
    Given(decider, expected).when(some).then(came)
    state = Given(decider, expected, came).state
    assert (state.on_hand, state.supply.inbound) == (3, 5)
    rest = came.model_copy(update={"receipt_id": "2", "quantity": 5, "outstanding": 0})
    Given(decider, expected, came, rest).when(expect).then()  # it has arrived in full
    Given(decider).when(some).then_refused("unknown_inbound")


def test_running_low_is_said_once_until_more_is_on_its_way() -> None:
    point = s.ReorderPointSet(**AT, quantity=3, up_to=10)
    low = s.StockRanLow(**AT, quantity=7, available=3, reorder_point=3, occasion=1)
    Given(decider, FIVE, point).when(reserve(2, "o")).then(reserved(2, "o"), low)
    Given(decider, FIVE, point, reserved(2, "o"), low).when(reserve(1, "p")).then(reserved(1, "p"))
    Given(decider, FIVE, point).when(reserve(1, "o")).then(reserved(1, "o"))
    expected = s.StockInboundExpected(**AT, inbound_id="po", quantity=7, promised_at=NOON)
    assert not Given(decider, FIVE, point, reserved(2, "o"), low, expected).state.supply.low
    Given(decider).when(s.SetReorderPoint(**AT, quantity=3, up_to=10)).then(
        point, low.model_copy(update={"quantity": 10, "available": 0})
    )


def test_no_more_is_asked_for_than_one_command_can_ask_also_below_nothing() -> None:
    below = [s.PresaleLimitSet(**AT, quantity=4), reserved(3, "o", presale=True)]
    (_, low) = list(decider.decide(Given(decider, *below).state, s.SetReorderPoint(**AT, quantity=3, up_to=UNITS_MAX)))
    assert isinstance(low, s.StockRanLow)
    assert (low.available, low.quantity) == (-3, UNITS_MAX)


# --- presales, channels, holds


def test_a_presale_is_promised_up_to_its_limit_and_cannot_leave_before_it_is_covered() -> None:
    limit = s.PresaleLimitSet(**AT, quantity=4)
    sold = reserved(3, "o", presale=True)
    Given(decider, limit).when(reserve(3, "o", presale=True)).then(sold)
    Given(decider, limit, sold).when(reserve(2, "p", presale=True)).then(
        s.StockShort(**AT, reservation_id="p/1", order_id="p", quantity=2, presale=True, available=1)
    )
    Given(decider, limit, sold).when(reserve(3, "o", presale=True)).then()
    ship = s.ShipStock(**AT, reservation_id="o/1", order_id="o", shipment_id="x")
    Given(decider, limit, sold).when(ship).then_refused("not_covered")


def test_presales_are_covered_in_turn_and_a_large_one_is_not_starved() -> None:
    limit, first, second = (
        s.PresaleLimitSet(**AT, quantity=9),
        reserved(5, "o", presale=True),
        reserved(1, "p", presale=True),
    )
    receive = s.ReceiveStock(**AT, receipt_id="r", quantity=4)
    four = s.StockReceived(**AT, receipt_id="r", quantity=4)
    Given(decider, limit, first, second).when(receive).then(four)  # the first waits for one more; none overtakes it
    Given(decider, limit, first, second, four).when(reserve(1, "q")).then(
        s.StockShort(**AT, reservation_id="q/1", order_id="q", quantity=1, available=0)
    )
    two = s.StockReceived(**AT, receipt_id="s", quantity=2)
    covered = [
        s.StockPresaleCovered(**AT, reservation_id=f"{order}/1", order_id=order, quantity=n)
        for order, n in (("o", 5), ("p", 1))
    ]
    given = Given(decider, limit, first, second, four)
    given.when(s.ReceiveStock(**AT, receipt_id="s", quantity=2)).then(two, *covered)
    after = Given(decider, limit, first, second, four, two, *covered)
    assert (after.state.promised, after.state.presold) == (6, 0)


def test_a_channel_is_promised_no_more_than_its_share_less_its_buffer() -> None:
    share = s.ChannelShareSet(**AT, quantity=1, channel="web", share_percent=60)
    Given(decider, FIVE, share).when(reserve(4, "o", channel="web")).then(
        s.StockShort(**AT, reservation_id="o/1", order_id="o", quantity=4, channel="web", available=3)
    )
    Given(decider, FIVE, share).when(reserve(3, "o", channel="web")).then(reserved(3, "o", channel="web"))
    Given(decider, FIVE, share).when(reserve(5, "o", channel="shop")).then(reserved(5, "o", channel="shop"))
    setting = s.SetChannelShare(**AT, channel="web", share_percent=60, buffer_units=1)
    Given(decider).when(setting).then(share)
    Given(decider, share).when(setting).then()


def test_p31_a_shopper_s_retry_takes_the_place_of_their_own_hold() -> None:
    hold = s.ReserveStock(**AT, reservation_id="tab-2", order_id="cart", quantity=5, expires_at=LATER)
    before = s.StockReserved(**AT, reservation_id="tab-1", order_id="cart", quantity=4, expires_at=NOON)
    let_go = s.StockReleased(**AT, reservation_id="tab-1", order_id="cart", quantity=4)
    anew = s.StockReserved(**AT, reservation_id="tab-2", order_id="cart", quantity=5, expires_at=LATER)
    Given(decider, FIVE, before).when(hold).then(let_go, anew)
    Given(decider, FIVE, before, let_go, anew).when(hold).then()
    too_much = hold.model_copy(update={"quantity": 6})
    given = Given(decider, FIVE, before)
    given.when(too_much).then(
        s.StockShort(**AT, reservation_id="tab-2", order_id="cart", quantity=6, available=5)
    )  # and what they held, they keep


# --- conservation


REFUND = s.RestockReturn(**AT, return_id="rma", quantity=2)
RACE: tuple[s.StockCommand, ...] = (
    s.ReserveStock(**AT, reservation_id="p/1", order_id="p", quantity=3),
    s.ShipStock(**AT, reservation_id="o/1", order_id="o", shipment_id="x"),
    REFUND,
    REFUND,
    s.ReleaseStock(**AT, reservation_id="p/1", order_id="p"),
    s.TransferReservation(
        **AT, reservation_id="p/1", order_id="p", to_reservation_id="q/1", to_order_id="q", quantity=1
    ),
)


@settings(deadline=None)
@given(st.permutations(RACE))
def test_p06_p25_a_refund_a_restock_a_split_and_an_order_lose_no_unit_in_any_order(order: list[s.StockCommand]) -> None:
    start = (
        s.ReceiveStock(**AT, receipt_id="r", quantity=3),
        s.ReserveStock(**AT, reservation_id="o/1", order_id="o", quantity=2),
    )
    state, history = lived((*start, *order))
    assert isinstance(state, Stock)
    counts = StockCounts()
    for event in history:
        assert isinstance(event, s.StockEvent)
        counts = counts.note(event)
        assert counts.keeps_its_promises
    assert (state.on_hand, counts.on_hand) == (3, 3)  # 3 came, 2 left, 2 came back
    assert (counts.received, counts.shipped, counts.returned) == (3, 2, 2)
    assert state.promised == sum(held.quantity for held in state.reserved.values())


def test_p25_a_return_goes_where_it_is_said_and_in_the_condition_it_is_in() -> None:
    restock = s.RestockReturn(**AT, return_id="rma", quantity=2, condition="damaged", bin="returns", lot="l")
    back = s.StockReturned(**AT, return_id="rma", quantity=2, condition="damaged", bin="returns", lot="l")
    Given(decider, FIVE).when(restock).then(back)
    state = Given(decider, FIVE, back).state
    assert (state.on_hand, state.sellable, state.atp) == (7, 5, 5)
