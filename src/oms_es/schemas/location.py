"""A place that holds stock: warehouse, store or supplier."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from oms_es.kernel import Command, Event
from oms_es.schemas.types import AmountMinor, Country, LocationId

Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
PRIORITY_MAX = 1_000_000
LocationKind = Literal["warehouse", "store", "supplier"]


class OpenLocation(Command):
    """`priority`: lower is preferred. `handling_minor`: what one shipment from here costs before distance."""

    location: LocationId
    kind: LocationKind = "warehouse"
    country: Country
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    priority: Annotated[int, Field(ge=0, le=PRIORITY_MAX)] = 0
    handling_minor: AmountMinor = 0

    @property
    def stream(self) -> str:
        return f"location-{self.location}"


class LocationOpened(Event):
    location: str
    kind: LocationKind
    country: str
    latitude: float | None = None
    longitude: float | None = None
    priority: int
    handling_minor: int
