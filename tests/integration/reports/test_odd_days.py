"""`oms-es report odd` finds unusual days in the read models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, insert

from conftest import fresh_database
from desk_story import lived
from oms_es.app import migrate
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.exit_codes import Code
from oms_es.projections.facts import order_milestones
from oms_es.reports import queries
from oms_es.reports.figures import definition
from oms_es.reports.figures.words import BadReport
from oms_es.reports.odd import finding, opening, series
from oms_es.reports.odd.judging import Odd

FIRST, DAYS, ODD = date(2026, 1, 5), 70, 66
A_DAY, ON_THE_ODD_DAY = 12, 60


@pytest.fixture(scope="module")
def url(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    """Return the database of ten weeks with about as many orders each day, except for one."""
    with fresh_database(embedded_server) as fresh:
        migrate(fresh)
        columns = order_milestones.table.columns
        rows = []
        for n in range(DAYS):
            for count in range(ON_THE_ODD_DAY if n == ODD else A_DAY + n % 3):
                at = datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(days=n, hours=12)
                known: dict[str, Any] = {
                    "order_id": f"{n}-{count}",
                    "currency": "EUR",
                    "channel": "web" if count % 2 else "shop",
                }
                known |= {"kind": "standard", "gross_minor": 1_000, "placed_at": at, "accepted_at": at}
                nothing = {c.name: 0 if c.type.python_type is int else "" for c in columns if not c.nullable}
                rows.append({**nothing, **known})
        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(fresh))
        with engine.begin() as connection:
            connection.execute(insert(order_milestones.table), rows)
        engine.dispose()
        yield fresh


def days_of(url: str, name: str, *by: str) -> list[finding.Found]:
    when = finding.period(str(FIRST + timedelta(days=60)), str(FIRST + timedelta(days=DAYS)), "UTC")
    with queries.reading(url) as connection:
        return finding.odd_days(connection, series.built_in()[name], when, by)


def test_the_odd_day_is_found_with_what_was_expected_of_it(url: str) -> None:
    (one,) = days_of(url, "orders")
    assert (one.odd.day, one.odd.value) == (FIRST + timedelta(days=ODD), ON_THE_ODD_DAY)
    assert A_DAY <= one.odd.expected <= A_DAY + 2
    assert [dict(one.of) for one in days_of(url, "sales")] == [{"currency": "EUR"}]
    assert {one.of["channel"] for one in days_of(url, "orders", "channel")} == {"web", "shop"}
    assert [name for name in series.built_in() if days_of(url, name)] == ["orders", "sales"]


def test_a_report_of_its_own_is_judged_by_what_it_draws(url: str) -> None:
    when = finding.period(str(FIRST + timedelta(days=60)), str(FIRST + timedelta(days=DAYS)), "UTC")
    with queries.reading(url) as connection:
        assert finding.odd_days(connection, definition.named("average-order-value"), when) == [], "it is what it was"
        assert finding.odd_days(connection, definition.named("order-volume"), when)
        with pytest.raises(BadReport, match="by day already"):
            finding.odd_days(connection, definition.named("sales"), when, ["week"])


@pytest.mark.parametrize(
    ("since", "until"), [("2026-01-05", "2026-06-05"), ("2026-01-05", "2026-01-05"), ("2999-01-01", None)]
)
def test_days_that_are_not_over_or_too_many_are_not_judged(since: str, until: str | None) -> None:
    with pytest.raises(BadReport, match="days that are over"):
        finding.period(since, until, "UTC")


def test_it_is_said_in_words_and_as_json(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", url)
    period = ["--from", str(FIRST + timedelta(days=60)), "--to", str(FIRST + timedelta(days=DAYS))]
    assert main(["report", "odd", *period]) == Code.OK
    printed = capsys.readouterr().out
    assert "600.00" in printed
    assert "orders" in printed
    assert main(["report", "odd", "orders", "--json", *period]) == Code.OK
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["measure"], one["day"], one["value"]) == ("orders", str(FIRST + timedelta(days=ODD)), ON_THE_ODD_DAY)
    assert main(["report", "odd"]) == Code.OK
    assert "is odd" in capsys.readouterr().err
    assert main(["report", "odd", "slaes"]) == Code.NOT_FOUND


def test_an_odd_day_is_opened_once_for_a_person_to_look_at(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", url)
    day = FIRST + timedelta(days=ODD)
    asked = ["report", "odd", "--open-exceptions", "--from", str(day), "--to", str(day + timedelta(days=1))]
    assert main(asked) == Code.OK
    assert "opened 2 exceptions" in capsys.readouterr().err
    assert main([*asked, "--json"]) == Code.OK
    said = capsys.readouterr()
    assert (len(json.loads(said.out)), "opened 0 exceptions" in said.err) == (2, True)
    lived(url)
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT exception_id, detail FROM open_exceptions ORDER BY 1").fetchall()
    assert [name for name, _ in rows] == [f"odd_day/orders/{day}", f"odd_day/sales/{day}/EUR"]
    assert rows[0][1].startswith(f"orders on {day}: 60, where ")
    assert f" on {day}: 600.00, where " in rows[1][1]
    assert rows[1][1].endswith("is usual of EUR")


def test_the_name_of_a_series_and_how_many_are_opened_are_bounded() -> None:
    odd = Odd(FIRST, 60, 12, 8, 16, 9.0)
    long = finding.Found("sales", "net", "minor", {"sku": "x" * 500, "currency": "EUR"}, odd)
    many = [*[long] * (opening.OPENED_MAX + 1)]
    first, *others = opening.openings(many)
    assert len(others) == opening.OPENED_MAX - 1
    assert len(first.exception_id) < opening.SERIES_CHARACTERS_MAX
    assert len(first.detail) <= 500
