"""The sources of parcels, of the units that left in them, and of bookings with their quoted prices and transit
times.
"""

from __future__ import annotations

from sqlalchemy import and_, case, func, or_

from oms_es.projections.facts import bookings as booking_facts
from oms_es.projections.facts import parcel_lines
from oms_es.projections.shipment import shipments
from oms_es.reports.figures.sources.base import (
    CURRENCY,
    KINDS,
    OF_ORDER,
    ONE,
    ORDERS,
    Number,
    Source,
    category,
    hours,
    m,
    now,
    of_items,
    yes,
)

HOURS_PER_DAY = 24
booking = booking_facts.projection.table.c
parcel, share = shipments.projection.table.c, parcel_lines.projection.table.c
parcels = Source(
    "Parcels, from the request to the door.",
    "shipments",
    shipments.projection.table.outerjoin(ORDERS, m.order_id == parcel.order_id),
    {**OF_ORDER, "location": parcel.location, "carrier": parcel.carrier, "status": parcel.status},
    {
        "parcels": Number(ONE, "parcels", "parcels"),
        "dispatched_parcels": Number(yes(parcel.dispatched_at.is_not(None)), "parcels", "parcels that left"),
        "delivered_parcels": Number(yes(parcel.delivered_at.is_not(None)), "parcels", "parcels that arrived"),
        "lost_parcels": Number(yes(parcel.status == "lost"), "parcels", "parcels that were given up"),
        "returned_parcels": Number(yes(parcel.status == "returned"), "parcels", "parcels that came back undelivered"),
        "units": Number(parcel.units, "units", "units in the parcels"),
        "asked_to_ship_hours": Number(
            hours(parcel.requested_at, parcel.dispatched_at), "hours", "from the request to when it left"
        ),
        "ship_to_door_hours": Number(
            hours(parcel.dispatched_at, parcel.delivered_at), "hours", "from when it left to when it arrived"
        ),
    },
    {"dispatched_at": parcel.dispatched_at, "requested_at": parcel.requested_at, "delivered_at": parcel.delivered_at},
    {**KINDS, "status": shipments.STATUSES},
)
shipped = Source(
    "Units that left, by SKU and location, with their share of what their orders came to; bundles by component.",
    "shipments",
    parcel_lines.projection.table.join(
        shipments.projection.table,
        and_(parcel.shipment_id == share.shipment_id, parcel.dispatched_at.is_not(None)),
    ).join(ORDERS, m.order_id == share.order_id),
    {
        **OF_ORDER,
        CURRENCY: m.currency,
        "sku": share.sku,
        "category": category,
        "location": share.location,
        "carrier": parcel.carrier,
    },
    {
        "units": Number(share.quantity, "units", "units that left"),
        "amount_minor": Number(
            share.amount_minor, "minor", "the share of the order's total that these units have, tax included"
        ),
        "tax_minor": Number(share.tax_minor, "minor", "the part of amount_minor that is tax on top of the prices"),
    },
    {"dispatched_at": parcel.dispatched_at, "placed_at": m.placed_at},
    KINDS,
    joins=of_items(share.sku),
)
_due = case(
    (
        booking.transit_days > 0,
        parcel.dispatched_at + func.make_interval(0, 0, 0, 0, HOURS_PER_DAY * booking.transit_days),
    )
)
_is_billed = booking.billed_currency == booking.currency
_is_due = or_(parcel.delivered_at.is_not(None), _due < now)
bookings = Source(
    "Parcels that left, whose carrier was chosen by its rates: what it quoted, and whether it kept what it promised.",
    "shipments",
    booking_facts.projection.table.join(
        shipments.projection.table,
        and_(parcel.shipment_id == booking.shipment_id, booking.currency != "", parcel.dispatched_at.is_not(None)),
    ).outerjoin(ORDERS, m.order_id == parcel.order_id),
    {
        **OF_ORDER,
        CURRENCY: booking.currency,
        "location": parcel.location,
        "carrier": booking.carrier,
        "service": booking.service,
        "delivery_option": booking.delivery_option,
        "status": parcel.status,
    },
    {
        "parcels": Number(ONE, "parcels", "parcels"),
        "quoted_minor": Number(booking.quoted_minor, "minor", "what their carriers quoted"),
        "billed_parcels": Number(yes(_is_billed), "parcels", "parcels that were billed, in the currency of the quote"),
        "billed_minor": Number(case((_is_billed, booking.billed_minor)), "minor", "what their carriers billed"),
        "billed_above_minor": Number(
            case((_is_billed, booking.billed_minor - booking.quoted_minor)),
            "minor",
            "by how much the billed parcels cost more than was quoted for them; less than zero if they cost less",
        ),
        "units": Number(parcel.units, "units", "units in the parcels"),
        "due_parcels": Number(
            yes(and_(_due.is_not(None), _is_due)), "parcels", "parcels that arrived, or should have by now"
        ),
        "on_time_parcels": Number(
            yes(parcel.delivered_at <= _due), "parcels", "due parcels that arrived within the days promised"
        ),
        "late_hours": Number(
            case((parcel.delivered_at > _due, hours(_due, parcel.delivered_at))),
            "hours",
            "by how much parcels arrived too late, of those that did",
        ),
    },
    {"dispatched_at": parcel.dispatched_at, "requested_at": booking.requested_at, "delivered_at": parcel.delivered_at},
    {**KINDS, "status": shipments.STATUSES},
)
