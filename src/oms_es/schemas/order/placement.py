"""The placement of an order, its repeats, and its end: commands and events."""

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
    """Place an order that a channel sold.

    `fulfilled`: units of its lines that others have shipped already; they are neither shipped nor charged here.
    `cancelled`: why it was cancelled before it was received. `revision`: the channel's revision of the order; older
    amendments do not count.
    """

    tenders: Annotated[tuple[Tender, ...], Field(max_length=TENDERS_MAX)] = ()
    """Parts of the total with methods of their own; the rest of the total is charged to `payment_token`."""
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
        """The same command without customer, notes and metadata, as channels sent orders before they could name a
        customer.
        """
        return self.model_copy(update={"customer": None, "notes": "", "metadata": {}})

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the content: equal fingerprints mean the same order sent again."""
        content = OrderContent.model_construct(**self.content)
        return sha256(content.model_dump_json(exclude_defaults=True).encode()).hexdigest()

    @property
    def content(self) -> dict[str, Any]:
        """The fields of the content, as events state them."""
        fields = {name: getattr(self, name) for name in OrderContent.model_fields}
        return {**fields, **tender_fields(self.all_tenders)}


OverrideTarget = Literal["sourcing", "released", "completed"]
EarlyKind = Literal["amendment", "cancellation", "fulfilment", "refund"]


class OverrideOrder(OrderCommand):
    """Move an order on by hand, with a reason; never beyond what its stock and money allow.

    `sourcing`: everything that is reserved is released and sourced again. `released`: it is sent to fulfilment although
    it is held; unpaid amounts are not charged. `completed`: everything left, and counts as arrived.
    """

    override_id: Identifier
    to: OverrideTarget
    reason: Annotated[Text, Field(min_length=1)]


class CancelOrder(EarlyCommand):
    """Cancel a whole order, and undo what its stage requires.

    `keep`: if the order is not known yet, the command waits.
    """

    reason: Text
    by_customer: bool = False
    """Whether the customer leaves on their own account: a deposit is then kept where the presale's terms say so."""


class ChasePlacement(OrderCommand, SystemCommand):
    """Record that an order has not come in time, if something still waits for it."""


class LapseOrder(OrderCommand, SystemCommand):
    """Cancel an order if its payment is still due at the end of the time to pay.

    `payment_id`: the newest payment when the deadline was set. An order with a newer payment is not cancelled.
    """

    payment_id: Identifier | None = None


class OrderPlaced(OrderEvent, OrderContent):
    fingerprint: str
    revision: int | None = None
    """The channel's revision of the order."""


class DuplicateConflictFound(OrderEvent):
    """The channel sent the same order again with other content, which is kept whole for a person to settle."""

    fingerprint: str
    content: OrderContent


class OrderOverridden(OrderEvent):
    """A person moved the order on; the actor of its envelope is responsible.

    The following events say what it led to.
    """

    override_id: str
    to: OverrideTarget
    reason: str
    released: tuple[Cut, ...] = ()
    """Locks that were released."""
    payments_cancelled: tuple[str, ...] = ()
    """Payments that are not waited for any more."""
    written_off_minor: int = 0
    """The part of the total that will not be charged."""
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class OrderCancellationKept(OrderEvent):
    """A cancellation came before its order, which is cancelled when it comes."""

    reason: str
    called: str = ""


class OrderPlacementOverdue(OrderEvent):
    """Something waits for an order that has not come in time; it continues to wait.

    `waiting`: the kinds of commands that wait. `called`: the order's name at its channel.
    """

    waiting: tuple[EarlyKind, ...]
    called: str = ""


class OrderCompleted(OrderEvent):
    payment_id: str
    charges: tuple[ParcelCharge, ...] = ()
    """The charges of all parcels that left. They are captured before the rest is voided, as this event may be processed
    before the parcels' own events, which are in another topic."""
    payment_ids: tuple[str, ...] = ()
    """All payments, if there are several."""


class OrderCancellationRequested(OrderEvent):
    """The warehouses were asked to stop the order's parcels; the order is cancelled once they have."""

    reason: str
    shipment_ids: tuple[str, ...]


class OrderCancellationRefused(OrderEvent):
    """At least one shipment could not be stopped in time; it goes on."""

    reason: str
    shipment_ids: tuple[str, ...]


class OrderCancelled(OrderEvent):
    reason: str
    reservations: tuple[Reservation, ...]
    """The reserved or requested units, which are to be released."""
    payment_id: str | None
    payment_ids: tuple[str, ...] = ()
    """All payments to undo, if there are several."""
    backordered: dict[str, int] = {}
    """The units by SKU that it still waited for."""
    report: str = ""
    """The channel's report that cancelled the order: a refund of everything."""
    asked: str = ""
    """The report's content without its id, by which a repeat is recognised."""
    by_customer: bool = False
    """Whether the customer left on their own account."""
    channel: str
    placed_at: Moment
    currency: str
    total_minor: int
    units: int
    customer_id: CustomerId = ""
