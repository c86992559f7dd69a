"""The stock of one SKU at one location: what may be asked of it, and what may happen to it.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from oms_es.kernel import Command, Event
from oms_es.schemas.types import UNITS_MAX, Identifier, LocationId, Moment, Sku, StockKey, Units

SERIALS_MAX = 1_000
"""Serial numbers in one command."""
Condition = Literal["sellable", "damaged", "quarantine"]
"""Only sellable units are promised."""
ChannelName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$")]
BinName = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00]*$")]
"""A shelf, a rack, a pallet place. Empty: nobody said where."""
LotName = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00]*$")]
"""A batch that was made together. Empty: not told apart."""
Serials = Annotated[tuple[Identifier, ...], Field(max_length=SERIALS_MAX)]


class StockCommand(Command):
    sku: Sku
    location: LocationId

    @property
    def stream(self) -> str:
        return StockKey(self.sku, self.location).stream


class ReceiveStock(StockCommand):
    receipt_id: Identifier
    quantity: Units


class SetSafetyStock(StockCommand):
    """Keep this many back from promises; 0 promises everything on hand."""

    quantity: Annotated[int, Field(ge=0, le=UNITS_MAX)]


class ReserveStock(StockCommand):
    """Lock stock for an order. `reservation_id` is new for each attempt of an order at this stream."""

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
    """Tells one release of a part from another of as many units; a repeat of the same releases nothing more."""


class TransferReservation(StockCommand):
    """Give a reservation, or a part of it, to another order. `to_reservation_id` is new for each transfer.

    Never refused: where nothing is held nothing happens, and no more goes over than is held.
    """

    reservation_id: Identifier
    order_id: Identifier
    to_reservation_id: Identifier
    to_order_id: Identifier
    quantity: Units


class ExpireReservation(StockCommand):
    """Let a reservation go whose time is over at `now`; before its time nothing happens."""

    reservation_id: Identifier
    order_id: Identifier
    now: Moment


class ShipStock(StockCommand):
    """The reserved units left the building in a shipment."""

    reservation_id: Identifier
    order_id: Identifier
    shipment_id: Identifier


class RestockReturn(StockCommand):
    """Returned units are put back on the shelf, or aside. `return_id` is new for each lot of units that came back."""

    return_id: Identifier
    quantity: Units
    condition: Condition = "sellable"
    bin: BinName = ""
    lot: LotName = ""
    serials: Serials = ()


class StockEvent(Event):
    sku: str
    location: str
    quantity: int


class StockReceived(StockEvent):
    receipt_id: str


class SafetyStockSet(StockEvent):
    pass


class StockReturned(StockEvent):
    return_id: str
    condition: Condition = "sellable"
    bin: str = ""
    lot: str = ""
    serials: tuple[str, ...] = ()


class ReservationEvent(StockEvent):
    reservation_id: str
    order_id: str
    channel: str = ""
    presale: bool = False


class StockReserved(ReservationEvent):
    expires_at: Moment | None = None


class StockShort(ReservationEvent):
    """The promise could not be made: `available` was less than `quantity`. Nothing was reserved."""

    available: int


class StockReleased(ReservationEvent):
    """`release_id`: only a part of the reservation, told apart by it."""

    release_id: str | None = None


class StockReservationTransferred(ReservationEvent):
    """`quantity` units of the reservation now belong to `to_order_id`, under `to_reservation_id`."""

    to_reservation_id: str
    to_order_id: str


class StockReservationExpired(ReservationEvent):
    pass


class StockShipped(ReservationEvent):
    shipment_id: str
