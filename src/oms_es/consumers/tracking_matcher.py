"""Tracking matcher: what a carrier says of a number becomes what was seen of a parcel, whichever comes first.

Reads    TrackingReported; facts: tracking_numbers
         ShipmentBooked; facts: tracking_reports of its numbers
Emits    RecordMilestone
Decides  nothing; a report of a number that nobody booked stays to be seen in tracking_reports. A report and a booking
         that cross each other are both seen by the later of them: facts are never older than the event that asks.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer, Facts, Wanted
from oms_es.schemas.shipment import RecordMilestone, ShipmentBooked
from oms_es.schemas.tracker import Sighting, TrackingReported


def numbers_of(event: ShipmentBooked) -> tuple[str, ...]:
    return tuple(dict.fromkeys((event.tracking_number, *event.carton_numbers.values())))


consumer = Consumer("tracking_matcher", emits=(RecordMilestone,))
PARCELS = Wanted("tracking_numbers", by="tracking_number", keys=lambda event: (event.tracking_number,))
REPORTS = Wanted("tracking_reports", by="tracking_number", keys=numbers_of)


@consumer.on(TrackingReported, wants=(PARCELS,))
def tell_the_parcel(event: TrackingReported, facts: Facts) -> Iterator[RecordMilestone]:
    for row in facts["tracking_numbers"][event.tracking_number]:
        if row["carrier"] == event.carrier:
            for sight in event.sightings:
                yield _milestone(row["shipment_id"], event.tracking_number, sight)


@consumer.on(ShipmentBooked, wants=(REPORTS,))
def tell_what_was_said_before(event: ShipmentBooked, facts: Facts) -> Iterator[RecordMilestone]:
    for number in numbers_of(event):
        for row in facts["tracking_reports"][number]:
            if row["carrier"] == event.carrier.lower():
                sight = Sighting.model_validate({name: row[name] for name in Sighting.model_fields})
                yield _milestone(event.shipment_id, number, sight)


def _milestone(shipment_id: str, number: str, sight: Sighting) -> RecordMilestone:
    return RecordMilestone(shipment_id=shipment_id, tracking_number=number, **dict(sight))
