"""Scheduled reports: each period once, when it is over, complete or not at all, however many processes deliver them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from conftest import fresh_database
from oms_es.app import migrate
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.exit_codes import Code
from oms_es.reports import queries
from oms_es.reports.delivering import delivery
from oms_es.reports.figures import definition
from oms_es.reports.figures.definition import Definition
from oms_es.reports.figures.schedule import Schedule
from oms_es.reports.figures.words import BadReport
from oms_es.schemas.operations.report import Every

TEXT = definition.text_of("sales").replace('"sales"', '"mine"')
NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)


def scheduled(said: str) -> Definition:
    return definition.read(f"{TEXT}\nschedule = {{ {said} }}\n", "mine.toml")


@pytest.fixture(scope="module")
def url(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(embedded_server) as fresh:
        migrate(fresh)
        yield fresh


def made(url: str, one: Definition, folder: Path, now: datetime) -> list[str]:
    with queries.reading(url) as connection:
        return [path.name for path in delivery.deliver(connection, one, folder, now)]


@pytest.mark.parametrize(
    ("every", "now", "expected"),
    [
        ("day", "2026-03-11T06:00", ["2026-03-10", "2026-03-09"]),
        ("day", "2026-03-11T05:59", ["2026-03-09", "2026-03-08"]),
        ("week", "2026-03-11T12:00", ["2026-03-02", "2026-02-23"]),
        ("week", "2026-03-09T05:59", ["2026-02-23", "2026-02-16"]),
        ("month", "2026-03-11T12:00", ["2026-02-01", "2026-01-01"]),
        ("month", "2026-03-01T05:00", ["2026-01-01", "2025-12-01"]),
    ],
)
def test_a_period_is_due_from_its_time_of_day_after_it(every: Every, now: str, expected: list[str]) -> None:
    due = Schedule(every=every).due(datetime.fromisoformat(now).replace(tzinfo=UTC))
    two = list(islice(due, 2))
    assert [str(since) for since, _ in two] == expected
    assert two[1][1] == two[0][0], "one begins where the one before it ends"


def test_a_day_is_over_when_it_is_where_the_schedule_is() -> None:
    tokyo = Schedule(every="day", timezone="Asia/Tokyo", at="00:00")
    assert next(tokyo.due(datetime(2026, 3, 10, 15, tzinfo=UTC)))[0] == date(2026, 3, 10)
    assert next(tokyo.due(datetime(2026, 3, 10, 14, 59, tzinfo=UTC)))[0] == date(2026, 3, 9)


def test_what_is_due_is_made_once_in_each_form(url: str, tmp_path: Path) -> None:
    one = scheduled('every = "day", formats = ["csv", "json", "html", "xlsx", "pdf", "parquet"]')
    files = made(url, one, tmp_path, NOON)
    assert files == [f"mine-day-2026-03-10.{form}" for form in ("csv", "json", "html", "xlsx", "pdf", "parquet")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)
    assert made(url, one, tmp_path, NOON) == []
    assert made(url, one, tmp_path, NOON + timedelta(hours=11)) == []


def test_what_fell_due_while_no_one_asked_is_made_up_for_and_no_more(url: str, tmp_path: Path) -> None:
    one = scheduled('every = "day", formats = ["csv"]')
    made(url, one, tmp_path, NOON)
    assert made(url, one, tmp_path, NOON + timedelta(days=3)) == [f"mine-day-2026-03-{n}.csv" for n in (11, 12, 13)]
    after = made(url, one, tmp_path, NOON + timedelta(days=400))
    assert len(after) == 1, "of longer ago than that, nothing is known to be missing"


def test_a_form_that_is_missing_is_made_and_what_is_there_is_left_as_it_is(url: str, tmp_path: Path) -> None:
    both = scheduled('every = "week", formats = ["csv", "json"]')
    there = tmp_path / "mine-week-2026-03-02.csv"
    there.write_text("mine")
    assert made(url, both, tmp_path, NOON) == ["mine-week-2026-03-02.json"]
    assert there.read_text() == "mine"


def test_of_two_at_the_same_time_one_makes_a_file(url: str, tmp_path: Path) -> None:
    one = scheduled('every = "month", formats = ["csv", "html"]')
    with ThreadPoolExecutor(4) as several:
        each = list(several.map(lambda _: made(url, one, tmp_path, NOON), range(4)))
    names = sorted(name for made_there in each for name in made_there)
    assert names == ["mine-month-2026-02-01.csv", "mine-month-2026-02-01.html"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ('every = "hour"', "every"),
        ('every = "day", at = "25:00"', "at"),
        ('every = "day", timezone = "Europe/Berln"', "no such time zone"),
        ('every = "day", timezone = "../etc"', "no such time zone"),
        ('every = "day", formats = ["doc"]', "formats"),
        ('evry = "day"', "did you mean every?"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_said(said: str, wrong: str) -> None:
    with pytest.raises(BadReport, match=wrong.replace("?", r"\?")):
        scheduled(said)


def test_it_is_run_by_hand_or_by_cron(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", url)
    mine = tmp_path / "mine.toml"
    mine.write_text(f'{TEXT}\nschedule = {{ every = "day" }}\n')
    asked = ["report", "deliver", str(mine), "--to", str(tmp_path / "out")]
    assert main(asked) == Code.OK
    assert "written to" in capsys.readouterr().err
    assert main(asked) == Code.OK
    assert capsys.readouterr().err == ""
    assert main([*asked, str(mine)]) == Code.USAGE
    assert "two definitions are called mine" in capsys.readouterr().err
    assert main(["report", "deliver", "sales", "--to", str(tmp_path)]) == Code.USAGE
    assert "has no schedule" in capsys.readouterr().err
