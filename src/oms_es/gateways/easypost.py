"""EasyPost's dialect of tracking: the webhook `tracker.updated`, or a tracker as its API gives it.

Each line of the history becomes a sighting in our words; words that we do not know become `unknown` and are kept
beside it. A line's id is derived from the number and from what the line says, so that a history told again is the same.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ValidationError

from oms_es.kernel import BadInput, Command
from oms_es.schemas.shipment import MilestoneStatus
from oms_es.schemas.tracker import SIGHTINGS_MAX, RecordTracking, Sighting
from oms_es.schemas.types import TEXT_LENGTH_MAX

STATUSES: dict[str, MilestoneStatus] = {
    "pre_transit": "pre_transit",
    "in_transit": "in_transit",
    "out_for_delivery": "out_for_delivery",
    "available_for_pickup": "available_for_pickup",
    "delivered": "delivered",
    "return_to_sender": "return_to_sender",
    "failure": "failure",
    "error": "exception",
    "cancelled": "cancelled",
    "unknown": "unknown",
}
"""EasyPost's statuses of a tracker and of a tracking detail."""
EXCEPTIONAL = frozenset(
    {
        "address_correction",
        "awaiting_information",
        "damaged",
        "delivery_exception",
        "held",
        "lost",
        "missorted",
        "refused",
        "transit_exception",
        "weather_delay",
    }
)
"""Details under which a parcel is not simply in transit."""


class Place(BaseModel):
    city: str | None = None
    state: str | None = None
    country: str | None = None


class Detail(BaseModel):
    status: str
    status_detail: str | None = None
    message: str | None = None
    datetime: AwareDatetime
    tracking_location: Place | None = None


class Tracker(BaseModel):
    object: Literal["Tracker"]
    carrier: str
    tracking_code: str
    status: str
    status_detail: str | None = None
    updated_at: AwareDatetime
    tracking_details: list[Detail] = []


class Webhook(BaseModel):
    object: Literal["Event"]
    description: str
    result: Tracker


def parse_tracker(payload: bytes) -> Command:
    """Raises BadInput."""
    try:
        told = _read(payload)
        details = told.tracking_details[-SIGHTINGS_MAX + 1 :]
        if told.status not in {detail.status for detail in details}:
            details = [*details, _of_the_whole(told)]
        sightings = {sight.milestone_id: sight for sight in (_sighting(told, detail) for detail in details)}
        return RecordTracking(
            carrier=told.carrier.lower(), tracking_number=told.tracking_code, sightings=tuple(sightings.values())
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        raise BadInput("bad_tracker", f"{where}: {first['msg']}; send a tracker.updated event or a tracker") from error


def _read(payload: bytes) -> Tracker:
    try:
        return Webhook.model_validate_json(payload).result
    except ValidationError:
        return Tracker.model_validate_json(payload)


def _of_the_whole(told: Tracker) -> Detail:
    """A tracker's own status, where its history does not say it."""
    return Detail(status=told.status, status_detail=told.status_detail, datetime=told.updated_at)


def _sighting(told: Tracker, detail: Detail) -> Sighting:
    place = detail.tracking_location or Place()
    where = ", ".join(part for part in (place.city, place.state, place.country) if part)
    says = " - ".join(part for part in (detail.message, where) if part)[:TEXT_LENGTH_MAX]
    own = "/".join(part for part in (detail.status, detail.status_detail) if part)[:TEXT_LENGTH_MAX]
    content = f"{told.tracking_code}|{own}|{says}|{detail.datetime.isoformat()}"
    return Sighting(
        milestone_id=f"easypost-{sha256(content.encode()).hexdigest()[:32]}",
        status=_status(detail),
        occurred_at=detail.datetime,
        detail=says,
        carrier_status=own,
    )


def _status(detail: Detail) -> MilestoneStatus:
    told = STATUSES.get(detail.status, "unknown")
    if told in ("in_transit", "unknown") and detail.status_detail in EXCEPTIONAL:
        return "exception"
    return told
