"""One account of a customer.

Invariant: 0 <= held <= balance, at every version; no more is granted than was paid in. The stream is the lock, however
many payments ask at once. If a payment cannot have the amount that it asks for, the refusal is an event; repeats decide
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

from oms_es.aggregates.finance import account_forgetting, gift_card
from oms_es.aggregates.finance.account_state import Account, Hold, dump, entry, in_words, restore
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Decider, Refused
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import account_privacy as p
from oms_es.schemas.finance import gift_card as g
from oms_es.schemas.finance.refusals import FinanceRefusal
from oms_es.schemas.refusals import SharedRefusal
from oms_es.schemas.values.parts import without_personal
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX

OPERATIONS: dict[type[a.AccountEntry], str] = {
    a.AccountCredited: "credit",
    a.AccountHeld: "hold",
    a.AccountHoldApplied: "apply",
    a.AccountHoldReleased: "release",
}
"""The operation, as payments name it, by the event that grants it."""


def evolve(account: Account, event: a.AccountEvent) -> Account:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case a.AccountOpened():
            return account._replace(opened=event)
        case a.AccountLimitsSet():
            return account._replace(top_up_below=event.top_up_below_minor, balance_max=event.balance_max_minor)
        case a.AccountEntry():
            return _entered(account, event)
        case a.AccountPaymentRefused():
            return account._replace(answered=account.answered.insert((event.operation, event.payment_id, event.part)))
        case a.AccountRanLow():
            return account._replace(low=True)
        case a.AccountToppedUp():
            return account._replace(low=False)
        case p.AccountLegalHoldPlaced() | p.AccountLegalHoldLifted():
            in_force = isinstance(event, p.AccountLegalHoldPlaced)
            return account._replace(legal_holds=account.legal_holds.insert(event.case_id, in_force))
        case p.AccountForgotten():
            return account._replace(opened=account.opened and without_personal(account.opened), forgotten=True)
    return gift_card.evolve(account, event)


def decide(account: Account, command: a.AccountCommand) -> Iterator[a.AccountEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    events = list(_decided(account, command))
    yield from events
    yield from _alert(reduce(evolve, events, account))


def _entered(account: Account, event: a.AccountEntry) -> Account:
    holds = account.holds
    if isinstance(event, a.AccountHeld):
        holds = holds.insert(event.hold_id, Hold(event.amount_minor, event.payment_id))
    elif isinstance(event, a.AccountHoldApplied | a.AccountHoldReleased) and (known := holds.get(event.hold_id)):
        holds = holds.insert(event.hold_id, known._replace(left=known.left - event.amount_minor))
    if isinstance(event, a.AccountHeld) and account.card:
        account = gift_card.paid_for(account, account.card, event)
    account = account._replace(balance=event.balance_minor, held=event.held_minor, number=event.number, holds=holds)
    if isinstance(event, a.AccountPaymentEntry) and event.payment_id:
        answer = OPERATIONS[type(event)], event.payment_id, event.part
        return account._replace(answered=account.answered.insert(answer))
    return account._replace(entries=account.entries.insert(_own_id(event), event.asked)) if event.asked else account


def _alert(account: Account) -> Iterator[a.AccountEvent]:
    if account.opened is None:
        return
    of: Any = {
        "account_id": account.opened.account_id,
        "available_minor": account.available,
        "currency": account.opened.currency,
    }
    is_low = account.available < account.top_up_below
    if is_low and not account.low:
        yield a.AccountRanLow(**of, top_up_below_minor=account.top_up_below)
    elif account.low and not is_low:
        yield a.AccountToppedUp(**of)


def _decided(account: Account, command: a.AccountCommand) -> Iterator[a.AccountEvent]:
    if isinstance(command, a.OpenAccount) and not account.forgotten:
        yield from _open(account, command)
        return
    if isinstance(command, g.IssueGiftCard) and not account.forgotten:
        yield from gift_card.issue(account, command)
        return
    if account.opened is None:
        raise Refused(
            SharedRefusal.UNKNOWN_ACCOUNT,
            f"there is no account {command.account_id}; open it with `oms-es account open`",
        )
    if isinstance(command, a.PaymentOfAccount):
        yield from _for_payment(account, account.opened, command)
    elif account.forgotten:
        _require_done(account, command)
    elif isinstance(command, p.ForgetAccount | p.PlaceAccountLegalHold | p.LiftAccountLegalHold):
        yield from account_forgetting.decided(
            account.opened, account.balance, account.held, account.legal_holds, command
        )
    elif isinstance(command, a.LimitAccount):
        if (command.top_up_below_minor, command.balance_max_minor) != (account.top_up_below, account.balance_max):
            yield a.AccountLimitsSet(**command.model_dump())
    elif isinstance(command, a.ReleaseAccountHold):
        yield from _release(account, command)
    elif isinstance(command, g.BlockAccount | g.UnblockAccount):
        yield from gift_card.blocking(account, command)
    elif isinstance(command, OF_CARDS):
        yield from gift_card.of_card(account, command)
    elif not done_before(account.entries.get(_own_id(command)), command):
        yield _by_hand(account, command)


def _require_done(account: Account, command: a.AccountCommand) -> None:
    """Raise Refused unless a forgotten account has done before what is asked for."""
    if isinstance(command, p.ForgetAccount):
        return
    if isinstance(command, p.LiftAccountLegalHold) and command.case_id in account.legal_holds:
        return
    by_hand = a.MoneyOfAccount | a.HoldAccount | a.ApplyAccountHold
    if isinstance(command, by_hand) and done_before(account.entries.get(_own_id(command)), command):
        return
    account_forgetting.refuse_afterwards(command)


OF_CARDS = (g.ExtendGiftCard, g.SetGiftCardCode, g.PresentGiftCard, g.ExpireGiftCard)


def _own_id(named: Any) -> str:
    """Return the id that a person gave an entry, of the command or of its event."""
    own: str = named.hold_id if isinstance(named, a.HoldAccount | a.AccountHeld) else named.entry_id
    return own


def _open(account: Account, command: a.OpenAccount) -> Iterator[a.AccountEvent]:
    opened = a.AccountOpened(**command.model_dump())
    if account.opened is None:
        yield opened
    elif opened != account.opened:
        raise Refused(
            SharedRefusal.ID_REUSED,
            f"account {command.account_id} is open with another kind, channel, customer or currency; "
            "name another account",
        )


def _by_hand(account: Account, command: Any) -> a.AccountEvent:
    """Return the entry that a person asked for.

    Raise Refused if the account has too little money or too little room.
    """
    n, own = command.amount_minor, {"reason": command.reason, "asked": asked_of(command)}
    match command:
        case a.DebitAccount():
            gift_card.require_open(account, command)
            _require_available(account, n)
            money = {"entry_id": command.entry_id, "method": command.method, "reference": command.reference}
            return entry(account, a.AccountDebited, n, -n, 0, **own, **money)
        case a.CreditAccount():
            _require_room(account, n)
            money = {"entry_id": command.entry_id, "method": command.method, "reference": command.reference}
            return entry(account, a.AccountCredited, n, n, 0, **own, **money)
        case a.HoldAccount():
            gift_card.require_open(account, command)
            _require_available(account, n)
            if command.hold_id in account.holds:
                raise Refused(
                    FinanceRefusal.HOLD_OF_PAYMENT, f"{command.hold_id} is the id of a payment; use another hold_id"
                )
            return entry(account, a.AccountHeld, n, 0, n, **own, hold_id=command.hold_id)
    hold = _hold_by_hand(account, command)
    if n > hold.left:
        raise Refused(
            FinanceRefusal.INSUFFICIENT_BALANCE,
            f"{in_words(account, hold.left)} is left of hold {command.hold_id}; take at most that",
        )
    parts = {"hold_id": command.hold_id, "entry_id": command.entry_id}
    return entry(account, a.AccountHoldApplied, n, -n, -n, **own, **parts)


def _release(account: Account, command: a.ReleaseAccountHold) -> Iterator[a.AccountEvent]:
    left = _hold_by_hand(account, command).left
    if left:
        said = {"hold_id": command.hold_id, "reason": command.reason}
        yield entry(account, a.AccountHoldReleased, left, 0, -left, **said)


def _hold_by_hand(account: Account, command: Any) -> Hold:
    """Return the named hold. Raise Refused if there is none, or if it belongs to a payment."""
    hold = account.holds.get(command.hold_id)
    if hold is None:
        raise Refused(
            FinanceRefusal.UNKNOWN_HOLD,
            f"account {command.account_id} has no hold {command.hold_id}; `oms-es account show` names them",
        )
    if hold.payment_id:
        raise Refused(
            FinanceRefusal.HOLD_OF_PAYMENT,
            f"hold {command.hold_id} is of a payment, which takes or releases it; cancel the order, or wait for it",
        )
    return hold


def _require_available(account: Account, amount_minor: int) -> None:
    if amount_minor > account.available:
        there = in_words(account, account.available)
        raise Refused(
            FinanceRefusal.INSUFFICIENT_BALANCE,
            f"{there} is available, not {in_words(account, amount_minor)}; top the account up, or take less",
        )


def _require_room(account: Account, amount_minor: int) -> None:
    most = AMOUNT_MINOR_MAX if account.balance_max is None else account.balance_max
    if account.balance + amount_minor > most:
        room = in_words(account, max(most - account.balance, 0))
        raise Refused(
            FinanceRefusal.BALANCE_LIMIT,
            f"at most {room} more may be on the account; pay less in, or raise its limit with `oms-es account limit`",
        )


def _for_payment(account: Account, opened: a.AccountOpened, command: a.PaymentOfAccount) -> Iterator[a.AccountEvent]:
    """Grant or refuse the request of a payment.

    A refusal is an event, too, so each request is answered exactly once.
    """
    operation, event, of_balance, of_held = ASKED[type(command)]
    if (operation, command.payment_id, command.part) in account.answered:
        return
    n = command.amount_minor
    said: Any = {"payment_id": command.payment_id, "part": command.part, "order_id": command.order_id}
    if why := _why_not(account, opened, command):
        yield a.AccountPaymentRefused(
            account_id=command.account_id,
            operation=operation,
            amount_minor=n,
            currency=command.currency,
            reason=why[0],
            retriable=why[1],
            **said,
        )
        return
    own = {} if event is a.AccountCredited else {"hold_id": command.payment_id}
    if event in (a.AccountCredited, a.AccountHoldApplied):
        own["entry_id"] = "/".join(filter(None, (command.payment_id, command.part)))
    yield entry(account, event, n, of_balance * n, of_held * n, **said, **own)


ASKED: dict[type[a.PaymentOfAccount], tuple[Any, type[Any], int, int]] = {
    a.HoldForPayment: ("hold", a.AccountHeld, 0, 1),
    a.ApplyForPayment: ("apply", a.AccountHoldApplied, -1, -1),
    a.ReleaseForPayment: ("release", a.AccountHoldReleased, 0, -1),
    a.CreditFromPayment: ("credit", a.AccountCredited, 1, 0),
}
"""For each request of a payment: its operation, the event that grants it, and the signs with which its amount changes
the balance and the held amount."""


def _why_not(account: Account, opened: a.AccountOpened, command: a.PaymentOfAccount) -> tuple[str, bool] | None:
    """Return why the request cannot be granted and whether a later attempt may succeed; None if it can be granted."""
    n = command.amount_minor
    if account.forgotten:
        return account_forgetting.CLOSED, False
    if command.currency != opened.currency:
        return f"the account is in {opened.currency}", False
    if isinstance(command, a.CreditFromPayment):
        return ("the account is full", False) if account.balance + n > AMOUNT_MINOR_MAX else None
    if isinstance(command, a.HoldForPayment):
        if command.channel != opened.channel or opened.customer_id not in ("", command.customer_id):
            return "the account is another customer's", False
        if command.payment_id in account.holds:
            return "a hold has the name of this payment", False
        if why := gift_card.why_not(account, command):
            return why
        return ("there is not so much on the account", True) if n > account.available else None
    hold = account.holds.get(command.payment_id)
    left = hold.left if hold and hold.payment_id else 0
    return ("the account does not hold so much for this payment", False) if n > left else None


decider = Decider(
    "account",
    Account(),
    evolve,
    decide,
    accepts=(
        *(a.OpenAccount, a.LimitAccount, a.CreditAccount, a.DebitAccount),
        *(a.HoldAccount, a.ApplyAccountHold, a.ReleaseAccountHold),
        *(a.HoldForPayment, a.ApplyForPayment, a.ReleaseForPayment, a.CreditFromPayment),
        *(p.ForgetAccount, p.PlaceAccountLegalHold, p.LiftAccountLegalHold),
        *(g.IssueGiftCard, g.BlockAccount, g.UnblockAccount, *OF_CARDS),
    ),
    emits=(
        *(a.AccountOpened, a.AccountLimitsSet, a.AccountCredited, a.AccountDebited),
        *(a.AccountHeld, a.AccountHoldApplied, a.AccountHoldReleased, a.AccountPaymentRefused),
        *(a.AccountRanLow, a.AccountToppedUp, g.AccountBlocked, g.AccountUnblocked),
        *(g.GiftCardIssued, g.GiftCardCodeSet, g.GiftCardPresented),
        *(p.AccountForgotten, p.AccountLegalHoldPlaced, p.AccountLegalHoldLifted),
        *(g.GiftCardExtended, g.GiftCardExpired, g.GiftCardForfeited),
    ),
    snapshot_version=3,
    dump=dump,
    restore=restore,
)
