"""Old events in files: what reads the log says the same as before, and what is wrong with a file is named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from conftest import fresh_database
from oms_es.app import PROJECTIONS, Engine, migrate, migration
from oms_es.app.archiving import moving, restoring, space
from oms_es.app.archiving.moving import ArchiveRefused, archive
from oms_es.app.privacy import erasing, exporting
from oms_es.app.sharing.verifying import verify_together
from oms_es.app.workers import INTERESTS
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.database.rows import connected
from oms_es.history import moments, rows_then, tracing
from oms_es.http.reading import events as events_over_http
from oms_es.kernel import Recorded
from oms_es.processing.intake.worker import Arrival, Intake, IntakeResult
from oms_es.proof.entries import StoredEvent
from oms_es.reports import proving as subjects
from oms_es.reports import timelines
from oms_es.reports.exporting import run as exports
from oms_es.reports.streams import history
from oms_es.schemas.order import AddNote, OrderNoteAdded
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.archive import files, tables
from oms_es.store.archive.files import ARCHIVE, ArchiveChanged, ArchiveUnavailable
from oms_es.store.encoding.codec import Codec
from oms_es.store.privacy.encrypted_later import NotEncrypted
from oms_es.store.recorder import MIGRATION_LOCK
from oms_es.store.sealing.proving import newest_checkpoint, proof_of
from oms_es.store.store import OUTAGES
from oms_es.whatif import history as relived
from people import (
    FIRST,
    KEY,
    NOTE,
    SAID,
    SECOND,
    assert_right,
    engine_with_people,
    everything,
    people_order,
    rows_of,
)

LOG = "SELECT * FROM oms_events ORDER BY notification_id"
THE_FILES = "every file of archived events is there, and is what was written"
READABLE = "every event can be read, and its cause is in the log"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Small files and blocks: a short history has several of each."""
    monkeypatch.setattr(moving, "FILE_EVENTS_MAX", 20)
    monkeypatch.setattr(files, "BLOCK_EVENTS_MAX", 7)
    ARCHIVE.set_up(tmp_path / "archive", makes_it=True)
    yield tmp_path / "archive"
    ARCHIVE.set_up(None)


@pytest.fixture(scope="module")
def world(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    """Return the name of a template database that every test copies."""
    with fresh_database(embedded_server) as url:
        with engine_with_people(url):
            pass
        yield str(conninfo_to_dict(url)["dbname"])


@pytest.fixture
def url(embedded_server: EmbeddedPostgres, world: str) -> Iterator[str]:
    name = f"{world}_copy"
    with psycopg.connect(embedded_server.url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(world)))
        yield embedded_server.url_of(name)
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def archived(url: str, until: int | None = None) -> moving.Moved:
    with connected(url) as rows:
        end = moments.position_of(rows, None) if until is None else until
        return archive(rows, INTERESTS, end, "test", lambda _done, _total: None)


def restored(url: str) -> restoring.Restored:
    with connected(url) as rows:
        return restoring.restore(rows, lambda _done, _total: None)


def log_of(url: str) -> list[Recorded]:
    """The log, read by an engine that has nothing in memory."""
    with Engine(url) as engine:
        return [engine.store.codec.decode(row, row.id) for row in engine.recorder.after(0, 10_000)]


def said(url: str, to: Path) -> dict[str, Any]:
    """What every reader of the log says of it."""
    codec, log, of_level = Codec(EVENTS), log_of(url), ("A", "berlin")
    end = len(log)
    with connected(url) as rows:
        codec = codec.over(rows)
        levels = next(one for one in PROJECTIONS if one.name == "stock_levels")
        steps = tracing.steps(rows, levels, of_level, end)
        proved = subjects.of_order(rows, FIRST)
        exported = exports.export(rows, codec, to)
        return {
            "log": log,
            "rows": {one.name: rows_of(url, one.name) for one in PROJECTIONS},
            "order": history(rows, codec, f"order-{FIRST}"),
            "timeline": timelines.timeline(rows, codec, FIRST),
            "checkpoint": newest_checkpoint(rows),
            "proof": proof_of(rows, "", proved),
            "rows at": [rows_then.row(rows, levels, of_level, at) for at in range(0, end, 5)],
            "explain": (steps, tracing.causes(rows, steps)),
            "moments": [moments.moment_of(rows, at) for at in range(1, end, 7)],
            "exported": (exported, {file.name: file.read_bytes() for file in to.rglob("*.parquet")}),
            "personal data": exporting.exported(rows, [FIRST], datetime(2026, 1, 1, tzinfo=UTC)),
            "/v1/events": events_over_http.page(
                rows, codec, 0, {"types": None, "stream": None, "limit": 1_000}, hides=False
            ),
            "what-if": relived.read(rows, end, end, lambda _done, _total: None),
        }


def findings(url: str) -> dict[str, list[str]]:
    report = verify_together(url, lambda _done, _total: None)
    return {check.name: check.differences for check in report.checks if check.failed}


def test_everything_that_reads_the_log_says_the_same(url: str, tmp_path: Path, folder: Path) -> None:
    before = said(url, tmp_path / "1")
    with psycopg.connect(url) as connection:
        log = connection.execute(LOG).fetchall()
    moved = archived(url)
    assert (moved.events, moved.left, moved.held_by) == (len(before["log"]), 0, "")
    assert moved.files == len(list(folder.iterdir())) == -(-moved.events // 20) > 2
    with psycopg.connect(url) as connection:
        states = [bytes(state) for (state,) in connection.execute("SELECT state FROM oms_events")]
        assert all(len(state) < 64 and json.loads(state).keys() == {"archived"} for state in states)
    assert said(url, tmp_path / "2") == before
    assert findings(url) == {}
    assert archived(url)._replace(through=0) == moving.Moved(0, 0, 0, 0, 0, 0, "")
    with Engine(url) as engine:
        engine.rebuild_all(PROJECTIONS)
    assert {one.name: rows_of(url, one.name) for one in PROJECTIONS} == before["rows"]
    assert restored(url).events == moved.events
    assert said(url, tmp_path / "3") == before
    assert findings(url) == {}
    with psycopg.connect(url) as connection:
        assert connection.execute(LOG).fetchall() == log
    assert restored(url) == restoring.Restored([], 0)


def test_orders_go_on_after_their_beginning_was_archived(url: str) -> None:
    first = archived(url, 30)
    assert first.events == 30
    with Engine(url) as fresh:
        assert fresh.submit("test", [NOTE]) == [], "a repeat of what is archived is still one"
        fresh.submit("test", [AddNote(order_id=FIRST, note_id="m", note_text="later")])
        fresh.submit("test", [ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=9)])
        fresh.submit("test", [ReceiveStock(sku="A", location="berlin", receipt_id="s", quantity=1)])
        fresh.settle()
        assert_right(fresh)
    assert archived(url).events == len(log_of(url)) - 30
    assert findings(url) == {}


def test_a_file_is_read_with_zcat(url: str, folder: Path) -> None:
    log = log_of(url)
    archived(url)
    lines = [line for file in sorted(folder.iterdir()) for line in gzip.decompress(file.read_bytes()).splitlines()]
    heads, bodies = [json.loads(line) for line in lines[::2]], [json.loads(line) for line in lines[1::2]]
    assert [(head["position"], head["stream"], head["version"], head["type"]) for head in heads] == [
        (one.position, one.stream, one.version, type(one.event).__name__) for one in log
    ]
    assert [body["event_id"] for body in bodies] == [str(one.event_id) for one in log]


def test_personal_data_is_in_no_file(url: str, folder: Path) -> None:
    archived(url)
    everything = b"".join(gzip.decompress(file.read_bytes()) for file in folder.iterdir())
    assert [one for one in SAID if one.encode() in everything] == []


def test_what_is_missing_or_changed_is_named(url: str, folder: Path) -> None:
    archived(url)
    one, two, *_ = sorted(folder.iterdir())
    kept_one, kept_two = one.read_bytes(), two.read_bytes()
    one.unlink()
    two.write_bytes(kept_two[:40] + bytes([kept_two[40] ^ 1]) + kept_two[41:])
    ARCHIVE.set_up(folder)
    found = findings(url)
    assert [str(one) in found[THE_FILES][0], str(two) in found[THE_FILES][1]] == [True, True]
    assert any(str(one) in line and "bring it back" in line for line in found[READABLE])
    assert "its file of archived events is missing" in found["every event is as it was sealed"][0]
    with Engine(url) as fresh:
        with pytest.raises(ArchiveUnavailable, match=f"{one}.*bring it back from a backup"):
            fresh.store.history("location-berlin")
        with pytest.raises(ArchiveChanged, match=str(two)):
            fresh.recorder.after(25, 1)
    with pytest.raises(ArchiveUnavailable):
        restored(url)
    one.write_bytes(kept_one)
    two.write_bytes(kept_two)
    ARCHIVE.set_up(None)
    with Engine(url) as fresh, pytest.raises(ArchiveUnavailable, match="OMS_ARCHIVE_FOLDER"):
        fresh.store.history("location-berlin")
    ARCHIVE.set_up(folder)
    assert findings(url) == {}


def test_a_file_of_another_event_is_not_read(url: str, folder: Path) -> None:
    """A row that names another event's place would change history: the digest in the row and the seal find it."""
    archived(url)
    with psycopg.connect(url) as connection:
        [one, two] = connection.execute("SELECT state FROM oms_events ORDER BY notification_id LIMIT 2").fetchall()
        connection.execute("UPDATE oms_events SET state = %s WHERE state = %s", [two[0], one[0]])
    ARCHIVE.set_up(folder)
    assert "every event is as it was sealed" in findings(url)


def test_an_outage_of_the_folder_is_waited_for_and_no_input_is_rejected(url: str, folder: Path) -> None:
    archived(url)
    folder.rename(folder.with_name("away"))
    note = AddNote(order_id=FIRST, note_id="m", note_text="later")
    with Engine(url) as engine:
        intake = Intake("in", "test", lambda _arrival: note, engine.store, engine.log, tracked=False)
        arrival = Arrival(1, b"{}")
        with pytest.raises(ArchiveUnavailable) as raised:
            intake.take([arrival])
        assert isinstance(raised.value, OUTAGES)
        assert rows_of(url, "oms_dead_letters") == []
        folder.with_name("away").rename(folder)
        assert intake.take([arrival]) == IntakeResult(1, 0)
    assert [type(one.event) for one in log_of(url)].count(OrderNoteAdded) == 2


def test_nothing_is_archived_into_a_folder_that_is_not_mounted(url: str, folder: Path) -> None:
    ARCHIVE.set_up(folder)
    with pytest.raises(ArchiveUnavailable, match="No such file"):
        archived(url, 20)
    folder.mkdir()
    archived(url, 20)
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    with pytest.raises(ArchiveUnavailable, match=r"events-00000001\.gz"):
        archived(url)
    with connected(url) as rows, pytest.raises(ArchiveUnavailable, match=r"events-00000001\.gz"):
        space.give_back(rows)
    assert list(folder.iterdir()) == []
    folder.rmdir()
    folder.with_name("away").rename(folder)
    (folder / ".events-00000002.gz.0123456789abcdef").write_bytes(b"left by a kill")
    archived(url)
    assert {file.suffix for file in folder.iterdir()} == {".gz"}
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert findings(url) == {}


def test_files_end_where_they_have_enough_bytes(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "READ_MAX", 3)
    monkeypatch.setattr(moving, "FILE_BYTES_MAX", 1)
    moved = archived(url, 12)
    assert (moved.files, moved.events) == (4, 12)


def test_no_other_file_is_overwritten(url: str, folder: Path) -> None:
    folder.mkdir()
    other = folder / "events-00000001.gz"
    other.write_bytes(b"of another log")
    archived(url)
    assert other.read_bytes() == b"of another log"
    assert findings(url) == {}


def test_nothing_is_archived_that_a_reader_or_the_seal_has_not_reached(url: str) -> None:
    end = len(log_of(url))
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE oms_tracking SET notification_id = 11 WHERE application_name = 'order_timeline'")
    moved = archived(url)
    assert (moved.through, moved.held_by, moved.events) == (11, "order_timeline", 11)
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE oms_tracking SET notification_id = %s WHERE application_name = 'order_timeline'", [end]
        )
        connection.execute("INSERT INTO oms_relay (name, epoch, position) VALUES ('events', 1, 15)")
    assert (archived(url).through, archived(url).held_by) == (15, "the relay to Kafka")


def test_an_event_that_is_not_what_was_sealed_is_not_archived(url: str, folder: Path) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE oms_events SET state = state || ' '")
    with pytest.raises(ArchiveRefused, match=r"position 1, .* not what was sealed"):
        archived(url)
    assert not folder.exists()
    assert tables_of(url) == []


def tables_of(url: str) -> list[tables.Archived]:
    with connected(url) as rows:
        return tables.standing(rows)


def test_only_one_process_archives(url: str) -> None:
    with connected(url) as rows, moving.alone(rows):
        with pytest.raises(ArchiveRefused, match="another process"):
            archived(url)
        with pytest.raises(ArchiveRefused, match="another process"):
            restored(url)


def test_nothing_is_archived_while_a_migration_runs_or_encrypts(url: str) -> None:
    with connected(url) as rows, connected(url) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        with pytest.raises(ArchiveRefused, match="migrates"):
            archived(url)
        other.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        rows.execute("INSERT INTO oms_encrypted_later (reached, through) VALUES (1, 1000000)")
        with pytest.raises(ArchiveRefused, match="oms-es migrate"):
            archived(url)


def test_a_person_is_forgotten_whose_events_are_archived(url: str, folder: Path) -> None:
    archived(url)
    with Engine(url) as engine:
        erasing.ask(engine, "dpo", [FIRST, SECOND], "request", "dsr-1")
        engine.settle()
        assert erasing.erase(url, [FIRST, SECOND], "dpo", 30.0).orders == [FIRST, SECOND]
    ARCHIVE.set_up(folder)
    assert findings(url) == {}
    of_ada = [one for one in SAID if one not in ("c-1815", "analytical", "20 7946", "ring twice")]
    assert [one for one in of_ada if one in str(log_of(url)) + everything(url)] == []
    assert archived(url).events > 0
    restored(url)
    assert findings(url) == {}


def test_without_a_key_the_clear_is_archived_and_a_key_comes_after_it_was_restored(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database_url)
    with Engine(database_url) as engine:
        people_order(engine)
    assert archived(database_url).left == 0
    with pytest.raises(NotEncrypted, match="archive --restore"):
        migrate(database_url, data_keys=[KEY])
    monkeypatch.setattr(migration, "_refuse_archived_in_the_clear", lambda _connection, _held: None)
    with pytest.raises(NotEncrypted, match=r"position \d+, .* archive --restore"):
        migrate(database_url, data_keys=[KEY])
    restored(database_url)
    migrate(database_url, data_keys=[KEY])
    assert archived(database_url).left == 0
    assert findings(database_url) == {}


def test_what_stays_in_the_clear_stays_in_the_database(url: str, folder: Path) -> None:
    event = StoredEvent(1, "order-x", 1, "OrderNoteAdded", b'{"event":{"note_text":"Ada"},"schema_version":1}')
    assert moving._stays(event, encrypted=True)
    assert not moving._stays(event, encrypted=False)
    assert moving._stays(event._replace(state=b"{\n}"), encrypted=False)
    assert archived(url).left == 0


def test_disk_is_given_back(url: str) -> None:
    archived(url)
    with connected(url) as rows:
        given = space.give_back(rows)
    assert given.after < given.before
    assert findings(url) == {}
