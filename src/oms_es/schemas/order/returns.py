"""What an order is asked about returns, and what it says: only it knows what was shipped, and what was paid for it.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from oms_es.kernel import SystemCommand
from oms_es.schemas.finance.account import AccountId
from oms_es.schemas.order import LINES_MAX, LineUnits, OrderCommand, OrderContent, OrderEvent, OrderLine
from oms_es.schemas.payment import RefundAllocation
from oms_es.schemas.returns.feedback import Rating, Subject
from oms_es.schemas.returns.rma import ExpectedLine, Lines, Resolution
from oms_es.schemas.values.customer import CustomerId, OfCustomer
from oms_es.schemas.values.types import (
    AMOUNT_MINOR_MAX,
    NAMED_OR_NOT,
    Identifier,
    Moment,
    PartName,
    PlainText,
    ShortName,
    at_most,
)


class RequestReturn(OrderCommand):
    """A customer wants to send units back, or to be refunded and keep them. `replacement`: what an exchange sends."""

    rma_id: ShortName
    lines: Lines
    resolution: Resolution = "refund"
    replacement: Annotated[tuple[OrderLine, ...], Field(max_length=LINES_MAX)] = ()
    to_account: AccountId | None = None
    """An account of a customer that refunds of it go onto; else they go back where the money came from."""
    now: Moment


class CreditReturn(OrderCommand, SystemCommand):
    """Units came back and were accepted: refund them at what was paid, or send the exchange."""

    rma_id: Identifier
    credit_id: Identifier
    resolution: Resolution
    lines: tuple[LineUnits, ...]


class RefundCredit(OrderCommand, SystemCommand):
    """What an exchange did not use of the worth of the returned goods goes back to the customer."""

    rma_id: Identifier
    exchange_order_id: Identifier
    amount_minor: Annotated[PositiveInt, at_most(AMOUNT_MINOR_MAX)]
    credit_id: Annotated[str, NAMED_OR_NOT] = ""
    """Where it is not the first that goes back of that exchange."""


class RecordReturnEnded(OrderCommand, SystemCommand):
    """A return has ended, or never began, and these units of it did not come: they may be returned another time."""

    rma_id: Identifier
    lines: tuple[LineUnits, ...]
    reason: PlainText = ""


class RecordFeedbackGiven(OrderCommand, SystemCommand):
    """The customer rated the order, a SKU of it, or who brought it."""

    feedback_id: Identifier
    subject: Subject
    about: PartName = ""
    rating: Rating


class OrderFeedbackGiven(OrderEvent, OfCustomer):
    """The customer that the order names rated it; `about` names the SKU or the carrier."""

    feedback_id: str
    subject: Subject
    about: str
    rating: int


class OrderReturnRequested(OrderEvent):
    rma_id: str
    channel: str
    resolution: Resolution
    lines: tuple[ExpectedLine, ...]
    replacement: tuple[OrderLine, ...] = ()
    requested_at: Moment
    delivered_at: Moment | None = None
    """The last delivery before the request, where it is known."""
    customer_id: CustomerId = ""
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""
    to_account: str = ""
    """The account that refunds of it go onto; empty where they go back to where the money came from."""


class OrderExchangeCredited(OrderEvent):
    """What was accepted pays for another order, whose content this is."""

    rma_id: str
    credit_id: str
    allocations: tuple[RefundAllocation, ...]
    credited_units: dict[str, int]
    content: OrderContent


class OrderCreditRefused(OrderEvent):
    """Accepted units could not be credited: a person must look at it."""

    rma_id: str
    credit_id: str
    reason: str


class OrderReturnEnded(OrderEvent):
    """`reason`: why it never began."""

    rma_id: str
    lines: tuple[LineUnits, ...]
    reason: str = ""
