"""The search for where an order ships from. Pure arithmetic over facts; the rule's version goes into every decision.

A plan is a set of locations. Plans are compared left to right: most units covered, fewest shipments, lowest sum of
priorities, lowest cost, shortest distance, and then the names, so that equal facts give equal plans everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

from oms_es.schemas.order import Address, Assignment, Candidate

RULES_VERSION = "1"
EXACT_LOCATIONS_MAX = 8
"""Every set of up to `SHIPMENTS_MAX` of this many locations is weighed; with more, the search is greedy."""
SHIPMENTS_MAX = 4
CANDIDATES_KEPT_MAX = 5
"""Plans kept in the decision, best first, for whoever asks why."""
KM_PER_COST_MINOR = 10
"""A parcel's way costs one minor unit per this many kilometres, until rate tables say better."""
EARTH_RADIUS_KM = 6_371
UNKNOWN_AT_HOME_KM = 300
UNKNOWN_ABROAD_KM = 1_500
"""Assumed distances where coordinates are not known."""

Available = Mapping[str, Mapping[str, int]]
"""Location to SKU to units that can be promised there; no zeros."""


class Place(NamedTuple):
    location: str
    country: str
    latitude: float | None
    longitude: float | None
    priority: int
    handling_minor: int


class Weighed(NamedTuple):
    """A place as seen from one order."""

    location: str
    priority: int
    cost_minor: int
    distance_km: int
    stock: Mapping[str, int]


class Plan(NamedTuple):
    assignments: tuple[Assignment, ...]
    backordered: dict[str, int]
    candidates: tuple[Candidate, ...]


Score = tuple[int, int, int, int, int, tuple[str, ...]]


def plan(demand: Mapping[str, int], available: Available, places: Mapping[str, Place], ship_to: Address) -> Plan:
    weighed = [_weigh(places[location], stock, ship_to) for location, stock in available.items()]
    scored = sorted(_sets(demand, weighed), key=lambda pair: pair[0])
    if not scored:
        return Plan((), dict(demand), ())
    assignments, lacking = _assign(demand, scored[0][1])
    return Plan(assignments, lacking, tuple(_candidate(score) for score, _ in scored[:CANDIDATES_KEPT_MAX]))


def distance_km(place: Place, ship_to: Address) -> int:
    """Great-circle distance by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", 1984)."""
    if place.latitude is None or place.longitude is None or ship_to.latitude is None or ship_to.longitude is None:
        return UNKNOWN_AT_HOME_KM if place.country == ship_to.country else UNKNOWN_ABROAD_KM
    here, there = radians(place.latitude), radians(ship_to.latitude)
    half_lat, half_lon = (there - here) / 2, radians(ship_to.longitude - place.longitude) / 2
    chord = sin(half_lat) ** 2 + cos(here) * cos(there) * sin(half_lon) ** 2
    return round(2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, chord))))


def _weigh(place: Place, stock: Mapping[str, int], ship_to: Address) -> Weighed:
    km = distance_km(place, ship_to)
    return Weighed(place.location, place.priority, place.handling_minor + km // KM_PER_COST_MINOR, km, stock)


def _sets(demand: Mapping[str, int], weighed: Sequence[Weighed]) -> list[tuple[Score, tuple[Weighed, ...]]]:
    if len(weighed) <= EXACT_LOCATIONS_MAX:
        return exact_sets(demand, weighed)
    return greedy_sets(demand, weighed)


def exact_sets(demand: Mapping[str, int], weighed: Sequence[Weighed]) -> list[tuple[Score, tuple[Weighed, ...]]]:
    """All sets of growing size, up to the first size at which one of them covers all that can be covered."""
    coverable = covered(demand, weighed)
    found: list[tuple[Score, tuple[Weighed, ...]]] = []
    for size in range(1, min(SHIPMENTS_MAX, len(weighed)) + 1):
        found += [(score(demand, chosen), chosen) for chosen in combinations(weighed, size)]
        if any(-a_score[0] == coverable for a_score, _ in found):
            break
    return found


def greedy_sets(demand: Mapping[str, int], weighed: Sequence[Weighed]) -> list[tuple[Score, tuple[Weighed, ...]]]:
    """Add, one by one, the location that makes the best larger set, as long as it covers more."""
    chosen: tuple[Weighed, ...] = ()
    found: list[tuple[Score, tuple[Weighed, ...]]] = []
    for _ in range(SHIPMENTS_MAX):
        larger = [(score(demand, (*chosen, place)), (*chosen, place)) for place in weighed if place not in chosen]
        if not larger:
            break
        best = min(larger, key=lambda pair: pair[0])
        if found and best[0][0] >= min(a_score[0] for a_score, _ in found):
            break
        found += sorted(larger, key=lambda pair: pair[0])[:CANDIDATES_KEPT_MAX]
        chosen = best[1]
    return found


def covered(demand: Mapping[str, int], chosen: Iterable[Weighed]) -> int:
    chosen = tuple(chosen)
    return sum(min(wanted, sum(place.stock.get(sku, 0) for place in chosen)) for sku, wanted in demand.items())


def score(demand: Mapping[str, int], chosen: tuple[Weighed, ...]) -> Score:
    """Lower is better."""
    return (
        -covered(demand, chosen),
        len(chosen),
        sum(place.priority for place in chosen),
        sum(place.cost_minor for place in chosen),
        sum(place.distance_km for place in chosen),
        tuple(sorted(place.location for place in chosen)),
    )


def _assign(demand: Mapping[str, int], chosen: Sequence[Weighed]) -> tuple[tuple[Assignment, ...], dict[str, int]]:
    """Each SKU whole from the cheapest place that has it all, otherwise from the fullest places first."""
    assignments: list[Assignment] = []
    lacking: dict[str, int] = {}
    for sku, wanted in demand.items():
        left = wanted
        for place in sorted(chosen, key=lambda p: (-min(p.stock.get(sku, 0), wanted), p.cost_minor, p.location)):
            if taken := min(left, place.stock.get(sku, 0)):
                assignments.append(Assignment(sku=sku, location=place.location, quantity=taken))
                left -= taken
        if left:
            lacking[sku] = left
    return tuple(assignments), lacking


def _candidate(a_score: Score) -> Candidate:
    units, shipments, priority, cost, distance, names = a_score
    return Candidate(
        locations=names,
        covers_units=-units,
        shipments=shipments,
        priority=priority,
        cost_minor=cost,
        distance_km=distance,
    )
