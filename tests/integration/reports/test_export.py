"""An export contains the log and its facts exactly once, also if it was killed meanwhile, and other programs read
it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from oms_es.app import Engine, engine_on
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.workload import Workload
from oms_es.exit_codes import Code
from oms_es.reports import queries
from oms_es.reports.exporting import events, facts, manifest, parquet, run
from oms_es.reports.exporting.manifest import BadExport
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec

READ = 300
"""Events of a step here, so that there are several."""


@pytest.fixture(scope="module")
def engine(embedded_server: EmbeddedPostgres) -> Iterator[Engine]:
    with fresh_database(embedded_server) as url, engine_on(url) as running:
        reported(running, 30)
        yield running


def reported(engine: Engine, orders: int) -> None:
    for batch in Workload(6, orders).steps(500):
        engine.submit("test", batch)
    engine.settle()


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "READ_MAX", READ)
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 7)


def exported(engine: Engine, directory: Path) -> run.Exported:
    with queries.reading(engine.database_url) as connection:
        return run.export(connection, Codec(EVENTS), directory)


def rows(directory: Path, what: str) -> list[dict[str, Any]]:
    found = duckdb.sql(f"SELECT * FROM read_parquet('{directory}/{what}/**/*.parquet', hive_partitioning=true)")
    assert found is not None
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def check(engine: Engine, directory: Path) -> None:
    with psycopg.connect(engine.database_url, row_factory=dict_row, options="-c timezone=UTC") as connection:
        log = connection.execute("SELECT * FROM oms_events ORDER BY notification_id").fetchall()
        tables = {
            one.table.name: connection.execute(f"SELECT * FROM {one.table.name}".encode()).fetchall()
            for one in facts.EXPORTED
        }
    reported = sorted(rows(directory, "events"), key=lambda row: row["position"])
    assert [(row["position"], row["stream"], row["version"], row["event"]) for row in reported] == [
        (row["notification_id"], row["originator_id"], row["originator_version"], row["topic"]) for row in log
    ]
    states = [json.loads(bytes(row["state"])) for row in log]
    assert [json.loads(row["body"]) for row in reported] == [state["event"] for state in states]
    assert [str(row["day"]) for row in reported] == [state["recorded_at"][:10] for state in states]
    for name, wanted in tables.items():
        found = [{key: value for key, value in row.items() if key != "day"} for row in rows(directory, f"facts/{name}")]
        assert sorted(map(str, map(utc, found))) == sorted(map(str, map(utc, wanted))), name
    have = manifest.read(directory)
    assert not list(manifest.differences(directory, have, whole=True))
    there = {path.relative_to(directory).as_posix() for path in directory.rglob("*.parquet")}
    assert there == set(have.named)
    assert not list(directory.rglob("*.tmp"))


def utc(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.timestamp() if hasattr(value, "timestamp") else value for name, value in row.items()}


def test_events_and_facts_are_exported_once_and_the_next_run_adds_what_is_new(engine: Engine, tmp_path: Path) -> None:
    first = exported(engine, tmp_path)
    check(engine, tmp_path)
    assert first.events == engine.last_position() > 2 * READ
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert exported(engine, tmp_path).events == 0
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    reported(engine, 34)
    second = exported(engine, tmp_path)
    check(engine, tmp_path)
    assert second.events == engine.last_position() - first.position > 0
    assert {path for path in kept if path.relative_to(tmp_path).parts[0] == "events"} <= set(
        tmp_path.rglob("*.parquet")
    )


def test_whole_numbers_have_64_bits_and_moments_are_in_utc(engine: Engine, tmp_path: Path) -> None:
    exported(engine, tmp_path)
    pa = parquet.arrow()
    for exporting in facts.EXPORTED:
        path = next((tmp_path / "facts" / exporting.table.name).rglob("*.parquet"))
        kinds = {field.name: str(field.type) for field in pa.parquet.read_schema(path)}
        assert set(kinds.values()) <= {"int64", "string", "timestamp[us, tz=UTC]", "bool"}
        assert all(kind == "int64" for name, kind in kinds.items() if name.endswith("_minor"))


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("step", "nth"), [("moved", 1), ("moved", 5), ("write", 1), ("write", 2), ("sweep", 2), ("described", 2)]
)
def test_a_run_that_was_killed_loses_and_doubles_nothing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, nth: int
) -> None:
    """The run is killed before the nth call of each file operation."""
    calls = 0
    for module in (manifest, parquet):
        if not hasattr(module, step):
            continue
        real = getattr(module, step)

        def dying(*given: Any, real: Any = real) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth:
                raise Killed
            return real(*given)

        monkeypatch.setattr(module, step, dying)
    with pytest.raises(Killed):
        exported(engine, tmp_path)
    monkeypatch.undo()
    exported(engine, tmp_path)
    check(engine, tmp_path)


PROGRAM = """
import sys
from oms_es.cli.main import main
from oms_es.reports.exporting import events
events.READ_MAX = 40
sys.exit(main(["export", "--to", sys.argv[1]]))
"""


@pytest.mark.parametrize("files", [2, 9])
def test_so_it_is_after_a_real_kill(engine: Engine, tmp_path: Path, files: int) -> None:
    """The process is killed as soon as so many files exist."""
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "OMS_DATABASE_URL": engine.database_url},
        stderr=subprocess.DEVNULL,
    )
    try:
        while running.poll() is None and len(list(tmp_path.rglob("*.parquet"))) < files:
            time.sleep(0.002)
    finally:
        running.kill()
    assert running.wait() == -signal.SIGKILL
    assert manifest.read(tmp_path).position < engine.last_position()
    exported(engine, tmp_path)
    check(engine, tmp_path)


def test_one_run_at_a_time_writes_to_a_directory(engine: Engine, tmp_path: Path) -> None:
    with run.alone(tmp_path), pytest.raises(BadExport, match="another export writes to"):
        exported(engine, tmp_path)


def test_a_directory_of_another_log_or_that_was_changed_is_refused(engine: Engine, tmp_path: Path) -> None:
    exported(engine, tmp_path)
    have = manifest.read(tmp_path)
    manifest.write(tmp_path, have.model_copy(update={"log": "another"}))
    with pytest.raises(BadExport, match="another log"):
        exported(engine, tmp_path)
    manifest.write(tmp_path, have.model_copy(update={"position": have.position + 1}))
    with pytest.raises(BadExport, match="more events than the log"):
        exported(engine, tmp_path)
    manifest.write(tmp_path, have)
    (tmp_path / have.files[0].path).unlink()
    with pytest.raises(BadExport, match="is missing"):
        exported(engine, tmp_path)
    (tmp_path / manifest.NAME).write_text("{}x")
    with pytest.raises(BadExport, match="no manifest of ours"):
        exported(engine, tmp_path)


def test_a_file_whose_content_was_changed_is_found(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(engine, tmp_path)
    assert main(["export", "--to", str(tmp_path), "--check"]) == Code.OK
    path = tmp_path / manifest.read(tmp_path).files[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert main(["export", "--to", str(tmp_path), "--check"]) == Code.DIFFERENT
    assert "is not what was written" in capsys.readouterr().err


def test_without_the_package_that_writes_parquet_it_is_said_which() -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from oms_es.reports.exporting import parquet\n"
        "try:\n    parquet.arrow()\nexcept parquet.NoArrow as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "pip install 'oms-es[analytics]'" in said
