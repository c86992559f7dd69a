"""What people do about one exception.

Invariant: each time it is raised it is resolved at most once, in one way. One that people open is opened once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from oms_es.kernel import Decider, Refused
from oms_es.schemas.operations.exception import (
    CLOCKS_APART_SECONDS_MAX,
    SNOOZE_SECONDS_MAX,
    AssignException,
    ExceptionAssigned,
    ExceptionCommand,
    ExceptionEvent,
    ExceptionOpened,
    ExceptionResolved,
    ExceptionSnoozed,
    OpenException,
    ResolveException,
    SnoozeException,
)
from oms_es.schemas.operations.refusals import OperationsRefusal


class Handling(NamedTuple):
    assigned: ExceptionAssigned | None = None
    resolved: ExceptionResolved | None = None
    snoozed: ExceptionSnoozed | None = None
    opened: ExceptionOpened | None = None


def evolve(handling: Handling, event: ExceptionEvent | ExceptionOpened) -> Handling:
    """Never refuse an event: an old stream must load under new rules."""
    if isinstance(event, ExceptionOpened):
        return handling._replace(opened=event)
    if isinstance(event, ExceptionAssigned):
        return handling._replace(assigned=event)
    if isinstance(event, ExceptionSnoozed):
        return handling._replace(snoozed=event)
    return handling._replace(resolved=event) if isinstance(event, ExceptionResolved) else handling


def decide(handling: Handling, command: Any) -> Iterator[ExceptionEvent | ExceptionOpened]:
    if isinstance(command, OpenException):
        yield from _open(handling, command)
    elif isinstance(command, AssignException):
        yield from _assign(handling, command)
    elif isinstance(command, SnoozeException):
        yield from _snooze(handling, command)
    else:
        yield from _resolve(handling, command)


def _open(handling: Handling, command: OpenException) -> Iterator[ExceptionOpened]:
    """Open it, unless it was opened before: what was resolved stays so, and later figures say it in other words."""
    if handling.opened is None:
        yield ExceptionOpened(**command.model_dump())


def _assign(handling: Handling, command: AssignException) -> Iterator[ExceptionEvent]:
    _require_open(handling, command)
    assigned = ExceptionAssigned(**command.model_dump())
    if handling.assigned != assigned:
        yield assigned


def _resolve(handling: Handling, command: ResolveException) -> Iterator[ExceptionEvent]:
    resolved = ExceptionResolved(**command.model_dump(exclude={"now"}))
    if handling.resolved == resolved:
        return
    _require_raised(command)
    _require_open(handling, command)
    yield resolved


def _snooze(handling: Handling, command: SnoozeException) -> Iterator[ExceptionEvent]:
    """Snooze the exception until a time; the last command wins, even if its time is earlier than the one before."""
    _require_open(handling, command)
    snoozed = ExceptionSnoozed(**command.model_dump(exclude={"now"}))
    if handling.snoozed == snoozed:
        return
    _require_raised(command)
    latest = command.now + timedelta(seconds=SNOOZE_SECONDS_MAX)
    if not command.now < command.until <= latest:
        raise Refused(
            OperationsRefusal.SNOOZE_OUT_OF_RANGE,
            f"{command.until.isoformat()} is not between now and {latest.isoformat()}",
        )
    yield snoozed


def _require_raised(command: ResolveException | SnoozeException) -> None:
    """Raise Refused for a time in the future: it would hide the exception also where it is raised again until then."""
    if command.raised_at > command.now + timedelta(seconds=CLOCKS_APART_SECONDS_MAX):
        raise Refused(
            OperationsRefusal.RAISED_IN_FUTURE,
            f"{command.exception_id} is said to be raised at {command.raised_at.isoformat()}, and now is "
            f"{command.now.isoformat()}",
        )


def _require_open(handling: Handling, command: ExceptionCommand) -> None:
    """Raise Refused if this exception is resolved. One that was raised again after its resolution counts as open."""
    resolved = handling.resolved
    if resolved and command.raised_at <= resolved.raised_at:
        raise Refused(
            OperationsRefusal.ALREADY_RESOLVED, f"{command.exception_id} is resolved already: {resolved.note}"
        )


decider: Decider[Handling] = Decider(
    "exception",
    Handling(),
    evolve,
    decide,
    accepts=(OpenException, AssignException, SnoozeException, ResolveException),
    emits=(ExceptionOpened, ExceptionAssigned, ExceptionSnoozed, ExceptionResolved),
)
