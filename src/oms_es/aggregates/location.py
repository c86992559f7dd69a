"""A place that holds stock. Invariant: a location opens once; opening it anew with other facts is the newer truth."""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Decider
from oms_es.schemas.location import LocationOpened, OpenLocation

Location = LocationOpened | None


def evolve(_: Location, event: LocationOpened) -> Location:
    return event


def decide(location: Location, command: OpenLocation) -> Iterator[LocationOpened]:
    opened = LocationOpened(**command.model_dump())
    if opened != location:
        yield opened


decider: Decider[Location] = Decider("location", None, evolve, decide, accepts=(OpenLocation,), emits=(LocationOpened,))
