"""What of an order's money goes back."""

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
    """What of a line is to be refunded: so many units at what was paid for them, or an amount."""

    line_id: Identifier
    quantity: LineQuantity | None = None
    amount_minor: Annotated[AmountMinor, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.quantity is None) == (self.amount_minor is None):
            raise ValueError("give either quantity or amount_minor")
        return self


class RefundOrder(OrderCommand):
    """Give money back for what was shipped: lines by units or amount, shipping, goodwill. Once per refund_id."""

    refund_id: Identifier
    lines: Annotated[tuple[RefundLine, ...], Field(max_length=LINES_MAX)] = ()
    shipping_minor: AmountMinor = 0
    goodwill_minor: AmountMinor = 0
    reason: Text = ""
    to_account: AccountId | None = None
    """An account of a customer, such as store credit; else it goes back where it came from."""


class RefundPart(Message):
    """What one payment gives back, and what for; the parts of it sum to `amount_minor`."""

    payment_id: str
    amount_minor: int
    allocations: tuple[RefundAllocation, ...]


class CreditPart(Message):
    """Of a refund of an exchange, what goes back to the payer of the returned goods: by way of their return."""

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
    """Of each line that was refunded by units."""
    rma_id: str | None = None
    """The return that it is for, if it is for one."""
    credit: CreditPart | None = None
    """What of `amount_minor` was never paid for this order, but for the one that it was sent in exchange for."""
    exchange_order_id: str = ""
    """The exchange whose credit comes back, where it is that."""
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""
    to_account: str = ""
    """The account that it goes onto; empty where it goes back to where it came from."""
