"""The order numbers of a channel: unique, rising, and without a gap."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from oms_es.kernel import Command, Event, SystemCommand
from oms_es.schemas.values.types import Channel, Identifier

NUMBER_MAX = 10**12
DIGITS_MAX = 12


class NumberingCommand(Command):
    channel: Channel

    @property
    def stream(self) -> str:
        return f"numbering-{self.channel}"


class SetOrderNumbering(NumberingCommand):
    """Number a channel's orders from now on, from `first` up: a prefix, and a number of at least `digits` digits."""

    prefix: Annotated[str, StringConstraints(max_length=32, pattern=r"^[A-Za-z0-9#/_-]*$")] = ""
    digits: Annotated[int, Field(ge=1, le=DIGITS_MAX)] = 1
    first: Annotated[int, Field(ge=1, le=NUMBER_MAX)] = 1


class AssignOrderNumber(NumberingCommand, SystemCommand):
    """Give an order the next number, if its channel numbers orders; an order keeps a number that it has."""

    order_id: Identifier


class NumberingEvent(Event):
    channel: str


class OrderNumberingSet(NumberingEvent):
    prefix: str
    digits: int
    first: int


class OrderNumbered(NumberingEvent):
    order_id: str
    number: int
    name: str
    """The number with its prefix, as people read it."""
