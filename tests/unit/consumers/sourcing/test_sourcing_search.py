"""Laws of the search: no unit is assigned twice or lost, shipments are fewest, and the exact search is never worse
than the greedy one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from math import acos, cos, radians, sin
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.consumers.sourcing.search import (
    CANDIDATES_KEPT_MAX,
    EARTH_RADIUS_KM,
    EXACT_LOCATIONS_MAX,
    KM_PER_COST_MINOR,
    UNKNOWN_ABROAD_KM,
    UNKNOWN_AT_HOME_KM,
    CandidateLocation,
    Plan,
    SourcingRequest,
    Weighed,
    distance_km,
    exact_sets,
    greedy_sets,
    plan,
    score,
)
from oms_es.schemas.catalog.rules import SHIPMENTS_MAX, EligibilityRule, RateBand, SourcingRules, SplitPolicy
from oms_es.schemas.order import Address
from story import BERLIN

SKUS = "ABC"
TO_BERLIN = SourcingRequest(BERLIN)
Demand = dict[str, int]
Available = dict[str, dict[str, int]]


def place(location: str, **more: Any) -> CandidateLocation:
    unknown: dict[str, Any] = {"country": "DE", "latitude": None, "longitude": None, "priority": 0, "handling_minor": 0}
    return CandidateLocation(location, **{**unknown, **more})


def planned(demand: Demand, available: Available, **places: CandidateLocation) -> Plan:
    return by_rules(SourcingRules(), demand, available, **places)


def by_rules(
    rules: SourcingRules,
    demand: Demand,
    available: Available,
    request: SourcingRequest = TO_BERLIN,
    /,
    **places: CandidateLocation,
) -> Plan:
    return plan(demand, available, {name: places.get(name, place(name)) for name in available}, request, rules)


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


def test_equal_plans_are_distinguished_by_name_in_whatever_order_they_come() -> None:
    one, other = {"x": {"A": 1}, "y": {"A": 1}}, {"y": {"A": 1}, "x": {"A": 1}}
    assert planned({"A": 1}, one) == planned({"A": 1}, other)
    assert shippers(planned({"A": 1}, one)) == {"x"}


def test_a_sku_stays_whole_where_one_of_the_chosen_has_it_all() -> None:
    available = {"x": {"A": 2, "B": 1}, "y": {"A": 9, "C": 1}}
    decided = planned({"A": 3, "B": 1, "C": 1}, available)
    assert shares(decided) == {("A", "y"): 3, ("B", "x"): 1, ("C", "y"): 1}


def test_a_sku_that_no_one_has_whole_is_split() -> None:
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


# --- who may ship

EVERYWHERE: Available = {"store": {"A": 1}, "supplier": {"A": 1}, "warehouse": {"A": 1}}
KINDS = {kind: place(kind, kind=kind) for kind in EVERYWHERE}


def may_ship(request: SourcingRequest, *rules: EligibilityRule, **places: CandidateLocation) -> set[str]:
    """Return the locations that are considered."""
    decided = by_rules(SourcingRules(eligibility=rules), {"A": 1}, EVERYWHERE, request, **{**KINDS, **places})
    named = {name for candidate in decided.candidates for name in candidate.locations}
    assert sorted([*decided.ruled_out, *named]) == sorted(EVERYWHERE)
    return named


def test_p33_a_location_ships_for_the_channels_that_it_serves_and_the_choice_is_no_lottery() -> None:
    franchise = place("store", channels=("pos",))
    assert may_ship(SourcingRequest(BERLIN, "web"), store=franchise) == {"supplier", "warehouse"}
    assert may_ship(SourcingRequest(BERLIN, "pos"), store=franchise) == {"store", "supplier", "warehouse"}
    decided = by_rules(SourcingRules(), {"A": 1}, EVERYWHERE, SourcingRequest(BERLIN, "web"), store=franchise)
    assert decided.ruled_out == {"store": "does not serve channel web"}
    backwards = {name: EVERYWHERE[name] for name in reversed(EVERYWHERE)}
    assert by_rules(SourcingRules(), {"A": 1}, backwards, SourcingRequest(BERLIN, "web"), store=franchise) == decided


def test_a_location_ships_by_the_delivery_options_that_it_offers() -> None:
    slow = place("store", delivery_options=("standard",))
    assert "store" not in may_ship(SourcingRequest(BERLIN, delivery_option="express"), store=slow)
    assert "store" in may_ship(SourcingRequest(BERLIN, delivery_option="standard"), store=slow)


def test_a_rule_says_of_some_orders_that_only_these_locations_ship_them() -> None:
    drop_ship = EligibilityRule(rule_id="r", effect="only", channels=("market",), location_kinds=("supplier",))
    assert may_ship(SourcingRequest(BERLIN, "market"), drop_ship) == {"supplier"}
    assert may_ship(SourcingRequest(BERLIN, "web"), drop_ship) == set(EVERYWHERE)


def test_a_rule_says_of_some_orders_that_these_locations_never_ship_them() -> None:
    no_stores = EligibilityRule(rule_id="r", effect="never", order_kinds=("presale",), location_kinds=("store",))
    assert may_ship(SourcingRequest(BERLIN, kind="presale"), no_stores) == {"supplier", "warehouse"}
    assert may_ship(SourcingRequest(BERLIN), no_stores) == set(EVERYWHERE)


def test_every_rule_that_concerns_an_order_holds() -> None:
    no_stores = EligibilityRule(rule_id="r", effect="never", location_kinds=("store",))
    no_supplier = EligibilityRule(rule_id="s", effect="never", locations=("supplier",))
    assert may_ship(SourcingRequest(BERLIN), no_stores, no_supplier) == {"warehouse"}


FAR = place("store", country="FR", region="IDF", latitude=48.9, longitude=2.4)


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ({"location_countries": ("FR",)}, True),
        ({"location_countries": ("DE",)}, False),
        ({"location_regions": ("IDF",)}, True),
        ({"location_regions": ("BE",)}, False),
        ({"within_km": 900}, True),
        ({"within_km": 800}, False),
        ({"same_country": True}, False),
        ({"ship_to_countries": ("DE",)}, True),
        ({"delivery_options": ("express",)}, False),
        ({"ship_to_regions": ("IDF",)}, False),
    ],
)
def test_a_rule_names_locations_and_orders_by_any_of_its_conditions(condition: Any, named: bool) -> None:
    never = EligibilityRule(rule_id="r", effect="never", **condition)
    assert ("store" not in may_ship(SourcingRequest(BERLIN), never, store=FAR)) == named


# --- what is best, by other rules

SPLIT: Available = {"x": {"A": 1, "B": 1}, "y": {"A": 1}, "z": {"B": 1}}
DEAR = {"x": place("x", handling_minor=1_000)}


def rules_by(*objective: Any, **more: Any) -> SourcingRules:
    return SourcingRules(objective=objective, **more)


def test_the_objective_says_what_is_better() -> None:
    cheapest = rules_by({"cost_minor": 1})
    assert shippers(by_rules(cheapest, {"A": 1, "B": 1}, SPLIT, **DEAR)) == {"y", "z"}
    assert shippers(planned({"A": 1, "B": 1}, SPLIT, **DEAR)) == {"x"}


def test_a_term_weighs_measures_against_each_other() -> None:
    for cost_of_a_parcel, expected in ((10, {"y", "z"}), (10_000, {"x"})):
        weighed_up = rules_by({"cost_minor": 1, "shipments": cost_of_a_parcel})
        assert shippers(by_rules(weighed_up, {"A": 1, "B": 1}, SPLIT, **DEAR)) == expected


def test_a_further_parcel_must_save_enough() -> None:
    saved = 1_000 - UNKNOWN_AT_HOME_KM // KM_PER_COST_MINOR
    for least, expected in ((saved, {"y", "z"}), (saved + 1, {"x"})):
        rules = rules_by({"cost_minor": 1}, split=SplitPolicy(saving_minor_min=least))
        decided = by_rules(rules, {"A": 1, "B": 1}, SPLIT, **DEAR)
        assert shippers(decided) == expected == set(decided.candidates[0].locations)


def test_a_further_parcel_must_bring_enough_units() -> None:
    for least, expected in ((2, {"x", "y"}), (3, {"x"})):
        rules = SourcingRules(split=SplitPolicy(units_gained_min=least))
        decided = by_rules(rules, {"A": 5}, {"x": {"A": 3}, "y": {"A": 2}})
        assert shippers(decided) == expected
        assert sum(decided.backordered.values()) == 5 - decided.candidates[0].covers_units


def test_rules_may_allow_fewer_parcels_than_the_search_can_weigh() -> None:
    decided = by_rules(
        SourcingRules(split=SplitPolicy(shipments_max=1)), {"A": 1, "B": 1}, {"y": {"A": 1}, "z": {"B": 1}}
    )
    assert len(shippers(decided)) == 1


def test_an_order_that_must_not_be_split_comes_whole_from_one_place_or_waits() -> None:
    whole = SourcingRequest(BERLIN, allow_split=False)
    assert shippers(by_rules(SourcingRules(), {"A": 1, "B": 1}, SPLIT, whole, **DEAR)) == {"x"}
    nobody = by_rules(SourcingRules(), {"A": 2, "B": 1}, SPLIT, whole)
    assert (nobody.assignments, nobody.backordered) == ((), {"A": 2, "B": 1})


def test_what_is_still_lacking_of_such_an_order_comes_from_where_the_rest_is_held() -> None:
    whole = SourcingRequest(BERLIN, allow_split=False, held=frozenset({"y"}))
    assert shippers(by_rules(SourcingRules(), {"A": 1}, SPLIT, whole)) == {"y"}
    assert by_rules(SourcingRules(), {"B": 1}, SPLIT, whole).backordered == {"B": 1}


def test_rules_may_say_that_a_place_where_units_are_held_is_no_further_parcel() -> None:
    holding = SourcingRequest(BERLIN, held=frozenset({"z"}))
    free = SourcingRules(split=SplitPolicy(held_counts=False))
    near = {"x": place("x"), "z": place("z", handling_minor=1_000)}
    available = {"x": {"B": 1}, "z": {"B": 1}}
    assert shippers(by_rules(free, {"B": 1}, available, holding, **near)) == {"z"}
    assert shippers(by_rules(SourcingRules(), {"B": 1}, available, holding, **near)) == {"x"}


RATES = (
    RateBand(delivery_options=("express",), distance_km_max=500, cost_minor=900, days=1),
    RateBand(delivery_options=("express",), cost_minor=1_900, days=3),
    RateBand(location_kinds=("store",), cost_minor=300, days=5),
    RateBand(ship_to_countries=("CH",), cost_minor=5_000, days=9),
)


@pytest.mark.parametrize(
    ("option", "a_place", "cost", "late"),
    [
        ("express", place("x"), 900, 0),
        ("express", FAR, 1_900, 2),
        ("standard", FAR, 300, 0),
        ("standard", place("x", handling_minor=7), 7 + UNKNOWN_AT_HOME_KM // KM_PER_COST_MINOR, 0),
    ],
)
def test_the_first_band_of_the_rates_that_matches_says_what_a_parcel_costs_and_takes(
    option: str, a_place: CandidateLocation, cost: int, late: int
) -> None:
    rules = SourcingRules(rates=RATES, promised_days={"express": 1})
    request = SourcingRequest(BERLIN, delivery_option=option)
    a_place = a_place._replace(location="x", kind="store" if a_place is FAR else "warehouse")
    (only,) = by_rules(rules, {"A": 1}, {"x": {"A": 1}}, request, x=a_place).candidates
    assert (only.cost_minor, only.late_days) == (cost, late)


def test_a_promise_kept_may_be_worth_more_than_money() -> None:
    rules = rules_by({"late_days": 1}, {"cost_minor": 1}, rates=RATES[:2], promised_days={"express": 1})
    near = place("near", handling_minor=10_000)
    available = {"near": {"A": 1}, "far": {"A": 1}}
    request = SourcingRequest(BERLIN, delivery_option="express")
    assert shippers(by_rules(rules, {"A": 1}, available, request, near=near, far=FAR._replace(location="far"))) == {
        "near"
    }


def test_a_location_that_is_full_for_today_comes_last_and_is_still_better_than_none() -> None:
    rules = rules_by({"over_capacity": 1}, {"priority": 1})
    full, other = place("full", room=0), place("other", priority=9)
    both = {"full": {"A": 1}, "other": {"A": 1}}
    assert shippers(by_rules(rules, {"A": 1}, both, full=full, other=other)) == {"other"}
    assert shippers(by_rules(rules, {"A": 1}, both, full=full._replace(room=1), other=other)) == {"full"}
    assert shippers(by_rules(rules, {"A": 1}, {"full": {"A": 1}}, full=full)) == {"full"}


def test_the_candidates_say_the_terms_by_which_they_were_compared() -> None:
    rules = rules_by({"shipments": 500, "cost_minor": 2}, {"distance_km": 1})
    (only,) = by_rules(rules, {"A": 1}, {"x": {"A": 1}}).candidates
    assert only.score == (500 + 2 * only.cost_minor, only.distance_km)


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
    """Return locations with the terms of the built-in objective: parcels, priority, cost, distance."""
    return [
        _seen(name, stock, index % 3, index % 4, index % 5) for index, (name, stock) in enumerate(available.items())
    ]


def _seen(name: str, stock: dict[str, int], priority: int, cost_minor: int, km: int) -> Weighed:
    measures = (1, priority, cost_minor, km)
    return Weighed(name, (*measures, 0, 0), measures, stock)


def covered(demand: Demand, chosen: Sequence[Weighed]) -> int:
    return sum(demand.values()) - score(demand, chosen).lacking


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
    decided = planned(demand, {name: stock for name, stock in available.items() if set(stock) & set(demand)})
    sizes = range(min(SHIPMENTS_MAX, len(places)) + 1)
    by_size = [max(covered(demand, chosen) for chosen in combinations(places, size)) for size in sizes]
    assert sum(a.quantity for a in decided.assignments) == max(by_size)
    assert len(shippers(decided)) == by_size.index(max(by_size))


@given(demands, stocks(EXACT_LOCATIONS_MAX))
def test_the_greedy_search_is_never_better_than_the_exact_one(demand: Demand, available: Available) -> None:
    places = weighed(available)
    exact, greedy = exact_sets(demand, places, SHIPMENTS_MAX), greedy_sets(demand, places, SHIPMENTS_MAX)
    assert bool(exact) == bool(greedy) == bool(places)
    if places:
        assert min(score for score, _ in exact) <= min(score for score, _ in greedy)


terms = st.dictionaries(
    st.sampled_from(["shipments", "priority", "cost_minor", "distance_km"]), st.integers(1, 9), min_size=1
)


@given(demands, stocks(EXACT_LOCATIONS_MAX), st.lists(terms, min_size=1, max_size=3), st.integers(1, SHIPMENTS_MAX))
def test_whatever_the_objective_the_greedy_plan_is_one_that_the_exact_search_weighed_too(
    demand: Demand, available: Available, objective: list[dict[str, int]], shipments_max: int
) -> None:
    """Both searches plan within the stock; the greedy result is feasible, and never better."""
    names = ("shipments", "priority", "cost_minor", "distance_km")
    places = [
        seen._replace(
            terms=tuple(sum(w * seen.measures[names.index(n)] for n, w in term.items()) for term in objective)
        )
        for seen in weighed(available)
    ]
    exact, greedy = exact_sets(demand, places, shipments_max), greedy_sets(demand, places, shipments_max)
    assert {score.names: score for score, _ in greedy}.items() <= {score.names: score for score, _ in exact}.items()
    if places:
        best, found = min(score for score, _ in exact), min(score for score, _ in greedy)
        assert best <= found
        assert found.lacking < sum(demand.values()) or best.lacking == sum(demand.values())


@given(demands, stocks(12), st.booleans(), st.integers(1, 3), st.integers(0, 5))
def test_no_rule_makes_a_plan_promise_what_is_not_there(
    demand: Demand, available: Available, allow_split: bool, try_acquire: int, saved: int
) -> None:
    rules = rules_by({"cost_minor": 1}, split=SplitPolicy(units_gained_min=try_acquire, saving_minor_min=saved))
    decided = by_rules(rules, demand, available, SourcingRequest(BERLIN, allow_split=allow_split))
    promised: Counter[str] = Counter(decided.backordered)
    for (sku, location), quantity in shares(decided).items():
        promised[sku] += quantity
        assert quantity <= available[location][sku]
    assert dict(promised) == demand
    if not allow_split:
        assert len(shippers(decided)) == (0 if decided.backordered else 1)


@given(demands, stocks(12))
def test_where_one_location_has_it_all_both_searches_find_the_best_such(demand: Demand, available: Available) -> None:
    places = [*weighed(available), _seen("whole", dict.fromkeys(SKUS, 6), 1, 2, 3)]
    exact, greedy = exact_sets(demand, places, SHIPMENTS_MAX), greedy_sets(demand, places, SHIPMENTS_MAX)
    best = min(score for score, _ in greedy)
    assert (best.lacking, best.size) == (0, 1)
    assert best == min(score for score, _ in exact)
