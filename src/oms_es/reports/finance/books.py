"""The books of a period, folded from history when they are asked for, so that they are as new as the log.

Invariant: history is read in pages; memory holds a state per order and account, not the entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from oms_es.books.entry import Entry, Posting, summed
from oms_es.books.journal import READ, Books
from oms_es.processing.read_models.history_pages import pages
from oms_es.reports.figures.words import TooLarge
from oms_es.reports.queries import Connection

ENTRIES_MAX = 500
"""How many entries a page may have."""


class Asked(NamedTuple):
    """A question to the books.

    Both days are included. `last` is the position up to which history is read. `progress` receives the position that
    was reached, and the last one; it may end the reading by raising. `orders_max` limits the orders whose states are in
    memory.
    """

    since: str | None = None
    until: str | None = None
    currency: str | None = None
    last: int = 0
    progress: Callable[[int, int], None] = lambda _done, _total: None
    orders_max: int | None = None

    def is_before(self, entry: Entry) -> bool:
        return self.since is not None and entry.day < self.since


class Balance(NamedTuple):
    """The balance of an account in a currency; a debit is positive."""

    account: str
    currency: str
    opening_minor: int
    debit_minor: int
    credit_minor: int

    @property
    def closing_minor(self) -> int:
        return self.opening_minor + self.debit_minor - self.credit_minor


def entries(connection: Connection, asked: Asked) -> Iterator[Entry]:
    """Yield the entries in the order of positions, including those before the period and none after it.

    Raise TooLarge if there are too many orders.
    """
    books = Books()
    for page in pages(connection, [event.__name__ for event in READ], asked.last):
        asked.progress(page[-1].position, asked.last)
        for recorded in page:
            for entry in books.fold(recorded):
                some = entry.of(asked.currency)
                if some and (asked.until is None or some.day <= asked.until):
                    yield some
        if asked.orders_max is not None and len(books.orders) > asked.orders_max:
            too_many = f"the books of more than {asked.orders_max:,} orders take too much memory here"
            raise TooLarge(f"{too_many}; ask `oms-es books` in a terminal, which is a process of its own")


def trial_balance(connection: Connection, asked: Asked) -> list[Balance]:
    """Return the balances by account and currency."""
    found: dict[tuple[str, str], Balance] = {}
    for entry in entries(connection, asked):
        for account, currency, amount in entry.postings:
            was = found.get((account, currency)) or Balance(account, currency, 0, 0, 0)
            if asked.is_before(entry):
                now = was._replace(opening_minor=was.opening_minor + amount)
            elif amount > 0:
                now = was._replace(debit_minor=was.debit_minor + amount)
            else:
                now = was._replace(credit_minor=was.credit_minor - amount)
            found[account, currency] = now
    return [found[key] for key in sorted(found)]


def totals(balances: list[Balance]) -> dict[str, int]:
    """Return the sum of all balances by currency, which is zero."""
    sums: dict[str, int] = {}
    for one in balances:
        sums[one.currency] = sums.get(one.currency, 0) + one.closing_minor
    return dict(sorted(sums.items()))


def opening(balances: list[Balance], day: str) -> Entry | None:
    """Return the opening balances of the period as one entry."""
    postings = summed(Posting(one.account, one.currency, one.opening_minor) for one in balances)
    return Entry(0, 1, day, "Opening", "", "", postings) if postings else None


class Page(NamedTuple):
    """A page of entries. `after` is where the next page begins; None after the last one."""

    entries: list[Entry]
    after: str | None


def journal(connection: Connection, asked: Asked, after: tuple[int, int], limit: int) -> Page:
    """Return a page of entries after the given one, which is named by its position and number."""
    found: list[Entry] = []
    for entry in entries(connection, asked):
        if asked.is_before(entry) or (entry.position, entry.number) <= after:
            continue
        if len(found) == limit:
            return Page(found, found[-1].name)
        found.append(entry)
    return Page(found, None)


class Line(NamedTuple):
    """A posting, and the account's balance after it, in its currency."""

    entry: Entry
    posting: Posting
    balance_minor: int


class Lines(NamedTuple):
    """A page of an account's postings.

    `opening` and `closing` are its balances by currency at the beginning and the end of the period, on every page.
    """

    lines: list[Line]
    after: str | None
    is_known: bool
    opening: Mapping[str, int]
    closing: Mapping[str, int]


def account(connection: Connection, asked: Asked, name: str, after: tuple[int, int], limit: int) -> Lines:
    """Return the postings of an account and its parts, in the order in which they were recorded.

    A statement of last month may be recorded today, so the opening balance is known only when everything is read.
    """
    found: list[Line] = []
    opening: Counter[str] = Counter()
    moved: Counter[str] = Counter()
    is_known = is_full = False
    for entry in entries(connection, asked):
        for one in entry.postings:
            if one.account != name and not one.account.startswith(f"{name}:"):
                continue
            is_known = True
            if asked.is_before(entry):
                opening[one.currency] += one.amount_minor
                continue
            moved[one.currency] += one.amount_minor
            if is_full or (entry.position, entry.number) <= after:
                continue
            is_full = len(found) >= limit and found[-1].entry != entry
            if not is_full:
                found.append(Line(entry, one, moved[one.currency]))
    lines = [one._replace(balance_minor=one.balance_minor + opening[one.posting.currency]) for one in found]
    currencies = sorted({*opening, *moved})
    return Lines(
        lines,
        found[-1].entry.name if is_full else None,
        is_known,
        {currency: opening[currency] for currency in currencies},
        {currency: opening[currency] + moved[currency] for currency in currencies},
    )
