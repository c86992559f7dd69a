"""The state of one carton, as a carrier's tracking events describe it.

Invariant: the same tracking events lead to the same state, in whichever order and however often they are reported. Each
value that is kept of them is a minimum, a maximum or the newest by time.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from oms_es.aggregates.fast_replace import fast_replace
from oms_es.schemas.shipment import MilestoneStatus, ShipmentMilestoneReached
from oms_es.schemas.values.types import Moment

MOVING: frozenset[MilestoneStatus] = frozenset(
    {
        "picked_up",
        "in_transit",
        "out_for_delivery",
        "available_for_pickup",
        "delivered",
        "return_to_sender",
        "returned",
    }
)
"""Statuses that show that a parcel has left, whether or not its pick-up was reported."""

TROUBLE: frozenset[MilestoneStatus] = frozenset({"exception", "failure", "return_to_sender"})
"""Statuses that a person must look at, as long as no better one is reported later."""

NOTEWORTHY: frozenset[MilestoneStatus] = TROUBLE | {"delivered", "returned"}
"""The only statuses that can open an exception, or end the tracking of a carton."""

BY_RANK: tuple[MilestoneStatus, ...] = (
    "unknown",
    "pre_transit",
    "cancelled",
    "picked_up",
    "in_transit",
    "out_for_delivery",
    "available_for_pickup",
    "exception",
    "failure",
    "return_to_sender",
    "delivered",
    "returned",
)
"""Statuses in order: of two tracking events at the same time, the one with the higher rank counts as the later one."""

Outcome = Literal["open", "delivered", "returned"]


class Seen(NamedTuple):
    occurred_at: Moment
    rank: int
    milestone_id: str
    status: MilestoneStatus
    detail: str


@fast_replace
class CartonTracking(NamedTuple):
    newest: Seen | None = None
    delivered_first: Moment | None = None
    delivered_last: Moment | None = None
    returning_since: Moment | None = None
    returned_at: Moment | None = None

    @property
    def outcome(self) -> Outcome:
        """Return how the carton ended, if it did. A carrier that has turned a parcel back delivers it to its sender."""
        if self.returned_at or self.back_at:
            return "returned"
        return "delivered" if self.delivered_first else "open"

    @property
    def back_at(self) -> Moment | None:
        """The time of a delivery after the carton had been turned back; None without one."""
        if self.returning_since and self.delivered_last and self.delivered_last >= self.returning_since:
            return self.delivered_last
        return None

    @property
    def trouble(self) -> Seen | None:
        """The newest tracking event, if it is one of TROUBLE and the carton has not ended in spite of it."""
        if self.newest is None or self.newest.status not in TROUBLE or self.outcome == "returned":
            return None
        over = self.outcome == "delivered" and self.newest.status != "return_to_sender"
        return None if over else self.newest


def seen(event: ShipmentMilestoneReached) -> CartonTracking:
    """Return the tracking of a carton of which only this event is known."""
    at, status = event.occurred_at, event.status
    return CartonTracking(
        newest=Seen(at, BY_RANK.index(status), event.milestone_id, status, event.detail),
        delivered_first=at if status == "delivered" else None,
        delivered_last=at if status == "delivered" else None,
        returning_since=at if status == "return_to_sender" else None,
        returned_at=at if status == "returned" else None,
    )


def joined(one: CartonTracking, other: CartonTracking) -> CartonTracking:
    """Return the tracking that results from the events of both."""
    if one.newest is None or other.newest is None:
        return one if other.newest is None else other
    return CartonTracking(
        max(one.newest, other.newest),
        _first(one.delivered_first, other.delivered_first),
        _last(one.delivered_last, other.delivered_last),
        _first(one.returning_since, other.returning_since),
        _first(one.returned_at, other.returned_at),
    )


def _first(*moments: Moment | None) -> Moment | None:
    return min((moment for moment in moments if moment), default=None)


def _last(*moments: Moment | None) -> Moment | None:
    return max((moment for moment in moments if moment), default=None)
