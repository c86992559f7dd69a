"""One parcel's journey from a location to a customer: what may be asked of it, and what may happen to it."""

from __future__ import annotations

from typing import Literal

from oms_es.kernel import Command, Event
from oms_es.schemas.order import Address, Charge, Reservation
from oms_es.schemas.types import AmountMinor, Identifier, LocationId, Moment, Text, Units

MilestoneStatus = Literal["in_transit", "out_for_delivery", "delivered", "exception"]


class ShipmentCommand(Command):
    shipment_id: Identifier

    @property
    def stream(self) -> str:
        return f"shipment-{self.shipment_id}"


class RequestShipment(ShipmentCommand):
    order_id: Identifier
    payment_id: Identifier
    location: LocationId
    items: tuple[Reservation, ...]
    amount_minor: AmountMinor
    ship_to: Address
    charges: tuple[Charge, ...] = ()
    """How `amount_minor` falls on several payments; empty where `payment_id` bears it."""
    delivery_option: Identifier = "standard"


class PackShipment(ShipmentCommand):
    weight_grams: Units


class BookShipment(ShipmentCommand):
    """Hand the parcel to the carrier: from here on it can no longer be cancelled."""


class RecordBooking(ShipmentCommand):
    carrier: Identifier
    tracking_number: Identifier


class RecordBookingFailure(ShipmentCommand):
    reason: Text


class RecordDispatch(ShipmentCommand):
    """The carrier has it."""

    dispatched_at: Moment


class RecordMilestone(ShipmentCommand):
    """The carrier saw it. `milestone_id` is the carrier's, so that a repeat is known."""

    milestone_id: Identifier
    status: MilestoneStatus
    occurred_at: Moment
    detail: Text = ""


class CancelShipment(ShipmentCommand):
    pass


class ShipmentEvent(Event):
    shipment_id: str
    order_id: str


class ShipmentRequested(ShipmentEvent):
    payment_id: str
    location: str
    items: tuple[Reservation, ...]
    amount_minor: int
    ship_to: Address
    charges: tuple[Charge, ...] = ()
    delivery_option: str = "standard"


class ShipmentPacked(ShipmentEvent):
    weight_grams: int


class ShipmentBookingRequested(ShipmentEvent):
    """The intent to book; its event id is the carrier's idempotency key."""

    location: str
    weight_grams: int
    ship_to: Address


class ShipmentBooked(ShipmentEvent):
    carrier: str
    tracking_number: str


class ShipmentBookingFailed(ShipmentEvent):
    reason: str


class ShipmentDispatched(ShipmentEvent):
    payment_id: str
    location: str
    items: tuple[Reservation, ...]
    amount_minor: int
    dispatched_at: Moment
    charges: tuple[Charge, ...] = ()
    delivery_option: str = "standard"


class ShipmentMilestoneReached(ShipmentEvent):
    milestone_id: str
    status: MilestoneStatus
    occurred_at: Moment
    detail: str


class ShipmentDelivered(ShipmentEvent):
    delivered_at: Moment


class ShipmentCancelled(ShipmentEvent):
    items: tuple[Reservation, ...]


class ShipmentCancellationRefused(ShipmentEvent):
    """It was already with the carrier."""
