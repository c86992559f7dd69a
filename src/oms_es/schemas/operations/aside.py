"""What a reader could not follow up, because the command that it wanted to give is refused: for a person to settle.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Event, SystemCommand
from oms_es.schemas.values.types import COUNT_MAX, Identifier, PartName, Text


class AsideCommand(SystemCommand):
    """`reader`: the consumer or gateway; `fact_id`: the event that it was to follow up."""

    reader: Identifier
    fact_id: Identifier

    @property
    def stream(self) -> str:
        return f"aside-{self.reader}/{self.fact_id}"


class PutReactionAside(AsideCommand):
    """Nothing of what follows from this event for this reader happens until a person has settled it."""

    fact: Identifier
    position: Annotated[int, Field(gt=0, le=COUNT_MAX)]
    about_order: PartName = ""
    reason: Identifier
    detail: Text = ""


class SettleReaction(AsideCommand):
    """It was followed up after all."""


class AsideEvent(Event):
    reader: str
    fact_id: str


class ReactionPutAside(AsideEvent):
    """A command of the engine's own was refused: a dead letter names the event, and replaying it tries again."""

    fact: str
    position: int
    about_order: str
    reason: str
    detail: str


class ReactionSettled(AsideEvent):
    pass
