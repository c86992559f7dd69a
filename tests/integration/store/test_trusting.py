"""Reading stored events without validation gives the same result as with it, and invalid new ones are still refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
from pydantic import ValidationError, model_validator

from oms_es.kernel import Event, Recorded
from oms_es.schemas.upcasters import UnknownVersion
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.store.encoding.trusting import TrustingCodec
from oms_es.store.recorder import EventRow
from same_reading import assert_same_reading

GOLDEN = Path(__file__).parents[2] / "golden"
ENVELOPE = {
    "schema_version": 1,
    "event_id": "6d2970b0-04c7-52b9-bd47-274577a995ca",
    "recorded_at": "2026-01-01T00:00:00.000001+02:00",
    "caused_by": None,
    "correlation_id": "order-1",
    "actor": "me",
}
asked: list[str] = []


class Split(Event):
    """A model with a rule over several of its fields."""

    schema_version: ClassVar[int] = 2
    whole: int
    parts: tuple[int, ...]

    @model_validator(mode="after")
    def _conserved(self) -> Self:
        asked.append("conserved")
        if sum(self.parts) != self.whole:
            raise ValueError("the parts are not the whole")
        return self


SPLIT, UPCAST = {"Split": Split}, {("Split", 1): lambda body: {"whole": sum(body["parts"]), **body}}


def row(name: str, body: dict[str, Any], **envelope: Any) -> EventRow:
    return EventRow("stream-1", 3, name, json.dumps({"event": body, **ENVELOPE, **envelope}).encode())


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_golden_files_are_read_alike(path: Path) -> None:
    name, version = path.stem.rsplit(".v", 1)
    variants = json.loads(path.read_text()).values()
    rows = [row(name, body, schema_version=int(version)) for body in variants]
    assert_same_reading(rows, Codec(EVENTS), TrustingCodec(EVENTS))


def test_rules_of_whole_messages_are_not_asked_again() -> None:
    body = {"whole": 3, "parts": [1, 2]}
    validating, trusting = Codec(SPLIT, UPCAST), TrustingCodec(SPLIT, UPCAST)
    recorded = validating.decode(row("Split", body, schema_version=2))
    asked.clear()
    read = trusting.decode(row("Split", body, schema_version=2), 7)
    assert (read, asked) == (recorded._replace(position=7), [])
    assert isinstance(read, Recorded)


def test_what_is_older_newer_or_wrong_is_read_or_refused_as_ever() -> None:
    codec = TrustingCodec(SPLIT, UPCAST)
    assert codec.decode(row("Split", {"parts": [1, 2]})).event == Split(whole=3, parts=(1, 2))
    assert codec.decode(row("Split", {"whole": 1, "parts": [1]}, schema_version=2, more="of it")).actor == "me"
    with pytest.raises(ValidationError, match="valid integer"):
        codec.decode(row("Split", {"whole": "three", "parts": []}, schema_version=2))
    with pytest.raises(ValidationError, match="Extra inputs"):
        codec.decode(row("Split", {"whole": 0, "parts": [], "less": 1}, schema_version=2))
    with pytest.raises(UnknownVersion, match="upgrade"):
        codec.decode(row("Split", {"whole": 0, "parts": []}, schema_version=3))
    with pytest.raises(KeyError):
        codec.decode(row("Joined", {}))
