"""What people do about open exceptions: who sees to one, and what became of it.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.door import AtTheDoor
from oms_es.kernel import Command, Event
from oms_es.schemas.values.types import (
    ExceptionId,
    Identifier,
    Moment,
    PartName,
    QuotedText,
    Text,
    without_card_number,
)


class ExceptionCommand(Command):
    """`raised_at`: when it was last raised, as the list of open exceptions says; raised again, it is open again."""

    exception_id: ExceptionId
    raised_at: Moment
    order_id: PartName = ""
    detail: QuotedText = ""
    """What it said, kept for when it is settled."""

    @property
    def stream(self) -> str:
        return f"exception-{self.exception_id}"


class AssignException(ExceptionCommand):
    """Say who sees to an exception."""

    assignee: Annotated[Identifier, AtTheDoor(without_card_number)]
    note: Text = ""


class ResolveException(ExceptionCommand):
    """Say what was done about an exception: it is off the list until it is raised again."""

    note: Annotated[Text, Field(min_length=1)]


SNOOZE_SECONDS_MAX = 30 * 86_400


class SnoozeException(ExceptionCommand):
    """Put an exception off: it is off the list until then, or until it is raised again."""

    until: Moment
    note: Text = ""
    now: Moment


class ExceptionEvent(Event):
    exception_id: str
    raised_at: Moment
    order_id: str = ""
    detail: str = ""


class ExceptionAssigned(ExceptionEvent):
    assignee: str
    note: str = ""


class ExceptionSnoozed(ExceptionEvent):
    """It comes back by itself: by then it is open again without another event."""

    until: Moment
    note: str = ""


class ExceptionResolved(ExceptionEvent):
    """By a person; what happens may put an end to an exception, too, and then there is nothing to resolve."""

    note: str
