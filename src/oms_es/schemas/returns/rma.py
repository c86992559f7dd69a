"""The commands and events of a return (RMA).

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from oms_es.kernel import Command, Event, Message, SystemCommand
from oms_es.schemas.order import LINES_MAX, LineUnits
from oms_es.schemas.stock import SERIALS_MAX
from oms_es.schemas.values.types import (
    AMOUNT_MINOR_MAX,
    NAME,
    NAMED_OR_NOT,
    PLACE_NAME,
    Currency,
    Identifier,
    LineQuantity,
    LocationId,
    Moment,
    ShortName,
    Text,
    at_most,
    at_most_items,
)

ReturnReason = Literal[
    "damaged", "defective", "wrong_item", "not_as_described", "changed_mind", "arrived_late", "other"
]
Resolution = Literal["refund", "exchange", "refund_only"]
"""With `refund_only` the customer keeps the goods."""
Grade = Literal["as_new", "opened", "damaged", "defective"]
Disposition = Literal["sellable", "damaged", "quarantine", "written_off"]
"""Where inspected units go: back to stock in that condition, or, written off, nowhere."""
WINDOW_DAYS_MAX = 3_650
REASONS_MAX = 20


class ReturnLine(Message):
    """Units of one line of an order that are to come back, and the reason."""

    line_id: Identifier
    quantity: LineQuantity
    reason: ReturnReason


class ExpectedLine(ReturnLine):
    """A returned line with its SKU.

    `components`: what one unit of the line is made of; empty unless the line is a bundle.
    """

    sku: str
    components: dict[str, int] = {}


Lines = Annotated[tuple[ReturnLine, ...], Field(min_length=1, max_length=LINES_MAX)]
Counts = Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=LINES_MAX)]


class Terms(Message):
    """The terms of the return policy of the order's channel."""

    window_days: Annotated[int, Field(gt=0, le=WINDOW_DAYS_MAX)] = 30
    """Days from the last delivery to the request."""
    return_days: Annotated[int, Field(gt=0, le=WINDOW_DAYS_MAX)] = 21
    """Days from the approval to the arrival."""
    reasons: Annotated[tuple[ReturnReason, ...], at_most_items(REASONS_MAX)] = ()
    """The accepted reasons; empty accepts all."""
    approve_at_once: bool = True
    """Whether a request that fits the policy is approved without a person."""


class RmaCommand(Command):
    rma_id: Identifier

    @property
    def stream(self) -> str:
        return f"rma-{self.rma_id}"


class OpenRma(RmaCommand, SystemCommand):
    """Open a return that its order allows, under the terms of its channel."""

    order_id: Identifier
    channel: Annotated[str, NAMED_OR_NOT]
    resolution: Resolution
    lines: tuple[ExpectedLine, ...]
    requested_at: Moment
    delivered_at: Moment | None = None
    terms: Terms = Terms()


class ApproveRma(RmaCommand):
    """Approve a return that waits for a decision, even if the policy does not cover it."""

    note: Text = ""


class RefuseRma(RmaCommand):
    """Refuse a return that waits for a decision or has not arrived yet."""

    reason: Annotated[Text, Field(min_length=1)]


class ReceiveRma(RmaCommand):
    """Record goods that came back to a location. Unexpected units are recorded as a surplus, and not credited."""

    receipt_id: Identifier
    location: LocationId
    lines: Counts


class InspectedLine(LineUnits):
    """Units of one line that were inspected, and where they go. `credited`: they are refunded or exchanged."""

    grade: Grade
    disposition: Disposition
    bin: Annotated[str, PLACE_NAME] = ""
    lot: Annotated[str, PLACE_NAME] = ""
    serials: Annotated[tuple[Annotated[str, NAME], ...], at_most_items(SERIALS_MAX)] = ()
    credited: bool = True


class InspectRma(RmaCommand):
    """Record the inspection of goods that came back."""

    inspection_id: ShortName
    location: LocationId
    lines: Annotated[tuple[InspectedLine, ...], Field(min_length=1, max_length=LINES_MAX)]


class CloseRma(RmaCommand):
    """End a return by hand; units that have not come by now are not expected any more."""


class LapseRma(RmaCommand, SystemCommand):
    """End a return because the time to send the goods back is over."""


class RecordCreditLeft(RmaCommand, SystemCommand):
    """Record the part of the credit that is left: the exchange costs less than the returned goods, or is not sent after
    all.
    """

    exchange_order_id: Identifier
    amount_minor: Annotated[PositiveInt, at_most(AMOUNT_MINOR_MAX)]
    credit_id: Annotated[str, NAMED_OR_NOT] = ""
    """Distinguishes several such credits of one exchange; empty for the first."""
    currency: Currency | None = None


class RmaEvent(Event):
    rma_id: str
    order_id: str


class RmaOpened(RmaEvent):
    channel: str
    resolution: Resolution
    lines: tuple[ExpectedLine, ...]
    requested_at: Moment
    terms: Terms


class RmaNameTaken(RmaEvent):
    """Another order has a return of this id: the order that asked for `lines` gets none."""

    lines: tuple[LineUnits, ...]
    reason: str


class RmaReviewRequested(RmaEvent):
    """A person must decide, because the policy does not cover the return. `reasons` says why not."""

    reasons: tuple[str, ...]


class RmaApproved(RmaEvent):
    note: str = ""
    return_days: int


class RmaRefused(RmaEvent):
    """The return was refused: none of `lines` will be taken back."""

    reason: str
    lines: tuple[LineUnits, ...]


class RmaReceived(RmaEvent):
    receipt_id: str
    location: str
    lines: tuple[LineUnits, ...]
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class RmaSurplusReceived(RmaEvent):
    """More units than expected came back, or others."""

    receipt_id: str
    location: str
    lines: tuple[LineUnits, ...]
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class InspectedItem(Message):
    """Units of one SKU and their destination; of a bundle, by component."""

    sku: str
    quantity: int
    disposition: Disposition
    bin: str = ""
    lot: str = ""
    serials: tuple[str, ...] = ()


class RmaInspected(RmaEvent):
    inspection_id: str
    location: str
    lines: tuple[InspectedLine, ...]
    items: tuple[InspectedItem, ...]
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class RmaCreditDue(RmaEvent):
    """The accepted units are to be refunded, or exchanged."""

    credit_id: str
    resolution: Resolution
    lines: tuple[LineUnits, ...]


class RmaCreditLeft(RmaEvent):
    exchange_order_id: str
    amount_minor: int
    credit_id: str = ""
    currency: str = ""


class RmaClosed(RmaEvent):
    """The return ended. `outstanding`: units that never came."""

    outstanding: tuple[LineUnits, ...] = ()
