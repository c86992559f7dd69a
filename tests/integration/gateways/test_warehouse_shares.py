"""A folder on a share: files and folders that cannot be read, names of any kind, and several programs at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.app import Engine
from oms_es.app.connecting import warehouse_answers
from oms_es.app.connecting.providers import answers_folder, gateways_of
from oms_es.app.connecting.warehouse_answers import FILES_MAX, WarehouseAnswers, answering
from oms_es.cli.main import main
from oms_es.exit_codes import Code
from oms_es.gateways.warehouse import folder, shared_files
from oms_es.gateways.warehouse.folder import folder_name, location_of
from oms_es.processing.intake.worker import Intake
from oms_es.settings import Settings
from oms_es.store.clock import Timing
from warehouse_folder import Warehouse, collected, imported, killed_while, packed, shown, until, warehouse_of


@pytest.fixture
def warehouse(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    return warehouse_of(database_url, tmp_path, monkeypatch)


@pytest.fixture
def engine(warehouse: Warehouse) -> Iterator[Engine]:
    settings = Settings()
    connected, beside = gateways_of(settings), answering(answers_folder(settings))
    with Engine(warehouse.database_url, connected=connected, beside=beside) as running:
        yield running


@pytest.fixture
def requests(warehouse: Warehouse, tmp_path: Path) -> list[dict[str, Any]]:
    """Two requests, which the warehouse has taken."""
    imported(tmp_path, "1", "2")
    assert warehouse.run() == 0
    return [warehouse.take(name) for name in warehouse.names("requests")]


class Clock:
    """A monotonic clock that is set by hand."""

    seconds = 0.0

    @property
    def timing(self) -> Timing:
        return Timing(lambda: self.seconds, self.wait)

    def wait(self, seconds: float) -> None:
        self.seconds += seconds


def unreadable(path: Path) -> None:
    """Make a name that cannot be opened, also by root: a link to itself."""
    path.symlink_to(path.name)


def circuits(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    return [(one["gateway"], one["state"]) for one in shown(capsys, "status")["circuits"]]


def test_what_cannot_be_read_delays_no_other_and_is_shown_until_it_can(
    warehouse: Warehouse, engine: Engine, requests: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    (warehouse.root / "paris").mkdir()
    unreadable(warehouse.root / "paris/answers")
    unreadable(warehouse.place / "answers/a.json")
    warehouse.answer("b", packed(requests[0]))
    until(engine, lambda: warehouse.names("done") == ["b.json"])
    assert not engine.loop.stopped
    (circuit,) = shown(capsys, "status")["circuits"]
    assert (circuit["gateway"], circuit["state"]) == ("warehouse_answers", "open")
    assert "paris: [Errno" in circuit["why"]
    (warehouse.root / "paris/answers").unlink()
    (warehouse.place / "answers/a.json").unlink()
    until(engine, lambda: circuits(capsys) == [("warehouse_answers", "closed")])


def test_a_folder_that_is_gone_stops_no_role_and_ends_a_collection(
    warehouse: Warehouse, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.root.rmdir()
    until(engine, lambda: circuits(capsys) == [("warehouse_answers", "open")])
    assert not engine.loop.stopped
    assert main(["callbacks", "collect"]) == Code.UNAVAILABLE
    assert f"there is no folder {warehouse.root}: make it, or mount its share" in capsys.readouterr().err
    warehouse.root.mkdir()
    until(engine, lambda: circuits(capsys) == [("warehouse_answers", "closed")])


def test_a_mistake_of_ours_stops_this_role_alone(
    warehouse: Warehouse, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_given: Any) -> None:
        raise ValueError("a mistake")

    monkeypatch.setattr(warehouse_answers, "answer_files", mistaken)
    imported(tmp_path, "1")
    until(engine, lambda: warehouse.place.exists() and bool(warehouse.names("requests")))
    assert engine.loop.stopped.keys() == {"warehouse_answers"}


def test_a_name_is_bytes_of_any_kind_and_length(
    warehouse: Warehouse, requests: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    answers = os.fsencode(warehouse.place / "answers")
    longest = b"n" * 250 + b".json"
    for name, content in {
        b"\xff.json": packed(requests[0]),
        b"\xfe.json": packed({**requests[1], "shipment_id": "stranger"}),
        longest: packed({**requests[1], "shipment_id": "another"}),
    }.items():
        Path(os.fsdecode(answers + b"/" + name)).write_text(json.dumps(content))
    (warehouse.root / os.fsdecode(b"\xff") / "answers").mkdir(parents=True)
    assert collected(warehouse, capsys, Code.BURIED) == {"taken": 1, "rejected": 2}
    places = {letter["place"] for letter in shown(capsys, "dead-letters", "list")}
    assert "berlin/\\xfe.json" in places
    assert (warehouse.claims(), warehouse.names("answers")) == (0, [])
    assert len(warehouse.names("rejected")) == 4, "each with its reason"


def test_folders_are_made_again_and_what_cannot_be_moved_comes_once(
    warehouse: Warehouse, requests: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    (warehouse.place / "done").rmdir()
    (warehouse.place / "rejected").rmdir()
    warehouse.answer("good", packed(requests[0]))
    warehouse.answer("bad", packed({**requests[1], "shipment_id": "stranger"}))
    assert collected(warehouse, capsys, Code.BURIED) == {"taken": 1, "rejected": 1}
    (letter,) = shown(capsys, "dead-letters", "list")
    assert letter["arrivals"] == 1
    assert warehouse.names("done", "rejected") == ["bad.json", "bad.json.reason.txt", "good.json"]
    (warehouse.place / "done/good.json").unlink()
    (warehouse.place / "done").rmdir()
    (warehouse.place / "done").write_text("a file in the place of the folder")
    warehouse.answer("a-second", packed(requests[1]))
    warehouse.answer("bad", packed({**requests[1], "shipment_id": "another"}))
    assert main(["callbacks", "collect"]) == Code.UNAVAILABLE
    said = capsys.readouterr()
    assert "rejected 1, unfinished 0, failed 1" in said.out
    assert "File exists" in said.err
    (warehouse.place / "done").unlink()
    assert collected(warehouse, capsys) == {"repeated": 1}
    assert (warehouse.names("done"), warehouse.events("ShipmentPacked")) == (["a-second.json"], 2)


def test_an_answer_under_the_name_of_one_that_is_taken_in_at_the_time_is_not_lost(
    warehouse: Warehouse,
    requests: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warehouse.answer("1", packed(requests[0]))
    real, left = Intake.take, [requests[1]]

    def meanwhile(self: Intake, arrivals: Any) -> Any:
        if left:
            warehouse.answer("1", packed(left.pop()))
        return real(self, arrivals)

    monkeypatch.setattr(Intake, "take", meanwhile)
    assert collected(warehouse, capsys) == {"taken": 2}
    assert warehouse.events("ShipmentPacked") == 2
    assert len(warehouse.names("done")) == 2


def test_a_contradiction_is_rejected_with_its_reason_also_after_a_process_was_killed(
    warehouse: Warehouse, requests: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.answer("1", packed(requests[0], picked=[{"sku": "A", "quantity": 4}]))
    assert warehouse.run(killed_while(warehouse_answers, "move_whole", after=False)) == -SIGKILL
    assert warehouse.events("ShipmentPickDisputed") == 1
    assert collected(warehouse, capsys, Code.BURIED) == {"rejected": 1}
    assert "4 x A were picked" in (warehouse.place / "rejected/1.json.reason.txt").read_text()
    assert warehouse.events("ShipmentPickDisputed") == 1
    warehouse.answer("2", packed(requests[1], location="paris"))
    assert collected(warehouse, capsys, Code.BURIED) == {"rejected": 1}
    assert "paris answers, and berlin was asked" in (warehouse.place / "rejected/2.json.reason.txt").read_text()


def test_requests_of_one_location_are_held_and_those_of_others_go_on(
    warehouse: Warehouse, engine: Engine, tmp_path: Path
) -> None:
    warehouse.root.joinpath("berlin").write_text("a file in the place of the folder")
    assert main(["location", "open", "paris", "--country", "DE"]) == Code.OK
    assert main(["stock", "receive", "B", "paris", "--receipt-id", "r", "--quantity", "50"]) == Code.OK
    imported(tmp_path, "1")
    imported(tmp_path, "2", sku="B")
    until(engine, lambda: bool([*warehouse.root.glob("paris/requests/*.json")]))
    warehouse.place.unlink()
    until(engine, lambda: bool([*warehouse.root.glob("berlin/requests/*.json")]))


def test_locations_in_turn_are_taken_in_and_files_that_fail_wait(warehouse: Warehouse, engine: Engine) -> None:
    for place in ("berlin", "paris"):
        (warehouse.root / place / "answers").mkdir(parents=True)
    for number in range(FILES_MAX + 50):
        unreadable(warehouse.place / f"answers/{number:03}.json")
        (warehouse.place / f"answers/.{number:03}.json").touch()
    (warehouse.root / "paris/answers/good.json").write_text(json.dumps({"shipment_id": "stranger"}))
    clock = Clock()
    worker = WarehouseAnswers(warehouse.root, engine.store, clock.timing)
    first = worker.collect()
    assert (first.rejected, first.failed) == (1, FILES_MAX - 1)
    assert worker.collect().failed == 51, "those that failed wait"
    assert worker.collect().failed == 0
    clock.seconds += 1.0
    assert worker.collect().failed == FILES_MAX


def test_what_is_no_json_is_being_written_until_it_was_seen_not_to_change(
    warehouse: Warehouse, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warehouse_answers, "UNFINISHED_SECONDS", 30.0)
    (warehouse.place / "answers").mkdir(parents=True)
    path = warehouse.answer("half", b'{"shipment_id": ')
    os.utime(path, (0, 0))  # by the clock of the share it is old
    clock = Clock()
    worker = WarehouseAnswers(warehouse.root, engine.store, clock.timing)
    assert worker.collect().unfinished == 1
    clock.seconds += 29.0
    warehouse.answer("half", b'{"shipment_id": "1')
    assert worker.collect().unfinished == 1
    clock.seconds += 29.0
    assert worker.collect().unfinished == 1
    clock.seconds += 1.0
    assert worker.collect().rejected == 1


def test_a_claim_of_another_process_is_left_alone_for_a_time_and_taken_up_at_a_start(
    warehouse: Warehouse, engine: Engine
) -> None:
    answers = warehouse.place / "answers"
    answers.mkdir(parents=True)
    clock = Clock()
    worker = WarehouseAnswers(warehouse.root, engine.store, clock.timing)
    assert worker.collect().progress == 0
    for _ in range(2):
        path = warehouse.answer("1", b'{"shipment_id": "stranger"}')
        assert shared_files.claim(path)
        assert worker.collect().progress == 0
        clock.seconds += warehouse_answers.CLAIM_SECONDS
        assert worker.collect().rejected == 1
    path = warehouse.answer("1", b'{"shipment_id": "stranger"}')
    assert shared_files.claim(path)
    worker.seek()
    assert worker.collect().rejected == 1


LOCATIONS = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)


@given(LOCATIONS | st.sampled_from([".", "..", "...", ".a.", "a."]))
def test_a_location_has_a_folder_of_its_own_below_the_root(location: str) -> None:
    name = folder_name(location)
    assert location_of(name) == location
    assert not name.startswith(".")
    assert not name.endswith(".")
    assert len(name) <= 255
    assert name == location or location != location.strip(".")


def test_a_location_does_not_get_the_folder_of_another_one_on_a_case_insensitive_share(tmp_path: Path) -> None:
    (tmp_path / "berlin").mkdir()
    folder.require_own(tmp_path / "berlin")
    with pytest.raises(FileExistsError, match="differs in capital letters only"):
        folder.require_own(tmp_path / "Berlin")


def test_what_killed_processes_left_half_written_is_deleted_when_it_is_old(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (".part-1", ".part-2", "1.json"))
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    shared_files.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == [new, other]
