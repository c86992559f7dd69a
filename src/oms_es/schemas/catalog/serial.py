"""Which numbered units of a SKU we have, and at which location: the registry of serial numbers.

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
    """Numbered units have come to a location: claim their serial numbers, then they are received there."""

    receipt_id: Identifier
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None
    inbound_id: Derived | None = None


class RecordSerialsSeen(SerialCommand, SystemCommand):
    """Numbered units are at a location, or on their way there from another of ours."""

    from_location: LocationId | None = None


class RecordSerialsLeft(SerialCommand, SystemCommand):
    """Numbered units are no longer at a location, nor anywhere else of ours."""


class SerialEvent(Event):
    sku: str
    location: str
    serials: tuple[str, ...]


class SerialsClaimed(SerialEvent):
    """These numbers were nowhere; they are to be let in at the location."""

    receipt_id: str
    bin: str = ""
    lot: str = ""
    lot_expires_at: Moment | None = None
    inbound_id: str | None = None
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""


class SerialsSeen(SerialEvent):
    from_location: str | None = None


class SerialsLeft(SerialEvent):
    pass


class SerialConflictFound(SerialEvent):
    """A number turned up at a location although its unit is `elsewhere`: for a person to look at."""

    elsewhere: str
