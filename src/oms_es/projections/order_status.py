"""Order status: one row per order, where it stands now.

`phase` is the order's own, but says "backordered", not "allocating", as long as `backordered` units lack stock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Table, Text

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import order as o

table = Table(
    "order_status",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("backordered", BigInteger, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("shipments", Integer, nullable=False),
    Column("dispatched", Integer, nullable=False),
    Column("delivered", Integer, nullable=False),
    Column("conflicts", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Index("order_status_by_external_id", "channel", "external_id"),
    Index("order_status_by_phase", "phase"),
)
projection = Projection(table)
PHASES: dict[type[Event], o.Phase] = {
    o.OrderSourced: "allocating",
    o.OrderBackordered: "backordered",
    o.OrderSourcingRequested: "sourcing",
    o.OrderAllocated: "awaiting_payment",
    o.OrderReleased: "fulfilling",
    o.OrderShipped: "shipped",
    o.OrderCompleted: "completed",
    o.OrderCancellationRequested: "cancelling",
    o.OrderCancelled: "cancelled",
}


def of_the_order(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, o.OrderEvent)
    return ((event.order_id,),)


@projection.on(o.OrderPlaced, keys=of_the_order)
def placed(_: Row | None, recorded: Recorded, __: Key) -> Row:
    event = recorded.event
    assert isinstance(event, o.OrderPlaced)
    return {
        "order_id": event.order_id,
        "channel": event.channel,
        "external_id": event.external_id,
        "phase": "sourcing",
        "currency": event.currency,
        "total_minor": event.total_minor,
        "lines": len(event.lines),
        "units": sum(line.quantity for line in event.lines),
        "backordered": 0,
        "placed_at": event.placed_at,
        "changed_at": recorded.recorded_at,
        "shipments": 0,
        "dispatched": 0,
        "delivered": 0,
        "conflicts": 0,
        "reason": "",
    }


@projection.on(*PHASES, keys=of_the_order)
def moved_on(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    if row is None:
        return None
    event: Any = recorded.event
    more: dict[str, Any] = {"phase": PHASES[type(event)]}
    match event:
        case o.OrderSourced() if row["backordered"]:
            more["phase"] = "backordered"
        case o.OrderBackordered(demand=demand):
            more["backordered"] = row["backordered"] + sum(demand.values())
        case o.OrderSourcingRequested(short=None):
            more["backordered"] = 0
        case o.OrderReleased(shipments=plans):
            more["shipments"] = len(plans)
        case o.OrderCancellationRequested(reason=reason):
            more["reason"] = reason
        case o.OrderCancelled(reason=reason):
            more |= {"reason": reason, "backordered": 0}
    return _changed(row, recorded, **more)


@projection.on(o.OrderShipmentDispatched, keys=of_the_order)
def dispatched(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    return _changed(row, recorded, dispatched=row["dispatched"] + 1) if row else None


@projection.on(o.OrderShipmentDelivered, keys=of_the_order)
def delivered(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    return _changed(row, recorded, delivered=row["delivered"] + 1) if row else None


@projection.on(o.DuplicateConflictFound, keys=of_the_order)
def told_differently(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    return _changed(row, recorded, conflicts=row["conflicts"] + 1) if row else None


@projection.on(o.OrderCancellationRefused, keys=of_the_order)
def could_not_be_stopped(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    return _changed(row, recorded, phase="fulfilling" if row and row["phase"] == "cancelling" else None)


def _changed(row: Row | None, recorded: Recorded, **changes: Any) -> Row | None:
    if row is None:
        return None
    told = {name: value for name, value in changes.items() if value is not None}
    return {**row, **told, "changed_at": recorded.recorded_at}
