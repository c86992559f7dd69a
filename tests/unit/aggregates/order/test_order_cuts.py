"""Lines that are cancelled while parcels hold their units: each parcel's answer counts once, for its own units."""

from __future__ import annotations

import pytest

from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from order_story import ID, OF, OrderScenario, dispatched, locked, paid, parcel, placed, source, stopped, units


def line(line_id: str, sku: str, quantity: int, price: int = 300) -> o.OrderLine:
    return o.OrderLine(line_id=line_id, sku=sku, quantity=quantity, unit_price_minor=price)


def released(lines: tuple[o.OrderLine, ...], *held: tuple[str, str, int]) -> tuple[Command, ...]:
    return (placed(lines=lines), source(1, *held), *(locked(1, one) for one in held), paid())


def cancel(cancellation_id: str = "c", **by_line: int) -> o.CancelOrderLines:
    return o.CancelOrderLines(**OF, cancellation_id=cancellation_id, lines=units(**by_line), reason="too many")


def refused(story: tuple[Command, ...], command: Command) -> Refused:
    scenario = OrderScenario(*story)
    with pytest.raises(Refused) as refusal:
        scenario.submit(command)
    return refusal.value


ONE_EACH = released((line("1", "A", 2),), ("A", "berlin", 1), ("A", "paris", 1))
TWO_EACH = released((line("1", "A", 4),), ("A", "berlin", 2), ("A", "paris", 2))
THREE_LINES = released(
    (line("1", "A", 2), line("2", "B", 1), line("3", "C", 1)), ("A", "berlin", 2), ("B", "paris", 1), ("C", "rome", 1)
)


def test_what_one_parcel_gives_up_the_next_need_not() -> None:
    scenario = OrderScenario(*TWO_EACH, cancel(_1=3))
    assert scenario.only(o.OrderLinesCancellationRequested).shipment_ids == (f"{ID}.1", f"{ID}.2")
    scenario.submit(stopped(1))
    assert scenario.only(o.OrderLinesCancelled).cancelled == units(_1=2)
    scenario.submit(stopped(2))
    assert scenario.only(o.OrderLinesCancelled).cancelled == units(_1=1)
    plan = scenario.only(o.OrderShipmentPlanned).plan
    assert [(item.location, item.quantity) for item in plan.items] == [("paris", 1)]
    assert (scenario.total, scenario.state.phase) == (350, "fulfilling")


def test_lines_that_are_gone_with_the_first_parcel_are_not_looked_for_in_the_next() -> None:
    scenario = OrderScenario(*THREE_LINES, cancel(_1=2, _2=1), stopped(1), stopped(2))
    assert scenario.only(o.OrderLinesCancelled).cancelled == units(_2=1)
    assert (scenario.total, scenario.state.phase) == (350, "fulfilling")
    scenario.submit(dispatched(3))
    assert scenario.state.phase == "shipped"


def test_a_cancellation_is_known_again_once_its_parcel_was_stopped() -> None:
    scenario = OrderScenario(*TWO_EACH, cancel(_1=1), stopped(1))
    assert scenario.submit(cancel(_1=1)) == []
    with pytest.raises(Refused, match="cancellation_id c is known"):
        scenario.submit(cancel(_1=2))


def test_a_parcel_that_could_not_be_stopped_leaves_the_units_of_the_others_to_the_next_cancellation() -> None:
    scenario = OrderScenario(*ONE_EACH, cancel("c1", _1=1), parcel(o.RecordShipmentKept, 1), cancel("c2", _1=1))
    assert scenario.only(o.OrderLinesCancellationRequested).shipment_ids == (f"{ID}.2",)


def test_a_cancellation_of_one_line_reserves_no_units_of_another() -> None:
    scenario = OrderScenario(*THREE_LINES, cancel("c1", _2=1), cancel("c2", _1=2))
    assert scenario.only(o.OrderLinesCancellationRequested).shipment_ids == (f"{ID}.1",)


def test_no_more_units_are_asked_of_parcels_than_another_cancellation_leaves_in_them() -> None:
    one = (*TWO_EACH, cancel("c1", _1=1))
    assert OrderScenario(*one, cancel("c2", _1=3)).last
    assert refused(one, cancel("c2", _1=4)).reason == "already_shipped"
    uneven = released((line("1", "A", 3),), ("A", "berlin", 2), ("A", "paris", 1))
    assert refused((*uneven, cancel("c1", _1=1)), cancel("c2", _1=3)).reason == "already_shipped"


def test_of_a_bundle_a_parcel_gives_up_as_many_as_it_holds_whole() -> None:
    a_set = placed(lines=(line("1", "SET", 2, 500), line("2", "C", 1)))
    held = (("CUP", "berlin", 3), ("POT", "berlin", 2), ("C", "berlin", 1), ("CUP", "rome", 1))
    story = (
        a_set,
        o.ExplodeBundles(**OF, attempt=1, bundles={"SET": {"CUP": 2, "POT": 1}}),
        source(2, *held),
        *(locked(2, one) for one in held),
        paid(),
    )
    scenario = OrderScenario(*story, cancel(_1=2), stopped(1))
    assert scenario.only(o.OrderLinesCancelled).cancelled == units(_1=1)


def test_an_order_all_of_whose_lines_are_cancelled_in_their_parcels_is_cancelled() -> None:
    scenario = OrderScenario(*ONE_EACH, cancel(_1=2), stopped(1), stopped(2))
    assert scenario.shapes()[-1] == "OrderCancelled"
    assert scenario.state.phase == "cancelled"
