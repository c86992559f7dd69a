"""What was written can be read, also by a newer version."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from eventsourcing.persistence import StoredEvent
from pydantic import ValidationError

from oms_es.kernel import Event
from oms_es.schemas.upcasters import Body, UnknownVersion
from oms_es.store.encoding.codec import Cause, Codec, event_id_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class NoteWritten(Event):
    schema_version: ClassVar[int] = 2
    text: str
    language: str


def with_language(body: Body) -> Body:
    return {**body, "language": "unknown"}


CODEC = Codec({"NoteWritten": NoteWritten}, {("NoteWritten", 1): with_language})


def stored(**changes: object) -> StoredEvent:
    recorded = CODEC.envelop("note-1", 1, NoteWritten(text="hi", language="en"), Cause("me"), NOW)
    body = {**json.loads(CODEC.encode(recorded)), **changes}
    return StoredEvent("note-1", 1, "NoteWritten", json.dumps(body).encode())


def test_what_is_encoded_is_decoded_with_its_envelope() -> None:
    cause = Cause("me", event_id_of("note-0", 1), "order")
    recorded = CODEC.envelop("note-1", 3, NoteWritten(text="hi", language="en"), cause, NOW)
    row = StoredEvent("note-1", 3, "NoteWritten", CODEC.encode(recorded))
    assert CODEC.decode(row, 7) == recorded._replace(position=7)


def test_an_older_body_is_read_in_todays_words() -> None:
    assert CODEC.decode(stored(schema_version=1, event={"text": "hi"})).event == NoteWritten(
        text="hi", language="unknown"
    )


def test_a_body_from_a_newer_program_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnknownVersion, match="upgrade"):
        CODEC.decode(stored(schema_version=3))
    with pytest.raises(UnknownVersion, match="upgrade"):
        CODEC.decode(stored(schema_version=3, event={"text": "hi", "tone": "warm"}))


def test_a_body_that_is_wrong_in_its_own_version_stays_an_error() -> None:
    with pytest.raises(ValidationError):
        CODEC.decode(stored(event={"text": 1}))


def test_what_a_newer_program_adds_to_the_envelope_does_not_disturb() -> None:
    assert CODEC.decode(stored(traceparent="00-1-1-01")).actor == "me"


def test_an_event_has_the_same_id_however_often_its_append_is_tried() -> None:
    first = CODEC.envelop("note-1", 1, NoteWritten(text="hi", language="en"), Cause("me"), NOW)
    again = CODEC.envelop("note-1", 1, NoteWritten(text="ho", language="en"), Cause("you"), NOW)
    other = CODEC.envelop("note-1", 2, NoteWritten(text="hi", language="en"), Cause("me"), NOW)
    assert first.event_id == again.event_id != other.event_id
