"""The books beside sums of their own: of payments, of statements, and of what matches name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial

from oms_es.books import chart, customer_accounts
from oms_es.books.entry import Entry, Posting, Unbalanced
from oms_es.books.journal import Balances, Books
from oms_es.books.orders import OrderBook
from oms_es.kernel import Recorded
from oms_es.processing.bulk.overflow import Overflow, Overflowing
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import reconciliation as rec
from oms_es.schemas.finance.statement import StatementLinesRecorded, StatementRecorded
from oms_es.schemas.payment.movements import MOVEMENTS, movement_of
from oms_es.schemas.values.currency import in_money
from oms_es.verification.check import Check, at

CREDITS = (chart.ADVANCES, chart.DEFERRED, chart.DEPOSITS, chart.REFUNDS_DUE, chart.STORE_CREDIT)
"""What is held for customers, or owed to them: never less than nothing."""


class BookChecks:
    def __init__(self, overflow: Overflow) -> None:
        self.books = Books()
        self.books.orders, self.books.movements = overflow.mapping(), overflow.mapping()
        self.balances = Balances()
        self.balanced = Check("books: each entry balances, and the trial balance is zero at every position")
        self.tied = Check("clearing accounts: in = captured - refunded - disputed, out = reconciled")
        self.held = Check(
            "deposits, credit, deferred revenue and refunds due: never below zero, none deferred at an order's end"
        )
        self.cleared: Overflowing[str, int] = overflow.mapping(int)  # by payment
        self.moved: Overflowing[str, int] = overflow.mapping()
        self.statements: dict[tuple[str, str], StatementRecorded] = {}
        self.booked: dict[tuple[str, str], int] = defaultdict(int)
        self.on_accounts: Overflowing[str, int] = overflow.mapping()
        self.on_all: Counter[tuple[str, str]] = Counter()  # by kind of account and currency

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.balanced, self.tied, self.held

    def note(self, recorded: Recorded) -> None:
        try:
            entries = self.books.fold(recorded)
        except Unbalanced as unbalanced:
            self.balanced.expect(False, partial(str, str(unbalanced)))
            return
        for entry in entries:
            self._add(recorded, entry)
        event = recorded.event
        match event:
            case p.PaymentEvent() if type(event) in MOVEMENTS:
                sign = MOVEMENTS[type(event)][1]
                amount: int = event.amount_minor  # type: ignore[attr-defined] # what moves money has one
                self.moved[movement_of(type(event), recorded.position)] = sign * amount
                self.cleared[event.payment_id] += sum_of(entries, chart.CLEARING)
            case a.AccountEntry():
                self._check_account(recorded, event)
            case StatementRecorded():
                self.statements[event.account, event.statement_id] = event
            case StatementLinesRecorded():
                self._check_lines(recorded, event, entries)
            case rec.ReconciliationMatched():
                self._check_matches(recorded, event, entries)
            case o.OrderCompleted():
                left = self.books.orders.get(event.order_id, OrderBook()).deferred
                self.held.expect(left == 0, lambda: f"{at(recorded)}: {left} of its parcels has not left")

    def _add(self, recorded: Recorded, entry: Entry) -> None:
        self.balances.add(entry.postings)
        for currency in {one.currency for one in entry.postings}:
            total = self.balances.total(currency)
            self._expect(self.balanced, recorded, total == 0, "the balances of all accounts sum to", total, currency)
        for account, currency, _ in entry.postings:
            if account in CREDITS or account == chart.RECEIVABLE:
                left = self.balances.of[account, currency] * (-1 if account in CREDITS else 1)
                self._expect(self.held, recorded, left >= 0, f"{account} has", left, currency)

    @staticmethod
    def _expect(check: Check, recorded: Recorded, holds: bool, found: str, amount: int, currency: str) -> None:  # noqa: FBT001 - as in Check
        check.expect(holds, lambda: f"{at(recorded)}: {found} {in_money(amount, currency)}")

    def tie(self, recorded: Recorded, payment_id: str, expected: int) -> None:
        """`expected`: what the payment's own sums say is with its provider."""
        cleared = self.cleared[payment_id]
        self.tied.expect(
            cleared == expected, lambda: f"{at(recorded)}: the books have {cleared}, its payment says {expected}"
        )

    def _check_account(self, recorded: Recorded, event: a.AccountEntry) -> None:
        liability = customer_accounts.liability_of(self.books.kinds, event), event.currency
        self.on_all[liability] += event.balance_minor - self.on_accounts.get(event.account_id, 0)
        self.on_accounts[event.account_id] = event.balance_minor
        owed, said = -self.balances.of[liability], self.on_all[liability]
        self._expect(
            self.tied, recorded, owed == said, f"the accounts have {said}, and the books owe", owed, liability[1]
        )

    def _check_lines(self, recorded: Recorded, event: StatementLinesRecorded, entries: Iterable[Entry]) -> None:
        name = event.account, event.statement_id
        self.booked[name] += sum_of(entries, chart.STATEMENTS)
        statement = self.statements.get(name)
        if statement and event.first + len(event.lines) > statement.line_count:
            booked, said = self.booked.pop(name), statement.booked_minor
            self.tied.expect(
                booked == said, lambda: f"{at(recorded)}: the books have {booked}, the statement says {said}"
            )

    def _check_matches(self, recorded: Recorded, event: rec.ReconciliationMatched, entries: list[Entry]) -> None:
        by_match = {entry.subject: entry for entry in entries}
        known = self.books.accounts[event.account].lines
        for one in event.matches:
            if not one.lines or any(name not in known for name in one.lines):
                continue  # a repair by hand may name what no statement has, and nothing is booked of that
            postings = [by_match[one.match_id]] if one.match_id in by_match else []
            found = sum_of(postings, chart.UNRECONCILED), -sum_of(postings, chart.CLEARING)
            said = one.amount_minor, sum(self.moved.get(name, 0) for name in one.movements)
            words = f"{at(recorded)}: lines and movements are {found} in the books, {said} in {one.match_id}"
            self.tied.expect(found == said, partial(str, words))


def sum_of(entries: Iterable[Entry], account: str) -> int:
    postings: Iterable[Posting] = (one for entry in entries for one in entry.postings)
    return sum(one.amount_minor for one in postings if chart.group_of(one.account) == account)
