"""A second account of stock, from the bare quantities of its events: it shares no code with the engine."""

from __future__ import annotations

from typing import NamedTuple

from oms_es.processing.bulk.overflow import Overflow, Overflowing
from oms_es.schemas import stock as s


class StockCounts(NamedTuple):
    """Of one stock stream, in units."""

    received: int = 0
    returned: int = 0
    moved_in: int = 0
    variance: int = 0
    shipped: int = 0
    moved_out: int = 0
    written_off: int = 0
    aside: int = 0
    """Of what is on hand, what is not sellable."""
    open: int = 0
    """Promised, and reserved on hand."""
    presold: int = 0
    """Promised, and still to come."""
    presale_limit_max: int = 0
    """The highest limit that presales were ever made under."""

    @property
    def on_hand(self) -> int:
        came = self.received + self.returned + self.moved_in + self.variance
        return came - self.shipped - self.moved_out - self.written_off

    @property
    def keeps_its_promises(self) -> bool:
        """Return whether no more is reserved than sellable, and no more sold than that and the presale limit."""
        sellable = self.on_hand - self.aside
        locked = 0 <= self.open <= sellable and self.presold >= 0
        return locked and self.open + self.presold <= sellable + self.presale_limit_max

    def note(self, event: s.StockEvent) -> StockCounts:
        n = event.quantity
        match event:
            case s.PresaleLimitSet():
                return self._replace(presale_limit_max=max(self.presale_limit_max, n))
            case s.StockShipped():
                locked = 0 if event.broken else n
                return self._replace(shipped=self.shipped + n, open=self.open - locked)
            case s.PlacedEvent():
                return self._moved(event, n)
            case s.ReservationEvent():
                return self._promised(event, n)
        return self

    def _moved(self, event: s.PlacedEvent, n: int) -> StockCounts:
        aside = event.condition != "sellable"
        match event:
            case s.StockReceived():
                return self._replace(received=self.received + n, aside=self.aside + n * aside)
            case s.StockReturned():
                return self._replace(returned=self.returned + n, aside=self.aside + n * aside)
            case s.StockMovedIn():
                return self._replace(moved_in=self.moved_in + n, aside=self.aside + n * aside)
            case s.StockAdjusted():
                return self._replace(variance=self.variance + n, aside=self.aside + n * aside)
            case s.StockCounted(variance=v):
                return self._replace(variance=self.variance + v, aside=self.aside + v * aside)
            case s.StockMovedOut():
                return self._replace(moved_out=self.moved_out + n, aside=self.aside - n * aside)
            case s.StockWrittenOff():
                return self._replace(written_off=self.written_off + n, aside=self.aside - n * aside)
            case s.StockConditionChanged(was=was):
                return self._replace(aside=self.aside + n * aside - n * (was != "sellable"))
        return self

    def _promised(self, event: s.ReservationEvent, n: int) -> StockCounts:
        match event:
            case s.StockReserved(presale=True):
                return self._replace(presold=self.presold + n)
            case s.StockReserved():
                return self._replace(open=self.open + n)
            case s.StockPresaleCovered():
                return self._replace(presold=self.presold - n, open=self.open + n)
            case s.StockReleased(presale=True) | s.StockReservationExpired(presale=True):
                return self._replace(presold=self.presold - n)
            case s.StockReleased() | s.StockReservationExpired() | s.StockReservationBroken():
                return self._replace(open=self.open - n)
        return self


class TransitBook:
    """Units between locations, by SKU, where they left, and move."""

    def __init__(self, overflow: Overflow) -> None:
        self.units: Overflowing[tuple[str, str, str], int] = overflow.mapping(int)

    def note(self, event: s.StockEvent) -> int:
        """Return how many units of the move are still on their way: a negative number appeared from nowhere."""
        match event:
            case s.StockMovedOut():
                self.units[event.sku, event.location, event.move_id] += event.quantity
                return self.units[event.sku, event.location, event.move_id]
            case (
                s.StockMovedIn(from_location=origin, move_id=move)
                | s.StockInboundCancelled(from_location=str(origin), move_id=str(move))
            ):
                self.units[event.sku, origin, move] -= event.quantity
                return self.units[event.sku, origin, move]
        return 0
