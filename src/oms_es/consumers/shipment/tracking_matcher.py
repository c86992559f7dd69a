"""Tracking matcher: brings a carrier's tracking events of a number to the parcel with this number.

Reads    TrackingReported; looks up tracking_numbers
         ShipmentBooked; looks up tracking_reports and tracking_numbers of its numbers
Emits    RecordMilestone, RecordSharedNumber
Decides  which parcel the events belong to. Events more than EARLY_SECONDS before the booking belong to another parcel:
         carriers use their numbers again. If several parcels have the number, no event is brought to any of them. A
         report of a number that was never booked stays in tracking_reports. Of a report and a booking that cross each
         other, the later one sees both: looked-up rows are never older than the event that asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from oms_es.kernel import Command, Consumer, Lookup, LookupResults, Row
from oms_es.schemas.shipment import RecordMilestone, ShipmentBooked
from oms_es.schemas.shipment.tracker import SHARED_MAX, RecordSharedNumber, Sighting, TrackingReported

EARLY_SECONDS = 86_400
"""How long before its booking a parcel may have been seen, in seconds: carriers send local times, and clocks differ."""


def numbers_of(event: ShipmentBooked) -> tuple[str, ...]:
    return tuple(dict.fromkeys((event.tracking_number, *event.carton_numbers.values())))


consumer = Consumer("tracking_matcher", emits=(RecordMilestone, RecordSharedNumber))
PARCELS = Lookup("tracking_numbers", by="tracking_number", keys=lambda event: (event.tracking_number,))
PARCELS_OF_EACH = Lookup("tracking_numbers", by="tracking_number", keys=numbers_of)
REPORTS = Lookup("tracking_reports", by="tracking_number", keys=numbers_of)


@consumer.on(TrackingReported, lookups=(PARCELS,))
def record_tracking_on_tracking_reported(event: TrackingReported, results: LookupResults) -> Iterator[Command]:
    parcels = _of(event.carrier, results["tracking_numbers"][event.tracking_number])
    yield from _reports(event.carrier, event.tracking_number, parcels, event.sightings)


@consumer.on(ShipmentBooked, lookups=(REPORTS, PARCELS_OF_EACH))
def record_earlier_tracking_on_shipment_booked(event: ShipmentBooked, results: LookupResults) -> Iterator[Command]:
    carrier = event.carrier.lower()
    for number in numbers_of(event):
        reports = _of(carrier, results["tracking_reports"][number])
        events = [Sighting.model_validate({name: row[name] for name in Sighting.model_fields}) for row in reports]
        yield from _reports(carrier, number, _of(carrier, results["tracking_numbers"][number]), events)


def _of(carrier: str, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["carrier"] == carrier]


def _reports(carrier: str, number: str, parcels: Sequence[Row], events: Sequence[Sighting]) -> Iterator[Command]:
    shipments = sorted({row["shipment_id"] for row in parcels})
    if len(shipments) > 1:
        yield RecordSharedNumber(carrier=carrier, tracking_number=number, shipment_ids=tuple(shipments[:SHARED_MAX]))
        return
    for row in parcels:
        earliest = row["since"] - timedelta(seconds=EARLY_SECONDS)
        for event in events:
            if event.occurred_at >= earliest:
                yield RecordMilestone(shipment_id=row["shipment_id"], tracking_number=number, **dict(event))
