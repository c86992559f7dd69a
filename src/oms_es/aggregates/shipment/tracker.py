"""The history of one tracking number of a carrier.

Invariant: each tracking event is recorded once, however often and in whichever order it comes. That several parcels
share the number is recorded once for each set of parcels, which only grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rpds import HashTrieSet

from oms_es.kernel import Decider
from oms_es.schemas.shipment import tracker as t

TrackerEvent = t.TrackingReported | t.TrackingNumberShared


class Tracker(NamedTuple):
    known: HashTrieSet[str] = HashTrieSet()  # by milestone id
    shared_by: HashTrieSet[str] = HashTrieSet()  # shipments


def evolve(tracker: Tracker, event: TrackerEvent) -> Tracker:
    match event:
        case t.TrackingReported(sightings=sightings):
            return tracker._replace(known=tracker.known.update(seen.milestone_id for seen in sightings))
        case t.TrackingNumberShared(shipment_ids=shipment_ids):
            return tracker._replace(shared_by=tracker.shared_by.update(shipment_ids))
    return tracker


def decide(tracker: Tracker, command: Any) -> Iterator[TrackerEvent]:
    of: Any = {"carrier": command.carrier, "tracking_number": command.tracking_number}
    if isinstance(command, t.RecordSharedNumber):
        if not all(shipment_id in tracker.shared_by for shipment_id in command.shipment_ids):
            yield t.TrackingNumberShared(**of, shipment_ids=command.shipment_ids)
        return
    news = {seen.milestone_id: seen for seen in command.sightings if seen.milestone_id not in tracker.known}
    if news:
        yield t.TrackingReported(**of, sightings=tuple(news.values()))


decider = Decider(
    "tracker",
    Tracker(),
    evolve,
    decide,
    accepts=(t.RecordTracking, t.RecordSharedNumber),
    emits=(t.TrackingReported, t.TrackingNumberShared),
)
