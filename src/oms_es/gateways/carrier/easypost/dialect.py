"""EasyPost's dialect of tracking: the webhooks `tracker.created` and `tracker.updated`, or a tracker from its API.

Webhooks about batches, refunds, insurances and the like are skipped: nothing follows from them here. Each entry of a
tracker's history becomes a tracking event with one of our statuses; a status that we do not know becomes `unknown` and
is kept too. An entry's id is derived from the tracking number and its content, so that a repeated history changes
nothing.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from oms_es.gateways.carrier.documents import document_of
from oms_es.kernel import BadInput, Command, Skipped
from oms_es.schemas.inputs import Input
from oms_es.schemas.problems import problems
from oms_es.schemas.shipment import MilestoneStatus
from oms_es.schemas.shipment.tracker import SIGHTINGS_MAX, RecordTracking, Sighting
from oms_es.schemas.values.types import TEXT_LENGTH_MAX, Identifier, Moment

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
"""Our statuses for EasyPost's statuses of a tracker and of a tracking detail."""
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
"""EasyPost's status details under which a parcel is not simply in transit."""

SKIPPED = frozenset(
    {
        "batch.created",
        "batch.updated",
        "claim.cancelled",
        "claim.submitted",
        "claim.updated",
        "insurance.cancelled",
        "insurance.purchased",
        "payment.completed",
        "payment.created",
        "payment.failed",
        "refund.successful",
        "report.available",
        "report.failed",
        "scan_form.created",
        "scan_form.updated",
        "shipment.invoice.created",
        "shipment.invoice.updated",
    }
)
"""Kinds of events that are skipped, since nothing follows from them. A kind in no list becomes a dead letter for a
person."""


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ScanLocation(Shape):
    city: str | None = None
    state: str | None = None
    country: str | None = None


class Detail(Shape):
    status: str
    status_detail: str | None = None
    message: str | None = None
    datetime: Moment
    tracking_location: ScanLocation | None = None


class Tracker(Shape):
    object: Literal["Tracker"]
    carrier: Identifier
    tracking_code: Identifier
    status: str
    status_detail: str | None = None
    updated_at: Moment
    tracking_details: list[Detail] = []


class Webhook(Shape):
    object: Literal["Event"]
    description: str
    result: Tracker


def parse_tracker(payload: bytes) -> Command:
    """Return the command for a tracker. Raise Skipped, or BadInput, which names the field."""
    try:
        callback = _read(document_of(payload, _bad))
        details = callback.tracking_details[-SIGHTINGS_MAX + 1 :]
        if callback.status not in {detail.status for detail in details}:
            details = [*details, _of_the_whole(callback)]
        events = {seen.milestone_id: seen for seen in (_tracking_event(callback, detail) for detail in details)}
        return RecordTracking(
            carrier=callback.carrier.lower(),
            tracking_number=callback.tracking_code,
            sightings=tuple(events.values()),
        )
    except ValidationError as error:
        raise _bad(problems(error, whole="payload")) from error


def _bad(what: str) -> BadInput:
    return BadInput(Input.BAD_TRACKER, f"{what}; send a tracker.updated event or a tracker")


def _read(document: dict[str, Any]) -> Tracker:
    """Return the tracker in the document, which is a tracker or a webhook; errors name the fields of the one that it
    is."""
    if document.get("object") == "Tracker":
        return Tracker.model_validate(document)
    kind = document.get("description")
    if document.get("object") == "Event" and isinstance(kind, str) and kind in SKIPPED:
        raise Skipped(f"{kind} says nothing of a parcel")
    return Webhook.model_validate(document).result


def _of_the_whole(callback: Tracker) -> Detail:
    """Return the tracker's own status as an entry, for a history that does not contain it."""
    return Detail(status=callback.status, status_detail=callback.status_detail, datetime=callback.updated_at)


def _tracking_event(callback: Tracker, detail: Detail) -> Sighting:
    place = detail.tracking_location or ScanLocation()
    where = ", ".join(part for part in (place.city, place.state, place.country) if part)
    says = " - ".join(part for part in (detail.message, where) if part)[:TEXT_LENGTH_MAX]
    own = "/".join(part for part in (detail.status, detail.status_detail) if part)[:TEXT_LENGTH_MAX]
    content = f"{callback.tracking_code}|{own}|{says}|{detail.datetime.isoformat()}"
    return Sighting(
        milestone_id=f"easypost-{sha256(content.encode()).hexdigest()[:32]}",
        status=_status(detail),
        occurred_at=detail.datetime,
        detail=says,
        carrier_status=own,
    )


def _status(detail: Detail) -> MilestoneStatus:
    status = STATUSES.get(detail.status, "unknown")
    if status in ("in_transit", "unknown") and detail.status_detail in EXCEPTIONAL:
        return "exception"
    return status
