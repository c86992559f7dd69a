"""What was stored once is read for ever: every event version has its golden file, and today's classes read it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from golden.write import path_of
from oms_es.kernel import Event
from oms_es.schemas.upcasters import UPCASTERS, upcast
from oms_es.schemas.vocabulary import EVENTS

VERSIONS = [
    pytest.param(event, version, id=f"{name}.v{version}")
    for name, event in EVENTS.items()
    for version in range(1, event.schema_version + 1)
]


def golden(event: type[Event], version: int) -> dict[str, Any]:
    path = path_of(event, version)
    assert path.exists(), f"{path.name} is missing: run `python tests/golden/write.py` and commit what it writes"
    variants: dict[str, Any] = json.loads(path.read_text())
    assert set(variants) == {"whole", "required"}
    return variants


@pytest.mark.parametrize(("event", "version"), VERSIONS)
def test_todays_class_reads_every_version_that_was_ever_stored(event: type[Event], version: int) -> None:
    for body in golden(event, version).values():
        today = upcast(event.__name__, version, body, upcasters=UPCASTERS, current=event.schema_version)
        decoded = event.model_validate_json(json.dumps(today))
        assert json.loads(decoded.model_dump_json(exclude_unset=True)) == today


@pytest.mark.parametrize(("event", "version"), VERSIONS)
def test_a_golden_file_shows_every_field_of_its_version_and_marks_the_required_ones(
    event: type[Event], version: int
) -> None:
    variants = golden(event, version)
    assert set(variants["required"]) <= set(variants["whole"])
    if version == event.schema_version:
        required = {name for name, field in event.model_fields.items() if field.is_required()}
        assert set(variants["required"]) == required, "a required field was added or dropped: raise schema_version"
        assert set(variants["whole"]) <= set(event.model_fields), "a field was dropped: raise schema_version"


def test_no_golden_file_is_of_an_event_that_no_one_knows() -> None:
    known = {path_of(*param.values).name for param in VERSIONS}  # type: ignore[arg-type] # (event, version), as built above
    assert {path.name for path in path_of(Event, 1).parent.glob("*.json")} == known
