"""The state of an account, the entries that change it, and its snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from rpds import HashTrieMap, HashTrieSet

from oms_es.schemas.finance import account as a
from oms_es.schemas.finance.gift_card import OnExpiry
from oms_es.schemas.values.currency import to_text

E = TypeVar("E", bound=a.AccountEntry)
Answered = tuple[str, str, str]
"""A request of a payment that was answered: operation (hold, apply, release or credit), payment id, part."""


class Hold(NamedTuple):
    left: int
    payment_id: str


class Card(NamedTuple):
    """What an account that is a gift card has beside its money. `presented`: the orders that its code was given for."""

    expires_at: datetime | None
    on_expiry: OnExpiry
    expired: bool = False
    code_hash: str = ""
    presented: HashTrieSet[str] = HashTrieSet()


class Account(NamedTuple):
    """The state of an account; amounts are in minor units.

    `entries` has, by the id of each command of a person, a digest of what it asked for. `answered` has the requests of
    payments that were granted or refused. `legal_holds`: by case, whether its hold is in force.
    """

    opened: a.AccountOpened | None = None
    balance: int = 0
    held: int = 0
    number: int = 0
    low: bool = False
    top_up_below: int = 0
    balance_max: int | None = None
    holds: HashTrieMap[str, Hold] = HashTrieMap()
    entries: HashTrieMap[str, str] = HashTrieMap()
    answered: HashTrieSet[Answered] = HashTrieSet()
    legal_holds: HashTrieMap[str, bool] = HashTrieMap()
    forgotten: bool = False
    blocked: bool = False
    card: Card | None = None

    @property
    def available(self) -> int:
        return self.balance - self.held


def entry(account: Account, event: type[E], amount: int, of_balance: int, of_held: int, **more: Any) -> E:
    """Return the account's next entry, with the amounts after it."""
    assert account.opened is not None
    return event(
        account_id=account.opened.account_id,
        number=account.number + 1,
        amount_minor=amount,
        currency=account.opened.currency,
        balance_minor=account.balance + of_balance,
        held_minor=account.held + of_held,
        **more,
    )


def in_words(account: Account, amount_minor: int) -> str:
    assert account.opened is not None
    return to_text(amount_minor, account.opened.currency)


def dump(account: Account) -> Any:
    """The state as JSON, for snapshots."""
    card = account.card
    return {
        **account._asdict(),
        "opened": account.opened and account.opened.model_dump(),
        "holds": sorted((hold_id, *hold) for hold_id, hold in account.holds.items()),
        "entries": sorted(account.entries.items()),
        "answered": sorted(account.answered),
        "legal_holds": sorted(account.legal_holds.items()),
        "card": card and {**card._asdict(), "presented": sorted(card.presented)},
    }


def restore(snapshot: Any) -> Account:
    return Account(
        **{
            **snapshot,
            "opened": a.AccountOpened(**snapshot["opened"]) if snapshot["opened"] else None,
            "holds": HashTrieMap({hold_id: Hold(left, payment) for hold_id, left, payment in snapshot["holds"]}),
            "entries": HashTrieMap(dict(snapshot["entries"])),
            "answered": HashTrieSet(tuple(one) for one in snapshot["answered"]),
            "legal_holds": HashTrieMap(dict(snapshot["legal_holds"])),
            "card": _card(snapshot.get("card")),
        }
    )


def _card(kept: Any) -> Card | None:
    if kept is None:
        return None
    until = kept["expires_at"]
    expires_at = datetime.fromisoformat(until) if isinstance(until, str) else until
    return Card(**{**kept, "expires_at": expires_at, "presented": HashTrieSet(kept["presented"])})
