"""What came from outside, and the commands that it came as.

Invariant: a command that is given back is one that, on what its stream was then, decides exactly the events that
history has. What no command gives back is restated: the events themselves, where their stream is as it was.

An event is from outside if no one here caused it, or a gateway did. What consumers and the ticker decide is not.
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
"""Who decides from what is recorded; everyone else is outside."""


def is_tick(recorded: Recorded) -> bool:
    return recorded.caused_by is None and recorded.actor == Ticker.name


def is_from_outside(recorded: Recorded) -> bool:
    """Also where it follows from an intent: then a gateway answers for it."""
    return recorded.actor not in ENGINE if recorded.caused_by else recorded.actor != Ticker.name


class Restated(SystemCommand):
    """Events that no command gives back: they happen again if their stream is at the version at which they did."""

    of_stream: str
    version: int
    events: tuple[Event, ...]

    @property
    def stream(self) -> str:
        return self.of_stream


def restating(decider: Decider[Any]) -> Decider[Any]:
    """The decider, which also restates."""
    restated = RESTATED[decider.category]

    def decide(state: Any, command: Any) -> Iterable[Event]:
        return command.events if type(command) is restated else decider.decide(state, command)

    return replace(decider, decide=decide, accepts=(*decider.accepts, restated))


RESTATED: Mapping[str, type[Restated]] = {
    decider.category: type(f"Restated{decider.category.title()}", (Restated,), {}) for decider in DECIDERS
}
"""By the category of the stream: a command has one decider."""


class Given(NamedTuple):
    """A command as it was given, and why; how many events it came to, and the version of the first of them."""

    command: Command
    cause: Cause
    events: int
    version: int = 0

    @classmethod
    def of(cls, command: Command, run: Sequence[Recorded]) -> Given:
        """What has no cause is correlated with what its command said, which only an event that names no order keeps.
        What has one hands its correlation on, also to the commands beside it."""
        said = (r.correlation_id for r in run if r.caused_by or not getattr(r.event, "order_id", None))
        return cls(command, Cause(run[0].actor, run[0].caused_by, next(said, None)), len(run), run[0].version)


class Recovery:
    """The commands of what came from outside, one stream's run of events at a time.

    Every event of history is shown to it, in order: `note` those of others, `commands` those from outside.
    """

    def __init__(self, deciders: Iterable[Decider[Any]] = DECIDERS) -> None:
        self.deciders = {decider.category: decider for decider in deciders}
        self.states: dict[str, Any] = {}

    def note(self, recorded: Recorded) -> None:
        decider, state = self._of(recorded.stream)
        self.states[recorded.stream] = decider.evolve(state, recorded.event)

    def commands(self, run: Sequence[Recorded]) -> Iterator[Given]:
        """Of events of one stream that were recorded together, by one actor, for one reason."""
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
    """The commands that may have come to these events, made of what the events say."""
    said = _said(run)
    for text in list(filter(None, map(_asked, run)))[:1]:
        name, _, stated = text.partition(" ")
        if kind := BY_NAME.get(name):
            yield from _made(kind, said | _stated(kind, stated), run)
    if not _asked(run[0]):
        for kind in GIVEN_BY[type(run[0].event)]:
            yield from _made(kind, said, run)


def _asked(recorded: Recorded) -> str:
    """Of some events the field of this name only says whether it was asked for."""
    asked = getattr(recorded.event, "asked", "")
    return asked if isinstance(asked, str) else ""


def _made(kind: type[Command], said: Fields, run: Sequence[Recorded]) -> Iterator[Command]:
    fields_of = kind.model_fields
    for fields in READINGS.get(kind, as_said)(said, run):
        with suppress(ValidationError, OmsError):
            yield kind.model_validate({k: v for k, v in fields.items() if k in fields_of}, context=STORED)


def _said(run: Sequence[Recorded]) -> dict[str, Any]:
    """What the events say, the first event first."""
    said: dict[str, Any] = {"now": run[0].recorded_at}
    for recorded in reversed(run):
        said |= recorded.event.__dict__
    return said


def _stated(kind: type[Command], stated: str) -> dict[str, Any]:
    """What the command said, as its answer keeps it; what it left out; of what is too long to be kept, nothing."""
    content = from_json(stated)
    left_out = {
        name: field.default
        for name, field in kind.model_fields.items()
        if name in contents_of(kind) and name not in content
    }
    return left_out | {k: v for k, v in content.items() if not (isinstance(v, str) and v.startswith("sha256:"))}
