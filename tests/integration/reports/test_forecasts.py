"""Forecasts of a shop with some weeks of history: from facts, as of any time, in the terminal and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from conftest import fresh_database
from desk_story import OPEN, order
from oms_es.app import Engine, migrate
from oms_es.cli.desk.then import as_of
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.exit_codes import Code
from oms_es.kernel import Command
from oms_es.reports import queries
from oms_es.reports.forecasting import asking
from oms_es.reports.forecasting.answering import Answer, answers
from oms_es.reports.forecasting.demand import FACTS
from oms_es.schemas import order as o
from oms_es.schemas.stock import CountStock, ExpectInbound, ReceiveInbound, ReceiveStock
from oms_es.settings import Settings

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
WEEKS, OUT = 14, (9, 10)
"""In weeks 9 and 10 there are no mugs."""
INBOUNDS = {1: 7, 4: 14, 12: 7}
"""In which week units were expected, and how many days later they came."""
NOW = MONDAY + timedelta(weeks=WEEKS)


def placed(number: int, sku: str, at: datetime, quantity: int = 1, kind: Any = "standard") -> o.PlaceOrder:
    lines = (o.OrderLine(line_id="1", sku=sku, quantity=quantity, unit_price_minor=1_000),)
    return order(number).model_copy(update={"placed_at": at, "lines": lines, "kind": kind})


def week(number: int) -> Iterator[Command]:
    at = MONDAY + timedelta(weeks=number)
    if number == 0:
        yield OPEN
        yield ReceiveStock(sku="mug", location="berlin", receipt_id="first", quantity=1_000)
    if number == OUT[0]:
        yield CountStock(sku="mug", location="berlin", count_id="none", quantity=0)
    if number == OUT[-1] + 1:
        yield ReceiveStock(sku="mug", location="berlin", receipt_id="again", quantity=1_000)
    for begins, days in INBOUNDS.items():
        if number == begins:
            promised = at + timedelta(days=days)
            name = f"in-{begins}"
            yield ExpectInbound(sku="mug", location="berlin", inbound_id=name, quantity=10, promised_at=promised)
        if number == begins + days // 7:
            yield ReceiveInbound(sku="mug", location="berlin", inbound_id=f"in-{begins}", receipt_id=f"r-{begins}")
    if number not in OUT:
        yield placed(number, "mug", at, 5 + number % 2)
    if number % 5 == 2:
        yield placed(100 + number, "lamp", at + timedelta(days=2))
    if number == 3:
        yield placed(203, "mug", at, 500, "presale")


@pytest.fixture(scope="module")
def shop(embedded_server: EmbeddedPostgres) -> Iterator[tuple[str, dict[int, Answer]]]:
    """Make a database; return it with the forecasts for mugs at the end of each week."""
    clock = [MONDAY]
    said: dict[int, Answer] = {}
    with fresh_database(embedded_server) as url:
        migrate(url)
        with Engine(url, clock=lambda: clock[0], simulated=True) as engine:
            for number in range(WEEKS):
                clock[0] = MONDAY + timedelta(weeks=number)
                engine.settle()
                assert engine.submit("test", list(week(number))) == []
                engine.settle()
                with queries.reading(url) as connection:
                    said[number] = answers(connection, asked(ending(number)))[0]
        yield url, said


def ending(number: int) -> datetime:
    return MONDAY + timedelta(weeks=number, days=6)


def asked(now: datetime, **how: Any) -> asking.Question:
    return asking.question(**{"skus": ["mug"], "horizon": 4, "now": now, **how})


def ask(url: str, **how: Any) -> list[Answer]:
    with queries.reading(url) as connection:
        return answers(connection, asked(NOW, **how))


def test_units_are_those_of_each_week_and_where_there_were_none_it_was_not_for_want_of_buyers(shop: Any) -> None:
    mugs = ask(shop[0])[0]
    assert mugs.series.begins == date(2026, 1, 5)
    assert list(mugs.series.sold) == [0 if n in OUT else 5 + n % 2 for n in range(WEEKS)]
    assert [n for n, is_out in enumerate(mugs.series.out) if is_out] == list(OUT)
    assert mugs.days == [date(2026, 4, 13) + timedelta(weeks=n) for n in range(4)]
    assert all(4.9 <= one.expected <= 6.1 for one in mugs.forecast.periods)
    assert mugs.forecast.total
    assert mugs.forecast.total.low <= 22 <= mugs.forecast.total.high


def test_what_was_sold_before_there_was_stock_is_looked_at_from_the_beginning(shop: Any) -> None:
    lamps = ask(shop[0], skus=["lamp"])[0]
    assert (lamps.series.begins, len(lamps.series.sold), sum(lamps.series.sold)) == (date(2026, 1, 5), WEEKS, 3)


def test_the_most_wanted_come_first_where_none_is_named(shop: Any) -> None:
    assert [one.series.sku for one in ask(shop[0], skus=[])] == ["mug", "lamp"]
    assert [one.series.sku for one in ask(shop[0], skus=[], top=1)] == ["mug"]
    nothing = ask(shop[0], skus=["nowhere", "mug"])
    assert [(one.series.sku, one.forecast.not_enough) for one in nothing] == [("nowhere", "0 of 8 weeks"), ("mug", "")]


def test_as_of_any_week_it_is_what_was_said_then(shop: Any) -> None:
    url, then = shop
    for number in (2, 7, 10, 13):
        with as_of(Settings(database_url=url), FACTS, ending(number)) as connection:
            assert answers(connection, asked(ending(number))) == [then[number]]
    assert [number for number, one in then.items() if one.forecast.not_enough] == list(range(8))
    assert ask(shop[0], since="2026-03-16")[0].forecast.periods == then[10].forecast.periods


def test_a_period_begins_where_the_shop_is(shop: Any) -> None:
    early = ask(shop[0], by="day", zone="Pacific/Auckland")[0]
    assert [n for n, units in enumerate(early.series.sold) if units][:3] == [0, 7, 14]
    assert (early.series.begins, early.question.begins) == (date(2026, 1, 5), date(2026, 4, 13))


def test_it_is_said_in_the_terminal(shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", shop[0])
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["forecast", *arguments])
        return code, *capsys.readouterr()

    code, out, err = run("--sku", "mug", "--from", "2026-04-13", "--horizon", "2")
    assert code == Code.OK
    assert "2026-04-13" in out
    assert "of 14 weeks since 2026-01-05, 2 of them without stock" in err
    code, out, _ = run("--from", "2026-04-13", "--json")
    assert [one["sku"] for one in json.loads(out)] == ["mug", "lamp"]
    assert json.loads(out)[0] == json.loads(run("--sku", "mug", "--from", "2026-04-13", "--json")[1])[0] | {
        "at": json.loads(out)[0]["at"]
    }
    assert "lamp" in run("--from", "2026-04-13")[1]
    assert "not enough history of mug: 3 of 8 weeks" in run("--sku", "mug", "--at", "2026-01-27")[2]
    for wrong, says in (
        (("--horizon", "53"), "from 1 to 52 weeks"),
        (("--timezone", "Nowhere"), "no time zone"),
        (("--from", "yesterday"), "is no day"),
        (("--at", "2999-01-01"), "still to come"),
        (("--sku", "x" * 300), "cannot be the name of a SKU"),
    ):
        code, out, err = run(*wrong)
        assert (code, out, says in err) == (Code.USAGE, "", True), err


def test_nothing_is_written_but_what_ends_with_the_connection(shop: Any) -> None:
    with as_of(Settings(database_url=shop[0]), FACTS, ending(3)) as connection:
        assert connection.execute("SELECT count(*) AS n FROM order_milestones").fetchall() == [{"n": 6}]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM public.order_milestones")
    with queries.reading(shop[0]) as connection:
        assert connection.execute("SELECT count(*) AS n FROM order_milestones").fetchall() == [{"n": 16}]


def test_reorder_points_are_proposed_from_what_left_and_from_how_long_it_took_to_come(
    shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", shop[0])

    def propose(*arguments: str) -> tuple[int, str, str]:
        code = main(["replenish", "propose", "berlin", "--from", "2026-04-13", *arguments])
        return code, *capsys.readouterr()

    code, out, _ = propose("--sku", "mug", "--json")
    mug = json.loads(out)[0]
    assert (code, mug["abc"], mug["service_percent"]) == (Code.OK, "A", 98.0)
    assert mug["lead"] == {"days": pytest.approx(28 / 3, abs=1e-3), "variance": 10.8889, "times": 3, "whose": "SKU"}
    assert mug["mean"] == pytest.approx(mug["per_week"] * 28 / 21, abs=1e-3)
    assert mug["of_lead_time"] == pytest.approx(mug["per_week"] ** 2 * 10.8889 / 49, abs=1e-3)
    assert mug["reorder_point"] - mug["safety_stock"] == round(mug["mean"])
    assert (mug["reorder_point_now"], mug["up_to"]) == (0, mug["reorder_point"] + round(4 * mug["per_week"]))
    code, out, err = propose("--lead-days", "21", "--commands", "--service", "99.9,95,90")
    point = propose("--lead-days", "21", "--json", "--service", "99.9,95,90")[1]
    mug = json.loads(point)[0]
    amounts = f"--quantity {mug['reorder_point']} --up-to {mug['up_to']}"
    assert out.splitlines() == [f"oms-es stock set-reorder-point {amounts} -- mug berlin"]
    assert main(out.split()[1:]) == Code.OK
    capsys.readouterr()
    with Engine(shop[0]) as engine:
        engine.settle()
    assert propose("--lead-days", "21", "--commands", "--service", "99.9,95,90")[1] == ""
    assert "21.0 (said)" in propose("--lead-days", "21")[1]
    for wrong in (("--service", "98,95"), ("--service", "98,95,nan"), ("--lead-days", "nan"), ("--cover-weeks", "-1")):
        code, out, err = propose(*wrong)
        assert (code, out, "Invalid value" in err) == (Code.USAGE, "", True), err
    code = main(["replenish", "propose", "nowhere"])
    assert (code, "nothing left nowhere" in capsys.readouterr().err) == (Code.OK, True)
