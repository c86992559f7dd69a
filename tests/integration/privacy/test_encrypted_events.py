"""Personal data in stored events: encrypted under the key of its order, the same again with it, placeholders without.

Every event type is asked, in the shapes that golden files have and in generated ones.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from oms_es.door import STORED
from oms_es.kernel import Event, Recorded
from oms_es.schemas.values.parts import EACH, parts_of, without_personal
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause, Codec, opened
from oms_es.store.encoding.trusting import TrustingCodec
from oms_es.store.privacy.wrapping import NoDataKey
from oms_es.store.recorder import EventRow

GOLDEN = Path(__file__).parents[2] / "golden"
PERSONAL_EVENTS = sorted(name for name, event in EVENTS.items() if parts_of(event))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
COARSE = {"country", "region"}


class Keys:
    """Keys in memory, with the interface of those in PostgreSQL."""

    def __init__(self) -> None:
        self.known: dict[str, AESGCM | None] = {}

    def to_write(self, _transaction: Any, subjects: Collection[str]) -> Mapping[str, AESGCM | None]:
        for subject in subjects:
            self.known.setdefault(subject, AESGCM(AESGCM.generate_key(256)))
        return {subject: self.known[subject] for subject in subjects}

    def to_read(self, subject: str) -> AESGCM | None:
        return self.known[subject]

    def destroy(self) -> None:
        self.known = dict.fromkeys(self.known)


def as_row(codec: Codec, recorded: Recorded) -> EventRow:
    [state] = codec.encode_all(None, [recorded])
    return EventRow(recorded.stream, recorded.version, type(recorded.event).__name__, state)


def enveloped(event: Event) -> Recorded:
    return Codec(EVENTS).envelop("order-1", 1, event, Cause("a clerk"), NOW)


def golden_events() -> Iterator[Event]:
    for path in sorted(GOLDEN.glob("*.json")):
        name, version = path.stem.rsplit(".v", 1)
        for body in json.loads(path.read_text()).values():
            state = to_json({**enveloped_without(name), "event": body, "schema_version": int(version)})
            yield Codec(EVENTS).decode(EventRow("order-1", 1, name, state)).event


def enveloped_without(name: str) -> dict[str, Any]:
    return {
        "event_id": "6d2970b0-04c7-52b9-bd47-274577a995ca",
        "recorded_at": NOW,
        "caused_by": None,
        "correlation_id": name,
        "actor": "me",
    }


def assert_encrypted(event: Event) -> None:
    keys = Keys()
    codec, trusting = Codec(EVENTS, keys=keys), TrustingCodec(EVENTS, keys=keys)
    recorded = enveloped(event)
    row = as_row(codec, recorded)
    assert codec.decode(row) == trusting.decode(row) == recorded
    assert Codec(EVENTS, keys=keys).in_the_clear(row.state) == Codec(EVENTS).encode(recorded)
    stored, envelope = opened(row.state)
    for part in parts_of(type(event)):
        assert set(map(repr, values_at(from_json(stored), part.path))) <= {repr(part.placeholder), "None"}, part
    assert ("encrypted" in envelope) == (row.state != Codec(EVENTS).encode(recorded))
    if "encrypted" in envelope:
        with pytest.raises(NoDataKey, match="OMS_DATA_KEY_FILE"):
            Codec(EVENTS).decode(row)
    keys.destroy()
    forgotten = codec.decode(row)
    assert (
        forgotten.event == trusting.decode(row).event == type(event).model_validate(from_json(stored), context=STORED)
    )
    assert forgotten.event == without_personal(event), "as who forgets it without its bytes"
    assert forgotten[4:] == recorded[4:]
    assert as_row(codec, recorded).state == as_row(codec, forgotten).state, "nothing is encrypted for it again"


def values_at(body: Any, path: tuple[str, ...]) -> list[Any]:
    """Return what stands at a path, of each item where it says so."""
    found = [body]
    for name in path:
        found = [item for one in found if one is not None for item in (one if name == EACH else [one[name]])]
    return found


def test_golden_events_of_every_type_come_back_and_are_forgotten() -> None:
    events = list(golden_events())
    for event in events:
        assert_encrypted(event)
    assert {type(event).__name__ for event in events} >= set(PERSONAL_EVENTS)


@pytest.mark.parametrize("name", PERSONAL_EVENTS)
def test_no_field_that_is_marked_stays_in_what_is_stored(name: str) -> None:
    """Asked of the schema that is published, which is made of the marks in another way."""
    found = {".".join(part.path) for part in parts_of(EVENTS[name])}
    schema = EVENTS[name].model_json_schema()
    assert found == set(marked(schema, schema, ()))


def marked(
    schema: dict[str, Any], shape: dict[str, Any], at: tuple[str, ...], *, inside: bool = False
) -> Iterator[str]:
    for name, field in resolved(schema, shape).get("properties", {}).items():
        options = [field, *field.get("anyOf", ())]
        personal = inside or any(option.get("x-personal") for option in options)
        below = [resolved(schema, option) for option in options]
        items = [resolved(schema, one["items"]) for one in below if isinstance(one.get("items"), dict)]
        objects = [one for one in below if "properties" in one]
        if name in COARSE and inside:
            continue
        if personal and not any(COARSE & one["properties"].keys() for one in objects):
            yield ".".join((*at, name))
        else:
            for one in objects:
                yield from marked(schema, one, (*at, name), inside=personal)
            for one in items:
                yield from marked(schema, one, (*at, name, EACH), inside=personal)


def resolved(schema: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in shape:
        shape = schema["$defs"][shape["$ref"].rpartition("/")[2]]
    return shape


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_whatever_people_write_comes_back(data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(GOLDEN_OF_PEOPLE))
    body = from_json(to_json(event))
    for part in parts_of(type(event)):
        for holder in values_at(body, part.path[:-1]):
            if holder is not None and isinstance(holder.get(part.path[-1]), str):
                holder[part.path[-1]] = data.draw(TEXT | st.just('","encrypted":"') | st.just(',"schema_version":1}'))
            elif holder is not None and part.path[-1] == "metadata":
                holder["metadata"] = data.draw(st.dictionaries(st.just("encrypted") | TEXT, TEXT, max_size=3))
    assert_encrypted(type(event).model_validate(body, context=STORED))


GOLDEN_OF_PEOPLE = [event for event in golden_events() if parts_of(type(event))]
