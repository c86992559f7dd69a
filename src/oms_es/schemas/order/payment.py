"""What is due for an order, and whether it is secured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from oms_es.kernel import Message, SystemCommand
from oms_es.schemas.order.content import OrderCommand, OrderEvent
from oms_es.schemas.values.customer import OfCustomer
from oms_es.schemas.values.types import (
    AmountMinor,
    Derived,
    Identifier,
    Text,
    Token,
)


class RecordPaymentAuthorized(OrderCommand, SystemCommand):
    """The provider holds the money of one of the order's payments."""

    payment_id: Identifier


class RecordPaymentFailed(OrderCommand, SystemCommand):
    """No money comes of this payment; `retriable` where another attempt may bring it."""

    payment_id: Identifier
    reason: Text
    retriable: bool = False


class RecordPaymentWithdrawn(OrderCommand, SystemCommand):
    """What was held for this payment was released at the provider: nothing may leave on it."""

    payment_id: Identifier
    reason: Text


MoneyGone = Literal["refunded", "disputed", "not_captured"]
"""How money of an order goes that was not given back from here: by the provider's dashboard, by the customer's bank,
or it never came although its goods left."""


class RecordMoneyGone(OrderCommand, SystemCommand):
    """So much of what a payment brought, or should have, is not there: nothing more is given back of it.

    `effect` names the refund, dispute or capture, so that it counts once.
    """

    payment_id: Identifier
    effect: Derived
    why: MoneyGone
    amount_minor: Annotated[AmountMinor, Field(gt=0)]
    of_credit: bool = False
    """The order is an exchange, and its credit came from that payment, of the order whose goods came back."""


class RecordMoneyBack(OrderCommand, SystemCommand):
    """What had gone is there again, or is asked for again; news only of what was known to be gone."""

    payment_id: Identifier
    effect: Derived


class RepeatPayment(OrderCommand, SystemCommand):
    """The time has come to ask again for what a deferred payment should have brought."""

    payment_id: Identifier


class RetryPayment(OrderCommand):
    """Ask again for the money that did not come, from another payment token if one is given."""

    payment_token: Token | None = None


class OrderCreditLeft(OrderEvent, OfCustomer):
    """An exchange that costs less than what was returned, or is not sent at all: the rest goes back to the customer."""

    exchange_of: str
    amount_minor: int
    currency: str
    credit_id: str = ""
    """Where it is not the first that is left."""


class PaymentDue(Message):
    """Money to be asked for. `capture_now`: it is taken as soon as it is held, as a deposit is."""

    payment_id: str
    amount_minor: int
    payment_token: str
    method: str = "card"
    capture_now: bool = False


class OrderBalanceDue(OrderEvent):
    """The goods of a presale have come; the rest of the money is due."""

    payments: tuple[PaymentDue, ...]
    currency: str
    due_seconds: int


class OrderPaymentRequested(OrderEvent, PaymentDue):
    """Asked for again, in place of a payment that did not come."""

    currency: str
    replaces: str
    attempt: int


class OrderPaymentDeferred(OrderEvent):
    """A payment was declined and may come another time; it is asked for again by itself, or else by a person."""

    payment_id: str
    attempt: int
    reason: str
    again: bool


class OrderPaymentSecured(OrderEvent):
    """A payment is held, and the order is not released yet: `open_minor` is still to come, or it is held."""

    payment_id: str
    open_minor: int


class OrderMoneyGone(OrderEvent, OfCustomer):
    """So much of what was paid is not there, and was not given back from here."""

    payment_id: str
    effect: str
    why: MoneyGone
    amount_minor: int
    currency: str
    exchanges: dict[str, int] = {}
    """By order: exchanges that were granted for this money, and how much of their credit is gone with it."""
    of_credit: bool = False
    """It is money of the credit of this exchange."""
    left_minor: int = 0
    """Of an exchange, so much of it paid for goods that can no longer be held."""


class OrderMoneyBack(OrderEvent, OfCustomer):
    """What had gone is there again, or is asked for again."""

    payment_id: str
    effect: str
    why: MoneyGone
    amount_minor: int
    currency: str
    exchanges: dict[str, int] = {}
    of_credit: bool = False
