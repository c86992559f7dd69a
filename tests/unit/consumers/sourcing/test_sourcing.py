"""An order is sourced from open locations with free stock that are not excluded; the rest is backordered."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest

from oms_es.consumers.sourcing.lookups import promisable
from oms_es.consumers.sourcing.search import SourcingRequest
from oms_es.consumers.sourcing.sourcing import consumer
from oms_es.kernel import Row
from oms_es.schemas import order as o
from oms_es.schemas.catalog.location import LocationClosed
from oms_es.schemas.catalog.rules import BUILT_IN_VERSION, RateBand, SourcingRules
from oms_es.schemas.values.types import UNITS_MAX
from story import NOON, ORDER, line, placed, sourced
from story import sourcing_requested as again


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


def level(sku: str, location: str, atp: int, **more: Any) -> Row:
    nothing = {"channel_atp": {}, "presale_limit": 0, "presold": 0, "inbounds": {}}
    return {"sku": sku, "location": location, "atp": atp, **nothing, **more}


def results(open_places: list[Row], **atp: dict[str, int]) -> Any:
    """Return the rows that sourcing looks up. `atp`: units by SKU and location."""
    return {
        "locations": {True: open_places},
        "sourcing_rules": {True: []},
        "location_load": {True: []},
        "items": defaultdict(list),
        "stock_levels": {
            sku: [level(sku, location, n) for location, n in levels.items()] for sku, levels in atp.items()
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
    command = answer(placed(), results(BOTH, A={"berlin": 2}, B={"berlin": 9}))
    assert (command.order_id, command.attempt, command.rule_version) == (ORDER, 1, BUILT_IN_VERSION)
    assert assigned(command) == [("A", "berlin", 2), ("B", "berlin", 1)]
    assert command.backordered == {}
    (only,) = command.candidates
    assert (only.locations, only.covers_units, only.shipments) == (("berlin",), 3, 1)


def test_lines_of_one_sku_are_one_demand() -> None:
    two_lines = placed(line("A", 2), line("A", 3).model_copy(update={"line_id": "again"}))
    command = answer(two_lines, results(BOTH, A={"berlin": 4}))
    assert (assigned(command), command.backordered) == ([("A", "berlin", 4)], {"A": 1})


def test_what_no_location_can_promise_is_backordered() -> None:
    command = answer(placed(), results(BOTH, A={"berlin": 1}, B={}))
    assert (assigned(command), command.backordered) == ([("A", "berlin", 1)], {"A": 1, "B": 1})


def test_without_any_stock_everything_is_backordered() -> None:
    command = answer(placed(), results(BOTH, A={"berlin": 0, "paris": -1}, B={}))
    assert (command.assignments, command.backordered, command.candidates) == ((), {"A": 2, "B": 1}, ())


def test_a_location_that_is_not_open_ships_nothing() -> None:
    command = answer(placed(), results([place("paris")], A={"berlin": 9}, B={"berlin": 9, "paris": 9}))
    assert (assigned(command), command.backordered) == ([("B", "paris", 1)], {"A": 2})


def test_a_location_that_came_up_short_is_not_asked_again_for_that_sku() -> None:
    given = results(BOTH, A={"berlin": 9, "paris": 9}, B={"berlin": 9})
    assert assigned(answer(again(A=2, B=1), given)) == [("A", "berlin", 2), ("B", "berlin", 1)]
    elsewhere = answer(again(2, excluded={"A": ("berlin",)}, A=2, B=1), given)
    assert (elsewhere.attempt, assigned(elsewhere)) == (2, [("A", "paris", 2), ("B", "berlin", 1)])
    nowhere = answer(again(3, excluded={"A": ("berlin", "paris")}, A=2, B=1), given)
    assert (assigned(nowhere), nowhere.backordered) == ([("B", "berlin", 1)], {"A": 2})


def test_the_candidates_say_why_this_location() -> None:
    near_and_far = [place("berlin", latitude=52.5, longitude=13.4), place("paris", latitude=48.9, longitude=2.4)]
    command = answer(placed(line("A", 1)), results(near_and_far, A={"berlin": 1, "paris": 1}))
    assert assigned(command) == [("A", "berlin", 1)]
    assert [(c.locations, c.distance_km) for c in command.candidates] == [(("berlin",), 0), (("paris",), 871)]


def test_a_channel_is_promised_its_share_and_a_presale_what_is_still_to_come() -> None:
    given = results([place("berlin")], B={"berlin": 9})
    given["stock_levels"]["A"] = [level("A", "berlin", 5, channel_atp={"web": 1}, presale_limit=4, presold=1)]
    only_a = line("A", 9)
    assert answer(placed(only_a), given).backordered == {"A": 8}
    assert answer(placed(only_a, channel="pos"), given).backordered == {"A": 4}
    assert answer(placed(only_a, kind="presale"), given).backordered == {"A": 6}


@pytest.mark.parametrize(("units", "day"), [(2, 1), (3, 2), (5, 2), (6, None)])
def test_a_backorder_is_promised_when_enough_is_expected_where_it_may_be_served_from(
    units: int, day: int | None
) -> None:
    coming = [(f"i{n}", {"quantity": n + 1, "promised_at": (NOON + timedelta(days=n)).isoformat()}) for n in (1, 2)]
    given = results([place("berlin"), place("store", channels=["pos"])])
    given["stock_levels"]["A"] = [
        level("A", "berlin", 0, inbounds=dict(coming)),
        level("A", "store", 9, inbounds={"i0": {"quantity": 9, "promised_at": NOON.isoformat()}}),
    ]
    expected = None if day is None else NOON + timedelta(days=day)
    assert answer(placed(line("A", units)), given).promised_at == expected


def test_a_channel_gets_what_its_share_leaves_and_a_presale_what_is_still_to_come() -> None:
    there = level("A", "berlin", 9, channel_atp={"web": 2}, presale_limit=20, presold=5)
    request = SourcingRequest(o.Address(country="DE"))
    assert promisable(there, request) == 9
    assert promisable(there, request._replace(channel="shop")) == 9
    assert promisable(there, request._replace(channel="web")) == 2
    assert promisable(there, request._replace(channel="web", kind="presale")) == 15


def with_items(given: Any, **bundles: dict[str, int]) -> Any:
    items = {sku: [{"sku": sku, "components": made_of}] for sku, made_of in bundles.items()}
    return {**given, "items": defaultdict(list, items)}


def test_a_bundle_is_taken_apart_before_anything_is_sourced() -> None:
    given = with_items(results(BOTH, A={"berlin": 9}, B={"berlin": 9}), A={"X": 2, "Y": 1}, B={})
    assert consumer.react(placed(), given) == (
        o.ExplodeBundles(order_id=ORDER, attempt=1, bundles={"A": {"X": 2, "Y": 1}}),
    )


def test_a_component_is_a_plain_unit_whatever_is_sold_under_its_name() -> None:
    given = with_items(results(BOTH, X={"berlin": 9}), X={"Z": 1})
    request = again(2, X=4).model_copy(update={"bundles": {"A": {"X": 2}}})
    assert assigned(answer(request, given)) == [("X", "berlin", 4)]
    assert isinstance(consumer.react(again(2, X=4), given)[0], o.ExplodeBundles)


def test_more_components_than_anybody_can_have_are_not_asked_for() -> None:
    given = with_items(results(BOTH, A={}, B={}), A={"X": UNITS_MAX})
    assert answer(placed(), given).backordered == {"A": 2, "B": 1}


def test_the_rules_that_hold_are_named_in_the_answer() -> None:
    rules = SourcingRules(objective=({"distance_km": 1},)).model_dump(mode="json")
    near_and_dear = [place("berlin", latitude=52.5, longitude=13.4, handling_minor=9_000, priority=9), place("paris")]
    given = results(near_and_dear, A={"berlin": 2, "paris": 2}, B={"berlin": 1, "paris": 1})
    assert answer(placed(), given).candidates[0].locations == ("paris",)
    given["sourcing_rules"] = {True: [{"version": "2", "rules": rules}]}
    command = answer(placed(), given)
    assert (command.rule_version, command.candidates[0].locations) == ("2", ("berlin",))


@pytest.mark.parametrize(("orders", "day", "expected"), [(1, 1, "berlin"), (2, 1, "paris"), (2, 0, "berlin")])
def test_a_location_is_full_by_what_it_was_given_on_the_newest_day(orders: int, day: int, expected: str) -> None:
    rules = SourcingRules(objective=({"over_capacity": 1}, {"priority": 1})).model_dump(mode="json")
    given = results(
        [place("berlin", capacity_per_day=2), place("paris", priority=1)], A={"berlin": 2, "paris": 2}, B={}
    )
    given["sourcing_rules"] = {True: [{"version": "2", "rules": rules}]}
    loads = [("berlin", orders, NOON.date() + timedelta(days=day)), ("paris", 1, NOON.date() + timedelta(days=1))]
    given["location_load"] = {True: [{"location": name, "orders": n, "day": of} for name, n, of in loads]}
    assert answer(placed(), given).candidates[0].locations == (expected,)


def test_what_was_sourced_in_the_moment_in_which_its_location_closed_is_sourced_elsewhere() -> None:
    given: Any = {"locations": {True: [place("paris")]}}
    both = sourced(("A", "berlin", 2), ("B", "paris", 1))
    (command,) = consumer.react(both, given)
    assert command == o.RecordLocationFailed(order_id=ORDER, location="berlin", reason="berlin is not open")
    assert consumer.react(sourced(("B", "paris", 1)), given) == ()


def test_what_is_locked_at_a_location_that_closes_is_sourced_elsewhere() -> None:
    closed = LocationClosed(location="berlin", reason="flooded")
    given: Any = {"order_locations": {"berlin": [{"order_id": "x"}, {"order_id": "y"}]}}
    assert consumer.react(closed, given) == tuple(
        o.RecordLocationFailed(order_id=order_id, location="berlin", reason="flooded") for order_id in "xy"
    )


# --- the carriers' rates

NEAR, FAR = (
    place("berlin", latitude=52.5, longitude=13.4),
    place("munich", latitude=48.1, longitude=11.6),
)
"""From where, to an address in Berlin."""


def rates(*zones: dict[str, Any], option: str = "standard") -> Row:
    reported = [{"countries": [], "distance_km_max": None, "transit_days": 1, **zone} for zone in zones]
    services = [{"service": "parcel", "delivery_options": [option], "zones": reported}]
    return {"carrier": "dhl", "offered": True, "version": "1", "currency": "EUR", "services": services}


def up_to(grams: int, price: int) -> list[dict[str, int]]:
    return [{"weight_grams_max": grams, "price_minor": price}]


CHEAP_FROM_AFAR = (
    {"distance_km_max": 100, "bands": up_to(5_000, 900)},
    {"bands": up_to(5_000, 300), "transit_days": 3},
)


def with_rates(offered: Row, *, grams: int = 1_000, rules: SourcingRules | None = None) -> Any:
    given = results([NEAR, FAR], A={"berlin": 9, "munich": 9})
    given["items"]["A"] = [{"sku": "A", "weight_grams": grams, "volume_ml": 0, "components": {}}]
    given["carrier_rates"] = {True: [offered]}
    if rules:
        given["sourcing_rules"] = {True: [{"version": "2", "rules": rules.model_dump(mode="json")}]}
    return given


def chosen(given: Any) -> o.Candidate:
    return answer(placed(line("A", 2)), given).candidates[0]


def test_a_parcel_costs_what_the_carriers_take_where_they_have_published_it() -> None:
    best = chosen(with_rates(rates(*CHEAP_FROM_AFAR)))
    assert (best.locations, best.cost_minor) == (("munich",), 300)
    without = chosen(results([NEAR, FAR], A={"berlin": 9, "munich": 9}))
    assert without.locations == ("berlin",)


@pytest.mark.parametrize(
    "given",
    [
        with_rates(rates(*CHEAP_FROM_AFAR), grams=0),
        with_rates(rates(*CHEAP_FROM_AFAR), grams=3_000),
        with_rates(rates(*CHEAP_FROM_AFAR, option="express")),
    ],
    ids=["weight not known", "too heavy", "another option"],
)
def test_where_no_carrier_says_what_it_takes_the_length_of_the_way_counts(given: Any) -> None:
    assert chosen(given).locations == ("berlin",)


def test_what_the_rules_say_of_cost_goes_before_the_carriers() -> None:
    rules = SourcingRules(rates=(RateBand(distance_km_max=100, cost_minor=100), RateBand(cost_minor=200)))
    best = chosen(with_rates(rates(*CHEAP_FROM_AFAR), rules=rules))
    assert (best.locations, best.cost_minor) == (("berlin",), 100)


def test_a_carrier_that_takes_longer_than_was_promised_is_late() -> None:
    rules = SourcingRules(objective=({"late_days": 1}, {"cost_minor": 1}), promised_days={"standard": 1})
    best = chosen(with_rates(rates(*CHEAP_FROM_AFAR), rules=rules))
    assert (best.locations, best.late_days) == (("berlin",), 0)
