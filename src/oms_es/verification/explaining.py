"""What of an event was changed since it was sealed: tried out, since only the right answer has the sealed hash.

Types, places, and what an envelope says are tried with what else they may have been: what is around the event, what its
place gives, what its content names. A time or a payload could have been anything; of those it is said that it is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from oms_es.door import STORED
from oms_es.proof.entries import StoredEvent
from oms_es.proof.tree import leaf_hash
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import BEFORE_EVENT, event_id_of

VERSIONS_TRIED = 50
"""On either side."""
ENVELOPE = ("schema_version", "event_id", "recorded_at", "caused_by", "correlation_id", "actor")
ENCRYPTED = {"encrypted"}
"""What is there only where the event says something of a person."""
"""In the order in which they are written, after the event."""


class Tried(NamedTuple):
    """`field` may have been this before."""

    field: str
    was: object
    event: StoredEvent


def what_was_changed(event: StoredEvent, sealed: bytes, around: Sequence[StoredEvent] = ()) -> str:
    """`sealed`: the hash of what it was. `around`: events near it."""
    for tried in _candidates(event, around):
        if leaf_hash(tried.event.entry) == sealed:
            return f"its {tried.field} was {tried.was} when it was sealed" if tried.field else str(tried.was)
    return "it is not what was sealed: its payload was changed, or what its envelope says of it"


def _candidates(event: StoredEvent, around: Sequence[StoredEvent]) -> Iterator[Tried]:
    yield from (Tried("type", name, event._replace(type=name)) for name in EVENTS)
    tries = range(max(1, event.version - VERSIONS_TRIED), event.version + VERSIONS_TRIED + 1)
    yield from (Tried("version", version, event._replace(version=version)) for version in tries)
    yield from (
        Tried("place", f"that of the event at position {other.position}", _moved(event, other)) for other in around
    )
    body = _body(event.state)
    if body is None:
        return
    for stream in _streams(event, body, around):
        yield Tried("stream", stream, event._replace(stream=stream))
    for state in _states(event.type, body):
        yield Tried("", "its bytes were written otherwise, with the same content", event._replace(state=state))
    for field, values in _envelopes(event, body, around).items():
        for value in values:
            for state in _states(event.type, {**body, field: value}):
                yield Tried(field, value, event._replace(state=state))


def _moved(event: StoredEvent, other: StoredEvent) -> StoredEvent:
    return other._replace(position=event.position)


def _body(state: bytes) -> dict[str, Any] | None:
    try:
        body = from_json(state)
        return body if isinstance(body, dict) and isinstance(body.get("event"), dict) else None
    except ValueError:
        return None


def _states(kind: str, body: dict[str, Any]) -> Iterator[bytes]:
    """Yield the event as it may be stored: its fields in the order of its class, those given or all of today's."""
    envelope = to_json({name: body.get(name) for name in [*ENVELOPE, *(ENCRYPTED & body.keys())]})[1:]
    with suppress(KeyError, ValidationError):
        event = EVENTS[kind].model_validate_json(to_json(body["event"]), context=STORED)
        for only_set in (False, True):
            yield b"".join([BEFORE_EVENT, event.model_dump_json(exclude_unset=only_set).encode(), b",", envelope])


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)


def _streams(event: StoredEvent, body: dict[str, Any], around: Sequence[StoredEvent]) -> Iterable[str]:
    category = event.stream.partition("-")[0]
    said = body["event"]
    named = [*_texts(said), f"{said.get('sku')}@{said.get('location')}"]
    return dict.fromkeys([*(f"{category}-{name}" for name in named), *(other.stream for other in around)])


def _envelopes(event: StoredEvent, body: dict[str, Any], around: Sequence[StoredEvent]) -> dict[str, Iterable[object]]:
    bodies = [found for other in around if (found := _body(other.state))]
    of: Callable[[str], list[object]] = lambda name: list(dict.fromkeys(found.get(name) for found in bodies))  # noqa: E731 - used five times, and short
    own_id = str(event_id_of(event.stream, event.version))
    return {
        "event_id": [own_id],
        "schema_version": range(1, 10),
        "caused_by": [None, *of("event_id"), *of("caused_by")],
        "correlation_id": [event.stream, *_texts(body["event"]), *of("correlation_id")],
        "actor": of("actor"),
        "recorded_at": of("recorded_at"),
    }
