"""Bookings: one row per parcel that a carrier was asked to fetch, with the quoted price and transit time in days.

`billed_minor` is what the carrier billed, in `billed_currency`, which is empty until then. If a parcel is booked again,
the newest booking is kept, and what was billed before stays. Without published rates there is no quote: `currency` is
empty.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, DateTime, Integer, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.shipment import ShipmentBookingRequested, ShipmentFreightBilled

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
    Column("billed_currency", Text, nullable=False),
    Column("billed_minor", BigInteger, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
)
projection = Projection(table, version=2, fed_by=("shipment-{shipment_id}",))


def key_of_booking(event: ShipmentBookingRequested | ShipmentFreightBilled) -> Iterable[Key]:
    return ((event.shipment_id,),)


@projection.on(ShipmentBookingRequested, keys=key_of_booking)
def on_shipment_booking_requested(
    row: Row | None, event: ShipmentBookingRequested, recorded: Recorded, _key: Key
) -> Row:
    return {
        "shipment_id": event.shipment_id,
        "carrier": event.carrier,
        "service": event.service,
        "delivery_option": event.delivery_option,
        "currency": event.currency,
        "quoted_minor": event.quoted_minor,
        "transit_days": event.transit_days,
        "billed_currency": row["billed_currency"] if row else "",
        "billed_minor": row["billed_minor"] if row else 0,
        "requested_at": recorded.recorded_at,
    }


@projection.on(ShipmentFreightBilled, keys=key_of_booking)
def on_shipment_freight_billed(row: Row | None, event: ShipmentFreightBilled, _key: Key) -> Row | None:
    """A parcel that no one was asked to book, because it was booked elsewhere, has no row."""
    billed = row["billed_minor"] + event.amount_minor if row else 0
    return row and {**row, "billed_currency": event.currency, "billed_minor": billed}
