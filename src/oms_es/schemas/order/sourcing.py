"""Where the units of an order come from: bundles, locations, reservations, backorders and presales."""

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
from oms_es.schemas.order.payment import PaymentDue
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
    """A location cannot ship what an order has locked there: it is sourced elsewhere, unless already released."""

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
    """When the units are expected, where that is known."""


class OrderSourcingRequested(OrderEvent):
    """Everything that is to be sourced now; an answer to an earlier attempt is void.

    Either `short` could not be locked and is sourced elsewhere, or, without it, a new round begins: what was
    backordered is sourced again, everywhere. `excluded`: SKU to the locations that came up short in this round.
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
    """A person said where its units come from; what was decided stands in the events after it."""

    attempt: int
    released: tuple[Cut, ...] = ()
    """Locks that did not fit and were released."""
    reason: str


class OrderLocationFailed(OrderEvent):
    """A location cannot ship what was locked there; it was released and is sourced elsewhere."""

    location: str
    released: tuple[Cut, ...]
    reason: str = ""


class OrderLineAllocated(OrderEvent, Reservation):
    presale: bool = False
    """Promised, and still to come."""


class OrderTransferShort(OrderEvent, Reservation):
    """Units that another order gave it are not there. It has not begun, and seeks them once it has."""


class OrderPresold(OrderEvent):
    """A presale is accepted, and its deposit paid if it has one: it waits for the goods."""

    available_by: Moment | None = None


class OrderPresaleCovered(OrderEvent):
    """The goods of one reservation have come. `phase`: what the order waits for then, if they were the last to come."""

    reservation_id: str
    sku: str
    location: str
    phase: Literal["awaiting_payment", "held"] | None = None


class OrderAllocated(OrderEvent):
    """Every unit is locked; the money is due."""

    payment_id: str
    amount_minor: int
    currency: str
    payment_token: str
    payments: tuple[PaymentDue, ...] = ()
    """Where it is not one payment by card, each of them; they sum to `amount_minor`."""
