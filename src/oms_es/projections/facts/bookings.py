"""Bookings: one row per parcel that a carrier was asked to fetch, with the quoted price and transit time in days.

If a parcel is booked again, the newest booking is kept. Without published rates there is no quote: `currency` is empty.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, DateTime, Integer, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.shipment import ShipmentBookingRequested

table = Table(
    "bookings",
    METADATA,
    Column("shipment_id", Text, primary_key=True),
    Column("carrier", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("delivery_option", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("quoted_minor", BigInteger, nullable=False),
    Column("transit_days", Integer, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
)
projection = Projection(table, fed_by=("shipment-{shipment_id}",))


def key_of_booking(event: ShipmentBookingRequested) -> Iterable[Key]:
    return ((event.shipment_id,),)


@projection.on(ShipmentBookingRequested, keys=key_of_booking)
def on_shipment_booking_requested(
    _row: Row | None, event: ShipmentBookingRequested, recorded: Recorded, _key: Key
) -> Row:
    return {
        "shipment_id": event.shipment_id,
        "carrier": event.carrier,
        "service": event.service,
        "delivery_option": event.delivery_option,
        "currency": event.currency,
        "quoted_minor": event.quoted_minor,
        "transit_days": event.transit_days,
        "requested_at": recorded.recorded_at,
    }
