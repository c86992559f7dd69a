"""Limits of what may be promised: safety stock, presales, shares of channels, reorder points."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from oms_es.kernel import SystemCommand
from oms_es.schemas.stock.base import ChannelName, StockCommand, StockEvent, UnitsOrZero
from oms_es.schemas.values.types import (
    Identifier,
    Units,
)


class SetSafetyStock(StockCommand):
    """Keep this many units back from promises; 0 promises everything on hand."""

    quantity: UnitsOrZero


class SetPresaleLimit(StockCommand):
    """Let so many units be sold before they exist; 0 ends the presale, and what was sold stays sold."""

    quantity: UnitsOrZero


class SetChannelShare(StockCommand):
    """Limit a channel to a share of the stock, and keep a buffer from it; 100 and 0 lift both."""

    channel: Annotated[ChannelName, StringConstraints(min_length=1)]
    share_percent: Annotated[int, Field(ge=0, le=100)] = 100
    buffer_units: UnitsOrZero = 0


class SetReorderPoint(StockCommand):
    """Ask for more when the units that can be promised and the inbound ones fall to `quantity`; 0 and 0 never ask."""

    quantity: UnitsOrZero
    up_to: UnitsOrZero
    """How many units there should be afterwards."""


class RequestReplenishment(StockCommand, SystemCommand):
    """Record that a buyer is to order more; `oms-es stock low` lists the requests."""

    request_id: Identifier
    quantity: Units


class SafetyStockSet(StockEvent):
    pass


class PresaleLimitSet(StockEvent):
    pass


class ChannelShareSet(StockEvent):
    """The share of a channel was set. `quantity` is the channel's buffer in units."""

    channel: str
    share_percent: int


class ReorderPointSet(StockEvent):
    up_to: int


class StockRanLow(StockEvent):
    """The units that can be promised and the inbound ones fell to the reorder point; `quantity` more are wanted."""

    available: int
    reorder_point: int
    occasion: int
    """A running number of such events of this stock."""


class ReplenishmentRequested(StockEvent):
    request_id: str
