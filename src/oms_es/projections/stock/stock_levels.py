"""Stock levels: the units on hand by location, and how many of them can still be promised.

ATP = on hand - damaged - quarantine - reserved - presold - safety stock. A channel with a share or a buffer has an ATP
of its own, in `channel_atp`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Event, Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import stock as s

COUNTS = (
    *("on_hand", "reserved", "safety_stock", "atp", "received", "shipped", "short"),
    *("damaged", "quarantine", "presale_limit", "presold", "presale_atp", "inbound", "reorder_point"),
    *("returned", "moved_in", "moved_out", "variance", "written_off", "broken"),
)
MAPS = ("inbounds", "channels", "reserved_by_channel", "channel_atp")

table = Table(
    "stock_levels",
    METADATA,
    Column("sku", Text, primary_key=True),
    Column("location", Text, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in COUNTS),
    Column("next_inbound_at", DateTime(timezone=True)),
    *(Column(name, JSONB, nullable=False) for name in MAPS),
    Index("stock_levels_by_location", "location", "sku"),
)
projection = Projection(table, version=2, fed_by=("stock-{sku}@{location}",))
NOTHING: dict[str, Any] = {**dict.fromkeys(COUNTS, 0), "next_inbound_at": None, **{name: {} for name in MAPS}}


def key_of_stock(event: s.StockEvent) -> Iterable[Key]:
    return ((event.sku, event.location),)


@projection.on(
    s.StockReserved,
    s.StockReleased,
    s.StockReservationExpired,
    s.StockReservationBroken,
    s.StockPresaleCovered,
    s.StockShort,
    keys=key_of_stock,
)
def on_promise_changed(row: Row | None, event: Any, key: Key) -> Row:
    level = _level(row, key)
    match event:
        case s.StockReserved(quantity=n, presale=True):
            level["presold"] += n
        case s.StockReserved(quantity=n):
            _reserve(level, event.channel, n)
        case s.StockPresaleCovered(quantity=n):
            level["presold"] -= n
            _reserve(level, event.channel, n)
        case s.StockShort(quantity=n):
            level["short"] += n
        case s.ReservationEvent(quantity=n, presale=True):
            level["presold"] -= n
        case s.ReservationEvent(quantity=n):
            _reserve(level, event.channel, -n)
    if isinstance(event, s.StockReservationBroken):
        level["broken"] += event.quantity
    return _promisable(level)


@projection.on(
    s.StockReceived,
    s.StockReturned,
    s.StockMovedIn,
    s.StockMovedOut,
    s.StockCounted,
    s.StockAdjusted,
    s.StockConditionChanged,
    s.StockWrittenOff,
    s.StockShipped,
    keys=key_of_stock,
)
def on_units_moved(row: Row | None, event: Any, key: Key) -> Row:
    level = _level(row, key)
    match event:
        case s.StockReceived(quantity=n):
            _put(level, event.condition, "received", n, n)
        case s.StockReturned(quantity=n):
            _put(level, event.condition, "returned", n, n)
        case s.StockMovedIn(quantity=n):
            _put(level, event.condition, "moved_in", n, n)
        case s.StockMovedOut(quantity=n):
            _put(level, event.condition, "moved_out", n, -n)
        case s.StockCounted():
            _put(level, event.condition, "variance", event.variance, event.variance)
        case s.StockAdjusted(quantity=n):
            _put(level, event.condition, "variance", n, n)
        case s.StockWrittenOff(quantity=n):
            _put(level, event.condition, "written_off", n, -n)
        case s.StockConditionChanged(quantity=n):
            _put(level, event.was, None, n, -n)
            _put(level, event.condition, None, n, n)
        case s.StockShipped(quantity=n):
            _put(level, "sellable", "shipped", n, -n)
            if not event.broken:
                _reserve(level, event.channel, -n)
    if arrived := getattr(event, "inbound_id", None):
        _arrive(level, arrived, event.quantity)
    return _promisable(level)


@projection.on(
    s.SafetyStockSet,
    s.PresaleLimitSet,
    s.ChannelShareSet,
    s.ReorderPointSet,
    s.StockInboundExpected,
    s.StockInboundCancelled,
    keys=key_of_stock,
)
def on_plan_changed(row: Row | None, event: Event, key: Key) -> Row:
    level = _level(row, key)
    match event:
        case s.SafetyStockSet(quantity=n):
            level["safety_stock"] = n
        case s.PresaleLimitSet(quantity=n):
            level["presale_limit"] = n
        case s.ReorderPointSet(quantity=n):
            level["reorder_point"] = n
        case s.ChannelShareSet(channel=channel, share_percent=percent, quantity=n):
            share = {"share_percent": percent, "buffer_units": n}
            others = {name: of for name, of in level["channels"].items() if name != channel}
            level["channels"] = others if (percent, n) == (100, 0) else {**others, channel: share}
        case s.StockInboundExpected(inbound_id=inbound_id, quantity=n, promised_at=promised_at):
            expected = {"quantity": n, "promised_at": to_jsonable_python(promised_at.astimezone(UTC))}
            _expect(level, {**level["inbounds"], inbound_id: expected})
        case s.StockInboundCancelled(inbound_id=inbound_id, quantity=n):
            _arrive(level, inbound_id, n)
    return _promisable(level)


def _level(row: Row | None, key: Key) -> dict[str, Any]:
    return dict(row) if row else {"sku": key[0], "location": key[1], **NOTHING}


def _reserve(level: dict[str, Any], channel: str, units: int) -> None:
    level["reserved"] += units
    if channel:
        there = {**level["reserved_by_channel"]}
        there[channel] = there.get(channel, 0) + units
        level["reserved_by_channel"] = {name: n for name, n in there.items() if n}


def _put(level: dict[str, Any], condition: str, counted: str | None, quantity: int, change: int) -> None:
    level["on_hand"] += change
    if condition != "sellable":
        level[condition] += change
    if counted:
        level[counted] += quantity


def _arrive(level: dict[str, Any], inbound_id: str, units: int) -> None:
    """Take arrived units from an inbound; more may come than were expected."""
    others = dict(level["inbounds"])
    if known := others.pop(inbound_id, None):
        left = max(known["quantity"] - units, 0)
        _expect(level, {**others, inbound_id: {**known, "quantity": left}} if left else others)


def _expect(level: dict[str, Any], inbounds: dict[str, Any]) -> None:
    level["inbounds"] = inbounds
    level["inbound"] = sum(one["quantity"] for one in inbounds.values())
    level["next_inbound_at"] = min(
        (datetime.fromisoformat(one["promised_at"]) for one in inbounds.values()), default=None
    )


def _promisable(level: dict[str, Any]) -> Row:
    """Set the columns that are computed from the other columns."""
    sellable = level["on_hand"] - level["damaged"] - level["quarantine"]
    level["atp"] = atp = sellable - level["reserved"] - level["presold"] - level["safety_stock"]
    level["presale_atp"] = max(level["presale_limit"] - level["presold"], atp, 0)
    if level["channels"] or level["channel_atp"]:
        for_channels = sellable - level["safety_stock"]
        level["channel_atp"] = {
            channel: min(
                atp - share["buffer_units"],
                for_channels * share["share_percent"] // 100 - level["reserved_by_channel"].get(channel, 0),
            )
            for channel, share in level["channels"].items()
        }
    return level
