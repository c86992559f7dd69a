"""The registry of serial numbers: which numbered units of a SKU we have, and at which location.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Command, Event, SystemCommand
from oms_es.schemas.stock import BinName, LotName, Serials
from oms_es.schemas.values.types import Derived, Identifier, LocationId, Moment, Sku


class SerialCommand(Command):
    sku: Sku
    location: LocationId
    serials: Annotated[Serials, Field(min_length=1)]

    @property
    def stream(self) -> str:
        return f"serials-{self.sku}"


class ReceiveSerials(SerialCommand):
    """Receive numbered units at a location: their serial numbers are claimed, then the units are added to the stock."""

    receipt_id: Identifier
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None
    inbound_id: Derived | None = None


class RecordSerialsSeen(SerialCommand, SystemCommand):
    """Record that numbered units are at a location, or on their way there from another of ours."""

    from_location: LocationId | None = None


class RecordSerialsLeft(SerialCommand, SystemCommand):
    """Record that numbered units are no longer at a location, nor anywhere else of ours."""


class SerialEvent(Event):
    sku: str
    location: str
    serials: tuple[str, ...]


class SerialsClaimed(SerialEvent):
    """The serial numbers were at no location, and are claimed for this one, where the units are received next."""

    receipt_id: str
    bin: str = ""
    lot: str = ""
    lot_expires_at: Moment | None = None
    inbound_id: str | None = None
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class SerialsSeen(SerialEvent):
    from_location: str | None = None


class SerialsLeft(SerialEvent):
    pass


class SerialConflictFound(SerialEvent):
    """A number turned up at a location although its unit is `elsewhere`: for a person to look at."""

    elsewhere: str
