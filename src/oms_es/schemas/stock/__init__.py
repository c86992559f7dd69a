"""The commands and events of the stock of one SKU at one location.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
Imports: `schemas.values`.
"""

from __future__ import annotations

from oms_es.schemas.stock.base import SERIALS_MAX as SERIALS_MAX
from oms_es.schemas.stock.base import BinName as BinName
from oms_es.schemas.stock.base import ChannelName as ChannelName
from oms_es.schemas.stock.base import Condition as Condition
from oms_es.schemas.stock.base import LotName as LotName
from oms_es.schemas.stock.base import PlacedEvent as PlacedEvent
from oms_es.schemas.stock.base import Serials as Serials
from oms_es.schemas.stock.base import StockCommand as StockCommand
from oms_es.schemas.stock.base import StockEvent as StockEvent
from oms_es.schemas.stock.base import UnitsOrZero as UnitsOrZero
from oms_es.schemas.stock.base import lot_over_at as lot_over_at
from oms_es.schemas.stock.levels import AdjustStock as AdjustStock
from oms_es.schemas.stock.levels import AdmitSerials as AdmitSerials
from oms_es.schemas.stock.levels import ChangeCondition as ChangeCondition
from oms_es.schemas.stock.levels import CountStock as CountStock
from oms_es.schemas.stock.levels import ExpireLot as ExpireLot
from oms_es.schemas.stock.levels import ReceiveStock as ReceiveStock
from oms_es.schemas.stock.levels import RestockReturn as RestockReturn
from oms_es.schemas.stock.levels import StockAdjusted as StockAdjusted
from oms_es.schemas.stock.levels import StockConditionChanged as StockConditionChanged
from oms_es.schemas.stock.levels import StockCounted as StockCounted
from oms_es.schemas.stock.levels import StockReceived as StockReceived
from oms_es.schemas.stock.levels import StockReturned as StockReturned
from oms_es.schemas.stock.levels import StockWrittenOff as StockWrittenOff
from oms_es.schemas.stock.levels import WriteOffStock as WriteOffStock
from oms_es.schemas.stock.limits import ChannelShareSet as ChannelShareSet
from oms_es.schemas.stock.limits import PresaleLimitSet as PresaleLimitSet
from oms_es.schemas.stock.limits import ReorderPointSet as ReorderPointSet
from oms_es.schemas.stock.limits import ReplenishmentRequested as ReplenishmentRequested
from oms_es.schemas.stock.limits import RequestReplenishment as RequestReplenishment
from oms_es.schemas.stock.limits import SafetyStockSet as SafetyStockSet
from oms_es.schemas.stock.limits import SetChannelShare as SetChannelShare
from oms_es.schemas.stock.limits import SetPresaleLimit as SetPresaleLimit
from oms_es.schemas.stock.limits import SetReorderPoint as SetReorderPoint
from oms_es.schemas.stock.limits import SetSafetyStock as SetSafetyStock
from oms_es.schemas.stock.limits import StockRanLow as StockRanLow
from oms_es.schemas.stock.movements import AdmitMove as AdmitMove
from oms_es.schemas.stock.movements import CancelInbound as CancelInbound
from oms_es.schemas.stock.movements import ExpectInbound as ExpectInbound
from oms_es.schemas.stock.movements import MoveStock as MoveStock
from oms_es.schemas.stock.movements import MoveToBin as MoveToBin
from oms_es.schemas.stock.movements import ReceiveInbound as ReceiveInbound
from oms_es.schemas.stock.movements import StockInboundCancelled as StockInboundCancelled
from oms_es.schemas.stock.movements import StockInboundExpected as StockInboundExpected
from oms_es.schemas.stock.movements import StockMovedIn as StockMovedIn
from oms_es.schemas.stock.movements import StockMovedOut as StockMovedOut
from oms_es.schemas.stock.movements import StockMovedToBin as StockMovedToBin
from oms_es.schemas.stock.reservations import CoverPresales as CoverPresales
from oms_es.schemas.stock.reservations import ExpireReservation as ExpireReservation
from oms_es.schemas.stock.reservations import Pick as Pick
from oms_es.schemas.stock.reservations import ReleaseStock as ReleaseStock
from oms_es.schemas.stock.reservations import ReservationEvent as ReservationEvent
from oms_es.schemas.stock.reservations import ReserveStock as ReserveStock
from oms_es.schemas.stock.reservations import ShipStock as ShipStock
from oms_es.schemas.stock.reservations import StockBrokenPromiseSettled as StockBrokenPromiseSettled
from oms_es.schemas.stock.reservations import StockPresaleCovered as StockPresaleCovered
from oms_es.schemas.stock.reservations import StockReleased as StockReleased
from oms_es.schemas.stock.reservations import StockReservationBroken as StockReservationBroken
from oms_es.schemas.stock.reservations import StockReservationExpired as StockReservationExpired
from oms_es.schemas.stock.reservations import StockReservationTransferred as StockReservationTransferred
from oms_es.schemas.stock.reservations import StockReserved as StockReserved
from oms_es.schemas.stock.reservations import StockShipped as StockShipped
from oms_es.schemas.stock.reservations import StockShort as StockShort
from oms_es.schemas.stock.reservations import TransferReservation as TransferReservation
