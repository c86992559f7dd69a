"""Amendments and cancelled lines change stock and money by the difference alone, at every stage; three tests per
rule.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from oms_es.aggregates.order.placement import EARLY_REPORTS_MAX
from oms_es.kernel import Command, Event, Refused
from oms_es.schemas import order as o
from order_story import (
    A2,
    B1,
    DUE,
    FULFILLING,
    GONE,
    ID,
    LOCKING,
    OF,
    PLACE,
    OrderScenario,
    dispatched,
    locked,
    of_shape,
    paid,
    parcel,
    placed,
    source,
    stopped,
    units,
)

PARIS = o.Address(city="Paris", country="FR")
STOCK_EVENTS = (o.OrderSourced, o.OrderSourcingRequested, o.OrderBackordered)


def amend(amendment_id: str = "a", **changes: Any) -> o.AmendOrder:
    return o.AmendOrder(**OF, amendment_id=amendment_id, **changes)


def line(line_id: str, sku: str, quantity: int, price: int = 300) -> o.OrderLine:
    return o.OrderLine(line_id=line_id, sku=sku, quantity=quantity, unit_price_minor=price)


LINES = (line("1", "A", 2), line("2", "B", 1, 400))


def cancel_lines(cancellation_id: str = "c", **by_line: int) -> o.CancelOrderLines:
    return o.CancelOrderLines(**OF, cancellation_id=cancellation_id, lines=units(**by_line), reason="too many")


def refusal(*commands: Command) -> str:
    scenario = OrderScenario(*commands[:-1])
    with pytest.raises(Refused) as refused:
        scenario.submit(commands[-1])
    return refused.value.reason


def cut(sku: str, location: str, quantity: int, remaining: int, attempt: int = 1) -> o.Cut:
    return o.Cut(reservation_id=f"{ID}/{attempt}", sku=sku, location=location, quantity=quantity, remaining=remaining)


def test_another_address_touches_neither_stock_nor_money() -> None:
    scenario = OrderScenario(*DUE, amend(ship_to=PARIS))
    assert scenario.shapes() == ["OrderAmended"]
    amended = scenario.only(o.OrderAmended)
    assert (amended.released, amended.payments_cancelled, amended.more_minor) == ((), (), 0)
    released = OrderScenario(*DUE, amend(ship_to=PARIS, delivery_option="express"), paid()).only(o.OrderReleased)
    assert (released.ship_to, released.delivery_option) == (PARIS, "express")


def test_p22_a_price_only_amendment_touches_no_stock() -> None:
    cheaper = amend(lines=(line("1", "A", 2, 250), LINES[1]), shipping_minor=0)
    for so_far in range(1, len(DUE) + 1):
        scenario = OrderScenario(*DUE[:so_far], cheaper)
        assert not of_shape(Event, [event for event in scenario.last if isinstance(event, STOCK_EVENTS)])
        assert scenario.last[0].released == ()  # type: ignore[attr-defined] # an amendment
        assert scenario.total == 900


def test_another_amount_is_asked_for_again_and_the_old_payment_is_undone() -> None:
    scenario = OrderScenario(*DUE, amend(shipping_minor=0))
    assert scenario.shapes() == ["OrderAmended", "OrderAllocated"]
    assert scenario.only(o.OrderAmended).payments_cancelled == (f"{ID}.1",)
    due = scenario.only(o.OrderAllocated)
    assert (due.payment_id, due.amount_minor) == (f"{ID}.2", 1000)
    assert scenario.submit(paid(1)) == []
    assert scenario.submit(paid(2))


def test_more_units_are_sourced_and_what_is_locked_stays_locked() -> None:
    scenario = OrderScenario(*DUE, amend(lines=(line("1", "A", 3), LINES[1])))
    assert scenario.shapes() == ["OrderAmended", "OrderSourcingRequested"]
    assert scenario.only(o.OrderSourcingRequested).demand == {"A": 1}
    assert scenario.only(o.OrderAmended).released == ()
    scenario = OrderScenario(*DUE, amend(lines=(line("1", "A", 3), LINES[1])), source(2, ("A", "rome", 1)))
    scenario.submit(locked(2, ("A", "rome", 1)))
    assert scenario.only(o.OrderAllocated).amount_minor == 1350


def test_fewer_units_are_released_where_they_are() -> None:
    fewer = amend(lines=(line("1", "A", 1), LINES[1]))
    assert OrderScenario(*DUE, fewer).only(o.OrderAmended).released == (cut("A", "berlin", 1, 1),)
    assert OrderScenario(PLACE, fewer).only(o.OrderAmended).no_longer_sought == {"A": 1}
    assert OrderScenario(PLACE, fewer).only(o.OrderSourcingRequested).demand == {"A": 1, "B": 1}
    waiting = (PLACE, source(1, B1, A=2))
    assert OrderScenario(*waiting, fewer).only(o.OrderAmended).no_longer_backordered == {"A": 1}


def test_the_answer_to_what_is_no_longer_asked_is_void() -> None:
    scenario = OrderScenario(PLACE, amend(lines=(line("1", "A", 1), LINES[1])))
    assert scenario.submit(source(1, A2, B1)) == []
    assert scenario.submit(source(scenario.state.attempt, ("A", "berlin", 1), B1))


def test_a_lock_that_comes_after_the_amendment_counts_for_what_is_left() -> None:
    scenario = OrderScenario(PLACE, source(1, A2, B1), amend(lines=(line("1", "A", 1), LINES[1])), locked(1, A2))
    assert scenario.only(o.OrderLineAllocated).quantity == 1
    none_of_it = OrderScenario(PLACE, source(1, A2, B1), amend(lines=(LINES[1],)))
    assert none_of_it.submit(locked(1, A2)) == []


def test_what_an_order_no_longer_lacks_it_no_longer_waits_for() -> None:
    scenario = OrderScenario(PLACE, source(1, A2, B=1), locked(1, A2), amend(lines=(LINES[0],)))
    assert scenario.shapes() == ["OrderAmended", "OrderAllocated"]
    assert scenario.state.phase == "awaiting_payment"


def test_an_amendment_happens_once_and_one_that_changes_nothing_is_none() -> None:
    scenario = OrderScenario(*DUE, amend(ship_to=PARIS))
    assert scenario.submit(amend(ship_to=PARIS)) == []
    assert scenario.submit(amend("b", ship_to=PARIS)) == []


def test_what_was_released_is_not_amended_and_nonsense_is_not_accepted() -> None:
    assert refusal(*FULFILLING, amend(ship_to=PARIS)) == "already_released"
    assert refusal(*DUE, amend(discount_minor=9_999)) == "invalid_amendment"
    assert refusal(amend(ship_to=PARIS)) == "unknown_order"


# --- lines that are cancelled


def test_units_of_a_line_are_cancelled_with_their_part_of_discount_and_tax() -> None:
    priced = placed(discount_minor=100, tax_minor=19)
    scenario = OrderScenario(priced, *DUE[1:], cancel_lines(_1=1))
    cancelled = scenario.only(o.OrderLinesCancelled)
    assert cancelled.released == (cut("A", "berlin", 1, 1),)
    assert (cancelled.discount_minor, cancelled.tax_minor) == (70, 14)
    assert scenario.total == priced.total_minor + cancelled.more_minor == 300 + 400 + 50 + 14 - 70
    assert scenario.submit(cancel_lines(_1=1)) == []


def test_the_last_units_cancel_the_order() -> None:
    assert OrderScenario(*DUE, cancel_lines(_1=2, _2=1)).shapes() == ["OrderCancelled"]
    assert refusal(*DUE, cancel_lines(_1=3)) == "no_such_units"
    assert refusal(*DUE, cancel_lines(_9=1)) == "no_such_units"


def test_after_the_release_the_parcel_is_stopped_and_the_rest_of_it_is_planned_again() -> None:
    scenario = OrderScenario(*FULFILLING, cancel_lines(_1=1))
    assert scenario.only(o.OrderLinesCancellationRequested).shipment_ids == (f"{ID}.1",)
    assert scenario.submit(cancel_lines(_1=1)) == []
    scenario.submit(stopped(1))
    assert scenario.shapes() == ["OrderShipmentCancelled", "OrderLinesCancelled", "OrderShipmentPlanned"]
    assert scenario.only(o.OrderShipmentCancelled).released == ()
    assert scenario.only(o.OrderLinesCancelled).released == (cut("A", "berlin", 1, 1),)
    plan = scenario.only(o.OrderShipmentPlanned).plan
    assert (plan.shipment_id, plan.amount_minor, [item.quantity for item in plan.items]) == (f"{ID}.3", 330, [1])
    assert scenario.total == 750


def test_a_whole_parcel_of_cancelled_lines_is_not_planned_again() -> None:
    scenario = OrderScenario(*FULFILLING, cancel_lines(_2=1), stopped(2))
    assert scenario.shapes() == ["OrderShipmentCancelled", "OrderLinesCancelled"]
    assert (scenario.total, scenario.state.phase) == (650, "fulfilling")
    scenario.submit(dispatched(1))
    assert scenario.state.phase == "shipped"


def test_a_parcel_that_would_not_stop_keeps_its_lines() -> None:
    scenario = OrderScenario(*FULFILLING, cancel_lines(_1=1), parcel(o.RecordShipmentKept, 1))
    assert scenario.only(o.OrderCancellationRefused).reason == "too many"
    assert scenario.total == 1050
    assert refusal(*FULFILLING, cancel_lines(_1=1), parcel(o.RecordShipmentKept, 1), cancel_lines("d", _1=1)) == (
        "already_shipped"
    )


@pytest.mark.parametrize("gone", [(*FULFILLING, dispatched(1)), GONE])
def test_p20_what_has_left_is_not_cancelled(gone: tuple[Command, ...]) -> None:
    """Shipped is never more than ordered less cancelled."""
    assert refusal(*gone, cancel_lines(_1=1)) == "already_shipped"


def test_p21_a_cancellation_at_every_stage_releases_everything_it_held() -> None:
    for so_far in range(1, len(DUE) + 1):
        scenario = OrderScenario(*DUE[:so_far])
        held = {**dict(scenario.state.requested.items()), **dict(scenario.state.allocated.items())}
        scenario.submit(o.CancelOrder(**OF, reason=""))
        cancelled = scenario.only(o.OrderCancelled)
        assert {(r.reservation_id, r.sku, r.location): r.quantity for r in cancelled.reservations} == held
        assert (cancelled.payment_id is not None) == (so_far == len(DUE))


# --- messages in another order than they were sent in


def early(*messages: Command) -> OrderScenario:
    return OrderScenario(*messages)


CHANNEL = (
    PLACE,
    amend("r1", ship_to=PARIS, shipping_minor=10, revision=1, keep=True),
    amend("r2", shipping_minor=20, revision=2, keep=True),
)


@pytest.mark.parametrize("messages", [*permutations(CHANNEL)])
@pytest.mark.parametrize("repeats", [1, 2])
def test_p18_amendments_converge_in_whichever_order_and_however_often_they_arrive(
    messages: tuple[Command, ...], repeats: int
) -> None:
    content = early(*messages * repeats).state.content
    assert content
    assert (content.ship_to, content.shipping_minor) == (PARIS, 20)


@pytest.mark.parametrize("messages", [*permutations((*CHANNEL, o.CancelOrder(**OF, reason="", keep=True)))])
def test_p18_a_cancellation_that_comes_before_its_order_cancels_it(messages: tuple[Command, ...]) -> None:
    assert early(*messages, *messages).state.phase == "cancelled"


def test_an_early_amendment_that_does_not_fit_is_reported_and_stops_no_one() -> None:
    scenario = OrderScenario(amend(discount_minor=9_999, keep=True), PLACE)
    assert scenario.shapes() == ["OrderPlaced", "OrderAmendmentRefused"]
    assert scenario.state.phase == "sourcing"


def test_without_being_asked_to_keep_it_no_one_keeps_a_message_about_an_unknown_order() -> None:
    assert refusal(o.CancelOrder(**OF, reason="")) == "unknown_order"


def test_only_so_much_is_kept_of_an_order_that_does_not_come_and_its_cancellation_always() -> None:
    kept = [amend(f"a{n}", shipping_minor=n, keep=True) for n in range(EARLY_REPORTS_MAX - 1)]
    refund = o.RecordChannelRefund(**OF, refund_id="r", keep=True)
    scenario = OrderScenario(*kept, refund)
    assert scenario.submit(refund) == scenario.submit(kept[0]) == [], "a repeat is no more"
    for more in (
        amend("more", shipping_minor=1, keep=True),
        o.RecordChannelRefund(**OF, refund_id="more", keep=True),
        o.RecordFulfilment(**OF, fulfilment_id="f", lines=units(_1=1), keep=True),
    ):
        with pytest.raises(Refused, match="send it first") as refused:
            scenario.submit(more)
        assert refused.value.reason == "too_many_kept"
    assert len(scenario.submit(o.CancelOrder(**OF, reason="", keep=True))) == 1


# --- what waits for an order that never comes


WAITING: tuple[tuple[o.EarlyCommand, str], ...] = (
    (amend(shipping_minor=1, keep=True, called="web/1"), "amendment"),
    (o.CancelOrder(**OF, reason="", keep=True, called="web/1"), "cancellation"),
    (o.RecordFulfilment(**OF, fulfilment_id="f", lines=units(_1=1), keep=True, called="web/1"), "fulfilment"),
    (o.RecordChannelRefund(**OF, refund_id="r", keep=True, called="web/1"), "refund"),
)
CHASE = o.ChasePlacement(**OF)


@pytest.mark.parametrize(("came_early", "kind"), WAITING)
def test_an_order_that_something_waits_for_and_that_does_not_come_is_missed_once(
    came_early: o.EarlyCommand, kind: str
) -> None:
    scenario = OrderScenario(came_early, CHASE)
    missed = scenario.only(o.OrderPlacementOverdue)
    assert (missed.waiting, missed.called) == ((kind,), "web/1")
    assert scenario.submit(CHASE) == []
    assert scenario.submit(came_early) == []
    assert scenario.submit(CHASE) == [], "it was scenario, and nothing new waits"


def test_it_is_missed_again_once_more_waits_for_it() -> None:
    scenario = OrderScenario(WAITING[0][0], CHASE, WAITING[1][0], CHASE)
    assert scenario.only(o.OrderPlacementOverdue).waiting == ("amendment", "cancellation")


def test_an_order_that_came_or_that_nothing_waits_for_is_not_missed() -> None:
    assert OrderScenario(*(early for early, _ in WAITING[:1]), PLACE).submit(CHASE) == []
    assert OrderScenario(WAITING[0][0], CHASE, PLACE).state.content == PLACE_AT_ONE_MORE.state.content
    assert OrderScenario(PLACE).submit(CHASE) == []
    assert OrderScenario().submit(CHASE) == []


PLACE_AT_ONE_MORE = OrderScenario(PLACE, amend(shipping_minor=1))


# --- only the difference moves


ROME1 = ("A", "rome", 1)
SECOND_LOCK = (amend("more", lines=(line("1", "A", 3), LINES[1])), source(2, ROME1), locked(2, ROME1))
ROME = o.Address(city="Rome", country="IT")


def test_of_two_amendments_of_one_revision_the_last_holds_and_a_person_is_informed() -> None:
    scenario = OrderScenario(PLACE, amend("r1", ship_to=PARIS, revision=1, keep=True))
    assert scenario.submit(amend("r5", ship_to=PARIS, revision=1, keep=True)) == []
    amended, disputed = scenario.submit(amend("r9", ship_to=ROME, revision=1, keep=True))
    assert isinstance(amended, o.OrderAmended)
    assert amended.ship_to == ROME
    assert isinstance(disputed, o.OrderReportDisputed)
    assert "ship_to" in disputed.detail
    assert scenario.submit(amend("r9", ship_to=ROME, revision=1, keep=True)) == []
    assert scenario.submit(amend("r2", ship_to=ROME, revision=2, keep=True))


def test_a_revision_that_says_the_same_of_what_is_released_says_nothing_and_another_is_too_late() -> None:
    scenario = OrderScenario(*FULFILLING)
    assert scenario.state.content
    cost = scenario.state.content.shipping_minor
    assert scenario.submit(amend("r1", shipping_minor=cost, revision=1, keep=True)) == []
    with pytest.raises(Refused, match="already_released"):
        scenario.submit(amend("r2", shipping_minor=cost + 1, revision=2, keep=True))


def test_a_newer_revision_that_says_the_same_is_remembered_against_the_late_ones() -> None:
    scenario = OrderScenario(PLACE, amend("r3", shipping_minor=50, revision=3, keep=True))
    assert scenario.shapes() == ["OrderAmended"]
    assert scenario.submit(amend("r2", shipping_minor=10, revision=2, keep=True)) == []


def test_a_product_that_is_added_is_sourced_alone_and_one_in_exchange_releases_the_other() -> None:
    scenario = OrderScenario(*DUE, amend(lines=(*LINES, line("3", "C", 2))))
    assert scenario.only(o.OrderSourcingRequested).demand == {"C": 2}
    amended = scenario.only(o.OrderAmended)
    assert (amended.units, amended.more_units, amended.more_minor, amended.released) == (5, 2, 600, ())
    scenario = OrderScenario(*DUE, amend(lines=(LINES[0], line("2", "C", 1, 400))))
    assert scenario.only(o.OrderSourcingRequested).demand == {"C": 1}
    assert scenario.only(o.OrderAmended).released == (cut("B", "paris", 1, 0),)


@pytest.mark.parametrize("change", [{"ship_to": PARIS}, {"delivery_option": "express"}])
def test_what_is_lacking_is_sourced_again_where_it_shall_go_now(change: dict[str, Any]) -> None:
    scenario = OrderScenario(PLACE, source(1, B1, A=2), locked(1, B1), amend(**change))
    assert scenario.shapes() == ["OrderAmended", "OrderSourcingRequested"]
    assert scenario.only(o.OrderSourcingRequested).demand == {"A": 2}


def test_an_order_that_costs_nothing_any_more_is_released_without_money() -> None:
    free: Any = {"lines": (line("1", "A", 2, 0), line("2", "B", 1, 0)), "shipping_minor": 0}
    scenario = OrderScenario(*DUE, amend(**free))
    assert scenario.only(o.OrderAmended).payments_cancelled == (f"{ID}.1",)
    assert scenario.state.phase == "fulfilling"
    lacking = OrderScenario(placed(**free), source(1, A2, B=1), locked(1, A2), amend(lines=(line("1", "A", 2, 0),)))
    assert lacking.state.phase == "fulfilling"


def test_a_deposit_may_be_all_that_is_left_to_pay_but_not_more() -> None:
    presale = placed(kind="presale", deposit_minor=300, available_by=PLACE.placed_at, shipping_minor=0)
    deposited = (presale, LOCKING[0], locked(1, A2, presale=True), locked(1, B1))
    cheaper = amend(lines=(line("1", "A", 1),))
    assert OrderScenario(*deposited, cheaper).only(o.OrderAmended).payments_cancelled == ()
    assert refusal(*deposited, cheaper, amend("b", lines=(line("1", "A", 1, 299),))) == "invalid_amendment"


def test_units_go_first_from_what_is_lacking_or_sourced_and_then_from_locks() -> None:
    lacking = OrderScenario(PLACE, source(1, ("A", "berlin", 1), B1, A=1), amend(lines=(line("1", "A", 1), LINES[1])))
    amended = lacking.only(o.OrderAmended)
    assert (amended.no_longer_backordered, amended.released) == ({"A": 1}, ())
    four = amend("four", lines=(line("1", "A", 4), LINES[1]))
    sought = OrderScenario(*DUE, four, amend("three", lines=(line("1", "A", 3), LINES[1])))
    amended = sought.only(o.OrderAmended)
    assert (amended.no_longer_sought, amended.released) == ({"A": 1}, ())
    assert sought.only(o.OrderSourcingRequested).demand == {"A": 1}


def test_the_newest_locks_go_first_and_older_ones_for_what_is_left() -> None:
    newest, older = cut("A", "rome", 1, 0, 2), cut("A", "berlin", 1, 1)
    for quantity, released in ((2, (newest,)), (1, (newest, older))):
        scenario = OrderScenario(*DUE, *SECOND_LOCK, amend(lines=(line("1", "A", quantity), LINES[1])))
        assert scenario.only(o.OrderAmended).released == released
    none_left = OrderScenario(*DUE, *SECOND_LOCK, amend(lines=(LINES[1],)))
    assert none_left.only(o.OrderAmended).released == (newest, cut("A", "berlin", 2, 0))


def test_the_tenth_attempt_is_newer_than_the_ninth() -> None:
    story: list[Command] = [*DUE]
    for attempt in range(2, 11):
        one = ("A", f"place-{attempt}", 1)
        more = amend(f"{attempt}", lines=(line("1", "A", 1 + attempt), LINES[1]))
        story += [more, source(attempt, one), locked(attempt, one)]
    scenario = OrderScenario(*story, amend(lines=(line("1", "A", 10), LINES[1])))
    assert scenario.only(o.OrderAmended).released == (cut("A", "place-10", 1, 0, 10),)


# --- several cancellations at once


CANCEL = o.CancelOrder(**OF, reason="changed their mind")
A1_EACH = (("A", "berlin", 1), ("A", "paris", 1))


def released_from(place: o.PlaceOrder, *held: tuple[str, str, int]) -> tuple[Command, ...]:
    return (place, source(1, *held), *(locked(1, one) for one in held), paid())


IN_TWO_PLACES = released_from(placed(lines=(line("1", "A", 2),)), *A1_EACH)
THREE = placed(lines=(line("1", "A", 3),))


def asked_of(*commands: Command) -> tuple[str, ...]:
    return OrderScenario(*commands).only(o.OrderLinesCancellationRequested).shipment_ids


def test_lines_of_a_cancelled_order_are_cancelled_already() -> None:
    assert OrderScenario(*DUE, CANCEL, cancel_lines(_1=1)).last == []
    cancelling = OrderScenario(*FULFILLING, CANCEL)
    assert cancelling.state.phase == "cancelling"
    assert cancelling.submit(cancel_lines(_1=1)) == []


def test_a_line_that_is_named_twice_is_cancelled_twice() -> None:
    twice = o.CancelOrderLines(**OF, cancellation_id="c", lines=(*units(_1=1), *units(_1=1)), reason="too many")
    cancelled = OrderScenario(*DUE, twice).only(o.OrderLinesCancelled)
    assert cancelled.cancelled == units(_1=2)


def test_no_more_parcels_are_stopped_than_need_be() -> None:
    assert asked_of(*IN_TWO_PLACES, cancel_lines(_1=1)) == (f"{ID}.1",)
    assert asked_of(*IN_TWO_PLACES, cancel_lines(_1=2)) == (f"{ID}.1", f"{ID}.2")


def test_units_that_one_cancellation_waits_for_are_not_promised_to_another() -> None:
    one = cancel_lines("c1", _1=1)
    assert asked_of(*IN_TWO_PLACES, one, cancel_lines("c2", _1=1)) == (f"{ID}.2",)
    assert refusal(*IN_TWO_PLACES, one, cancel_lines("c2", _1=2)) == "already_shipped"
    uneven = released_from(THREE, A2, ("A", "paris", 1))
    assert asked_of(*uneven, one, cancel_lines("c2", _1=2)) == (f"{ID}.1", f"{ID}.2")
    assert asked_of(*uneven, one, cancel_lines("c2", _1=1)) == (f"{ID}.1",)


def test_the_parcel_that_has_the_line_is_stopped_and_not_one_with_the_same_product() -> None:
    two_lines = placed(lines=(line("1", "A", 1), line("2", "A", 1)))
    story = released_from(two_lines, *A1_EACH)
    asked = {asked_of(*story, cancel_lines(_1=1)), asked_of(*story, cancel_lines(_2=1))}
    assert asked == {(f"{ID}.1",), (f"{ID}.2",)}


def test_a_cancelled_order_releases_a_stopped_parcel_whole_although_lines_of_it_were_cancelled_before() -> None:
    scenario = OrderScenario(*FULFILLING, cancel_lines(_1=1), CANCEL, stopped(1))
    assert scenario.only(o.OrderShipmentCancelled).released == (cut("A", "berlin", 2, 0),)
    assert not of_shape(o.OrderLinesCancelled, scenario.last)


def test_two_cancellations_of_one_parcel_are_both_kept_when_it_is_stopped() -> None:
    three = released_from(THREE, ("A", "berlin", 3))
    scenario = OrderScenario(*three, cancel_lines("c1", _1=1), cancel_lines("c2", _1=1), stopped(1))
    assert scenario.shapes() == [
        "OrderShipmentCancelled", "OrderLinesCancelled", "OrderLinesCancelled", "OrderShipmentPlanned"
    ]  # fmt: skip
    assert [event.more_minor for event in of_shape(o.OrderLinesCancelled, scenario.last)] == [-300, -300]
    assert [event.total_minor for event in of_shape(o.OrderLinesCancelled, scenario.last)] == [650, 350]
    assert scenario.total == 350
    assert scenario.only(o.OrderShipmentPlanned).plan.amount_minor == 350


def test_several_units_of_a_line_are_taken_out_of_a_parcel() -> None:
    scenario = OrderScenario(*released_from(THREE, ("A", "berlin", 3)), cancel_lines(_1=2), stopped(1))
    assert scenario.only(o.OrderLinesCancelled).released == (cut("A", "berlin", 2, 1),)
    plan = scenario.only(o.OrderShipmentPlanned).plan
    assert ([item.quantity for item in plan.items], [share.quantity for share in plan.lines]) == ([1], [1])
    assert (plan.amount_minor, plan.charges) == (350, ())


def test_other_lines_of_the_parcel_stay_whole() -> None:
    scenario = OrderScenario(*released_from(PLACE, A2, ("B", "berlin", 1)), cancel_lines(_1=1), stopped(1))
    plan = scenario.only(o.OrderShipmentPlanned).plan
    assert {item.sku: item.quantity for item in plan.items} == {"A": 1, "B": 1}
    assert {share.sku: (share.quantity, share.amount_minor) for share in plan.lines} == {"A": (1, 300), "B": (1, 400)}
    assert scenario.only(o.OrderLinesCancelled).cancelled == units(_1=1)


def test_two_lines_of_one_product_are_taken_out_together_and_of_several_locks_only_as_many() -> None:
    lines = (line("1", "A", 2), line("2", "A", 2))
    both = o.CancelOrderLines(**OF, cancellation_id="c", lines=units(_1=1, _2=1), reason="")
    scenario = OrderScenario(*released_from(placed(lines=lines), ("A", "berlin", 4)), both, stopped(1))
    assert scenario.only(o.OrderLinesCancelled).released == (cut("A", "berlin", 2, 2),)
    more = ("A", "berlin", 1)
    two_locks = OrderScenario(
        *DUE, amend("more", lines=(line("1", "A", 3), LINES[1])), source(2, more), locked(2, more)
    )
    two_locks.submit(paid(len(two_locks.state.payments)))
    two_locks.submit(cancel_lines(_1=2))
    two_locks.submit(stopped(1))
    released = two_locks.only(o.OrderLinesCancelled).released
    assert sum(one.quantity for one in released) == 2
    plan = two_locks.only(o.OrderShipmentPlanned).plan
    assert sum(item.quantity for item in plan.items) == sum(share.quantity for share in plan.lines) == 1


def test_what_is_planned_again_goes_the_way_the_order_goes_and_is_still_to_be_shipped() -> None:
    scenario = OrderScenario(
        *DUE, amend(delivery_option="express", ship_to=PARIS), paid(), dispatched(2), cancel_lines(_1=1)
    )
    scenario.submit(stopped(1))
    planned = scenario.only(o.OrderShipmentPlanned)
    assert (planned.delivery_option, planned.ship_to, planned.payment_id) == ("express", PARIS, f"{ID}.1")
    assert scenario.shapes() == ["OrderShipmentCancelled", "OrderLinesCancelled", "OrderShipmentPlanned"]
    assert scenario.state.phase == "fulfilling"


# --- what came before its order


def test_a_cancellation_alone_before_its_order_cancels_it() -> None:
    early_cancel = o.CancelOrder(**OF, reason="changed their mind", keep=True)
    scenario = OrderScenario(early_cancel)
    assert scenario.shapes() == ["OrderCancellationKept"]
    assert scenario.submit(early_cancel) == []
    scenario.submit(PLACE)
    assert scenario.only(o.OrderCancelled).reason == "changed their mind"


def test_amendments_before_their_order_are_made_in_turn_those_without_a_revision_first() -> None:
    without = amend("b", shipping_minor=10, keep=True)
    scenario = OrderScenario(without, amend("a", shipping_minor=20, revision=1, keep=True))
    assert scenario.submit(without) == []
    scenario.submit(PLACE)
    amended = of_shape(o.OrderAmended, scenario.last)
    assert [(event.amendment_id, event.more_minor) for event in amended] == [("b", -40), ("a", 10)]
    assert scenario.total == 1020


def test_an_early_amendment_that_is_refused_says_why() -> None:
    scenario = OrderScenario(amend(discount_minor=9_999, keep=True), PLACE)
    assert scenario.only(o.OrderAmendmentRefused).reason.startswith("invalid_amendment")


# --- reservations that did not hold


def short_of(units_held: tuple[str, str, int], attempt: int = 1) -> o.RecordShortage:
    sku, location, n = units_held
    return o.RecordShortage(**OF, reservation_id=f"{ID}/{attempt}", sku=sku, location=location, quantity=n)


def test_a_lock_that_is_lost_while_the_order_still_lacks_something_is_sourced_again() -> None:
    lacking = (PLACE, source(1, A2, B=1), locked(1, A2))
    backordered = OrderScenario(*lacking)
    assert backordered.state.phase == "backordered"
    sourcing = OrderScenario(*lacking, o.RetrySourcing(**OF))
    assert sourcing.state.phase == "sourcing"
    allocating = OrderScenario(PLACE, source(1, A2, B1), locked(1, A2))
    assert allocating.state.phase == "allocating"
    for scenario in (backordered, sourcing, allocating):
        scenario.submit(short_of(A2))
        assert scenario.only(o.OrderSourcingRequested).demand["A"] == 2
        assert scenario.submit(short_of(A2)) == []
    assert OrderScenario(*DUE).submit(short_of(A2)) == [], "money is due: a person decides"


@pytest.mark.parametrize("price", [500, 501, 997])
@pytest.mark.parametrize("discount", [0, 1, 99])
def test_one_of_two_bundles_is_cancelled_at_what_it_costs_though_its_parts_share_it_unevenly(
    price: int, discount: int
) -> None:
    sets = placed(lines=(line("1", "SET", 2, price),), discount_minor=discount, tax_minor=7)
    held = (("CUP", "berlin", 4), ("POT", "berlin", 2))
    exploded = o.ExplodeBundles(**OF, attempt=1, bundles={"SET": {"CUP": 2, "POT": 1}})
    scenario = OrderScenario(sets, exploded, source(2, *held), *(locked(2, one) for one in held), cancel_lines(_1=1))
    cancelled = scenario.only(o.OrderLinesCancelled)
    assert cancelled.more_minor == scenario.total - sets.total_minor
    assert {one.sku: (one.quantity, one.remaining) for one in cancelled.released} == {"CUP": (2, 2), "POT": (1, 1)}
    assert 0 <= (cancelled.discount_minor or 0) <= discount
    scenario.submit(cancel_lines("d", _1=1))
    assert scenario.state.phase == "cancelled"
