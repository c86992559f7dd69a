"""Returns, as their order decides about them: only the order knows what was shipped, and what was paid for it.

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
    """Request a return for a customer: units are sent back, or refunded and kept.

    `replacement`: the lines that an exchange sends.
    """

    rma_id: ShortName
    lines: Lines
    resolution: Resolution = "refund"
    replacement: Annotated[tuple[OrderLine, ...], Field(max_length=LINES_MAX)] = ()
    to_account: AccountId | None = None
    """The account of a customer that is credited with refunds; without it the money goes back to where it came from."""
    now: Moment


class CreditReturn(OrderCommand, SystemCommand):
    """Credit returned units that were accepted: refund what was paid for them, or send the exchange."""

    rma_id: Identifier
    credit_id: Identifier
    resolution: Resolution
    lines: tuple[LineUnits, ...]


class RefundCredit(OrderCommand, SystemCommand):
    """Refund the part of a return's credit that its exchange did not use."""

    rma_id: Identifier
    exchange_order_id: Identifier
    amount_minor: Annotated[PositiveInt, at_most(AMOUNT_MINOR_MAX)]
    credit_id: Annotated[str, NAMED_OR_NOT] = ""
    """Distinguishes several such credits of one exchange; empty for the first."""


class RecordReturnEnded(OrderCommand, SystemCommand):
    """Record that a return has ended, or never began, without these units: they may be returned another time."""

    rma_id: Identifier
    lines: tuple[LineUnits, ...]
    reason: PlainText = ""


class RecordFeedbackGiven(OrderCommand, SystemCommand):
    """Record a customer's rating of the order, of a SKU in it, or of its carrier."""

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
    """The last delivery before the request, if it is known."""
    customer_id: CustomerId = ""
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""
    to_account: str = ""
    """The account that is credited with refunds; empty if the money goes back to where it came from."""


class OrderExchangeCredited(OrderEvent):
    """Accepted units pay for another order, whose content this is."""

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
    """Units of a return did not come. `reason`: why the return never began."""

    rma_id: str
    lines: tuple[LineUnits, ...]
    reason: str = ""
