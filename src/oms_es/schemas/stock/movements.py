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
    """Units are on their way from outside and promised for a time; repeated, the newer quantity and promise hold."""

    inbound_id: Identifier
    quantity: Units
    promised_at: Moment
    request_id: Identifier | None = None
    """The replenishment request that this answers."""


class ReceiveInbound(StockCommand):
    """Expected units have arrived: all that is still outstanding, or `quantity` of them."""

    inbound_id: Derived
    receipt_id: Identifier
    quantity: Units | None = None
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None
    serials: Serials = ()
    """Of a move of which only a part has arrived: which units those are."""


class CancelInbound(StockCommand):
    """What is still outstanding will not come; of a move between locations, it was lost on the way."""

    inbound_id: Derived
    reason: Text


class MoveToBin(StockCommand):
    """Units move from one bin to another within a location."""

    move_id: Identifier
    quantity: Units
    bin: BinName = ""
    to_bin: BinName
    lot: LotName = ""
    condition: Condition = "sellable"
    serials: Serials = ()


class MoveStock(StockCommand):
    """Units leave for another location. With `arrives_at` they are in transit until received there, else there at once.

    `move_id` is new for every move of the SKU. What is promised cannot leave.
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
    """What left another location for this one: there at once, or expected at `arrives_at`."""

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
    """Left for another location; where `arrives_at` is given, in transit until it is received there."""

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
    """So many units are outstanding of it, promised for then. `from_location`: a move between our own locations."""

    inbound_id: str
    promised_at: Moment
    request_id: str | None = None
    move_id: str | None = None
    from_location: str | None = None
    lot_expires_at: Moment | None = None


class StockInboundCancelled(StockEvent):
    """What was outstanding will not come. Of a move, it is lost; `serials` with it."""

    inbound_id: str
    reason: str
    request_id: str | None = None
    move_id: str | None = None
    from_location: str | None = None
    serials: tuple[str, ...] = ()
