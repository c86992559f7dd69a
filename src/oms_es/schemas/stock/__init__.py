"""The stock of one SKU at one location: what may be asked of it, and what may happen to it.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from oms_es.kernel import Command, Event, Message, SystemCommand
from oms_es.schemas.values.types import (
    PLACE_NAME,
    PLACE_NAME_LENGTH_MAX,
    UNITS_MAX,
    Derived,
    Identifier,
    LocationId,
    Moment,
    Sku,
    StockKey,
    Text,
    Units,
    shifted,
)

SERIALS_MAX = 1_000
"""Serial numbers in one command."""
Condition = Literal["sellable", "damaged", "quarantine"]
"""Only sellable units are promised."""
ChannelName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$")]
BinName = Annotated[str, StringConstraints(max_length=PLACE_NAME_LENGTH_MAX, pattern=r"^[^\x00]*$"), PLACE_NAME]
"""A shelf, a rack, a pallet place. Empty: nobody said where."""
LotName = Annotated[str, StringConstraints(max_length=PLACE_NAME_LENGTH_MAX, pattern=r"^[^\x00]*$"), PLACE_NAME]
"""A batch that was made together. Empty: not told apart."""
Serials = Annotated[tuple[Identifier, ...], Field(max_length=SERIALS_MAX)]
UnitsOrZero = Annotated[int, Field(ge=0, le=UNITS_MAX)]


def lot_over_at(lot_expires_at: datetime) -> datetime:
    """A lot is good through the day on which it expires, in UTC."""
    day = lot_expires_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return shifted(day, timedelta(days=1))


class StockCommand(Command):
    sku: Sku
    location: LocationId

    @property
    def stream(self) -> str:
        return StockKey(self.sku, self.location).stream


class ReceiveStock(StockCommand):
    """Units have come to a location; say their bin and lot if they are told apart. A receipt counts once."""

    receipt_id: Identifier
    quantity: Units
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None


class AdmitSerials(StockCommand, SystemCommand):
    """Let units in whose serial numbers were claimed (see ReceiveSerials); those that are here already are left out."""

    receipt_id: Identifier
    serials: Annotated[Serials, Field(min_length=1)]
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None
    inbound_id: Derived | None = None


class ExpectInbound(StockCommand):
    """Units are on their way from outside and promised for a time; told again, the newer quantity and promise hold."""

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


class CountStock(StockCommand):
    """What was counted in one bin, lot and condition. The variance is recorded as it is, whatever was promised."""

    count_id: Identifier
    quantity: UnitsOrZero
    bin: BinName = ""
    lot: LotName = ""
    condition: Condition = "sellable"
    serials: Serials = ()
    """What was found, where units carry serial numbers."""


class AdjustStock(StockCommand):
    """Correct what is on hand by so many units, up or down, and say why. Nothing in history changes."""

    adjustment_id: Identifier
    quantity: Annotated[int, Field(ge=-UNITS_MAX, le=UNITS_MAX)]
    reason: Text
    bin: BinName = ""
    lot: LotName = ""
    condition: Condition = "sellable"
    serials: Serials = ()


class ChangeCondition(StockCommand):
    """Put units aside as damaged or into quarantine, or make them sellable again, and say why."""

    change_id: Identifier
    quantity: Units
    condition: Condition
    """What they are from now on."""
    was: Condition = "sellable"
    bin: BinName = ""
    lot: LotName = ""
    reason: Text = ""
    serials: Serials = ()


class ExpireLot(StockCommand, SystemCommand):
    """Put what is left of a lot into quarantine when its time is over at `now`; before its time nothing happens."""

    lot: LotName
    now: Moment


class WriteOffStock(StockCommand):
    """Units are destroyed, lost or given away: they leave the books, with the reason."""

    write_off_id: Identifier
    quantity: Units
    condition: Condition = "damaged"
    bin: BinName = ""
    lot: LotName = ""
    reason: Text
    serials: Serials = ()


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


class SetSafetyStock(StockCommand):
    """Keep this many back from promises; 0 promises everything on hand."""

    quantity: UnitsOrZero


class SetPresaleLimit(StockCommand):
    """Let so many units be sold before they exist; 0 ends the presale, and what was sold stays sold."""

    quantity: UnitsOrZero


class SetChannelShare(StockCommand):
    """A channel may hold at most a share of the stock, and leaves a buffer untouched; 100 and 0 lift both."""

    channel: Annotated[ChannelName, StringConstraints(min_length=1)]
    share_percent: Annotated[int, Field(ge=0, le=100)] = 100
    buffer_units: UnitsOrZero = 0


class SetReorderPoint(StockCommand):
    """Ask for more when what can be promised and what is inbound fall to `quantity`; 0 and 0 never ask."""

    quantity: UnitsOrZero
    up_to: UnitsOrZero
    """How much there should be afterwards."""


class RequestReplenishment(StockCommand, SystemCommand):
    """Somebody is to order more; `oms-es stock low` lists what was asked for."""

    request_id: Identifier
    quantity: Units


class ReserveStock(StockCommand):
    """Lock stock for an order. `reservation_id` is new for each attempt of an order at this stream.

    A claim of somebody who holds units here until a time takes the place of that hold.
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
    """Tells one release of a part from another of as many units; a repeat of the same releases nothing more."""


class TransferReservation(StockCommand, SystemCommand):
    """Give a reservation, or a part of it, to another order. `to_reservation_id` is new for each transfer.

    Never refused: where nothing is held nothing happens, and no more goes over than is held.
    """

    reservation_id: Identifier
    order_id: Identifier
    to_reservation_id: Identifier
    to_order_id: Identifier
    quantity: Units


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
    """Which units those were, where somebody looked; else the first to expire."""


class RestockReturn(StockCommand, SystemCommand):
    """Returned units are put back on the shelf, or aside. `return_id` is new for each lot of units that came back."""

    return_id: Identifier
    quantity: Units
    condition: Condition = "sellable"
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None
    serials: Serials = ()


class Pick(Message):
    """Units taken from one bin and lot."""

    bin: str
    lot: str
    quantity: int


class StockEvent(Event):
    sku: str
    location: str
    quantity: int


class PlacedEvent(StockEvent):
    """What happens to units in one bin, lot and condition."""

    bin: str = ""
    lot: str = ""
    condition: Condition = "sellable"
    serials: tuple[str, ...] = ()
    asked: str = ""
    """What the command said beside its own id: a repeat is told from another by it."""


class StockReceived(PlacedEvent):
    """`outstanding`: what is still to come of the inbound that it belongs to, and of the request that this answers."""

    receipt_id: str
    lot_expires_at: Moment | None = None
    inbound_id: str | None = None
    request_id: str | None = None
    outstanding: int = 0


class StockReturned(PlacedEvent):
    return_id: str
    lot_expires_at: Moment | None = None


class StockCounted(PlacedEvent):
    """`quantity` units were counted where `expected` were on the books. `serials`: those that were not found."""

    count_id: str
    expected: int

    @property
    def variance(self) -> int:
        return self.quantity - self.expected


class StockAdjusted(PlacedEvent):
    """By so many units, up or down."""

    adjustment_id: str
    reason: str


class StockConditionChanged(PlacedEvent):
    """From `was` to `condition`."""

    change_id: str
    was: Condition
    reason: str = ""
    lot_expires_at: Moment | None = None


class StockWrittenOff(PlacedEvent):
    write_off_id: str
    reason: str


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


class SafetyStockSet(StockEvent):
    pass


class PresaleLimitSet(StockEvent):
    pass


class ChannelShareSet(StockEvent):
    """`quantity` units are the channel's buffer."""

    channel: str
    share_percent: int


class ReorderPointSet(StockEvent):
    up_to: int


class StockRanLow(StockEvent):
    """What can be promised and what is inbound fell to the reorder point; `quantity` more are wanted."""

    available: int
    reorder_point: int
    occasion: int
    """Counts the times it happened here."""


class ReplenishmentRequested(StockEvent):
    request_id: str


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
    """`release_id`: only a part of the reservation, told apart by it."""

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
    """Nobody waits any more for so many units of a promise that was broken; for `left` of them somebody still does."""

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
