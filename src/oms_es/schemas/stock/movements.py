"""Units are expected, and move between bins and locations."""

from __future__ import annotations

from oms_es.kernel import SystemCommand
from oms_es.schemas.stock.base import BinName, Condition, LotName, PlacedEvent, Serials, StockCommand, StockEvent
from oms_es.schemas.values.types import (
    Derived,
    Identifier,
    LocationId,
    Moment,
    Text,
    Units,
)


class ExpectInbound(StockCommand):
    """Expect units from outside, promised for a time; if repeated, the newer quantity and promise apply."""

    inbound_id: Identifier
    quantity: Units
    promised_at: Moment
    request_id: Identifier | None = None
    """The replenishment request that this answers."""


class ReceiveInbound(StockCommand):
    """Receive expected units: all that are still outstanding, or `quantity` of them."""

    inbound_id: Derived
    receipt_id: Identifier
    quantity: Units | None = None
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None
    serials: Serials = ()
    """The serial numbers that arrived, if only a part of a move has arrived."""


class CancelInbound(StockCommand):
    """Cancel what is still outstanding of an inbound; of a move between locations, it was lost on the way."""

    inbound_id: Derived
    reason: Text


class MoveToBin(StockCommand):
    """Move units from one bin to another within a location."""

    move_id: Identifier
    quantity: Units
    bin: BinName = ""
    to_bin: BinName
    lot: LotName = ""
    condition: Condition = "sellable"
    serials: Serials = ()


class MoveStock(StockCommand):
    """Move units to another location. With `arrives_at` they are in transit until received there, else there at once.

    `move_id` is new for every move of the SKU. Promised units cannot leave.
    """

    move_id: Identifier
    quantity: Units
    to_location: LocationId
    arrives_at: Moment | None = None
    bin: BinName = ""
    lot: LotName = ""
    condition: Condition = "sellable"
    serials: Serials = ()


class AdmitMove(StockCommand, SystemCommand):
    """Receive units that left another location for this one, or expect them at `arrives_at`."""

    move_id: Identifier
    from_location: LocationId
    quantity: Units
    arrives_at: Moment | None = None
    lot: LotName = ""
    lot_expires_at: Moment | None = None
    condition: Condition = "sellable"
    serials: Serials = ()


class StockMovedToBin(PlacedEvent):
    move_id: str
    to_bin: str
    lot_expires_at: Moment | None = None


class StockMovedOut(PlacedEvent):
    """Units left for another location; with `arrives_at` they are in transit until they are received there."""

    move_id: str
    to_location: str
    arrives_at: Moment | None = None
    lot_expires_at: Moment | None = None


class StockMovedIn(PlacedEvent):
    move_id: str
    from_location: str
    lot_expires_at: Moment | None = None
    receipt_id: str | None = None
    inbound_id: str | None = None


class StockInboundExpected(PlacedEvent):
    """`quantity` units of an inbound are outstanding, promised for then.

    `from_location`: a move between our locations.
    """

    inbound_id: str
    promised_at: Moment
    request_id: str | None = None
    move_id: str | None = None
    from_location: str | None = None
    lot_expires_at: Moment | None = None


class StockInboundCancelled(StockEvent):
    """The outstanding units of an inbound will not come. If it is a move, they are lost, and `serials` with them."""

    inbound_id: str
    reason: str
    request_id: str | None = None
    move_id: str | None = None
    from_location: str | None = None
    serials: tuple[str, ...] = ()
