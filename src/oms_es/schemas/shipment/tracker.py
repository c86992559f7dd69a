"""A carrier's tracking events of one number, before it is known which parcel has the number.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Event, Message, SystemCommand
from oms_es.schemas.shipment import MilestoneStatus
from oms_es.schemas.values.types import Identifier, Moment, PlainText

SIGHTINGS_MAX = 500
"""How many tracking events one report may have."""
SHARED_MAX = 100
"""How many parcels with the same number are named."""


class Sighting(Message):
    """One tracking event: its common status, and the carrier's own words."""

    milestone_id: Identifier
    status: MilestoneStatus
    occurred_at: Moment
    detail: PlainText = ""
    carrier_status: PlainText = ""


class RecordTracking(SystemCommand):
    """Record everything that a carrier knows of a tracking number; events that were sent before may be sent again."""

    carrier: Identifier
    tracking_number: Identifier
    sightings: Annotated[tuple[Sighting, ...], Field(max_length=SIGHTINGS_MAX)]

    @property
    def stream(self) -> str:
        return f"tracker-{self.carrier}/{self.tracking_number}"


class RecordSharedNumber(SystemCommand):
    """Record that several parcels were booked under one number: its tracking events are brought to none of them."""

    carrier: Identifier
    tracking_number: Identifier
    shipment_ids: Annotated[tuple[Identifier, ...], Field(min_length=2, max_length=SHARED_MAX)]

    @property
    def stream(self) -> str:
        return f"tracker-{self.carrier}/{self.tracking_number}"


class TrackingReported(Event):
    """The new tracking events of a number."""

    carrier: str
    tracking_number: str
    sightings: tuple[Sighting, ...]


class TrackingNumberShared(Event):
    """Several parcels have the number, and its tracking events are brought to none of them."""

    carrier: str
    tracking_number: str
    shipment_ids: tuple[str, ...]
