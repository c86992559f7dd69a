"""Tracking reports: carriers' tracking events by number. Those that belong to no parcel remain visible."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, DateTime, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.shipment.tracker import TrackingReported

table = Table(
    "tracking_reports",
    METADATA,
    Column("tracking_number", Text, primary_key=True),
    Column("carrier", Text, primary_key=True),
    Column("milestone_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("detail", Text, nullable=False),
    Column("carrier_status", Text, nullable=False),
)
projection = Projection(table, insert_only=True, fed_by=("tracker-{carrier}/{tracking_number}",))


def key_of_reports(event: TrackingReported) -> Iterable[Key]:
    return [(event.tracking_number, event.carrier, seen.milestone_id) for seen in event.sightings]


@projection.on(TrackingReported, keys=key_of_reports)
def on_tracking_reported(_row: Row | None, event: TrackingReported, key: Key) -> Row:
    seen = next(seen for seen in event.sightings if seen.milestone_id == key[2])
    return {"tracking_number": key[0], "carrier": key[1], **seen.model_dump()}
