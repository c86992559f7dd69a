"""A changed table requires a raised version, as otherwise `oms-es migrate` would not change existing databases."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from oms_es.app import PROJECTIONS, migration
from oms_es.kernel import Projection
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store import schema
from oms_es.store.recorder import Recorder
from oms_es.store.schema import SCHEMA_VERSION

KEPT = Path(__file__).parent / "digests.json"
"""Of every version that there is; run as a program, this file adds the new ones, and edits none."""
TABLES = "tables"
DIGEST_CHARACTERS = 16


def digest(parts: Iterable[str]) -> str:
    """Return a digest that ignores white space."""
    words = "\n".join(" ".join(part.split()) for part in parts)
    return sha256(words.encode()).hexdigest()[:DIGEST_CHARACTERS]


def of_recorder() -> Iterable[str]:
    """Return what the recorder adds to the tables of the event library, whose version is pinned."""
    return [inspect.getsource(Recorder.__init__)]


def of_tables() -> str:
    return digest([*(statement.decode() for statement in migration._tables()), *of_recorder()])


def of_read_model(projection: Projection) -> str:
    return digest(str(column) for column in schema.declared_columns(projection.table))


def folded(projection: Projection) -> list[str]:
    return sorted(event.__name__ for event in projection.folds)


def shapes() -> dict[str, dict[str, Any]]:
    """Return the shape of every table and read model by name and version."""
    read_models = {f"{p.name} {p.version}": {"columns": of_read_model(p), "folds": folded(p)} for p in PROJECTIONS}
    return {f"{TABLES} {SCHEMA_VERSION}": {"columns": of_tables(), "folds": []}, **read_models}


def problem(kept: dict[str, Any], name: str, shape: dict[str, Any]) -> str:
    """An event that is newer than the version of a read model may be folded without another: no row is older."""
    if name not in kept["shapes"]:
        return "a new version: run `python tests/integration/upgrades/test_digests.py`, and commit what it adds"
    before = kept["shapes"][name]
    old = set(kept["events"][: before["events"]])
    if shape["columns"] != before["columns"] or set(shape["folds"]) & old != set(before["folds"]):
        return "it changed under the same version: raise SCHEMA_VERSION, or `version=`"
    return ""


@pytest.mark.parametrize("name", shapes())
def test_what_has_another_shape_has_another_version(name: str) -> None:
    assert not problem(json.loads(KEPT.read_text()), name, shapes()[name])


def test_another_column_event_or_statement_is_another_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"events": ["Old", "Other"], "shapes": {"rows 1": {"columns": "a", "folds": ["Old"], "events": 2}}}
    assert not problem(kept, "rows 1", {"columns": "a", "folds": ["New", "Old"]})
    for changed in ({"columns": "b", "folds": ["Old"]}, {"columns": "a", "folds": []}):
        assert "raise" in problem(kept, "rows 1", changed)
    assert "raise" in problem(kept, "rows 1", {"columns": "a", "folds": ["Old", "Other"]})
    assert "a new version" in problem(kept, "rows 2", {"columns": "a", "folds": ["Old"]})
    first, second = PROJECTIONS[:2]
    assert of_read_model(first) != of_read_model(second)
    before = of_tables()
    statements = [*migration._tables(), b"ALTER TABLE oms_stops ADD COLUMN IF NOT EXISTS since bigint"]
    monkeypatch.setattr(migration, "_tables", lambda: statements)
    assert of_tables() != before


def write() -> None:
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"events": [], "shapes": {}}
    events = [*kept["events"], *sorted(EVENTS.keys() - set(kept["events"]))]
    now = {name: {**shape, "events": len(events)} for name, shape in shapes().items()}
    KEPT.write_text(
        json.dumps({"events": events, "shapes": {**now, **kept["shapes"]}}, sort_keys=True, indent=1) + "\n"
    )


if __name__ == "__main__":
    write()
