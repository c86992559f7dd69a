"""The search for the locations that ship an order. Pure arithmetic over rows; each decision names the rules' version.

A plan is a set of locations that may ship the order. Plans are compared left to right: most units covered, then the
terms of the rules' objective, and then size and names, so that equal rows give equal plans everywhere. The rules say
whether plans with more parcels are worth it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

from oms_es.schemas.catalog.rules import EligibilityRule, Measure, RateBand, SourcingRules, SplitPolicy
from oms_es.schemas.order import Address, Assignment, Candidate, Destination

EXACT_LOCATIONS_MAX = 8
"""Every set of up to `SHIPMENTS_MAX` of this many locations is compared; with more locations, the search is greedy."""
CANDIDATES_KEPT_MAX = 5
"""How many plans are kept in the decision, best first, to explain it."""
RULED_OUT_KEPT_MAX = 20
KM_PER_COST_MINOR = 10
"""The assumed price of a parcel without a price in rules or rates: one minor unit per this many kilometres."""
EARTH_RADIUS_KM = 6_371
UNKNOWN_AT_HOME_KM = 300
UNKNOWN_ABROAD_KM = 1_500
"""The assumed distance abroad, and above at home, if coordinates are not known."""

MEASURES: tuple[Measure, ...] = ("shipments", "priority", "cost_minor", "distance_km", "late_days", "over_capacity")
SHIPMENTS, COST = MEASURES.index("shipments"), MEASURES.index("cost_minor")
BUILT_IN = SourcingRules()
Available = Mapping[str, Mapping[str, int]]
"""By location and SKU, the units that can be promised there; no zeros."""


class SourcingRequest(NamedTuple):
    """What of an order, besides its demand, decides where it may ship from.

    `held` has the locations where it has reservations.
    """

    ship_to: Address | Destination
    channel: str = ""
    kind: str = "standard"
    delivery_option: str = "standard"
    allow_split: bool = True
    held: frozenset[str] = frozenset()
    pickup_at: str | None = None


class Quoted(NamedTuple):
    price_minor: int
    days: int


class CandidateLocation(NamedTuple):
    location: str
    country: str
    latitude: float | None
    longitude: float | None
    priority: int
    handling_minor: int
    kind: str = "warehouse"
    region: str = ""
    channels: tuple[str, ...] = ()
    delivery_options: tuple[str, ...] = ()
    room: int | None = None  # orders that it can still take today; None without a limit
    quoted: Quoted | None = None  # the carriers' quote for a parcel from here; None if there is none


class Weighed(NamedTuple):
    """A location as seen from one order, by MEASURES. `terms` is what it adds to each term of the objective."""

    location: str
    measures: tuple[int, ...]
    terms: tuple[int, ...]
    stock: Mapping[str, int]


class Plan(NamedTuple):
    assignments: tuple[Assignment, ...]
    backordered: dict[str, int]
    candidates: tuple[Candidate, ...]
    ruled_out: dict[str, str]


class Score(NamedTuple):
    """A plan's score: lower is better, compared left to right."""

    lacking: int
    terms: tuple[int, ...]
    size: int
    names: tuple[str, ...]


Scored = tuple[Score, tuple[Weighed, ...]]


def plan(
    demand: Mapping[str, int],
    available: Available,
    places: Mapping[str, CandidateLocation],
    request: SourcingRequest,
    rules: SourcingRules = BUILT_IN,
) -> Plan:
    objective = [[(weight, MEASURES.index(name)) for name, weight in term.items()] for term in rules.objective]
    weighed: list[Weighed] = []
    ruled_out: dict[str, str] = {}
    for location, stock in available.items():
        place = places[location]
        km = distance_km(place, request.ship_to)
        if why := ineligible(place, km, request, rules):
            if len(ruled_out) < RULED_OUT_KEPT_MAX:
                ruled_out[location] = why
        else:
            measures = _measures(place, km, request, rules)
            terms = tuple([sum([weight * measures[which] for weight, which in term]) for term in objective])
            weighed.append(Weighed(location, measures, terms, stock))
    scored = sorted(_feasible(demand, weighed, request, rules), key=lambda pair: pair[0])
    if not scored:
        return Plan((), dict(demand), (), ruled_out)
    best = _worth_its_parcels(scored, rules.split)
    kept = [best, *(pair for pair in scored[:CANDIDATES_KEPT_MAX] if pair is not best)][:CANDIDATES_KEPT_MAX]
    assignments, lacking = _assign(demand, best[1])
    return Plan(assignments, lacking, tuple(_candidate(demand, pair) for pair in kept), ruled_out)


# --- which places may ship


def ineligible(place: CandidateLocation, km: int, request: SourcingRequest, rules: SourcingRules) -> str:
    """Return why the location may not ship the order; empty if it may."""
    if request.pickup_at not in (None, place.location):
        return f"it is collected at {request.pickup_at}"
    if place.channels and request.channel not in place.channels:
        return f"does not serve channel {request.channel}"
    if place.delivery_options and request.delivery_option not in place.delivery_options:
        return f"does not offer {request.delivery_option}"
    for rule in rules.eligibility:
        if _concerns(rule, request) and _names(rule, place, km, request) == (rule.effect == "never"):
            return f"rule {rule.rule_id}"
    return ""


def _concerns(rule: EligibilityRule, request: SourcingRequest) -> bool:
    """Return whether the rule applies to such an order."""
    return (
        (not rule.channels or request.channel in rule.channels)
        and (not rule.order_kinds or request.kind in rule.order_kinds)
        and (not rule.delivery_options or request.delivery_option in rule.delivery_options)
        and (not rule.ship_to_countries or request.ship_to.country in rule.ship_to_countries)
        and (not rule.ship_to_regions or request.ship_to.region in rule.ship_to_regions)
    )


def _names(rule: EligibilityRule, place: CandidateLocation, km: int, request: SourcingRequest) -> bool:
    """Return whether the rule's conditions describe such a location."""
    return (
        (not rule.location_kinds or place.kind in rule.location_kinds)
        and (not rule.locations or place.location in rule.locations)
        and (not rule.location_countries or place.country in rule.location_countries)
        and (not rule.location_regions or place.region in rule.location_regions)
        and (rule.within_km is None or km <= rule.within_km)
        and (not rule.same_country or place.country == request.ship_to.country)
    )


# --- what a place costs


def distance_km(place: CandidateLocation, ship_to: Address | Destination) -> int:
    """Return the great-circle distance by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", 1984)."""
    if place.latitude is None or place.longitude is None or ship_to.latitude is None or ship_to.longitude is None:
        return UNKNOWN_AT_HOME_KM if place.country == ship_to.country else UNKNOWN_ABROAD_KM
    here, there = radians(place.latitude), radians(ship_to.latitude)
    half_lat, half_lon = (there - here) / 2, radians(ship_to.longitude - place.longitude) / 2
    chord = sin(half_lat) ** 2 + cos(here) * cos(there) * sin(half_lon) ** 2
    return round(2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, chord))))


def _measures(place: CandidateLocation, km: int, request: SourcingRequest, rules: SourcingRules) -> tuple[int, ...]:
    """Return the location's measures, in the order of MEASURES."""
    band = next((band for band in rules.rates if _applies(band, place, km, request)), None) if rules.rates else None
    way = Quoted(band.cost_minor, band.days) if band else place.quoted
    days_allowed = rules.promised_days.get(request.delivery_option)
    return (
        1 if rules.split.held_counts or place.location not in request.held else 0,
        place.priority,
        place.handling_minor + (km // KM_PER_COST_MINOR if way is None else way.price_minor),
        km,
        0 if way is None or days_allowed is None else max(0, way.days - days_allowed),
        1 if place.room is not None and place.room <= 0 else 0,
    )


def _applies(band: RateBand, place: CandidateLocation, km: int, request: SourcingRequest) -> bool:
    return (
        km <= band.distance_km_max
        and (not band.delivery_options or request.delivery_option in band.delivery_options)
        and (not band.location_kinds or place.kind in band.location_kinds)
        and (not band.ship_to_countries or request.ship_to.country in band.ship_to_countries)
    )


# --- which set of places is best


def _feasible(
    demand: Mapping[str, int], weighed: Sequence[Weighed], request: SourcingRequest, rules: SourcingRules
) -> list[Scored]:
    if not request.allow_split:
        whole = [place for place in weighed if not request.held or request.held == {place.location}]
        return [pair for pair in exact_sets(demand, whole, 1) if pair[0].lacking == 0]
    if len(weighed) > EXACT_LOCATIONS_MAX:
        return greedy_sets(demand, weighed, rules.split.shipments_max)
    fewest_first = set(rules.objective[0]) == {"shipments"} and (rules.split.held_counts or not request.held)
    return exact_sets(demand, weighed, rules.split.shipments_max, fewest_first=fewest_first)


def exact_sets(
    demand: Mapping[str, int], weighed: Sequence[Weighed], shipments_max: int, *, fewest_first: bool = False
) -> list[Scored]:
    """Return all sets with their scores, from the smallest.

    With `fewest_first` the search ends at the first size that covers all that can be covered, as no larger set can be
    better.
    """
    fewest_lacking = score(demand, weighed).lacking
    found: list[Scored] = []
    for size in range(1, min(shipments_max, len(weighed)) + 1):
        found += [(score(demand, chosen), chosen) for chosen in combinations(weighed, size)]
        if fewest_first and any(a_score.lacking == fewest_lacking for a_score, _ in found):
            break
    return found


def greedy_sets(demand: Mapping[str, int], weighed: Sequence[Weighed], shipments_max: int) -> list[Scored]:
    """Return sets that grow by the location that makes the best larger set, as long as it covers more units."""
    chosen: tuple[Weighed, ...] = ()
    found: list[Scored] = []
    for _ in range(shipments_max):
        larger = [(score(demand, (*chosen, place)), (*chosen, place)) for place in weighed if place not in chosen]
        if not larger:
            break
        best = min(larger, key=lambda pair: pair[0])
        if found and best[0].lacking >= min(a_score.lacking for a_score, _ in found):
            break
        found += sorted(larger, key=lambda pair: pair[0])[:CANDIDATES_KEPT_MAX]
        chosen = best[1]
    return found


def score(demand: Mapping[str, int], chosen: Sequence[Weighed]) -> Score:
    if len(chosen) == 1:  # most plans have one location
        (only,) = chosen
        there = only.stock
        lacking = sum([max(0, wanted - there.get(sku, 0)) for sku, wanted in demand.items()])
        return Score(lacking, only.terms, 1, (only.location,))
    return Score(
        sum(max(0, wanted - sum(place.stock.get(sku, 0) for place in chosen)) for sku, wanted in demand.items()),
        _summed([place.terms for place in chosen]),
        len(chosen),
        tuple(sorted(place.location for place in chosen)),
    )


def _worth_its_parcels(scored: Sequence[Scored], policy: SplitPolicy) -> Scored:
    """Return the best set with the fewest parcels, or one with more parcels if each further parcel brings enough."""
    best_with: dict[int, Scored] = {}
    for pair in scored:
        best_with.setdefault(_measured(pair[1], SHIPMENTS), pair)
    if len(best_with) == 1:
        return scored[0]
    parcels, best = min(best_with.items())
    for more, larger in sorted(best_with.items()):
        gained = best[0].lacking - larger[0].lacking
        saved = _measured(best[1], COST) - _measured(larger[1], COST)
        further = more - parcels
        if (gained and gained >= policy.units_gained_min * further) or (
            not gained and larger[0] < best[0] and saved >= policy.saving_minor_min * further
        ):
            parcels, best = more, larger
    return best


def _measured(chosen: Sequence[Weighed], which: int) -> int:
    return sum([place.measures[which] for place in chosen])


def _summed(columns: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return columns[0] if len(columns) == 1 else tuple(map(sum, zip(*columns, strict=True)))


def _assign(demand: Mapping[str, int], chosen: Sequence[Weighed]) -> tuple[tuple[Assignment, ...], dict[str, int]]:
    """Return the assignments, and the units that are lacking: each SKU is taken whole from the cheapest location that
    has all of it, otherwise from the fullest locations first.
    """
    assignments: list[Assignment] = []
    lacking: dict[str, int] = {}
    for sku, wanted in demand.items():
        left = wanted
        by_share = sorted(chosen, key=lambda p: (-min(p.stock.get(sku, 0), wanted), p.measures[COST], p.location))
        for place in by_share:
            if taken := min(left, place.stock.get(sku, 0)):
                assignments.append(Assignment(sku=sku, location=place.location, quantity=taken))
                left -= taken
        if left:
            lacking[sku] = left
    return tuple(assignments), lacking


def _candidate(demand: Mapping[str, int], scored: Scored) -> Candidate:
    a_score, chosen = scored
    return Candidate(
        locations=a_score.names,
        covers_units=sum(demand.values()) - a_score.lacking,
        score=a_score.terms,
        **dict(zip(MEASURES, _summed([place.measures for place in chosen]), strict=True)),
    )
