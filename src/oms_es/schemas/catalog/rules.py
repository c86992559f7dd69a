"""The rules of sourcing, as data: which locations may ship an order, and which of the possible ways is the best.

A version is published as an event. What a version says never changes: every decision names the version it was made by.
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
"""Of the rules that hold as long as nothing was published."""
ELIGIBILITY_RULES_MAX = 100
NAMES_MAX = 1_000
TERMS_MAX = 10
KINDS_MAX = 20
WEIGHT_MAX = 1_000_000
BANDS_MAX = 1_000
DAYS_MAX = 365
IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
KM_MAX = 20_016
"""Half the way around the globe."""
SHIPMENTS_MAX = 4
"""Places that may ship one order, whatever a rule says: the search weighs every set of them."""

Position = Annotated[int, Field(ge=0, le=COUNT_MAX)]
Days = Annotated[int, Field(ge=0, le=DAYS_MAX)]
Kilometres = Annotated[int, Field(ge=0, le=KM_MAX)]
Countries = Annotated[tuple[Country, ...], Field(max_length=NAMES_MAX)]
Regions = Annotated[tuple[Text, ...], Field(max_length=NAMES_MAX)]
Options = Annotated[tuple[Identifier, ...], Field(max_length=NAMES_MAX)]


class EligibilityRule(Message):
    """Says of some orders which locations may ship them. A condition left empty holds of every order, or location.

    `only`: those that match may, no others. `never`: those that match may not. Every rule that concerns an order holds.
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
    """What a parcel costs, and how many days it takes. Of a table the first band that matches holds."""

    delivery_options: Options = ()
    location_kinds: Annotated[tuple[LocationKind, ...], at_most_items(KINDS_MAX)] = ()
    ship_to_countries: Countries = ()
    distance_km_max: Kilometres = KM_MAX
    cost_minor: AmountMinor
    days: Days = 0


class SplitPolicy(Message):
    """When one more parcel is worth it, for orders that may be split at all."""

    shipments_max: Annotated[int, Field(ge=1, le=SHIPMENTS_MAX)] = SHIPMENTS_MAX
    units_gained_min: Units = 1
    """A further parcel that brings units which would wait otherwise brings at least so many, ..."""
    saving_minor_min: AmountMinor = 0
    """... one that brings none saves at least so much of the cost."""
    held_counts: bool = True
    """Whether a place where the order has locked units already counts as a parcel, when more is looked for."""


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
"""A weighted sum of measures. Each is a sum over the places that ship; less is better."""


class SourcingRules(Message):
    """As it stands, this is version 1: the rules that hold as long as nothing was published.

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
    """Added to a location's handling. Without a band that matches, the way costs by its length."""
    promised_days: Annotated[dict[str, Days], AfterValidator(_bounded)] = {}
    """By delivery option: what a parcel takes beyond them are its late days."""


class DecidedOn(Message):
    """A run of what-if: over the same stretch, with these rules, it comes out again."""

    run_id: Identifier
    begins: Position
    ends: Position
    orders_that_differ: Position


class PublishSourcingRules(Command, SourcingRules):
    """Make these the rules by which orders are sourced from now on; an earlier version sent again holds again."""

    version: Identifier
    decided_on: DecidedOn | None = None
    """What they would have made of history, where they were tried on it before."""

    @property
    def stream(self) -> str:
        return RULES_STREAM


class SourcingRulesPublished(Event, SourcingRules):
    """By these rules orders are sourced from now on, instead of those of version `supersedes`."""

    version: str
    supersedes: str
    decided_on: DecidedOn | None = None
