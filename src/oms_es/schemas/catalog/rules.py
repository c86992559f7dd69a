"""The rules of sourcing, as data: which locations may ship an order, and which of the possible plans is the best.

A version is published as an event. The content of a version never changes: every decision names its version.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from oms_es.kernel import Command, Event, Message
from oms_es.schemas.catalog.location import LocationKind
from oms_es.schemas.order import OrderKind
from oms_es.schemas.values.types import (
    COUNT_MAX,
    AmountMinor,
    Channel,
    Country,
    Identifier,
    LocationId,
    Text,
    Units,
    at_most_items,
)

RULES_STREAM = "rules-sourcing"
BUILT_IN_VERSION = "1"
"""The version of the built-in rules, which are in force as long as none are published."""
ELIGIBILITY_RULES_MAX = 100
NAMES_MAX = 1_000
TERMS_MAX = 10
KINDS_MAX = 20
WEIGHT_MAX = 1_000_000
BANDS_MAX = 1_000
DAYS_MAX = 365
IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
KM_MAX = 20_016
"""Half of the Earth's circumference."""
SHIPMENTS_MAX = 4
"""How many locations may ship one order at most, whatever a rule says: the search compares every set of them."""

Position = Annotated[int, Field(ge=0, le=COUNT_MAX)]
Days = Annotated[int, Field(ge=0, le=DAYS_MAX)]
Kilometres = Annotated[int, Field(ge=0, le=KM_MAX)]
Countries = Annotated[tuple[Country, ...], Field(max_length=NAMES_MAX)]
Regions = Annotated[tuple[Text, ...], Field(max_length=NAMES_MAX)]
Options = Annotated[tuple[Identifier, ...], Field(max_length=NAMES_MAX)]


class EligibilityRule(Message):
    """A rule that says which locations may ship some orders. An empty condition applies to every order or location.

    `only`: the locations that match may ship, no others. `never`: the locations that match may not. Every rule that
    applies to an order must be met.
    """

    rule_id: Identifier
    effect: Literal["only", "never"]
    channels: Annotated[tuple[Channel, ...], Field(max_length=NAMES_MAX)] = ()
    order_kinds: Annotated[tuple[OrderKind, ...], at_most_items(KINDS_MAX)] = ()
    delivery_options: Options = ()
    ship_to_countries: Countries = ()
    ship_to_regions: Regions = ()
    location_kinds: Annotated[tuple[LocationKind, ...], at_most_items(KINDS_MAX)] = ()
    locations: Annotated[tuple[LocationId, ...], Field(max_length=NAMES_MAX)] = ()
    location_countries: Countries = ()
    location_regions: Regions = ()
    within_km: Kilometres | None = None
    """A location matches if it is at most this far away."""
    same_country: bool = False
    """A location matches if it is in the country that the order goes to."""


class RateBand(Message):
    """The price of a parcel, and the days that it takes. The first band of a table that matches applies."""

    delivery_options: Options = ()
    location_kinds: Annotated[tuple[LocationKind, ...], at_most_items(KINDS_MAX)] = ()
    ship_to_countries: Countries = ()
    distance_km_max: Kilometres = KM_MAX
    cost_minor: AmountMinor
    days: Days = 0


class SplitPolicy(Message):
    """When a further parcel is worth it, for orders that may be split."""

    shipments_max: Annotated[int, Field(ge=1, le=SHIPMENTS_MAX)] = SHIPMENTS_MAX
    units_gained_min: Units = 1
    """How many units a further parcel must bring that would wait otherwise."""
    saving_minor_min: AmountMinor = 0
    """How much of the cost, in minor units, a further parcel must save if it brings no units that would wait
    otherwise."""
    held_counts: bool = True
    """Whether a location where the order has reserved units already counts as a further parcel."""


Measure = Literal["shipments", "priority", "cost_minor", "distance_km", "late_days", "over_capacity"]
Weight = Annotated[int, Field(ge=1, le=WEIGHT_MAX)]


def _not_empty(term: dict[Measure, int]) -> dict[Measure, int]:
    if not term:
        raise ValueError("a term without a measure compares nothing: name one, or leave the term out")
    return term


def _bounded(promised: dict[str, int]) -> dict[str, int]:
    if len(promised) > NAMES_MAX:
        raise ValueError(f"days are promised for {len(promised)} delivery options, at most {NAMES_MAX} can be")
    for option in promised:
        IDENTIFIER.validate_python(option)
    return promised


Term = Annotated[dict[Measure, Weight], AfterValidator(_not_empty)]
"""A weighted sum of measures. Each measure is a sum over the locations that ship; less is better."""


class SourcingRules(Message):
    """The rules of sourcing. The defaults are version 1, which is in force as long as no rules are published.

    Plans are compared by the units that they cover, then by `objective`, term by term.
    """

    eligibility: Annotated[tuple[EligibilityRule, ...], Field(max_length=ELIGIBILITY_RULES_MAX)] = ()
    objective: Annotated[tuple[Term, ...], Field(min_length=1, max_length=TERMS_MAX)] = (
        {"shipments": 1},
        {"priority": 1},
        {"cost_minor": 1},
        {"distance_km": 1},
    )
    split: SplitPolicy = SplitPolicy()
    rates: Annotated[tuple[RateBand, ...], Field(max_length=BANDS_MAX)] = ()
    """Prices that are added to a location's handling cost. If no band matches, the price depends on the distance."""
    promised_days: Annotated[dict[str, Days], AfterValidator(_bounded)] = {}
    """The promised days by delivery option; a parcel's days beyond them are its late days."""


class DecidedOn(Message):
    """A what-if run: repeated over the same range of history with these rules, it gives the same result."""

    run_id: Identifier
    begins: Position
    ends: Position
    orders_that_differ: Position


class PublishSourcingRules(Command, SourcingRules):
    """Make these the rules by which orders are sourced from now on. An earlier version sent again is in force again."""

    version: Identifier
    decided_on: DecidedOn | None = None
    """The what-if run in which the rules were tried on history before, if there was one."""

    @property
    def stream(self) -> str:
        return RULES_STREAM


class SourcingRulesPublished(Event, SourcingRules):
    """These rules are in force from now on, instead of those of version `supersedes`."""

    version: str
    supersedes: str
    decided_on: DecidedOn | None = None
