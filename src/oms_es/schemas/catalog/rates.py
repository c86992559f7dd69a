"""Rate tables of carriers, and delivery options as they are promised to customers.

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
"""Half of the Earth's circumference."""


class Band(Message):
    """The price of a parcel of up to this weight."""

    weight_grams_max: Units
    price_minor: AmountMinor


class Beyond(Message):
    """The price of weight above the heaviest band, for each step that is begun, up to the heaviest parcel."""

    step_grams: Annotated[Units, Field(gt=0)]
    step_minor: AmountMinor
    weight_grams_max: Units


class Surcharge(Message):
    """An extra charge for each carton that goes there, is heavier than `above_grams` and larger than `above_ml`: an
    amount, a share of its freight, or both. A carton whose size is not known is not larger.

    `permille`: thousandths of the freight without other surcharges; half a minor unit is rounded up.
    """

    name: Identifier
    countries: Annotated[tuple[Country, ...], Field(max_length=COUNTRIES_MAX)] = ()
    regions: Annotated[tuple[Identifier, ...], Field(max_length=REGIONS_MAX)] = ()
    above_grams: Units | None = None
    above_ml: Units | None = None
    amount_minor: AmountMinor = 0
    permille: Annotated[int, Field(ge=0, le=PERMILLE_MAX)] = 0


class Zone(Message):
    """The addresses that a service reaches at one price: these countries and regions, or all, within this distance.

    `regions`: states or provinces, as addresses name them; 广东 is 广东省. `beyond`: the price of further weight
    (续重), the heaviest band being the first weight (首重).
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
    """One product of a carrier. Its price is that of the first zone that a parcel falls into."""

    service: Identifier
    delivery_options: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=SERVICES_MAX)] = ("standard",)
    """The shop's delivery options for which it may be used."""
    zones: Annotated[tuple[Zone, ...], Field(min_length=1, max_length=ZONES_MAX)]
    surcharges: Annotated[tuple[Surcharge, ...], Field(max_length=SURCHARGES_MAX)] = ()
    volume_divisor: Annotated[int, Field(gt=0, le=DIVISOR_MAX)] | None = None
    """How many cubic centimetres count as a kilogram, such as 6000: the greater of a carton's weight and its volume is
    charged. Without it only the weight is charged."""

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
    """Publish what a carrier charges from now on, for all its services at once. A version is published once."""

    version: Identifier
    currency: Currency
    services: Annotated[tuple[Service, ...], Field(min_length=1, max_length=SERVICES_MAX)]

    @model_validator(mode="after")
    def _services_differ(self) -> Self:
        if len({service.service for service in self.services}) != len(self.services):
            raise ValueError("services repeat: each needs its own name")
        return self


class WithdrawRates(RatesCommand):
    """Stop using this carrier."""


class RatesEvent(Event):
    carrier: str


class RatesPublished(RatesEvent):
    version: str
    currency: str
    services: tuple[Service, ...]


class RatesWithdrawn(RatesEvent):
    pass


class DefineDeliveryOption(Command):
    """Define what a delivery option promises: within how many days a parcel arrives, and whether cheap or fast is
    preferred.
    """

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
