"""A shipment is requested, packed, and booked with a carrier, or cancelled."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import SystemCommand
from oms_es.schemas.order import Address, Charge, Reservation
from oms_es.schemas.shipment.base import (
    CANDIDATES_MAX,
    CARTONS_MAX,
    CarrierCandidate,
    CarrierChoice,
    Carton,
    CartonWeight,
    LabelDocument,
    ShipmentCommand,
    ShipmentEvent,
)
from oms_es.schemas.values.personal import PERSONAL
from oms_es.schemas.values.types import (
    NAMED_OR_NOT,
    AmountMinor,
    Identifier,
    LocationId,
    Moment,
    PlainText,
    Text,
    Units,
)


class RequestShipment(ShipmentCommand, SystemCommand):
    order_id: Identifier
    payment_id: Identifier
    location: LocationId
    items: tuple[Reservation, ...]
    amount_minor: AmountMinor
    ship_to: Annotated[Address, PERSONAL]
    charges: tuple[Charge, ...] = ()
    """How `amount_minor` falls on several payments; empty where `payment_id` bears it."""
    delivery_option: Identifier = "standard"
    cartons: Annotated[tuple[Carton, ...], Field(max_length=CARTONS_MAX)] = ()
    """Together exactly `items`; none where the size of an item is not known."""
    carton_rule: Text = ""
    pickup: bool = False
    """The customer collects it at the location: no carrier is asked."""


class PackShipment(ShipmentCommand):
    """A warehouse has packed it, and weighed it: the whole, and each carton where there are several."""

    weight_grams: Units
    cartons: Annotated[tuple[CartonWeight, ...], Field(max_length=CARTONS_MAX)] = ()


class BookShipment(ShipmentCommand, CarrierChoice):
    """Ask a carrier to fetch it; without a carrier's name, whichever is connected."""


class DeferBooking(ShipmentCommand, SystemCommand):
    """No carrier's published rates serve it: a person must book it."""

    candidates: Annotated[tuple[CarrierCandidate, ...], Field(max_length=CANDIDATES_MAX)] = ()
    rule_version: Identifier


class RecordBooking(ShipmentCommand, SystemCommand):
    """The carrier will fetch it, under this number; cartons may have numbers of their own.

    `booked_at`: since when the number is this parcel's. What a carrier saw of it long before is of another parcel.
    """

    carrier: Identifier
    tracking_number: Identifier
    carton_numbers: Annotated[dict[Identifier, Identifier], Field(max_length=CARTONS_MAX)] = {}
    booked_at: Moment | None = None


class RecordBookingFailure(ShipmentCommand, SystemCommand):
    """The carrier turned it down."""

    reason: PlainText


class CancelBooking(ShipmentCommand):
    """Ask the carrier not to fetch it: it stays in the warehouse and can be booked again."""

    reason: Text = ""


class RecordBookingCancelled(ShipmentCommand, SystemCommand):
    """The carrier will not fetch it."""


class RecordBookingCancellationRefused(ShipmentCommand, SystemCommand):
    """The carrier will not cancel the booking."""

    reason: PlainText


class AttachLabel(ShipmentCommand, SystemCommand):
    """Keep a label with the shipment, or with one carton of it; the document itself lies under its hash."""

    carton_id: Annotated[PlainText, NAMED_OR_NOT] = ""
    document: LabelDocument


class ChaseCancellation(ShipmentCommand, SystemCommand):
    """The carrier should have said by now whether it cancels the booking: a person asks, if it has not."""


class CancelShipment(ShipmentCommand, SystemCommand):
    """Stop it: at once while it is ours, with the carrier's consent once it is booked, not once it has left."""


class ShipmentRequested(ShipmentEvent):
    payment_id: str
    location: str
    items: tuple[Reservation, ...]
    amount_minor: int
    ship_to: Annotated[Address, PERSONAL]
    charges: tuple[Charge, ...] = ()
    delivery_option: str = "standard"
    cartons: tuple[Carton, ...] = ()
    carton_rule: str = ""
    pickup: bool = False


class ShipmentPacked(ShipmentEvent):
    """Where it stands and where it goes are repeated, for the choice of the carrier."""

    weight_grams: int
    cartons: tuple[CartonWeight, ...] = ()
    location: str = ""
    ship_to: Annotated[Address | None, PERSONAL] = None
    delivery_option: str = "standard"
    pickup: bool = False


class ShipmentBookingRequested(ShipmentEvent, CarrierChoice):
    """The intent to book; its event id is the carrier's idempotency key."""

    location: str
    weight_grams: int
    ship_to: Annotated[Address, PERSONAL]
    cartons: tuple[CartonWeight, ...] = ()
    delivery_option: str = "standard"


class ShipmentBookingDeferred(ShipmentEvent):
    """Rates are published, and none serves it."""

    delivery_option: str
    candidates: tuple[CarrierCandidate, ...]
    rule_version: str


class ShipmentBooked(ShipmentEvent):
    carrier: str
    tracking_number: str
    carton_numbers: dict[str, str] = {}
    booked_at: Moment | None = None


class ShipmentBookingFailed(ShipmentEvent):
    reason: str


class ShipmentBookingCancellationRequested(ShipmentEvent):
    """The intent to cancel a booking; its event id is the carrier's idempotency key."""

    carrier: str
    tracking_number: str
    reason: str


class ShipmentBookingCancelled(ShipmentEvent):
    """The carrier will not fetch it; the number is void."""

    carrier: str
    tracking_number: str


class ShipmentBookingCancellationRefused(ShipmentEvent):
    reason: str


class ShipmentLabelAttached(ShipmentEvent):
    carton_id: str
    document: LabelDocument


class ShipmentCancellationUnanswered(ShipmentEvent):
    """The carrier does not say whether it cancels the booking."""

    carrier: str
    tracking_number: str


class ShipmentCancellationRequested(ShipmentEvent):
    """To be stopped as soon as the carrier consents."""


class ShipmentCancelled(ShipmentEvent):
    items: tuple[Reservation, ...]


class ShipmentCancellationRefused(ShipmentEvent):
    """It goes on: it had left, or the carrier would not give it back."""
