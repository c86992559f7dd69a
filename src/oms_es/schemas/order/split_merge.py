"""An order is split in two, or several are merged into one; an exchange begins an order."""

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
    """Make an order of its own of some units before their release; what waits for stock goes first.

    Locks go over without being released. Shipping stays with the order that was split.
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


class OrderSplit(OrderEvent, ContentChange):
    """Some units are an order of their own now. `released` are the locks that it gets."""

    split_id: str
    to_order_id: str
    content: OrderContent
    bundles: dict[str, dict[str, int]] = {}
    holds: tuple[Hold, ...] = ()
    """What it was held by: what is split off is held by the same."""
    asked: str = ""
    """What the command said beside its own id: a repeat is recognised by it."""


class OrderJoined(OrderEvent):
    """It began with locks that other orders give it."""

    from_order_ids: tuple[str, ...]
    transfers: tuple[Reservation, ...]
    """As they will be called here; each is reported by stock when it has gone over."""
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
    """What the command said beside its own id: a repeat is recognised by it."""


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
