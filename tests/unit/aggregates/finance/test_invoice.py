"""Invoice numbers have no gap."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dsl import Given
from oms_es.aggregates.finance import invoice
from oms_es.aggregates.finance.invoice import decider
from oms_es.processing.gateway_worker import AHEAD_MAX
from oms_es.schemas.finance import invoicing as v
from own_invoices import content, issued

CORRECT = v.CorrectInvoice(seller="ACME", year=2026, number=1, reason="another address")
ASKED = v.InvoiceCorrectionRequested(**CORRECT.model_dump())


def issue(movement: str = "capture/17", day: str = "2026-03-01", **said: object) -> v.IssueInvoice:
    of = content(movement, happened_on=day, **said)
    return v.IssueInvoice(seller="ACME", year=2026, prefix="A-", digits=6, keep_until="2036-12-31", content=of)


def test_a_document_gets_the_next_number() -> None:
    Given(decider).when(issue()).then(issued(1))
    Given(decider, issued(1)).when(issue("capture/20")).then(issued(2, movement="capture/20"))


def test_a_movement_has_one_document() -> None:
    Given(decider, issued(1)).when(issue()).then()
    Given(decider, issued(1)).when(issue(day="2026-04-01", currency="USD")).then()


@pytest.mark.parametrize("said", [{"prefix": "A" * 21}, {"prefix": "A B"}, {"digits": 0}, {"digits": 10}])
def test_a_number_is_written_as_a_seller_may_have_it(said: dict[str, Any]) -> None:
    whole: dict[str, Any] = {"seller": "ACME", "year": 2026, "keep_until": "2036-12-31", "content": content()}
    v.IssueInvoice(**whole, prefix="A" * 20, digits=9)
    with pytest.raises(ValidationError):
        v.IssueInvoice(**whole, **said)


def test_days_rise_with_the_numbers() -> None:
    later = issued(2, movement="capture/9", happened_on="2026-02-28").model_copy(update={"issued_on": "2026-03-01"})
    Given(decider, issued(1)).when(issue("capture/9", "2026-02-28")).then(later)


def test_a_mistaken_document_is_to_be_cancelled_once() -> None:
    Given(decider, issued(1)).when(CORRECT).then(ASKED)
    Given(decider, issued(1), ASKED).when(CORRECT).then()
    Given(decider, issued(1), ASKED).when(CORRECT.model_copy(update={"reason": "again"})).then()


def test_a_number_that_was_not_given_is_not_corrected() -> None:
    Given(decider).when(CORRECT).then_refused("unknown_invoice")
    Given(decider, issued(1)).when(CORRECT.model_copy(update={"number": 2})).then_refused("unknown_invoice")


def test_what_cancels_a_document_stays() -> None:
    cancels = issued(2, movement="cancellation/30", kind="credit_note", corrects="A-2026-000001")
    Given(decider, issued(1), ASKED, cancels).when(CORRECT.model_copy(update={"number": 2})).then_refused(
        "invoice_cancels"
    )
    again = issued(3, movement="replacement/30")
    third = CORRECT.model_copy(update={"number": 3})
    asked = v.InvoiceCorrectionRequested(**third.model_dump())
    Given(decider, issued(1), ASKED, cancels, again).when(third).then(asked)


@given(st.lists(st.sampled_from([f"capture/{n}" for n in range(8)]), max_size=40))
def test_however_often_movements_come_each_number_is_given_once_and_none_is_left_out(movements: Sequence[str]) -> None:
    state, given_out = decider.initial, []
    for movement in movements:
        for event in decider.decide(state, issue(movement)):
            assert isinstance(event, v.InvoiceIssued)
            given_out.append((event.number, event.movement))
            state = decider.evolve(state, event)
    firsts = list(dict.fromkeys(movements))
    assert given_out == list(enumerate(firsts, 1))
    assert decider.dump is not None
    assert decider.restore is not None
    assert decider.restore(json.loads(json.dumps(decider.dump(state)))) == state


def test_more_is_remembered_than_a_gateway_asks_again() -> None:
    assert invoice.REMEMBERED_MAX > AHEAD_MAX


def test_of_what_is_not_remembered_the_oldest_goes_first() -> None:
    remembered, invoice.REMEMBERED_MAX = invoice.REMEMBERED_MAX, 2
    try:
        state = decider.initial
        for number in (1, 2, 3):
            state = decider.evolve(state, issued(number, movement=f"capture/{number}"))
    finally:
        invoice.REMEMBERED_MAX = remembered
    assert dict(state.numbers.items()) == {"capture/2": 2, "capture/3": 3}
    assert state.following == 4
