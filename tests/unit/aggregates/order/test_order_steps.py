"""The steps that an order takes without a command of a person: requests, releases, completion."""

from __future__ import annotations

from typing import Any

from oms_es.aggregates.order.transitions import BALANCE_DUE_SECONDS
from oms_es.schemas import order as o
from order_story import (
    A2,
    B1,
    DUE,
    FULFILLING,
    GONE,
    ID,
    LOCKING,
    NOON,
    OF,
    PLACE,
    OrderScenario,
    dispatched,
    granted,
    locked,
    paid,
    parcel,
    placed,
    source,
    stopped,
)

GIFT = o.Tender(method="gift_card", payment_token="gift", amount_minor=700)
IN_PARTS = (placed(tenders=(GIFT,)), *LOCKING)
DELIVERED = (parcel(o.RecordShipmentDelivered, 1), parcel(o.RecordShipmentDelivered, 2))
CANCEL = o.CancelOrder(**OF, reason="changed their mind")


def short(sku: str, location: str, n: int, attempt: int = 1) -> o.RecordShortage:
    return o.RecordShortage(**OF, reservation_id=f"{ID}/{attempt}", sku=sku, location=location, quantity=n)


# --- asked for


def test_what_is_sourced_says_all_that_sourcing_weighs() -> None:
    place = placed(priority=4, delivery_option="express", allow_split=False)
    scenario = OrderScenario(place, source(1, A2, B1), locked(1, B1), short(*A2))
    asked = scenario.only(o.OrderSourcingRequested)
    assert (asked.demand, asked.excluded, asked.held) == ({"A": 2}, {"A": ("berlin",)}, ("paris",))
    assert (asked.priority, asked.delivery_option, asked.allow_split, asked.kind) == (4, "express", False, "standard")
    assert (asked.channel, asked.ship_to) == ("web", place.ship_to)
    assert asked.short == o.Reservation(reservation_id=f"{ID}/1", sku="A", location="berlin", quantity=2)


def test_every_place_that_failed_in_this_round_is_left_out_and_what_is_unanswered_is_asked_again_with_the_rest() -> (
    None
):
    scenario = OrderScenario(PLACE, source(1, ("A", "rome", 1), ("A", "berlin", 1), B1))
    scenario.submit(short("A", "rome", 1))
    first = scenario.only(o.OrderSourcingRequested)
    assert (first.attempt, first.demand, first.excluded) == (2, {"A": 1}, {"A": ("rome",)})
    scenario.submit(short("A", "berlin", 1))
    again = scenario.only(o.OrderSourcingRequested)
    assert (again.attempt, again.demand, again.excluded) == (3, {"A": 2}, {"A": ("berlin", "rome")})
    assert again.held == ("paris",)
    assert scenario.submit(source(2, ("A", "milan", 1))) == [], "nobody waits for that answer any more"


def test_what_waits_says_what_it_can_use() -> None:
    place = placed(delivery_option="express", allow_split=False, priority=2)
    scenario = OrderScenario(place, source(1, ("A", "berlin", 1), B1, A=1))
    waits = scenario.only(o.OrderBackordered)
    assert waits.terms
    assert (waits.demand, waits.priority, waits.placed_at) == ({"A": 1}, 2, NOON)
    assert (waits.terms.held, waits.terms.delivery_option, waits.terms.allow_split) == (
        ("berlin", "paris"),
        "express",
        False,
    )
    assert (waits.terms.destination.country, waits.terms.channel, waits.terms.kind) == ("DE", "web", "standard")


# --- due


def test_one_payment_by_card_goes_without_saying_and_any_other_is_reported() -> None:
    plain = OrderScenario(*DUE).only(o.OrderAllocated)
    assert (plain.payments, plain.payment_id, plain.payment_token) == ((), f"{ID}.1", "on-file")
    whole = o.Tender(method="gift_card", payment_token="gift", amount_minor=1050)
    by_gift = OrderScenario(placed(tenders=(whole,)), *LOCKING).only(o.OrderAllocated)
    assert [(due.method, due.amount_minor) for due in by_gift.payments] == [("gift_card", 1050)]
    assert by_gift.payment_token == "gift"
    free = OrderScenario(placed(discount_minor=1050), *LOCKING)
    nothing = free.history[-2]
    assert isinstance(nothing, o.OrderAllocated)
    assert (nothing.payment_id, nothing.amount_minor, nothing.payments) == (f"{ID}.1", 0, ())


def test_a_balance_is_due_when_the_presale_says_or_after_a_week() -> None:
    for more, seconds in (({}, BALANCE_DUE_SECONDS), ({"balance_due_seconds": 60}, 60)):
        presale = placed(kind="presale", deposit_minor=250, available_by=NOON, **more)
        scenario = OrderScenario(presale, LOCKING[0], locked(1, A2, presale=True), locked(1, B1), paid())
        assert scenario.only(o.OrderPresold).available_by == NOON
        scenario.submit(o.RecordPresaleCovered(**OF, reservation_id=f"{ID}/1", sku="A", location="berlin"))
        due = scenario.only(o.OrderBalanceDue)
        assert (due.due_seconds, due.currency) == (seconds, "EUR")


# --- released, shipped, over


def test_one_parcel_per_place_and_who_bears_it_is_reported_only_where_several_do() -> None:
    released = OrderScenario(*DUE, paid()).last[-1]
    assert isinstance(released, o.OrderReleased)
    assert [
        (plan.shipment_id, plan.location, plan.amount_minor, plan.shipping_minor) for plan in released.shipments
    ] == [
        (f"{ID}.1", "berlin", 630, 30),
        (f"{ID}.2", "paris", 420, 20),
    ]
    assert all(plan.charges == () for plan in released.shipments)
    assert (released.payment_id, released.currency, released.ship_to) == (f"{ID}.1", "EUR", PLACE.ship_to)


def test_an_order_is_over_when_everything_has_arrived_and_not_before() -> None:
    scenario = OrderScenario(*GONE)
    assert scenario.shapes() == ["OrderShipmentDispatched", "OrderShipped"]
    scenario.submit(DELIVERED[0])
    assert scenario.shapes() == ["OrderShipmentDelivered"]
    scenario.submit(DELIVERED[1])
    assert scenario.shapes() == ["OrderShipmentDelivered", "OrderCompleted"]
    over = scenario.only(o.OrderCompleted)
    assert (over.payment_id, over.payment_ids) == (f"{ID}.1", ())
    assert [(charge.shipment_id, charge.payment_id, charge.amount_minor) for charge in over.charges] == [
        (f"{ID}.1", f"{ID}.1", 630),
        (f"{ID}.2", f"{ID}.1", 420),
    ]


def test_an_order_that_several_paid_for_says_so_when_it_is_over() -> None:
    scenario = OrderScenario(*IN_PARTS, paid(1), paid(2), dispatched(1), dispatched(2), *DELIVERED)
    over = scenario.only(o.OrderCompleted)
    assert over.payment_ids == (f"{ID}.1", f"{ID}.2")
    assert [(charge.shipment_id, charge.payment_id, charge.amount_minor) for charge in over.charges] == [
        (f"{ID}.1", f"{ID}.1", 630),
        (f"{ID}.2", f"{ID}.1", 70),
        (f"{ID}.2", f"{ID}.2", 350),
    ]


def test_of_parcels_that_were_stopped_one_by_one_the_last_ends_the_order() -> None:
    scenario = OrderScenario(*FULFILLING, stopped(1))
    assert scenario.shapes() == ["OrderShipmentCancelled"]
    scenario.submit(stopped(2))
    assert scenario.shapes() == ["OrderShipmentCancelled", "OrderCancelled"]
    assert scenario.only(o.OrderCancelled).reason == "a shipment was to be stopped"
    asked = OrderScenario(*FULFILLING, CANCEL, stopped(1), stopped(2))
    assert asked.only(o.OrderCancelled).reason == "changed their mind"
    one_left = OrderScenario(*FULFILLING, stopped(1), dispatched(2))
    assert one_left.shapes() == ["OrderShipmentDispatched", "OrderShipped"]


def test_what_is_cancelled_says_what_it_had_and_what_it_was_worth() -> None:
    lacking = OrderScenario(PLACE, source(1, A2, B=1), locked(1, A2), CANCEL).only(o.OrderCancelled)
    held = [(held.reservation_id, held.sku, held.location, held.quantity) for held in lacking.reservations]
    assert held == [(f"{ID}/1", *A2)]
    assert (lacking.backordered, lacking.payment_id, lacking.payment_ids) == ({"B": 1}, None, ())
    scenario: tuple[Any, ...] = (
        lacking.channel,
        lacking.placed_at,
        lacking.currency,
        lacking.total_minor,
        lacking.units,
    )
    assert scenario == ("web", NOON, "EUR", 1050, 3)
    both = OrderScenario(*IN_PARTS, paid(1), CANCEL).only(o.OrderCancelled)
    assert (both.payment_id, both.payment_ids) == (f"{ID}.1", (f"{ID}.1", f"{ID}.2"))


def test_an_exchange_that_is_cancelled_gives_its_credit_back_whole_and_any_other_order_has_none() -> None:
    exchange = granted(300)
    scenario = OrderScenario(exchange, CANCEL)
    assert scenario.shapes() == ["OrderCancelled", "OrderCreditLeft"]
    left = scenario.only(o.OrderCreditLeft)
    assert (left.exchange_of, left.amount_minor, left.currency) == ("rma-1", 300, "EUR")
    nothing_used = granted(1050)
    assert OrderScenario(nothing_used, *LOCKING).shapes()[-1] == "OrderReleased"
    assert OrderScenario(PLACE, CANCEL).shapes() == ["OrderCancelled"]


def test_the_credit_of_a_parcel_that_is_stopped_goes_back_with_the_rest_of_the_order() -> None:
    scenario = OrderScenario(granted(1000), *LOCKING, paid(), stopped(1), dispatched(2))
    assert scenario.shapes() == ["OrderShipmentDispatched", "OrderShipped", "OrderCreditLeft"]
    worth = scenario.state.plans[f"{ID}.2"].worth_minor
    assert scenario.only(o.OrderCreditLeft).amount_minor == 1000 - (worth - 50), "50 were paid"
    whole = OrderScenario(granted(1000), *LOCKING, paid(), dispatched(1), dispatched(2))
    assert whole.shapes() == ["OrderShipmentDispatched", "OrderShipped"]


def test_the_credit_of_an_exchange_that_is_stopped_whole_goes_back_beside_what_was_left_of_it() -> None:
    scenario = OrderScenario(granted(1100), *LOCKING)
    first = scenario.only(o.OrderCreditLeft)
    scenario.submit(stopped(1))
    scenario.submit(stopped(2))
    rest = scenario.only(o.OrderCreditLeft)
    assert [(left.amount_minor, left.credit_id) for left in (first, rest)] == [(50, ""), (1050, "rest")]


def test_a_cent_of_credit_that_is_left_is_given_back() -> None:
    exchange = granted(1051)
    assert OrderScenario(exchange, *LOCKING).only(o.OrderCreditLeft).amount_minor == 1


def test_of_a_presale_it_is_reported_that_it_is_one_and_what_is_no_longer_wanted_of_it_is_not_waited_for() -> None:
    presale = placed(kind="presale", deposit_minor=250, available_by=NOON)
    assert OrderScenario(presale, LOCKING[0]).only(o.OrderSourced).kind == "presale"
    only_b = o.AmendOrder(**OF, amendment_id="a", lines=PLACE.lines[1:])
    scenario = OrderScenario(presale, LOCKING[0], locked(1, A2, presale=True), only_b)
    assert not scenario.state.presale_pending
    assert scenario.submit(o.RecordPresaleCovered(**OF, reservation_id=f"{ID}/1", sku="A", location="berlin")) == []
