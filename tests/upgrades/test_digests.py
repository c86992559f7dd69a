"""Whoever changes a table raises its version: nothing else makes `oms-es migrate` change a database that is there."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import pytest

from oms_es import app
from oms_es.app import PROJECTIONS
from oms_es.kernel import Projection
from oms_es.runtime import schema
from oms_es.runtime.recorder import Recorder
from oms_es.runtime.schema import SCHEMA_VERSION

KEPT = Path(__file__).parent / "digests.json"
"""Of every version that there is; `python tests/upgrades/test_digests.py` adds the new ones, and edits none."""
TABLES = "tables"
DIGEST_CHARACTERS = 16


def digest(parts: Iterable[str]) -> str:
    """Whatever the white space is."""
    words = "\n".join(" ".join(part.split()) for part in parts)
    return sha256(words.encode()).hexdigest()[:DIGEST_CHARACTERS]


def of_recorder() -> Iterable[str]:
    """What it adds to the tables of the library, whose version is pinned."""
    return [inspect.getsource(Recorder.__init__)]


def of_tables() -> str:
    return digest([*(statement.decode() for statement in app._tables()), *of_recorder()])


def of_read_model(projection: Projection) -> str:
    """Its columns, and which events it folds under which keys; how each is folded is for the tests of upgrades."""
    columns = [str(column) for column in schema.declared_columns(projection.table)]
    return digest([*columns, *sorted(event.__name__ for event in projection.folds)])


def digests() -> dict[str, str]:
    """By name and version."""
    read_models = {f"{p.name} {p.version}": of_read_model(p) for p in PROJECTIONS}
    return {f"{TABLES} {SCHEMA_VERSION}": of_tables(), **read_models}


@pytest.mark.parametrize("name", digests())
def test_what_has_another_shape_has_another_version(name: str) -> None:
    kept = json.loads(KEPT.read_text())
    assert name in kept, "a new version: run `python tests/upgrades/test_digests.py`, and commit what it adds"
    assert kept[name] == digests()[name], "it changed under the same version: raise SCHEMA_VERSION, or `version=`"


def test_another_column_event_or_statement_is_another_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = PROJECTIONS[:2]
    assert of_read_model(first) != of_read_model(second)
    before = of_tables()
    statements = [*app._tables(), b"ALTER TABLE oms_stops ADD COLUMN IF NOT EXISTS since bigint"]
    monkeypatch.setattr(app, "_tables", lambda: statements)
    assert of_tables() != before


if __name__ == "__main__":
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    KEPT.write_text(json.dumps({**digests(), **known}, indent=2, sort_keys=True) + "\n")
