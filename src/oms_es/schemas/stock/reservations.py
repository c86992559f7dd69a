"""Units are reserved for an order, released, and shipped."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Message, SystemCommand
from oms_es.schemas.stock.base import ChannelName, Serials, StockCommand, StockEvent
from oms_es.schemas.values.types import (
    Identifier,
    Moment,
    Units,
)


class ReserveStock(StockCommand):
    """Lock stock for an order. `reservation_id` is new for each attempt of an order at this stream.

    A claim of an order or cart that holds units here until a time takes the place of that hold.
    """

    reservation_id: Identifier
    order_id: Identifier
    quantity: Units
    expires_at: Moment | None = None
    channel: ChannelName = ""
    """Where the order came from: channels may have a share of their own. Empty: no channel's."""
    presale: bool = False
    """Promise what is still to come, up to the presale limit."""


class ReleaseStock(StockCommand):
    """Let a reservation go, or `quantity` units of it; what remains keeps its id."""

    reservation_id: Identifier
    order_id: Identifier
    quantity: Units | None = None
    release_id: Identifier | None = None
    """Distinguishes one release of a part from another of as many units; a repeat of the same releases nothing more."""


class TransferReservation(StockCommand, SystemCommand):
    """Give a reservation, or a part of it, to another order. `to_reservation_id` is new for each transfer.

    Never refused: where fewer units are held than shall go over, none do, and the answer is StockShort.
    """

    reservation_id: Identifier
    order_id: Identifier
    to_reservation_id: Identifier
    to_order_id: Identifier
    quantity: Units
    remaining: Annotated[int, Field(ge=0)] | None = None
    """What the order that gives it still counts on; what is held beyond that belongs to no order."""


class ExpireReservation(StockCommand, SystemCommand):
    """Let a reservation go whose time is over at `now`; before its time nothing happens."""

    reservation_id: Identifier
    order_id: Identifier
    now: Moment


class CoverPresales(StockCommand, SystemCommand):
    """Give what is free to the presales that wait for it, first promised first covered."""


class ShipStock(StockCommand, SystemCommand):
    """The reserved units left the building in a shipment."""

    reservation_id: Identifier
    order_id: Identifier
    shipment_id: Identifier
    serials: Serials = ()
    """Which units those were, where a person looked; else the first to expire."""


class Pick(Message):
    """Units taken from one bin and lot."""

    bin: str
    lot: str
    quantity: int


class ReservationEvent(StockEvent):
    """`presale`: the units are not there yet."""

    reservation_id: str
    order_id: str
    channel: str = ""
    presale: bool = False


class StockReserved(ReservationEvent):
    expires_at: Moment | None = None
    asked: str = ""
    """What the command said beside its own id."""


class StockShort(ReservationEvent):
    """The promise could not be made: `available` was less than `quantity`. Nothing was reserved."""

    available: int
    asked: str = ""
    """What the command said beside its own id."""


class StockReleased(ReservationEvent):
    """`release_id`: only a part of the reservation, distinguished by it."""

    release_id: str | None = None
    asked: str = ""
    """What the command said beside its own id, where it has one."""


class StockReservationTransferred(ReservationEvent):
    """`quantity` units of the reservation now belong to `to_order_id`, under `to_reservation_id`."""

    to_reservation_id: str
    to_order_id: str


class StockReservationExpired(ReservationEvent):
    pass


class StockReservationBroken(ReservationEvent):
    """The promise no longer holds: there turned out to be less than was promised."""

    reason: str


class StockBrokenPromiseSettled(ReservationEvent):
    """So many units of a broken promise are no longer waited for; `left` of them still are."""

    left: int = 0
    release_id: str | None = None
    asked: str = ""
    """What the command said beside its own id, where it has one."""


class StockPresaleCovered(ReservationEvent):
    """What was sold before it existed is there now, and locked. `more`: others can be covered as well."""

    more: bool = False


class StockShipped(ReservationEvent):
    """Taken from where `picks` says; without, from the one place where everything is.

    `broken`: nothing was locked for it any more, and it left nevertheless.
    """

    shipment_id: str
    picks: tuple[Pick, ...] = ()
    serials: tuple[str, ...] = ()
    broken: bool = False
