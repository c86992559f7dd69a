"""A place that holds stock. Invariant: the last writer wins; only a place that was opened can be closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oms_es.kernel import Decider, Refused
from oms_es.schemas.catalog.location import CloseLocation, LocationClosed, LocationEvent, LocationOpened, OpenLocation
from oms_es.schemas.catalog.refusals import CatalogRefusal

Location = LocationEvent | None
"""The last event: each event carries the whole state of the location."""


def evolve(_: Location, event: LocationEvent) -> Location:
    return event


def decide(location: Location, command: Any) -> Iterator[LocationEvent]:
    match command:
        case OpenLocation():
            opened = LocationOpened(**command.model_dump())
            if opened != location:
                yield opened
        case CloseLocation():
            yield from _close(location, command)


def _close(location: Location, command: CloseLocation) -> Iterator[LocationEvent]:
    if location is None:
        raise Refused(
            CatalogRefusal.UNKNOWN_LOCATION, f"there is no location {command.location} to close; see which are open"
        )
    if not isinstance(location, LocationClosed):
        yield LocationClosed(**command.model_dump())


decider: Decider[Location] = Decider(
    "location",
    None,
    evolve,
    decide,
    accepts=(OpenLocation, CloseLocation),
    emits=(LocationOpened, LocationClosed),
)
