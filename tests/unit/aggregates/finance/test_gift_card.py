"""Gift cards: a card pays for orders that its code was given for, and for nothing once it is blocked or has expired."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json

from dsl import Given
from oms_es.aggregates.finance import account, account_state
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import gift_card as g

OF: Any = {"account_id": "CARD-1"}
ENDS, LATER = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
BEFORE = datetime(2026, 6, 1, tzinfo=UTC)
ISSUE = g.IssueGiftCard(**OF, channel="shop", currency="EUR", expires_at=ENDS, on_expiry="income")
OPENED = a.AccountOpened(**OF, kind="gift_card", channel="shop", currency="EUR")
ISSUED = (OPENED, g.GiftCardIssued(**OF, expires_at=ENDS, on_expiry="income"))
HASH, OTHER = "a" * 64, "b" * 64
CODED = g.GiftCardCodeSet(**OF, code_hash=HASH)
SHOW = g.SetGiftCardCode(**OF, code_hash=HASH)
PRESENT = g.PresentGiftCard(**OF, code_hash=HASH, order_id="o", now=BEFORE)
PRESENTED = g.GiftCardPresented(**OF, order_id="o")
PAYMENT: Any = {"payment_id": "o.1", "order_id": "o"}
HOLD = a.HoldForPayment(**OF, **PAYMENT, amount_minor=600, currency="EUR", channel="shop")
EXPIRE = g.ExpireGiftCard(**OF, now=ENDS)
EXPIRED = g.GiftCardExpired(**OF)


def entry(event: type[Any], number: int, amount: int, balance: int, held: int, **more: Any) -> Any:
    there = {"balance_minor": balance, "held_minor": held}
    return event(**OF, number=number, amount_minor=amount, currency="EUR", **there, **more)


PAID_IN = entry(a.AccountCredited, 1, 1000, 1000, 0, entry_id="sale", method="card")
HELD = entry(a.AccountHeld, 2, 600, 1000, 600, hold_id="o.1", **PAYMENT)
ACTIVE = (*ISSUED, PAID_IN, CODED)


def refused(reason: str) -> a.AccountPaymentRefused:
    said: Any = {"operation": "hold", "amount_minor": 600, "currency": "EUR", "reason": reason, "retriable": True}
    return a.AccountPaymentRefused(**OF, **PAYMENT, **said)


def test_a_card_is_issued_once() -> None:
    Given(account.decider).when(ISSUE).then(*ISSUED)
    Given(account.decider, *ISSUED).when(ISSUE).then()
    Given(account.decider, *ISSUED).when(ISSUE.model_copy(update={"currency": "USD"})).then_refused("id_reused")
    other = a.AccountOpened(**OF, kind="deposit", channel="shop", currency="EUR")
    Given(account.decider, other).when(ISSUE).then_refused("id_reused")


def test_its_code_is_set_once_and_replaced_on_request() -> None:
    Given(account.decider, *ISSUED).when(SHOW).then(CODED)
    Given(account.decider, *ISSUED, CODED).when(SHOW).then()
    other = SHOW.model_copy(update={"code_hash": OTHER})
    Given(account.decider, *ISSUED, CODED).when(other).then_refused("code_shown")
    replaced = g.GiftCardCodeSet(**OF, code_hash=OTHER)
    Given(account.decider, *ISSUED, CODED).when(other.model_copy(update={"replace": True})).then(replaced)
    plain = a.AccountOpened(**OF, kind="deposit", channel="shop", currency="EUR")
    Given(account.decider, plain).when(SHOW).then_refused("no_gift_card")
    Given(account.decider).when(SHOW).then_refused("unknown_account")


def test_it_is_presented_for_an_order_with_its_code_only() -> None:
    Given(account.decider, *ACTIVE).when(PRESENT).then(PRESENTED)
    Given(account.decider, *ACTIVE, PRESENTED).when(PRESENT).then()
    wrong = PRESENT.model_copy(update={"code_hash": OTHER})
    Given(account.decider, *ACTIVE).when(wrong).then_refused("wrong_code")
    Given(account.decider, *ISSUED).when(PRESENT).then_refused("wrong_code")
    blocked = g.AccountBlocked(**OF)
    Given(account.decider, *ACTIVE, blocked).when(PRESENT).then_refused("card_not_usable", "is blocked")
    late = PRESENT.model_copy(update={"now": ENDS})
    Given(account.decider, *ACTIVE).when(late).then_refused("card_not_usable", "has expired")


def test_it_pays_only_for_orders_that_its_present_code_was_given_for() -> None:
    Given(account.decider, *ACTIVE, PRESENTED).when(HOLD).then(HELD)
    not_given = refused("the code of the gift card was not given for this order")
    Given(account.decider, *ACTIVE).when(HOLD).then(not_given)
    replaced = g.GiftCardCodeSet(**OF, code_hash=OTHER)
    Given(account.decider, *ACTIVE, PRESENTED, replaced).when(HOLD).then(not_given)
    split: Any = {"order_id": "o~2", "payment_id": "o~2.1"}
    of_split = HOLD.model_copy(update=split | {"joined_from": ("o",)})
    held = HELD.model_copy(update=split | {"hold_id": "o~2.1"})
    Given(account.decider, *ACTIVE, PRESENTED).when(of_split).then(held)


def test_nothing_is_paid_from_a_blocked_account_and_what_is_held_is_taken() -> None:
    block, blocked = g.BlockAccount(**OF, reason="lost"), g.AccountBlocked(**OF, reason="lost")
    Given(account.decider, *ACTIVE).when(block).then(blocked)
    Given(account.decider, *ACTIVE, blocked).when(block).then()
    Given(account.decider, *ACTIVE, PRESENTED, blocked).when(HOLD).then(refused("the account is blocked"))
    out = a.DebitAccount(**OF, entry_id="out", amount_minor=1)
    Given(account.decider, *ACTIVE, blocked).when(out).then_refused("account_blocked")
    said: Any = {**PAYMENT, "part": "1", "amount_minor": 600}
    taken = a.ApplyForPayment(**OF, **said, currency="EUR")
    applied = entry(a.AccountHoldApplied, 3, 600, 400, 0, hold_id="o.1", entry_id="o.1/1", part="1", **PAYMENT)
    Given(account.decider, *ACTIVE, PRESENTED, HELD, blocked).when(taken).then(applied)
    Given(account.decider, *ACTIVE, blocked).when(g.UnblockAccount(**OF)).then(g.AccountUnblocked(**OF))
    Given(account.decider, *ACTIVE).when(g.UnblockAccount(**OF)).then()


def test_an_expired_card_pays_nothing_and_its_rest_is_income_or_stays() -> None:
    rest = entry(g.GiftCardForfeited, 2, 1000, 0, 0)
    Given(account.decider, *ACTIVE).when(EXPIRE).then(EXPIRED, rest)
    Given(account.decider, *ACTIVE, EXPIRED, rest).when(EXPIRE).then()
    Given(account.decider, *ACTIVE).when(EXPIRE.model_copy(update={"now": BEFORE})).then()
    held = entry(g.GiftCardForfeited, 3, 400, 600, 600)
    Given(account.decider, *ACTIVE, PRESENTED, HELD).when(EXPIRE).then(EXPIRED, held)
    stays = g.GiftCardIssued(**OF, expires_at=ENDS, on_expiry="stays")
    Given(account.decider, OPENED, stays, PAID_IN, CODED).when(EXPIRE).then(EXPIRED)
    Given(account.decider, *ACTIVE, PRESENTED, EXPIRED).when(HOLD).then(refused("the gift card has expired"))


def test_a_card_is_extended_also_once_it_has_expired() -> None:
    extend, extended = g.ExtendGiftCard(**OF, expires_at=LATER), g.GiftCardExtended(**OF, expires_at=LATER)
    Given(account.decider, *ACTIVE).when(extend).then(extended)
    Given(account.decider, *ACTIVE, extended).when(extend).then()
    Given(account.decider, *ACTIVE, extended).when(EXPIRE).then()
    Given(account.decider, *ACTIVE, EXPIRED, extended, PRESENTED).when(HOLD).then(HELD)
    deposit = a.AccountOpened(**OF, kind="deposit", channel="shop", currency="EUR")
    Given(account.decider, deposit).when(extend).then_refused("no_gift_card")


def test_its_state_is_the_same_after_a_snapshot_and_an_older_snapshot_has_no_card() -> None:
    state = account.decider.initial
    for event in (*ACTIVE, PRESENTED, g.AccountBlocked(**OF)):
        state = account.decider.evolve(state, event)
    kept = from_json(to_json(account_state.dump(state)))
    assert account_state.restore(kept) == state
    older = {name: value for name, value in kept.items() if name not in ("card", "blocked")}
    assert account_state.restore(older) == state._replace(card=None, blocked=False)
