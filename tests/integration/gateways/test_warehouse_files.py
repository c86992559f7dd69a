"""A warehouse system that exchanges files: requests appear whole and once, and answers count once, also when processes
are killed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from oms_es.app import Engine
from oms_es.app.connecting import warehouse_answers
from oms_es.app.connecting.providers import answers_folder, gateways_of
from oms_es.app.connecting.warehouse_answers import FILE_BYTES_MAX, LOOK_SECONDS, answering
from oms_es.cli.main import main
from oms_es.exit_codes import Code
from oms_es.gateways.warehouse import folder
from oms_es.processing.intake.worker import Intake
from oms_es.settings import Settings
from warehouse_folder import (
    ORDER,
    Warehouse,
    collected,
    imported,
    killed_while,
    packed,
    rows,
    shown,
    until,
    warehouse_of,
)


@pytest.fixture
def warehouse(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    return warehouse_of(database_url, tmp_path, monkeypatch)


def killed_half_written() -> None:
    """Have the process die in the middle of a file."""

    def dies(_handle: int) -> None:
        os.kill(os.getpid(), SIGKILL)

    folder.os.fsync = dies  # type: ignore[attr-defined] # of this process, which ends here


def test_a_request_is_there_once_and_whole_and_its_answer_counts_once_when_processes_are_killed(
    warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, "1")
    assert warehouse.run(killed_half_written) == -SIGKILL
    assert warehouse.names("requests", "taken") == [], "what is half written has no name that is read"
    assert warehouse.run(killed_while(folder, "write_whole", after=True)) == -SIGKILL
    (name,) = warehouse.names("requests")
    request = warehouse.take(name)
    assert request["items"] == [{"sku": "A", "quantity": 3}]
    assert request["ship_to"]["city"] == "Bonn"
    assert warehouse.run() == 0
    assert warehouse.names("requests", "taken") == [name], "written, not recorded, and taken: it is not asked again"
    warehouse.answer("first", packed(request))
    assert warehouse.run(killed_while(Intake, "take", after=False)) == -SIGKILL
    assert (warehouse.names("answers"), warehouse.claims(), warehouse.events("ShipmentPacked")) == ([], 1, 0)
    assert warehouse.run(killed_while(warehouse_answers, "move_whole", after=False)) == -SIGKILL
    assert (warehouse.names("answers"), warehouse.claims(), warehouse.events("ShipmentPacked")) == ([], 1, 1)
    assert collected(warehouse, capsys) == {"repeated": 1}
    assert (warehouse.claims(), warehouse.names("rejected"), warehouse.names("done")) == (0, [], ["first.json"])
    assert warehouse.events("ShipmentPacked") == 1
    assert shown(capsys, "order", "show", "web/1")["order"]["phase"] == "completed"
    assert main(["verify"]) == Code.OK


def test_a_request_that_was_lost_is_written_again_until_it_is_answered(
    warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, "1")
    assert warehouse.run() == 0
    (name,) = warehouse.names("requests")
    first = warehouse.take(name)
    ask = ["shipment", "request-pick-again", first["shipment_id"], "--repeat-id"]
    assert [main([*ask, "1"]), warehouse.run(), warehouse.names("requests")] == [Code.OK, 0, [name]]
    again = warehouse.request(name)
    assert {**again, "requested_at": first["requested_at"]} == first
    (warehouse.place / "requests" / name).unlink()
    assert [main([*ask, "1"]), warehouse.run(), warehouse.names("requests")] == [Code.OK, 0, []], "it was, once"
    assert [main([*ask, "2"]), warehouse.run(), warehouse.names("requests")] == [Code.OK, 0, [name]]
    warehouse.answer("done", packed(again))
    assert collected(warehouse, capsys) == {"taken": 1}
    assert main([*ask, "3"]) == Code.REFUSED
    assert "pick_answered" in capsys.readouterr().err
    assert warehouse.events("ShipmentPickRequestRepeated") == 2
    assert main(["verify"]) == Code.OK


def test_a_short_pick_is_shown_to_a_person_and_the_rest_is_asked_for_again(
    warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, "1")
    assert warehouse.run() == 0
    (name,) = warehouse.names("requests")
    short = packed(warehouse.take(name), outcome="short", weight_grams=None, reason="one is broken")
    warehouse.answer("short", {**short, "picked": [{"sku": "A", "quantity": 2}]})
    assert collected(warehouse, capsys) == {"taken": 1}
    (exception,) = shown(capsys, "exceptions", "list")["exceptions"]
    assert (exception["kind"], exception["detail"].split(";")[0]) == (
        "not_picked",
        "1 x A not found at berlin: one is broken",
    )
    (row,) = rows(warehouse, "SELECT status, missing, reason FROM pick_requests")
    assert row == ("short", [{"sku": "A", "quantity": 1}], "one is broken")
    cut = ["--cancellation-id", "c", "--lines", '[{"line_id": "1", "quantity": 1}]', "--reason", "broken"]
    assert main(["order", "cancel-lines", "web/1", *cut]) == Code.OK
    assert warehouse.run() == 0
    cancel, rest = warehouse.names("requests")
    assert warehouse.take(cancel)["type"] == "cancel"
    assert cancel == name.replace("pick-", "cancel-")
    again = warehouse.take(rest)
    assert again["items"] == [{"sku": "A", "quantity": 2}]
    assert shown(capsys, "exceptions", "list")["exceptions"] == []
    warehouse.answer("crossed", packed(short | {"items": [{"sku": "A", "quantity": 3}]}, "late"))
    assert collected(warehouse, capsys, Code.BURIED) == {"rejected": 1}
    assert "was cancelled: have it unpacked" in (warehouse.place / "rejected/crossed.json.reason.txt").read_text()
    warehouse.answer("rest", packed(again))
    assert collected(warehouse, capsys) == {"taken": 1}
    assert shown(capsys, "order", "show", "web/1")["order"]["phase"] == "completed"
    assert [one["kind"] for one in shown(capsys, "exceptions", "list")["exceptions"]] == ["warehouse_contradiction"]
    assert [status for (status,) in rows(warehouse, "SELECT status FROM pick_requests ORDER BY requested_at")] == [
        "cancelled",
        "dispatched",
    ]
    assert main(["verify"]) == Code.OK


def test_what_cannot_be_used_is_rejected_with_its_reason_and_delays_nothing(
    warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, "1", "2")
    assert warehouse.run() == 0
    first, second = (warehouse.take(name) for name in warehouse.names("requests"))
    bad: dict[str, tuple[bytes | dict[str, Any], str]] = {
        "a-stranger": (packed({**first, "shipment_id": "stranger"}), "there is no shipment stranger"),
        "b-too-many": (packed(first, "b", picked=[{"sku": "A", "quantity": 4}]), "4 x A were picked"),
        "c-other": (packed(first, "c", picked=[{"sku": "B", "quantity": 1}]), "1 x B were picked"),
        "d-no-weight": (packed(first, "d", weight_grams=None), "without weight_grams"),
        "e-not-json": (b'{"shipment_id": ', "answer"),
        "f-a-list": (b"[1]", "answer"),
        "g-too-large": (b" " * (FILE_BYTES_MAX + 1), "answer"),
        "h-outcome": (packed(first, "h", outcome="lost"), "outcome"),
    }
    for name, (content, _) in bad.items():
        warehouse.answer(name, content)
    warehouse.answer("z-good", packed(second))
    (warehouse.place / "answers/.half.json").write_bytes(b'{"shipment_id": "')
    (warehouse.place / "answers/half.tmp").write_bytes(b'{"shipment_id": "')
    assert collected(warehouse, capsys, Code.BURIED) == {"taken": 1, "rejected": len(bad)}
    assert warehouse.names("answers") == ["half.tmp"]
    for name, (_, why) in bad.items():
        assert why in (warehouse.place / "rejected" / f"{name}.json.reason.txt").read_text(), name
    letters = shown(capsys, "dead-letters", "list")
    assert {letter["place"] for letter in letters} == {f"berlin/{name}.json" for name in bad if name[0] not in "bc"}
    assert [one["kind"] for one in shown(capsys, "exceptions", "list")["exceptions"]] == ["warehouse_contradiction"]
    warehouse.answer("half", packed(first, "whole"))
    assert collected(warehouse, capsys) == {"taken": 1}
    assert rows(warehouse, "SELECT DISTINCT phase FROM order_status") == [("completed",)]


def test_another_location_does_not_answer_for_this_one(
    warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, "1")
    assert warehouse.run() == 0
    (name,) = warehouse.names("requests")
    request = warehouse.take(name)
    (warehouse.root / "paris/answers").mkdir(parents=True)
    for place in folder.FOLDERS:
        (warehouse.root / "paris" / place).mkdir(exist_ok=True)
    elsewhere = warehouse.root / "paris/answers/1.json"
    elsewhere.write_text(json.dumps(packed(request, location="berlin")))
    assert collected(warehouse, capsys, Code.BURIED) == {"rejected": 1}
    assert "paris answers, and berlin was asked" in (warehouse.root / "paris/rejected/1.json.reason.txt").read_text()
    warehouse.answer("2", packed(request, "2"))
    warehouse.answer("1", packed(request, "2"))
    assert collected(warehouse, capsys) == {"taken": 1, "repeated": 1}
    assert warehouse.names("done") == ["1.json", "2.json"]


def test_a_folder_that_cannot_be_written_holds_the_requests_and_an_engine_takes_answers_by_itself(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    warehouse.root.rmdir()
    warehouse.root.write_text("a file in the place of the folder")
    imported(tmp_path, "1")
    settings = Settings()
    with Engine(
        warehouse.database_url, connected=gateways_of(settings), beside=answering(answers_folder(settings))
    ) as engine:
        for _ in range(20):
            engine.loop.iterate()
        assert engine.loop.paused() == ["warehouse"]
        warehouse.root.unlink()
        for _ in range(20):
            engine.loop.iterate()
        assert not warehouse.root.exists(), "it may be on a share that is not mounted"
        warehouse.root.mkdir()
        until(engine, lambda: warehouse.place.exists() and bool(warehouse.names("requests")))
        (name,) = warehouse.names("requests")
        warehouse.answer("1", packed(warehouse.take(name)))
        began = time.monotonic()
        until(engine, lambda: warehouse.names("done") == ["1.json"])
        assert time.monotonic() - began < LOOK_SECONDS + 10


def test_settings_that_are_missing_are_named(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OMS_WAREHOUSE_FOLDER")
    assert main(["callbacks", "collect"]) == Code.USAGE
    assert "set OMS_WAREHOUSE=files and OMS_WAREHOUSE_FOLDER" in capsys.readouterr().err
    assert main(["orders", "retry-sourcing", "web/1"]) == Code.USAGE
    assert main(["stock", "receive", "A", "berlin", "--receipt-id", "r2", "--quantity", "1"]) == Code.USAGE
    assert "set OMS_WAREHOUSE_FOLDER" in capsys.readouterr().err


def test_a_request_and_its_cancellation_go_to_the_gateway_of_its_location(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_WAREHOUSE", "commands,files")
    assert main(["location", "open", "paris", "--country", "DE"]) == Code.OK
    assert main(["stock", "receive", "B", "paris", "--receipt-id", "r", "--quantity", "50"]) == Code.OK
    publish = ["routes", "publish-gateway-routes"]
    assert (
        main([*publish, "--version", "2", "--warehouses", '[{"gateway": "files", "locations": ["berlin"]}]']) == Code.OK
    )
    assert main([*publish, "--version", "3", "--warehouses", '[{"gateway": "Files"}]']) == Code.USAGE
    assert "the nearest is files" in capsys.readouterr().err
    orders = tmp_path / "orders.jsonl"
    other = {**ORDER, "external_id": "2", "lines": [{**ORDER["lines"][0], "sku": "B"}]}
    orders.write_text("\n".join(json.dumps(order) for order in ({**ORDER, "external_id": "1"}, other)))
    assert main(["orders", "import", str(orders), "--no-run"]) == Code.OK
    assert warehouse.run() == 0
    assert not (warehouse.root / "paris").exists(), "no route: the first gateway of the setting"
    assert rows(warehouse, "SELECT location, gateway FROM pick_requests ORDER BY location") == [
        ("berlin", "files"),
        ("paris", ""),
    ]
    (name,) = warehouse.names("requests")
    assert main([*publish, "--version", "3", "--warehouses", '[{"gateway": "commands"}]']) == Code.OK
    assert main(["order", "cancel", "web/1", "--reason", "changed their mind"]) == Code.OK
    assert warehouse.run() == 0
    assert warehouse.names("requests") == [name.replace("pick-", "cancel-"), name]
    assert (
        shown(capsys, "shipment", "show", warehouse.request(name)["shipment_id"])["shipment"]["warehouse_gateway"]
        == "files"
    )
