"""A report as a workbook and as a document: reading them back gives the values of the report."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from oms_es.console.pages.findings.reports import LAYING_OUT, made
from oms_es.processing.committer import Busy
from oms_es.reports.figures import asking, definition, document, workbook, writing
from oms_es.reports.figures.answering import Answer, Column, judged
from oms_es.reports.figures.words import BadReport

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "http://example.com/x",
    "<b>&amp;",
    "{=1}",
    "internal:Sheet1!A1",
    "12",
]


def reported(*rows: tuple[Any, ...], columns: str, name: str = "sales") -> Answer:
    named = [Column(*one.split(":")) for one in columns.split(",")]
    by = [column.name for column in named if not column.unit]
    return Answer(asking.question(definition.named(name), by=by, now=NOW), named, rows)


FOUND = reported(
    (date(2026, 1, 5), "EUR", 7, 123_456, 12.5, 1.25),
    (date(2026, 1, 6), "JPY", 8, 123_456, None, 2.0),
    (date(2026, 1, 7), "KWD", 9, -123_456, 0.0, None),
    columns="day:,currency:,orders:orders,net:minor,rate:percent,half:hours",
)


def midnight(day: int) -> datetime:
    """Return the day as a workbook has it: without a time zone."""
    return datetime.combine(date(2026, 1, day), time())


def sheet_of(found: Answer) -> Any:
    return load_workbook(BytesIO(workbook.as_xlsx(found)))["Report"]


def test_a_workbook_has_days_amounts_and_percent_that_can_be_counted_with() -> None:
    sheet = sheet_of(FOUND)
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == ("day", "currency", "orders", "net", "rate (%)", "half (h)")
    assert rows[1] == (midnight(5), "EUR", 7, 1234.56, 0.125, 1.25)
    assert rows[2] == (midnight(6), "JPY", 8, 123_456, None, 2)
    assert rows[3] == (midnight(7), "KWD", 9, -123.456, 0, None)
    shapes = [cell.number_format for cell in sheet[2]] + [sheet["D3"].number_format, sheet["D4"].number_format]
    assert shapes[0] == "yyyy-mm-dd"
    assert shapes[3:5] == ["#,##0.00 [$EUR]", "0.00%"]
    assert shapes[-2:] == ["#,##0 [$JPY]", "#,##0.000 [$KWD]"]
    assert sheet.freeze_panes == "A2"


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_text_in_a_workbook(text: str) -> None:
    found = reported((text, "EUR", 5), columns="channel:,currency:,net:minor")
    cell = sheet_of(found)["A2"]
    assert cell.value == text
    assert cell.data_type == "s"
    assert cell.hyperlink is None
    with ZipFile(BytesIO(workbook.as_xlsx(found))) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")


def test_a_currency_that_is_none_is_no_part_of_a_format() -> None:
    found = reported((']"=1', 5), columns="currency:,net:minor")
    assert sheet_of(found)["B2"].number_format == "#,##0.00"


def test_a_workbook_says_what_it_is() -> None:
    about = load_workbook(BytesIO(workbook.as_xlsx(FOUND)))["About"]
    said = {row[0]: row[1] for row in about.iter_rows(values_only=True)}
    assert said["report"] == "Sales"
    assert said["targets"] == "none"
    assert said["made"] == "2026-01-20 12:00 UTC"


def test_a_document_has_what_the_report_says_over_as_many_pages_as_it_needs() -> None:
    rows = [(f"shop-{n:03}", "EUR", n * 100) for n in range(120)]
    found = reported(("<script>&", "EUR", -5), *rows, columns="channel:,currency:,net:minor")
    pages = PdfReader(BytesIO(document.as_pdf(found))).pages
    text = "\n".join(page.extract_text() for page in pages)
    assert len(pages) > 3
    assert "Sales" in text
    for row in rows:
        assert row[0] in text
    assert "119.00" in text
    assert "<script>&" in text
    assert all("currency" in page.extract_text() for page in pages[2:]), "each page of the table has its heads"


WANTED = """
name = "wanted"
title = "Wanted"
source = "orders"
by = ["day"]
chart = "rate"
measure = [
  { name = "orders", of = "orders" },
  { name = "net", of = "net_minor" },
  { name = "cancelled", of = "cancelled_orders" },
  { name = "rate", how = "ratio", of = "cancelled", per = "orders" },
]
target = [
  { measure = "rate", at_most = 5 },
  { measure = "net", at_least = 100000, currency = "EUR" },
]
"""


def test_a_target_is_met_or_missed_in_every_form() -> None:
    one = definition.read(WANTED, "wanted.toml")
    rows = [
        (date(2026, 1, 5), "EUR", 100, 100_000, 5, 5.0),
        (date(2026, 1, 6), "EUR", 100, 99_999, 6, 6.0),
        (date(2026, 1, 7), "JPY", 100, 1, None, None),
    ]
    names = ("day:", "currency:", "orders:orders", "net:minor", "cancelled:orders", "rate:percent")
    found = judged(Answer(asking.question(one, now=NOW), [Column(*name.split(":")) for name in names], rows))
    assert [column.name for column in found.columns[-2:]] == ["rate_target", "net_target"]
    assert [row[-2:] for row in found.rows] == [("met", "met"), ("missed", "missed"), (None, None)]
    assert writing.as_csv(found).splitlines()[2].endswith(",missed,missed")
    page = writing.as_html(found)
    assert '<td class="missed">missed</td>' in page
    assert "target of rate: at most 5; target of net: at least 1,000.00 EUR" in page
    assert ">target</text>" in page
    cells = sheet_of(found)
    assert (cells["G2"].value, cells["G3"].value, cells["G3"].font.bold) == ("met", "missed", True)
    text = PdfReader(BytesIO(document.as_pdf(found))).pages[0].extract_text()
    assert "at least 1,000.00 EUR" in text
    assert "missed" in text
    assert found.as_json()["rows"][0]["rate_target"] == "met"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ('{ measure = "rat", at_most = 5 }', "did you mean rate?"),
        ('{ measure = "rate" }', "either `at_least` or `at_most`"),
        ('{ measure = "rate", at_least = 1, at_most = 5 }', "either `at_least` or `at_most`"),
        ('{ measure = "net", at_least = 5 }', "needs its `currency`"),
        ('{ measure = "rate", at_most = 5, currency = "EUR" }', "nothing else has one"),
        ('{ measure = "rate", at_most = 5 }, { measure = "rate", at_least = 2 }', "has two targets"),
        ('{ measure = "rate", atmost = 5 }', "did you mean at_most?"),
    ],
)
def test_what_is_wrong_with_a_target_is_said(target: str, said: str) -> None:
    text = f"{WANTED[: WANTED.index('target')]}target = [{target}]"
    with pytest.raises(BadReport) as wrong:
        definition.read(text, "wanted.toml")
    assert said in str(wrong.value)


def test_a_document_has_so_many_rows_and_says_how_many_more_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "ROWS_PRINTED_MAX", 10)
    rows = [(f"shop-{n}", "EUR", n) for n in range(25)]
    last = PdfReader(BytesIO(document.as_pdf(reported(*rows, columns="channel:,currency:,net:minor")))).pages[-1]
    assert "15 more rows" in last.extract_text()
    assert "shop-9" in last.extract_text()
    assert "shop-10" not in last.extract_text()


def test_a_file_for_the_console_is_laid_out_alone() -> None:
    with LAYING_OUT:
        with pytest.raises(Busy):
            made("xlsx", FOUND)
        assert "KWD" in str(made("csv", FOUND))
    assert made("xlsx", FOUND)[:2] == b"PK"


def test_a_document_is_the_same_again_and_may_be_empty() -> None:
    assert document.as_pdf(FOUND) == document.as_pdf(FOUND)
    empty = reported(columns="day:,currency:,net:minor")
    text = PdfReader(BytesIO(document.as_pdf(empty))).pages[0].extract_text()
    assert "Nothing was found" in text
    assert len(list(sheet_of(empty).iter_rows())) == 1


def test_characters_that_xml_does_not_have_are_no_hindrance_to_a_document() -> None:
    found = reported(("a\x01\x1f\ufffeb", "EUR", 5), columns="channel:,currency:,net:minor")
    assert document.as_pdf(found).startswith(b"%PDF-")
