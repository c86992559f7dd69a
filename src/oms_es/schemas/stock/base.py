"""The fields that all commands and events of stock have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from oms_es.kernel import Command, Event
from oms_es.schemas.values.types import (
    PLACE_NAME,
    PLACE_NAME_LENGTH_MAX,
    UNITS_MAX,
    Identifier,
    LocationId,
    Sku,
    StockKey,
    shifted,
)

SERIALS_MAX = 1_000
"""How many serial numbers one command may name."""

Condition = Literal["sellable", "damaged", "quarantine"]
"""Only sellable units are promised."""

ChannelName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$")]

BinName = Annotated[str, StringConstraints(max_length=PLACE_NAME_LENGTH_MAX, pattern=r"^[^\x00]*$"), PLACE_NAME]
"""A bin: a shelf, a rack, a pallet place. Empty if it was not reported."""

LotName = Annotated[str, StringConstraints(max_length=PLACE_NAME_LENGTH_MAX, pattern=r"^[^\x00]*$"), PLACE_NAME]
"""A lot: a batch that was made together. Empty if lots are not distinguished."""

Serials = Annotated[tuple[Identifier, ...], Field(max_length=SERIALS_MAX)]

UnitsOrZero = Annotated[int, Field(ge=0, le=UNITS_MAX)]


def lot_over_at(lot_expires_at: datetime) -> datetime:
    """Return when a lot is over: it is good through the day on which it expires, in UTC."""
    day = lot_expires_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return shifted(day, timedelta(days=1))


class StockCommand(Command):
    sku: Sku
    location: LocationId

    @property
    def stream(self) -> str:
        return StockKey(self.sku, self.location).stream


class StockEvent(Event):
    sku: str
    location: str
    quantity: int


class PlacedEvent(StockEvent):
    """An event about units in one bin, lot and condition."""

    bin: str = ""
    lot: str = ""
    condition: Condition = "sellable"
    serials: tuple[str, ...] = ()
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""
