"""An order comes, is repeated, and ends: commands and events."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from oms_es.kernel import Command, SystemCommand
from oms_es.schemas.order.content import (
    LINES_MAX,
    TENDERS_MAX,
    Cut,
    EarlyCommand,
    LineUnits,
    OrderCommand,
    OrderContent,
    OrderEvent,
    Reservation,
    Tender,
    order_id_of,
    tender_fields,
)
from oms_es.schemas.order.shipping import ParcelCharge
from oms_es.schemas.values.customer import CustomerId
from oms_es.schemas.values.types import (
    AMOUNT_MINOR_MAX,
    COUNT_MAX,
    Identifier,
    Moment,
    Text,
    at_most,
    refuse_card_number,
)


class PlaceOrder(Command, OrderContent):
    """What a channel sold. `fulfilled`: of its lines, what others have shipped already; it is neither shipped nor
    charged here. `cancelled`: why it was cancelled before it was received. `revision`: as of which of the channel's
    revisions it is sent; of older amendments nothing counts.
    """

    tenders: Annotated[tuple[Tender, ...], Field(max_length=TENDERS_MAX)] = ()
    """What they leave open of the total is charged to `payment_token`."""
    fulfilled: Annotated[tuple[LineUnits, ...], Field(max_length=LINES_MAX)] = ()
    cancelled: Annotated[Text, Field(min_length=1)] | None = None
    revision: Annotated[PositiveInt, at_most(COUNT_MAX)] | None = None

    @model_validator(mode="after")
    def _no_card_number(self) -> Self:
        tendered = (name for tender in self.all_tenders for name in (tender.method, tender.payment_token))
        for name in (self.payment_token, self.delivery_option, *tendered):
            refuse_card_number(name)
        return self

    @model_validator(mode="after")
    def _fits_before_the_discount(self) -> Self:
        if self.total_minor + self.discount_minor > AMOUNT_MINOR_MAX:
            raise ValueError(f"lines, shipping and tax would exceed {AMOUNT_MINOR_MAX}: split the order")
        return self

    @cached_property
    def order_id(self) -> str:
        return order_id_of(self.channel, self.external_id)

    @property
    def stream(self) -> str:
        return f"order-{self.order_id}"

    @property
    def without_customer(self) -> PlaceOrder:
        """The same without what is said of a customer, as channels sent orders before they could."""
        return self.model_copy(update={"customer": None, "notes": "", "metadata": {}})

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content: equal fingerprints are the same order sent again."""
        content = OrderContent.model_construct(**self.content)
        return sha256(content.model_dump_json(exclude_defaults=True).encode()).hexdigest()

    @property
    def content(self) -> dict[str, Any]:
        """The fields of its content as events state them."""
        fields = {name: getattr(self, name) for name in OrderContent.model_fields}
        return {**fields, **tender_fields(self.all_tenders)}


OverrideTarget = Literal["sourcing", "released", "completed"]
EarlyKind = Literal["amendment", "cancellation", "fulfilment", "refund"]


class OverrideOrder(OrderCommand):
    """Set an order on by hand, with a reason; never past what its stock and money allow.

    `sourcing`: everything that is locked is released and sourced again. `released`: it goes to fulfilment although it
    is held, and what is not paid is not charged. `completed`: everything left, and it counts as arrived.
    """

    override_id: Identifier
    to: OverrideTarget
    reason: Annotated[Text, Field(min_length=1)]


class CancelOrder(EarlyCommand):
    """Cancel a whole order, with the undo that its stage needs. `keep`: the order may not be known yet."""

    reason: Text


class ChasePlacement(OrderCommand, SystemCommand):
    """The order should have come by now: say so, if something still waits for it."""


class LapseOrder(OrderCommand, SystemCommand):
    """The time to pay is over: cancels the order if its payment is still due.

    `payment_id`: the newest payment when the deadline was set; an order that asked for another since does not lapse.
    """

    payment_id: Identifier | None = None


class OrderPlaced(OrderEvent, OrderContent):
    fingerprint: str
    revision: int | None = None
    """As of which of the channel's revisions."""


class DuplicateConflictFound(OrderEvent):
    """The channel sent the same order again with other content. Kept whole, for a person to settle."""

    fingerprint: str
    content: OrderContent


class OrderOverridden(OrderEvent):
    """Set on by hand: the actor of its envelope answers for it. What follows stands in the events after it."""

    override_id: str
    to: OverrideTarget
    reason: str
    released: tuple[Cut, ...] = ()
    """Locks that were released."""
    payments_cancelled: tuple[str, ...] = ()
    """Not waited for any more."""
    written_off_minor: int = 0
    """Of the total, what will not be charged."""
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""


class OrderCancellationKept(OrderEvent):
    """It came before the order, which is cancelled when it comes."""

    reason: str
    called: str = ""


class OrderPlacementOverdue(OrderEvent):
    """Something waits for an order that has not come in time; it goes on waiting.

    `waiting`: what came before the order, by kind. `called`: what its channel calls the order.
    """

    waiting: tuple[EarlyKind, ...]
    called: str = ""


class OrderCompleted(OrderEvent):
    payment_id: str
    charges: tuple[ParcelCharge, ...] = ()
    """Of all parcels that left. A release of the rest takes these first: that a parcel left is reported in another
    topic, and may be heard of later than this."""
    payment_ids: tuple[str, ...] = ()
    """All of them, where there were several."""


class OrderCancellationRequested(OrderEvent):
    """The warehouses were asked to stop; the order is cancelled once they have."""

    reason: str
    shipment_ids: tuple[str, ...]


class OrderCancellationRefused(OrderEvent):
    """Too late for at least one shipment: what was already on its way goes on."""

    reason: str
    shipment_ids: tuple[str, ...]


class OrderCancelled(OrderEvent):
    reason: str
    reservations: tuple[Reservation, ...]
    """What was locked, or asked to be, and is to be released."""
    payment_id: str | None
    payment_ids: tuple[str, ...] = ()
    """All that are to be undone, where there are several."""
    backordered: dict[str, int] = {}
    """What it was still waiting for."""
    report: str = ""
    """Of the channel, by which it is cancelled: a refund of everything."""
    asked: str = ""
    """What that report said beside its own id: a repeat is recognised by it."""
    channel: str
    placed_at: Moment
    currency: str
    total_minor: int
    units: int
    customer_id: CustomerId = ""
