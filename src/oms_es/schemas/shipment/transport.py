"""A shipment leaves, is tracked on its way, and arrives, comes back or is lost."""

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
    """Record that the carrier has the shipment."""

    dispatched_at: Moment


class RecordCollection(ShipmentCommand):
    """Record that the customer has collected the shipment at the counter."""

    collected_at: Moment


class RecordMilestone(ShipmentCommand, SystemCommand):
    """Record a tracking event of the carrier. `milestone_id` is the carrier's id, by which a repeat is recognised.

    The event concerns one carton if `carton_id` or the carton's own `tracking_number` says so, otherwise all cartons.
    """

    milestone_id: Identifier
    status: MilestoneStatus
    occurred_at: Moment
    detail: PlainText = ""
    carton_id: Annotated[PlainText, NAMED_OR_NOT] = ""
    tracking_number: Annotated[PlainText, NAMED_OR_NOT] = ""
    carrier_status: PlainText = ""
    """The status in the carrier's own words."""


class SuspectLoss(ShipmentCommand, SystemCommand):
    """Record that the shipment may be lost, if no tracking event came for long by `now`."""

    now: Moment


class DeclareLost(ShipmentCommand):
    """Give up what has not arrived of a shipment, and choose: its worth is refunded, or pays for sending it again."""

    choice: LossChoice
    reason: Annotated[Text, Field(min_length=1)]


class ChaseDispatch(ShipmentCommand, SystemCommand):
    """Record that the shipment has not left in time, so that a person asks why."""


class ShipmentDispatched(ShipmentEvent):
    payment_id: str
    location: str
    items: tuple[Reservation, ...]
    amount_minor: int
    dispatched_at: Moment
    charges: tuple[Charge, ...] = ()
    delivery_option: str = "standard"


class ShipmentDispatchOverdue(ShipmentEvent):
    """The shipment has not left in time: a person must ask the party that it `waits_for`."""

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
    """The newest tracking event of a carton reports trouble."""

    carton_id: str
    status: MilestoneStatus
    occurred_at: Moment
    detail: str


class ShipmentExceptionSettled(ShipmentEvent):
    """The trouble of a carton is over: it goes on, or has come to an end."""

    carton_id: str


class ShipmentPartlyDelivered(ShipmentEvent):
    """These cartons have arrived; others have not yet."""

    carton_ids: tuple[str, ...]
    delivered_at: Moment


class ShipmentDelivered(ShipmentEvent):
    """Everything that will arrive has arrived."""

    delivered_at: Moment


class ShipmentReturnedToSender(ShipmentEvent):
    """Units came back to the sender.

    `complete`: nothing of the shipment has reached the customer, and nothing more will.
    """

    location: str
    items: tuple[Reservation, ...]
    carton_ids: tuple[str, ...]
    returned_at: Moment
    complete: bool


class ShipmentReportDisputed(ShipmentEvent):
    """A report of the carrier contradicts what is known: a person must ask. Nothing else follows from it."""

    report: str
    detail: str
    occurred_at: Moment | None = None


class ShipmentFellSilent(ShipmentEvent):
    """No tracking event came since then: the shipment may be lost, and a person must ask."""

    since: Moment


class ShipmentHeardOf(ShipmentEvent):
    """A tracking event came at that time: the shipment is not suspected to be lost until it is silent again."""

    seen_at: Moment


class ShipmentLost(ShipmentEvent):
    """The shipment was given up: these units will not arrive. `complete`: nothing of it has reached the customer."""

    items: tuple[Reservation, ...]
    carton_ids: tuple[str, ...]
    complete: bool
    choice: LossChoice
    reason: str
