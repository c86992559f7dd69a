"""Stock of one SKU at one location.

Invariants, at every version: reserved <= sellable on hand; units sold before they exist <= the presale limit at the
time of the promise; a promise never uses the safety stock, nor what presales wait for; a reservation ends once, by
being released, shipped, expired or broken; units that came in are on hand or have left; a serial number names one unit.
The stream is the lock: of all commands that race for the last unit, only one append finds its version free.

  state.py      evolve             reservations.py  reserve, cover, break, ship
  quantities.py Stock              movements.py     receive, count, move, put aside, expect
  snapshot.py   dump, restore
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from oms_es.aggregates.stock import movements
from oms_es.aggregates.stock import reservations as promises
from oms_es.aggregates.stock.quantities import NO_SHARE, Reservation, Share, Stock
from oms_es.aggregates.stock.snapshot import VERSION, dump, restore
from oms_es.aggregates.stock.state import EVOLUTIONS, evolve
from oms_es.kernel import Decider, Refused
from oms_es.schemas import stock as s
from oms_es.schemas.stock.refusals import StockRefusal
from oms_es.schemas.values.types import UNITS_MAX

__all__ = ["Reservation", "Stock", "decide", "decider", "dump", "evolve", "restore"]

CHANNELS_MAX = 100
"""How many channels may have a share of their own at one stream."""


def decide(stock: Stock, command: s.StockCommand) -> Iterable[s.StockEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    decided: Iterator[s.StockEvent] = DECISIONS[type(command)](stock, command)
    if stock.presold or stock.policy.reorder_point or _begins_to_watch(command):
        return _with_what_follows(stock, command, decided)
    return decided


def _begins_to_watch(command: s.StockCommand) -> bool:
    return command.presale if isinstance(command, s.ReserveStock) else isinstance(command, s.SetReorderPoint)


def _with_what_follows(
    stock: Stock, command: s.StockCommand, decided: Iterator[s.StockEvent]
) -> Iterator[s.StockEvent]:
    """Yield the decided events, then cover the presales that can be covered now, and record stock that ran low."""
    after = stock
    for event in decided:
        yield event
        after = evolve(after, event)
    if after is stock and not isinstance(command, s.CoverPresales):
        return
    for covered in promises.cover(after, command):
        yield covered
        after = evolve(after, covered)
    point, available = after.policy.reorder_point, after.supplied
    if point and available <= point and not after.supply.low:
        yield s.StockRanLow(
            sku=command.sku,
            location=command.location,
            quantity=min(max(after.policy.up_to - available, 1), UNITS_MAX),
            available=available,
            reorder_point=point,
            occasion=after.supply.occasions + 1,
        )


def _set_safety(stock: Stock, command: s.SetSafetyStock) -> Iterator[s.StockEvent]:
    if command.quantity != stock.policy.safety_stock:
        yield s.SafetyStockSet(**command.model_dump())


def _set_presale(stock: Stock, command: s.SetPresaleLimit) -> Iterator[s.StockEvent]:
    if command.quantity != stock.policy.presale_limit:
        yield s.PresaleLimitSet(**command.model_dump())


def _set_share(stock: Stock, command: s.SetChannelShare) -> Iterator[s.StockEvent]:
    share, shares = Share(command.share_percent, command.buffer_units), stock.policy.shares
    if share != NO_SHARE and command.channel not in shares and len(shares) >= CHANNELS_MAX:
        raise Refused(
            StockRefusal.TOO_MANY_CHANNELS,
            f"{CHANNELS_MAX} channels have a share already; end one by setting share_percent 100 and buffer_units 0",
        )
    if share != shares.get(command.channel, NO_SHARE):
        yield s.ChannelShareSet(
            sku=command.sku,
            location=command.location,
            channel=command.channel,
            share_percent=share.share_percent,
            quantity=share.buffer_units,
        )


def _set_reorder_point(stock: Stock, command: s.SetReorderPoint) -> Iterator[s.StockEvent]:
    if (command.quantity, command.up_to) != (stock.policy.reorder_point, stock.policy.up_to):
        yield s.ReorderPointSet(**command.model_dump())


def _request(stock: Stock, command: s.RequestReplenishment) -> Iterator[s.StockEvent]:
    if not stock.movements.knows(f"request/{command.request_id}"):
        yield s.ReplenishmentRequested(**command.model_dump())


def _cover(*_: Any) -> Iterator[s.StockEvent]:
    """Decide nothing by itself: `decide` covers the presales after every command."""
    yield from ()


DECISIONS: dict[type[s.StockCommand], Any] = {
    s.ReserveStock: promises.reserve,
    s.ReleaseStock: promises.release,
    s.TransferReservation: promises.transfer,
    s.ExpireReservation: promises.expire,
    s.ShipStock: promises.ship,
    s.CoverPresales: _cover,
    s.ReceiveStock: movements.receive,
    s.AdmitSerials: movements.admit_serials,
    s.RestockReturn: movements.restock,
    s.CountStock: movements.count,
    s.AdjustStock: movements.adjust,
    s.ChangeCondition: movements.change_condition,
    s.ExpireLot: movements.expire_lot,
    s.WriteOffStock: movements.write_off,
    s.MoveToBin: movements.move_to_bin,
    s.MoveStock: movements.move,
    s.AdmitMove: movements.admit_move,
    s.ExpectInbound: movements.expect_inbound,
    s.ReceiveInbound: movements.receive_inbound,
    s.CancelInbound: movements.cancel_inbound,
    s.SetSafetyStock: _set_safety,
    s.SetPresaleLimit: _set_presale,
    s.SetChannelShare: _set_share,
    s.SetReorderPoint: _set_reorder_point,
    s.RequestReplenishment: _request,
}

decider = Decider(
    "stock",
    Stock(),
    evolve,
    decide,
    accepts=tuple(DECISIONS),
    emits=tuple(EVOLUTIONS),
    dump=dump,
    restore=restore,
    snapshot_version=VERSION,
)
