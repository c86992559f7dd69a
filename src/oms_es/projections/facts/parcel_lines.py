"""Parcel lines: which units of which lines were planned into a parcel, and their share of the order's total.

The parcel's row in `shipments` says whether they left. For a bundle, each component has a row. Parcels of orders that
were released by a version without line shares have none.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Index, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import order as o

table = Table(
    "parcel_lines",
    METADATA,
    Column("shipment_id", Text, primary_key=True),
    Column("line_id", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Index("parcel_lines_by_order", "order_id", "line_id"),
)
"""`amount_minor` includes `tax_minor`."""
projection = Projection(table, insert_only=True)


def key_of_share(event: o.OrderReleased | o.OrderShipmentPlanned) -> Iterable[Key]:
    """Return each key once: units of a line from several reservations are one row."""
    named = ((plan.shipment_id, share.line_id, share.sku) for plan in _plans(event) for share in plan.lines)
    return list(dict.fromkeys(named))


@projection.on(o.OrderReleased, o.OrderShipmentPlanned, keys=key_of_share)
def on_parcel_planned(_row: Row | None, event: o.OrderReleased | o.OrderShipmentPlanned, key: Key) -> Row:
    plan = next(plan for plan in _plans(event) if plan.shipment_id == key[0])
    shares = [share for share in plan.lines if (share.line_id, share.sku) == key[1:]]
    return {
        "shipment_id": key[0],
        "line_id": key[1],
        "sku": key[2],
        "order_id": event.order_id,
        "location": plan.location,
        "quantity": sum(share.quantity for share in shares),
        "amount_minor": sum(share.amount_minor for share in shares),
        "tax_minor": sum(share.tax_minor for share in shares),
    }


def _plans(event: o.OrderReleased | o.OrderShipmentPlanned) -> tuple[o.ShipmentPlan, ...]:
    """Return the planned parcels. A held plan does not count, as it is planned again when the hold ends."""
    if isinstance(event, o.OrderReleased):
        return event.shipments
    return () if event.held else (event.plan,)
