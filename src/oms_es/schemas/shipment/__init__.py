"""One parcel's journey from a location to a customer: what may be asked of it, and what may happen to it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from oms_es.kernel import Command, Event, Message, SystemCommand
from oms_es.schemas.order import Address, Charge, LossChoice, Reservation
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

MilestoneStatus = Literal[
    "in_transit",
    "out_for_delivery",
    "delivered",
    "exception",
    "pre_transit",
    "picked_up",
    "available_for_pickup",
    "return_to_sender",
    "returned",
    "failure",
    "cancelled",
    "unknown",
]
"""What every carrier's own words are brought to. `return_to_sender`: on its way back; `returned`: it is back;
`failure`: the carrier gives up, as on a loss; `unknown`: words that we do not know yet, kept beside it."""

DispatchStep: TypeAlias = Literal["packing", "booking", "collection"]
"""What a parcel waits for before it leaves: the warehouse, a carrier that takes it, the carrier that fetches it."""
SILENCE_SECONDS = 10 * 86_400
"""Of a parcel that has left: when nothing was seen of it for so long, it is suspected to be lost."""
DISPATCH_SECONDS = 3 * 86_400
"""From the request of a parcel until it should have left: a weekend, and a day to pack it."""
CARTONS_MAX = 200
CANDIDATES_MAX = 50
TRANSIT_DAYS_MAX = 365
LABEL_BYTES_MAX = 10_000_000

TransitDays = Annotated[int, Field(ge=0, le=TRANSIT_DAYS_MAX)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""In hexadecimal: the address of a document."""


class Carton(Message):
    """One of a shipment's boxes, and what goes into it."""

    carton_id: Identifier
    box: Identifier
    items: Annotated[tuple[Reservation, ...], Field(min_length=1)]
    weight_grams: Units
    """With the box, as planned."""


class CartonWeight(Message):
    """A box, as it was weighed."""

    carton_id: Identifier
    weight_grams: Units


class CarrierCandidate(Message):
    """One service that could take a shipment, as it was weighed. `reason` says why it cannot, where it cannot."""

    carrier: Identifier
    service: Identifier
    price_minor: AmountMinor = 0
    transit_days: TransitDays = 0
    in_time: bool = True
    reason: PlainText = ""


class CarrierChoice(Message):
    """Who is to carry a shipment, and why: empty where no rates are published, and the carrier is the only one."""

    carrier: Annotated[PlainText, NAMED_OR_NOT] = ""
    service: Annotated[PlainText, NAMED_OR_NOT] = ""
    quoted_minor: AmountMinor = 0
    currency: PlainText = ""
    transit_days: TransitDays = 0
    candidates: Annotated[tuple[CarrierCandidate, ...], Field(max_length=CANDIDATES_MAX)] = ()
    rule_version: PlainText = ""


class LabelDocument(Message):
    """A document that lies in the store of documents under the SHA-256 of its bytes."""

    sha256: Sha256
    media_type: Identifier = "application/pdf"
    byte_count: Annotated[int, Field(gt=0, le=LABEL_BYTES_MAX)]


class ShipmentCommand(Command):
    shipment_id: Identifier

    @property
    def stream(self) -> str:
        return f"shipment-{self.shipment_id}"


class RequestShipment(ShipmentCommand, SystemCommand):
    order_id: Identifier
    payment_id: Identifier
    location: LocationId
    items: tuple[Reservation, ...]
    amount_minor: AmountMinor
    ship_to: Address
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
    """Ask the carrier not to fetch it: it stays in the warehouse and can be booked anew."""

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


class RecordDispatch(ShipmentCommand, SystemCommand):
    """The carrier has it."""

    dispatched_at: Moment


class RecordCollection(ShipmentCommand):
    """The customer has collected it at the counter."""

    collected_at: Moment


class RecordMilestone(ShipmentCommand, SystemCommand):
    """The carrier saw it. `milestone_id` is the carrier's, so that a repeat is known.

    It is of one carton where `carton_id` or the carton's own `tracking_number` says so, of all of them otherwise.
    """

    milestone_id: Identifier
    status: MilestoneStatus
    occurred_at: Moment
    detail: PlainText = ""
    carton_id: Annotated[PlainText, NAMED_OR_NOT] = ""
    tracking_number: Annotated[PlainText, NAMED_OR_NOT] = ""
    carrier_status: PlainText = ""
    """In the carrier's own words."""


class SuspectLoss(ShipmentCommand, SystemCommand):
    """Nothing should be heard of it for so long: say so if that is true at `now`."""

    now: Moment


class DeclareLost(ShipmentCommand):
    """Give up on what has not arrived of it, and choose: its worth goes back, or pays for sending it again."""

    choice: LossChoice
    reason: Annotated[Text, Field(min_length=1)]


class ChaseDispatch(ShipmentCommand, SystemCommand):
    """It should have left by now: a person asks what keeps it, if it has not."""


class ChaseCancellation(ShipmentCommand, SystemCommand):
    """The carrier should have said by now whether it cancels the booking: a person asks, if it has not."""


class CancelShipment(ShipmentCommand, SystemCommand):
    """Stop it: at once while it is ours, with the carrier's consent once it is booked, not once it has left."""


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
    cartons: tuple[Carton, ...] = ()
    carton_rule: str = ""
    pickup: bool = False


class ShipmentPacked(ShipmentEvent):
    """Where it stands and where it goes are told again, for whoever chooses the carrier."""

    weight_grams: int
    cartons: tuple[CartonWeight, ...] = ()
    location: str = ""
    ship_to: Address | None = None
    delivery_option: str = "standard"
    pickup: bool = False


class ShipmentBookingRequested(ShipmentEvent, CarrierChoice):
    """The intent to book; its event id is the carrier's idempotency key."""

    location: str
    weight_grams: int
    ship_to: Address
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


class ShipmentDispatched(ShipmentEvent):
    payment_id: str
    location: str
    items: tuple[Reservation, ...]
    amount_minor: int
    dispatched_at: Moment
    charges: tuple[Charge, ...] = ()
    delivery_option: str = "standard"


class ShipmentDispatchOverdue(ShipmentEvent):
    """It has not left in time: a person must ask whoever it `waits_for`."""

    waits_for: DispatchStep


class ShipmentMilestoneReached(ShipmentEvent):
    milestone_id: str
    status: MilestoneStatus
    occurred_at: Moment
    detail: str
    carton_id: str = ""
    tracking_number: str = ""
    carrier_status: str = ""


class ShipmentExceptionRaised(ShipmentEvent):
    """The newest that is known of a carton is bad."""

    carton_id: str
    status: MilestoneStatus
    occurred_at: Moment
    detail: str


class ShipmentExceptionSettled(ShipmentEvent):
    """It goes on after all, or has come to an end."""

    carton_id: str


class ShipmentPartlyDelivered(ShipmentEvent):
    """These cartons have arrived, others have not yet."""

    carton_ids: tuple[str, ...]
    delivered_at: Moment


class ShipmentDelivered(ShipmentEvent):
    """Everything that will arrive has arrived."""

    delivered_at: Moment


class ShipmentReturnedToSender(ShipmentEvent):
    """It came back. `complete`: nothing of the shipment has reached the customer, and nothing more will."""

    location: str
    items: tuple[Reservation, ...]
    carton_ids: tuple[str, ...]
    returned_at: Moment
    complete: bool


class ShipmentReportDisputed(ShipmentEvent):
    """The carrier says what cannot be true together with what is known: a person must ask. Nothing follows from it."""

    report: str
    detail: str
    occurred_at: Moment | None = None


class ShipmentFellSilent(ShipmentEvent):
    """Nothing was seen of it since then: it may be lost, and a person must ask."""

    since: Moment


class ShipmentHeardOf(ShipmentEvent):
    """It was seen at that time, and is not suspected to be lost until it is silent for long again."""

    seen_at: Moment


class ShipmentLost(ShipmentEvent):
    """Given up: these units will not arrive. `complete`: nothing of the shipment has reached the customer."""

    items: tuple[Reservation, ...]
    carton_ids: tuple[str, ...]
    complete: bool
    choice: LossChoice
    reason: str


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
