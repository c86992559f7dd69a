"""A database that was filled before there was a key: its migration encrypts what is personal in its events where they
stand, whatever interrupts it, and older checkpoints and proofs go on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from killing import run_until_killed
from oms_es.app import Engine, migrate
from oms_es.app.privacy import encrypting, erasing
from oms_es.database.rows import connected
from oms_es.exit_codes import Code
from oms_es.kernel import Refused
from oms_es.schemas.operations.encryption import STREAM, RecordEncryption
from oms_es.schemas.order import AddNote
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.store.privacy.encrypted_later import NotEncrypted
from oms_es.store.privacy.wrapping import KEYRING, NoDataKey
from oms_es.store.sealing import folder
from oms_es.verification.seal_checks import Signed
from oms_es.verification.verify import check_log
from people import (
    ADA,
    C_ADA,
    FIRST,
    KEY,
    NOTE,
    SAID,
    SECOND,
    assert_right,
    order_of,
)
from repository import ROOT
from stored_in_the_clear import MOVED, fill_in_the_clear, history, log_of, records_in, said_in_the_log

EVERY = "OMS_TEST_KILLS" in os.environ
"""`make faults` kills at every step; without it, at some."""


@pytest.fixture
def in_the_clear(database_url: str) -> str:
    fill_in_the_clear(database_url)
    return database_url


def test_it_says_what_it_said_and_every_older_checkpoint_goes_on(in_the_clear: str, tmp_path: Path) -> None:
    before = history(in_the_clear)
    with connected(in_the_clear) as rows:
        folder.export(rows, tmp_path)
    held = [Signed(str(file), file.read_text()) for file in folder.checkpoints_in(tmp_path)]
    with psycopg.connect(in_the_clear) as connection:
        clear = encrypting.still_in_the_clear(connection).events
    migrate(in_the_clear, data_keys=[KEY])
    assert said_in_the_log(in_the_clear) == []
    after = history(in_the_clear)
    assert after[: len(before)] == before
    [record] = records_in(after)
    assert len(after) == len(before) + 1
    assert len(record.events) == clear > len(SAID)
    assert record.checkpoint == held[0].text
    assert record.reached == record.through == before[-1].position
    book, report = check_log(in_the_clear, (), held, Codec(EVENTS))
    assert report.passed, report.checks
    assert book.unsealed == 0
    migrate(in_the_clear, data_keys=[KEY])
    assert history(in_the_clear) == after
    with Engine(in_the_clear) as engine:
        assert engine.submit("test", [NOTE, MOVED]) == [], "a repeat of what was quoted is still one"
        assert engine.last_position() == after[-1].position
        assert_right(engine)


def test_an_event_that_is_written_otherwise_comes_back_byte_for_byte(in_the_clear: str) -> None:
    with psycopg.connect(in_the_clear) as connection:
        query = "SELECT notification_id, state FROM oms_events WHERE topic = 'OrderPlaced' LIMIT 1"
        position, state = connection.execute(query).fetchone() or (0, b"")
        written = bytes(state).replace(b'"notes":', b'"notes" :  ').replace(b"Ada", b"\\u0041da")
        assert written != bytes(state)
        connection.execute("UPDATE oms_events SET state = %s WHERE notification_id = %s", [written, position])
        for table in ("oms_log_head", "oms_log_tiles", "oms_log_checkpoints"):
            connection.execute(f"DELETE FROM {table}".encode())
    migrate(in_the_clear, data_keys=[KEY])
    assert said_in_the_log(in_the_clear) == []
    with Engine(in_the_clear) as engine:
        [row] = engine.recorder.after(position - 1, 1)
        assert engine.store.codec.in_the_clear(row.state) == written
        assert_right(engine)


MIGRATES = """
from oms_es.app import migrate
from oms_es.app.privacy import encrypting

encrypting.ENCRYPTED_MAX = 2
migrate(url, data_keys=[bytes.fromhex(keys)])
"""
STEPS = (
    "oms_es.store.privacy.subject_keys:begin",
    "oms_es.app.privacy.encrypting:begin",
    "oms_es.app.privacy.encrypting:_encrypted",
    "oms_es.store.privacy.encrypted_later:rewrite",
    "oms_es.app.privacy.encrypting:_write",
    "oms_es.store.privacy.encrypted_later:reach",
    "oms_es.app.privacy.encrypting:encrypt_stored",
)


def test_who_is_killed_while_encrypting_leaves_whole_batches(
    in_the_clear: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    KEYRING.hold([KEY])
    before = history(in_the_clear)
    for step in STEPS if EVERY else STEPS[3:5]:
        run_until_killed(MIGRATES, in_the_clear, [KEY], step, 1)
        assert [one for one in history(in_the_clear) if one.actor != encrypting.ACTOR] == before, step
        with Engine(in_the_clear) as engine:
            assert_right(engine)
    monkeypatch.setattr(encrypting, "ENCRYPTED_MAX", 2)
    migrate(in_the_clear, data_keys=[KEY])
    assert said_in_the_log(in_the_clear) == []
    after = history(in_the_clear)
    records = records_in(after)
    assert len(records) > 2
    named = [one.position for record in records for one in record.events]
    assert named == sorted(set(named))
    assert [one for one in after if one.actor != encrypting.ACTOR] == before
    with Engine(in_the_clear) as engine:
        assert_right(engine)


def test_an_engine_that_has_the_key_goes_on_meanwhile(in_the_clear: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encrypting, "ENCRYPTED_MAX", 1)
    KEYRING.hold([KEY])
    with Engine(in_the_clear) as engine:
        migrating = Thread(target=migrate, args=[in_the_clear], kwargs={"data_keys": [KEY]})
        migrating.start()
        number = 0
        while migrating.is_alive() or number < 4:
            number += 1
            note = AddNote(order_id=SECOND, note_id=f"n{number}", note_text=f"ring twice, {number} times")
            assert engine.submit("test", [note]) == []
            engine.settle()
        migrating.join()
        engine.submit("test", [order_of(ADA, C_ADA, "9")])
        engine.settle()
        assert said_in_the_log(in_the_clear) == []
        assert_right(engine)
        monkeypatch.setattr(KEYRING, "_keys", {})
        late = AddNote(order_id=FIRST, note_id="late", note_text="ring twice")
        with pytest.raises(NoDataKey, match="OMS_DATA_KEY_FILE"):
            engine.submit("test", [late])


def test_a_person_whose_orders_were_stored_in_the_clear_is_forgotten(in_the_clear: str) -> None:
    migrate(in_the_clear, data_keys=[KEY])
    with Engine(in_the_clear) as engine:
        engine.settle()
        erasing.ask(engine, "dpo", [FIRST], "request", "dsr-1")
        engine.settle()
        assert erasing.erase(in_the_clear, [FIRST], "dpo").orders == [FIRST]
        assert_right(engine)


def test_an_event_that_was_changed_since_it_was_read_is_not_written_over(
    in_the_clear: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encrypting._encrypted

    def changed_meanwhile(*given: Any) -> Any:
        with psycopg.connect(in_the_clear) as connection:
            connection.execute("UPDATE oms_events SET state = state || ' ' WHERE topic = 'OrderNoteAdded'")
        return whole(*given)

    monkeypatch.setattr(encrypting, "_encrypted", changed_meanwhile)
    with pytest.raises(NotEncrypted, match="oms-es verify"):
        migrate(in_the_clear, data_keys=[KEY])
    assert b"Lovelace" in log_of(in_the_clear)
    assert records_in(history(in_the_clear)) == []


def test_two_that_encrypt_name_no_event_twice(in_the_clear: str) -> None:
    migrate(in_the_clear, data_keys=[KEY])
    with Engine(in_the_clear) as engine:
        command = RecordEncryption(previous=0, reached=engine.last_position(), through=0, events=(), checkpoint="")
        with pytest.raises(Refused, match="encrypted_meanwhile"):
            engine.append([(Cause("test"), [command])])


def test_the_dry_run_counts_and_changes_nothing(in_the_clear: str, oms: Any) -> None:
    log = log_of(in_the_clear)
    code, out, _ = oms("migrate", "--dry-run")
    assert code == Code.OK
    assert "hold personal data in the clear: they stay so without a data key" in out
    assert log_of(in_the_clear) == log
    migrate(in_the_clear, data_keys=[KEY])
    assert oms("migrate", "--dry-run")[1].startswith("0 events up to position ")


def proof_of_the_order(oms: Any, to: Path) -> dict[str, Any]:
    assert oms("audit", "prove", "--order", FIRST, "--to", str(to))[0] == Code.OK
    found: dict[str, Any] = json.loads(to.read_text())
    assert all("sealed_state" not in event for event in found["events"])
    assert oms("audit", "prove", "--order", FIRST, "--disclose", "--to", str(to))[0] == Code.OK
    disclosed: dict[str, Any] = json.loads(to.read_text())
    assert all(("sealed_state" in event) == ("sealed" in event) for event in disclosed["events"])
    return disclosed


def without_record(proof: dict[str, Any]) -> None:
    proof["events"] = [event for event in proof["events"] if event["stream"] != STREAM]


def with_other_bytes(proof: dict[str, Any]) -> None:
    event = next(event for event in proof["events"] if "sealed" in event)
    event["state"] = event["state"].replace("berlin", "munich").replace("OrderPlaced", "x") + " "


def with_another_digest(proof: dict[str, Any]) -> None:
    event = next(event for event in proof["events"] if "sealed" in event)
    event["sealed"] = "0" * 64


def with_another_state(proof: dict[str, Any]) -> None:
    event = next(event for event in proof["events"] if "sealed" in event)
    event["sealed_state"] = event["sealed_state"].replace("OrderPlaced", "x") + " "


def of_no_record(proof: dict[str, Any]) -> None:
    for event in proof["events"]:
        event.pop("sealed", None)


CHANGES = (None, without_record, with_other_bytes, with_another_digest, with_another_state, of_no_record)


@pytest.mark.parametrize("change", CHANGES)
def test_a_proof_of_such_an_order_has_the_record_and_shows_nothing_without_it(
    in_the_clear: str, oms: Any, tmp_path: Path, change: Callable[[dict[str, Any]], None] | None
) -> None:
    migrate(in_the_clear, data_keys=[KEY])
    key, file = oms("audit", "key")[1].strip(), tmp_path / "proof.json"
    proof = proof_of_the_order(oms, file)
    assert [event["stream"] for event in proof["events"]].count(STREAM) == 1
    if change:
        change(proof)
        file.write_text(json.dumps(proof))
    expected = Code.DIFFERENT if change else Code.OK
    code, _, err = oms("audit", "check", str(file), "--key", key)
    assert code == expected
    assert change or "was encrypted later" in err
    checker = [sys.executable, str(ROOT / "ops/audit/check_proof.py"), str(file), "--key", key]
    assert subprocess.run(checker, capture_output=True, check=False).returncode == expected


def test_a_proof_without_the_sealed_bytes_has_a_code_of_its_own_also_once_the_order_is_forgotten(
    in_the_clear: str, oms: Any, tmp_path: Path
) -> None:
    migrate(in_the_clear, data_keys=[KEY])
    key, file = oms("audit", "key")[1].strip(), tmp_path / "proof.json"
    checker = [sys.executable, str(ROOT / "ops/audit/check_proof.py"), str(file), "--key", key]

    def codes(*more: str) -> tuple[int, int]:
        assert oms("audit", "prove", "--order", FIRST, *more, "--to", str(file))[0] == Code.OK
        by_ours, _, err = oms("audit", "check", str(file), "--key", key)
        assert ("NOT PROVED" in err) == (by_ours == Code.CONTENT_NOT_PROVED)
        return by_ours, subprocess.run(checker, capture_output=True, check=False).returncode

    assert codes() == (Code.CONTENT_NOT_PROVED, Code.CONTENT_NOT_PROVED)
    assert codes("--disclose") == (Code.OK, Code.OK)
    with Engine(in_the_clear) as engine:
        erasing.ask(engine, "dpo", [FIRST], "request", None)
        engine.settle()
        erasing.erase(engine.database_url, [FIRST], "dpo")
    migrate(in_the_clear, data_keys=[KEY])
    assert codes("--disclose") == (Code.CONTENT_NOT_PROVED, Code.CONTENT_NOT_PROVED), "no one has them any more"
