"""Sourcing of an order's units: bundles, locations, reservations, backorders and presales."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from oms_es.kernel import Message, SystemCommand
from oms_es.schemas.order.content import (
    ASSIGNMENTS_MAX,
    Address,
    Cut,
    Destination,
    OrderCommand,
    OrderEvent,
    OrderKind,
    Reservation,
    reservation_id_of,
)
from oms_es.schemas.order.payment import AsksForMoney, PaymentDue
from oms_es.schemas.values.personal import PERSONAL
from oms_es.schemas.values.types import (
    COUNT_MAX,
    Identifier,
    LocationId,
    Moment,
    Sku,
    Text,
    Units,
    at_most,
)


class Assignment(Message):
    """Units of a SKU that come from a location."""

    sku: Sku
    location: LocationId
    quantity: Units


class Candidate(Message):
    """One way to source an order, as it was compared: more covered units win, then the lower score, from left
    to right.
    """

    locations: tuple[str, ...]
    covers_units: int
    shipments: int
    priority: int
    cost_minor: int
    distance_km: int
    late_days: int = 0
    over_capacity: int = 0
    score: tuple[int, ...] = ()
    """The values of the objective's terms, by which it was compared."""


class SourceOrder(OrderCommand, SystemCommand):
    """Answer the sourcing attempt `attempt`; `backordered` are the units that no location can promise."""

    attempt: Annotated[PositiveInt, at_most(COUNT_MAX)]
    assignments: tuple[Assignment, ...]
    backordered: dict[Sku, Units] = {}
    candidates: tuple[Candidate, ...] = ()
    rule_version: Identifier
    ruled_out: dict[LocationId, Text] = {}
    """Locations that have stock and may not ship it, each with the reason."""
    promised_at: Moment | None = None
    """When all backordered units are expected."""


class ExplodeBundles(OrderCommand, SystemCommand):
    """Replace bundles among the units of sourcing attempt `attempt` by their components, which are sourced instead."""

    attempt: Annotated[PositiveInt, at_most(COUNT_MAX)]
    bundles: dict[Sku, dict[Sku, Units]]


class AssignOrder(OrderCommand):
    """Assign an order's units to locations by hand. Units that are not named wait; reservations that fit stay."""

    assignments: Annotated[tuple[Assignment, ...], Field(min_length=1, max_length=ASSIGNMENTS_MAX)]
    reason: Annotated[Text, Field(min_length=1)]


class RecordLocationFailed(OrderCommand, SystemCommand):
    """Record that a location cannot ship what an order has reserved there: it is sourced elsewhere, unless it is
    released.
    """

    location: LocationId
    reason: Text = ""


class RetrySourcing(OrderCommand):
    """Look for stock again for a backordered order: some may have come."""


class RecordReservation(OrderCommand, SystemCommand):
    """Record that stock promised the units that an order requested; `presale` if they do not exist yet."""

    reservation_id: Identifier
    sku: Sku
    location: LocationId
    quantity: Units
    presale: bool = False


class RecordPresaleCovered(OrderCommand, SystemCommand):
    """Record that the goods of a presale's reservation have come."""

    reservation_id: Identifier
    sku: Sku
    location: LocationId


class LapsePresale(OrderCommand, SystemCommand):
    """Cancel a presale if its goods have not come by now, as they should have."""


class RecordShortage(OrderCommand, SystemCommand):
    reservation_id: Identifier
    sku: Sku
    location: LocationId
    quantity: Units


class OrderSourced(OrderEvent):
    attempt: int
    assignments: tuple[Assignment, ...]
    candidates: tuple[Candidate, ...]
    rule_version: str
    channel: str = ""
    kind: OrderKind = "standard"
    ruled_out: dict[str, str] = {}
    reason: str = ""
    """The reason of a person, if the version is "manual"."""

    @property
    def reservation_id(self) -> str:
        return reservation_id_of(self.order_id, self.attempt)


class SourcingTerms(Message):
    """The terms of an order that decide which stock it can use. `held`: the locations where it has reservations."""

    channel: str = ""
    kind: OrderKind = "standard"
    delivery_option: str = "standard"
    allow_split: bool = True
    destination: Destination = Destination()
    held: tuple[str, ...] = ()
    pickup: bool = False
    pickup_at: str | None = None


class OrderBackordered(OrderEvent):
    """No location can promise these units now. The order keeps its reservations and waits, in order of `placed_at`."""

    attempt: int
    demand: dict[str, int]
    placed_at: Moment
    terms: SourcingTerms | None = None
    priority: int = 0
    promised_at: Moment | None = None
    """When the units are expected, if that is known."""


class OrderSourcingRequested(OrderEvent):
    """The order asks for all units that are to be sourced now; an answer to an earlier attempt is void.

    With `short`, units that could not be reserved are sourced elsewhere. Without it a new round begins: backordered
    units are sourced again, everywhere. `excluded` has by SKU the locations that came up short in this round.
    """

    attempt: int
    demand: dict[str, int]
    excluded: dict[str, tuple[str, ...]]
    ship_to: Annotated[Address, PERSONAL]
    short: Reservation | None = None
    channel: str = ""
    kind: OrderKind = "standard"
    priority: int = 0
    delivery_option: str = "standard"
    allow_split: bool = True
    held: tuple[str, ...] = ()
    """Locations where the order has reserved or requested units: more units from there need no further parcel."""
    bundles: dict[str, dict[str, int]] = {}
    """Bundles that were exploded before: their components are plain units now."""
    pickup: bool = False
    pickup_at: str | None = None


class OrderBundlesExploded(OrderEvent):
    """These bundles are replaced by their components from now on, whatever is sold under their SKUs later."""

    attempt: int
    bundles: dict[str, dict[str, int]]
    """The units of each component in one bundle, by the bundle's SKU."""


class OrderAssigned(OrderEvent):
    """A person assigned the order's units to locations; the following events say what it led to."""

    attempt: int
    released: tuple[Cut, ...] = ()
    """Locks that did not fit and were released."""
    reason: str


class OrderLocationFailed(OrderEvent):
    """A location cannot ship what was reserved there; the reservations were released, and the units are sourced
    elsewhere."""

    location: str
    released: tuple[Cut, ...]
    reason: str = ""


class OrderLineAllocated(OrderEvent, Reservation):
    presale: bool = False
    """Whether the units are promised and still to come."""


class OrderTransferShort(OrderEvent, Reservation):
    """Units that another order gave to this one are not there.

    This order has not begun; it sources them once it has.
    """


class OrderPresold(OrderEvent):
    """A presale is accepted, and its deposit, if any, is paid: it waits for the goods."""

    available_by: Moment | None = None


class OrderPresaleCovered(OrderEvent):
    """The goods of one reservation have come. `phase`: the next phase of the order, if they were the last to come."""

    reservation_id: str
    sku: str
    location: str
    phase: Literal["awaiting_payment", "held"] | None = None


class OrderAllocated(AsksForMoney):
    """Every unit is reserved; the money is due."""

    payment_id: str
    amount_minor: int
    payment_token: str
    payments: tuple[PaymentDue, ...] = ()
    """All payments, if it is not one payment by card; they sum to `amount_minor`."""
