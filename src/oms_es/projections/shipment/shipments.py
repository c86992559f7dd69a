"""Shipments: one row per parcel, with its status, carrier and tracking number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import shipment as sh

table = Table(
    "shipments",
    METADATA,
    Column("shipment_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("carrier", Text, nullable=False),
    Column("tracking_number", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("dispatched_at", DateTime(timezone=True)),
    Column("delivered_at", DateTime(timezone=True)),
    Index("shipments_by_time", "requested_at", "shipment_id"),
    Index("shipments_by_status", "status", "requested_at", "shipment_id"),
    Index("shipments_by_order", "order_id"),
)
"""`dispatched_at` and `delivered_at` are the carrier's times."""
projection = Projection(table, version=2, fed_by=("shipment-{shipment_id}",))

BEFORE_IT_LEAVES: dict[type[Event], str] = {
    sh.ShipmentPacked: "packed",
    sh.ShipmentBookingRequested: "booking",
    sh.ShipmentBookingDeferred: "to_be_booked",
    sh.ShipmentBookingFailed: "to_be_booked",
    sh.ShipmentBooked: "booked",
    sh.ShipmentBookingCancellationRequested: "cancelling",
    sh.ShipmentBookingCancellationRefused: "booked",
    sh.ShipmentBookingCancelled: "to_be_booked",
}
"""Statuses before the parcel leaves. If such an event arrives after the departure, it changes carrier and tracking
number only."""
ONWARDS: dict[type[Event], str] = {
    sh.ShipmentDispatched: "dispatched",
    sh.ShipmentPartlyDelivered: "partly_delivered",
    sh.ShipmentDelivered: "delivered",
    sh.ShipmentReturnedToSender: "returned",
    sh.ShipmentLost: "lost",
    sh.ShipmentCancelled: "cancelled",
}
STATUSES = ("requested", *dict.fromkeys((*BEFORE_IT_LEAVES.values(), *ONWARDS.values())))


def key_of_shipment(event: sh.ShipmentEvent) -> Iterable[Key]:
    return ((event.shipment_id,),)


@projection.on(sh.ShipmentRequested, keys=key_of_shipment)
def on_shipment_requested(_row: Row | None, event: sh.ShipmentRequested, recorded: Recorded, key: Key) -> Row:
    return {
        "shipment_id": key[0],
        "order_id": event.order_id,
        "location": event.location,
        "status": "requested",
        "units": sum(item.quantity for item in event.items),
        "carrier": "",
        "tracking_number": "",
        "requested_at": recorded.recorded_at,
        "changed_at": recorded.recorded_at,
        "dispatched_at": None,
        "delivered_at": None,
    }


@projection.on(*BEFORE_IT_LEAVES, *ONWARDS, keys=key_of_shipment)
def on_shipment_moved_on(row: Row | None, event: Event, recorded: Recorded, _key: Key) -> Row | None:
    if row is None:
        return None
    kind = type(event)
    changes: dict[str, Any] = {"changed_at": recorded.recorded_at}
    if kind in ONWARDS:
        changes["status"] = ONWARDS[kind]
    elif row["status"] not in ONWARDS.values():
        changes["status"] = BEFORE_IT_LEAVES[kind]
    match event:
        case sh.ShipmentBooked(carrier=carrier, tracking_number=number):
            changes |= {"carrier": carrier, "tracking_number": number}
        case sh.ShipmentBookingCancelled():
            changes |= {"carrier": "", "tracking_number": ""}
        case sh.ShipmentDispatched(dispatched_at=at):
            changes["dispatched_at"] = at
        case sh.ShipmentDelivered(delivered_at=at):
            changes["delivered_at"] = at
    return {**row, **changes}
