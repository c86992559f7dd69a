"""Words of reports: an unknown one is answered with the nearest known one, and only SELECT statements are made of
them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from conftest import fresh_database
from oms_es.app import migrate
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.reports.delivering.formats import MAKERS
from oms_es.reports.figures import answering, asking, chart, definition, writing
from oms_es.reports.figures.answering import Answer, Column
from oms_es.reports.figures.selecting import compiled, selected
from oms_es.reports.figures.sources import SOURCES
from oms_es.reports.figures.words import BadReport

SALES = definition.named("sales")
START = 'name = "x"\ntitle = "X"\nsource = "orders"\n'
MEASURE = 'measure = [{ name = "orders", of = "orders" }]\n'


@pytest.fixture(scope="module")
def url(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(embedded_server) as fresh:
        migrate(fresh)
        yield fresh


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (START + MEASURE.replace('of = "orders"', 'of = "order"'), "no number of orders 'order', did you mean orders?"),
        (START.replace("orders", "order") + MEASURE, "there is no source 'order', did you mean orders?"),
        (START + MEASURE + 'by = ["chanel"]', "did you mean channel?"),
        (START + MEASURE + 'tiem = "placed_at"', "there is no word 'tiem', did you mean time?"),
        (START + MEASURE + 'time = "shipped_at"', "no time of orders 'shipped_at', did you mean"),
        (START + MEASURE + 'sort = "units"', "no measure of this report 'units'"),
        (START + MEASURE + 'filter = [{ dimension = "kind", is = ["presales"] }]', "did you mean presale?"),
        (START + MEASURE + 'filter = [{ dimension = "kind" }]', "either `is` or `is_not`"),
        (START + MEASURE + 'by = ["day", "week"]', "name one of hour, day"),
        (START + MEASURE + 'by = ["channel", "channel"]', "named twice"),
        (START + 'measure = [{ name = "a", how = "ratio", of = "b", per = "c" }]', "no measure before it"),
        (START + 'measure = [{ name = "a", how = "ratio", of = "b" }]', "a ratio needs `per`"),
        (START + 'measure = [{ name = "a", how = "percentile", of = "units" }]', "a percentile needs `percent`"),
        (START + 'measure = [{ name = "a", how = "share", of = "units" }]', "a share needs `within`"),
        (START + 'measure = [{ name = "a", of = "units", times = 365 }]', "only a ratio has `times`"),
        (START.replace("orders", "classes") + 'measure = [{ name = "n", of = "skus" }]\nby = ["week"]', "whole period"),
        (START + 'measure = [{ name = "channel", of = "units" }]', "has the name of a dimension"),
        (START + 'measure = [{ nam = "a", of = "units" }]', "there is no word 'nam', did you mean name?"),
        (START, "measure: Field required"),
        ("name = ", "is not valid TOML"),
        ("a=" + "[" * 5_000, "is no"),
        ("#" * 70_000, "larger than"),
    ],
)
def test_what_is_wrong_with_a_definition_is_said_with_the_nearest_word(text: str, said: str) -> None:
    with pytest.raises(BadReport) as wrong:
        definition.read(text, "mine.toml")
    assert said in str(wrong.value)
    assert str(wrong.value).startswith("mine.toml")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"by": ["chanel"]}, "did you mean channel?"),
        ({"zone": "Europe/Berln"}, "did you mean Europe/Berlin?"),
        ({"since": "yesterday"}, "write it as 2026-01-05"),
        ({"since": "0001-01-01"}, "a year from 1970"),
        ({"since": "2026-01-05", "until": "2026-01-05"}, "is not before"),
        ({"compare": "previous"}, "needs a period"),
        ({"where": ["channel"]}, "write it as channel=web"),
        ({"where": ["chanel=web"]}, "did you mean channel?"),
        ({"where": ["kind=presal"]}, "did you mean presale?"),
        ({"where": ["channel=a\0b"]}, "is no filter"),
    ],
)
def test_what_is_wrong_with_a_question_is_said_too(how: dict[str, Any], said: str) -> None:
    with pytest.raises(BadReport) as wrong:
        asking.question(SALES, **how)
    assert said in str(wrong.value)


def test_money_is_never_without_its_currency() -> None:
    by = {one.name for one in definition.built_in().values() if "currency" in asking.question(one, by=[]).by}
    assert by == {"abc-xyz", "average-order-value", "freight", "refunds", "sales", "units-by-sku"}
    share = 'measure = [{ name = "small", how = "share", of = "gross_minor", within = 1000 }]'
    assert asking.question(definition.read(START + share, "mine.toml"), by=["channel"]).by == ("channel", "currency")
    assert asking.question(SALES, by=["currency", "day"]).by == ("currency", "day")
    assert {name for name, source in SOURCES.items() if "currency" not in source.dimensions} == {
        name for name, source in SOURCES.items() if "minor" not in {one.unit for one in source.numbers.values()}
    }


def test_a_period_is_compared_with_the_one_before_it_or_a_year_before_it() -> None:
    month = asking.Period(date(2024, 2, 29), date(2024, 3, 31))
    assert asking.compared(month, "previous") == (date(2024, 1, 29), date(2024, 2, 29))
    assert asking.compared(month, "last-year") == (date(2023, 2, 28), date(2023, 3, 31))
    with pytest.raises(BadReport):
        asking.compared(asking.Period(date(1, 1, 2), date(1, 1, 9)), "previous")


WORDS = sorted({word for source in SOURCES.values() for word in (*source.dimensions, *source.numbers, *source.times)})
STRANGE = st.one_of(
    st.sampled_from([*WORDS, *definition.GRAINS, *SOURCES, "sum", "ratio", "percentile", "share", "mean", "a"]),
    st.text(max_size=20),
    st.sampled_from(["'; DROP TABLE order_lines; --", "%(zone)s", "1 OR 1=1", "\\", '"', "\0", "é", "%s"]),
)
MEASURES = st.fixed_dictionaries(
    {"name": STRANGE, "of": STRANGE},
    optional={
        "how": STRANGE,
        "per": STRANGE,
        "percent": st.floats(),
        "also": STRANGE,
        "within": st.floats(),
        "times": st.integers(),
    },
)
FILTERS = st.fixed_dictionaries(
    {"dimension": STRANGE}, optional={"is": st.lists(STRANGE, max_size=3), "is_not": st.lists(STRANGE, max_size=3)}
)
DEFINITIONS = st.fixed_dictionaries(
    {
        "name": st.just("x"),
        "title": STRANGE,
        "source": st.sampled_from([*SOURCES, "order"]),
        "measure": st.lists(MEASURES, min_size=1, max_size=3),
    },
    optional={
        "by": st.lists(STRANGE, max_size=3),
        "target": st.lists(st.fixed_dictionaries({"measure": STRANGE, "at_most": st.floats()}), max_size=2),
        "filter": st.lists(FILTERS, max_size=2),
        "sort": STRANGE,
        "top": st.integers(),
        "time": STRANGE,
        "also": STRANGE,
    },
)


@st.composite
def sound(draw: st.DrawFn) -> Any:
    """Return known words, as far as they can be combined."""
    source = draw(st.sampled_from(sorted(SOURCES)))
    numbers = st.sampled_from(sorted(SOURCES[source].numbers))
    hows = st.sampled_from(["sum", "mean", "min", "max", "percentile", "share"])
    measures: list[dict[str, Any]] = [
        {"name": f"m{n}", "of": draw(numbers), "how": draw(hows)} for n in range(draw(st.integers(1, 3)))
    ]
    for one in measures:
        one |= {"percentile": {"percent": 90}, "share": {"within": 24}}.get(one["how"], {})
    measures.append({"name": "share", "how": "ratio", "of": "m0", "per": measures[-1]["name"]})
    times = sorted(SOURCES[source].times)
    dimensions = [*SOURCES[source].dimensions, *([draw(st.sampled_from(definition.GRAINS))] if times else [])]
    free = [word for word in SOURCES[source].dimensions if word not in SOURCES[source].values]
    reported: dict[str, Any] = {"name": "x", "title": draw(st.text(min_size=1, max_size=9).filter(str.isprintable))}
    reported |= {"source": source, "measure": measures}
    reported["by"] = draw(st.lists(st.sampled_from(dimensions), max_size=3, unique=True))
    reported |= {"time": draw(st.sampled_from(times))} if times else {}
    value = st.text(min_size=1, max_size=9).filter(lambda text: "\0" not in text and text.isprintable())
    reported["filter"] = draw(
        st.lists(
            st.fixed_dictionaries({"dimension": st.sampled_from(free), "is": st.lists(value, min_size=1, max_size=2)}),
            max_size=2,
        )
    )
    names = [one["name"] for one in measures]
    reported |= {word: draw(st.sampled_from(names)) for word in draw(st.sets(st.sampled_from(["sort", "chart"])))}
    reported |= draw(st.sampled_from([{}, {"top": 1}, {"top": 10_000}]))
    targets = [
        {"measure": name, bound: draw(st.floats(-1e12, 1e12)), **draw(st.sampled_from([{}, {"currency": "EUR"}]))}
        for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
        for bound in ["at_least"]
    ]
    schedule = {
        "every": draw(st.sampled_from(["day", "week", "month"])),
        "timezone": draw(st.sampled_from(["UTC", "Pacific/Apia", "America/St_Johns"])),
        "formats": draw(st.lists(st.sampled_from(sorted(MAKERS)), min_size=1, max_size=3, unique=True)),
        "mail_to": ["a@b.example"],
    }
    return reported | draw(st.sampled_from([{}, {"target": targets}, {"schedule": schedule}]))


FUZZED = int(os.environ.get("OMS_TEST_DEFINITIONS", "60"))
"""Definitions that are tried."""


@settings(max_examples=FUZZED)
@given(
    reported=st.one_of(DEFINITIONS, sound()),
    until=st.sampled_from([None, "2026-02-01"]),
    compare=st.sampled_from(asking.COMPARISONS),
)
def test_a_definition_is_refused_in_words_or_is_one_select_that_answers(
    url: str, reported: Any, until: str | None, compare: str
) -> None:
    try:
        one = definition.checked(definition.Definition.model_validate(reported))
    except (OmsError, ValueError):
        return
    asked = asking.question(one, since="2026-01-01", until=until, compare=compare if until else None)
    statement, _ = compiled(selected(asked), asked)
    assert re.match(r"WITH counted AS MATERIALIZED\s*\(SELECT ", statement)
    assert ";" not in statement
    for value in (part for a_filter in one.filter for part in a_filter.of or a_filter.others or ()):
        assert len(value) < 3 or value in WORDS or value not in statement
    with psycopg.connect(url, row_factory=dict_row) as connection:
        found = answering.answer(connection, asked)
    assert found.rows is not None
    for form in ("html", "csv", "json", "xlsx"):
        assert MAKERS[form](found)
    if one.schedule:
        periods = list(islice(one.schedule.due(datetime(2026, 3, 11, 12, tzinfo=UTC)), 40))
        assert all(before[0] == after[1] for before, after in pairwise(periods))


@settings(max_examples=FUZZED)
@given(text=st.text(max_size=200) | st.binary(max_size=200).map(lambda some: some.decode("latin-1")))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadReport):
        definition.read(text, "mine.toml")


def reported(*rows: tuple[Any, ...], columns: str = "day:,currency:,net:minor") -> Answer:
    named = [Column(*one.split(":")) for one in columns.split(",")]
    by = [column.name for column in named if not column.unit]
    return Answer(asking.question(SALES, by=by), named, rows)


def test_currencies_never_share_an_axis_and_amounts_have_their_decimals() -> None:
    days = [date(2026, 1, day) for day in (5, 6)]
    found = reported(*((day, currency, 123_456) for day in days for currency in ("EUR", "JPY")))
    drawn = list(chart.pictures(found))
    assert [one.caption for one in drawn] == ["net, EUR", "net, JPY"]
    page = writing.as_html(found)
    assert "1,234.56" in page
    assert "123,456" in page
    assert "http" not in page.replace("http-equiv", "")
    assert writing.as_csv(found).splitlines()[:2] == ["day,currency,net_minor", "2026-01-05,EUR,123456"]


def test_what_outsiders_name_runs_neither_in_a_browser_nor_in_a_spreadsheet() -> None:
    found = reported(
        ("<script>alert(1)</script>", "EUR", 5), ("=1+1", "EUR", 6), columns="channel:,currency:,net:minor"
    )
    assert "<script>" not in writing.as_html(found)
    assert "'=1+1" in writing.as_csv(found)


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(0.0, 0.0, [0.0, 1.0]), (0.0, 97.0, [0, 20, 40, 60, 80, 100]), (-30.0, 50.0, [-40, -20, 0, 20, 40, 60])],
)
def test_an_axis_has_round_numbers_and_nought(least: float, most: float, expected: list[float]) -> None:
    marks = chart.ticks(least, most)
    assert marks[0] <= least
    assert marks[-1] >= most
    assert 0 in marks
    assert marks == expected or (least, most) == (0.0, 0.0)


def test_a_file_that_is_none_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    for name, said in (("a.toml", "cannot be read"), ("b.toml", "no text in UTF-8")):
        assert main(["report", "run", str(tmp_path / name)]) == Code.USAGE
        assert said in capsys.readouterr().err
    assert main(["report", "run", "slaes"]) == Code.NOT_FOUND
    assert "did you mean sales?" in capsys.readouterr().err
