"""The way of an order, and every way off it; three tests per rule: it happens, nothing happens, it is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.order.decider import Order, decider
from oms_es.kernel import Command, Event
from oms_es.schemas import order as o

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BERLIN = o.Address(city="Berlin", country="DE")
LINES = (
    o.OrderLine(line_id="1", sku="A", quantity=2, unit_price_minor=300),
    o.OrderLine(line_id="2", sku="B", quantity=1, unit_price_minor=400),
)
PLACE = o.PlaceOrder(
    channel="web", external_id="1", placed_at=NOON, currency="EUR", lines=LINES, ship_to=BERLIN, shipping_minor=50
)
ID = PLACE.order_id
OF: Any = {"order_id": ID}
CONTENT: Any = {name: getattr(PLACE, name) for name in o.OrderContent.model_fields}
PLACED = o.OrderPlaced(**OF, **CONTENT, fingerprint=PLACE.fingerprint)
PAYMENT = f"{ID}.1"

Units = tuple[str, str, int]  # SKU, location, quantity
A2, B1 = ("A", "berlin", 2), ("B", "paris", 1)


def source(attempt: int, *units: Units, backordered: dict[str, int] | None = None) -> o.SourceOrder:
    assigned = tuple(o.Assignment(sku=sku, location=location, quantity=n) for sku, location, n in units)
    return o.SourceOrder(**OF, attempt=attempt, assignments=assigned, backordered=backordered or {}, rule_version="1")


def sourced(attempt: int, *units: Units) -> o.OrderSourced:
    command = source(attempt, *units)
    return o.OrderSourced(
        **OF, attempt=attempt, assignments=command.assignments, candidates=(), rule_version="1", channel="web"
    )


def backordered(attempt: int, held: tuple[str, ...] = (), **demand: int) -> o.OrderBackordered:
    terms = o.SourcingTerms(channel="web", destination=o.Destination(country="DE"), held=held)
    return o.OrderBackordered(**OF, attempt=attempt, demand=demand, placed_at=NOON, terms=terms)


def sourcing_requested(
    attempt: int,
    demand: dict[str, int],
    short: o.Reservation | None = None,
    held: tuple[str, ...] = (),
    **excluded: tuple[str, ...],
) -> o.OrderSourcingRequested:
    return o.OrderSourcingRequested(
        **OF,
        attempt=attempt,
        demand=demand,
        excluded=excluded,
        ship_to=BERLIN,
        short=short,
        channel="web",
        held=held,
    )


def held(attempt: int, units: Units) -> Any:
    sku, location, n = units
    return {"reservation_id": f"{ID}/{attempt}", "sku": sku, "location": location, "quantity": n}


def reservation(attempt: int, units: Units) -> o.Reservation:
    return o.Reservation(**held(attempt, units))


def record_reservation(attempt: int, units: Units) -> o.RecordReservation:
    return o.RecordReservation(**OF, **held(attempt, units))


def record_shortage(attempt: int, units: Units) -> o.RecordShortage:
    return o.RecordShortage(**OF, **held(attempt, units))


def allocated(attempt: int, units: Units) -> o.OrderLineAllocated:
    return o.OrderLineAllocated(**OF, **held(attempt, units))


ALLOCATED = o.OrderAllocated(
    **OF, payment_id=PAYMENT, amount_minor=1050, currency="EUR", channel="web", country="DE", payment_token="on-file"
)
RELEASED = o.OrderReleased(
    **OF,
    payment_id=PAYMENT,
    currency="EUR",
    ship_to=BERLIN,
    shipments=(
        o.ShipmentPlan(
            shipment_id=f"{ID}.1",
            location="berlin",
            items=(reservation(1, A2),),
            amount_minor=630,
            lines=(o.LineShare(line_id="1", sku="A", quantity=2, amount_minor=600),),
            shipping_minor=30,
        ),
        o.ShipmentPlan(
            shipment_id=f"{ID}.2",
            location="paris",
            items=(reservation(1, B1),),
            amount_minor=420,
            lines=(o.LineShare(line_id="2", sku="B", quantity=1, amount_minor=400),),
            shipping_minor=20,
        ),
    ),
)
SOURCED = (PLACED, sourced(1, A2, B1))
AWAITING_PAYMENT = (*SOURCED, allocated(1, A2), allocated(1, B1), ALLOCATED)
FULFILLING = (*AWAITING_PAYMENT, RELEASED)
PAID = o.RecordPaymentAuthorized(**OF, payment_id=PAYMENT)
UNPAID = o.RecordPaymentFailed(**OF, payment_id=PAYMENT, reason="declined")
CANCEL = o.CancelOrder(**OF, reason="changed their mind")
LAPSE = o.LapseOrder(**OF)
RETRY = o.RetrySourcing(**OF)
CANCELLATION_REQUESTED = o.OrderCancellationRequested(**OF, reason=CANCEL.reason, shipment_ids=(f"{ID}.1", f"{ID}.2"))
SHIPPED = o.OrderShipped(**OF)
TAKEN_BY_1, TAKEN_BY_2 = (
    o.ParcelCharge(shipment_id=f"{ID}.{n}", payment_id=PAYMENT, amount_minor=share) for n, share in ((1, 630), (2, 420))
)
COMPLETED = o.OrderCompleted(**OF, payment_id=PAYMENT, charges=(TAKEN_BY_1, TAKEN_BY_2))


def of(shipment: int) -> Any:
    return {**OF, "shipment_id": f"{ID}.{shipment}"}


def dispatched(shipment: int) -> o.OrderShipmentDispatched:
    return o.OrderShipmentDispatched(**of(shipment))


def delivered(shipment: int) -> o.OrderShipmentDelivered:
    return o.OrderShipmentDelivered(**of(shipment))


def stopped(shipment: int) -> o.OrderShipmentCancelled:
    items = RELEASED.shipments[shipment - 1].items
    return o.OrderShipmentCancelled(
        **of(shipment), released=tuple(o.Cut(**item.model_dump(), remaining=0) for item in items)
    )


def kept(shipment: int, reason: str = CANCEL.reason) -> o.OrderCancellationRefused:
    return o.OrderCancellationRefused(**OF, reason=reason, shipment_ids=(f"{ID}.{shipment}",))


def cancelled(
    reason: str, *reservations: o.Reservation, paying: bool = False, lacking: dict[str, int] | None = None
) -> o.OrderCancelled:
    return o.OrderCancelled(
        **OF,
        reason=reason,
        reservations=reservations,
        payment_id=PAYMENT if paying else None,
        backordered=lacking or {},
        channel="web",
        placed_at=NOON,
        currency="EUR",
        total_minor=1050,
        units=3,
    )


def given_order(*events: Event) -> Given:
    return Given(decider, *events)


def history(*commands: Command) -> tuple[list[Event], Order]:
    """Return the events of a sequence of commands, and the state after them."""
    events: list[Event] = []
    state = Order()
    for command in commands:
        new = list(decider.decide(state, command))
        state = reduce(decider.evolve, new, state)
        events += new
    return events, state


def test_an_order_is_placed_once() -> None:
    given_order().when(PLACE).then(PLACED)
    given_order(PLACED).when(PLACE).then()
    given_order(*FULFILLING).when(PLACE).then()


def test_other_content_under_the_same_id_is_kept_whole_and_once() -> None:
    other = PLACE.model_copy(update={"shipping_minor": 60})
    conflict = o.DuplicateConflictFound(
        **OF, fingerprint=other.fingerprint, content=o.OrderContent(**{**CONTENT, "shipping_minor": 60})
    )
    given_order(PLACED).when(other).then(conflict)
    given_order(PLACED, conflict).when(other).then()
    given_order(PLACED, conflict).when(PLACE).then()


def test_people_are_informed_that_an_order_is_unknown() -> None:
    given_order().when(CANCEL).then_refused("unknown_order")


def test_what_the_engine_reports_of_an_order_that_no_one_placed_stops_no_one() -> None:
    for command in (LAPSE, PAID, RETRY, source(1, A2, B1), record_reservation(1, A2)):
        given_order().when(command).then()


def test_sourcing_answers_the_whole_demand_of_its_attempt() -> None:
    given_order(PLACED).when(source(1, A2, B1)).then(sourced(1, A2, B1))
    given_order(*SOURCED).when(source(1, A2, B1)).then()
    given_order(PLACED).when(source(2, A2, B1)).then()
    given_order(PLACED).when(source(1, A2)).then_refused("demand_not_met")
    given_order(PLACED).when(source(1, A2, B1, ("B", "rome", 1))).then_refused("demand_not_met")


def test_what_no_location_can_promise_is_backordered() -> None:
    given_order(PLACED).when(source(1, A2, backordered={"B": 1})).then(sourced(1, A2), backordered(1, ("berlin",), B=1))
    partly = (PLACED, sourced(1, A2), backordered(1, B=1))
    given_order(*partly).when(record_reservation(1, A2)).then(allocated(1, A2))
    assert given_order(*partly).state.phase == "allocating"
    assert given_order(*partly, allocated(1, A2)).state.phase == "backordered"
    assert given_order(PLACED, sourced(1), backordered(1, A=2, B=1)).state.phase == "backordered"


def test_two_assignments_of_one_sku_at_one_location_are_one_reservation() -> None:
    split = source(1, ("A", "berlin", 1), ("A", "berlin", 1), B1)
    short = record_shortage(1, A2)
    events, _ = history(PLACE, split, short)
    assert events[-1] == sourcing_requested(2, {"A": 2}, reservation(1, A2), ("paris",), A=("berlin",))


def test_the_money_is_due_when_every_unit_is_locked() -> None:
    given_order(*SOURCED).when(record_reservation(1, A2)).then(allocated(1, A2))
    given_order(*SOURCED, allocated(1, A2)).when(record_reservation(1, B1)).then(allocated(1, B1), ALLOCATED)
    given_order(*SOURCED, allocated(1, A2)).when(record_reservation(1, A2)).then()
    given_order(*AWAITING_PAYMENT).when(record_reservation(1, B1)).then()
    given_order(*SOURCED, cancelled("x")).when(record_reservation(1, A2)).then()


def test_a_free_order_is_released_without_a_payment() -> None:
    free = PLACE.model_copy(update={"discount_minor": 1050})
    events, state = history(free, source(1, A2, B1), record_reservation(1, A2), record_reservation(1, B1))
    due, released = events[-2:]
    assert isinstance(due, o.OrderAllocated)
    assert isinstance(released, o.OrderReleased)
    assert due.amount_minor == 0
    assert [plan.amount_minor for plan in released.shipments] == [0, 0]
    assert state.phase == "fulfilling"


def test_a_short_unit_is_sourced_elsewhere_in_the_same_round() -> None:
    elsewhere = sourcing_requested(2, {"A": 2}, reservation(1, A2), ("paris",), A=("berlin",))
    given_order(*SOURCED).when(record_shortage(1, A2)).then(elsewhere)
    given_order(*SOURCED, elsewhere).when(record_shortage(1, A2)).then()
    given_order(*SOURCED, cancelled("x")).when(record_shortage(1, A2)).then()

    again = ("A", "rome", 2)
    given_order(*SOURCED, elsewhere, sourced(2, again)).when(record_shortage(2, again)).then(
        sourcing_requested(3, {"A": 2}, reservation(2, again), ("paris",), A=("berlin", "rome"))
    )


def test_a_locked_unit_that_is_no_longer_there_is_sourced_elsewhere_while_no_money_is_due() -> None:
    locked = (*SOURCED, allocated(1, A2))
    elsewhere = sourcing_requested(2, {"A": 2}, reservation(1, A2), ("paris",), A=("berlin",))
    given_order(*locked).when(record_shortage(1, A2)).then(elsewhere)
    given_order(*locked, elsewhere).when(record_shortage(1, A2)).then()
    given_order(*locked, allocated(1, B1), ALLOCATED).when(record_shortage(1, A2)).then()  # a person's to decide


def test_what_was_reserved_while_another_unit_is_sourced_stays() -> None:
    rome = ("A", "rome", 2)
    story = (PLACE, source(1, A2, B1), record_shortage(1, A2), record_reservation(1, B1))
    events, state = history(*story)
    assert (events[-1], state.phase) == (allocated(1, B1), "sourcing")
    events, state = history(*story, source(2, rome), record_reservation(2, rome))
    assert (events[-1], state.phase) == (ALLOCATED, "awaiting_payment")


def test_a_second_shortage_before_the_answer_asks_again_for_all_and_voids_the_answer() -> None:
    """Otherwise one answer would meet half a demand, and the other none."""
    first = sourcing_requested(2, {"A": 2}, reservation(1, A2), A=("berlin",))
    both = sourcing_requested(3, {"A": 2, "B": 1}, reservation(1, B1), A=("berlin",), B=("paris",))
    given_order(*SOURCED, first).when(record_shortage(1, B1)).then(both)
    rome = (("A", "rome", 2), ("B", "rome", 1))
    given_order(*SOURCED, first, both).when(source(2, rome[0])).then()
    given_order(*SOURCED, first, both).when(source(3, *rome)).then(sourced(3, *rome))


def test_a_shortage_concerns_its_own_reservation_only() -> None:
    """The rest of the SKU may have been asked of the same location in a later attempt."""
    one, two = ("A", "berlin", 1), B1
    story = (PLACE, source(1, one, two, backordered={"A": 1}), RETRY, source(2, one))
    events, state = history(*story, record_shortage(1, one))
    assert events[-1] == sourcing_requested(3, {"A": 1}, reservation(1, one), ("berlin", "paris"), A=("berlin",))
    assert (f"{ID}/2", "A", "berlin") in state.requested


def test_a_shortage_beside_a_backorder_leaves_the_backorder_waiting() -> None:
    story = (PLACE, source(1, A2, backordered={"B": 1}), record_shortage(1, A2))
    _, state = history(*story, source(2, backordered={"A": 2}))
    assert state.phase == "backordered"
    assert dict(state.backordered.items()) == {"A": 2, "B": 1}


def test_a_backordered_order_is_sourced_again_when_stock_may_have_come() -> None:
    waiting = (PLACED, sourced(1), backordered(1, A=2, B=1))
    again = sourcing_requested(2, {"A": 2, "B": 1})
    given_order(*waiting).when(RETRY).then(again)
    given_order(*waiting, again).when(RETRY).then()
    given_order(*waiting, cancelled("x")).when(RETRY).then()
    given_order(*AWAITING_PAYMENT).when(RETRY).then()
    given_order(*waiting, again).when(source(2, A2, B1)).then(sourced(2, A2, B1))


def test_stock_that_comes_while_other_units_are_being_locked_or_sourced_wakes_the_order_too() -> None:
    locking = (PLACED, sourced(1, A2), backordered(1, B=1))
    given_order(*locking).when(RETRY).then(sourcing_requested(2, {"B": 1}, held=("berlin",)))
    seeking = (*locking, sourcing_requested(2, {"A": 2}, reservation(1, A2), A=("berlin",)))
    given_order(*seeking).when(RETRY).then(sourcing_requested(3, {"A": 2, "B": 1}))


def test_a_paid_order_is_released_with_a_shipment_per_location() -> None:
    given_order(*AWAITING_PAYMENT).when(PAID).then(RELEASED)
    given_order(*FULFILLING).when(PAID).then()
    given_order(*AWAITING_PAYMENT, cancelled("x")).when(PAID).then()


LOCKED = (reservation(1, A2), reservation(1, B1))


def test_an_unpaid_order_is_cancelled_and_releases_its_stock() -> None:
    given_order(*AWAITING_PAYMENT).when(UNPAID).then(cancelled("payment: declined", *LOCKED, paying=True))
    given_order(*FULFILLING).when(UNPAID).then()
    given_order(*AWAITING_PAYMENT, cancelled("x")).when(UNPAID).then()


def test_an_order_lapses_while_its_payment_is_due_and_only_then() -> None:
    given_order(*AWAITING_PAYMENT).when(LAPSE).then(cancelled("payment overdue", *LOCKED, paying=True))
    given_order(*FULFILLING).when(LAPSE).then()
    given_order(PLACED).when(LAPSE).then()


def test_an_order_is_cancelled_at_once_before_its_release() -> None:
    given_order(PLACED).when(CANCEL).then(cancelled(CANCEL.reason))
    given_order(*SOURCED, allocated(1, A2)).when(CANCEL).then(cancelled(CANCEL.reason, *LOCKED))
    waiting = (PLACED, sourced(1, A2), backordered(1, B=1), allocated(1, A2))
    given_order(*waiting).when(CANCEL).then(cancelled(CANCEL.reason, LOCKED[0], lacking={"B": 1}))
    given_order(*AWAITING_PAYMENT).when(CANCEL).then(cancelled(CANCEL.reason, *LOCKED, paying=True))
    given_order(PLACED, cancelled("x")).when(CANCEL).then()


def test_a_reservation_that_came_up_short_is_not_released() -> None:
    short = sourcing_requested(2, {"A": 2}, reservation(1, A2), A=("berlin",))
    given_order(*SOURCED, short).when(CANCEL).then(cancelled(CANCEL.reason, LOCKED[1]))


def test_a_released_order_is_cancelled_once_every_shipment_is_stopped() -> None:
    stopping = (*FULFILLING, CANCELLATION_REQUESTED)
    given_order(*FULFILLING).when(CANCEL).then(CANCELLATION_REQUESTED)
    given_order(*stopping).when(CANCEL).then()
    given_order(*stopping).when(o.RecordShipmentCancelled(**of(1))).then(stopped(1))
    given_order(*stopping, stopped(1)).when(o.RecordShipmentCancelled(**of(1))).then()
    given_order(*stopping, stopped(1)).when(o.RecordShipmentCancelled(**of(2))).then(
        stopped(2), cancelled(CANCEL.reason, *LOCKED, paying=True)
    )


def test_what_has_left_can_no_longer_be_cancelled() -> None:
    partly = o.OrderCancellationRequested(**OF, reason=CANCEL.reason, shipment_ids=(f"{ID}.2",))
    given_order(*FULFILLING, dispatched(1)).when(CANCEL).then(partly)
    gone = (*FULFILLING, dispatched(1), dispatched(2), SHIPPED)
    given_order(*gone).when(CANCEL).then_refused("already_shipped")
    given_order(*gone, delivered(1), delivered(2), COMPLETED).when(CANCEL).then_refused("already_shipped")


def test_a_shipment_that_would_not_be_stopped_goes_on_and_is_reported_once() -> None:
    stopping = (*FULFILLING, CANCELLATION_REQUESTED)
    keep = o.RecordShipmentKept(**of(1))
    given_order(*stopping).when(keep).then(kept(1))
    given_order(*stopping, kept(1)).when(keep).then()
    given_order(*stopping, kept(1)).when(CANCEL).then_refused("with_carrier")
    given_order(*stopping, kept(1)).when(o.RecordShipmentKept(**of(2))).then(kept(2))
    given_order(*stopping).when(o.RecordShipmentKept(**of(9))).then()


def test_a_refusal_reported_after_the_order_left_does_not_bring_it_back() -> None:
    stopping = (*FULFILLING, CANCELLATION_REQUESTED, dispatched(1), dispatched(2), SHIPPED)
    given_order(*stopping).when(o.RecordShipmentKept(**of(1))).then(kept(1))
    given_order(*stopping, kept(1), delivered(1)).when(o.RecordShipmentDelivered(**of(2))).then(delivered(2), COMPLETED)


def test_a_partly_stopped_order_completes_with_what_was_shipped() -> None:
    stopping = (*FULFILLING, CANCELLATION_REQUESTED)
    given_order(*stopping, kept(1)).when(o.RecordShipmentCancelled(**of(2))).then(stopped(2))
    given_order(*stopping, kept(1), stopped(2)).when(o.RecordShipmentDispatched(**of(1))).then(dispatched(1), SHIPPED)
    given_order(*stopping, dispatched(1)).when(o.RecordShipmentCancelled(**of(2))).then(stopped(2), SHIPPED)
    given_order(*stopping, kept(1), stopped(2), dispatched(1), SHIPPED).when(o.RecordShipmentDelivered(**of(1))).then(
        delivered(1), o.OrderCompleted(**OF, payment_id=PAYMENT, charges=(TAKEN_BY_1,))
    )


def test_shipments_stopped_for_themselves_cancel_an_order_of_which_nothing_is_left() -> None:
    given_order(*FULFILLING).when(o.RecordShipmentCancelled(**of(1))).then(stopped(1))
    given_order(*FULFILLING, stopped(1)).when(o.RecordShipmentCancelled(**of(2))).then(
        stopped(2), cancelled("a shipment was to be stopped", *LOCKED, paying=True)
    )
    given_order(*FULFILLING).when(o.RecordShipmentKept(**of(1))).then(kept(1, "a shipment was to be stopped"))


def test_an_order_has_shipped_when_its_last_shipment_left_and_is_complete_when_all_are_there() -> None:
    given_order(*FULFILLING).when(o.RecordShipmentDispatched(**of(1))).then(dispatched(1))
    given_order(*FULFILLING, dispatched(1)).when(o.RecordShipmentDispatched(**of(1))).then()
    given_order(*FULFILLING, dispatched(1), delivered(1)).when(o.RecordShipmentDispatched(**of(2))).then(
        dispatched(2), SHIPPED
    )
    gone = (*FULFILLING, dispatched(1), delivered(1), dispatched(2), SHIPPED)
    given_order(*gone).when(o.RecordShipmentDelivered(**of(2))).then(delivered(2), COMPLETED)
    given_order(*gone, delivered(2), COMPLETED).when(o.RecordShipmentDelivered(**of(2))).then()


def test_a_delivery_implies_that_the_shipment_left() -> None:
    given_order(*FULFILLING, delivered(1)).when(o.RecordShipmentDelivered(**of(2))).then(
        delivered(2), SHIPPED, COMPLETED
    )
    given_order(*FULFILLING, delivered(1)).when(o.RecordShipmentDispatched(**of(1))).then()


@pytest.mark.parametrize(("discount", "shares"), [(0, [630, 420]), (1049, [1, 0]), (1050, [0, 0])])
def test_the_shares_of_the_shipments_sum_to_the_total(discount: int, shares: list[int]) -> None:
    cheaper = PLACE.model_copy(update={"discount_minor": discount})
    story = (cheaper, source(1, A2, B1), record_reservation(1, A2), record_reservation(1, B1), PAID)
    released = next(event for event in history(*story)[0] if isinstance(event, o.OrderReleased))
    assert [plan.amount_minor for plan in released.shipments] == shares
