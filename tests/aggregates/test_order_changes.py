"""Three tests per rule: amendments and cancelled lines move the difference and nothing else, at every stage."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from oms_es.kernel import Command, Event, Refused
from oms_es.schemas import order as o
from order_story import (
    A2,
    B1,
    DUE,
    FULFILLING,
    GONE,
    ID,
    OF,
    PLACE,
    Told,
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
    told = Told(*commands[:-1])
    with pytest.raises(Refused) as refused:
        told.tell(commands[-1])
    return refused.value.reason


def cut(sku: str, location: str, quantity: int, remaining: int, attempt: int = 1) -> o.Cut:
    return o.Cut(reservation_id=f"{ID}/{attempt}", sku=sku, location=location, quantity=quantity, remaining=remaining)


def test_another_address_touches_neither_stock_nor_money() -> None:
    told = Told(*DUE, amend(ship_to=PARIS))
    assert told.shapes() == ["OrderAmended"]
    amended = told.only(o.OrderAmended)
    assert (amended.released, amended.payments_cancelled, amended.more_minor) == ((), (), 0)
    released = Told(*DUE, amend(ship_to=PARIS, delivery_option="express"), paid()).only(o.OrderReleased)
    assert (released.ship_to, released.delivery_option) == (PARIS, "express")


def test_p22_a_price_only_amendment_touches_no_stock() -> None:
    cheaper = amend(lines=(line("1", "A", 2, 250), LINES[1]), shipping_minor=0)
    for so_far in range(1, len(DUE) + 1):
        told = Told(*DUE[:so_far], cheaper)
        assert not of_shape(Event, [event for event in told.last if isinstance(event, STOCK_EVENTS)])
        assert told.last[0].released == ()  # type: ignore[attr-defined] # an amendment
        assert told.total == 900


def test_another_amount_is_asked_for_anew_and_the_old_payment_is_undone() -> None:
    told = Told(*DUE, amend(shipping_minor=0))
    assert told.shapes() == ["OrderAmended", "OrderAllocated"]
    assert told.only(o.OrderAmended).payments_cancelled == (f"{ID}.1",)
    due = told.only(o.OrderAllocated)
    assert (due.payment_id, due.amount_minor) == (f"{ID}.2", 1000)
    assert told.tell(paid(1)) == []
    assert told.tell(paid(2))


def test_more_units_are_sought_and_what_is_locked_stays_locked() -> None:
    told = Told(*DUE, amend(lines=(line("1", "A", 3), LINES[1])))
    assert told.shapes() == ["OrderAmended", "OrderSourcingRequested"]
    assert told.only(o.OrderSourcingRequested).demand == {"A": 1}
    assert told.only(o.OrderAmended).released == ()
    told = Told(*DUE, amend(lines=(line("1", "A", 3), LINES[1])), source(2, ("A", "rome", 1)))
    told.tell(locked(2, ("A", "rome", 1)))
    assert told.only(o.OrderAllocated).amount_minor == 1350


def test_fewer_units_are_let_go_of_where_they_are() -> None:
    fewer = amend(lines=(line("1", "A", 1), LINES[1]))
    assert Told(*DUE, fewer).only(o.OrderAmended).released == (cut("A", "berlin", 1, 1),)
    assert Told(PLACE, fewer).only(o.OrderAmended).no_longer_sought == {"A": 1}
    assert Told(PLACE, fewer).only(o.OrderSourcingRequested).demand == {"A": 1, "B": 1}
    waiting = (PLACE, source(1, B1, A=2))
    assert Told(*waiting, fewer).only(o.OrderAmended).no_longer_backordered == {"A": 1}


def test_the_answer_to_what_is_no_longer_asked_is_void() -> None:
    told = Told(PLACE, amend(lines=(line("1", "A", 1), LINES[1])))
    assert told.tell(source(1, A2, B1)) == []
    assert told.tell(source(told.state.attempt, ("A", "berlin", 1), B1))


def test_a_lock_that_comes_after_the_amendment_counts_for_what_is_left() -> None:
    told = Told(PLACE, source(1, A2, B1), amend(lines=(line("1", "A", 1), LINES[1])), locked(1, A2))
    assert told.only(o.OrderLineAllocated).quantity == 1
    none_of_it = Told(PLACE, source(1, A2, B1), amend(lines=(LINES[1],)))
    assert none_of_it.tell(locked(1, A2)) == []


def test_what_an_order_no_longer_lacks_it_no_longer_waits_for() -> None:
    told = Told(PLACE, source(1, A2, B=1), locked(1, A2), amend(lines=(LINES[0],)))
    assert told.shapes() == ["OrderAmended", "OrderAllocated"]
    assert told.state.phase == "awaiting_payment"


def test_an_amendment_happens_once_and_one_that_changes_nothing_is_none() -> None:
    told = Told(*DUE, amend(ship_to=PARIS))
    assert told.tell(amend(ship_to=PARIS)) == []
    assert told.tell(amend("b", ship_to=PARIS)) == []


def test_what_was_released_is_not_amended_and_nonsense_is_not_accepted() -> None:
    assert refusal(*FULFILLING, amend(ship_to=PARIS)) == "already_released"
    assert refusal(*DUE, amend(discount_minor=9_999)) == "invalid_amendment"
    assert refusal(amend(ship_to=PARIS)) == "unknown_order"


# --- lines that are cancelled


def test_units_of_a_line_are_cancelled_with_their_part_of_discount_and_tax() -> None:
    priced = placed(discount_minor=100, tax_minor=19)
    told = Told(priced, *DUE[1:], cancel_lines(_1=1))
    cancelled = told.only(o.OrderLinesCancelled)
    assert cancelled.released == (cut("A", "berlin", 1, 1),)
    assert (cancelled.discount_minor, cancelled.tax_minor) == (70, 14)
    assert told.total == priced.total_minor + cancelled.more_minor == 300 + 400 + 50 + 14 - 70
    assert told.tell(cancel_lines(_1=1)) == []


def test_the_last_units_cancel_the_order() -> None:
    assert Told(*DUE, cancel_lines(_1=2, _2=1)).shapes() == ["OrderCancelled"]
    assert refusal(*DUE, cancel_lines(_1=3)) == "no_such_units"
    assert refusal(*DUE, cancel_lines(_9=1)) == "no_such_units"


def test_after_the_release_the_parcel_is_stopped_and_the_rest_of_it_is_planned_anew() -> None:
    told = Told(*FULFILLING, cancel_lines(_1=1))
    assert told.only(o.OrderLinesCancellationRequested).shipment_ids == (f"{ID}.1",)
    assert told.tell(cancel_lines(_1=1)) == []
    told.tell(stopped(1))
    assert told.shapes() == ["OrderShipmentCancelled", "OrderLinesCancelled", "OrderShipmentPlanned"]
    assert told.only(o.OrderShipmentCancelled).released == ()
    assert told.only(o.OrderLinesCancelled).released == (cut("A", "berlin", 1, 1),)
    plan = told.only(o.OrderShipmentPlanned).plan
    assert (plan.shipment_id, plan.amount_minor, [item.quantity for item in plan.items]) == (f"{ID}.3", 330, [1])
    assert told.total == 750


def test_a_whole_parcel_of_cancelled_lines_is_not_planned_anew() -> None:
    told = Told(*FULFILLING, cancel_lines(_2=1), stopped(2))
    assert told.shapes() == ["OrderShipmentCancelled", "OrderLinesCancelled"]
    assert (told.total, told.state.phase) == (650, "fulfilling")
    told.tell(dispatched(1))
    assert told.state.phase == "shipped"


def test_a_parcel_that_would_not_stop_keeps_its_lines() -> None:
    told = Told(*FULFILLING, cancel_lines(_1=1), parcel(o.RecordShipmentKept, 1))
    assert told.only(o.OrderCancellationRefused).reason == "too many"
    assert told.total == 1050
    assert refusal(*FULFILLING, cancel_lines(_1=1), parcel(o.RecordShipmentKept, 1), cancel_lines("d", _1=1)) == (
        "already_shipped"
    )


@pytest.mark.parametrize("gone", [(*FULFILLING, dispatched(1)), GONE])
def test_p20_what_has_left_is_not_cancelled(gone: tuple[Command, ...]) -> None:
    """Shipped is never more than ordered less cancelled."""
    assert refusal(*gone, cancel_lines(_1=1)) == "already_shipped"


def test_p21_a_cancellation_at_every_stage_lets_go_of_everything_it_held() -> None:
    for so_far in range(1, len(DUE) + 1):
        told = Told(*DUE[:so_far])
        held = {**dict(told.state.awaited.items()), **dict(told.state.allocated.items())}
        told.tell(o.CancelOrder(**OF, reason=""))
        cancelled = told.only(o.OrderCancelled)
        assert {(r.reservation_id, r.sku, r.location): r.quantity for r in cancelled.reservations} == held
        assert (cancelled.payment_id is not None) == (so_far == len(DUE))


# --- messages in another order than they were sent in


def early(*messages: Command) -> Told:
    return Told(*messages)


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


def test_an_early_amendment_that_does_not_fit_is_told_and_stops_nobody() -> None:
    told = Told(amend(discount_minor=9_999, keep=True), PLACE)
    assert told.shapes() == ["OrderPlaced", "OrderAmendmentRefused"]
    assert told.state.phase == "sourcing"


def test_without_being_asked_to_keep_it_nobody_keeps_a_message_about_an_unknown_order() -> None:
    assert refusal(o.CancelOrder(**OF, reason="")) == "unknown_order"
