"""The journal: the entries of every event, in the order of positions.

Invariant: an event makes its entries once, however often it is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any

from oms_es.books import accounts, customer_accounts, orders
from oms_es.books.entry import Entry, Posting, summed
from oms_es.kernel import Event, Recorded
from oms_es.schemas.finance.statement import StatementLinesRecorded
from oms_es.schemas.payment.movements import MOVEMENTS, movement_of, payout_of

READ: tuple[type[Event], ...] = (*orders.HANDLERS, *accounts.HANDLERS, *customer_accounts.HANDLERS)
"""The events that the journal reads; no others move money."""
SUBJECTS = ("shipment_id", "payment_id", "refund_id", "rma_id")


class Books:
    def __init__(self) -> None:
        self.orders: dict[str, orders.OrderBook] = {}
        """The bookkeeping of each order, by order id; payments in another currency than the order's have one of their
        own."""
        self.accounts: dict[str, accounts.AccountBook] = {}
        self.kinds: customer_accounts.Kinds = {}
        self.movements: dict[str, Posting] = {}
        self.position = 0

    def fold(self, recorded: Recorded) -> list[Entry]:
        """Return the entries of an event; none if its position was read before.

        Raise Unbalanced if one does not balance.
        """
        if recorded.position <= self.position:
            return []
        self.position = recorded.position
        if type(recorded.event) in orders.HANDLERS:
            return list(self._of_order(recorded))
        if type(recorded.event) in accounts.HANDLERS:
            return list(self._of_account(recorded))
        if postings := customer_accounts.post(self.kinds, recorded.event):
            return [self._entry(recorded, 1, accounts.Draft(_account_of(recorded.event), "", postings))]
        return []

    def _of_order(self, recorded: Recorded) -> Iterator[Entry]:
        order_id: str = recorded.event.order_id  # type: ignore[attr-defined] # every event of an order or payment has it
        known = self.orders.get(order_id, orders.OrderBook())
        said = getattr(recorded.event, "currency", "")
        key = order_id if not known.currency or said in ("", known.currency) else f"{order_id}\n{said}"
        book, moves = orders.post(self.orders.get(key, orders.OrderBook()), recorded.event)
        self.orders[key] = book
        currency = said or book.currency
        postings = summed(Posting(account, currency, amount) for account, amount in moves)
        if type(recorded.event) in MOVEMENTS:
            self._note_movement(recorded, book, currency)
        if postings:
            yield self._entry(recorded, 1, accounts.Draft(_subject_of(recorded.event), "", postings))

    def _note_movement(self, recorded: Recorded, book: orders.OrderBook, currency: str) -> None:
        event = recorded.event
        sign = MOVEMENTS[type(event)][1]
        amount: int = event.amount_minor  # type: ignore[attr-defined] # what moves money has one
        where = Posting(orders.clearing_of(book, event), currency, sign * amount)
        self.movements[movement_of(type(event), recorded.position)] = where

    def _of_account(self, recorded: Recorded) -> Iterator[Entry]:
        event = recorded.event
        account: str = event.account  # type: ignore[attr-defined] # every event of statements and reconciliations has it
        if isinstance(event, StatementLinesRecorded):
            self.movements.update({payout_of(account, name): where for name, where in accounts.payouts_in(event)})
        book, drafts = accounts.post(self.accounts.get(account, accounts.AccountBook()), event, self.movements)
        self.accounts[account] = book
        made = [draft for draft in drafts if draft.postings]
        yield from (self._entry(recorded, number, draft) for number, draft in enumerate(made, 1))

    @staticmethod
    def _entry(recorded: Recorded, number: int, draft: accounts.Draft) -> Entry:
        event = recorded.event
        day = draft.day or recorded.recorded_at.astimezone(UTC).date().isoformat()
        order_id = getattr(event, "order_id", "")
        return Entry(recorded.position, number, day, type(event).__name__, order_id, draft.subject, draft.postings)


def _subject_of(event: Event) -> str:
    return next((getattr(event, name) for name in SUBJECTS if getattr(event, name, None)), "")


def _account_of(event: Any) -> str:
    return f"{event.account_id}/{event.number}"


class Balances:
    """The balance of each account and currency: the sum of its postings."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], int] = defaultdict(int)
        self.totals: dict[str, int] = defaultdict(int)

    def add(self, postings: Iterable[Posting]) -> None:
        for one in postings:
            self.of[one.account, one.currency] += one.amount_minor
            self.totals[one.currency] += one.amount_minor

    def total(self, currency: str) -> int:
        return self.totals[currency]
