"""One entry of the journal. Invariant: its postings sum to zero in each currency; no other entry can be made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from oms_es.errors import OmsError


class Unbalanced(OmsError):
    """The debits and credits of an entry differ."""

    code = "unbalanced_entry"


class Posting(NamedTuple):
    """An amount on an account: a debit is positive, a credit negative."""

    account: str
    currency: str
    amount_minor: int


@dataclass(frozen=True)
class Entry:
    """The postings of one event. `number` is its place among the entries of the event; `day` is when it is booked."""

    position: int
    number: int
    day: str
    event: str
    order_id: str
    subject: str
    """The payment, parcel, line or match that the entry concerns."""
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        totals: dict[str, int] = defaultdict(int)
        for one in self.postings:
            totals[one.currency] += one.amount_minor
        if wrong := {currency: total for currency, total in totals.items() if total}:
            raise Unbalanced(f"position {self.position}, {self.event}: debits and credits differ by {wrong}")

    @property
    def name(self) -> str:
        return f"{self.position}/{self.number}"

    def of(self, currency: str | None) -> Entry | None:
        """Return the entry with its postings in one currency, which balance alone; None if there are none."""
        if currency is None:
            return self
        some = tuple(one for one in self.postings if one.currency == currency)
        return replace(self, postings=some) if some else None


def summed(postings: Iterable[Posting]) -> tuple[Posting, ...]:
    """Return one posting per account and currency, without zeros, in the order in which they were first named."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for one in postings:
        sums[one.account, one.currency] += one.amount_minor
    return tuple(Posting(account, currency, amount) for (account, currency), amount in sums.items() if amount)


def reversed_of(postings: Iterable[Posting]) -> tuple[Posting, ...]:
    return tuple(one._replace(amount_minor=-one.amount_minor) for one in postings)
