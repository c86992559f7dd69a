"""A shipment leaves, is seen on its way, and arrives, comes back or is lost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import SystemCommand
from oms_es.schemas.order import Charge, LossChoice, Reservation
from oms_es.schemas.shipment.base import DispatchStep, MilestoneStatus, ShipmentCommand, ShipmentEvent
from oms_es.schemas.values.types import (
    NAMED_OR_NOT,
    Identifier,
    Moment,
    PlainText,
    Text,
)


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


class ShipmentDispatched(ShipmentEvent):
    payment_id: str
    location: str
    items: tuple[Reservation, ...]
    amount_minor: int
    dispatched_at: Moment
    charges: tuple[Charge, ...] = ()
    delivery_option: str = "standard"


class ShipmentDispatchOverdue(ShipmentEvent):
    """It has not left in time: a person must ask the party that it `waits_for`."""

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
