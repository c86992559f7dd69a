"""What carriers charge, and what customers are promised: rate tables and delivery options.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from oms_es.kernel import Command, Event, Message
from oms_es.schemas.shipment import TransitDays
from oms_es.schemas.values.types import AmountMinor, Country, Currency, Identifier, Units

SERVICES_MAX = 20
ZONES_MAX = 50
BANDS_MAX = 50
COUNTRIES_MAX = 250
REGIONS_MAX = 100
SURCHARGES_MAX = 20
PERMILLE_MAX = 10_000
DIVISOR_MAX = 1_000_000
DISTANCE_KM_MAX = 21_000
"""Half way round the Earth."""


class Band(Message):
    """A parcel of up to this weight costs this much."""

    weight_grams_max: Units
    price_minor: AmountMinor


class Beyond(Message):
    """Above the heaviest band: what each step of weight costs that is begun, up to the heaviest parcel."""

    step_grams: Annotated[Units, Field(gt=0)]
    step_minor: AmountMinor
    weight_grams_max: Units


class Surcharge(Message):
    """What each carton costs besides, if it goes there and is heavier than that: an amount, or a share of its freight.

    `permille`: thousandths of the freight, without other surcharges; half a minor unit counts as one.
    """

    name: Identifier
    countries: Annotated[tuple[Country, ...], Field(max_length=COUNTRIES_MAX)] = ()
    regions: Annotated[tuple[Identifier, ...], Field(max_length=REGIONS_MAX)] = ()
    above_grams: Units | None = None
    amount_minor: AmountMinor = 0
    permille: Annotated[int, Field(ge=0, le=PERMILLE_MAX)] = 0


class Zone(Message):
    """Where a service goes at one price: to these countries and regions, or to all, and no farther than this.

    `regions`: states or provinces, as addresses name them; 广东 is 广东省. `beyond`: the heaviest band is the first
    weight (首重), and this is what more weight costs (续重).
    """

    countries: Annotated[tuple[Country, ...], Field(max_length=COUNTRIES_MAX)] = ()
    regions: Annotated[tuple[Identifier, ...], Field(max_length=REGIONS_MAX)] = ()
    distance_km_max: Annotated[int, Field(gt=0, le=DISTANCE_KM_MAX)] | None = None
    transit_days: TransitDays
    bands: Annotated[tuple[Band, ...], Field(min_length=1, max_length=BANDS_MAX)]
    beyond: Beyond | None = None

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(lighter.weight_grams_max >= heavier.weight_grams_max for lighter, heavier in pairwise(self.bands)):
            raise ValueError("bands must rise in weight_grams_max: sort them, and name each weight once")
        if self.beyond and self.beyond.weight_grams_max <= self.bands[-1].weight_grams_max:
            raise ValueError("beyond must end above the heaviest band: raise its weight_grams_max, or leave it out")
        return self


class Service(Message):
    """One product of a carrier. The first zone that a parcel falls into says what it costs."""

    service: Identifier
    delivery_options: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=SERVICES_MAX)] = ("standard",)
    """For which of the shop's delivery options it may be used."""
    zones: Annotated[tuple[Zone, ...], Field(min_length=1, max_length=ZONES_MAX)]
    surcharges: Annotated[tuple[Surcharge, ...], Field(max_length=SURCHARGES_MAX)] = ()
    volume_divisor: Annotated[int, Field(gt=0, le=DIVISOR_MAX)] | None = None
    """How many cubic centimetres count as a kilogram, such as 6000: a carton is as heavy as it weighs, or as it is
    large, whichever is more. Without it only its weight counts."""

    @model_validator(mode="after")
    def _surcharges_differ(self) -> Self:
        if len({one.name for one in self.surcharges}) != len(self.surcharges):
            raise ValueError("surcharges repeat: each needs its own name")
        return self


class RatesCommand(Command):
    carrier: Identifier

    @property
    def stream(self) -> str:
        return f"rates-{self.carrier}"


class PublishRates(RatesCommand):
    """What a carrier charges from now on, all its services at once; a version is published once."""

    version: Identifier
    currency: Currency
    services: Annotated[tuple[Service, ...], Field(min_length=1, max_length=SERVICES_MAX)]

    @model_validator(mode="after")
    def _services_differ(self) -> Self:
        if len({service.service for service in self.services}) != len(self.services):
            raise ValueError("services repeat: each needs its own name")
        return self


class WithdrawRates(RatesCommand):
    """Use this carrier no longer."""


class RatesEvent(Event):
    carrier: str


class RatesPublished(RatesEvent):
    version: str
    currency: str
    services: tuple[Service, ...]


class RatesWithdrawn(RatesEvent):
    pass


class DefineDeliveryOption(Command):
    """What a delivery option promises: within how many days a parcel arrives, and whether cheap or fast wins."""

    option: Identifier
    transit_days_max: TransitDays | None = None
    prefer: Literal["cheapest", "fastest"] = "cheapest"

    @property
    def stream(self) -> str:
        return f"delivery-{self.option}"


class DeliveryOptionDefined(Event):
    option: str
    transit_days_max: int | None
    prefer: Literal["cheapest", "fastest"]
