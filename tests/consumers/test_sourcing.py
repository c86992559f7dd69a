"""An order is sourced from what is open, free and not excluded; what nobody can promise is backordered."""

from __future__ import annotations

from timeit import repeat
from typing import Any

from oms_es.consumers.sourcing import consumer
from oms_es.consumers.sourcing_facts import promisable
from oms_es.consumers.sourcing_search import Errand
from oms_es.kernel import Row
from oms_es.schemas import order as o
from oms_es.schemas.rules import BUILT_IN_VERSION
from story import ORDER, line, placed
from story import sourcing_requested as again

MICROSECONDS_MAX = 500
"""Five times what it should take, for machines that are busy."""


def place(location: str, **more: Any) -> Row:
    return {
        "location": location,
        "kind": "warehouse",
        "country": "DE",
        "region": "",
        "latitude": None,
        "longitude": None,
        "priority": 0,
        "handling_minor": 0,
        "channels": [],
        "delivery_options": [],
        "capacity_per_day": None,
        **more,
    }


LIMITS: Any = {"channel_atp": {}, "presale_limit": 0, "presold": 0}


def facts(open_places: list[Row], **atp: dict[str, int]) -> Any:
    """`atp`: SKU to location to units."""
    return {
        "locations": {True: open_places},
        "sourcing_rules": {True: []},
        "location_load": {True: []},
        "stock_levels": {
            sku: [{"sku": sku, "location": location, "atp": n, **LIMITS} for location, n in levels.items()]
            for sku, levels in atp.items()
        },
    }


BOTH = [place("berlin"), place("paris")]


def answer(event: o.OrderPlaced | o.OrderSourcingRequested, given: Any) -> o.SourceOrder:
    (command,) = consumer.react(event, given)
    assert isinstance(command, o.SourceOrder)
    assert command == o.SourceOrder.model_validate(command.model_dump()), "an answer that the order would not read"
    return command


def assigned(command: o.SourceOrder) -> list[tuple[str, str, int]]:
    return [(a.sku, a.location, a.quantity) for a in command.assignments]


def test_a_new_order_is_answered_as_its_first_attempt_by_the_rules_of_today() -> None:
    command = answer(placed(), facts(BOTH, A={"berlin": 2}, B={"berlin": 9}))
    assert (command.order_id, command.attempt, command.rule_version) == (ORDER, 1, BUILT_IN_VERSION)
    assert assigned(command) == [("A", "berlin", 2), ("B", "berlin", 1)]
    assert command.backordered == {}
    (only,) = command.candidates
    assert (only.locations, only.covers_units, only.shipments) == (("berlin",), 3, 1)


def test_lines_of_one_sku_are_one_demand() -> None:
    two_lines = placed(line("A", 2), line("A", 3).model_copy(update={"line_id": "again"}))
    command = answer(two_lines, facts(BOTH, A={"berlin": 4}))
    assert (assigned(command), command.backordered) == ([("A", "berlin", 4)], {"A": 1})


def test_what_no_location_can_promise_is_backordered() -> None:
    command = answer(placed(), facts(BOTH, A={"berlin": 1}, B={}))
    assert (assigned(command), command.backordered) == ([("A", "berlin", 1)], {"A": 1, "B": 1})


def test_without_any_stock_everything_is_backordered() -> None:
    command = answer(placed(), facts(BOTH, A={"berlin": 0, "paris": -1}, B={}))
    assert (command.assignments, command.backordered, command.candidates) == ((), {"A": 2, "B": 1}, ())


def test_a_location_that_is_not_open_ships_nothing() -> None:
    command = answer(placed(), facts([place("paris")], A={"berlin": 9}, B={"berlin": 9, "paris": 9}))
    assert (assigned(command), command.backordered) == ([("B", "paris", 1)], {"A": 2})


def test_a_location_that_came_up_short_is_not_asked_again_for_that_sku() -> None:
    given = facts(BOTH, A={"berlin": 9, "paris": 9}, B={"berlin": 9})
    assert assigned(answer(again(A=2, B=1), given)) == [("A", "berlin", 2), ("B", "berlin", 1)]
    elsewhere = answer(again(2, excluded={"A": ("berlin",)}, A=2, B=1), given)
    assert (elsewhere.attempt, assigned(elsewhere)) == (2, [("A", "paris", 2), ("B", "berlin", 1)])
    nowhere = answer(again(3, excluded={"A": ("berlin", "paris")}, A=2, B=1), given)
    assert (assigned(nowhere), nowhere.backordered) == ([("B", "berlin", 1)], {"A": 2})


def test_the_candidates_tell_why_this_location() -> None:
    near_and_far = [place("berlin", latitude=52.5, longitude=13.4), place("paris", latitude=48.9, longitude=2.4)]
    command = answer(placed(line("A", 1)), facts(near_and_far, A={"berlin": 1, "paris": 1}))
    assert assigned(command) == [("A", "berlin", 1)]
    assert [(c.locations, c.distance_km) for c in command.candidates] == [(("berlin",), 0), (("paris",), 871)]


def test_a_usual_order_is_sourced_in_no_time() -> None:
    places = [place(f"place-{n}", latitude=48.0 + n, longitude=9.0 + n, priority=n) for n in range(5)]
    stock = {row["location"]: 10 for row in places}
    event, given = placed(), facts(places, A=stock, B=stock)
    seconds = min(repeat(lambda: consumer.react(event, given), number=100, repeat=5)) / 100
    assert seconds * 1e6 < MICROSECONDS_MAX


def test_a_channel_gets_what_its_share_leaves_and_a_presale_what_is_still_to_come() -> None:
    level = {"atp": 9, "channel_atp": {"web": 2}, "presale_limit": 20, "presold": 5}
    errand = Errand(o.Address(country="DE"))
    assert promisable(level, errand) == 9
    assert promisable(level, errand._replace(channel="shop")) == 9
    assert promisable(level, errand._replace(channel="web")) == 2
    assert promisable(level, errand._replace(channel="web", kind="presale")) == 15
