"""The customer of an account is forgotten once no money is on it, once, and nothing is kept on it afterwards."""

from __future__ import annotations

from functools import reduce
from typing import Any

from dsl import Given
from oms_es.aggregates.finance import account, account_state
from oms_es.kernel import Event
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import account_privacy as p
from oms_es.schemas.values.parts import without_personal

OF: Any = {"account_id": "ACME-1"}
OPENED = a.AccountOpened(**OF, kind="deposit", channel="shop", currency="EUR", customer_id="C-1")
CREDIT = a.CreditAccount(**OF, entry_id="in-1", amount_minor=1000)
DEBIT = a.DebitAccount(**OF, entry_id="out-1", amount_minor=1000)
FORGET = p.ForgetAccount(**OF, reason="request", case_id="dsr-1")
FORGOTTEN = p.AccountForgotten(**OF, reason="request", case_id="dsr-1")
HOLD = p.PlaceAccountLegalHold(**OF, case_id="court-7", reason="dispute")
HELD = p.AccountLegalHoldPlaced(**OF, case_id="court-7", reason="dispute")
LIFT = p.LiftAccountLegalHold(**OF, case_id="court-7")
LIFTED = p.AccountLegalHoldLifted(**OF, case_id="court-7")
PAYMENT: Any = {"payment_id": "o.1", "order_id": "o", "amount_minor": 5, "currency": "EUR"}


def after(*commands: a.AccountCommand) -> list[Event]:
    """Return the history of an account that was opened, after these commands."""
    history: list[Event] = [OPENED]
    for command in commands:
        history += account.decider.decide(reduce(account.decider.evolve, history, account_state.Account()), command)
    return history


def test_it_is_forgotten_once_and_nothing_happens_when_it_is_asked_again() -> None:
    Given(account.decider, OPENED).when(FORGET).then(FORGOTTEN)
    Given(account.decider, OPENED, FORGOTTEN).when(FORGET).then()
    Given(account.decider).when(FORGET).then_refused("unknown_account")


def test_it_is_refused_while_money_is_on_it_or_held_and_says_how_much() -> None:
    Given(account.decider, *after(CREDIT)).when(FORGET).then_refused(
        "still_running", "10.00 EUR is on it, of which 0.00 EUR is held"
    )
    hold = a.HoldAccount(**OF, hold_id="h", amount_minor=400)
    Given(account.decider, *after(CREDIT, hold)).when(FORGET).then_refused(
        "still_running", "10.00 EUR is on it, of which 4.00 EUR is held"
    )
    Given(account.decider, *after(CREDIT, DEBIT)).when(FORGET).then(FORGOTTEN)


def test_an_account_of_a_channel_has_no_customer_to_forget() -> None:
    of_channel = OPENED.model_copy(update={"customer_id": ""})
    Given(account.decider, of_channel).when(FORGET).then_refused("no_customer")


def test_a_case_holds_it_once_until_it_is_lifted() -> None:
    Given(account.decider, OPENED).when(HOLD).then(HELD)
    Given(account.decider, OPENED, HELD).when(HOLD).then()
    Given(account.decider, OPENED, HELD).when(FORGET).then_refused("legal_hold", "court-7 holds it")
    Given(account.decider, OPENED, HELD).when(LIFT).then(LIFTED)
    Given(account.decider, OPENED, HELD, LIFTED).when(LIFT).then()
    Given(account.decider, OPENED, HELD, LIFTED).when(FORGET).then(FORGOTTEN)
    Given(account.decider, OPENED, HELD, LIFTED).when(HOLD).then_refused("legal_hold_lifted")
    Given(account.decider, OPENED).when(LIFT).then_refused("no_legal_hold")
    Given(account.decider, OPENED, FORGOTTEN).when(HOLD).then_refused("forgotten")


def test_nothing_is_kept_on_it_afterwards_and_what_was_done_before_is_known() -> None:
    used = Given(account.decider, *after(CREDIT, DEBIT, FORGET))
    for repeat in (CREDIT, DEBIT, FORGET):
        used.when(repeat).then()
    more = CREDIT.model_copy(update={"entry_id": "in-2"})
    opened = a.OpenAccount(**OF, kind="deposit", channel="shop", currency="EUR", customer_id="C-2")
    limited = a.LimitAccount(**OF, top_up_below_minor=1)
    for command in (more, opened, limited):
        used.when(command).then_refused("forgotten")


def test_each_request_of_a_payment_is_refused_by_an_event_afterwards() -> None:
    refused: Any = {**OF, **PAYMENT, "reason": "the account's customer was forgotten", "retriable": False}
    back = a.CreditFromPayment(**OF, **PAYMENT, part="r-1")
    Given(account.decider, OPENED, FORGOTTEN).when(back).then(
        a.AccountPaymentRefused(**refused, operation="credit", part="r-1")
    )
    for customer_id in ("C-1", ""):
        hold = a.HoldForPayment(**OF, **PAYMENT, channel="shop", customer_id=customer_id)
        Given(account.decider, OPENED, FORGOTTEN).when(hold).then(a.AccountPaymentRefused(**refused, operation="hold"))


def test_nothing_of_the_customer_stays_in_its_state_and_it_is_what_placeholders_come_to() -> None:
    history = [OPENED, HELD, LIFTED, FORGOTTEN]
    state = reduce(account.decider.evolve, history, account_state.Account())
    assert "C-1" not in repr(state)
    assert state == reduce(account.evolve, map(without_personal, history), account_state.Account())
