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
    """Let a location ship; opening it again replaces its earlier description.

    `priority`: lower is preferred. `handling_minor`: the cost of one shipment from here, besides the distance.
    `channels` and `delivery_options` are those that it serves; empty serves all. `capacity_per_day`: orders a day; none
    for no limit.
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
    """Ship nothing more from a location.

    Units that orders hold there and that are not released yet are sourced elsewhere.
    """

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
    """The location was closed: nothing is sourced there until it opens again."""

    reason: str
