"""Order status: one row per order, where it stands now.

`phase` is the order's own, but says "backordered", not "allocating", as long as `backordered` units lack stock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Integer, Table, Text

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
    Column("kind", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("holds", ARRAY(Text), nullable=False),
    Column("promised_at", DateTime(timezone=True)),
    Column("refunded_minor", BigInteger, nullable=False),
    Index("order_status_by_external", "external_id"),
    Index("order_status_by_phase_placed", "phase", "placed_at", "order_id"),
    Index("order_status_by_channel_phase_placed", "channel", "phase", "placed_at", "order_id"),
)
projection = Projection(table, version=2)
PHASES: dict[type[Event], o.Phase] = {
    o.OrderSourced: "allocating",
    o.OrderBackordered: "backordered",
    o.OrderSourcingRequested: "sourcing",
    o.OrderAllocated: "awaiting_payment",
    o.OrderPresold: "awaiting_stock",
    o.OrderBalanceDue: "awaiting_payment",
    o.OrderReleased: "fulfilling",
    o.OrderShipped: "shipped",
    o.OrderCompleted: "completed",
    o.OrderCancellationRequested: "cancelling",
    o.OrderCancelled: "cancelled",
    o.OrderMergedInto: "merged",
    o.OrderJoined: "allocating",
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
        "kind": event.kind,
        "priority": event.priority,
        "holds": [],
        "promised_at": None,
        "refunded_minor": 0,
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
        case o.OrderBackordered(demand=demand, promised_at=promised_at):
            more["backordered"] = row["backordered"] + sum(demand.values())
            more["promised_at"] = max(filter(None, (row["promised_at"], promised_at)), default=None)
        case o.OrderSourcingRequested(short=None):
            more["backordered"] = 0
        case o.OrderAllocated(amount_minor=0) if row["holds"]:
            more["phase"] = "held"
        case o.OrderReleased(shipments=plans):
            more |= {"shipments": len(plans), "promised_at": NEVER, "holds": []}
        case o.OrderCancellationRequested(reason=reason):
            more["reason"] = reason
        case o.OrderMergedInto(to_order_id=merged):
            more |= {"reason": f"part of {merged} now", "backordered": 0, "promised_at": NEVER, "holds": []}
        case o.OrderCancelled(reason=reason):
            more |= {"reason": reason, "backordered": 0, "promised_at": NEVER}
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


@projection.on(o.OrderAmended, o.OrderFulfilledElsewhere, o.OrderLinesCancelled, o.OrderSplit, keys=of_the_order)
def became(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderAmended | o.OrderFulfilledElsewhere | o.OrderLinesCancelled | o.OrderSplit)
    if row is None:
        return None
    backordered = row["backordered"] - sum(event.no_longer_backordered.values())
    changes = {"total_minor": event.total_minor, "units": event.units, "backordered": backordered}
    return _changed(row, recorded, lines=None if event.lines is None else len(event.lines), **changes)


@projection.on(o.OrderPaymentSecured, keys=of_the_order)
def is_paid(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderPaymentSecured)
    paid = row and row["phase"] == "awaiting_payment" and row["holds"] and not event.open_minor
    return _changed(row, recorded, phase="held" if paid else None)


@projection.on(o.OrderPaymentDeferred, keys=of_the_order)
def is_no_longer_paid(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    return _changed(row, recorded, phase="awaiting_payment" if row and row["phase"] == "held" else None)


@projection.on(o.OrderPresaleCovered, keys=of_the_order)
def has_come(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderPresaleCovered)
    return _changed(row, recorded, phase=event.phase)


@projection.on(o.OrderHeld, keys=of_the_order)
def held(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderHeld)
    return _changed(row, recorded, holds=sorted({*row["holds"], event.kind})) if row else None


@projection.on(o.OrderHoldReleased, keys=of_the_order)
def no_longer_held(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderHoldReleased)
    return _changed(row, recorded, holds=[kind for kind in row["holds"] if kind != event.kind]) if row else None


@projection.on(o.OrderShipmentPlanned, keys=of_the_order)
def planned_anew(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    return _changed(row, recorded, shipments=row["shipments"] + 1) if row else None


@projection.on(o.OrderRefundRequested, keys=of_the_order)
def refunded(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderRefundRequested)
    return _changed(row, recorded, refunded_minor=row["refunded_minor"] + event.amount_minor) if row else None


@projection.on(o.OrderMoneyGone, o.OrderMoneyBack, keys=of_the_order)
def refunded_by_the_provider(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderMoneyGone | o.OrderMoneyBack)
    if row is None or event.why != "refunded":
        return row
    more = event.amount_minor if isinstance(event, o.OrderMoneyGone) else -event.amount_minor
    return _changed(row, recorded, refunded_minor=row["refunded_minor"] + more)


NEVER: Any = object()


def _changed(row: Row | None, recorded: Recorded, **changes: Any) -> Row | None:
    if row is None:
        return None
    told = {name: None if value is NEVER else value for name, value in changes.items() if value is not None}
    return {**row, **told, "changed_at": recorded.recorded_at}
