"""A statement is recorded once, in pages of lines, and only where it adds up."""

from __future__ import annotations

from typing import Any

from dsl import Given
from oms_es.aggregates.finance import statement
from oms_es.schemas.finance import statement as f

OF: Any = {"account": "bank", "statement_id": "2026-01-31/1", "currency": "EUR"}
SAID: Any = {"format": "mt940", "opened_on": "2026-01-01", "closed_on": "2026-01-31", "document_sha256": "0" * 64}
LINE = f.StatementLine(kind="transfer", booked_on="2026-01-05", amount_minor=500)
PENDING = LINE.model_copy(update={"pending": True})


def record(*lines: f.StatementLine, **more: Any) -> f.RecordStatement:
    return f.RecordStatement(**OF, **{**SAID, **more}, lines=lines)


def recorded(command: f.RecordStatement, booked_minor: int) -> f.StatementRecorded:
    balances = {"opening_minor": command.opening_minor, "closing_minor": command.closing_minor}
    fingerprint = statement.fingerprint_of(command)
    return f.StatementRecorded(
        **OF, **SAID, **balances, booked_minor=booked_minor, line_count=len(command.lines), fingerprint=fingerprint
    )


def test_a_statement_is_recorded_with_its_lines() -> None:
    command = record(LINE, PENDING, opening_minor=0, closing_minor=500)
    page = f.StatementLinesRecorded(**OF, first=1, lines=(LINE, PENDING))
    Given(statement.decider).when(command).then(recorded(command, 500), page)
    Given(statement.decider, recorded(command, 500), page).when(command).then()


def test_many_lines_come_in_pages() -> None:
    command = record(*[LINE] * (f.LINES_OF_AN_EVENT_MAX + 1))
    first = f.StatementLinesRecorded(**OF, first=1, lines=(LINE,) * f.LINES_OF_AN_EVENT_MAX)
    second = f.StatementLinesRecorded(**OF, first=f.LINES_OF_AN_EVENT_MAX + 1, lines=(LINE,))
    Given(statement.decider).when(command).then(recorded(command, 500 * len(command.lines)), first, second)


def test_the_same_in_another_file_is_the_same_and_another_content_is_refused() -> None:
    command = record(LINE)
    again = record(LINE, document_sha256="1" * 64, format="camt.053")
    Given(statement.decider, recorded(command, 500)).when(again).then()
    Given(statement.decider, recorded(command, 500)).when(record(LINE, LINE)).then_refused("statement_differs")


def test_a_statement_that_an_earlier_release_recorded_is_known_by_the_same_fingerprint() -> None:
    by_release = "d22cb57dd0a7fa2827cff9cd862fc6751b945dd747fefc08606bc8c779b3cde7"
    assert statement.fingerprint_of(record(LINE, opening_minor=0, closing_minor=500)) == by_release


def test_what_does_not_add_up_is_refused() -> None:
    Given(statement.decider).when(record(LINE, opening_minor=100, closing_minor=400)).then_refused(
        "statement_unbalanced",
        detail="1.00 EUR and 5.00 EUR of lines are not 4.00 EUR: -2.00 EUR is missing; fetch the whole statement again",
    )
