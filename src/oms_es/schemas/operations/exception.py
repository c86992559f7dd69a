"""What people do about open exceptions: assign, snooze and resolve them, and open some themselves.

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
    """A command about an exception.

    `raised_at`: when it was last raised, as the list of open exceptions states; an exception that is raised again is
    open again.
    """

    exception_id: ExceptionId
    raised_at: Moment
    order_id: PartName = ""
    detail: QuotedText = ""
    """The text of the exception, kept for the time after it is settled."""

    @property
    def stream(self) -> str:
        return f"exception-{self.exception_id}"


class AssignException(ExceptionCommand):
    """Assign an exception to a person."""

    assignee: Annotated[Identifier, AtTheDoor(without_card_number)]
    note: Text = ""


class ResolveException(ExceptionCommand):
    """Resolve an exception, with what was done about it: it leaves the list until it is raised again."""

    note: Annotated[Text, Field(min_length=1)]
    now: Moment


CLOCKS_APART_SECONDS_MAX = 60
"""By how many seconds an exception may be said to be raised later than now, as clocks of machines differ."""


SNOOZE_SECONDS_MAX = 30 * 86_400


class SnoozeException(ExceptionCommand):
    """Snooze an exception: it leaves the list until the given time, or until it is raised again."""

    until: Moment
    note: Text = ""
    now: Moment


NOTICED, ODD_DAY = "noticed", "odd_day"
OPENED_KINDS = (NOTICED, ODD_DAY)


class OpenException(Command):
    """Open an exception about something that the engine cannot know, such as what a warehouse system or a person
    noticed. It stays open until it is resolved, and is opened only once under its name.

    `exception_id`: `noticed/NAME`, with a name of one's own; `odd_day/REPORT/DAY` are those that `oms-es report odd`
    finds.
    """

    exception_id: Annotated[ExceptionId, Field(pattern=rf"^({'|'.join(OPENED_KINDS)})/[^\x00]+$")]
    detail: Annotated[Text, Field(min_length=1)]
    """What should be looked at, and where."""
    order_id: PartName = ""

    @property
    def stream(self) -> str:
        return f"exception-{self.exception_id}"


class ExceptionEvent(Event):
    exception_id: str
    raised_at: Moment
    order_id: str = ""
    detail: str = ""


class ExceptionAssigned(ExceptionEvent):
    assignee: str
    note: str = ""


class ExceptionSnoozed(ExceptionEvent):
    """The exception was snoozed. It is open again at that time, without another event."""

    until: Moment
    note: str = ""


class ExceptionResolved(ExceptionEvent):
    """A person resolved the exception.

    An exception that later events settle is not resolved, as there is nothing to do.
    """

    note: str


class ExceptionOpened(Event):
    """A person or another system noticed something that needs a person."""

    exception_id: str
    detail: str
    order_id: str = ""
