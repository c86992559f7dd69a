"""What an order remembers of what happened to it, as far as it decides otherwise because of it."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from typing import Any

import pytest

from oms_es.aggregates.order.decider import decider
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas import stock as s
from order_story import (
    A2,
    B1,
    DUE,
    FULFILLING,
    ID,
    NOON,
    OF,
    PLACE,
    OrderScenario,
    declined,
    dispatched,
    locked,
    paid,
    parcel,
    placed,
    source,
    units,
)

OVER = NOON + timedelta(days=1)
FRAUD = o.HoldOrder(**OF, kind="fraud")
SPLIT = o.SplitOrder(**OF, split_id="s", lines=units(_1=1))
RETRY = o.RetryPayment(**OF)


def amend(amendment_id: str = "a", **changes: Any) -> o.AmendOrder:
    return o.AmendOrder(**OF, amendment_id=amendment_id, **changes)


def short(attempt: int, sku: str, location: str, n: int) -> o.RecordShortage:
    return o.RecordShortage(**OF, reservation_id=f"{ID}/{attempt}", sku=sku, location=location, quantity=n)


def override(to: Any, **more: Any) -> o.OverrideOrder:
    return o.OverrideOrder(**OF, **{"override_id": "x", "to": to, "reason": "as agreed", **more})


def test_an_event_that_means_nothing_to_an_order_leaves_it_as_it_is() -> None:
    state = OrderScenario(*DUE).state
    foreign: Any = s.StockReceived(sku="A", location="berlin", receipt_id="r", quantity=1)
    assert decider.evolve(state, foreign) == state


# --- what was said in which revision


def test_an_order_that_came_with_a_revision_ignores_what_its_channel_said_before() -> None:
    scenario = OrderScenario(placed(revision=5))
    assert scenario.submit(amend("old", shipping_minor=60, revision=4)) == []
    scenario.submit(amend("new", shipping_minor=70, revision=6))
    assert scenario.only(o.OrderAmended).shipping_minor == 70


def test_what_was_amended_before_the_channel_refunded_does_not_bring_the_units_back() -> None:
    refund = o.RecordChannelRefund(**OF, refund_id="r", lines=units(_1=1), revision=7)
    scenario = OrderScenario(*DUE, refund)
    assert scenario.submit(amend("old", lines=PLACE.lines, revision=6)) == []
    scenario.submit(amend("new", lines=PLACE.lines, revision=8))
    assert scenario.total == 1050


def test_an_order_that_its_channel_refunded_whole_knows_the_refund_again() -> None:
    refund = o.RecordChannelRefund(**OF, refund_id="r", lines=units(_1=2, _2=1))
    scenario = OrderScenario(*DUE, refund)
    assert scenario.state.phase == "cancelled"
    assert scenario.submit(refund) == []
    with pytest.raises(Refused, match="refund_id r is known"):
        scenario.submit(refund.model_copy(update={"lines": units(_1=1)}))
    assert scenario.submit(refund.model_copy(update={"refund_id": "other"})) == []


# --- what is sourced


def test_of_what_could_not_be_promised_is_sourced_again_what_is_lacking_and_once() -> None:
    waits = o.OrderBackordered(**OF, attempt=1, demand={"A": 2, "B": 1}, placed_at=NOON)
    state = reduce(decider.evolve, [*OrderScenario(PLACE).history, waits], decider.initial)
    (again,) = decider.decide(state, o.RetrySourcing(**OF))
    assert isinstance(again, o.OrderSourcingRequested)
    assert (again.demand, again.attempt) == ({"A": 2, "B": 1}, 2)


def test_units_that_are_no_longer_wanted_while_they_are_sourced_leave_the_order_waiting_for_the_rest() -> None:
    without_a = o.CancelOrderLines(**OF, cancellation_id="c", lines=units(_1=2), reason="too many")
    scenario = OrderScenario(PLACE, source(1, A2, B1), short(1, *A2), without_a)
    assert scenario.state.phase == "allocating"
    scenario = OrderScenario(PLACE, source(1, A2, B=1), short(1, *A2), without_a)
    assert scenario.state.phase == "backordered"


def test_an_answer_to_what_was_wanted_once_is_no_answer_to_what_is_wanted_again() -> None:
    without_a, with_a = amend("a1", lines=PLACE.lines[1:]), amend("a2", lines=PLACE.lines)
    scenario = OrderScenario(PLACE, source(1, A2, B1), short(1, *A2))
    late = scenario.only(o.OrderSourcingRequested).attempt
    scenario.submit(without_a)
    scenario.submit(with_a)
    asked = scenario.only(o.OrderSourcingRequested)
    assert (asked.demand, asked.attempt) == ({"A": 2}, late + 1)
    rome = ("A", "rome", 2)
    assert scenario.submit(source(late, rome)) == []
    assert scenario.submit(source(late + 1, rome))


def test_another_price_while_units_are_sourced_leaves_the_answer_valid() -> None:
    scenario = OrderScenario(PLACE, amend(shipping_minor=60))
    assert [type(event) for event in scenario.submit(source(1, A2, B1))] == [o.OrderSourced]


def test_units_of_a_presale_that_are_lost_and_found_in_stock_elsewhere_are_not_waited_for() -> None:
    presale = placed(kind="presale", deposit_minor=250, available_by=NOON)
    rome = ("A", "rome", 2)
    to_come = (presale, source(1, A2, B1), locked(1, A2, presale=True), short(1, *A2))
    scenario = OrderScenario(*to_come, source(2, rome), locked(2, rome), locked(1, B1))
    assert scenario.only(o.OrderAllocated).amount_minor == 1050, "all of it, as all of it is there"


# --- holds


def test_a_hold_that_is_placed_again_without_an_end_has_none() -> None:
    with_end = o.HoldOrder(**OF, kind="address", until=OVER)
    release = o.ReleaseHold(**OF, kind="address")
    scenario = OrderScenario(*DUE, with_end, release, o.HoldOrder(**OF, kind="address"))
    assert scenario.submit(o.ChaseHold(**OF, kind="address", now=OVER)) == []
    scenario.submit(SPLIT)
    assert scenario.only(o.OrderSplit).holds == (o.Hold(kind="address"),)


def test_a_hold_says_whose_money_is_gone_and_one_of_another_kind_does_not() -> None:
    gone = [
        o.RecordMoneyGone(**OF, payment_id=f"{ID}.1", effect=f"dispute/{n}", why="disputed", amount_minor=1)
        for n in (1, 2)
    ]
    parted = OrderScenario(*DUE, FRAUD, *gone, SPLIT).only(o.OrderSplit)
    both = f"money of {ID}.1 is gone (dispute/1), money of {ID}.1 is gone (dispute/2)"
    assert parted.holds == (o.Hold(kind="fraud"), o.Hold(kind="payment", note=both))


def test_money_that_is_back_after_the_goods_left_releases_nothing() -> None:
    gone = o.RecordMoneyGone(**OF, payment_id=f"{ID}.1", effect="dispute/1", why="disputed", amount_minor=1050)
    back = o.RecordMoneyBack(**OF, payment_id=f"{ID}.1", effect="dispute/1")
    scenario = OrderScenario(*FULFILLING, gone, dispatched(1), dispatched(2))
    assert scenario.state.phase == "shipped"
    assert [type(event) for event in scenario.submit(back)] == [o.OrderMoneyBack]


# --- what a person overrides


def test_an_order_that_is_sourced_again_by_hand_waits_for_none_of_its_former_units() -> None:
    presale = placed(kind="presale", deposit_minor=250, available_by=NOON)
    scenario = OrderScenario(presale, source(1, A2, B1), locked(1, A2, presale=True), FRAUD, override("sourcing"))
    assert scenario.submit(locked(1, B1)) == [], "it is asked for again"
    scenario.submit(source(2, A2, B1))
    scenario.submit(locked(2, A2))
    scenario.submit(locked(2, B1))
    assert scenario.only(o.OrderAllocated).amount_minor == 1050, "nothing of it is still to come"
    scenario.submit(paid())
    assert scenario.shapes() == ["OrderPaymentSecured"]
    assert scenario.state.phase == "held", "fraud was not ruled out"


def test_a_payment_hold_outlasts_that_the_order_is_sourced_again_and_ends_with_its_release_by_hand() -> None:
    gone = o.RecordMoneyGone(**OF, payment_id=f"{ID}.1", effect="dispute/1", why="disputed", amount_minor=1)
    back = o.RecordMoneyBack(**OF, payment_id=f"{ID}.1", effect="dispute/1")
    held = (*DUE, o.HoldOrder(**OF, kind="fraud"), paid(), gone)
    again = OrderScenario(*held, override("sourcing"))
    assert [type(event) for event in again.submit(back)] == [o.OrderMoneyBack, o.OrderHoldReleased]
    released = OrderScenario(*held, override("released"))
    assert [type(event) for event in released.submit(back)] == [o.OrderMoneyBack]


# --- payments


def test_an_order_is_paid_by_the_payment_that_came_at_last() -> None:
    scenario = OrderScenario(*DUE, declined(), RETRY, paid(2))
    assert scenario.only(o.OrderReleased).payment_id == f"{ID}.2"
    for number in (1, 2):
        scenario.submit(dispatched(number))
        scenario.submit(parcel(o.RecordShipmentDelivered, number))
    over = scenario.only(o.OrderCompleted)
    assert (over.payment_id, over.payment_ids) == (f"{ID}.2", ())
    assert [charge.payment_id for charge in over.charges] == [f"{ID}.2"] * 2


def test_a_payment_that_is_withdrawn_after_the_release_stops_what_has_not_left() -> None:
    withdrawn = o.RecordPaymentWithdrawn(**OF, payment_id=f"{ID}.1", reason="let go at the provider")
    scenario = OrderScenario(*FULFILLING, dispatched(1), withdrawn)
    assert scenario.only(o.OrderCancellationRequested).shipment_ids == (f"{ID}.2",)
    assert scenario.submit(withdrawn) == []


# --- parts of other orders


def test_an_order_that_became_part_of_another_has_no_units_left() -> None:
    waits = OrderScenario(PLACE, source(1, A2, B=1), locked(1, A2), o.YieldToMerge(**OF, to_order_id="m"))
    assert waits.only(o.OrderMergedInto).backordered == {"B": 1}
    assert (dict(waits.state.allocated.items()), dict(waits.state.backordered.items())) == ({}, {})
    assert waits.submit(o.RetrySourcing(**OF)) == []


def test_the_attempts_of_an_order_that_began_with_units_of_others_are_numbered_on() -> None:
    """Each attempt's reservations have its number in their names."""
    content = OrderScenario(PLACE).state.content
    assert content
    joined = o.PlaceJoined(**OF, from_order_id="x", content=content, transfers=(), backordered={"A": 2, "B": 1})
    scenario = OrderScenario(joined)
    assert scenario.only(o.OrderBackordered).attempt == 2
    scenario.submit(o.RetrySourcing(**OF))
    assert scenario.only(o.OrderSourcingRequested).attempt == 3
