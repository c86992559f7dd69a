"""What else happens while a migration encrypts what was stored in the clear, a batch at a time."""

from __future__ import annotations

import json
from threading import Thread
from typing import Any

import psycopg
import pytest
import structlog

from oms_es.app import Engine, migrate, migration
from oms_es.app.migration import ENCRYPTION_LOCK
from oms_es.app.privacy import encrypting, erasing, purging
from oms_es.database.rows import connected
from oms_es.schemas.order.content import order_id_of
from oms_es.store.privacy import encrypted_later
from oms_es.store.privacy.encrypted_later import NotEncrypted
from pages import blocks
from people import (
    FIRST,
    KEY,
)
from stored_in_the_clear import fill_in_the_clear, history, log_of, records_in, said_in_the_log


@pytest.fixture
def in_the_clear(database_url: str) -> str:
    fill_in_the_clear(database_url)
    return database_url


def interrupted(url: str, monkeypatch: pytest.MonkeyPatch, batches: int = 1) -> None:
    """Migrate with a key until so many events were encrypted."""
    done = list[int]()
    whole = encrypting._write

    def some(*given: Any) -> int:
        if len(done) == batches:
            raise KeyboardInterrupt
        done.append(1)
        return whole(*given)

    with monkeypatch.context() as patch:
        patch.setattr(encrypting, "ENCRYPTED_MAX", 1)
        patch.setattr(encrypting, "_write", some)
        with pytest.raises(KeyboardInterrupt):
            migrate(url, data_keys=[KEY])


def test_no_one_is_forgotten_between_two_batches(in_the_clear: str, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(in_the_clear, monkeypatch)
    with Engine(in_the_clear) as engine:
        engine.settle()
        for order_id in (FIRST, order_id_of("web", "none")):
            with connected(in_the_clear) as rows, pytest.raises(erasing.InTheClear, match="oms-es migrate"):
                erasing.require_encrypted(rows, [order_id])
        erasing.ask(engine, "dpo", [FIRST], "request", "dsr-1")
        engine.settle()
    with pytest.raises(erasing.NotPassed, match="oms-es migrate"):
        erasing.erase(in_the_clear, [FIRST], "dpo")
    with pytest.raises(NotEncrypted, match=f"order-{FIRST} was asked to be forgotten"):
        migrate(in_the_clear, data_keys=[KEY])
    assert b"Lovelace" in log_of(in_the_clear)


def test_an_event_of_the_order_in_another_stream_is_looked_at(in_the_clear: str) -> None:
    with psycopg.connect(in_the_clear) as connection:
        query = "SELECT notification_id, state FROM oms_events WHERE topic = 'ShipmentRequested' LIMIT 1"
        position, state = connection.execute(query).fetchone() or (0, b"")
    migrate(in_the_clear, data_keys=[KEY])
    order_id = json.loads(bytes(state))["event"]["order_id"]
    with connected(in_the_clear) as rows:
        erasing.require_encrypted(rows, [order_id])
        rows.execute("UPDATE oms_events SET state = %s WHERE notification_id = %s", [bytes(state), position])
        with pytest.raises(erasing.InTheClear):
            erasing.require_encrypted(rows, [order_id])


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    capture = structlog.testing.LogCapture()
    own = structlog.wrap_logger(None, processors=[capture], wrapper_class=structlog.stdlib.BoundLogger)
    monkeypatch.setattr(migration, "log", own)
    return capture.entries


def test_an_event_that_cannot_be_encrypted_is_listed_and_the_others_are(in_the_clear: str, logged: list[Any]) -> None:
    with psycopg.connect(in_the_clear) as connection:
        query = "SELECT notification_id, state FROM oms_events WHERE topic = 'OrderPlaced' LIMIT 1"
        position, state = connection.execute(query).fetchone() or (0, b"")
        body = json.loads(bytes(state))
        body["event"]["ship_to"] = ["Lovelace"]
        written = json.dumps(body, separators=(",", ":")).encode()
        connection.execute("UPDATE oms_events SET state = %s WHERE notification_id = %s", [written, position])
        for table in ("oms_log_head", "oms_log_tiles", "oms_log_checkpoints"):
            connection.execute(f"DELETE FROM {table}".encode())
    with psycopg.connect(in_the_clear) as connection:
        [left] = encrypting.still_in_the_clear(connection).left
    assert left.startswith(f"position {position}, OrderPlaced: AttributeError")
    migrate(in_the_clear, data_keys=[KEY])
    assert [line["events"] for line in logged if "stay in the clear" in line["event"]] == [[left]]
    with psycopg.connect(in_the_clear) as connection:
        clear = "SELECT notification_id FROM oms_events WHERE position('Lovelace'::bytea IN state) > 0"
        assert connection.execute(clear).fetchall() == [(position,)]
    with connected(in_the_clear) as rows, pytest.raises(erasing.InTheClear):
        erasing.require_encrypted(rows, [FIRST])


def test_a_batch_ends_after_some_pages_and_a_scan_at_the_first_event_that_was_encrypted(
    in_the_clear: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encrypted_later, "PAGE_MAX", 2)
    monkeypatch.setattr(encrypting, "PAGES_MAX", 1)
    migrate(in_the_clear, data_keys=[KEY])
    assert said_in_the_log(in_the_clear) == []
    *_, final = records_in(history(in_the_clear))
    assert final.reached == final.through
    with connected(in_the_clear) as rows:
        kept = rows.execute("SELECT reached FROM oms_encrypted_later WHERE reached > 0 ORDER BY 1").fetchall()
        assert len(kept) > 10, "of pages of two events"
        rows.execute("DELETE FROM oms_encrypted_later")
        encrypted_later.begin(rows, 10_000)
        at = encrypted_later.standing(rows)
        assert at
        assert encrypting._scanned(rows, at) == ([], 10_000, [])


def test_two_that_migrate_at_once_encrypt_once_and_none_waits(in_the_clear: str, logged: list[Any]) -> None:
    before = history(in_the_clear)
    both = [Thread(target=migrate, args=[in_the_clear], kwargs={"data_keys": [KEY]}) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert said_in_the_log(in_the_clear) == []
    after = history(in_the_clear)
    assert [one for one in after if one.actor != encrypting.ACTOR] == before
    assert len(records_in(after)) == 1
    with connected(in_the_clear) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [ENCRYPTION_LOCK])
        migrate(in_the_clear, data_keys=[KEY])
    assert any("another process encrypts" in line["event"] for line in logged)


def test_the_log_is_written_again_until_a_purge_has_left_nothing(
    in_the_clear: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(in_the_clear, data_keys=[KEY])
    monkeypatch.setattr(purging, "TABLES", ())
    monkeypatch.setattr(purging, "LOCK_SECONDS_MAX", 1)
    announced = list[str]()
    with psycopg.connect(in_the_clear) as reader, monkeypatch.context() as patch:
        reader.execute("SELECT count(*) FROM oms_events")
        patch.setattr(purging, "_write_over_the_wal", lambda _connection: (1, 0))
        done = purging.purge(in_the_clear, announced.append)
        assert (done.tables, done.left) == (0, ["VACUUM FULL oms_events: others held it for 1 seconds; purge again"])
    with monkeypatch.context() as patch:
        patch.setattr(purging, "_write_over_the_wal", lambda _connection: (1, 3))
        done = purging.purge(in_the_clear, announced.append)
        assert done.tables == 1
        assert "3 older segments" in done.left[0]
    assert [line.startswith("the log, of ") for line in announced] == [True, True]
    monkeypatch.setattr(purging, "_write_over_the_wal", lambda _connection: (1, 0))
    assert purging.purge(in_the_clear) == (1, 1, [])
    assert purging.purge(in_the_clear) == (0, 1, [])


def test_the_query_of_the_page_finds_what_was_encrypted(in_the_clear: str) -> None:
    migrate(in_the_clear, data_keys=[KEY])
    [query] = [query for query in blocks("audit-history.md", "sql") if "EventsEncrypted" in query]
    [record] = records_in(history(in_the_clear))
    with psycopg.connect(in_the_clear) as connection:
        found = connection.execute(query.encode()).fetchall()
    assert {(int(position), before) for _, position, before in found} == {
        (one.position, one.before) for one in record.events
    }
