"""The auditor's commands: export checkpoints, request proofs, check them without the database, and find rewritten
history.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import psycopg
import pytest

from oms_es.app import Engine
from oms_es.exit_codes import Code
from oms_es.proof import notes, tiles, tree
from oms_es.proof.notes import COSIGNATURE, SignerKey
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock
from pages import blocks
from repository import ROOT
from shop import an_order

WITNESS = SignerKey("witness.example/w1", bytes(range(32)), COSIGNATURE)


def orders(url: str, *names: str) -> None:
    with Engine(url) as engine:
        stock = ReceiveStock(sku="A", location="berlin", receipt_id=names[0], quantity=9)
        engine.submit("test", [OpenLocation(location="berlin", country="DE"), stock])
        engine.submit("test", [an_order(name, ("A", 1)) for name in names])
        engine.settle()


def test_an_auditor_keeps_a_checkpoint_and_is_proved_what_came_of_an_order(
    oms: Any, database_url: str, tmp_path: Path
) -> None:
    orders(database_url, "W-1", "W-2")
    _, key, _ = oms("audit", "key")
    held, proof = tmp_path / "held", tmp_path / "proof.json"
    assert oms("audit", "checkpoint", "--to", str(held))[0] == Code.OK
    orders(database_url, "W-3")
    older = held / "checkpoint"
    assert oms("audit", "prove", "--order", "web/W-1", "--older", str(older), "--to", str(proof))[0] == Code.OK
    code, out, err = oms("audit", "check", str(proof), "--key", key)
    assert code == Code.OK
    assert "OrderCompleted" in out
    assert "it begins with the" in err
    checker = [sys.executable, str(ROOT / "ops/audit/check_proof.py"), str(proof), "--key", key.strip()]
    assert "OrderCompleted" in subprocess.run(checker, capture_output=True, text=True, check=True).stdout
    proof.write_text(proof.read_text().replace("web", "WEB"))
    code, _, err = oms("audit", "check", str(proof), "--key", key)
    assert code == Code.DIFFERENT
    assert "does not lead to the root" in err
    assert subprocess.run(checker, capture_output=True, check=False).returncode == Code.DIFFERENT


def test_whatever_is_asked_for_is_proved(oms: Any, database_url: str, tmp_path: Path) -> None:
    orders(database_url, "W-1")
    for asked in (("--stock", "A"), ("--stock", "A@berlin"), ("--event", "1"), ("--stream", "location-berlin")):
        code, out, _ = oms("audit", "prove", *asked)
        assert code == Code.OK
        (tmp_path / "proof").write_text(out)
        code, found, _ = oms("audit", "check", str(tmp_path / "proof"), "--key", oms("audit", "key")[1], "--json")
        assert code == Code.OK
        assert json.loads(found)["events"]


def test_the_folder_is_what_others_follow_the_log_by(oms: Any, database_url: str, tmp_path: Path) -> None:
    """Every leaf and the root can be read from the files alone; writing again adds only what is new."""
    orders(database_url, "W-1", *(f"X-{n}" for n in range(8)))
    _, _, first = oms("audit", "checkpoint", "--to", str(tmp_path))
    checkpoint = (tmp_path / "checkpoint").read_text()
    assert oms("audit", "checkpoint")[1] == checkpoint
    _, size, root = checkpoint.split("\n")[:3]
    kept = {
        parsed[0]: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and (parsed := tiles.parsed_path(path.relative_to(tmp_path).as_posix()))
    }
    assert tree.root(int(size), tiles.nodes_of(kept)).hex() == b64decode(root).hex()
    assert " 0 new tiles" not in first
    assert " 0 new tiles" in oms("audit", "checkpoint", "--to", str(tmp_path))[2]


def test_a_witness_co_signs_and_is_asked_for(oms: Any, database_url: str, tmp_path: Path) -> None:
    orders(database_url, "W-1")
    key, witness = oms("audit", "key")[1], str(WITNESS.verifier)
    note = notes.note(oms("audit", "checkpoint")[1])
    file, proof = tmp_path / "cosigned", tmp_path / "proof"
    file.write_text(str(note._replace(signatures=(*note.signatures, WITNESS.sign(note.text, 1_750_000_000)))))
    proof.write_text(oms("audit", "prove", "--event", "1")[1])
    assert oms("audit", "check", str(proof), "--key", key, "--witness", witness)[0] == Code.DIFFERENT
    assert oms("audit", "checkpoint", "--add", str(file))[0] == Code.USAGE
    assert oms("audit", "checkpoint", "--add", str(file), "--witness", witness)[0] == Code.OK
    assert oms("audit", "checkpoint", "--add", str(file), "--witness", witness)[0] == Code.OK
    proof.write_text(oms("audit", "prove", "--event", "1")[1])
    assert oms("audit", "check", str(proof), "--key", key, "--witness", witness)[0] == Code.OK
    assert notes.note(oms("audit", "checkpoint")[1]).signatures[0] == note.signatures[0]
    foreign = note.text.replace("\n", "\nx", 1)
    file.write_text(str(notes.Note(note.text, (WITNESS.sign(foreign, 1),))))
    assert oms("audit", "checkpoint", "--add", str(file), "--witness", witness)[0] == Code.DIFFERENT


def test_what_was_rewritten_is_found_by_who_kept_a_checkpoint(oms: Any, database_url: str, tmp_path: Path) -> None:
    orders(database_url, "W-1")
    key = oms("audit", "key")[1]
    oms("audit", "checkpoint", "--to", str(tmp_path / "held"))
    held = ("--key", key, "--against", str(tmp_path / "held"))
    assert oms("audit", "check-log", *held)[0] == oms("verify", *held)[0] == Code.OK
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "DELETE FROM oms_events WHERE notification_id = (SELECT max(notification_id) FROM oms_events)"
        )
        for table in ("oms_log_head", "oms_log_tiles", "oms_log_checkpoints"):
            connection.execute(f"DELETE FROM {table}".encode())
        secret = connection.execute("SELECT secret FROM oms_log_keys").fetchone()
    assert secret
    (tmp_path / "key").write_text(secret[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMS_LOG_KEY_FILE", str(tmp_path / "key"))
        assert oms("migrate")[0] == Code.OK
    assert oms("audit", "check-log")[0] == Code.OK
    code, out, _ = oms("audit", "check-log", *held)
    assert code == Code.DIFFERENT
    assert "the log was cut" in " ".join(out.split())


def test_a_key_of_ones_own_signs_from_a_file(oms: Any, database_url: str, tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "log.key"
    code, public, _ = oms("audit", "key", "--to", str(file))
    assert code == Code.OK
    assert file.stat().st_mode & 0o077 == 0
    assert oms("audit", "key", "--to", str(file))[0] == Code.USAGE
    monkeypatch.setenv("OMS_LOG_KEY_FILE", str(file))
    assert oms("stock", "receive", "A", "berlin", "--receipt-id", "r", "--quantity", "1")[0] == Code.NOT_FOUND
    assert oms("location", "open", "berlin", "--country", "DE")[0] == Code.OK
    assert oms("migrate")[0] == Code.OK
    assert oms("audit", "check-log", "--key", public)[0] == Code.DIFFERENT  # what was signed before, by another key
    (tmp_path / "proof").write_text(oms("audit", "prove", "--event", "1")[1])
    assert oms("audit", "check", str(tmp_path / "proof"), "--key", public)[0] == Code.OK


MISTAKES: list[tuple[tuple[str, ...], Code]] = [
    (("prove",), Code.USAGE),
    (("prove", "--order", "web/W-9", "--event", "1"), Code.USAGE),
    (("prove", "--order", "web/W-9"), Code.NOT_FOUND),
    (("prove", "--event", "77"), Code.NOT_FOUND),
    (("prove", "--payment", "none"), Code.NOT_FOUND),
    (("prove", "--older", "/none"), Code.USAGE),
    (("check", "/none", "--key", "x"), Code.USAGE),
    (("check", "/dev/null"), Code.USAGE),
    (("check", "/dev/null", "--key", "a+b+c"), Code.DIFFERENT),
    (("check-log", "--against", "/none"), Code.USAGE),
    (("key", "--to", "/none/none"), Code.USAGE),
    (("key", "--to", "/none/none", "--name", "a b"), Code.USAGE),
    (("checkpoint", "--to", "/proc/none"), Code.USAGE),
]


def test_a_mistake_is_answered_in_words(oms: Any) -> None:
    for arguments, code in MISTAKES:
        found, _, err = oms("audit", *arguments)
        assert found == code, err
        assert len(err.strip().splitlines()) == 1


def lines_of(page: str, kind: str) -> list[str]:
    return [line for block in blocks(page, kind) for line in block.splitlines()]


def test_the_page_for_auditors_is_done_command_by_command(oms: Any, database_url: str, tmp_path: Path) -> None:
    orders(database_url, "W-0000007")
    places = {"~/oms-audit": str(tmp_path), "/etc/oms-es": str(tmp_path), "$KEY": oms("audit", "key")[1].strip()}
    places |= {f" {name}": f" {tmp_path / name}" for name in ("proof.json", "cosigned.txt")}
    places["$WITNESS"] = str(WITNESS.verifier)
    shown = [line.removeprefix("$ ") for kind in ("bash", "console") for line in lines_of("audit-history.md", kind)]
    commands = [line for line in shown if line.startswith(("oms-es audit ", "python3 ops/audit/"))]
    assert len(commands) == 8
    for command in commands:
        if "--add" in command:
            note = notes.note((tmp_path / "kept/checkpoint").read_text())
            (tmp_path / "cosigned.txt").write_text(str(notes.Note(note.text, (WITNESS.sign(note.text, 1),))))
        if command.endswith('--witness "$WITNESS"') and "check proof" in command:
            oms("audit", "prove", "--order", "web/W-0000007", "--to", str(tmp_path / "proof.json"))
        for name, place in places.items():
            command = command.replace(name, place)
        program, *arguments = shlex.split(command)
        if program == "oms-es":
            code, _, err = oms(*arguments)
            assert code == Code.OK, (command, err)
        else:
            subprocess.run(
                [sys.executable, str(ROOT / arguments[0]), *arguments[1:]], check=True, stdout=subprocess.PIPE
            )
