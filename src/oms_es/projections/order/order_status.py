"""Order status: one row per order with its current phase and counts.

`phase` is the order's own, except that it is "backordered" instead of "allocating" as long as `backordered` units lack
stock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Integer, Table, Text, text

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import order as o

FINAL = "phase IN ({})".format(", ".join(f"'{phase}'" for phase in sorted(o.FINAL_PHASES)))
"""The condition of the index of orders that have ended; a query that is to use it repeats it as it is."""
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
    Index("order_status_by_ended", "changed_at", "order_id", postgresql_where=text(FINAL)),
)
projection = Projection(table, version=2, fed_by=("order-{order_id}",))
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


def key_of_order(event: o.OrderEvent) -> Iterable[Key]:
    return ((event.order_id,),)


@projection.on(o.OrderPlaced, keys=key_of_order)
def on_order_placed(_row: Row | None, event: o.OrderPlaced, recorded: Recorded, _key: Key) -> Row:
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


@projection.on(*PHASES, keys=key_of_order)
def on_phase_changed(row: Row | None, event: Any, recorded: Recorded, _key: Key) -> Row | None:
    if row is None:
        return None
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
        case o.OrderShipped():
            more["holds"] = []
        case o.OrderCancellationRequested(reason=reason):
            more["reason"] = reason
        case o.OrderMergedInto(to_order_id=merged):
            more |= {"reason": f"part of {merged} now", "backordered": 0, "promised_at": NEVER, "holds": []}
        case o.OrderCancelled(reason=reason):
            more |= {"reason": reason, "backordered": 0, "promised_at": NEVER}
    return _changed(row, recorded, **more)


@projection.on(o.OrderShipmentDispatched, keys=key_of_order)
def on_order_shipment_dispatched(
    row: Row | None, _event: o.OrderShipmentDispatched, recorded: Recorded, _key: Key
) -> Row | None:
    return _changed(row, recorded, dispatched=row["dispatched"] + 1) if row else None


@projection.on(o.OrderShipmentDelivered, keys=key_of_order)
def on_order_shipment_delivered(
    row: Row | None, _event: o.OrderShipmentDelivered, recorded: Recorded, _key: Key
) -> Row | None:
    return _changed(row, recorded, delivered=row["delivered"] + 1) if row else None


@projection.on(o.DuplicateConflictFound, keys=key_of_order)
def on_duplicate_conflict_found(
    row: Row | None, _event: o.DuplicateConflictFound, recorded: Recorded, _key: Key
) -> Row | None:
    return _changed(row, recorded, conflicts=row["conflicts"] + 1) if row else None


@projection.on(o.OrderCancellationRefused, keys=key_of_order)
def on_order_cancellation_refused(
    row: Row | None, _event: o.OrderCancellationRefused, recorded: Recorded, _key: Key
) -> Row | None:
    return _changed(row, recorded, phase="fulfilling" if row and row["phase"] == "cancelling" else None)


@projection.on(o.OrderAmended, o.OrderFulfilledElsewhere, o.OrderLinesCancelled, o.OrderSplit, keys=key_of_order)
def on_content_changed(
    row: Row | None,
    event: o.OrderAmended | o.OrderFulfilledElsewhere | o.OrderLinesCancelled | o.OrderSplit,
    recorded: Recorded,
    _key: Key,
) -> Row | None:
    if row is None:
        return None
    backordered = row["backordered"] - sum(event.no_longer_backordered.values())
    changes = {"total_minor": event.total_minor, "units": event.units, "backordered": backordered}
    return _changed(row, recorded, lines=None if event.lines is None else len(event.lines), **changes)


@projection.on(o.OrderPaymentSecured, keys=key_of_order)
def on_order_payment_secured(
    row: Row | None, event: o.OrderPaymentSecured, recorded: Recorded, _key: Key
) -> Row | None:
    paid = row and row["phase"] == "awaiting_payment" and row["holds"] and not event.open_minor
    return _changed(row, recorded, phase="held" if paid else None)


@projection.on(o.OrderPaymentDeferred, keys=key_of_order)
def on_order_payment_deferred(
    row: Row | None, _event: o.OrderPaymentDeferred, recorded: Recorded, _key: Key
) -> Row | None:
    return _changed(row, recorded, phase="awaiting_payment" if row and row["phase"] == "held" else None)


@projection.on(o.OrderPresaleCovered, keys=key_of_order)
def on_order_presale_covered(
    row: Row | None, event: o.OrderPresaleCovered, recorded: Recorded, _key: Key
) -> Row | None:
    return _changed(row, recorded, phase=event.phase)


@projection.on(o.OrderHeld, keys=key_of_order)
def on_order_held(row: Row | None, event: o.OrderHeld, recorded: Recorded, _key: Key) -> Row | None:
    return _changed(row, recorded, holds=sorted({*row["holds"], event.kind})) if row else None


@projection.on(o.OrderHoldReleased, keys=key_of_order)
def on_order_hold_released(row: Row | None, event: o.OrderHoldReleased, recorded: Recorded, _key: Key) -> Row | None:
    return _changed(row, recorded, holds=[kind for kind in row["holds"] if kind != event.kind]) if row else None


@projection.on(o.OrderShipmentPlanned, keys=key_of_order)
def on_order_shipment_planned(
    row: Row | None, event: o.OrderShipmentPlanned, recorded: Recorded, _key: Key
) -> Row | None:
    """Count a planned parcel; a held one is counted when it is planned again without the hold."""
    return _changed(row, recorded, shipments=row["shipments"] + (0 if event.held else 1)) if row else None


@projection.on(o.OrderRefundRequested, keys=key_of_order)
def on_order_refund_requested(
    row: Row | None, event: o.OrderRefundRequested, recorded: Recorded, _key: Key
) -> Row | None:
    return _changed(row, recorded, refunded_minor=row["refunded_minor"] + event.amount_minor) if row else None


@projection.on(o.OrderMoneyGone, o.OrderMoneyBack, keys=key_of_order)
def on_order_money_gone_or_back(
    row: Row | None, event: o.OrderMoneyGone | o.OrderMoneyBack, recorded: Recorded, _key: Key
) -> Row | None:
    if row is None or event.why != "refunded" or event.of_credit:
        return row  # a refund of an exchange's credit is counted at the order that paid it
    more = event.amount_minor if isinstance(event, o.OrderMoneyGone) else -event.amount_minor
    return _changed(row, recorded, refunded_minor=row["refunded_minor"] + more)


NEVER: Any = object()


def _changed(row: Row | None, recorded: Recorded, **changes: Any) -> Row | None:
    if row is None:
        return None
    changed = {name: None if value is NEVER else value for name, value in changes.items() if value is not None}
    return {**row, **changed, "changed_at": recorded.recorded_at}
