"""The laws of the search: no unit is promised twice or lost, fewest shipments, and exact is never worse than greedy."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import acos, cos, radians, sin
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.consumers.sourcing_rules import (
    CANDIDATES_KEPT_MAX,
    EARTH_RADIUS_KM,
    EXACT_LOCATIONS_MAX,
    KM_PER_COST_MINOR,
    SHIPMENTS_MAX,
    UNKNOWN_ABROAD_KM,
    UNKNOWN_AT_HOME_KM,
    Place,
    Plan,
    Weighed,
    covered,
    distance_km,
    exact_sets,
    greedy_sets,
    plan,
)
from oms_es.schemas.order import Address
from story import BERLIN

SKUS = "ABC"
Demand = dict[str, int]
Available = dict[str, dict[str, int]]


def place(location: str, **more: Any) -> Place:
    unknown: dict[str, Any] = {"country": "DE", "latitude": None, "longitude": None, "priority": 0, "handling_minor": 0}
    return Place(location, **{**unknown, **more})


def planned(demand: Demand, available: Available, **places: Place) -> Plan:
    return plan(demand, available, {name: places.get(name, place(name)) for name in available}, BERLIN)


def shares(decided: Plan) -> dict[tuple[str, str], int]:
    return {(a.sku, a.location): a.quantity for a in decided.assignments}


def shippers(decided: Plan) -> set[str]:
    return {a.location for a in decided.assignments}


# --- what wins, left to right


def test_covering_more_wins_over_fewer_shipments() -> None:
    decided = planned({"A": 3}, {"x": {"A": 2}, "y": {"A": 1}})
    assert shares(decided) == {("A", "x"): 2, ("A", "y"): 1}


def test_fewer_shipments_win_over_priority() -> None:
    available = {"x": {"A": 1}, "y": {"B": 1}, "z": {"A": 1, "B": 1}}
    assert shippers(planned({"A": 1, "B": 1}, available, z=place("z", priority=99))) == {"z"}


def test_priority_wins_over_cost() -> None:
    places = {"x": place("x", priority=1), "y": place("y", handling_minor=10_000)}
    assert shippers(planned({"A": 1}, {"x": {"A": 1}, "y": {"A": 1}}, **places)) == {"y"}


def test_cost_is_handling_and_distance() -> None:
    near = place("near", latitude=52.5, longitude=13.4)
    far = place("far", latitude=48.9, longitude=2.4)
    available = {"far": {"A": 1}, "near": {"A": 1}}
    assert shippers(planned({"A": 1}, available, near=near, far=far)) == {"near"}
    saved = distance_km(far, BERLIN) // KM_PER_COST_MINOR
    dear = near._replace(handling_minor=saved + 1)
    assert shippers(planned({"A": 1}, available, near=dear, far=far)) == {"far"}


def test_equal_plans_are_told_apart_by_name_in_whatever_order_they_come() -> None:
    one, other = {"x": {"A": 1}, "y": {"A": 1}}, {"y": {"A": 1}, "x": {"A": 1}}
    assert planned({"A": 1}, one) == planned({"A": 1}, other)
    assert shippers(planned({"A": 1}, one)) == {"x"}


def test_a_sku_stays_whole_where_one_of_the_chosen_has_it_all() -> None:
    available = {"x": {"A": 2, "B": 1}, "y": {"A": 9, "C": 1}}
    decided = planned({"A": 3, "B": 1, "C": 1}, available)
    assert shares(decided) == {("A", "y"): 3, ("B", "x"): 1, ("C", "y"): 1}


def test_a_sku_that_nobody_has_whole_is_split() -> None:
    decided = planned({"A": 5}, {"x": {"A": 2}, "y": {"A": 4}})
    assert shares(decided) == {("A", "y"): 4, ("A", "x"): 1}


def test_beyond_the_greatest_number_of_shipments_the_rest_is_backordered() -> None:
    available = {f"p{n}": {"A": 1} for n in range(SHIPMENTS_MAX + 2)}
    decided = planned({"A": SHIPMENTS_MAX + 2}, available)
    assert (len(shippers(decided)), decided.backordered) == (SHIPMENTS_MAX, {"A": 2})


def test_the_best_candidates_are_kept_and_the_first_is_the_one_that_was_chosen() -> None:
    decided = planned({"A": 1}, {f"p{n}": {"A": 1} for n in range(EXACT_LOCATIONS_MAX)})
    assert len(decided.candidates) == CANDIDATES_KEPT_MAX
    assert [c.locations for c in decided.candidates] == [(f"p{n}",) for n in range(CANDIDATES_KEPT_MAX)]
    assert shippers(decided) == set(decided.candidates[0].locations)


# --- distances


def test_distances_are_those_of_the_globe() -> None:
    paris = place("paris", latitude=48.9, longitude=2.4)
    here, there, apart = radians(48.9), radians(52.5), radians(11.0)
    by_cosines = EARTH_RADIUS_KM * acos(sin(here) * sin(there) + cos(here) * cos(there) * cos(apart))
    assert distance_km(paris, BERLIN) == round(by_cosines)
    antipode = place("antipode", latitude=-52.5, longitude=13.4 - 180)
    assert distance_km(antipode, BERLIN) == round(EARTH_RADIUS_KM * acos(-1))
    assert distance_km(place("here", latitude=52.5, longitude=13.4), BERLIN) == 0


@pytest.mark.parametrize("ship_to", [BERLIN, Address(country="DE")])
def test_unknown_distances_are_assumed_shorter_at_home_than_abroad(ship_to: Address) -> None:
    assert distance_km(place("home"), ship_to) == UNKNOWN_AT_HOME_KM < UNKNOWN_ABROAD_KM
    assert distance_km(place("abroad", country="FR"), ship_to) == UNKNOWN_ABROAD_KM
    assert distance_km(place("half", latitude=52.5), ship_to) == UNKNOWN_AT_HOME_KM


# --- the laws

demands = st.dictionaries(st.sampled_from(SKUS), st.integers(1, 6), min_size=1)


def stocks(locations_max: int) -> st.SearchStrategy[Available]:
    units = st.dictionaries(st.sampled_from(SKUS), st.integers(1, 5), min_size=1)
    return st.dictionaries(st.sampled_from("abcdefghijkl"), units, max_size=locations_max)


def weighed(available: Available) -> list[Weighed]:
    return [
        Weighed(name, index % 3, index % 4, index % 5, stock) for index, (name, stock) in enumerate(available.items())
    ]


@given(demands, stocks(12))
def test_every_unit_is_assigned_within_what_is_there_or_backordered(demand: Demand, available: Available) -> None:
    relevant = {name: {k: n for k, n in stock.items() if k in demand} for name, stock in available.items()}
    relevant = {name: stock for name, stock in relevant.items() if stock}
    decided = planned(demand, relevant)
    promised: Counter[str] = Counter(decided.backordered)
    for assignment in decided.assignments:
        promised[assignment.sku] += assignment.quantity
        assert assignment.quantity <= relevant[assignment.location][assignment.sku]
    assert len(shares(decided)) == len(decided.assignments)
    assert dict(promised) == demand
    assert len(shippers(decided)) <= SHIPMENTS_MAX
    if decided.candidates:
        covers = decided.candidates[0].covers_units
        assert covers == sum(demand.values()) - sum(decided.backordered.values())


@given(demands, stocks(EXACT_LOCATIONS_MAX))
def test_the_exact_search_covers_the_most_in_the_fewest_shipments(demand: Demand, available: Available) -> None:
    places = weighed(available)
    decided = planned(demand, {name: stock for name, stock in available.items() if covered(demand, [_of(name, stock)])})
    sizes = range(min(SHIPMENTS_MAX, len(places)) + 1)
    by_size = [max(covered(demand, chosen) for chosen in combinations(places, size)) for size in sizes]
    assert sum(a.quantity for a in decided.assignments) == max(by_size)
    assert len(shippers(decided)) == by_size.index(max(by_size))


def _of(name: str, stock: dict[str, int]) -> Weighed:
    return Weighed(name, 0, 0, 0, stock)


@given(demands, stocks(EXACT_LOCATIONS_MAX))
def test_the_greedy_search_is_never_better_than_the_exact_one(demand: Demand, available: Available) -> None:
    places = weighed(available)
    exact, greedy = exact_sets(demand, places), greedy_sets(demand, places)
    assert bool(exact) == bool(greedy) == bool(places)
    if places:
        assert min(score for score, _ in exact) <= min(score for score, _ in greedy)


@given(demands, stocks(12))
def test_where_one_location_has_it_all_both_searches_find_the_best_such(demand: Demand, available: Available) -> None:
    places = [*weighed(available), Weighed("whole", 1, 2, 3, dict.fromkeys(SKUS, 6))]
    exact, greedy = exact_sets(demand, places), greedy_sets(demand, places)
    best = min(score for score, _ in greedy)
    assert (best[0], best[1]) == (-sum(demand.values()), 1)
    assert best == min(score for score, _ in exact)
