"""Requests to pick: what each warehouse is asked for, and what it answered.

`status`: `requested`, `short`, `rejected`, `packed`, `cancelled`, or `dispatched` once the parcel has left.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import shipment as sh

table = Table(
    "pick_requests",
    METADATA,
    Column("shipment_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("gateway", Text, nullable=False),
    Column("items", JSONB, nullable=False),
    Column("cartons", JSONB, nullable=False),
    Column("delivery_option", Text, nullable=False),
    Column("pickup", Boolean, nullable=False),
    Column("missing", JSONB, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Index("pick_requests_by_location", "location", "status", "requested_at", "shipment_id"),
    Index("pick_requests_by_change", "location", "changed_at", "shipment_id"),
)
"""`gateway`: that a route names, or empty.

`missing` and `reason`: of the answer that counts. `cartons`: as they are planned; empty if none are."""
projection = Projection(table, version=2, fed_by=("shipment-{shipment_id}",))
ANSWERED: dict[type[Event], str] = {
    sh.ShipmentPickedShort: "short",
    sh.ShipmentPickRejected: "rejected",
    sh.ShipmentPacked: "packed",
}
ENDED: dict[type[Event], str] = {sh.ShipmentCancelled: "cancelled", sh.ShipmentDispatched: "dispatched"}


def key_of_pick_request(event: sh.ShipmentEvent) -> Iterable[Key]:
    return ((event.shipment_id,),)


@projection.on(sh.ShipmentRequested, keys=key_of_pick_request)
def on_shipment_requested(_row: Row | None, event: sh.ShipmentRequested, recorded: Recorded, key: Key) -> Row:
    return {
        "shipment_id": key[0],
        "order_id": event.order_id,
        "location": event.location,
        "status": "requested",
        "gateway": event.warehouse_gateway or "",
        "items": sh.units_of(event.items),
        "cartons": [
            {"carton_id": carton.carton_id, "box": carton.box, "items": sh.units_of(carton.items)}
            for carton in event.cartons
        ],
        "delivery_option": event.delivery_option,
        "pickup": event.pickup,
        "missing": [],
        "reason": "",
        "requested_at": recorded.recorded_at,
        "changed_at": recorded.recorded_at,
    }


@projection.on(*ANSWERED, *ENDED, keys=key_of_pick_request)
def on_pick_request_changed(row: Row | None, event: Any, recorded: Recorded, _key: Key) -> Row | None:
    """Note an answer, or the end; a parcel that has left stays so whatever is answered afterwards."""
    if row is None:
        return None
    changes: dict[str, Any] = {"changed_at": recorded.recorded_at}
    if type(event) in ENDED:
        changes["status"] = ENDED[type(event)]
    elif row["status"] not in ENDED.values():
        changes["status"] = ANSWERED[type(event)]
    if type(event) in ANSWERED:
        short = isinstance(event, sh.ShipmentPickedShort)
        changes["missing"] = [units.model_dump() for units in event.missing] if short else []
        changes["reason"] = event.answer.reason if event.answer else ""
    return {**row, **changes}
