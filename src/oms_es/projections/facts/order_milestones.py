"""Order milestones: one row per order, with the time of each step and the order's amounts.

`placed_at` is the channel's time and `accepted_at` ours. `gross_minor` and `units` follow amendments and include
cancelled parts, which have columns of their own; an order that was merged into another keeps only what was cancelled of
it before. `credit_minor` is the worth of the goods that it is sent in exchange for: it pays at most what is left of the
order. `shipping_minor`, `tax_minor` and `discount_minor` are as its content stated them last, whatever happened to the
order. `lines_version` is the version of the event that last stated the order's lines: rows of `order_lines` with
another `said_version` are not in the order any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Table, Text

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import order as o

STEPS = (
    *("backordered_at", "allocated_at", "released_at", "first_dispatched_at", "shipped_at"),
    *("first_delivered_at", "last_delivered_at", "completed_at", "cancelled_at", "merged_at"),
)
COUNTS = ("units", "cancelled_units", "gross_minor", "cancelled_minor", "credit_minor")
STATED = ("shipping_minor", "tax_minor", "discount_minor")
table = Table(
    "order_milestones",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("delivery_option", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
    *(Column(name, DateTime(timezone=True)) for name in STEPS),
    Column("parcels", Integer, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in (*COUNTS, *STATED)),
    Column("lines_version", BigInteger, nullable=False),
    Index("order_milestones_by_placed", "placed_at", "order_id"),
)
projection = Projection(table, version=2, fed_by=("order-{order_id}",))
FIRST: dict[type[Event], str] = {
    o.OrderBackordered: "backordered_at",
    o.OrderAllocated: "allocated_at",
    o.OrderReleased: "released_at",
    o.OrderShipmentDispatched: "first_dispatched_at",
    o.OrderShipped: "shipped_at",
    o.OrderCompleted: "completed_at",
    o.OrderCancelled: "cancelled_at",
    o.OrderMergedInto: "merged_at",
}
"""For each event the step that it reaches, if it is the first such event."""


def key_of_order(event: o.OrderEvent) -> Iterable[Key]:
    return ((event.order_id,),)


@projection.on(o.OrderPlaced, keys=key_of_order)
def on_order_placed(_row: Row | None, event: o.OrderPlaced, recorded: Recorded, _key: Key) -> Row:
    return {
        "order_id": event.order_id,
        "channel": event.channel,
        "currency": event.currency,
        "kind": event.kind,
        "delivery_option": event.delivery_option,
        "country": event.ship_to.country,
        "region": event.ship_to.region,
        "placed_at": event.placed_at,
        "accepted_at": recorded.recorded_at,
        **dict.fromkeys(STEPS),
        "parcels": 0,
        "units": sum(line.quantity for line in event.lines),
        "cancelled_units": 0,
        "gross_minor": event.total_minor,
        "cancelled_minor": 0,
        "credit_minor": event.credit_minor,
        **{name: getattr(event, name) for name in STATED},
        "lines_version": recorded.version,
    }


@projection.on(*FIRST, keys=key_of_order)
def on_step_reached(row: Row | None, event: Event, recorded: Recorded, _key: Key) -> Row | None:
    if row is None:
        return None
    step = FIRST[type(event)]
    changes: dict[str, Any] = {step: row[step] or recorded.recorded_at}
    match event:
        case o.OrderReleased(shipments=plans):
            changes["parcels"] = row["parcels"] or len(plans)
        case o.OrderCancelled():
            changes |= _more(row, cancelled_units=event.units, cancelled_minor=event.total_minor)
        case o.OrderMergedInto():
            changes |= _more(row, units=-event.units, gross_minor=-event.total_minor)
    return {**row, **changes}


@projection.on(o.OrderShipmentDelivered, keys=key_of_order)
def on_order_shipment_delivered(
    row: Row | None, event: o.OrderShipmentDelivered, recorded: Recorded, _key: Key
) -> Row | None:
    if row is None:
        return None
    at = event.delivered_at or recorded.recorded_at
    first, last = row["first_delivered_at"], row["last_delivered_at"]
    return {**row, "first_delivered_at": min(first or at, at), "last_delivered_at": max(last or at, at)}


@projection.on(o.OrderAmended, o.OrderLinesCancelled, o.OrderSplit, o.OrderFulfilledElsewhere, keys=key_of_order)
def on_content_changed(
    row: Row | None,
    event: o.OrderAmended | o.OrderLinesCancelled | o.OrderSplit | o.OrderFulfilledElsewhere,
    recorded: Recorded,
    _key: Key,
) -> Row | None:
    """Follow a change of the order's content. Units that others shipped were sold, too, so they stay counted."""
    if row is None:
        return None
    changes: dict[str, Any] = {} if event.lines is None else {"lines_version": recorded.version}
    if event.ship_to is not None:
        changes |= {"country": event.ship_to.country, "region": event.ship_to.region}
    if event.delivery_option is not None:
        changes["delivery_option"] = event.delivery_option
    changes |= {name: stated for name in STATED if (stated := getattr(event, name)) is not None}
    match event:
        case o.OrderLinesCancelled():
            changes |= _more(row, cancelled_units=-event.more_units, cancelled_minor=-event.more_minor)
        case o.OrderAmended() | o.OrderSplit():
            changes |= _more(row, units=event.more_units, gross_minor=event.more_minor)
    return {**row, **changes}


def _more(row: Row, **counts: int) -> dict[str, int]:
    return {name: row[name] + n for name, n in counts.items()}
