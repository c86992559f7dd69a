"""A shipment is requested, packed, and booked with a carrier, or cancelled."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import SystemCommand
from oms_es.schemas.catalog.routes import CarrierGatewayName, WarehouseGatewayName
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
from oms_es.schemas.shipment.picking import PickAnswer
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
    """The distribution of `amount_minor` over several payments; empty if `payment_id` bears all."""
    delivery_option: Identifier = "standard"
    cartons: Annotated[tuple[Carton, ...], Field(max_length=CARTONS_MAX)] = ()
    """The cartons, together exactly `items`; none if the size of an item is not known."""
    carton_rule: Text = ""
    pickup: bool = False
    """The customer collects the shipment at the location: no carrier is booked."""
    warehouse_gateway: WarehouseGatewayName | None = None
    """The gateway that asks the warehouse; None for the first one that is set up."""


class PackShipment(ShipmentCommand):
    """Record that a warehouse has packed and weighed the shipment: as a whole, and each carton if there are several."""

    weight_grams: Units
    cartons: Annotated[tuple[CartonWeight, ...], Field(max_length=CARTONS_MAX)] = ()


class BookShipment(ShipmentCommand, CarrierChoice):
    """Ask a carrier to fetch the shipment; without a carrier's name, the one that is connected.

    `carrier_gateway`: the gateway that is asked; without one, the gateway that was asked for this shipment before, or
    the first one that is set up.
    """

    carrier_gateway: CarrierGatewayName | None = None


class DeferBooking(ShipmentCommand, SystemCommand):
    """Record that no carrier's published rates serve the shipment: a person must book it."""

    candidates: Annotated[tuple[CarrierCandidate, ...], Field(max_length=CANDIDATES_MAX)] = ()
    rule_version: Identifier


class RecordBooking(ShipmentCommand, SystemCommand):
    """Record that the carrier will fetch the shipment, under this number; cartons may have numbers of their own.

    `booked_at`: since when the number is this parcel's. Tracking events long before that belong to another parcel.
    `carrier_gateway`: the gateway that booked it, which alone can cancel it; without one, the only gateway that was
    asked.
    """

    carrier: Identifier
    tracking_number: Identifier
    carton_numbers: Annotated[dict[Identifier, Identifier], Field(max_length=CARTONS_MAX)] = {}
    booked_at: Moment | None = None
    carrier_gateway: CarrierGatewayName | None = None


class RecordBookingFailure(ShipmentCommand, SystemCommand):
    """Record that the carrier declined the booking.

    `carrier_gateway`: the gateway that was asked; what one says that was asked before another changes nothing.
    """

    reason: PlainText
    carrier_gateway: CarrierGatewayName | None = None


class CancelBooking(ShipmentCommand):
    """Ask the carrier not to fetch the shipment: it stays in the warehouse and can be booked again."""

    reason: Text = ""


class RecordBookingCancelled(ShipmentCommand, SystemCommand):
    """Record that the carrier cancelled the booking and will not fetch the shipment."""


class RecordBookingCancellationRefused(ShipmentCommand, SystemCommand):
    """Record that the carrier will not cancel the booking."""

    reason: PlainText


class AttachLabel(ShipmentCommand, SystemCommand):
    """Attach a label to the shipment, or to one carton of it; the document itself is stored under its hash."""

    carton_id: Annotated[PlainText, NAMED_OR_NOT] = ""
    document: LabelDocument


class ChaseCancellation(ShipmentCommand, SystemCommand):
    """Record that the carrier has not said in time whether it cancels the booking, so that a person asks."""


class CancelShipment(ShipmentCommand, SystemCommand):
    """Stop the shipment: at once before it is booked, then with the carrier's consent; not once it has left."""


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
    warehouse_gateway: str | None = None


class ShipmentPacked(ShipmentEvent):
    """The shipment was packed. Its location and address are repeated for the choice of the carrier.

    `answer`: the warehouse's answer that said so; None if a person did.
    """

    weight_grams: int
    cartons: tuple[CartonWeight, ...] = ()
    location: str = ""
    ship_to: Annotated[Address | None, PERSONAL] = None
    delivery_option: str = "standard"
    pickup: bool = False
    answer: PickAnswer | None = None


class ShipmentBookingRequested(ShipmentEvent, CarrierChoice):
    """The intent to book; its event id is the carrier's idempotency key."""

    location: str
    weight_grams: int
    ship_to: Annotated[Address, PERSONAL]
    cartons: tuple[CartonWeight, ...] = ()
    delivery_option: str = "standard"
    carrier_gateway: str | None = None


class ShipmentBookingDeferred(ShipmentEvent):
    """Rates are published, and none of them serves the shipment."""

    delivery_option: str
    candidates: tuple[CarrierCandidate, ...]
    rule_version: str


class ShipmentBooked(ShipmentEvent):
    """`carrier_gateway`: the gateway that booked it; None for the first one that is set up, or if several were asked
    and none is named.
    """

    carrier: str
    tracking_number: str
    carton_numbers: dict[str, str] = {}
    booked_at: Moment | None = None
    carrier_gateway: str | None = None


class ShipmentBookingFailed(ShipmentEvent):
    """`carrier_gateway`: the gateway that was asked, if that is known."""

    reason: str
    carrier_gateway: str | None = None


class ShipmentBookingCancellationRequested(ShipmentEvent):
    """The intent to cancel a booking; its event id is the carrier's idempotency key."""

    carrier: str
    tracking_number: str
    reason: str
    carrier_gateway: str | None = None
    """The gateway that booked it; `commands`, by which a person cancels it, if that is not known."""


class ShipmentBookingCancelled(ShipmentEvent):
    """The carrier will not fetch the shipment; the tracking number is void."""

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
    """The shipment is to be stopped as soon as the carrier consents."""


class ShipmentCancelled(ShipmentEvent):
    items: tuple[Reservation, ...]
    warehouse_gateway: str | None = None
    """The gateway that asked the warehouse for it."""


class ShipmentCancellationRefused(ShipmentEvent):
    """The shipment goes on: it had left, or the carrier did not cancel the booking."""
