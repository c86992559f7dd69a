"""The stock of one SKU at one location: what may be asked of it, and what may happen to it.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Command, Event
from oms_es.schemas.types import UNITS_MAX, Identifier, LocationId, Moment, Sku, StockKey, Units


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


class ReleaseStock(StockCommand):
    reservation_id: Identifier
    order_id: Identifier


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


class StockEvent(Event):
    sku: str
    location: str
    quantity: int


class StockReceived(StockEvent):
    receipt_id: str


class SafetyStockSet(StockEvent):
    pass


class ReservationEvent(StockEvent):
    reservation_id: str
    order_id: str


class StockReserved(ReservationEvent):
    expires_at: Moment | None = None


class StockShort(ReservationEvent):
    """The promise could not be made: `available` was less than `quantity`. Nothing was reserved."""

    available: int


class StockReleased(ReservationEvent):
    pass


class StockReservationExpired(ReservationEvent):
    pass


class StockShipped(ReservationEvent):
    shipment_id: str
