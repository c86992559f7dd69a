"""Units are received, counted, adjusted, written off, returned, or change their condition."""

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
    """Receive units at a location; state bin and lot if these are distinguished. A receipt counts once."""

    receipt_id: Identifier
    quantity: Units
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None


class AdmitSerials(StockCommand, SystemCommand):
    """Receive units whose serial numbers were claimed (see ReceiveSerials); units that are here already are omitted."""

    receipt_id: Identifier
    serials: Annotated[Serials, Field(min_length=1)]
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None
    inbound_id: Derived | None = None


class CountStock(StockCommand):
    """Record a count of one bin, lot and condition. The variance is recorded as it is, even if it breaks promises."""

    count_id: Identifier
    quantity: UnitsOrZero
    bin: BinName = ""
    lot: LotName = ""
    condition: Condition = "sellable"
    serials: Serials = ()
    """The serial numbers that were found, if units carry such numbers."""


class AdjustStock(StockCommand):
    """Correct the units on hand by a number, up or down, with the reason. Nothing in history changes."""

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
    """The condition from now on."""
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
    """Write units off that were destroyed, lost or given away, with the reason."""

    write_off_id: Identifier
    quantity: Units
    condition: Condition = "damaged"
    bin: BinName = ""
    lot: LotName = ""
    reason: Text
    serials: Serials = ()


class RestockReturn(StockCommand, SystemCommand):
    """Put returned units back on the shelf, or aside. `return_id` is new for each lot of units that came back."""

    return_id: Identifier
    quantity: Units
    condition: Condition = "sellable"
    bin: BinName = ""
    lot: LotName = ""
    lot_expires_at: Moment | None = None
    serials: Serials = ()


class StockReceived(PlacedEvent):
    """Units were received.

    `outstanding`: the units still to come of their inbound, and of the request that it answers.
    """

    receipt_id: str
    lot_expires_at: Moment | None = None
    inbound_id: str | None = None
    request_id: str | None = None
    outstanding: int = 0


class StockReturned(PlacedEvent):
    return_id: str
    lot_expires_at: Moment | None = None


class StockCounted(PlacedEvent):
    """`quantity` units were counted where `expected` were recorded. `serials`: the numbers that were not found."""

    count_id: str
    expected: int

    @property
    def variance(self) -> int:
        return self.quantity - self.expected


class StockAdjusted(PlacedEvent):
    """The units on hand were corrected by `quantity`, up or down."""

    adjustment_id: str
    reason: str


class StockConditionChanged(PlacedEvent):
    """Units changed their condition from `was` to `condition`."""

    change_id: str
    was: Condition
    reason: str = ""
    lot_expires_at: Moment | None = None


class StockWrittenOff(PlacedEvent):
    write_off_id: str
    reason: str
