"""A return (RMA): what may be asked of it, and what may happen to it.

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
"""`refund_only`: the customer keeps the goods."""
Grade = Literal["as_new", "opened", "damaged", "defective"]
Disposition = Literal["sellable", "damaged", "quarantine", "written_off"]
"""Where inspected units go: back to stock in that condition, or nowhere."""
WINDOW_DAYS_MAX = 3_650
REASONS_MAX = 20


class ReturnLine(Message):
    """Units of one line of an order that are to come back, and why."""

    line_id: Identifier
    quantity: LineQuantity
    reason: ReturnReason


class ExpectedLine(ReturnLine):
    """`components`: what one unit of the line is made of; its SKU alone unless the line is a bundle."""

    sku: str
    components: dict[str, int] = {}


Lines = Annotated[tuple[ReturnLine, ...], Field(min_length=1, max_length=LINES_MAX)]
Counts = Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=LINES_MAX)]


class Terms(Message):
    """What the policy of the order's channel says."""

    window_days: Annotated[int, Field(gt=0, le=WINDOW_DAYS_MAX)] = 30
    """From the last delivery to the request."""
    return_days: Annotated[int, Field(gt=0, le=WINDOW_DAYS_MAX)] = 21
    """From the approval to the arrival."""
    reasons: Annotated[tuple[ReturnReason, ...], at_most_items(REASONS_MAX)] = ()
    """Accepted ones; empty accepts all."""
    approve_at_once: bool = True
    """Whether no person has to look at a request that fits the policy."""


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
    """Let a return come that waits for a decision, also one that the policy would refuse."""

    note: Text = ""


class RefuseRma(RmaCommand):
    """Say no to a return that waits for a decision or has not arrived yet."""

    reason: Annotated[Text, Field(min_length=1)]


class ReceiveRma(RmaCommand):
    """Goods came back to a location. What was not expected is noted, and not credited."""

    receipt_id: Identifier
    location: LocationId
    lines: Counts


class InspectedLine(LineUnits):
    """Units of one line that were looked at, and where they go. `credited`: they are worth money, or an exchange."""

    grade: Grade
    disposition: Disposition
    bin: Annotated[str, PLACE_NAME] = ""
    lot: Annotated[str, PLACE_NAME] = ""
    serials: Annotated[tuple[Annotated[str, NAME], ...], at_most_items(SERIALS_MAX)] = ()
    credited: bool = True


class InspectRma(RmaCommand):
    """Goods that came back were looked at."""

    inspection_id: ShortName
    location: LocationId
    lines: Annotated[tuple[InspectedLine, ...], Field(min_length=1, max_length=LINES_MAX)]


class CloseRma(RmaCommand):
    """End a return by hand; what has not come by now is not expected any more."""


class LapseRma(RmaCommand, SystemCommand):
    """The time to send the goods back is over: ends the return."""


class RecordCreditLeft(RmaCommand, SystemCommand):
    """The exchange costs less than what came back is worth, or is not sent after all."""

    exchange_order_id: Identifier
    amount_minor: Annotated[PositiveInt, at_most(AMOUNT_MINOR_MAX)]
    credit_id: Annotated[str, NAMED_OR_NOT] = ""
    """Where it is not the first that is left of that exchange."""
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
    """Another order has a return by this name: the one that asked for `lines` has none."""

    lines: tuple[LineUnits, ...]
    reason: str


class RmaReviewRequested(RmaEvent):
    """A person must decide: the policy does not cover it. `reasons` says why not."""

    reasons: tuple[str, ...]


class RmaApproved(RmaEvent):
    note: str = ""
    return_days: int


class RmaRefused(RmaEvent):
    """None of `lines` will be taken back."""

    reason: str
    lines: tuple[LineUnits, ...]


class RmaReceived(RmaEvent):
    receipt_id: str
    location: str
    lines: tuple[LineUnits, ...]
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""


class RmaSurplusReceived(RmaEvent):
    """More than was expected came back, or something else."""

    receipt_id: str
    location: str
    lines: tuple[LineUnits, ...]
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""


class InspectedItem(Message):
    """Units of one SKU that go where `disposition` says; a bundle's by component."""

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
    """What the command said beside its own id: a repeat is recognised by it."""


class RmaCreditDue(RmaEvent):
    """What was accepted is to be refunded, or exchanged."""

    credit_id: str
    resolution: Resolution
    lines: tuple[LineUnits, ...]


class RmaCreditLeft(RmaEvent):
    exchange_order_id: str
    amount_minor: int
    credit_id: str = ""
    currency: str = ""


class RmaClosed(RmaEvent):
    """`outstanding`: units that never came."""

    outstanding: tuple[LineUnits, ...] = ()
