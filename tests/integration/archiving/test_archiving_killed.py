"""Processes that archive or restore events are killed in the middle, and the next one does the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from killing import run_until_killed
from oms_es.app import Engine
from oms_es.store.archive.files import ARCHIVE
from people import KEY, assert_right, engine_with_people

EVERY = "OMS_TEST_KILLS" in os.environ
"""`make faults` kills at every step; without it, at some."""
PREPARED = """
from pathlib import Path

from oms_es.app.archiving import moving, restoring
from oms_es.app.workers import INTERESTS
from oms_es.database.rows import connected
from oms_es.history import moments
from oms_es.store.archive.files import ARCHIVE

moving.FILE_EVENTS_MAX = 20
ARCHIVE.set_up(Path(rest[0]))
with connected(url) as rows:
"""
ARCHIVES = f"{PREPARED}    moving.archive(rows, INTERESTS, moments.position_of(rows, None), 'test', lambda *_: None)"
RESTORES = f"{PREPARED}    restoring.restore(rows, lambda *_: None)"
STEPS = (
    ("oms_es.app.archiving.moving:_replace", 2),
    ("oms_es.store.archive.files:write", 1),
    ("oms_es.app.archiving.moving:_move", 1),
    ("oms_es.app.archiving.moving:require_sealed", 1),
    ("oms_es.store.archive.files:_put", 1),
    ("oms_es.store.archive.files:read_back", 2),
    ("oms_es.store.archive.tables:add", 1),
)
BACK = (
    ("oms_es.store.archive.tables:restored", 2),
    ("oms_es.app.archiving.restoring:_put_back", 1),
)
LOG = "SELECT notification_id, originator_id, originator_version, topic, state FROM oms_events ORDER BY 1"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    ARCHIVE.set_up(tmp_path)
    yield tmp_path
    ARCHIVE.set_up(None)


def stored(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(LOG).fetchall()


def whole(url: str) -> list[object]:
    with Engine(url) as engine:
        return [(row.id, *row.__dict__.values()) for row in engine.recorder.after(0, 10_000)]


def listed(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT file FROM oms_archives WHERE restored_at IS NULL").fetchall()
        return {file for (file,) in found}


def test_who_is_killed_loses_and_doubles_nothing(database_url: str, folder: Path) -> None:
    with engine_with_people(database_url):
        pass
    rows, before = stored(database_url), whole(database_url)
    for step, nth in STEPS if EVERY else STEPS[:1]:
        run_until_killed(ARCHIVES, database_url, [KEY], step, nth, str(folder))
        assert whole(database_url) == before, step
        assert listed(database_url) <= {file.name for file in folder.iterdir()}
        with Engine(database_url) as engine:
            assert_right(engine)
    for step, nth in BACK if EVERY else ():
        run_until_killed(RESTORES, database_url, [KEY], step, nth, str(folder))
        assert whole(database_url) == before, step
        assert listed(database_url)
        with Engine(database_url) as engine:
            assert_right(engine)
    run_until_killed(RESTORES, database_url, [KEY], "oms_es.app.archiving.restoring:restore", 1, str(folder))
    assert stored(database_url) == rows
    assert listed(database_url) == set()
    named = [file.name for file in folder.iterdir() if not file.name.startswith(".")]
    with psycopg.connect(database_url) as connection:
        ever = connection.execute("SELECT file FROM oms_archives").fetchall()
    assert {file for (file,) in ever} <= {*named}
