"""Reactions that were put aside, because the reader's command was refused: a person settles them.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Event, SystemCommand
from oms_es.schemas.values.types import COUNT_MAX, Identifier, PartName, Text


class AsideCommand(SystemCommand):
    """A command about a reaction. `reader`: the consumer or gateway; `fact_id`: the event that it was to follow up."""

    reader: Identifier
    fact_id: Identifier

    @property
    def stream(self) -> str:
        return f"aside-{self.reader}/{self.fact_id}"


class PutReactionAside(AsideCommand):
    """Put a reaction aside: nothing that this reader wanted to do of the event happens until a person has
    settled it.
    """

    fact: Identifier
    position: Annotated[int, Field(gt=0, le=COUNT_MAX)]
    about_order: PartName = ""
    reason: Identifier
    detail: Text = ""


class SettleReaction(AsideCommand):
    """Record that the reaction was carried out after all."""


class AsideEvent(Event):
    reader: str
    fact_id: str


class ReactionPutAside(AsideEvent):
    """A command of a reader was refused: a dead letter names the event, and replaying it tries again."""

    fact: str
    position: int
    about_order: str
    reason: str
    detail: str


class ReactionSettled(AsideEvent):
    pass
