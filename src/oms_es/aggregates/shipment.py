"""One parcel's journey from a location to a customer.

Invariant: each step once, in order; a parcel that was cancelled never leaves, and one that the carrier was asked to
fetch is not cancelled. What the carrier reports late, twice or in the wrong order is put in order here.

    requested -> packed -> booking requested -> dispatched -> delivered
        |          |         |         ^
        |          |     booking failed          (booked: noted whenever the carrier says so)
        +----------+---------+-> cancelled
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from rpds import HashTrieSet

from oms_es.kernel import Decider, Refused
from oms_es.schemas import shipment as s
from oms_es.schemas.types import Moment

MOVING: frozenset[s.MilestoneStatus] = frozenset({"in_transit", "out_for_delivery", "delivered"})
"""Seen like this, a parcel has left, whether or not its pick-up was reported."""


class Shipment(NamedTuple):
    requested: s.ShipmentRequested | None = None
    weight_grams: int = 0  # 0 until it is packed
    booking: Literal["none", "requested", "failed", "booked"] = "none"
    tracking: tuple[str, str] | None = None  # carrier, tracking number
    dispatched: bool = False
    delivered: bool = False
    cancelled: bool = False
    kept: bool = False  # a cancellation came too late, and was told so
    milestones: HashTrieSet[str] = HashTrieSet()

    @property
    def with_carrier(self) -> bool:
        """Asked to fetch it, or has it: what the carrier turned down is still ours."""
        return self.dispatched or self.booking in ("requested", "booked")


def evolve(shipment: Shipment, event: s.ShipmentEvent) -> Shipment:
    """Never refuse a fact: an old stream must load under new rules."""
    match event:
        case s.ShipmentRequested():
            return shipment._replace(requested=event)
        case s.ShipmentPacked(weight_grams=grams):
            return shipment._replace(weight_grams=grams)
        case s.ShipmentBookingRequested():
            return shipment._replace(booking="requested")
        case s.ShipmentBooked(carrier=carrier, tracking_number=number):
            return shipment._replace(booking="booked", tracking=(carrier, number))
        case s.ShipmentBookingFailed():
            return shipment._replace(booking="failed")
        case s.ShipmentDispatched():
            return shipment._replace(dispatched=True)
        case s.ShipmentMilestoneReached(milestone_id=key):
            return shipment._replace(milestones=shipment.milestones.insert(key))
        case s.ShipmentDelivered():
            return shipment._replace(delivered=True)
        case s.ShipmentCancelled():
            return shipment._replace(cancelled=True)
        case s.ShipmentCancellationRefused():
            return shipment._replace(kept=True)
    return shipment


def decide(shipment: Shipment, command: Any) -> Iterator[s.ShipmentEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, s.RequestShipment):
        yield from _request(shipment, command)
    elif shipment.requested is not None:
        yield from DECISIONS[type(command)](shipment, shipment.requested, command)
    else:
        raise Refused("unknown_shipment", f"there is no shipment {command.shipment_id}; request it first")


def _request(shipment: Shipment, command: s.RequestShipment) -> Iterator[s.ShipmentEvent]:
    requested = s.ShipmentRequested.model_construct(**command.__dict__)
    if shipment.requested is None:
        yield requested
    elif requested != shipment.requested:
        raise Refused(
            "already_requested",
            f"shipment {command.shipment_id} was requested with other contents; use another shipment_id",
        )


def _pack(shipment: Shipment, requested: s.ShipmentRequested, command: s.PackShipment) -> Iterator[s.ShipmentEvent]:
    if not shipment.cancelled and not shipment.weight_grams:
        yield s.ShipmentPacked(**_of(requested), weight_grams=command.weight_grams)


def _book(shipment: Shipment, requested: s.ShipmentRequested, command: s.BookShipment) -> Iterator[s.ShipmentEvent]:
    """After a failure this is a new intent, hence a new idempotency key."""
    if shipment.cancelled or shipment.with_carrier:
        return
    if not shipment.weight_grams:
        raise Refused("not_packed", f"shipment {command.shipment_id} has no weight yet; pack it before booking it")
    yield s.ShipmentBookingRequested(
        **_of(requested), location=requested.location, weight_grams=shipment.weight_grams, ship_to=requested.ship_to
    )


def _record_booking(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordBooking
) -> Iterator[s.ShipmentEvent]:
    told = (command.carrier, command.tracking_number)
    if shipment.tracking == told:
        return
    if shipment.tracking:
        raise Refused(
            "already_booked",
            f"shipment {command.shipment_id} travels as {' '.join(shipment.tracking)} and is now reported as "
            f"{' '.join(told)}: ask the carrier which label is real",
        )
    _check_with_carrier(shipment, command)
    yield s.ShipmentBooked(**_of(requested), carrier=command.carrier, tracking_number=command.tracking_number)


def _record_booking_failure(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordBookingFailure
) -> Iterator[s.ShipmentEvent]:
    """A parcel that is booked, or on its way, is not called back by the failure of an attempt."""
    if shipment.booking == "requested" and not shipment.dispatched:
        yield s.ShipmentBookingFailed(**_of(requested), reason=command.reason)


def _record_dispatch(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordDispatch
) -> Iterator[s.ShipmentEvent]:
    _check_with_carrier(shipment, command)
    if not shipment.dispatched:
        yield _dispatched(requested, command.dispatched_at)


def _record_milestone(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordMilestone
) -> Iterator[s.ShipmentEvent]:
    _check_with_carrier(shipment, command)
    if command.milestone_id in shipment.milestones:
        return
    if command.status in MOVING and not shipment.dispatched:
        yield _dispatched(requested, command.occurred_at)
    yield s.ShipmentMilestoneReached(
        **_of(requested),
        milestone_id=command.milestone_id,
        status=command.status,
        occurred_at=command.occurred_at,
        detail=command.detail,
    )
    if command.status == "delivered" and not shipment.delivered:
        yield s.ShipmentDelivered(**_of(requested), delivered_at=command.occurred_at)


def _check_with_carrier(shipment: Shipment, command: s.ShipmentCommand) -> None:
    """The carrier reports only what it was asked to fetch. Its answer to the booking may come after its reports."""
    if shipment.cancelled:
        raise Refused(
            "cancelled", f"shipment {command.shipment_id} was cancelled and should be in the warehouse: look for it"
        )
    if shipment.booking == "none":
        raise Refused("not_booked", f"shipment {command.shipment_id} was not given to a carrier; book it first")


def _cancel(shipment: Shipment, requested: s.ShipmentRequested, _: s.CancelShipment) -> Iterator[s.ShipmentEvent]:
    if shipment.cancelled:
        return
    if not shipment.with_carrier:
        yield s.ShipmentCancelled(**_of(requested), items=requested.items)
    elif not shipment.kept:
        yield s.ShipmentCancellationRefused(**_of(requested))


def _of(requested: s.ShipmentRequested) -> Any:
    return {"shipment_id": requested.shipment_id, "order_id": requested.order_id}


def _dispatched(requested: s.ShipmentRequested, dispatched_at: Moment) -> s.ShipmentDispatched:
    return s.ShipmentDispatched(
        **_of(requested),
        payment_id=requested.payment_id,
        location=requested.location,
        items=requested.items,
        amount_minor=requested.amount_minor,
        dispatched_at=dispatched_at,
        charges=requested.charges,
        delivery_option=requested.delivery_option,
    )


DECISIONS: dict[type[s.ShipmentCommand], Any] = {
    s.PackShipment: _pack,
    s.BookShipment: _book,
    s.RecordBooking: _record_booking,
    s.RecordBookingFailure: _record_booking_failure,
    s.RecordDispatch: _record_dispatch,
    s.RecordMilestone: _record_milestone,
    s.CancelShipment: _cancel,
}

decider = Decider(
    "shipment",
    Shipment(),
    evolve,
    decide,
    accepts=(s.RequestShipment, *DECISIONS),
    emits=(
        s.ShipmentRequested,
        s.ShipmentPacked,
        s.ShipmentBookingRequested,
        s.ShipmentBooked,
        s.ShipmentBookingFailed,
        s.ShipmentDispatched,
        s.ShipmentMilestoneReached,
        s.ShipmentDelivered,
        s.ShipmentCancelled,
        s.ShipmentCancellationRefused,
    ),
)
