"""Accounts of customers beside sums of their own, and beside what payments say of them."""

from __future__ import annotations

from typing import NamedTuple

from oms_es.kernel import Recorded
from oms_es.processing.bulk.overflow import Overflow, Overflowing
from oms_es.schemas import payment as p
from oms_es.schemas.finance import account as a
from oms_es.schemas.values.currency import in_money
from oms_es.verification.check import Check, at


class Sums(NamedTuple):
    balance: int = 0
    held: int = 0
    entries: int = 0


SIGNS: dict[type[a.AccountEntry], tuple[int, int]] = {
    a.AccountCredited: (1, 0),
    a.AccountDebited: (-1, 0),
    a.AccountHeld: (0, 1),
    a.AccountHoldApplied: (-1, -1),
    a.AccountHoldReleased: (0, -1),
}
"""Which way each moves what is there, and what of it is held."""
ANSWERS: dict[type[p.PaymentEvent], tuple[type[a.AccountEntry], str]] = {
    p.PaymentAuthorized: (a.AccountHeld, ""),
    p.PaymentCaptured: (a.AccountHoldApplied, "capture_id"),
    p.PaymentVoided: (a.AccountHoldReleased, "void_id"),
    p.PaymentRefunded: (a.AccountCredited, "refund_id"),
}
"""What an account has done before its payment says that it happened, and the field that names the part."""
Done = tuple[str, type[a.AccountEntry], str, str]
"""The account's reference, what it did, for which payment and which part of it."""


class AccountChecks:
    def __init__(self, overflow: Overflow) -> None:
        self.sums: Overflowing[str, Sums] = overflow.mapping()
        self.done: Overflowing[Done, int] = overflow.mapping()
        self.said: Overflowing[Done, int] = overflow.mapping(int)
        self.kept = Check("accounts: paid in - spent = balance; 0 <= held <= balance, at every position")
        self.agreed = Check("accounts: each payment from or to an account is booked in it, once")

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.kept, self.agreed

    def note(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, a.AccountEntry):
            self._note_entry(recorded, event)
        elif isinstance(event, p.PaymentEvent) and type(event) in ANSWERS:
            self._note_payment(recorded, event)

    def _note_entry(self, recorded: Recorded, event: a.AccountEntry) -> None:
        before = self.sums.get(event.account_id, Sums())
        of_balance, of_held = SIGNS[type(event)]
        n = event.amount_minor
        now = Sums(before.balance + of_balance * n, before.held + of_held * n, before.entries + 1)
        self.sums[event.account_id] = now
        self.kept.expect(
            0 <= now.held <= now.balance and now == (event.balance_minor, event.held_minor, event.number),
            lambda: (
                f"{at(recorded)}: entry {now.entries} leaves {in_money(now.balance, event.currency)}, of it "
                f"{in_money(now.held, event.currency)} held, and says {in_money(event.balance_minor, event.currency)}, "
                f"{in_money(event.held_minor, event.currency)}"
            ),
        )
        if isinstance(event, a.AccountPaymentEntry) and event.payment_id:
            reference = a.reference_of(event.account_id, event.number)
            self.done[reference, type(event), event.payment_id, event.part] = n

    def _note_payment(self, recorded: Recorded, event: p.PaymentEvent) -> None:
        reference: str = event.reference  # type: ignore[attr-defined] # what is done has one
        if not a.account_in(reference):
            return
        kind, field = ANSWERS[type(event)]
        key = reference, kind, event.payment_id, getattr(event, field, "")
        amount: int = event.amount_minor  # type: ignore[attr-defined] # and an amount
        self.said[key] += 1
        self.agreed.expect(
            self.done.get(key) == amount and self.said[key] == 1,
            lambda: f"{at(recorded)}: {reference} gave {self.done.get(key)}, the payment says {amount}",
        )
