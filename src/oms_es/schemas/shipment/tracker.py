"""What a carrier's tracking says of one number, before it is known whose parcel that is.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Event, Message, SystemCommand
from oms_es.schemas.shipment import MilestoneStatus
from oms_es.schemas.values.types import Identifier, Moment, PlainText

SIGHTINGS_MAX = 500
"""In one report."""
SHARED_MAX = 100
"""Parcels under one number that are named."""


class Sighting(Message):
    """One line of a tracking history, in our words and in the carrier's."""

    milestone_id: Identifier
    status: MilestoneStatus
    occurred_at: Moment
    detail: PlainText = ""
    carrier_status: PlainText = ""


class RecordTracking(SystemCommand):
    """A carrier sends everything it knows of a tracking number; what was sent before is sent again."""

    carrier: Identifier
    tracking_number: Identifier
    sightings: Annotated[tuple[Sighting, ...], Field(max_length=SIGHTINGS_MAX)]

    @property
    def stream(self) -> str:
        return f"tracker-{self.carrier}/{self.tracking_number}"


class RecordSharedNumber(SystemCommand):
    """Several parcels were booked under one number: it cannot be said whose history it has."""

    carrier: Identifier
    tracking_number: Identifier
    shipment_ids: Annotated[tuple[Identifier, ...], Field(min_length=2, max_length=SHARED_MAX)]

    @property
    def stream(self) -> str:
        return f"tracker-{self.carrier}/{self.tracking_number}"


class TrackingReported(Event):
    """What is new of it."""

    carrier: str
    tracking_number: str
    sightings: tuple[Sighting, ...]


class TrackingNumberShared(Event):
    """It is on several parcels, and what is reported of it is brought to none of them."""

    carrier: str
    tracking_number: str
    shipment_ids: tuple[str, ...]
