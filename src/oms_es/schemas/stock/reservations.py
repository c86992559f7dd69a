"""Units are reserved for an order, transferred, released, and shipped."""

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

    A claim replaces the temporary reservation that its order or cart has here.
    """

    reservation_id: Identifier
    order_id: Identifier
    quantity: Units
    expires_at: Moment | None = None
    channel: ChannelName = ""
    """The channel of the order: channels may have a share of their own. Empty for no channel."""
    presale: bool = False
    """Promise units that are still to come, up to the presale limit."""


class ReleaseStock(StockCommand):
    """Release a reservation, or `quantity` units of it; what remains keeps its id."""

    reservation_id: Identifier
    order_id: Identifier
    quantity: Units | None = None
    release_id: Identifier | None = None
    """Distinguishes one release of a part from another of as many units; a repeat of the same releases nothing more."""


class TransferReservation(StockCommand, SystemCommand):
    """Transfer a reservation, or a part of it, to another order. `to_reservation_id` is new for each transfer.

    The command is never refused: if fewer units are held than are to be transferred, none are, and the answer is
    StockShort.
    """

    reservation_id: Identifier
    order_id: Identifier
    to_reservation_id: Identifier
    to_order_id: Identifier
    quantity: Units
    remaining: Annotated[int, Field(ge=0)] | None = None
    """The units on which the giving order still counts; what is held beyond that belongs to no order."""


class ExpireReservation(StockCommand, SystemCommand):
    """Release a reservation whose time is over at `now`; before its time nothing happens."""

    reservation_id: Identifier
    order_id: Identifier
    now: Moment


class CoverPresales(StockCommand, SystemCommand):
    """Cover waiting presales with free units, in the order of their promises."""


class ShipStock(StockCommand, SystemCommand):
    """Record that the reserved units left the building in a shipment."""

    reservation_id: Identifier
    order_id: Identifier
    shipment_id: Identifier
    serials: Serials = ()
    """The serial numbers of these units, if a person recorded them; otherwise the first to expire are taken."""


class Pick(Message):
    """Units that were taken from one bin and lot."""

    bin: str
    lot: str
    quantity: int


class ReservationEvent(StockEvent):
    """An event about a reservation. `presale`: its units are not there yet."""

    reservation_id: str
    order_id: str
    channel: str = ""
    presale: bool = False


class StockReserved(ReservationEvent):
    expires_at: Moment | None = None
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class StockShort(ReservationEvent):
    """The promise could not be made: `available` was less than `quantity`. Nothing was reserved."""

    available: int
    asked: str = ""
    """The command's content without its id, by which a repeat is recognised."""


class StockReleased(ReservationEvent):
    """A reservation was released; with `release_id`, only a part of it."""

    release_id: str | None = None
    asked: str = ""
    """The command's content without its id, if it has one: a repeat is recognised by it."""


class StockReservationTransferred(ReservationEvent):
    """`quantity` units of the reservation belong to `to_order_id` now, under `to_reservation_id`."""

    to_reservation_id: str
    to_order_id: str


class StockReservationExpired(ReservationEvent):
    pass


class StockReservationBroken(ReservationEvent):
    """The promise is broken: there turned out to be less stock than was promised."""

    reason: str


class StockBrokenPromiseSettled(ReservationEvent):
    """`quantity` units of a broken promise are no longer waited for; `left` of them still are."""

    left: int = 0
    release_id: str | None = None
    asked: str = ""
    """The command's content without its id, if it has one: a repeat is recognised by it."""


class StockPresaleCovered(ReservationEvent):
    """Units that were sold before they existed are there now, and reserved. `more`: others can be covered as well."""

    more: bool = False


class StockShipped(ReservationEvent):
    """Reserved units left, taken from the bins and lots in `picks`; without picks, from the only place that holds
    units.

    `broken`: nothing was reserved for them any more, and they left nevertheless.
    """

    shipment_id: str
    picks: tuple[Pick, ...] = ()
    serials: tuple[str, ...] = ()
    broken: bool = False
