"""Forgetting the customer of an account. Part of the account's decider.

Invariant: an account is forgotten only if no money is on it or held on it and no case holds it. From then on it is
closed: its state has nothing of the customer, no money moves on it, and each request of a payment is refused by an
event. History folds to the same state with the account's key and without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from oms_es.kernel import Refused
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import account_privacy as p
from oms_es.schemas.finance.refusals import FinanceRefusal
from oms_es.schemas.refusals import SharedRefusal
from oms_es.schemas.values.currency import to_text

CLOSED = "the account's customer was forgotten"
"""Why no payment is made from it or to it."""


def decided(
    opened: a.AccountOpened, balance: int, held: int, legal_holds: Mapping[str, bool], command: Any
) -> Iterator[a.AccountEvent]:
    """Decide a command about the customer of an account that was not forgotten."""
    match command:
        case p.ForgetAccount():
            yield _forget(opened, balance, held, legal_holds, command)
        case p.PlaceAccountLegalHold():
            yield from _place_hold(legal_holds, command)
        case p.LiftAccountLegalHold():
            yield from _lift_hold(legal_holds, command)


def _forget(
    opened: a.AccountOpened, balance: int, held: int, legal_holds: Mapping[str, bool], command: p.ForgetAccount
) -> a.AccountEvent:
    if not opened.customer_id:
        raise Refused(
            FinanceRefusal.NO_CUSTOMER, f"account {command.account_id} is of a channel, and names no customer to forget"
        )
    if balance or held:
        amounts = f"{to_text(balance, opened.currency)} is on it, of which {to_text(held, opened.currency)} is held"
        raise Refused(
            SharedRefusal.STILL_RUNNING,
            f"account {command.account_id} cannot be forgotten yet: {amounts}; end its holds and pay out the rest",
        )
    if cases := ", ".join(sorted(case_id for case_id, holds in legal_holds.items() if holds)):
        raise Refused(
            SharedRefusal.LEGAL_HOLD,
            f"account {command.account_id} cannot be forgotten: {cases} holds it; lift that first",
        )
    return p.AccountForgotten(**command.model_dump())


def _place_hold(legal_holds: Mapping[str, bool], command: p.PlaceAccountLegalHold) -> Iterator[a.AccountEvent]:
    if not legal_holds.get(command.case_id, True):
        raise Refused(
            SharedRefusal.LEGAL_HOLD_LIFTED,
            f"{command.case_id} held account {command.account_id} and was lifted: hold it by another case id",
        )
    if command.case_id not in legal_holds:
        yield p.AccountLegalHoldPlaced(**command.model_dump())


def _lift_hold(legal_holds: Mapping[str, bool], command: p.LiftAccountLegalHold) -> Iterator[a.AccountEvent]:
    if command.case_id not in legal_holds:
        raise Refused(
            SharedRefusal.NO_LEGAL_HOLD,
            f"{command.case_id} does not hold account {command.account_id}; name the case that does",
        )
    if legal_holds[command.case_id]:
        yield p.AccountLegalHoldLifted(**command.model_dump())


def refuse_afterwards(command: a.AccountCommand) -> None:
    """Raise Refused for a command that would use a forgotten account."""
    raise Refused(
        SharedRefusal.FORGOTTEN,
        f"account {command.account_id} was forgotten, and nothing is kept on it any more: open another",
    )
