"""Carriers: a parcel is booked by intent; what the carrier tells afterwards is recorded.

Reads    ShipmentBookingRequested
Emits    RecordBooking, RecordBookingFailure; from callbacks also RecordDispatch, RecordMilestone
Decides  nothing. The intent's event id is the carrier's idempotency key: asked again, it books no second parcel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol
from uuid import UUID

from pydantic import Field, ValidationError

from oms_es.kernel import BadInput, Command, Event, GatewayUnavailable, Message, Recorded
from oms_es.schemas import shipment as s
from oms_es.schemas.types import Moment

ATTEMPTS_MAX = 3


class Parcel(NamedTuple):
    key: UUID
    shipment_id: str
    location: str
    weight_grams: int
    country: str
    postal_code: str


class Booking(NamedTuple):
    """`unknown`: no answer came; the parcel may or may not be booked."""

    outcome: Literal["booked", "refused", "pending", "unknown"]
    carrier: str = ""
    tracking_number: str = ""
    reason: str = ""


class Carrier(Protocol):
    """The port that real carriers implement. Asked again with the same key, it gives the same answer."""

    def book(self, parcels: Sequence[Parcel]) -> Sequence[Booking]: ...


class Callback(Message):
    shipment_id: str = Field(min_length=1)
    status: Literal["booked", "picked_up", "in_transit", "out_for_delivery", "delivered", "exception"]
    milestone_id: str = ""
    carrier: str = ""
    tracking_number: str = ""
    occurred_at: Moment


class CarrierGateway:
    name = "carrier"
    intents: frozenset[type[Event]] = frozenset({s.ShipmentBookingRequested})

    def __init__(self, carrier: Carrier, attempts_max: int = ATTEMPTS_MAX) -> None:
        self.carrier = carrier
        self.attempts_max = attempts_max

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        parcels = [parcel_of(intent) for intent in intents]
        answers = list(self.carrier.book(parcels))
        for _ in range(self.attempts_max - 1):
            unanswered = [i for i, answer in enumerate(answers) if answer.outcome == "unknown"]
            if not unanswered:
                break
            for i, answer in zip(unanswered, self.carrier.book([parcels[i] for i in unanswered]), strict=True):
                answers[i] = answer
        if any(answer.outcome == "unknown" for answer in answers):
            raise GatewayUnavailable("the carrier leaves bookings unanswered")
        return [tuple(_outcome(parcel, answer)) for parcel, answer in zip(parcels, answers, strict=True)]


def parcel_of(intent: Recorded) -> Parcel:
    event = intent.event
    assert isinstance(event, s.ShipmentBookingRequested)
    to = event.ship_to
    return Parcel(intent.event_id, event.shipment_id, event.location, event.weight_grams, to.country, to.postal_code)


def _outcome(parcel: Parcel, answer: Booking) -> list[Command]:
    if answer.outcome == "pending":
        return []
    if answer.outcome == "refused":
        return [s.RecordBookingFailure(shipment_id=parcel.shipment_id, reason=answer.reason)]
    return [
        s.RecordBooking(shipment_id=parcel.shipment_id, carrier=answer.carrier, tracking_number=answer.tracking_number)
    ]


def parse_callback(payload: bytes) -> Command:
    """A carrier's callback as a command. Raises BadInput."""
    try:
        told = Callback.model_validate_json(payload)
        if told.status == "booked":
            return s.RecordBooking(
                shipment_id=told.shipment_id, carrier=told.carrier, tracking_number=told.tracking_number
            )
        if told.status == "picked_up":
            return s.RecordDispatch(shipment_id=told.shipment_id, dispatched_at=told.occurred_at)
        return s.RecordMilestone(
            shipment_id=told.shipment_id,
            milestone_id=told.milestone_id,
            status=told.status,
            occurred_at=told.occurred_at,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        raise BadInput("bad_callback", f"{where}: {first['msg']}; ask the carrier to send it again") from error
