"""Refunds of an order's money."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from oms_es.kernel import Message
from oms_es.schemas.finance.account import AccountId
from oms_es.schemas.order.content import LINES_MAX, OrderCommand, OrderEvent
from oms_es.schemas.payment import RefundAllocation
from oms_es.schemas.values.customer import OfCustomer
from oms_es.schemas.values.types import (
    AmountMinor,
    Identifier,
    LineQuantity,
    Text,
)


class RefundLine(Message):
    """A refund of a line: a number of units at the price that was paid for them, or an amount."""

    line_id: Identifier
    quantity: LineQuantity | None = None
    amount_minor: Annotated[AmountMinor, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.quantity is None) == (self.amount_minor is None):
            raise ValueError("give either quantity or amount_minor")
        return self


class RefundOrder(OrderCommand):
    """Refund money for what was shipped: lines by units or amount, shipping, goodwill. Once per refund_id."""

    refund_id: Identifier
    lines: Annotated[tuple[RefundLine, ...], Field(max_length=LINES_MAX)] = ()
    shipping_minor: AmountMinor = 0
    goodwill_minor: AmountMinor = 0
    reason: Text = ""
    to_account: AccountId | None = None
    """The account of a customer, such as store credit, that is credited; without it the money goes back to where it
    came from."""


class RefundPart(Message):
    """The part of a refund that one payment gives back; its allocations sum to `amount_minor`."""

    payment_id: str
    amount_minor: int
    allocations: tuple[RefundAllocation, ...]


class CreditPart(Message):
    """The part of an exchange's refund that goes back to the payer of the returned goods, by way of their return."""

    exchange_of: str
    amount_minor: int
    allocations: tuple[RefundAllocation, ...]


class OrderRefundRequested(OrderEvent, OfCustomer):
    refund_id: str
    amount_minor: int
    currency: str
    reason: str
    parts: tuple[RefundPart, ...]
    refunded_units: dict[str, int] = {}
    """The number of units by line that was refunded by units."""
    rma_id: str | None = None
    """The return that the refund is for, if there is one."""
    credit: CreditPart | None = None
    """The part of `amount_minor` that was paid for the order whose goods came back, and not for this exchange."""
    exchange_order_id: str = ""
    """The exchange whose credit comes back, if the refund is for that."""
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""
    to_account: str = ""
    """The account that is credited; empty if the money goes back to where it came from."""
