"""The sourcing of an order: bundles are replaced by their components, people assign locations, and locations fail."""

from __future__ import annotations

from collections import Counter
from typing import Any

from oms_es.aggregates.order.sourcing import MANUAL
from oms_es.aggregates.order.state import Order
from oms_es.kernel import Command, Event
from oms_es.schemas import order as o
from unit.aggregates.order.test_order import (
    A2,
    AWAITING_PAYMENT,
    B1,
    FULFILLING,
    ID,
    NOON,
    OF,
    PAID,
    PLACE,
    PLACED,
    SOURCED,
    Units,
    allocated,
    cancelled,
    given_order,
    history,
    record_reservation,
    record_shortage,
    reservation,
    source,
    sourced,
    sourcing_requested,
)


def cut(attempt: int, units: Units, remaining: int = 0) -> o.Cut:
    return o.Cut(**reservation(attempt, units).model_dump(), remaining=remaining)


# --- by hand


def assign(*units: Units) -> o.AssignOrder:
    assigned = tuple(o.Assignment(sku=sku, location=location, quantity=n) for sku, location, n in units)
    return o.AssignOrder(**OF, assignments=assigned, reason="the customer collects it")


def assigned(attempt: int, *cuts: o.Cut) -> o.OrderAssigned:
    return o.OrderAssigned(**OF, attempt=attempt, released=cuts, reason="the customer collects it")


def by_hand(attempt: int, *units: Units) -> o.OrderSourced:
    reported = sourced(attempt, *units).model_dump()
    return o.OrderSourced(**{**reported, "rule_version": MANUAL, "reason": "the customer collects it"})


ROME_A2 = ("A", "rome", 2)


def test_a_person_says_where_the_units_come_from_and_locks_that_do_not_fit_go() -> None:
    given_order(*SOURCED, allocated(1, A2)).when(assign(ROME_A2, B1)).then(
        assigned(2, cut(1, A2)), sourcing_requested(2, {"A": 2}, held=("paris",)), by_hand(2, ROME_A2)
    )


def test_where_it_is_so_already_nothing_is_decided() -> None:
    given_order(*SOURCED).when(assign(A2, B1)).then()
    events, _ = history(PLACE, source(1, A2, B1), assign(ROME_A2, B1))
    given_order(*events).when(assign(ROME_A2, B1)).then()


def test_a_lock_that_is_too_large_keeps_what_fits() -> None:
    half, other_half = ("A", "berlin", 1), ("A", "rome", 1)
    given_order(*SOURCED).when(assign(half, other_half, B1)).then(
        assigned(2, cut(1, half, remaining=1)),
        sourcing_requested(2, {"A": 1}, held=("berlin", "paris")),
        by_hand(2, other_half),
    )


def test_before_the_first_answer_a_person_answers_and_the_answer_of_the_rules_is_void() -> None:
    events, state = history(PLACE, assign(A2, B1), source(1, ROME_A2, ("B", "rome", 1)))
    assert events[-2:] == [sourcing_requested(2, {"A": 2, "B": 1}), by_hand(2, A2, B1)]
    assert state.phase == "allocating"


def test_units_of_one_place_may_be_named_in_parts() -> None:
    one = ("A", "rome", 1)
    given_order(*SOURCED, allocated(1, A2)).when(assign(one, one, B1)).then(
        assigned(2, cut(1, A2)), sourcing_requested(2, {"A": 2}, held=("paris",)), by_hand(2, ROME_A2)
    )


def test_what_a_person_does_not_name_waits() -> None:
    events, state = history(PLACE, source(1, A2, backordered={"B": 1}), assign(ROME_A2))
    assert (state.phase, dict(state.backordered.items())) == ("allocating", {"B": 1})
    assert sum(isinstance(event, o.OrderBackordered) for event in events) == 2


def test_a_person_cannot_assign_more_than_was_ordered_or_what_is_released() -> None:
    given_order(*SOURCED).when(assign(("A", "rome", 3))).then_refused("too_many_units")
    given_order(*SOURCED).when(assign(("C", "rome", 1))).then_refused("too_many_units")
    given_order(*FULFILLING).when(assign(ROME_A2, B1)).then_refused("already_released")
    given_order(PLACED, cancelled("x")).when(assign(A2, B1)).then_refused("already_released")


def test_an_assigned_order_that_was_due_is_locked_again_and_asks_for_no_second_payment() -> None:
    story = (PLACE, source(1, A2, B1), record_reservation(1, A2), record_reservation(1, B1), assign(ROME_A2, B1))
    _, state = history(*story, record_reservation(2, ROME_A2), PAID)
    assert state.phase == "fulfilling"
    asked = [due.payment_id for payment in state.payments.values() for due in [payment.due]]
    assert asked == [f"{ID}.1"]
    assert {plan.location for plan in state.plans.values()} == {"rome", "paris"}


def test_an_answer_of_stock_to_a_lock_that_was_released_is_void() -> None:
    events, _ = history(PLACE, source(1, A2, B1), assign(ROME_A2, B1))
    given_order(*events).when(record_reservation(1, A2)).then()
    given_order(*events).when(record_shortage(1, A2)).then()


# --- a place that fails


def fail(location: str) -> o.RecordLocationFailed:
    return o.RecordLocationFailed(**OF, location=location, reason="flooded")


def failed(location: str, *cuts: o.Cut) -> o.OrderLocationFailed:
    return o.OrderLocationFailed(**OF, location=location, released=cuts, reason="flooded")


def test_what_is_locked_at_a_place_that_fails_is_sourced_elsewhere() -> None:
    again = sourcing_requested(2, {"A": 2}, held=("paris",), A=("berlin",))
    for so_far in ((), (allocated(1, A2),)):
        given_order(*SOURCED, *so_far).when(fail("berlin")).then(failed("berlin", cut(1, A2)), again)
        given_order(*SOURCED, *so_far, failed("berlin", cut(1, A2)), again).when(fail("berlin")).then()


def test_a_place_where_nothing_is_locked_may_fail() -> None:
    given_order(*SOURCED).when(fail("rome")).then()
    given_order(PLACED).when(fail("berlin")).then()


def test_what_is_released_is_the_warehouses_and_stays() -> None:
    given_order(*FULFILLING).when(fail("berlin")).then()
    given_order(*SOURCED, cancelled("x")).when(fail("berlin")).then()


def test_an_order_that_was_due_is_sourced_again_and_what_was_paid_stays_paid() -> None:
    given_order(*AWAITING_PAYMENT).when(fail("paris")).then(
        failed("paris", cut(1, B1)), sourcing_requested(2, {"B": 1}, held=("berlin",), B=("paris",))
    )
    rome = ("B", "rome", 1)
    story = (PLACE, source(1, A2, B1), record_reservation(1, A2), record_reservation(1, B1), fail("paris"), PAID)
    _, state = history(*story, source(2, rome), record_reservation(2, rome))
    assert state.phase == "fulfilling"
    assert {plan.location for plan in state.plans.values()} == {"berlin", "rome"}


def test_what_waited_already_is_sourced_with_it() -> None:
    events, _ = history(PLACE, source(1, A2, backordered={"B": 1}), fail("berlin"))
    assert events[-1] == sourcing_requested(2, {"B": 1, "A": 2}, A=("berlin",))


# --- bundles

BOXES = PLACE.model_copy(
    update={
        "lines": (
            o.OrderLine(line_id="1", sku="BOX", quantity=2, unit_price_minor=1_000),
            o.OrderLine(line_id="2", sku="CASE", quantity=1, unit_price_minor=700),
            o.OrderLine(line_id="3", sku="A", quantity=1, unit_price_minor=300),
        )
    }
)
BUNDLES: Any = {"BOX": {"A": 2, "B": 1}, "CASE": {"A": 1, "C": 3}}
EXPLODE = o.ExplodeBundles(**OF, attempt=1, bundles=BUNDLES)
EXPLODED = o.OrderBundlesExploded(**OF, attempt=1, bundles=BUNDLES)
COMPONENTS = {"A": 2 * 2 + 1 + 1, "B": 2, "C": 3}


def test_p03_bundles_and_lines_that_share_a_component_are_one_demand() -> None:
    events, state = history(BOXES, EXPLODE)
    assert events[1] == EXPLODED
    request = events[2]
    assert isinstance(request, o.OrderSourcingRequested)
    assert (request.attempt, request.demand, request.bundles) == (2, COMPONENTS, BUNDLES)
    assert dict(state.to_source.items()) == COMPONENTS


def test_what_a_bundle_is_made_of_is_a_plain_unit_also_where_another_is_sold_under_its_name() -> None:
    named = o.ExplodeBundles(**OF, attempt=1, bundles={"BOX": {"A": 2, "B": 1}, "A": {"C": 5}})
    _, state = history(BOXES, named)
    assert dict(state.to_source.items()) == {"A": 2 * 2, "B": 2, "C": 5, "CASE": 1}


def test_bundles_are_taken_apart_once_and_only_those_that_are_asked_for() -> None:
    events, _ = history(BOXES, EXPLODE)
    given_order(*events).when(EXPLODE).then()
    given_order(*events).when(EXPLODE.model_copy(update={"attempt": 2})).then()
    given_order(PLACED).when(EXPLODE).then()
    given_order(*SOURCED).when(EXPLODE).then()


def whole_story(*more: Command) -> tuple[list[Event], Order]:
    """Everything except C comes from one location."""
    units: tuple[Units, ...] = (("A", "berlin", 6), ("B", "berlin", 2), ("C", "paris", 3))
    locks = (record_reservation(2, of_it) for of_it in units)
    return history(BOXES, EXPLODE, source(2, *units), *locks, *more)


def test_components_are_sourced_locked_and_shipped_and_the_shares_sum_to_the_total() -> None:
    events, state = whole_story(PAID)
    assert state.phase == "fulfilling"
    released = next(event for event in events if isinstance(event, o.OrderReleased))
    assert sum(plan.amount_minor for plan in released.shipments) == BOXES.total_minor
    shipped: Counter[str] = Counter()
    for plan in released.shipments:
        for item in plan.items:
            shipped[item.sku] += item.quantity
    assert shipped == COMPONENTS


def test_cancelling_a_bundles_order_releases_its_components() -> None:
    events, _ = whole_story(o.CancelOrder(**OF, reason="x"))
    ended = next(event for event in events if isinstance(event, o.OrderCancelled))
    assert {held.sku: held.quantity for held in ended.reservations} == COMPONENTS


def test_a_component_that_is_short_is_sourced_elsewhere_as_itself() -> None:
    units: tuple[Units, ...] = (("A", "berlin", 6), ("B", "berlin", 2), ("C", "paris", 3))
    events, _ = history(BOXES, EXPLODE, source(2, *units), record_shortage(2, units[2]))
    request = events[-1]
    assert isinstance(request, o.OrderSourcingRequested)
    assert (request.demand, request.bundles) == ({"C": 3}, BUNDLES)


def test_the_day_on_which_everything_is_expected_is_kept_with_the_backorder() -> None:
    promise = source(1, A2, backordered={"B": 1}).model_copy(update={"promised_at": NOON})
    events, _ = history(PLACE, promise)
    waits = events[-1]
    assert isinstance(waits, o.OrderBackordered)
    assert waits.promised_at == NOON


def test_what_became_a_bundle_while_it_is_locked_as_it_is_stays_a_plain_unit() -> None:
    one, lacking = ("BOX", "berlin", 1), {"BOX": 1, "CASE": 1, "A": 1}
    reported = (BOXES, source(1, one, backordered=lacking), o.RetrySourcing(**OF))
    events, state = history(*reported, o.ExplodeBundles(**OF, attempt=2, bundles=BUNDLES))
    exploded = events[-2]
    assert isinstance(exploded, o.OrderBundlesExploded)
    assert exploded.bundles == {"BOX": {"BOX": 1}, "CASE": BUNDLES["CASE"]}
    assert dict(state.to_source.items()) == {"BOX": 1, "A": 2, "C": 3}
    assert dict(state.requested.items()) == {(f"{ID}/1", "BOX", "berlin"): 1}


def test_bundles_that_wait_for_stock_are_taken_apart_with_those_that_are_sourced() -> None:
    box = ("BOX", "berlin", 1)
    reported = (BOXES, source(1, box, backordered={"BOX": 1, "CASE": 1, "A": 1}), record_shortage(1, box))
    _, state = history(*reported, o.ExplodeBundles(**OF, attempt=2, bundles=BUNDLES))
    assert dict(state.to_source.items()) == {"A": 2 * 2 + 1, "B": 2, "CASE": 1}
    assert not state.backordered


# --- reservations from another order


def test_a_lock_that_is_still_going_over_to_an_order_is_not_released() -> None:
    given_lock = o.Reservation(reservation_id=o.transferred(ID, "other/1"), sku="A", location="berlin", quantity=2)
    joined = o.OrderJoined(**OF, from_order_ids=("other",), transfers=(given_lock,))
    own = (PLACED, joined)
    given_order(*own).when(fail("berlin")).then()
    given_order(*own).when(assign(ROME_A2)).then_refused("being_sourced")
    there = o.OrderLineAllocated(**OF, **given_lock.model_dump())
    events = list(given_order(*own, there).when(fail("berlin"))._decide())
    assert events[0] == failed("berlin", o.Cut(**given_lock.model_dump(), remaining=0))


def test_while_an_answer_is_awaited_a_person_s_word_is_a_new_attempt() -> None:
    given_order(PLACED).when(assign(A2, B1)).then(
        assigned(2), sourcing_requested(2, {"A": 2, "B": 1}), by_hand(2, A2, B1)
    )


def test_of_a_lock_that_is_there_only_what_fits_stays() -> None:
    half, other_half = ("A", "berlin", 1), ("A", "rome", 1)
    story = (PLACE, source(1, A2, B1), record_reservation(1, A2), assign(half, other_half, B1))
    _, state = history(*story)
    assert {(sku, at): n for (_, sku, at), n in state.allocated.items()} == {("A", "berlin"): 1}
    assert {(sku, at): n for (_, sku, at), n in state.requested.items()} == {("A", "rome"): 1, ("B", "paris"): 1}


# --- what an answer is for


def test_what_rules_excluded_is_recorded_with_the_answer() -> None:
    why = {"rome": "closed on that day"}
    answer = source(1, A2, B1).model_copy(update={"ruled_out": why})
    given_order(PLACED).when(answer).then(sourced(1, A2, B1).model_copy(update={"ruled_out": why}))


def test_bundles_are_taken_apart_for_the_attempt_that_asked_and_only_while_it_waits() -> None:
    apart = o.ExplodeBundles(**OF, attempt=1, bundles={"A": {"CUP": 2}})
    given_order(PLACED).when(apart.model_copy(update={"attempt": 2})).then()
    waiting = o.OrderBackordered(**OF, attempt=1, demand={"A": 2, "B": 1}, placed_at=NOON)
    given_order(PLACED, waiting).when(apart.model_copy(update={"attempt": 2})).then()


def test_units_of_several_reservations_at_one_location_count_together() -> None:
    one_each = (("A", "berlin", 1), ("A", "berlin", 1))
    story = (PLACE, source(1, one_each[0], B1, backordered={"A": 1}), o.RetrySourcing(**OF), source(2, one_each[1]))
    events, _ = history(*story)
    given_order(*events).when(assign(A2, B1)).then()


def test_a_person_cannot_assign_more_than_was_ordered_over_several_locations() -> None:
    given_order(*SOURCED).when(assign(A2, ("A", "rome", 1), B1)).then_refused("too_many_units")


def test_what_waits_of_a_presale_says_that_it_is_one() -> None:
    presale = PLACE.model_copy(update={"kind": "presale", "deposit_minor": 100, "available_by": NOON})
    events, _ = history(presale, source(1, A2, backordered={"B": 1}))
    waits = events[-1]
    assert isinstance(waits, o.OrderBackordered)
    assert waits.terms
    assert waits.terms.kind == "presale"
