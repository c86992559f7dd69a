"""A tracking number's history. Invariant: each sighting is told once, however often and in whichever order it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rpds import HashTrieSet

from oms_es.kernel import Decider
from oms_es.schemas.tracker import RecordTracking, TrackingReported


class Tracker(NamedTuple):
    known: HashTrieSet[str] = HashTrieSet()  # by milestone id


def evolve(tracker: Tracker, event: TrackingReported) -> Tracker:
    return Tracker(tracker.known.update(sighting.milestone_id for sighting in event.sightings))


def decide(tracker: Tracker, command: RecordTracking) -> Iterator[TrackingReported]:
    news = {sight.milestone_id: sight for sight in command.sightings if sight.milestone_id not in tracker.known}
    if news:
        yield TrackingReported(
            carrier=command.carrier, tracking_number=command.tracking_number, sightings=tuple(news.values())
        )


decider = Decider("tracker", Tracker(), evolve, decide, accepts=(RecordTracking,), emits=(TrackingReported,))
