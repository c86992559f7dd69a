"""Units come, are counted, adjusted, written off, or change their condition."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import SystemCommand
from oms_es.schemas.stock.base import BinName, Condition, LotName, PlacedEvent, Serials, StockCommand, UnitsOrZero
from oms_es.schemas.values.types import (
    UNITS_MAX,
    Derived,
    Identifier,
    Moment,
    Text,
    Units,
)


class ReceiveStock(StockCommand):
    """Units have come to a location; give their bin and lot if those are distinguished. A receipt counts once."""

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
    """Units are destroyed, lost or given away: they are written off, with the reason."""

    write_off_id: Identifier
    quantity: Units
    condition: Condition = "damaged"
    bin: BinName = ""
    lot: LotName = ""
    reason: Text
    serials: Serials = ()


class RestockReturn(StockCommand, SystemCommand):
    """Returned units are put back on the shelf, or aside. `return_id` is new for each lot of units that came back."""

    return_id: Identifier
    quantity: Units
    condition: Condition = "sellable"
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None
    serials: Serials = ()


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
    """`quantity` units were counted where `expected` were recorded. `serials`: those that were not found."""

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
