"""An order is split in two, or several orders are merged into one; an exchange begins an order."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from oms_es.kernel import Command, SystemCommand
from oms_es.schemas.order.content import (
    LINES_MAX,
    MERGED_MAX,
    ContentChange,
    LineUnits,
    OrderCommand,
    OrderContent,
    OrderEvent,
    Reservation,
    order_id_of,
)
from oms_es.schemas.order.holds import Hold
from oms_es.schemas.values import names
from oms_es.schemas.values.types import (
    Channel,
    Identifier,
    Moment,
    Sku,
    Units,
)


class SplitOrder(OrderCommand):
    """Split units off an order, before its release, into an order of their own; units that wait for stock are taken
    first.

    Locks are transferred without being released. Shipping costs stay with the order that was split.
    """

    split_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    lines: Annotated[tuple[LineUnits, ...], Field(min_length=1, max_length=LINES_MAX)]


class MergeOrders(Command):
    """Merge several orders of a channel that go to the same address into one new order, before their release.

    Orders that are already released, or go elsewhere, stay as they are.
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


class OrderSplit(OrderEvent, ContentChange):
    """Units are an order of their own now. `released` are the reservations that are transferred to it."""

    split_id: str
    to_order_id: str
    content: OrderContent
    bundles: dict[str, dict[str, int]] = {}
    holds: tuple[Hold, ...] = ()
    """The holds of the order, which the new order has, too."""
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class OrderJoined(OrderEvent):
    """The order began with reservations that other orders transfer to it."""

    from_order_ids: tuple[str, ...]
    transfers: tuple[Reservation, ...]
    """The reservations with their ids in this order; stock reports each one when it is transferred."""
    bundles: dict[str, dict[str, int]] = {}


class OrderLockReturned(OrderEvent, Reservation):
    """A reservation was transferred to the order too late: it had been cancelled meanwhile."""


class OrderMergedInto(OrderEvent):
    """The order is part of another one now, which has its lines, its reservations and its backorders."""

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
    """The holds of the order, which the new order has, too."""


class OrderMergeRequested(OrderEvent):
    """An order is asked to become part of this one, if it has the same terms as the orders before it."""

    channel: str
    merge_id: str
    source_id: str
    to_be_asked: tuple[str, ...]
    """The orders that are asked after it."""
    terms: OrderContent | None = None
    answer: OrderMergedInto | None = None
    """The answer of the order that was asked before, if it agreed."""
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class OrderMergeDeclined(OrderEvent):
    to_order_id: str
    reason: str


class OrderMergeFailed(OrderEvent):
    """None of the orders could be merged: there is no new order."""

    merge_id: str


class PlaceJoined(OrderCommand, SystemCommand):
    """Begin the order that was split off or merged."""

    from_order_id: Identifier
    content: OrderContent
    transfers: tuple[Reservation, ...]
    backordered: dict[Sku, Units] = {}
    bundles: dict[str, dict[str, int]] = {}
    holds: tuple[Hold, ...] = ()


class PlaceExchange(OrderCommand, SystemCommand):
    """Place the order that a return, or the loss of a parcel, has granted; the order whose goods pay for it states the
    content.
    """

    content: OrderContent


class YieldToMerge(OrderCommand, SystemCommand):
    """Ask an order to become part of another one, if it is not too late and `terms` fit."""

    to_order_id: Identifier
    channel: Channel | None = None
    """The channel that the order must belong to."""
    terms: OrderContent | None = None


class RecordMergeAnswer(OrderCommand, SystemCommand):
    """Record the answer of an order that was asked to become part of this one; without `merged` it declined."""

    source_id: Identifier
    merged: OrderMergedInto | None = None
