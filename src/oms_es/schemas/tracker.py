"""What a carrier's tracking says of one number, before it is known whose parcel that is.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Event, Message, SystemCommand
from oms_es.schemas.shipment import MilestoneStatus
from oms_es.schemas.types import Identifier, Moment, Text

SIGHTINGS_MAX = 500
"""In one report."""


class Sighting(Message):
    """One line of a tracking history, in our words and in the carrier's."""

    milestone_id: Identifier
    status: MilestoneStatus
    occurred_at: Moment
    detail: Text = ""
    carrier_status: Text = ""


class RecordTracking(SystemCommand):
    """A carrier tells everything it knows of a tracking number; what was told before is told again."""

    carrier: Identifier
    tracking_number: Identifier
    sightings: Annotated[tuple[Sighting, ...], Field(max_length=SIGHTINGS_MAX)]

    @property
    def stream(self) -> str:
        return f"tracker-{self.carrier}/{self.tracking_number}"


class TrackingReported(Event):
    """What is new of it."""

    carrier: str
    tracking_number: str
    sightings: tuple[Sighting, ...]
