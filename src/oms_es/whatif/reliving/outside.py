"""Recovery of the commands that came from outside.

Invariant: a recovered command decides exactly the events that history has, on the state of its stream at the time.
Events that no command gives are restated: the events themselves are appended, if their stream is at the same version.

An event is from outside if nothing here caused it, or if a gateway recorded it. Events that consumers and the ticker
decide are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from oms_es.app.registry import CONSUMERS, DECIDERS
from oms_es.door import STORED
from oms_es.errors import OmsError
from oms_es.kernel import Command, Decider, Event, Recorded, Refused, SystemCommand
from oms_es.processing.ticker import Ticker
from oms_es.store.encoding.codec import Cause
from oms_es.whatif.reliving.given import BY_NAME, GIVEN_BY, READINGS, Fields, as_said, contents_of

ENGINE = frozenset(consumer.name for consumer in CONSUMERS)
"""The roles that decide from recorded events; every other actor is outside."""


def is_tick(recorded: Recorded) -> bool:
    return recorded.caused_by is None and recorded.actor == Ticker.name


def is_from_outside(recorded: Recorded) -> bool:
    """Return whether the event is from outside.

    An event that follows from an intent is, too, as a gateway recorded it.
    """
    return recorded.actor not in ENGINE if recorded.caused_by else recorded.actor != Ticker.name


class Restated(SystemCommand):
    """Events that no command gives: they are appended if their stream is at the version at which they were recorded."""

    of_stream: str
    version: int
    events: tuple[Event, ...]

    @property
    def stream(self) -> str:
        return self.of_stream


def restating(decider: Decider[Any]) -> Decider[Any]:
    """Return the decider with the ability to restate events."""
    restated = RESTATED[decider.category]

    def decide(state: Any, command: Any) -> Iterable[Event]:
        return command.events if type(command) is restated else decider.decide(state, command)

    return replace(decider, decide=decide, accepts=(*decider.accepts, restated))


RESTATED: Mapping[str, type[Restated]] = {
    decider.category: type(f"Restated{decider.category.title()}", (Restated,), {}) for decider in DECIDERS
}
"""The restating command by category of the stream: a command has one decider."""


class Given(NamedTuple):
    """A recovered command with its cause, the number of events that it led to, and the version of the first of them."""

    command: Command
    cause: Cause
    events: int
    version: int = 0

    @classmethod
    def of(cls, command: Command, run: Sequence[Recorded]) -> Given:
        """Return the command with its cause.

        Without a causing event, the correlation is what the command stated, which only an event that names no order
        keeps. With one, the correlation is passed on, also to the commands beside it.
        """
        said = (r.correlation_id for r in run if r.caused_by or not getattr(r.event, "order_id", None))
        return cls(command, Cause(run[0].actor, run[0].caused_by, next(said, None)), len(run), run[0].version)


class Recovery:
    """Recovers the commands of a history, one run of a stream's events at a time.

    It must see every event of history in order: `note` takes those that are not from outside, `commands` those that
    are.
    """

    def __init__(self, deciders: Iterable[Decider[Any]] = DECIDERS) -> None:
        self.deciders = {decider.category: decider for decider in deciders}
        self.states: dict[str, Any] = {}

    def note(self, recorded: Recorded) -> None:
        decider, state = self._of(recorded.stream)
        self.states[recorded.stream] = decider.evolve(state, recorded.event)

    def commands(self, run: Sequence[Recorded]) -> Iterator[Given]:
        """Yield the commands of events of one stream that were recorded together, by one actor, with one cause."""
        stream = run[0].stream
        decider, state = self._of(stream)
        while run:
            given = self._first(decider, state, run)
            for recorded in run[: given.events]:
                state = decider.evolve(state, recorded.event)
            run = run[given.events :]
            self.states[stream] = state
            yield given

    def _of(self, stream: str) -> tuple[Decider[Any], Any]:
        decider = self.deciders[stream.partition("-")[0]]
        return decider, self.states.get(stream, decider.initial)

    def _first(self, decider: Decider[Any], state: Any, run: Sequence[Recorded]) -> Given:
        for command in candidates(run):
            try:
                events = tuple(decider.decide(state, command))
            except Refused:
                continue
            if 0 < len(events) <= len(run) and all(r.event == e for r, e in zip(run, events, strict=False)):
                return Given.of(command, run[: len(events)])
        first = run[0]
        events = tuple(recorded.event for recorded in run)
        restated = RESTATED[decider.category].model_construct(
            of_stream=first.stream, version=first.version, events=events
        )
        return Given.of(restated, run)


def candidates(run: Sequence[Recorded]) -> Iterator[Command]:
    """Yield the commands that may have led to these events, made from the events' fields."""
    said = _said(run)
    for text in list(filter(None, map(_asked, run)))[:1]:
        name, _, stated = text.partition(" ")
        if kind := BY_NAME.get(name):
            yield from _made(kind, said | _stated(kind, stated), run)
    if not _asked(run[0]):
        for kind in GIVEN_BY[type(run[0].event)]:
            yield from _made(kind, said, run)


def _asked(recorded: Recorded) -> str:
    """Return the content of the command; in some events the field of this name is a bool with another meaning."""
    asked = getattr(recorded.event, "asked", "")
    return asked if isinstance(asked, str) else ""


def _made(kind: type[Command], said: Fields, run: Sequence[Recorded]) -> Iterator[Command]:
    fields_of = kind.model_fields
    for fields in READINGS.get(kind, as_said)(said, run):
        with suppress(ValidationError, OmsError):
            yield kind.model_validate({k: v for k, v in fields.items() if k in fields_of}, context=STORED)


def _said(run: Sequence[Recorded]) -> dict[str, Any]:
    """Return the fields of the events; the first event's values win."""
    said: dict[str, Any] = {"now": run[0].recorded_at}
    for recorded in reversed(run):
        said |= recorded.event.__dict__
    return said


def _stated(kind: type[Command], stated: str) -> dict[str, Any]:
    """Return the command's content as the answering event has it, with defaults for omitted fields; values that
    were stored as a digest are left out.
    """
    content = from_json(stated)
    left_out = {
        name: field.default
        for name, field in kind.model_fields.items()
        if name in contents_of(kind) and name not in content
    }
    return left_out | {k: v for k, v in content.items() if not (isinstance(v, str) and v.startswith("sha256:"))}
