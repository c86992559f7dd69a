"""What may be asked of an order, and what may happen to it.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Literal, Self
from uuid import NAMESPACE_URL, uuid5

from pydantic import Field, PositiveInt, model_validator

from oms_es.kernel import Command, Event, Message
from oms_es.schemas.types import (
    AMOUNT_MINOR_MAX,
    AmountMinor,
    Channel,
    Country,
    Currency,
    Identifier,
    LocationId,
    Moment,
    Sku,
    Text,
    Units,
)

LINES_MAX = 500
TENDERS_MAX = 20
PRIORITY_MAX = 9
BALANCE_DUE_SECONDS_MAX = 365 * 86_400
ORDER_ID_NAMESPACE = uuid5(NAMESPACE_URL, "oms-es/order")


def order_id_of(channel: str, external_id: str) -> str:
    """The same order told twice addresses the same stream."""
    return str(uuid5(ORDER_ID_NAMESPACE, f"{channel}/{external_id}"))


class OrderLine(Message):
    line_id: Identifier
    sku: Sku
    quantity: Units
    unit_price_minor: AmountMinor


class Address(Message):
    name: Text = ""
    street: Text = ""
    city: Text = ""
    region: Text = ""
    postal_code: Text = ""
    country: Country
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None


class Destination(Message):
    """As much of an address as says where it is, and not whose it is."""

    country: str = ""
    region: str = ""
    latitude: float | None = None
    longitude: float | None = None


OrderKind = Literal["standard", "presale", "exchange"]
Priority = Annotated[int, Field(ge=0, le=PRIORITY_MAX)]
"""Of an order: higher is served first."""


class Tender(Message):
    """A part of the total that is paid with a method of its own, such as a gift card."""

    method: Identifier = "card"
    payment_token: Identifier
    amount_minor: Annotated[AmountMinor, Field(gt=0)]


class Charge(Message):
    """What one payment bears of something that is paid by several."""

    payment_id: Identifier
    amount_minor: Annotated[AmountMinor, Field(gt=0)]


def borne(charges: tuple[Charge, ...], payment_id: str, amount_minor: int) -> tuple[Charge, ...]:
    """Who bears a share: the payments named, or the order's one payment; nobody where it is nothing."""
    if charges or amount_minor == 0:
        return charges
    return (Charge(payment_id=payment_id, amount_minor=amount_minor),)


class OrderContent(Message):
    """What a channel tells us of an order: the canonical form every dialect is mapped to."""

    channel: Channel
    external_id: Identifier
    placed_at: Moment
    currency: Currency
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=LINES_MAX)]
    shipping_minor: AmountMinor = 0
    tax_minor: AmountMinor = 0
    """Tax charged on top of the prices; 0 where prices include it."""
    discount_minor: AmountMinor = 0
    ship_to: Address
    payment_token: Identifier = "on-file"
    """A provider's token, never a card number."""
    kind: OrderKind = "standard"
    priority: Priority = 0
    delivery_option: Identifier = "standard"
    allow_split: bool = True
    """Whether it may come in several parcels from several places."""
    tenders: Annotated[tuple[Tender, ...], Field(max_length=TENDERS_MAX)] = ()
    """What they leave open of the total is charged to `payment_token`."""
    deposit_minor: AmountMinor = 0
    """Of a presale: charged when it is accepted."""
    available_by: Moment | None = None
    """Of a presale: by then the goods are there, or it is cancelled."""
    balance_due_seconds: Annotated[int, Field(gt=0, le=BALANCE_DUE_SECONDS_MAX)] | None = None
    """Of a presale: how long its balance may take once the goods are there."""
    deposit_kept: bool = False
    """Of a presale: whether the deposit is kept where the balance is not paid in time."""
    exchange_of: Identifier | None = None
    """Of an exchange: the return that it replaces."""
    credit_minor: AmountMinor = 0
    """Of an exchange: what the returned goods are worth against its total."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({line.line_id for line in self.lines}) != len(self.lines):
            raise ValueError("line ids repeat: each line needs its own line_id")
        if self.total_minor < 0:
            raise ValueError("the discount exceeds the order: total_minor would be negative")
        if self.total_minor > AMOUNT_MINOR_MAX:
            raise ValueError(f"total_minor would exceed {AMOUNT_MINOR_MAX}: split the order")
        return self

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.kind != "presale" and (self.deposit_minor or self.available_by or self.balance_due_seconds):
            raise ValueError("deposit_minor, available_by and balance_due_seconds are for kind presale")
        if self.kind == "presale" and self.tenders:
            raise ValueError("a presale is paid by deposit and balance with payment_token: leave tenders out")
        if self.deposit_minor > self.total_minor:
            raise ValueError("deposit_minor exceeds total_minor: take at most the total in advance")
        if (self.kind == "exchange") != (self.exchange_of is not None):
            raise ValueError("kind exchange needs exchange_of, the return that it replaces, and no other kind has it")
        if self.kind != "exchange" and self.credit_minor:
            raise ValueError("credit_minor is for kind exchange")
        if sum(tender.amount_minor for tender in self.tenders) > max(self.total_minor - self.credit_minor, 0):
            raise ValueError("the tenders exceed what is to be paid: lower them")
        return self

    @property
    def total_minor(self) -> int:
        goods = sum(line.quantity * line.unit_price_minor for line in self.lines)
        return goods + self.shipping_minor + self.tax_minor - self.discount_minor

    @property
    def demand(self) -> dict[str, int]:
        """Units per SKU, summed over lines: two lines of one SKU are one demand."""
        wanted: Counter[str] = Counter()
        for line in self.lines:
            wanted[line.sku] += line.quantity
        return dict(wanted)


class PlaceOrder(Command, OrderContent):
    @cached_property
    def order_id(self) -> str:
        return order_id_of(self.channel, self.external_id)

    @property
    def stream(self) -> str:
        return f"order-{self.order_id}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content: equal fingerprints are the same order told again."""
        return sha256(self.model_dump_json(exclude_defaults=True).encode()).hexdigest()


class OrderCommand(Command):
    order_id: Identifier

    @property
    def stream(self) -> str:
        return f"order-{self.order_id}"


class Assignment(Message):
    """These units of a SKU come from that location."""

    sku: Sku
    location: LocationId
    quantity: Units


class Candidate(Message):
    """One way to source an order, as it was weighed: more units win, then the lower score, compared left to right."""

    locations: tuple[str, ...]
    covers_units: int
    shipments: int
    priority: int
    cost_minor: int
    distance_km: int
    late_days: int = 0
    over_capacity: int = 0
    score: tuple[int, ...] = ()
    """The terms of the objective by which it was compared."""


class SourceOrder(OrderCommand):
    """The answer to sourcing attempt `attempt`; `backordered` is what no location can promise."""

    attempt: PositiveInt
    assignments: tuple[Assignment, ...]
    backordered: dict[Sku, Units] = {}
    candidates: tuple[Candidate, ...] = ()
    rule_version: Identifier
    ruled_out: dict[LocationId, Text] = {}
    """Locations that have stock and may not ship it, and why."""


class RetrySourcing(OrderCommand):
    """Stock may have come for a backordered order: look again."""


class RecordReservation(OrderCommand):
    reservation_id: Identifier
    sku: Sku
    location: LocationId
    quantity: Units


class RecordShortage(OrderCommand):
    reservation_id: Identifier
    sku: Sku
    location: LocationId
    quantity: Units


class RecordPaymentAuthorized(OrderCommand):
    payment_id: Identifier


class RecordPaymentFailed(OrderCommand):
    payment_id: Identifier
    reason: Text


class RecordShipmentDispatched(OrderCommand):
    shipment_id: Identifier


class RecordShipmentDelivered(OrderCommand):
    shipment_id: Identifier


class RecordShipmentCancelled(OrderCommand):
    shipment_id: Identifier


class RecordShipmentKept(OrderCommand):
    """The shipment could no longer be stopped."""

    shipment_id: Identifier


class CancelOrder(OrderCommand):
    reason: Text


class LapseOrder(OrderCommand):
    """The time to pay is over: cancels the order if its payment is still due."""


class OrderEvent(Event):
    order_id: str


class OrderPlaced(OrderEvent, OrderContent):
    fingerprint: str


class DuplicateConflictFound(OrderEvent):
    """The channel told the same order again with other content. Kept whole, for a person to settle."""

    fingerprint: str
    content: OrderContent


class OrderSourced(OrderEvent):
    attempt: int
    assignments: tuple[Assignment, ...]
    candidates: tuple[Candidate, ...]
    rule_version: str
    channel: str = ""
    kind: OrderKind = "standard"
    ruled_out: dict[str, str] = {}

    @property
    def reservation_id(self) -> str:
        return reservation_id_of(self.order_id, self.attempt)


def reservation_id_of(order_id: str, attempt: int) -> str:
    return f"{order_id}/{attempt}"


class SourcingTerms(Message):
    """What of an order decides which stock it can use. `held`: the locations where it has locked some already."""

    channel: str = ""
    kind: OrderKind = "standard"
    delivery_option: str = "standard"
    allow_split: bool = True
    destination: Destination = Destination()
    held: tuple[str, ...] = ()


class OrderBackordered(OrderEvent):
    """No location can promise these units now; the order keeps what it has and waits, in the order of `placed_at`."""

    attempt: int
    demand: dict[str, int]
    placed_at: Moment
    terms: SourcingTerms | None = None


class Reservation(Message):
    """Units locked for the order at a location."""

    reservation_id: str
    sku: str
    location: str
    quantity: int


class OrderSourcingRequested(OrderEvent):
    """Everything that is to be sourced now; an answer to an earlier attempt is void.

    Either `short` could not be locked and is sought elsewhere, or, without it, a new round begins: what was backordered
    is sought again, everywhere. `excluded`: SKU to the locations that came up short in this round.
    """

    attempt: int
    demand: dict[str, int]
    excluded: dict[str, tuple[str, ...]]
    ship_to: Address
    short: Reservation | None = None
    channel: str = ""
    kind: OrderKind = "standard"
    priority: int = 0
    delivery_option: str = "standard"
    allow_split: bool = True
    held: tuple[str, ...] = ()
    """Locations where it has locked units already, or asked for them: more from there is no further parcel."""


class OrderLineAllocated(OrderEvent, Reservation):
    pass


class OrderAllocated(OrderEvent):
    """Every unit is locked; the money is due."""

    payment_id: str
    amount_minor: int
    currency: str
    payment_token: str


class ShipmentPlan(Message):
    shipment_id: str
    location: str
    items: tuple[Reservation, ...]
    amount_minor: int
    """This shipment's share of the order's total: what is captured when it leaves."""
    charges: tuple[Charge, ...] = ()
    """How that share falls on several payments; empty where the order's one payment bears it."""


class OrderReleased(OrderEvent):
    """Paid for and locked: the warehouses may begin."""

    payment_id: str
    currency: str
    shipments: tuple[ShipmentPlan, ...]
    ship_to: Address
    delivery_option: str = "standard"


class OrderShipmentDispatched(OrderEvent):
    shipment_id: str


class OrderShipmentDelivered(OrderEvent):
    shipment_id: str


class OrderShipmentCancelled(OrderEvent):
    shipment_id: str


class OrderShipped(OrderEvent):
    """Everything that will be shipped has left."""


class ParcelCharge(Message):
    """What a parcel that left takes of one payment."""

    shipment_id: str
    payment_id: str
    amount_minor: int


class OrderCompleted(OrderEvent):
    payment_id: str
    charges: tuple[ParcelCharge, ...] = ()
    """Of all parcels that left. Whoever lets go of the rest takes these first: that a parcel left is told in another
    topic, and may be heard of later than this."""


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
    """What was locked, or asked to be, and is to be let go."""
    payment_id: str | None
    backordered: dict[str, int] = {}
    """What it was still waiting for."""
    channel: str
    placed_at: Moment
    currency: str
    total_minor: int
    units: int


Phase = Literal[
    "new",
    "sourcing",
    "allocating",
    "backordered",
    "awaiting_payment",
    "fulfilling",
    "cancelling",
    "shipped",
    "completed",
    "cancelled",
]
FINAL_PHASES: frozenset[Phase] = frozenset({"completed", "cancelled"})
