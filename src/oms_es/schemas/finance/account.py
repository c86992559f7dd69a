"""Accounts: money that is kept for a customer, as a deposit or as store credit, until it is spent or paid out.

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

AccountKind = Literal["deposit", "store_credit", "gift_card"]
AccountId = Annotated[
    str,
    StringConstraints(pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{ACCOUNT_ID_LENGTH_MAX - 1}}}$"),
    AtTheDoor(without_card_number),
]
PositiveMinor = Annotated[AmountMinor, Field(gt=0)]


def reference_of(account_id: str, number: int) -> str:
    """Return the reference by which a payment names the account's entry that answered it."""
    return f"{REFERENCE}{account_id}:{number}"


def account_in(reference: str) -> str:
    """Return the account that a reference names; empty for a reference of a payment provider."""
    return reference.removeprefix(REFERENCE).rpartition(":")[0] if reference.startswith(REFERENCE) else ""


class AccountCommand(Command):
    account_id: AccountId

    @property
    def stream(self) -> str:
        return f"account-{self.account_id}"


class OpenAccount(AccountCommand):
    """Open an account of a customer or, if no customer is named, of a channel itself, such as a distributor's.

    Only orders of this channel, and of this customer if there is one, are paid from it.
    """

    kind: Literal["deposit", "store_credit"]
    channel: Channel
    currency: Currency
    customer_id: Annotated[CustomerId, NAMED_OR_NOT] = ""


class LimitAccount(AccountCommand):
    """Set below which available amount the account is to be topped up, and how much may be on it; without them, no
    limit.
    """

    top_up_below_minor: AmountMinor = 0
    balance_max_minor: PositiveMinor | None = None


class MoneyOfAccount(AccountCommand):
    entry_id: Identifier
    amount_minor: PositiveMinor
    method: Identifier = "bank"
    """How the money came or went; the bookkeeping keeps the methods apart."""
    reference: PartName = ""
    reason: Text = ""


class CreditAccount(MoneyOfAccount):
    """Record money that was paid in. Once per entry_id."""


class DebitAccount(MoneyOfAccount):
    """Record money that was paid out of the available amount. Once per entry_id."""


class HoldAccount(AccountCommand):
    """Keep a part of the available amount from being spent. Once per hold_id."""

    hold_id: Identifier
    amount_minor: PositiveMinor
    reason: Text = ""


class ApplyAccountHold(AccountCommand):
    """Keep an amount of a hold for good, such as a penalty out of a deposit. Once per entry_id."""

    entry_id: Identifier
    hold_id: Identifier
    amount_minor: PositiveMinor
    reason: Text = ""


class ReleaseAccountHold(AccountCommand):
    """Make the rest of a hold available again."""

    hold_id: Identifier
    reason: Text = ""


class PaymentOfAccount(AccountCommand, SystemCommand):
    """A request of a payment. `part` names the capture, the void or the refund."""

    payment_id: Identifier
    order_id: Identifier
    part: PartName = ""
    amount_minor: PositiveMinor
    currency: Currency


class HoldForPayment(PaymentOfAccount):
    """Hold an amount for an order that is to be paid from the account."""

    channel: str
    customer_id: CustomerId = ""
    joined_from: tuple[Identifier, ...] = ()
    """The orders that this one was split off or merged from: a gift card that was presented for one of them pays for
    it, too."""


class ApplyForPayment(PaymentOfAccount):
    """Capture a part of the amount that is held for a payment."""


class ReleaseForPayment(PaymentOfAccount):
    """Release what is held for a payment and is not captured."""


class CreditFromPayment(PaymentOfAccount):
    """Credit a payment's refund to the account."""


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
    """A line of the account.

    `number` counts the lines from 1; `balance_minor` and `held_minor` are the amounts after it.
    """

    number: int
    amount_minor: int
    currency: str
    balance_minor: int
    held_minor: int
    reason: str = ""
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class AccountPaymentEntry(AccountEntry):
    """A line that a payment may have asked for.

    `part` names a capture, a void or a refund of the payment; like `payment_id` it is empty if a person asked for the
    line.
    """

    payment_id: str = ""
    part: str = ""
    order_id: str = ""


class AccountCredited(AccountPaymentEntry):
    """Money came onto the account. `method`: how it came, if not from a payment."""

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
    """The request of a payment was refused. `retriable`: it may be granted once there is more on the account."""

    operation: Literal["hold", "apply", "release", "credit"]
    payment_id: str
    part: str = ""
    order_id: str
    amount_minor: int
    currency: str
    reason: QuotedText
    retriable: bool = False


class AccountRanLow(AccountEvent):
    """The available amount fell below `top_up_below_minor`."""

    available_minor: int
    top_up_below_minor: int
    currency: str


class AccountToppedUp(AccountEvent):
    """The available amount is not below `top_up_below_minor` any more."""

    available_minor: int
    currency: str
