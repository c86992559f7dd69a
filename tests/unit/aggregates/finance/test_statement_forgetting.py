"""What the lines of a statement say of people is forgotten once, and not while a case holds it."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json, to_json

from dsl import Given
from oms_es.aggregates.finance import statement
from oms_es.schemas.finance import statement as f
from oms_es.schemas.finance import statement_privacy as ps
from oms_es.schemas.values.parts import parts_of, put_back, take_out, without_personal

OF: Any = {"account": "bank", "statement_id": "7"}
SAID: Any = {**OF, "currency": "EUR"}
DAYS: Any = {"opened_on": "2026-01-01", "closed_on": "2026-01-31"}
BATCH = f.StatementPart(amount_minor=1, references=("R-1",), text="of Grace Hopper")
LINES = (
    f.StatementLine(kind="transfer", booked_on="2026-01-02", amount_minor=5, references=("R-0",), text="Ada DE1234"),
    f.StatementLine(kind="transfer", booked_on="2026-01-03", amount_minor=1),
    f.StatementLine(kind="transfer", booked_on="2026-01-04", amount_minor=1, parts=(BATCH, BATCH)),
)
RECORD = f.RecordStatement(**SAID, **DAYS, format="mt940", document_sha256="0" * 64, lines=LINES)
HISTORY = tuple(statement.decider.decide(statement.Statement(), RECORD))
FORGET = ps.ForgetStatement(**OF, reason="retention")
FORGOTTEN = ps.StatementForgotten(**SAID, reason="retention")
HOLD = ps.PlaceStatementLegalHold(**OF, case_id="court-7", reason="dispute")
HELD = ps.StatementLegalHoldPlaced(**SAID, case_id="court-7", reason="dispute")
LIFT = ps.LiftStatementLegalHold(**OF, case_id="court-7")
LIFTED = ps.StatementLegalHoldLifted(**SAID, case_id="court-7")


def test_it_is_forgotten_once_and_its_import_is_still_known() -> None:
    Given(statement.decider, *HISTORY).when(FORGET).then(FORGOTTEN)
    Given(statement.decider, *HISTORY, FORGOTTEN).when(FORGET).then()
    Given(statement.decider, *HISTORY, FORGOTTEN).when(RECORD).then()
    other = RECORD.model_copy(update={"lines": LINES[:1]})
    Given(statement.decider, *HISTORY, FORGOTTEN).when(other).then_refused("statement_differs")
    Given(statement.decider).when(FORGET).then_refused("unknown_statement")


def test_a_case_holds_it_once_until_it_is_lifted() -> None:
    Given(statement.decider, *HISTORY).when(HOLD).then(HELD)
    Given(statement.decider, *HISTORY, HELD).when(HOLD).then()
    Given(statement.decider, *HISTORY, HELD).when(FORGET).then_refused("legal_hold", "court-7 holds it")
    Given(statement.decider, *HISTORY, HELD).when(LIFT).then(LIFTED)
    Given(statement.decider, *HISTORY, HELD, LIFTED).when(LIFT).then()
    Given(statement.decider, *HISTORY, HELD, LIFTED).when(HOLD).then_refused("legal_hold_lifted")
    Given(statement.decider, *HISTORY, HELD, LIFTED).when(FORGET).then(FORGOTTEN)
    Given(statement.decider, *HISTORY).when(LIFT).then_refused("no_legal_hold")
    Given(statement.decider, *HISTORY, FORGOTTEN).when(HOLD).then_refused("forgotten")


def test_of_each_line_and_of_each_of_its_parts_the_text_alone_is_taken_out_and_comes_back() -> None:
    recorded = HISTORY[1]
    body = from_json(to_json(recorded))
    taken = take_out(body, parts_of(type(recorded)))
    assert taken == {
        "lines.0.text": "Ada DE1234",
        "lines.2.parts.0.text": "of Grace Hopper",
        "lines.2.parts.1.text": "of Grace Hopper",
    }
    placeholders = without_personal(recorded)
    assert type(recorded).model_validate(body) == placeholders
    assert "Ada" not in repr(placeholders)
    assert "R-0" in repr(placeholders)
    assert without_personal(placeholders) is placeholders
    put_back(body, taken)
    assert body == from_json(to_json(recorded))
