"""What may be asked of an order, and what may happen to it.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Literal, Self
from uuid import NAMESPACE_URL, uuid5

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from oms_es.kernel import Command, Event, Message, SystemCommand
from oms_es.schemas.payment import RefundAllocation
from oms_es.schemas.values import names
from oms_es.schemas.values.types import (
    AMOUNT_MINOR_MAX,
    COUNT_MAX,
    IDENTIFIER_LENGTH_MAX,
    AmountMinor,
    Channel,
    Country,
    Currency,
    Derived,
    Identifier,
    LineQuantity,
    LocationId,
    Moment,
    Sku,
    Text,
    Token,
    Units,
    at_most,
    refuse_card_number,
)

LINES_MAX = 500
ASSIGNMENTS_MAX = 2_000
TENDERS_MAX = 100
"""Orders of real shops are paid with up to 27 vouchers."""
TENDERS_IN_ONE_FIELD_MAX = 20
"""Readers of events were told that `tenders` has no more: what an order has beyond is in `further_tenders`."""
MERGED_MAX = 20
PRIORITY_MAX = 9
BALANCE_DUE_SECONDS_MAX = 365 * 86_400
REASON_LENGTH_MAX = 510
ORDER_ID_NAMESPACE = uuid5(NAMESPACE_URL, "oms-es/order")


def order_id_of(channel: str, external_id: str) -> str:
    """The same order told twice addresses the same stream.

    What was split off is addressed where no channel's order ever was, also of those that could still take any name: no
    channel's name begins with a slash.
    """
    apart = "/" if external_id.startswith(names.SPLIT) else ""
    return str(uuid5(ORDER_ID_NAMESPACE, f"{apart}{channel}/{external_id}"))


def order_ids_of(channel: str, external_id: str) -> frozenset[str]:
    """All under which history may have it: a channel could once send any name."""
    plain = str(uuid5(ORDER_ID_NAMESPACE, f"{channel}/{external_id}"))
    return frozenset({plain, order_id_of(channel, external_id)})


class OrderLine(Message):
    line_id: Identifier
    sku: Sku
    quantity: LineQuantity
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


NOWHERE = Address(country="ZZ")
"""Of what is collected at the counter. "ZZ" is among the codes that ISO 3166-1 leaves to its users."""


class Destination(Message):
    """As much of an address as says where it is, and not whose it is."""

    country: str = ""
    region: str = ""
    latitude: float | None = None
    longitude: float | None = None


HoldKind = Literal["fraud", "address", "payment", "manual"]
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


AMENDABLE = ("lines", "ship_to", "delivery_option", "shipping_minor", "discount_minor", "tax_minor")
"""What an amendment may change."""


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
    tenders: Annotated[tuple[Tender, ...], Field(max_length=TENDERS_IN_ONE_FIELD_MAX)] = ()
    """What they leave open of the total is charged to `payment_token`."""
    further_tenders: Annotated[tuple[Tender, ...], Field(max_length=TENDERS_MAX - TENDERS_IN_ONE_FIELD_MAX)] = ()
    """Charged after `tenders`."""
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
    pickup: bool = False
    """The customer collects it at the counter: no address is needed, and no carrier is asked."""
    pickup_at: LocationId | None = None
    """Of a pickup: the location where it is collected; without it, any that has everything."""

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
        if self.pickup_at is not None and not self.pickup:
            raise ValueError("pickup_at is where a pickup is collected: set pickup, or leave pickup_at out")
        if self.kind == "presale" and self.all_tenders:
            raise ValueError("a presale is paid by deposit and balance with payment_token: leave tenders out")
        if self.deposit_minor > self.total_minor:
            raise ValueError("deposit_minor exceeds total_minor: take at most the total in advance")
        if (self.kind == "exchange") != (self.exchange_of is not None):
            raise ValueError("kind exchange needs exchange_of, the return that it replaces, and no other kind has it")
        if self.kind != "exchange" and self.credit_minor:
            raise ValueError("credit_minor is for kind exchange")
        if sum(tender.amount_minor for tender in self.all_tenders) > max(self.total_minor - self.credit_minor, 0):
            raise ValueError("the tenders exceed what is to be paid: lower them")
        return self

    @property
    def all_tenders(self) -> tuple[Tender, ...]:
        return self.tenders + self.further_tenders

    @property
    def total_minor(self) -> int:
        goods = sum(line.quantity * line.unit_price_minor for line in self.lines)
        return goods + self.shipping_minor + self.tax_minor - self.discount_minor

    @property
    def demand(self) -> dict[str, int]:
        """Units per SKU, summed over lines: two lines of one SKU are one demand."""
        wanted: dict[str, int] = {}
        for line in self.lines:
            wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
        return wanted


class LineUnits(Message):
    """Units of one line of an order."""

    line_id: Identifier
    quantity: LineQuantity


class PlaceOrder(Command, OrderContent):
    """What a channel sold. `fulfilled`: of its lines, what others have shipped already; it is neither shipped nor
    charged here. `cancelled`: why it was cancelled before it was told. `revision`: as of which of the channel's
    revisions it is told; of older amendments nothing counts.
    """

    tenders: Annotated[tuple[Tender, ...], Field(max_length=TENDERS_MAX)] = ()
    """What they leave open of the total is charged to `payment_token`."""
    fulfilled: Annotated[tuple[LineUnits, ...], Field(max_length=LINES_MAX)] = ()
    cancelled: Annotated[Text, Field(min_length=1)] | None = None
    revision: Annotated[PositiveInt, at_most(COUNT_MAX)] | None = None

    @model_validator(mode="after")
    def _no_card_number(self) -> Self:
        for token in (self.payment_token, *(tender.payment_token for tender in self.all_tenders)):
            refuse_card_number(token)
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
    def fingerprint(self) -> str:
        """SHA-256 of the content: equal fingerprints are the same order told again."""
        content = OrderContent.model_construct(**self.content)
        return sha256(content.model_dump_json(exclude_defaults=True).encode()).hexdigest()

    @property
    def content(self) -> dict[str, Any]:
        """The fields of its content as events tell them."""
        fields = {name: getattr(self, name) for name in OrderContent.model_fields}
        first, more = self.tenders[:TENDERS_IN_ONE_FIELD_MAX], self.tenders[TENDERS_IN_ONE_FIELD_MAX:]
        return {**fields, "tenders": first, "further_tenders": more + self.further_tenders}


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


class SourceOrder(OrderCommand, SystemCommand):
    """The answer to sourcing attempt `attempt`; `backordered` is what no location can promise."""

    attempt: Annotated[PositiveInt, at_most(COUNT_MAX)]
    assignments: tuple[Assignment, ...]
    backordered: dict[Sku, Units] = {}
    candidates: tuple[Candidate, ...] = ()
    rule_version: Identifier
    ruled_out: dict[LocationId, Text] = {}
    """Locations that have stock and may not ship it, and why."""
    promised_at: Moment | None = None
    """When everything that is backordered is expected."""


class ExplodeBundles(OrderCommand, SystemCommand):
    """Some of what sourcing attempt `attempt` asks for are bundles: their components are to be sourced instead."""

    attempt: Annotated[PositiveInt, at_most(COUNT_MAX)]
    bundles: dict[Sku, dict[Sku, Units]]


class AssignOrder(OrderCommand):
    """Say by hand where an order's units come from. What is not named waits; locks that fit the wish stay."""

    assignments: Annotated[tuple[Assignment, ...], Field(min_length=1, max_length=ASSIGNMENTS_MAX)]
    reason: Annotated[Text, Field(min_length=1)]


class RecordLocationFailed(OrderCommand, SystemCommand):
    """A location cannot ship what an order has locked there: it is sought elsewhere, unless it was released already."""

    location: LocationId
    reason: Text = ""


class RetrySourcing(OrderCommand):
    """Stock may have come for a backordered order: look again."""


class RecordReservation(OrderCommand, SystemCommand):
    """Stock promised what the order asked of it; `presale` where it is promised before it exists."""

    reservation_id: Identifier
    sku: Sku
    location: LocationId
    quantity: Units
    presale: bool = False


class RecordPresaleCovered(OrderCommand, SystemCommand):
    """The goods of a presale's reservation have come."""

    reservation_id: Identifier
    sku: Sku
    location: LocationId


class LapsePresale(OrderCommand, SystemCommand):
    """The goods of a presale should have come by now: cancels it if they have not."""


class RecordShortage(OrderCommand, SystemCommand):
    reservation_id: Identifier
    sku: Sku
    location: LocationId
    quantity: Units


class RecordPaymentAuthorized(OrderCommand, SystemCommand):
    """The provider holds the money of one of the order's payments."""

    payment_id: Identifier


class RecordPaymentFailed(OrderCommand, SystemCommand):
    """No money comes of this payment; `retriable` where another attempt may bring it."""

    payment_id: Identifier
    reason: Text
    retriable: bool = False


class RecordPaymentWithdrawn(OrderCommand, SystemCommand):
    """What was held for this payment was let go at the provider: nothing may leave on it."""

    payment_id: Identifier
    reason: Text


MoneyGone = Literal["refunded", "disputed", "not_captured"]
"""How money of an order goes that nobody here gave back: by the provider's dashboard, by the customer's bank, or it
never came although its goods left."""


class RecordMoneyGone(OrderCommand, SystemCommand):
    """So much of what a payment brought, or should have, is not there: nothing more is given back of it.

    `effect` names the refund, dispute or capture, so that it counts once.
    """

    payment_id: Identifier
    effect: Derived
    why: MoneyGone
    amount_minor: Annotated[AmountMinor, Field(gt=0)]


class RecordMoneyBack(OrderCommand, SystemCommand):
    """What had gone is there again, or is asked for anew; news only of what was known to be gone."""

    payment_id: Identifier
    effect: Derived


class RepeatPayment(OrderCommand, SystemCommand):
    """The time has come to ask again for what a deferred payment should have brought."""

    payment_id: Identifier


class RetryPayment(OrderCommand):
    """Ask again for the money that did not come, from another payment token if one is given."""

    payment_token: Token | None = None


OverrideTarget = Literal["sourcing", "released", "completed"]


class OverrideOrder(OrderCommand):
    """Set an order on by hand, with a reason; never past what its stock and money allow.

    `sourcing`: everything that is locked is let go and sourced anew. `released`: it goes to fulfilment although it is
    held, and what is not paid is not charged. `completed`: everything left, and it counts as arrived.
    """

    override_id: Identifier
    to: OverrideTarget
    reason: Annotated[Text, Field(min_length=1)]


class HoldOrder(OrderCommand):
    """Keep an order from being released to fulfilment, until this kind of hold is released."""

    kind: HoldKind
    note: Text = ""
    until: Moment | None = None
    """By then somebody should have decided; it stays held, and that it is overdue is shown."""

    @model_validator(mode="after")
    def _payments_have_their_own(self) -> Self:
        if self.until and self.kind == "payment":
            raise ValueError("a hold of kind payment lapses by itself: leave until out")
        return self


class ChaseHold(OrderCommand, SystemCommand):
    """Somebody should have decided by `now`: say so, if the hold is still on. It never comes off by itself."""

    kind: HoldKind
    now: Moment


class ReleaseHold(OrderCommand):
    """Take one kind of hold off an order; it is released once the last one is off and it is paid and locked."""

    kind: HoldKind
    note: Text = ""


class AmendOrder(OrderCommand):
    """Change an order before its release: lines, address, delivery option, charges. What is left out stays.

    `lines` are all lines that the order shall have. A channel that numbers its amendments gives `revision`: of each
    field, the highest revision holds, in whichever order they arrive. `keep`: the order may not be known yet; then the
    amendment waits for it.
    """

    amendment_id: Identifier
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=LINES_MAX)] | None = None
    ship_to: Address | None = None
    delivery_option: Identifier | None = None
    shipping_minor: AmountMinor | None = None
    discount_minor: AmountMinor | None = None
    tax_minor: AmountMinor | None = None
    revision: Annotated[PositiveInt, at_most(COUNT_MAX)] | None = None
    keep: bool = False
    fulfilled: Annotated[tuple[LineUnits, ...], Field(max_length=LINES_MAX)] | None = None
    """Of a channel that ships itself: what of its lines was shipped by now in all, by whomever. `lines` and the charges
    have it in them; what others shipped is neither shipped nor charged here."""

    @property
    def changes(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in AMENDABLE}
        return {name: value for name, value in named.items() if value is not None}


class SplitOrder(OrderCommand):
    """Make an order of its own of some units before their release; what waits for stock goes first.

    Locks go over without being let go of. Shipping stays with the order that was split.
    """

    split_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    lines: Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=LINES_MAX)]


class MergeOrders(Command):
    """Make one new order of several of a channel that go to the same address, before their release.

    Those that are too far, or go elsewhere, are left as they are.
    """

    channel: Channel
    merge_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    order_ids: Annotated[tuple[Identifier, ...], Field(min_length=2, max_length=MERGED_MAX)]

    @property
    def external_id(self) -> str:
        return f"{names.MERGE}{self.merge_id}"

    @property
    def order_id(self) -> str:
        return order_id_of(self.channel, self.external_id)

    @property
    def stream(self) -> str:
        return f"order-{self.order_id}"


class CancelOrderLines(OrderCommand):
    """Cancel units of lines, at any stage before they are with the carrier; the rest of the order goes on."""

    cancellation_id: Identifier
    lines: Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=LINES_MAX)]
    reason: Text


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


class RecordShipmentDispatched(OrderCommand, SystemCommand):
    shipment_id: Identifier


class RecordShipmentDelivered(OrderCommand, SystemCommand):
    shipment_id: Identifier
    delivered_at: Moment | None = None


class RecordShipmentCancelled(OrderCommand, SystemCommand):
    shipment_id: Identifier


class RecordShipmentKept(OrderCommand, SystemCommand):
    """The shipment could no longer be stopped."""

    shipment_id: Identifier


class CancelOrder(OrderCommand):
    """Cancel a whole order, with the undo that its stage needs. `keep`: the order may not be known yet."""

    reason: Text
    keep: bool = False


class RecordFulfilment(OrderCommand):
    """The channel says that these units of lines were shipped, once per `fulfilment_id`.

    What is no parcel of this engine was shipped by others: it is neither shipped nor charged here. `keep`: the order
    may not be known yet.
    """

    fulfilment_id: Identifier
    lines: Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=LINES_MAX)]
    keep: bool = False


class RecordChannelRefund(OrderCommand):
    """The channel has given money back, once per `refund_id`: for units of lines, or without any.

    Units that are still here are cancelled; of anything else a person decides, and no money moves. `revision`: as of
    which of the channel's revisions; what was told of the order since has it in it.
    """

    refund_id: Identifier
    lines: Annotated[tuple[LineUnits, ...], Field(max_length=LINES_MAX)] = ()
    reason: Text = ""
    revision: Annotated[PositiveInt, at_most(COUNT_MAX)] | None = None
    keep: bool = False


class LapseOrder(OrderCommand, SystemCommand):
    """The time to pay is over: cancels the order if its payment is still due.

    `payment_id`: the newest payment when the deadline was set; an order that asked for another since does not lapse.
    """

    payment_id: Identifier | None = None


class OrderEvent(Event):
    order_id: str


class OrderPlaced(OrderEvent, OrderContent):
    fingerprint: str
    revision: int | None = None
    """As of which of the channel's revisions."""


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
    reason: str = ""
    """Of a person, where the version is "manual"."""

    @property
    def reservation_id(self) -> str:
        return reservation_id_of(self.order_id, self.attempt)


def reservation_id_of(order_id: str, attempt: int) -> str:
    return f"{order_id}/{attempt}"


def transferred(to_order_id: str, reservation_id: str) -> str:
    """The name of a lock under the order that gets it: new for each lock, however often it went over."""
    source, _, attempt = reservation_id.rpartition("/")
    name = f"{to_order_id}/{uuid5(ORDER_ID_NAMESPACE, source)}.{attempt}"
    if len(name) <= IDENTIFIER_LENGTH_MAX:
        return name
    return f"{to_order_id}/{uuid5(ORDER_ID_NAMESPACE, reservation_id)}.0"


def was_transferred(reservation_id: str) -> bool:
    """Whether it is the name of a lock that another order had before: one's own is named by the attempt alone."""
    return "." in reservation_id.rpartition("/")[2]


class SourcingTerms(Message):
    """What of an order decides which stock it can use. `held`: the locations where it has locked some already."""

    channel: str = ""
    kind: OrderKind = "standard"
    delivery_option: str = "standard"
    allow_split: bool = True
    destination: Destination = Destination()
    held: tuple[str, ...] = ()
    pickup: bool = False
    pickup_at: str | None = None


class OrderBackordered(OrderEvent):
    """No location can promise these units now; the order keeps what it has and waits, in the order of `placed_at`."""

    attempt: int
    demand: dict[str, int]
    placed_at: Moment
    terms: SourcingTerms | None = None
    priority: int = 0
    promised_at: Moment | None = None
    """When the units are expected, where somebody knows."""


class Reservation(Message):
    """Units locked for the order at a location."""

    reservation_id: str
    sku: str
    location: str
    quantity: int


class RecordShipmentReturned(OrderCommand, SystemCommand):
    """A shipment, or a carton of it, came back undelivered. `complete`: none of the shipment reached the customer."""

    shipment_id: Identifier
    return_id: Identifier
    location: Identifier
    items: tuple[Reservation, ...]
    complete: bool


LossChoice = Literal["refund", "reship"]
"""What a person chooses for a parcel that is lost: its worth goes back, or pays for sending it again."""


class RecordShipmentLost(OrderCommand, SystemCommand):
    """A shipment, or some cartons of it, will not arrive. `complete`: none of the shipment reached the customer."""

    shipment_id: Identifier
    items: tuple[Reservation, ...]
    complete: bool
    choice: LossChoice
    reason: Text


class Cut(Reservation):
    """`quantity` units of a reservation are let go; `remaining` stay locked."""

    remaining: int


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
    bundles: dict[str, dict[str, int]] = {}
    """Bundles that were taken apart before: their components are plain units now."""
    pickup: bool = False
    pickup_at: str | None = None


class OrderBundlesExploded(OrderEvent):
    """These bundles are their components from now on, whatever is sold under their names later."""

    attempt: int
    bundles: dict[str, dict[str, int]]
    """By bundle, the units of each component in one of it."""


class OrderAssigned(OrderEvent):
    """A person said where its units come from; what was decided is told by the events after it."""

    attempt: int
    released: tuple[Cut, ...] = ()
    """Locks that did not fit and were let go."""
    reason: str


class OrderLocationFailed(OrderEvent):
    """A location cannot ship what was locked there; it was let go and is sought elsewhere."""

    location: str
    released: tuple[Cut, ...]
    reason: str = ""


class OrderLineAllocated(OrderEvent, Reservation):
    presale: bool = False
    """Promised, and still to come."""


class OrderCreditLeft(OrderEvent):
    """An exchange that costs less than what was returned, or is not sent at all: the rest goes back to the customer."""

    exchange_of: str
    amount_minor: int
    currency: str
    credit_id: str = ""
    """Where it is not the first that is left."""


class OrderPresold(OrderEvent):
    """A presale is accepted, and its deposit paid if it has one: it waits for the goods."""

    available_by: Moment | None = None


class OrderPresaleCovered(OrderEvent):
    """The goods of one reservation have come. `phase`: what the order waits for then, if they were the last to come."""

    reservation_id: str
    sku: str
    location: str
    phase: Literal["awaiting_payment", "held"] | None = None


class PaymentDue(Message):
    """Money to be asked for. `capture_now`: it is taken as soon as it is held, as a deposit is."""

    payment_id: str
    amount_minor: int
    payment_token: str
    method: str = "card"
    capture_now: bool = False


class OrderAllocated(OrderEvent):
    """Every unit is locked; the money is due."""

    payment_id: str
    amount_minor: int
    currency: str
    payment_token: str
    payments: tuple[PaymentDue, ...] = ()
    """Where it is not one payment by card, each of them; they sum to `amount_minor`."""


class OrderBalanceDue(OrderEvent):
    """The goods of a presale have come; the rest of the money is due."""

    payments: tuple[PaymentDue, ...]
    currency: str
    due_seconds: int


class OrderPaymentRequested(OrderEvent, PaymentDue):
    """Asked for again, in place of a payment that did not come."""

    currency: str
    replaces: str
    attempt: int


class OrderPaymentDeferred(OrderEvent):
    """A payment was declined and may come another time; it is asked for again by itself, or else by a person."""

    payment_id: str
    attempt: int
    reason: str
    again: bool


class OrderPaymentSecured(OrderEvent):
    """A payment is held, and the order is not released yet: `open_minor` is still to come, or it is held."""

    payment_id: str
    open_minor: int


class OrderMoneyGone(OrderEvent):
    """So much of what was paid is not there, and nobody here gave it back."""

    payment_id: str
    effect: str
    why: MoneyGone
    amount_minor: int
    currency: str


class OrderMoneyBack(OrderEvent):
    """What had gone is there again, or is asked for anew."""

    payment_id: str
    effect: str
    why: MoneyGone
    amount_minor: int
    currency: str


class OrderOverridden(OrderEvent):
    """Set on by hand: the actor of its envelope answers for it. What follows is told by the events after it."""

    override_id: str
    to: OverrideTarget
    reason: str
    released: tuple[Cut, ...] = ()
    """Locks that were let go."""
    payments_cancelled: tuple[str, ...] = ()
    """Not waited for any more."""
    written_off_minor: int = 0
    """Of the total, what nobody will be charged for."""
    asked: str = ""
    """What the command said beside its own id: a repeat is told from another by it."""


class Hold(Message):
    """What keeps an order from being released, and by when somebody should have decided."""

    kind: HoldKind
    until: Moment | None = None


class OrderHeld(OrderEvent):
    kind: HoldKind
    note: str = ""
    until: Moment | None = None


class OrderHoldOverdue(OrderEvent):
    """By `until` somebody should have decided, and nobody has."""

    kind: HoldKind
    until: Moment


class OrderHoldReleased(OrderEvent):
    kind: HoldKind
    note: str = ""


class ContentChange(Message):
    """What an order's content has become where it changed, and what follows for its stock and money."""

    lines: tuple[OrderLine, ...] | None = None
    ship_to: Address | None = None
    delivery_option: str | None = None
    shipping_minor: int | None = None
    discount_minor: int | None = None
    tax_minor: int | None = None
    released: tuple[Cut, ...] = ()
    no_longer_sought: dict[str, int] = {}
    """Units that were to be sourced."""
    no_longer_backordered: dict[str, int] = {}
    payments_cancelled: tuple[str, ...] = ()
    """Of another amount than is due now: they are undone, and money is asked for anew."""
    total_minor: int
    units: int
    channel: str
    placed_at: Moment
    currency: str
    more_minor: int
    """Of the total; negative where it became less."""
    more_units: int


class OrderAmended(OrderEvent, ContentChange):
    amendment_id: str
    revision: int | None = None
    asked: str = ""
    """What the command said beside its own id: a repeat is told from another by it."""


class OrderSplit(OrderEvent, ContentChange):
    """Some units are an order of their own now. `released` are the locks that it gets."""

    split_id: str
    to_order_id: str
    content: OrderContent
    bundles: dict[str, dict[str, int]] = {}
    holds: tuple[Hold, ...] = ()
    """What it was held by: what is split off is held by the same."""
    asked: str = ""
    """What the command said beside its own id: a repeat is told from another by it."""


class OrderJoined(OrderEvent):
    """It began with locks that other orders give it."""

    from_order_ids: tuple[str, ...]
    transfers: tuple[Reservation, ...]
    """As they will be called here; each is told by stock when it has gone over."""
    bundles: dict[str, dict[str, int]] = {}


class OrderLockReturned(OrderEvent, Reservation):
    """A lock that went over to it too late: it was cancelled meanwhile."""


class OrderMergedInto(OrderEvent):
    """It is part of another order now, which has its lines, its locks and what it waited for."""

    to_order_id: str
    content: OrderContent
    transfers: tuple[Reservation, ...]
    backordered: dict[str, int] = {}
    bundles: dict[str, dict[str, int]] = {}
    payments_cancelled: tuple[str, ...] = ()
    channel: str
    placed_at: Moment
    currency: str
    total_minor: int
    units: int
    holds: tuple[Hold, ...] = ()
    """What it was held by: the order that it is part of now is held by the same."""


class OrderMergeRequested(OrderEvent):
    """An order is asked to become part of this one, if it goes where the ones before it go."""

    channel: str
    merge_id: str
    source_id: str
    to_be_asked: tuple[str, ...]
    """After it."""
    terms: OrderContent | None = None
    answer: OrderMergedInto | None = None
    """Of the order that was asked before, if it agreed."""
    asked: str = ""
    """What the command said beside its own id: a repeat is told from another by it."""


class OrderMergeDeclined(OrderEvent):
    to_order_id: str
    reason: str


class OrderMergeFailed(OrderEvent):
    """Not one of the orders could be merged: there is no order."""

    merge_id: str


class PlaceJoined(OrderCommand, SystemCommand):
    """The order that was split off begins."""

    from_order_id: Identifier
    content: OrderContent
    transfers: tuple[Reservation, ...]
    backordered: dict[Sku, Units] = {}
    bundles: dict[str, dict[str, int]] = {}
    holds: tuple[Hold, ...] = ()


class PlaceExchange(OrderCommand, SystemCommand):
    """What a return, or the loss of a parcel, has granted is sent; the order whose goods pay for it says what."""

    content: OrderContent


class YieldToMerge(OrderCommand, SystemCommand):
    """Become part of another order, if it is not too late and `terms` fit."""

    to_order_id: Identifier
    channel: Channel | None = None
    """That it must be of."""
    terms: OrderContent | None = None


class RecordMergeAnswer(OrderCommand, SystemCommand):
    """What an order that was asked to become part of this one said; without `merged` it declined."""

    source_id: Identifier
    merged: OrderMergedInto | None = None


class OrderAmendmentKept(OrderEvent):
    """It came before the order; it is applied when the order comes."""

    amendment: AmendOrder


class OrderAmendmentRefused(OrderEvent):
    """It came before the order, and does not fit it."""

    amendment_id: str
    reason: str


class OrderCancellationKept(OrderEvent):
    """It came before the order, which is cancelled when it comes."""

    reason: str


class OrderFulfilledElsewhere(OrderEvent, ContentChange):
    """Others than this engine have shipped units of it, which are neither shipped nor charged here.

    `told`: what was said under `fulfilment_id`; `fulfilled`: what of it was not known yet. `released`: what was locked
    of it, and has left its shelf. `whole`: nothing is left for this engine to ship; the content stays as it was.
    """

    fulfilment_id: str = ""
    told: tuple[LineUnits, ...] = ()
    fulfilled: tuple[LineUnits, ...] = ()
    whole: bool = False
    unanswered: tuple[str, ...] = ()
    """Reservations that stock had not answered: what is released of them is let go, and has not left."""


class OrderReportKept(OrderEvent):
    """What a channel said before the order came; it counts when the order comes."""

    fulfilment: RecordFulfilment | None = None
    refund: RecordChannelRefund | None = None


class OrderReportDisputed(OrderEvent):
    """The channel says what does not fit what is known here: a person must decide. Nothing follows from it."""

    report: str
    detail: str
    asked: str = ""
    """What the command said beside its own id: a repeat is told from another by it."""


class OrderLinesCancelled(OrderEvent, ContentChange):
    cancellation_id: str
    cancelled: tuple[LineUnits, ...]
    reason: str
    revision: int | None = None
    """Of the channel's refund that they are cancelled for."""
    asked: str = ""
    """What the command said beside its own id: a repeat is told from another by it."""


class OrderLinesCancellationRequested(OrderEvent):
    """The warehouses were asked to stop the parcels with these units; what else is in them goes into new parcels."""

    cancellation_id: str
    lines: tuple[LineUnits, ...]
    shipment_ids: tuple[str, ...]
    reason: str
    asked: str = ""
    """What the command said beside its own id: a repeat is told from another by it."""


class LineShare(Message):
    """Units of a line in a parcel, and their part of the order's total: fixed when the order is released."""

    line_id: str
    sku: str
    quantity: int
    amount_minor: int
    tax_minor: int = 0
    """The part of `amount_minor` that is tax on top."""


class ShipmentPlan(Message):
    shipment_id: str
    location: str
    items: tuple[Reservation, ...]
    amount_minor: int
    """Captured when it leaves: this shipment's share of the order's total, less what was paid before."""
    charges: tuple[Charge, ...] = ()
    """How that share falls on several payments, and what it uses up of a deposit, which is not in `amount_minor`;
    empty where the order's one payment bears it."""
    lines: tuple[LineShare, ...] = ()
    shipping_minor: int = 0
    """Its part of what the order's shipping costs."""

    @property
    def worth_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines) + self.shipping_minor


class OrderReleased(OrderEvent):
    """Paid for and locked: the warehouses may begin."""

    payment_id: str
    currency: str
    shipments: tuple[ShipmentPlan, ...]
    ship_to: Address
    delivery_option: str = "standard"
    pickup: bool = False


class OrderShipmentDispatched(OrderEvent):
    shipment_id: str


class OrderShipmentDelivered(OrderEvent):
    shipment_id: str
    delivered_at: Moment | None = None


class OrderShipmentReturned(OrderEvent):
    """Units came back undelivered and are put aside at `location`; a person decides whether they are refunded.

    `complete`: none of the shipment reached the customer. `lines`: which lines the units are of, and their worth.
    """

    shipment_id: str
    return_id: str
    location: str
    items: tuple[Reservation, ...]
    lines: tuple[LineShare, ...] = ()
    complete: bool


class OrderShipmentLost(OrderEvent):
    """Units will not arrive. `lines`: which lines they are of, and what was paid for them."""

    shipment_id: str
    items: tuple[Reservation, ...]
    lines: tuple[LineShare, ...]
    shipping_minor: int = 0
    complete: bool
    choice: LossChoice
    reason: str

    @property
    def worth_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines) + self.shipping_minor


def loss_of(shipment_id: str) -> str:
    """What a refund, or an order that is sent again, is called because of a lost parcel."""
    return f"{names.LOST}{shipment_id}"


def lost_shipment_of(loss: str | None) -> str | None:
    return loss.removeprefix(names.LOST) if loss and loss.startswith(names.LOST) else None


class OrderShipmentCancelled(OrderEvent):
    """It was stopped. `released` will not ship; what else was in it is in a new plan."""

    shipment_id: str
    released: tuple[Cut, ...] = ()


class OrderShipmentPlanned(OrderEvent):
    """What was in a stopped parcel and is still wanted goes into another."""

    plan: ShipmentPlan
    payment_id: str
    ship_to: Address
    delivery_option: str = "standard"
    pickup: bool = False


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
    payment_ids: tuple[str, ...] = ()
    """All of them, where there were several."""


class RefundPart(Message):
    """What one payment gives back, and what for; the parts of it sum to `amount_minor`."""

    payment_id: str
    amount_minor: int
    allocations: tuple[RefundAllocation, ...]


class CreditPart(Message):
    """Of a refund of an exchange, what goes back to whoever paid for the returned goods: by way of their return."""

    exchange_of: str
    amount_minor: int
    allocations: tuple[RefundAllocation, ...]


class OrderRefundRequested(OrderEvent):
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
    asked: str = ""
    """What the command said beside its own id: a repeat is told from another by it."""


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
    payment_ids: tuple[str, ...] = ()
    """All that are to be undone, where there are several."""
    backordered: dict[str, int] = {}
    """What it was still waiting for."""
    report: str = ""
    """Of the channel, by which it is cancelled: a refund of everything."""
    asked: str = ""
    """What that report said beside its own id: a repeat is told from another by it."""
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
    "awaiting_stock",
    "held",
    "fulfilling",
    "cancelling",
    "shipped",
    "completed",
    "cancelled",
    "merged",
]
FINAL_PHASES: frozenset[Phase] = frozenset({"completed", "cancelled", "merged"})
