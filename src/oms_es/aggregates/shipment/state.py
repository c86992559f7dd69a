"""The state of a shipment, and how each event changes it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from rpds import HashTrieMap, HashTrieSet

from oms_es.aggregates.fast_replace import fast_replace
from oms_es.aggregates.shipment.carton_tracking import CartonTracking, Outcome, joined, seen
from oms_es.schemas import shipment as sh
from oms_es.schemas.catalog.routes import BY_HAND
from oms_es.schemas.values.types import Moment

WHOLE = ""
"""The carton id of a shipment that is not packed in cartons, and of reports about all cartons at once."""

NOTHING_SEEN = CartonTracking()


@fast_replace
class Shipment(NamedTuple):
    requested: sh.ShipmentRequested | None = None
    packed: sh.ShipmentPacked | None = None
    answers: HashTrieSet[sh.PickAnswer] = HashTrieSet()  # of the warehouse, each located, also those that contradict
    answered: sh.PickAnswer | None = None  # the one that counts
    repeats: HashTrieSet[str] = HashTrieSet()  # of the request to the warehouse
    booking: Literal["none", "deferred", "requested", "failed", "booked", "cancelling", "cancelled"] = "none"
    carrier_gateway: str | None = None  # the one that was asked last
    # gateways that may have booked it, whatever they answered; empty for the first one that is set up
    asked_gateways: HashTrieSet[str] = HashTrieSet()
    booked_by: str | None = None  # the gateway that gave the number; BY_HAND if several may have
    tracking: tuple[str, str] | None = None  # carrier, tracking number
    numbers: HashTrieMap[str, str] = HashTrieMap()  # by tracking number, the carton id
    void: HashTrieSet[str] = HashTrieSet()  # tracking numbers of cancelled bookings
    stopping: bool = False  # to be cancelled as soon as the carrier cancels the booking
    dispatched: bool = False
    left_at: Moment | None = None
    overdue: bool = False  # it should have left; a person asks why
    heard_of: Moment | None = None  # the time of the last report that it was seen
    silent_since: Moment | None = None
    lost: bool = False
    unanswered: bool = False  # the carrier does not say whether it cancels the booking; a person asks
    delivered: bool = False
    cancelled: bool = False
    kept: bool = False  # a cancellation came too late, and was refused
    milestones: HashTrieSet[str] = HashTrieSet()
    trackings: HashTrieMap[str, CartonTracking] = HashTrieMap()  # by carton id
    arrived: HashTrieSet[str] = HashTrieSet()  # cartons reported delivered
    returned: HashTrieSet[str] = HashTrieSet()  # cartons reported returned
    raised: HashTrieMap[str, sh.MilestoneStatus] = HashTrieMap()  # open exceptions, by carton id
    disputed: HashTrieSet[str] = HashTrieSet()
    labels: HashTrieSet[tuple[str, str]] = HashTrieSet()  # carton id, SHA-256
    bills: HashTrieMap[str, tuple[int, str]] = HashTrieMap()  # by the line of a bill: amount, currency

    @property
    def with_carrier(self) -> bool:
        """Return whether the carrier has the parcel, or was asked to collect it and neither declined nor cancelled."""
        return self.dispatched or self.booking in ("requested", "booked", "cancelling")

    @property
    def carton_ids(self) -> tuple[str, ...]:
        cartons = self.requested.cartons if self.requested else ()
        return tuple(carton.carton_id for carton in cartons) or (WHOLE,)

    def tracking_of(self, carton_id: str) -> CartonTracking:
        """Return the tracking of a carton, including what was reported of all cartons at once."""
        of_all = self.trackings.get(WHOLE, NOTHING_SEEN)
        return of_all if carton_id == WHOLE else joined(self.trackings.get(carton_id, NOTHING_SEEN), of_all)

    @property
    def outcomes(self) -> dict[str, Outcome]:
        return {carton_id: self.tracking_of(carton_id).outcome for carton_id in self.carton_ids}


def evolve(shipment: Shipment, event: sh.ShipmentEvent) -> Shipment:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case sh.ShipmentRequested():
            return shipment._replace(requested=event)
        case sh.ShipmentPacked(answer=None):
            return shipment._replace(packed=event)
        case sh.ShipmentPacked(answer=answer):
            return _answered(shipment, answer)._replace(packed=event)
        case sh.ShipmentPickedShort(answer=answer) | sh.ShipmentPickRejected(answer=answer):
            return _answered(shipment, answer)
        case sh.ShipmentPickDisputed(answer=answer) | sh.ShipmentPickAnsweredLate(answer=answer):
            return shipment._replace(answers=shipment.answers.insert(located(answer, shipment.requested)))
        case sh.ShipmentPickRequestRepeated(repeat_id=repeat_id):
            return shipment._replace(repeats=shipment.repeats.insert(repeat_id))
        case sh.ShipmentDispatched(dispatched_at=left_at):
            return shipment._replace(dispatched=True, left_at=left_at)
        case sh.ShipmentDispatchOverdue():
            return shipment._replace(overdue=True)
        case sh.ShipmentMilestoneReached():
            return _seen(shipment, event)
        case sh.ShipmentDelivered():
            return shipment._replace(delivered=True)
        case sh.ShipmentLabelAttached(carton_id=carton_id, document=document):
            return shipment._replace(labels=shipment.labels.insert((carton_id, document.sha256)))
        case sh.ShipmentFreightBilled(bill_id=bill_id, amount_minor=amount_minor, currency=currency):
            return shipment._replace(bills=shipment.bills.insert(bill_id, (amount_minor, currency)))
        case sh.ShipmentBookingRequested(carrier_gateway=gateway):
            asked = shipment.asked_gateways.insert(gateway or "")
            return shipment._replace(booking="requested", carrier_gateway=gateway, asked_gateways=asked)
        case sh.ShipmentReportDisputed(report=report):
            return shipment._replace(disputed=shipment.disputed.insert(report))
        case sh.ShipmentCancellationRequested():
            return shipment._replace(stopping=True)
        case sh.ShipmentCancelled():
            return shipment._replace(cancelled=True, stopping=False)
        case sh.ShipmentCancellationRefused():
            return shipment._replace(kept=True, stopping=False)
    return _booked(_on_its_way(shipment, event), event)


def _answered(shipment: Shipment, answer: sh.PickAnswer | None) -> Shipment:
    assert answer
    return shipment._replace(answers=shipment.answers.insert(located(answer, shipment.requested)), answered=answer)


def located(answer: sh.PickAnswer, requested: sh.ShipmentRequested | None) -> sh.PickAnswer:
    """Return the answer with the location that gave it: if it states none, the one that was asked."""
    if answer.location or not requested:
        return answer
    return answer.model_copy(update={"location": requested.location})


def _booked(shipment: Shipment, event: sh.ShipmentEvent) -> Shipment:
    match event:
        case sh.ShipmentBookingDeferred():
            return shipment._replace(booking="deferred")
        case sh.ShipmentBooked(carrier=carrier, tracking_number=number, carton_numbers=by_carton):
            numbers = HashTrieMap({number: WHOLE, **{own: carton_id for carton_id, own in by_carton.items()}})
            return shipment._replace(
                booking="booked",
                tracking=(carrier, number),
                numbers=numbers,
                booked_by=booked_by(shipment, event.carrier_gateway),
            )
        case sh.ShipmentBookingFailed():
            return shipment._replace(booking="failed")
        case sh.ShipmentBookingCancellationRequested():
            return shipment._replace(booking="cancelling", unanswered=False)
        case sh.ShipmentCancellationUnanswered():
            return shipment._replace(unanswered=True)
        case sh.ShipmentBookingCancelled():
            void = shipment.void.update(shipment.numbers.keys())
            return shipment._replace(
                booking="cancelled",
                tracking=None,
                numbers=HashTrieMap(),
                void=void,
                asked_gateways=_still_in_doubt(shipment),
            )
        case sh.ShipmentBookingCancellationRefused():
            return shipment._replace(booking="booked")
    return shipment


def booked_by(shipment: Shipment, named: str | None) -> str | None:
    """Return the gateway that booked the parcel: the one that is named, or the only one that was asked. If several may
    have, a person must find out: BY_HAND.
    """
    if named is not None:
        return named
    if len(shipment.asked_gateways) > 1:
        return BY_HAND
    return next(iter(shipment.asked_gateways), "") or None


def _still_in_doubt(shipment: Shipment) -> HashTrieSet[str]:
    """Return the gateways that may have booked the parcel, too, after the one that did has cancelled it."""
    if len(shipment.asked_gateways) == 1:
        return HashTrieSet()
    return shipment.asked_gateways.discard(shipment.booked_by or "")


def _on_its_way(shipment: Shipment, event: sh.ShipmentEvent) -> Shipment:
    match event:
        case sh.ShipmentExceptionRaised(carton_id=carton_id, status=status):
            return shipment._replace(raised=shipment.raised.insert(carton_id, status))
        case sh.ShipmentExceptionSettled(carton_id=carton_id):
            return shipment._replace(raised=shipment.raised.discard(carton_id))
        case sh.ShipmentPartlyDelivered(carton_ids=carton_ids):
            return shipment._replace(arrived=shipment.arrived.update(carton_ids))
        case sh.ShipmentReturnedToSender(carton_ids=carton_ids):
            return shipment._replace(returned=shipment.returned.update(carton_ids))
        case sh.ShipmentFellSilent(since=since):
            return shipment._replace(silent_since=since)
        case sh.ShipmentHeardOf(seen_at=seen_at):
            return shipment._replace(heard_of=seen_at, silent_since=None)
        case sh.ShipmentLost():
            return shipment._replace(lost=True, silent_since=None)
    return shipment


def _seen(shipment: Shipment, event: sh.ShipmentMilestoneReached) -> Shipment:
    known = shipment.trackings.get(event.carton_id, NOTHING_SEEN)
    return shipment._replace(
        milestones=shipment.milestones.insert(event.milestone_id),
        trackings=shipment.trackings.insert(event.carton_id, joined(known, seen(event))),
    )


def ids_of(requested: sh.ShipmentRequested) -> Any:
    return {"shipment_id": requested.shipment_id, "order_id": requested.order_id}
