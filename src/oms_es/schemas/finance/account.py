"""Accounts: money that is kept for a customer, as a deposit or as credit, until it is spent or paid out.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from oms_es.door import AtTheDoor
from oms_es.kernel import Command, Event, SystemCommand
from oms_es.schemas.values.customer import CustomerId
from oms_es.schemas.values.types import (
    NAMED_OR_NOT,
    AmountMinor,
    Channel,
    Currency,
    Identifier,
    PartName,
    QuotedText,
    Text,
    without_card_number,
)

METHOD = "account"
"""The method of a payment that is made from an account; its token names the account."""
REFERENCE = "account:"
ACCOUNT_ID_LENGTH_MAX = 60

AccountKind = Literal["deposit", "store_credit"]
AccountId = Annotated[
    str,
    StringConstraints(pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{ACCOUNT_ID_LENGTH_MAX - 1}}}$"),
    AtTheDoor(without_card_number),
]
PositiveMinor = Annotated[AmountMinor, Field(gt=0)]


def reference_of(account_id: str, number: int) -> str:
    """What a payment calls the entry that answered it."""
    return f"{REFERENCE}{account_id}:{number}"


def account_in(reference: str) -> str:
    """The account that such a reference names; empty for what a payment provider calls something."""
    return reference.removeprefix(REFERENCE).rpartition(":")[0] if reference.startswith(REFERENCE) else ""


class AccountCommand(Command):
    account_id: AccountId

    @property
    def stream(self) -> str:
        return f"account-{self.account_id}"


class OpenAccount(AccountCommand):
    """Open an account of a customer, or of a channel itself, such as a distributor's, where no customer is named.

    Only orders of this channel, and of this customer if there is one, are paid from it.
    """

    kind: AccountKind
    channel: Channel
    currency: Currency
    customer_id: Annotated[CustomerId, NAMED_OR_NOT] = ""


class LimitAccount(AccountCommand):
    """Say below which available amount it is to be topped up, and how much may be on it; without either, none."""

    top_up_below_minor: AmountMinor = 0
    balance_max_minor: PositiveMinor | None = None


class MoneyOfAccount(AccountCommand):
    entry_id: Identifier
    amount_minor: PositiveMinor
    method: Identifier = "bank"
    """How it came or went; the books keep each apart."""
    reference: PartName = ""
    reason: Text = ""


class CreditAccount(MoneyOfAccount):
    """Note money that was paid in. Once per entry_id."""


class DebitAccount(MoneyOfAccount):
    """Note money that was paid out, of what is available. Once per entry_id."""


class HoldAccount(AccountCommand):
    """Keep a part of what is available from being spent. Once per hold_id."""

    hold_id: Identifier
    amount_minor: PositiveMinor
    reason: Text = ""


class ApplyAccountHold(AccountCommand):
    """Keep so much of what is held for good, such as a penalty out of a deposit. Once per entry_id."""

    entry_id: Identifier
    hold_id: Identifier
    amount_minor: PositiveMinor
    reason: Text = ""


class ReleaseAccountHold(AccountCommand):
    """Make what is left of a hold available again."""

    hold_id: Identifier
    reason: Text = ""


class PaymentOfAccount(AccountCommand, SystemCommand):
    """`part` names the capture, the void or the refund."""

    payment_id: Identifier
    order_id: Identifier
    part: PartName = ""
    amount_minor: PositiveMinor
    currency: Currency


class HoldForPayment(PaymentOfAccount):
    """An order is to be paid from it."""

    channel: str
    customer_id: CustomerId = ""


class ApplyForPayment(PaymentOfAccount):
    """A part of what a payment holds is taken."""


class ReleaseForPayment(PaymentOfAccount):
    """What a payment holds and does not take is available again."""


class CreditFromPayment(PaymentOfAccount):
    """What a payment gives back comes onto the account."""


class AccountEvent(Event):
    account_id: str


class AccountOpened(AccountEvent):
    kind: AccountKind
    channel: str
    currency: str
    customer_id: CustomerId = ""


class AccountLimitsSet(AccountEvent):
    top_up_below_minor: int
    balance_max_minor: int | None


class AccountEntry(AccountEvent):
    """A line of the account. `number` counts them from 1; `balance_minor` and `held_minor`: what is there after it."""

    number: int
    amount_minor: int
    currency: str
    balance_minor: int
    held_minor: int
    reason: str = ""
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""


class AccountPaymentEntry(AccountEntry):
    """`part` names a capture, a void or a refund of the payment; empty, like it, where a person asked for it."""

    payment_id: str = ""
    part: str = ""
    order_id: str = ""


class AccountCredited(AccountPaymentEntry):
    """`method`: how it came, if not from a payment."""

    entry_id: str
    method: str = ""
    reference: str = ""


class AccountDebited(AccountEntry):
    entry_id: str
    method: str
    reference: str = ""


class AccountHeld(AccountPaymentEntry):
    hold_id: str


class AccountHoldApplied(AccountPaymentEntry):
    hold_id: str
    entry_id: str


class AccountHoldReleased(AccountPaymentEntry):
    hold_id: str


class AccountPaymentRefused(AccountEvent):
    """The payment cannot have that of it. `retriable`: once there is more on the account."""

    operation: Literal["hold", "apply", "release", "credit"]
    payment_id: str
    part: str = ""
    order_id: str
    amount_minor: int
    currency: str
    reason: QuotedText
    retriable: bool = False


class AccountRanLow(AccountEvent):
    """Less is available than it was to be topped up below."""

    available_minor: int
    top_up_below_minor: int
    currency: str


class AccountToppedUp(AccountEvent):
    """It is not low any more."""

    available_minor: int
    currency: str
