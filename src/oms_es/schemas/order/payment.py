"""The payments that are due for an order, and whether they are secured."""

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
    """Record that the provider holds the money of one of the order's payments."""

    payment_id: Identifier


class RecordPaymentFailed(OrderCommand, SystemCommand):
    """Record that a payment brings no money; `retriable` if another attempt may bring it."""

    payment_id: Identifier
    reason: Text
    retriable: bool = False


class RecordPaymentWithdrawn(OrderCommand, SystemCommand):
    """Record that the provider released a held payment: goods must not leave on it."""

    payment_id: Identifier
    reason: Text


MoneyGone = Literal["refunded", "disputed", "not_captured"]
"""How an order's money was lost without a refund from here: refunded at the provider, disputed through the customer's
bank, or not captured although the goods left."""


class RecordMoneyGone(OrderCommand, SystemCommand):
    """Record that an amount of a payment is gone: it cannot be refunded any more.

    `effect` names the refund, dispute or capture, so that it counts once.
    """

    payment_id: Identifier
    effect: Derived
    why: MoneyGone
    amount_minor: Annotated[AmountMinor, Field(gt=0)]
    of_credit: bool = False
    """Whether the money belongs to the credit of this exchange, from a payment of the order whose goods came back."""


class RecordMoneyBack(OrderCommand, SystemCommand):
    """Record that money that was gone is there, or is asked for, again.

    Without a record that it was gone, nothing changes.
    """

    payment_id: Identifier
    effect: Derived


class RepeatPayment(OrderCommand, SystemCommand):
    """Ask again for the money of a deferred payment; its time has come."""

    payment_id: Identifier


class RetryPayment(OrderCommand):
    """Ask again for the missing money, with another payment token if one is given."""

    payment_token: Token | None = None


class OrderCreditLeft(OrderEvent, OfCustomer):
    """An exchange costs less than the returned goods, or is not sent at all: the rest of the credit goes back to the
    customer.
    """

    exchange_of: str
    amount_minor: int
    currency: str
    credit_id: str = ""
    """Distinguishes several such credits of one exchange; empty for the first."""


class PaymentDue(Message):
    """A payment to ask for. `capture_now`: the money is captured as soon as it is held, as a deposit is."""

    payment_id: str
    amount_minor: int
    payment_token: str
    method: str = "card"
    capture_now: bool = False


class AsksForMoney(OrderEvent):
    """An event by which payments are asked for. Gateways are chosen by `currency`, `channel`, and `country`, where the
    goods go.
    """

    currency: str
    channel: str = ""
    country: str = ""


class OrderBalanceDue(AsksForMoney):
    """The goods of a presale have come; the balance is due."""

    payments: tuple[PaymentDue, ...]
    due_seconds: int


class OrderPaymentRequested(AsksForMoney, PaymentDue):
    """A payment is asked for in place of one that brought no money."""

    replaces: str
    attempt: int


class OrderPaymentDeferred(OrderEvent):
    """A payment was declined and may succeed another time; it is asked for again automatically if `again`, else by a
    person.
    """

    payment_id: str
    attempt: int
    reason: str
    again: bool


class OrderPaymentSecured(OrderEvent):
    """A payment is held. The order is not released yet: `open_minor` is still to be paid, or the order is held."""

    payment_id: str
    open_minor: int


class OrderMoneyGone(OrderEvent, OfCustomer):
    """An amount of a payment is gone, without a refund from here."""

    payment_id: str
    effect: str
    why: MoneyGone
    amount_minor: int
    currency: str
    exchanges: dict[str, int] = {}
    """By order id: exchanges that this money paid for, and the amount of their credit that is gone with it."""
    of_credit: bool = False
    """Whether the money belongs to the credit of this exchange."""
    left_minor: int = 0
    """For an exchange, the amount that paid for goods that can no longer be stopped."""


class OrderMoneyBack(OrderEvent, OfCustomer):
    """Money that was gone is there, or is asked for, again."""

    payment_id: str
    effect: str
    why: MoneyGone
    amount_minor: int
    currency: str
    exchanges: dict[str, int] = {}
    of_credit: bool = False
