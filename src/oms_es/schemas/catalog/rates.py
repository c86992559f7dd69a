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
DISTANCE_KM_MAX = 21_000
"""Half way round the Earth."""


class Band(Message):
    """A parcel of up to this weight costs this much."""

    weight_grams_max: Units
    price_minor: AmountMinor


class Zone(Message):
    """Where a service goes at one price: to these countries, or to all, and no farther than this."""

    countries: Annotated[tuple[Country, ...], Field(max_length=COUNTRIES_MAX)] = ()
    distance_km_max: Annotated[int, Field(gt=0, le=DISTANCE_KM_MAX)] | None = None
    transit_days: TransitDays
    bands: Annotated[tuple[Band, ...], Field(min_length=1, max_length=BANDS_MAX)]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(lighter.weight_grams_max >= heavier.weight_grams_max for lighter, heavier in pairwise(self.bands)):
            raise ValueError("bands must rise in weight_grams_max: sort them, and name each weight once")
        return self


class Service(Message):
    """One product of a carrier. The first zone that a parcel falls into says what it costs."""

    service: Identifier
    delivery_options: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=SERVICES_MAX)] = ("standard",)
    """For which of the shop's delivery options it may be used."""
    zones: Annotated[tuple[Zone, ...], Field(min_length=1, max_length=ZONES_MAX)]


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
