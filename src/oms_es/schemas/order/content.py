"""The content of an order: lines, address, money and options. It is shared by the order's commands and events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self, TypedDict
from uuid import NAMESPACE_URL, uuid5

from pydantic import Field, model_validator

from oms_es.kernel import Command, Event, Message
from oms_es.schemas.values import names
from oms_es.schemas.values.customer import (
    METADATA_MAX,
    Customer,
    CustomerId,
    MetadataKey,
    MetadataValue,
    Notes,
    Phone,
)
from oms_es.schemas.values.personal import COARSE, PERSONAL
from oms_es.schemas.values.types import (
    AMOUNT_MINOR_MAX,
    IDENTIFIER_LENGTH_MAX,
    AmountMinor,
    Channel,
    Country,
    Currency,
    Identifier,
    LineQuantity,
    LocationId,
    Moment,
    QuotedText,
    Sku,
    Text,
)

LINES_MAX = 500

ASSIGNMENTS_MAX = 2_000

TENDERS_MAX = 100
"""Orders of real shops are paid with up to 27 vouchers."""

TENDERS_IN_ONE_FIELD_MAX = 20
"""Consumers of the events rely on this bound of `tenders`; an order's other tenders are in `further_tenders`."""

MERGED_MAX = 20

PRIORITY_MAX = 9

BALANCE_DUE_SECONDS_MAX = 365 * 86_400

REASON_LENGTH_MAX = 510

ORDER_ID_NAMESPACE = uuid5(NAMESPACE_URL, "oms-es/order")


def order_id_of(channel: str, external_id: str) -> str:
    """Return the order's id, which is derived from its names: the same order sent twice has the same stream.

    An order that was split off gets an id that no channel's order can have, even of the channels that once could send
    any name: no channel's name begins with a slash.
    """
    apart = "/" if external_id.startswith(names.SPLIT) else ""
    return str(uuid5(ORDER_ID_NAMESPACE, f"{apart}{channel}/{external_id}"))


def early_names(channel: str, external_id: str) -> dict[str, Any]:
    """Return the fields by which an EarlyCommand names an order that the channel may not have sent yet."""
    called = f"{channel}/{external_id}"
    return {"order_id": order_id_of(channel, external_id), "called": called, "keep": True}


def order_ids_of(channel: str, external_id: str) -> frozenset[str]:
    """Return all ids that the order may have in history: a channel could once send any name."""
    plain = str(uuid5(ORDER_ID_NAMESPACE, f"{channel}/{external_id}"))
    return frozenset({plain, order_id_of(channel, external_id)})


class OrderLine(Message):
    line_id: Identifier
    sku: Sku
    quantity: LineQuantity
    unit_price_minor: AmountMinor


class Address(Message):
    """Where goods go. `phone`: for the carrier; where it is missing, that of the customer is used."""

    name: Text = ""
    phone: Annotated[Phone | None, PERSONAL] = None
    street: Annotated[Text, PERSONAL] = ""
    city: Text = ""
    region: Annotated[Text, COARSE] = ""
    postal_code: Text = ""
    country: Annotated[Country, COARSE]
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Return what the address shows of itself, without a telephone number that is not there: channels make the ids
        of amendments from this, and orders from before there was one must keep theirs."""
        return (pair for pair in super().__repr_args__() if pair != ("phone", None))


NOWHERE = Address(country="ZZ")
"""The address of an order that is collected at the counter. "ZZ" is a code that ISO 3166-1 leaves to its users."""


class Destination(Message):
    """The part of an address that says where it is, and not whose it is."""

    country: str = ""
    region: str = ""
    latitude: float | None = None
    longitude: float | None = None


HoldKind = Literal["fraud", "address", "payment", "manual"]

OrderKind = Literal["standard", "presale", "exchange"]

Priority = Annotated[int, Field(ge=0, le=PRIORITY_MAX)]
"""The priority of an order: higher is served first."""


class Tender(Message):
    """A part of the total that is paid with a method of its own, such as a gift card."""

    method: Identifier = "card"
    payment_token: Identifier
    amount_minor: Annotated[AmountMinor, Field(gt=0)]


class TenderFields(TypedDict):
    tenders: tuple[Tender, ...]
    further_tenders: tuple[Tender, ...]


def tender_fields(tenders: tuple[Tender, ...]) -> TenderFields:
    """Return the tenders as events state them, in two fields."""
    first, more = tenders[:TENDERS_IN_ONE_FIELD_MAX], tenders[TENDERS_IN_ONE_FIELD_MAX:]
    return {"tenders": first, "further_tenders": more}


class Charge(Message):
    """The share of one payment in an amount that is paid by several."""

    payment_id: Identifier
    amount_minor: Annotated[AmountMinor, Field(gt=0)]


def borne(charges: tuple[Charge, ...], payment_id: str, amount_minor: int) -> tuple[Charge, ...]:
    """Return the charges of an amount: the given ones or, without any, the whole amount on the one payment; none if it
    is 0.
    """
    if charges or amount_minor == 0:
        return charges
    return (Charge(payment_id=payment_id, amount_minor=amount_minor),)


AMENDABLE = ("lines", "ship_to", "delivery_option", "shipping_minor", "discount_minor", "tax_minor")
"""The fields that an amendment may change."""


class OrderContent(Message):
    """An order as a channel sends it: the canonical form that every dialect is mapped to."""

    channel: Channel
    external_id: Identifier
    placed_at: Moment
    currency: Currency
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=LINES_MAX)]
    shipping_minor: AmountMinor = 0
    tax_minor: AmountMinor = 0
    """Tax charged on top of the prices; 0 where prices include it."""
    discount_minor: AmountMinor = 0
    ship_to: Annotated[Address, PERSONAL]
    payment_token: Identifier = "on-file"
    """A provider's token, never a card number."""
    kind: OrderKind = "standard"
    priority: Priority = 0
    delivery_option: Identifier = "standard"
    allow_split: bool = True
    """Whether the order may come in several parcels from several locations."""
    tenders: Annotated[tuple[Tender, ...], Field(max_length=TENDERS_IN_ONE_FIELD_MAX)] = ()
    """Parts of the total with methods of their own; the rest of the total is charged to `payment_token`."""
    further_tenders: Annotated[tuple[Tender, ...], Field(max_length=TENDERS_MAX - TENDERS_IN_ONE_FIELD_MAX)] = ()
    """Further tenders, which are charged after `tenders`."""
    deposit_minor: AmountMinor = 0
    """The deposit of a presale, which is charged when the order is accepted."""
    available_by: Moment | None = None
    """The time by which a presale's goods must have come; otherwise the order is cancelled."""
    balance_due_seconds: Annotated[int, Field(gt=0, le=BALANCE_DUE_SECONDS_MAX)] | None = None
    """How long the payment of a presale's balance may take once the goods have come."""
    deposit_kept: bool = False
    """Whether a presale's deposit is kept if the balance is not paid in time."""
    deposit_kept_early: bool = False
    """Whether a presale's deposit is kept, too, if the customer cancels before the goods have come. It is given back if
    the shop cancels, or if they do not come in time."""
    exchange_of: Identifier | None = None
    """The return that granted this exchange."""
    credit_minor: AmountMinor = 0
    """The worth of the returned goods, which pays for this exchange."""
    pickup: bool = False
    """The customer collects the order at the counter: no address is needed, and no carrier is booked."""
    pickup_at: LocationId | None = None
    """The location where a pickup is collected; without it, any location that has everything."""
    customer: Annotated[Customer | None, PERSONAL] = None
    """The customer who ordered, as the channel knows them."""
    notes: Annotated[Notes, PERSONAL] = ""
    """Notes of the customer, or of the channel, about the order."""
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=METADATA_MAX), PERSONAL] = {}
    """Further fields of the channel, by name; the engine stores them and does not read them."""

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
    def customer_id(self) -> str:
        """The customer's id at the channel; empty if the order names none."""
        return (self.customer and self.customer.customer_id) or ""

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


class OrderCommand(Command):
    order_id: Identifier

    @property
    def stream(self) -> str:
        return f"order-{self.order_id}"


class EarlyCommand(OrderCommand):
    """A command of a channel about an order that may not have come yet."""

    keep: bool = False
    """Whether the command waits for its order if that is not known yet."""
    called: QuotedText = ""
    """The order's name at its channel, as CHANNEL/ID, for a person who looks for an order that does not come."""


class OrderEvent(Event):
    order_id: str


def reservation_id_of(order_id: str, attempt: int) -> str:
    return f"{order_id}/{attempt}"


def transferred(to_order_id: str, reservation_id: str) -> str:
    """Return the id of a transferred reservation at the order that receives it: new for each reservation, however often
    it is transferred."""
    source, _, attempt = reservation_id.rpartition("/")
    name = f"{to_order_id}/{uuid5(ORDER_ID_NAMESPACE, source)}.{attempt}"
    if len(name) <= IDENTIFIER_LENGTH_MAX:
        return name
    return f"{to_order_id}/{uuid5(ORDER_ID_NAMESPACE, reservation_id)}.0"


def was_transferred(reservation_id: str) -> bool:
    """Return whether the reservation came from another order: the id of an order's own reservation ends with the
    attempt alone."""
    return "." in reservation_id.rpartition("/")[2]


class Reservation(Message):
    """Units that are reserved for the order at a location."""

    reservation_id: str
    sku: str
    location: str
    quantity: int


class Cut(Reservation):
    """A release: `quantity` units of a reservation are released, and `remaining` stay reserved."""

    remaining: int


class ContentChange(Message):
    """The changed fields of an order's content, and what follows for its stock and money."""

    lines: tuple[OrderLine, ...] | None = None
    ship_to: Annotated[Address | None, PERSONAL] = None
    delivery_option: str | None = None
    shipping_minor: int | None = None
    discount_minor: int | None = None
    tax_minor: int | None = None
    released: tuple[Cut, ...] = ()
    no_longer_sought: dict[str, int] = {}
    """Units that were to be sourced, by SKU, and are not any more."""
    no_longer_backordered: dict[str, int] = {}
    payments_cancelled: tuple[str, ...] = ()
    """Payments of another amount than is due now: they are undone, and the money is asked for again."""
    total_minor: int
    units: int
    channel: str
    placed_at: Moment
    currency: str
    more_minor: int
    """The change of the total; negative if it became less."""
    more_units: int
    customer_id: CustomerId = ""


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
