"""Accounts of customers: no more is granted than the balance."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json, to_json

from dsl import Given
from oms_es.aggregates.finance import account, account_state
from oms_es.schemas.finance import account as a
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX

OF: Any = {"account_id": "ACME-1"}
OPENED = a.AccountOpened(**OF, kind="deposit", channel="shop", currency="EUR", customer_id="C-1")
OPEN = a.OpenAccount(**OF, kind="deposit", channel="shop", currency="EUR", customer_id="C-1")
PAID_IN = a.CreditAccount(**OF, entry_id="in-1", amount_minor=1000, reference="SEPA-7")


def entry(event: type[Any], number: int, amount: int, balance: int, held: int, **more: Any) -> Any:
    there = {"balance_minor": balance, "held_minor": held}
    return event(**OF, number=number, amount_minor=amount, currency="EUR", **there, **more)


CREDITED = entry(a.AccountCredited, 1, 1000, 1000, 0, entry_id="in-1", method="bank", reference="SEPA-7")
PAYMENT: Any = {"payment_id": "o.1", "order_id": "o"}


def asked(shape: type[Any], amount: int, part: str = "", **more: Any) -> Any:
    return shape(**OF, **PAYMENT, amount_minor=amount, currency="EUR", part=part, **more)


WHOSE: Any = {"channel": "shop", "customer_id": "C-1"}
HELD = entry(a.AccountHeld, 2, 600, 1000, 600, hold_id="o.1", **PAYMENT)
THERE = (OPENED, CREDITED)


def test_an_account_is_opened_once() -> None:
    Given(account.decider).when(OPEN).then(OPENED)
    Given(account.decider, OPENED).when(OPEN).then()
    other = OPEN.model_copy(update={"currency": "USD"})
    Given(account.decider, OPENED).when(other).then_refused("id_reused")


def test_money_is_paid_in_once_and_not_beyond_the_limit() -> None:
    Given(account.decider, OPENED).when(PAID_IN).then(CREDITED)
    Given(account.decider, OPENED, *account.decider.decide(_state(OPENED), PAID_IN)).when(PAID_IN).then()
    Given(account.decider).when(PAID_IN).then_refused("unknown_account")
    limited = a.AccountLimitsSet(**OF, top_up_below_minor=0, balance_max_minor=1500)
    more = PAID_IN.model_copy(update={"entry_id": "in-2", "amount_minor": 501})
    Given(account.decider, *THERE, limited).when(more).then_refused("balance_limit")


def test_the_same_name_with_another_amount_is_refused() -> None:
    paid_in = tuple(account.decider.decide(_state(OPENED), PAID_IN))
    other = PAID_IN.model_copy(update={"amount_minor": 999})
    Given(account.decider, OPENED, *paid_in).when(other).then_refused("id_reused")


def test_what_is_available_is_paid_out_and_no_more() -> None:
    out = a.DebitAccount(**OF, entry_id="out-1", amount_minor=400)
    paid_out = entry(a.AccountDebited, 3, 400, 600, 600, entry_id="out-1", method="bank")
    Given(account.decider, *THERE, HELD).when(out).then(paid_out)
    more = out.model_copy(update={"amount_minor": 401})
    Given(account.decider, *THERE, HELD).when(more).then_refused("insufficient_balance")


def test_a_hold_by_hand_is_applied_or_released() -> None:
    hold = a.HoldAccount(**OF, hold_id="h", amount_minor=300, reason="damage")
    held = entry(a.AccountHeld, 2, 300, 1000, 300, hold_id="h", reason="damage")
    Given(account.decider, *THERE).when(hold).then(held)
    apply = a.ApplyAccountHold(**OF, hold_id="h", entry_id="penalty", amount_minor=200)
    applied = entry(a.AccountHoldApplied, 3, 200, 800, 100, hold_id="h", entry_id="penalty")
    Given(account.decider, *THERE, held).when(apply).then(applied)
    Given(account.decider, *THERE, held, applied).when(apply.model_copy(update={"entry_id": "more"})).then_refused(
        "insufficient_balance"
    )
    release = a.ReleaseAccountHold(**OF, hold_id="h")
    released = entry(a.AccountHoldReleased, 4, 100, 800, 0, hold_id="h")
    Given(account.decider, *THERE, held, applied).when(release).then(released)
    Given(account.decider, *THERE, held, applied, released).when(release).then()
    Given(account.decider, *THERE).when(release).then_refused("unknown_hold")


def test_a_hold_of_a_payment_is_not_touched_by_hand() -> None:
    release = a.ReleaseAccountHold(**OF, hold_id="o.1")
    Given(account.decider, *THERE, HELD).when(release).then_refused("hold_of_payment")


def test_a_payment_is_held_once_or_refused_by_an_event_once() -> None:
    hold = asked(a.HoldForPayment, 600, **WHOSE)
    Given(account.decider, *THERE).when(hold).then(HELD)
    Given(account.decider, *THERE, HELD).when(hold).then()
    too_much = asked(a.HoldForPayment, 1001, **WHOSE)
    refused = refusal("hold", 1001, "there is not so much on the account", retriable=True)
    Given(account.decider, *THERE).when(too_much).then(refused)
    Given(account.decider, *THERE, refused).when(too_much).then()


def refusal(operation: Any, amount: int, reason: str, **more: Any) -> a.AccountPaymentRefused:
    said = {"amount_minor": amount, "currency": "EUR", "reason": reason}
    return a.AccountPaymentRefused(**OF, **PAYMENT, operation=operation, **said, **more)


def test_an_account_pays_for_no_other_customer_nor_channel() -> None:
    of_another = refusal("hold", 1, "the account is another customer's")
    for whose in ({"channel": "shop", "customer_id": "C-2"}, {"channel": "web", "customer_id": "C-1"}):
        Given(account.decider, *THERE).when(asked(a.HoldForPayment, 1, **whose)).then(of_another)
    of_the_channel = OPENED.model_copy(update={"customer_id": ""})
    anyone = asked(a.HoldForPayment, 600, channel="shop", customer_id="C-9")
    Given(account.decider, of_the_channel, CREDITED).when(anyone).then(HELD)


def test_what_is_held_for_a_payment_is_taken_in_parts_and_the_rest_released() -> None:
    first = entry(a.AccountHoldApplied, 3, 400, 600, 200, hold_id="o.1", entry_id="o.1/s-1", part="s-1", **PAYMENT)
    Given(account.decider, *THERE, HELD).when(asked(a.ApplyForPayment, 400, "s-1")).then(first)
    Given(account.decider, *THERE, HELD, first).when(asked(a.ApplyForPayment, 400, "s-1")).then()
    more = asked(a.ApplyForPayment, 201, "s-2")
    refused = refusal("apply", 201, "the account does not hold so much for this payment", part="s-2")
    Given(account.decider, *THERE, HELD, first).when(more).then(refused)
    rest = entry(a.AccountHoldReleased, 4, 200, 600, 0, hold_id="o.1", **PAYMENT)
    Given(account.decider, *THERE, HELD, first).when(asked(a.ReleaseForPayment, 200)).then(rest)


def test_what_a_payment_gives_back_comes_onto_the_account_once() -> None:
    back = asked(a.CreditFromPayment, 250, "r-1")
    credited = entry(a.AccountCredited, 2, 250, 1250, 0, entry_id="o.1/r-1", part="r-1", **PAYMENT)
    Given(account.decider, *THERE).when(back).then(credited)
    Given(account.decider, *THERE, credited).when(back).then()
    in_dollars = back.model_copy(update={"currency": "USD"})
    refused = refusal("credit", 250, "the account is in EUR", part="r-1").model_copy(update={"currency": "USD"})
    Given(account.decider, *THERE).when(in_dollars).then(refused)


def test_an_account_that_runs_low_says_so_once_and_once_when_it_is_topped_up() -> None:
    limit = a.LimitAccount(**OF, top_up_below_minor=500)
    limits = a.AccountLimitsSet(**OF, top_up_below_minor=500, balance_max_minor=None)
    Given(account.decider, *THERE).when(limit).then(limits)
    Given(account.decider, *THERE, limits).when(limit).then()
    low = a.AccountRanLow(**OF, available_minor=400, top_up_below_minor=500, currency="EUR")
    Given(account.decider, *THERE, limits).when(asked(a.HoldForPayment, 600, **WHOSE)).then(HELD, low)
    more = PAID_IN.model_copy(update={"entry_id": "in-2", "amount_minor": 50})
    again = entry(a.AccountCredited, 3, 50, 1050, 600, entry_id="in-2", method="bank", reference="SEPA-7")
    Given(account.decider, *THERE, limits, HELD, low).when(more).then(again)
    enough = more.model_copy(update={"entry_id": "in-3"})
    third = entry(a.AccountCredited, 4, 50, 1100, 600, entry_id="in-3", method="bank", reference="SEPA-7")
    topped_up = a.AccountToppedUp(**OF, available_minor=500, currency="EUR")
    Given(account.decider, *THERE, limits, HELD, low, again).when(enough).then(third, topped_up)


def test_an_account_that_was_topped_up_says_again_that_it_runs_low() -> None:
    limits = a.AccountLimitsSet(**OF, top_up_below_minor=500, balance_max_minor=None)
    low = a.AccountRanLow(**OF, available_minor=400, top_up_below_minor=500, currency="EUR")
    more = entry(a.AccountCredited, 3, 600, 1600, 600, entry_id="in-2", method="bank")
    topped_up = a.AccountToppedUp(**OF, available_minor=1000, currency="EUR")
    out = a.DebitAccount(**OF, entry_id="out", amount_minor=600)
    paid_out = entry(a.AccountDebited, 4, 600, 1000, 600, entry_id="out", method="bank")
    given = Given(account.decider, *THERE, limits, HELD, low, more, topped_up)
    given.when(out).then(paid_out, low)
    assert given.state.low is False


def test_an_account_takes_up_to_its_limit_to_the_cent_and_says_how_much_more() -> None:
    limited = a.AccountLimitsSet(**OF, top_up_below_minor=0, balance_max_minor=1500)
    given = Given(account.decider, *THERE, limited)
    room = PAID_IN.model_copy(update={"entry_id": "in-2", "amount_minor": 500})
    given.when(room).then(entry(a.AccountCredited, 2, 500, 1500, 0, entry_id="in-2", method="bank", reference="SEPA-7"))
    more = room.model_copy(update={"amount_minor": 501})
    given.when(more).then_refused("balance_limit", "at most 5.00 EUR more may be on the account")
    lowered = a.AccountLimitsSet(**OF, top_up_below_minor=0, balance_max_minor=900)
    Given(account.decider, *THERE, lowered).when(more).then_refused("balance_limit", "at most 0.00 EUR more")


def test_a_hold_by_hand_is_taken_whole_and_what_is_available_is_named() -> None:
    held = entry(a.AccountHeld, 2, 300, 1000, 300, hold_id="h")
    whole = a.ApplyAccountHold(**OF, hold_id="h", entry_id="penalty", amount_minor=300, reason="it was broken")
    applied = entry(a.AccountHoldApplied, 3, 300, 700, 0, hold_id="h", entry_id="penalty", reason="it was broken")
    Given(account.decider, *THERE, held).when(whole).then(applied)
    out = a.DebitAccount(**OF, entry_id="out", amount_minor=701, reason="paid out")
    Given(account.decider, *THERE, held).when(out).then_refused(
        "insufficient_balance", "7.00 EUR is available, not 7.01"
    )
    allowed = out.model_copy(update={"amount_minor": 700})
    paid_out = entry(a.AccountDebited, 3, 700, 300, 300, entry_id="out", method="bank", reason="paid out")
    Given(account.decider, *THERE, held).when(allowed).then(paid_out)


def test_an_account_is_full_only_when_a_greater_balance_could_not_be_kept() -> None:
    full = entry(a.AccountCredited, 2, AMOUNT_MINOR_MAX - 1000, AMOUNT_MINOR_MAX - 10, 0, entry_id="much")
    given = Given(account.decider, OPENED, full)
    last = entry(a.AccountCredited, 3, 10, AMOUNT_MINOR_MAX, 0, entry_id="o.1/r-1", part="r-1", **PAYMENT)
    given.when(asked(a.CreditFromPayment, 10, "r-1")).then(last)
    refused = refusal("credit", 11, "the account is full", part="r-1")
    given.when(asked(a.CreditFromPayment, 11, "r-1")).then(refused)


def test_a_payment_may_hold_all_that_is_available_and_not_under_the_name_of_another_hold() -> None:
    all_of_it = entry(a.AccountHeld, 2, 1000, 1000, 1000, hold_id="o.1", **PAYMENT)
    Given(account.decider, *THERE).when(asked(a.HoldForPayment, 1000, **WHOSE)).then(all_of_it)
    by_hand = entry(a.AccountHeld, 2, 300, 1000, 300, hold_id="o.1")
    refused = refusal("hold", 100, "a hold has the name of this payment")
    Given(account.decider, *THERE, by_hand).when(asked(a.HoldForPayment, 100, **WHOSE)).then(refused)


def test_nothing_is_taken_for_a_payment_that_holds_nothing_here() -> None:
    by_hand = entry(a.AccountHeld, 2, 300, 1000, 300, hold_id="o.1")
    refused = refusal("apply", 1, "the account does not hold so much for this payment")
    for there in (THERE, (*THERE, by_hand)):
        Given(account.decider, *there).when(asked(a.ApplyForPayment, 1)).then(refused)


def _asked_by_hand() -> list[Any]:
    """Return the events of two holds by hand, of which one is taken in part and the other released, and of a payment
    out."""
    events: list[Any] = [OPENED]
    for command in (
        PAID_IN,
        a.HoldAccount(**OF, hold_id="h", amount_minor=300),
        a.HoldAccount(**OF, hold_id="i", amount_minor=100),
        a.ApplyAccountHold(**OF, hold_id="h", entry_id="penalty", amount_minor=200),
        a.ReleaseAccountHold(**OF, hold_id="i"),
        a.DebitAccount(**OF, entry_id="out", amount_minor=50),
    ):
        events += account.decider.decide(_state(*events), command)
    return events


def test_an_id_stands_for_one_entry_also_after_its_hold_was_released() -> None:
    given = Given(account.decider, *_asked_by_hand())
    for hold_id, amount in (("h", 300), ("i", 100)):
        hold = a.HoldAccount(**OF, hold_id=hold_id, amount_minor=amount)
        given.when(hold).then()
        given.when(hold.model_copy(update={"amount_minor": amount + 1})).then_refused("id_reused")
    out = a.DebitAccount(**OF, entry_id="penalty", amount_minor=200)
    given.when(out).then_refused("id_reused", "it names what ApplyAccountHold did")


def test_an_account_is_kept_whole_in_a_snapshot() -> None:
    """Its holds, with whose they are, the requests that were answered and what was asked under each id."""
    of_payment = entry(a.AccountHeld, 7, 9, 750, 109, hold_id="o.1", **PAYMENT)
    state = _state(*_asked_by_hand(), of_payment)
    kept = from_json(to_json(account_state.dump(state)))
    assert account_state.restore(kept) == state
    assert sorted(account_state.restore(kept).holds.items()) == [("h", (100, "")), ("i", (0, "")), ("o.1", (9, "o.1"))]
    assert (
        account_state.restore(from_json(to_json(account_state.dump(account_state.Account()))))
        == account_state.Account()
    )


def _state(*events: Any) -> account_state.Account:
    return Given(account.decider, *events).state  # type: ignore[no-any-return] # of this decider
