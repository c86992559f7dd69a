"""Accounts of customers beside sums of their own, and beside what payments say of them."""

from __future__ import annotations

from typing import NamedTuple

from oms_es.kernel import Recorded
from oms_es.processing.bulk.overflow import Overflow, Overflowing
from oms_es.schemas import payment as p
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import gift_card as g
from oms_es.schemas.order import OrderJoined
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
    g.GiftCardForfeited: (-1, 0),
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


class Card(NamedTuple):
    """What a gift card is at a position. `codes` counts the codes that it has had."""

    codes: int = 0
    blocked: bool = False
    expired: bool = False


class AccountChecks:
    def __init__(self, overflow: Overflow) -> None:
        self.sums: Overflowing[str, Sums] = overflow.mapping()
        self.done: Overflowing[Done, int] = overflow.mapping()
        self.said: Overflowing[Done, int] = overflow.mapping(int)
        self.cards: Overflowing[str, Card] = overflow.mapping()
        self.presented: Overflowing[tuple[str, int, str], bool] = overflow.mapping()
        self.joined: Overflowing[str, tuple[str, ...]] = overflow.mapping()
        self.proved = Check("gift cards: each pays only for orders that its code was given for, while it is valid")
        self.kept = Check("accounts: paid in - spent = balance; 0 <= held <= balance, at every position")
        self.agreed = Check("accounts: each payment from or to an account is booked in it, once")

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.kept, self.agreed, self.proved

    def note(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, a.AccountEntry):
            self._note_entry(recorded, event)
            if isinstance(event, a.AccountHeld) and event.payment_id:
                self._check_card(recorded, event)
        elif isinstance(event, a.AccountEvent):
            self._note_card(event)
        elif isinstance(event, OrderJoined):
            self.joined[event.order_id] = event.from_order_ids
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

    def _note_card(self, event: a.AccountEvent) -> None:
        card = self.cards.get(event.account_id)
        match event:
            case g.GiftCardIssued():
                self.cards[event.account_id] = Card()
            case g.GiftCardPresented() if card:
                self.presented[event.account_id, card.codes, event.order_id] = True
            case g.GiftCardCodeSet() if card:
                self.cards[event.account_id] = card._replace(codes=card.codes + 1)
            case g.AccountBlocked() | g.AccountUnblocked() if card:
                self.cards[event.account_id] = card._replace(blocked=isinstance(event, g.AccountBlocked))
            case g.GiftCardExpired() | g.GiftCardExtended() if card:
                self.cards[event.account_id] = card._replace(expired=isinstance(event, g.GiftCardExpired))

    def _check_card(self, recorded: Recorded, event: a.AccountHeld) -> None:
        card = self.cards.get(event.account_id)
        if card is None:
            return
        orders = (event.order_id, *self.joined.get(event.order_id, ()))
        given = any(self.presented.get((event.account_id, card.codes, order_id)) for order_id in orders)
        self.presented[event.account_id, card.codes, event.order_id] = given
        self.proved.expect(
            given and not card.blocked and not card.expired,
            lambda: f"{at(recorded)}: gift card {event.account_id} pays for order {event.order_id} without its code",
        )

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
