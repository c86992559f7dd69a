"""Reports that the engine makes by their schedules: each period once across processes, whole, and fetched again."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from http_server import serving, token
from oms_es.app import Engine
from oms_es.app.deliveries import Deliverer, stored
from oms_es.app.engine import Runtime
from oms_es.app.reporting import reporter
from oms_es.app.reporting.reporter import LOOK_SECONDS, PUT_OFF_SECONDS_MAX, ROUND_SECONDS, Reporter
from oms_es.app.reporting.scheduled import DEFINITIONS_MAX, Places, definitions_in
from oms_es.cli.main import main
from oms_es.gateways.webhooks import networks_of
from oms_es.projections.facts import order_milestones
from oms_es.reports import queries
from oms_es.reports.delivering.delivery import MISSED_MAX
from oms_es.reports.delivering.formats import MAKERS
from oms_es.reports.figures import answering, asking, definition
from oms_es.schemas.operations.document import RemoveDocument
from oms_es.schemas.operations.report import ReportReady
from oms_es.schemas.operations.subscription import OpenSubscription
from oms_es.store import stops
from oms_es.store.clock import Timing
from oms_es.store.documents import table as documents
from oms_es.store.http.webhook_secrets import generated, keep
from people import KEY, assert_right, engine_with_people, rows_of
from shop import an_order

SALES = definition.text_of("sales").replace('"sales"', '"mine"')
DAILY = 'schedule = { every = "day", at = "06:00", formats = ["csv", "xlsx"], mail_to = ["ada@shop.example"] }'
NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Time:
    """The clock of the engine, and the time that its reporters wait by."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.seconds = 0.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds


class Office(NamedTuple):
    """A shop with two reporters, as of two processes, and the folders of its reports."""

    engine: Engine
    time: Time
    reporters: list[Reporter]
    places: Places

    @property
    def url(self) -> str:
        return self.engine.database_url

    def define(self, name: str = "mine", schedule: str = DAILY, text: str = SALES) -> Path:
        assert self.places.definitions
        path = self.places.definitions / f"{name}.toml"
        path.write_text(f"{text.replace('mine', name)}\n{schedule}\n")
        return path

    def look(self, times: int = 6) -> None:
        """Let every reporter look, and do what is due."""
        for _ in range(times):
            self.engine.settle()
            self.time.seconds += LOOK_SECONDS

    def made(self, name: str = "mine") -> list[str]:
        """Return the first days of the periods that were made."""
        return sorted({row["first_day"] for row in rows_of(self.url, "report_files") if row["report"] == name})

    def put(self) -> list[str]:
        return names_in(self.places.folder)

    def mailed(self) -> list[str]:
        return names_in(self.places.mail)

    def problem(self) -> str:
        with queries.reading(self.url) as connection:
            return next((one["why"] for one in stops.circuits(connection) if one["gateway"] == reporter.ROLE), "")


def names_in(folder: Path | None) -> list[str]:
    assert folder
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[Office]:
    folders = [tmp_path / name for name in ("definitions", "files", "mail")]
    for folder in folders:
        folder.mkdir()
    places = Places(folders[0], folders[1], folders[2], "reports@shop.example")
    time, reporters = Time(NOON), list[Reporter]()

    def beside(runtime: Runtime) -> list[Reporter]:
        reporters.extend(Reporter(runtime, places, Timing(time.monotonic)) for _ in range(2))
        for one in reporters:
            one.start = at_once
        return reporters

    with engine_with_people(database_url, clock=time, beside=beside) as engine:
        yield Office(engine, time, reporters, places)
        for one in reporters:
            one.close()


def at_once(work: Callable[[], None]) -> None:
    work()


def test_what_is_due_is_made_once_and_put_everywhere(office: Office) -> None:
    office.define()
    office.look()
    assert office.made() == ["2026-03-10"]
    assert office.put() == ["mine-day-2026-03-10.csv", "mine-day-2026-03-10.xlsx"]
    (message,) = office.mailed()
    rows = rows_of(office.url, "report_files")
    assert {row["format"] for row in rows} == {"csv", "xlsx"}
    assert all(row["folder_at"] and row["mail_at"] for row in rows)
    events = office.engine.last_position()
    office.look()
    assert office.engine.last_position() == events, "once it is made, nothing is recorded any more"
    assert office.mailed() == [message]
    assert_right(office.engine)


def test_its_figures_are_those_of_the_same_report_on_the_command_line(
    office: Office, monkeypatch: Any, capsys: Any
) -> None:
    path = office.define()
    office.engine.submit("test", [an_order("9", ("A", 1)).model_copy(update={"placed_at": NOON})])
    office.time.now += DAY
    office.look()
    monkeypatch.setenv("OMS_DATABASE_URL", office.url)
    asked = ["report", "run", str(path), "--from", "2026-03-11", "--to", "2026-03-12", "--format", "csv"]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "web" in said, "an order was placed that day"
    assert office.places.folder
    assert (office.places.folder / "mine-day-2026-03-11.csv").read_text() == said


def test_a_message_has_the_files_attached_and_is_the_same_whenever_it_is_written(office: Office) -> None:
    office.define()
    office.look()
    assert office.places.mail
    (name,) = office.mailed()
    path = office.places.mail / name
    written = path.read_bytes()
    message = message_from_bytes(written, policy=policy.default)
    assert message["From"] == "reports@shop.example"
    assert message["To"] == "ada@shop.example"
    assert message["Message-ID"] == f"<{path.stem}@shop.example>"
    assert message["Date"].datetime == NOON
    attached = {part.get_filename(): part.get_content() for part in message.iter_attachments()}
    assert office.places.folder
    for file in office.places.folder.iterdir():
        content = attached[file.name]
        assert (content.encode() if isinstance(content, str) else content) == file.read_bytes()
    assert b"\r\n" in written
    assert b"\n" not in written.replace(b"\r\n", b"")
    assert max(map(len, written.split(b"\r\n"))) <= 998, "as RFC 5322 has it"
    path.unlink()
    one = office.reporters[0]
    (row,) = [one for one in office.engine.recorder.stream("report-mine") if one.topic == "ReportReady"]
    ready = office.engine.store.codec.decode(row, row.id).event
    assert isinstance(ready, ReportReady)
    (task,) = [task for task in tasks_for(office, ready) if task.to == "mail"]
    one._put(task)
    assert path.read_bytes() == written


def tasks_for(office: Office, ready: ReportReady) -> list[reporter.Put]:
    assert office.places.definitions
    (scheduled,), _ = definitions_in(office.places.definitions)
    return [reporter.Put(scheduled, ready, to) for to in ready.deliver_to]


def test_what_fell_due_while_no_engine_ran_is_made_up_for_up_to_a_bound(office: Office) -> None:
    office.define()
    office.look()
    office.time.now += 3 * DAY
    office.look(8)
    assert office.made() == ["2026-03-10", "2026-03-11", "2026-03-12", "2026-03-13"]
    office.time.now += 100 * DAY
    office.look(8)
    assert len(office.made()) == 4 + MISSED_MAX
    assert office.made()[-1] == "2026-06-21"


def test_a_report_that_fails_delays_no_other_and_is_shown_until_it_is_made(office: Office, monkeypatch: Any) -> None:
    assert office.places.definitions
    (office.places.definitions / "broken.toml").write_text("name = ")
    office.define("other")
    office.define("mine", DAILY.replace('"csv"', '"pdf"'))

    def no_letters(_: Any) -> bytes:
        raise RuntimeError("there are no letters")

    monkeypatch.setattr(reporter, "MAKERS", {**MAKERS, "pdf": no_letters})
    office.look()
    assert office.made("other") == ["2026-03-10"]
    assert office.made() == []
    assert "there are no letters" in office.problem()
    assert "broken.toml" in office.problem()
    monkeypatch.undo()
    (office.places.definitions / "broken.toml").unlink()
    office.time.now += DAY
    office.time.seconds += PUT_OFF_SECONDS_MAX
    office.look()
    assert office.made() == ["2026-03-11"], "of what was never made only the newest"
    assert office.problem() == ""


def test_a_failed_period_is_made_although_later_ones_were(office: Office, monkeypatch: Any) -> None:
    office.define()
    office.look()

    def not_today(connection: Any, asked: Any) -> Any:
        if str(asked.period.since) == "2026-03-11":
            raise OSError("a full disk")
        return answered(connection, asked)

    answered = answering.answer
    monkeypatch.setattr(answering, "answer", not_today)
    office.time.now += 2 * DAY
    office.look()
    assert office.made() == ["2026-03-10", "2026-03-12"]
    monkeypatch.undo()
    office.time.seconds += PUT_OFF_SECONDS_MAX
    office.look()
    assert office.made() == ["2026-03-10", "2026-03-11", "2026-03-12"]


def test_a_folder_that_is_not_there_is_waited_for_and_never_made(office: Office) -> None:
    assert office.places.folder
    assert office.places.mail
    office.places.folder.rmdir()
    office.places.mail.rmdir()
    office.define()
    office.look()
    assert office.made() == ["2026-03-10"]
    assert "OMS_REPORT_FOLDER" in office.problem()
    assert not office.places.folder.exists()
    office.places.folder.mkdir()
    office.places.mail.mkdir()
    office.time.seconds += PUT_OFF_SECONDS_MAX
    office.look()
    assert len(office.put()) == 2
    assert len(office.mailed()) == 1
    assert office.problem() == ""


def test_facts_that_are_behind_are_waited_for(office: Office, monkeypatch: Any) -> None:
    office.define()
    behind = office.engine.last_position() - 1
    monkeypatch.setattr(
        office.engine, "shown_up_to", lambda names: behind if order_milestones.table.name in names else 0
    )
    office.look()
    assert office.made() == []
    assert "order_milestones" in office.problem()
    monkeypatch.undo()
    office.look()
    assert office.made() == ["2026-03-10"]
    assert office.problem() == ""


def test_two_processes_that_are_killed_anywhere_make_each_once(office: Office, monkeypatch: Any) -> None:
    """A kill is an error at any place where something is written; after it the process begins again."""
    office.define()
    chance = Random(7)

    class Killed(BaseException):
        """The process is not there any more."""

    def fragile(whole: Callable[..., Any], before: float) -> Callable[..., Any]:
        def perhaps(*given: Any, **named: Any) -> Any:
            if chance.random() < before:
                raise Killed
            done = whole(*given, **named)
            if chance.random() < before:
                raise Killed
            return done

        return perhaps

    for name in ("_made", "_put", "_why_not_claimed", "_record"):
        monkeypatch.setattr(Reporter, name, fragile(getattr(Reporter, name), 0.15))
    for _ in range(60):
        for one in office.reporters:
            office.time.seconds += LOOK_SECONDS
            try:
                for _ in range(4):
                    one.step()
            except Killed:
                one.close()
                one.__init__(one.runtime, one.places, one.timing)  # type: ignore[misc] # as a process that begins
                one.start = at_once
        office.time.now += DAY / 6
    monkeypatch.undo()
    office.look(12)
    days = [str((NOON + day * DAY - DAY).date()) for day in range(11)]
    assert office.made() == days
    events = [row.topic for row in office.engine.recorder.stream("report-mine")]
    assert events.count("ReportReady") == len(days)
    assert events.count("ReportDelivered") == 2 * len(days)
    assert len(office.mailed()) == len(days)
    assert_right(office.engine)


def test_more_definitions_than_may_be_are_shown(office: Office, monkeypatch: Any) -> None:
    monkeypatch.setattr("oms_es.app.reporting.scheduled.DEFINITIONS_MAX", 1)
    assert DEFINITIONS_MAX > 100
    office.define("another")
    office.define("mine")
    office.look()
    assert office.made("another")
    assert not office.made("mine")
    assert "more than 1 definitions" in office.problem()


def test_two_definitions_of_one_name_and_one_without_a_schedule_are_shown(office: Office) -> None:
    office.define("mine")
    assert office.places.definitions
    (office.places.definitions / "twin.toml").write_text(f"{SALES}\n{DAILY}\n")
    (office.places.definitions / "plain.toml").write_text(SALES.replace("mine", "plain"))
    office.look()
    assert len(office.made()) == 1
    assert "as another definition is" in office.problem()
    assert "has no schedule" in office.problem()


def test_a_webhook_says_that_it_is_ready_and_its_link_needs_the_scope_for_reports(office: Office) -> None:
    sent: list[tuple[dict[str, str], bytes]] = []

    def send(_url: str, headers: dict[str, str], body: bytes, _networks: Any) -> int:
        sent.append((headers, body))
        return 204

    with psycopg.connect(office.url, row_factory=dict_row, autocommit=True) as rows:
        secret = keep(rows, generated("whsec_"), NOON, "test")
    of: Any = {"url": "https://crm.example.com/hook", "types": ("ReportReady",), "secret_id": secret}
    office.engine.submit("test", [OpenSubscription(name="all", **of)])
    office.engine.submit("test", [OpenSubscription(name="web-only", channels=("web",), **of)])
    office.define()
    office.look()
    deliverer = Deliverer(office.engine, lambda: stored(office.url), networks_of(""), send)
    deliverer.step()
    deliverer.close()
    ((headers, body),) = sent
    assert headers["webhook-signature"].startswith("v1,")
    said = json.loads(body)
    assert said["type"] == "ReportReady"
    files = said["data"].pop("files")
    assert said["data"] == {
        "report": "mine",
        "every": "day",
        "first_day": "2026-03-10",
        "last_day": "2026-03-10",
        "timezone": "UTC",
        "version": 1,
        "position": int(headers["webhook-id"].removeprefix("evt_")),
    }
    assert office.places.folder
    reads, other, of_web = (
        token(office.url, "test", scopes, channels)
        for scopes, channels in ((["reports:read"], None), (["orders:read"], None), (["reports:read"], ["web"]))
    )
    with serving(office.url, OMS_DATA_KEY=b64encode(KEY).decode()) as (_, url):
        for file in files:
            answer = httpx.get(url + file["path"], headers={"Authorization": f"Bearer {reads}"})
            assert answer.status_code == 200
            assert sha256(answer.content).hexdigest() == file["sha256"]
            name = f"mine-day-2026-03-10.{file['format']}"
            assert answer.content == (office.places.folder / name).read_bytes()
            assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
            for key in (other, of_web):
                assert httpx.get(url + file["path"], headers={"Authorization": f"Bearer {key}"}).status_code == 403
        listed = httpx.get(url + "/v1/report-files?report=mine", headers={"Authorization": f"Bearer {reads}"})
        assert {row["sha256"] for row in listed.json()["items"]} == {file["sha256"] for file in files}
        unknown = httpx.get(url + "/v1/report-files/" + "0" * 64, headers={"Authorization": f"Bearer {reads}"})
        assert unknown.status_code == 404


def test_the_command_lists_what_was_made(office: Office, monkeypatch: Any, capsys: Any) -> None:
    office.define()
    office.look()
    monkeypatch.setenv("OMS_DATABASE_URL", office.url)
    assert main(["report-files", "list", "mine", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {(row["report"], row["first_day"], row["format"]) for row in found} == {
        ("mine", "2026-03-10", "csv"),
        ("mine", "2026-03-10", "xlsx"),
    }
    assert main(["report-files", "list", "none"]) == 0
    assert "no report was made" in capsys.readouterr().err


def test_the_loop_goes_on_while_a_report_is_made(office: Office) -> None:
    """The work begins when the test lets it: until then, steps take nothing and nothing is begun twice."""
    works: list[Callable[[], None]] = []
    one = office.reporters[0]
    one.start = works.append
    office.define()
    office.time.seconds += LOOK_SECONDS
    office.engine.settle()
    assert [one.step() for _ in range(3)] == [0, 0, 0]
    office.time.seconds += LOOK_SECONDS
    one.step()
    assert len(works) == 1


def test_one_process_has_the_role_until_its_session_ends_and_another_goes_on(office: Office) -> None:
    """Two that put the same message would have it sent twice, as a mail system takes it away at once."""
    works: list[Callable[[], None]] = []
    office.define()
    for one in office.reporters:
        one.start = works.append
    office.look(4)
    assert len(works) == 1, "the other one stands by while the first is at work"
    office.reporters[0].close()
    office.reporters[1].start = at_once
    office.reporters[0].places = Places()
    office.look()
    assert office.made() == ["2026-03-10"]
    assert len(office.mailed()) == 1


def test_what_cannot_be_kept_is_put_off_and_shown(office: Office) -> None:
    office.define("mine", DAILY.replace('"csv", "xlsx"', '"csv"'))
    with queries.reading(office.url) as connection:
        asked = asking.question(definition.read(SALES, "mine"), since="2026-03-10", until="2026-03-11", now=NOON)
        content = MAKERS["csv"](answering.answer(connection, asked))
    address = sha256(content).hexdigest()
    with closing(documents.Receiver(1_000)) as receiver, psycopg.connect(office.url) as writing:
        receiver.take(content)
        documents.add(writing, receiver.received(), NOON)
    office.engine.submit("test", [RemoveDocument(sha256=address, reason="a mistake", now=NOON)])
    events = office.engine.last_position()
    office.look(3)
    assert office.made() == []
    assert office.engine.last_position() == events
    assert "removed a document with the bytes of its csv" in office.problem()


def test_a_round_that_hangs_is_shown_and_one_that_breaks_off_ends(office: Office, monkeypatch: Any) -> None:
    works: list[Callable[[], None]] = []
    one = office.reporters[0]
    one.start = works.append
    office.define()
    office.look(2)
    office.time.seconds += ROUND_SECONDS
    one.step()
    assert "hang" in office.problem()

    def breaks_off(_task: Any) -> Any:
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr(one, "_made", breaks_off)
        with pytest.raises(SystemExit):
            works[0]()
    one.start = at_once
    office.look()
    assert office.made() == ["2026-03-10"]
    assert office.problem() == ""


def test_a_file_of_another_is_not_taken_for_ours_and_a_message_needs_someone_to_be_sent_to(office: Office) -> None:
    assert office.places.folder
    other = office.places.folder / "mine-day-2026-03-10.csv"
    other.write_text("made by another")
    office.define()
    office.look(3)
    assert "with other bytes" in office.problem()
    assert other.read_text() == "made by another"
    other.unlink()
    office.define("mine", DAILY.replace('["ada@shop.example"]', "[]"))
    office.places.folder.joinpath("mine-day-2026-03-10.xlsx").unlink(missing_ok=True)
    office.time.seconds += PUT_OFF_SECONDS_MAX
    office.look()
    assert len(office.put()) == 2
