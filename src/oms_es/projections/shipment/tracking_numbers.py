"""Tracking numbers: the parcel of each number, and since when it has the number: carriers use their numbers again."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, DateTime, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.shipment import ShipmentBooked

table = Table(
    "tracking_numbers",
    METADATA,
    Column("tracking_number", Text, primary_key=True),
    Column("carrier", Text, primary_key=True),
    Column("shipment_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
)
projection = Projection(table, version=2, insert_only=True, fed_by=("shipment-{shipment_id}",))


def key_of_booking(event: ShipmentBooked) -> Iterable[Key]:
    """Return the keys of the shipment's own number, and of each carton's number that differs."""
    numbers = dict.fromkeys((event.tracking_number, *event.carton_numbers.values()))
    return [(number, event.carrier.lower(), event.shipment_id) for number in numbers]


@projection.on(ShipmentBooked, keys=key_of_booking)
def on_shipment_booked(_row: Row | None, event: ShipmentBooked, recorded: Recorded, key: Key) -> Row:
    return {
        "tracking_number": key[0],
        "carrier": key[1],
        "shipment_id": event.shipment_id,
        "order_id": event.order_id,
        "since": event.booked_at or recorded.recorded_at,
    }
