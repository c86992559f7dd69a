"""A place that holds stock: warehouse, store or supplier."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from oms_es.kernel import Command, Event
from oms_es.schemas.values.types import AmountMinor, Channel, Country, Identifier, LocationId, Text

Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
PRIORITY_MAX = 1_000_000
CHANNELS_SERVED_MAX = 100
DELIVERY_OPTIONS_MAX = 100
CAPACITY_PER_DAY_MAX = 10_000_000
LocationKind = Literal["warehouse", "store", "supplier"]


class LocationCommand(Command):
    location: LocationId

    @property
    def stream(self) -> str:
        return f"location-{self.location}"


class OpenLocation(LocationCommand):
    """Let a location ship; opening it again replaces what was said of it.

    `priority`: lower is preferred. `handling_minor`: what one shipment from here costs before distance. `channels` and
    `delivery_options`: what it serves; empty serves all. `capacity_per_day`: orders a day, none without a limit.
    """

    kind: LocationKind = "warehouse"
    country: Country
    region: Text = ""
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    priority: Annotated[int, Field(ge=0, le=PRIORITY_MAX)] = 0
    handling_minor: AmountMinor = 0
    channels: Annotated[tuple[Channel, ...], Field(max_length=CHANNELS_SERVED_MAX)] = ()
    delivery_options: Annotated[tuple[Identifier, ...], Field(max_length=DELIVERY_OPTIONS_MAX)] = ()
    capacity_per_day: Annotated[int, Field(ge=0, le=CAPACITY_PER_DAY_MAX)] | None = None


class CloseLocation(LocationCommand):
    """Nothing ships from a location any more: what orders hold there and is not released yet is sourced elsewhere."""

    reason: Text


class LocationEvent(Event):
    location: str


class LocationOpened(LocationEvent):
    kind: LocationKind
    country: str
    region: str = ""
    latitude: float | None = None
    longitude: float | None = None
    priority: int
    handling_minor: int
    channels: tuple[str, ...] = ()
    delivery_options: tuple[str, ...] = ()
    capacity_per_day: int | None = None


class LocationClosed(LocationEvent):
    """Nothing is sourced here until it opens again."""

    reason: str
