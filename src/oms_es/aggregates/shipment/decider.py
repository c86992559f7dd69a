"""One shipment's journey from a location to a customer, in one box or in several cartons.

Invariant: each step once, in order; its cartons hold exactly what it holds; what was cancelled never leaves, and what
left is not cancelled. Between booking and leaving only the carrier can give it back. What the carrier reports late,
twice or in the wrong order is put in order here.

    requested -> packed -> booking requested -> booked -> dispatched -> delivered, returned, or lost
        |          |         |       ^            |
        |          |      failed  cancelled <- cancelling      (a parcel may leave at any time after the request)
        +----------+---------+-------+-> cancelled
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from rpds import HashTrieMap, HashTrieSet

from oms_es.aggregates.fast_replace import wide
from oms_es.aggregates.shipment.carton_tracking import MOVING, TELLING, Journey, Outcome, joined, seen
from oms_es.kernel import Decider, Refused
from oms_es.schemas import shipment as s
from oms_es.schemas.order import Reservation
from oms_es.schemas.values.types import Moment, shifted

WHOLE = ""
"""The carton id of what is not packed in cartons, and of what is told of all cartons at once."""
NOTHING_SEEN = Journey()


@wide
class Shipment(NamedTuple):
    requested: s.ShipmentRequested | None = None
    packed: s.ShipmentPacked | None = None
    booking: Literal["none", "deferred", "requested", "failed", "booked", "cancelling", "cancelled"] = "none"
    tracking: tuple[str, str] | None = None  # carrier, tracking number
    numbers: HashTrieMap[str, str] = HashTrieMap()  # tracking number: carton id
    void: HashTrieSet[str] = HashTrieSet()  # tracking numbers of bookings that were cancelled
    stopping: bool = False  # to be cancelled as soon as the carrier gives it back
    dispatched: bool = False
    left_at: Moment | None = None
    overdue: bool = False  # a person asks why it has not left
    heard_of: Moment | None = None  # the last time that it was told that it was seen
    silent_since: Moment | None = None
    lost: bool = False
    unanswered: bool = False  # a person asks the carrier whether it cancels the booking
    delivered: bool = False
    cancelled: bool = False
    kept: bool = False  # a cancellation came too late, and was told so
    milestones: HashTrieSet[str] = HashTrieSet()
    journeys: HashTrieMap[str, Journey] = HashTrieMap()  # by carton id
    arrived: HashTrieSet[str] = HashTrieSet()  # cartons whose delivery was told
    returned: HashTrieSet[str] = HashTrieSet()  # cartons whose return was told
    raised: HashTrieMap[str, s.MilestoneStatus] = HashTrieMap()  # open exceptions, by carton id
    disputed: HashTrieSet[str] = HashTrieSet()
    labels: HashTrieSet[tuple[str, str]] = HashTrieSet()  # carton id, SHA-256

    @property
    def with_carrier(self) -> bool:
        """Asked to fetch it, or has it: what the carrier turned down or gave back is still ours."""
        return self.dispatched or self.booking in ("requested", "booked", "cancelling")

    @property
    def carton_ids(self) -> tuple[str, ...]:
        cartons = self.requested.cartons if self.requested else ()
        return tuple(carton.carton_id for carton in cartons) or (WHOLE,)

    def journey(self, carton_id: str) -> Journey:
        """What is told of all cartons at once is told of each."""
        of_all = self.journeys.get(WHOLE, NOTHING_SEEN)
        return of_all if carton_id == WHOLE else joined(self.journeys.get(carton_id, NOTHING_SEEN), of_all)

    @property
    def outcomes(self) -> dict[str, Outcome]:
        return {carton_id: self.journey(carton_id).outcome for carton_id in self.carton_ids}


def evolve(shipment: Shipment, event: s.ShipmentEvent) -> Shipment:
    """Never refuse a fact: an old stream must load under new rules."""
    match event:
        case s.ShipmentRequested():
            return shipment._replace(requested=event)
        case s.ShipmentPacked():
            return shipment._replace(packed=event)
        case s.ShipmentDispatched(dispatched_at=left_at):
            return shipment._replace(dispatched=True, left_at=left_at)
        case s.ShipmentDispatchOverdue():
            return shipment._replace(overdue=True)
        case s.ShipmentMilestoneReached():
            return _seen(shipment, event)
        case s.ShipmentDelivered():
            return shipment._replace(delivered=True)
        case s.ShipmentLabelAttached(carton_id=carton_id, document=document):
            return shipment._replace(labels=shipment.labels.insert((carton_id, document.sha256)))
        case s.ShipmentBookingRequested():
            return shipment._replace(booking="requested")
        case s.ShipmentBooked():
            return _booked(shipment, event)
        case s.ShipmentReportDisputed(report=report):
            return shipment._replace(disputed=shipment.disputed.insert(report))
        case s.ShipmentCancellationRequested():
            return shipment._replace(stopping=True)
        case s.ShipmentCancelled():
            return shipment._replace(cancelled=True, stopping=False)
        case s.ShipmentCancellationRefused():
            return shipment._replace(kept=True, stopping=False)
    return _booked(_on_its_way(shipment, event), event)


def _booked(shipment: Shipment, event: s.ShipmentEvent) -> Shipment:
    match event:
        case s.ShipmentBookingDeferred():
            return shipment._replace(booking="deferred")
        case s.ShipmentBooked(carrier=carrier, tracking_number=number, carton_numbers=by_carton):
            numbers = HashTrieMap({number: WHOLE, **{own: carton_id for carton_id, own in by_carton.items()}})
            return shipment._replace(booking="booked", tracking=(carrier, number), numbers=numbers)
        case s.ShipmentBookingFailed():
            return shipment._replace(booking="failed")
        case s.ShipmentBookingCancellationRequested():
            return shipment._replace(booking="cancelling", unanswered=False)
        case s.ShipmentCancellationUnanswered():
            return shipment._replace(unanswered=True)
        case s.ShipmentBookingCancelled():
            void = shipment.void.update(shipment.numbers.keys())
            return shipment._replace(booking="cancelled", tracking=None, numbers=HashTrieMap(), void=void)
        case s.ShipmentBookingCancellationRefused():
            return shipment._replace(booking="booked")
    return shipment


def _on_its_way(shipment: Shipment, event: s.ShipmentEvent) -> Shipment:
    match event:
        case s.ShipmentExceptionRaised(carton_id=carton_id, status=status):
            return shipment._replace(raised=shipment.raised.insert(carton_id, status))
        case s.ShipmentExceptionSettled(carton_id=carton_id):
            return shipment._replace(raised=shipment.raised.discard(carton_id))
        case s.ShipmentPartlyDelivered(carton_ids=carton_ids):
            return shipment._replace(arrived=shipment.arrived.update(carton_ids))
        case s.ShipmentReturnedToSender(carton_ids=carton_ids):
            return shipment._replace(returned=shipment.returned.update(carton_ids))
        case s.ShipmentFellSilent(since=since):
            return shipment._replace(silent_since=since)
        case s.ShipmentHeardOf(seen_at=seen_at):
            return shipment._replace(heard_of=seen_at, silent_since=None)
        case s.ShipmentLost():
            return shipment._replace(lost=True, silent_since=None)
    return shipment


def _seen(shipment: Shipment, event: s.ShipmentMilestoneReached) -> Shipment:
    known = shipment.journeys.get(event.carton_id, NOTHING_SEEN)
    return shipment._replace(
        milestones=shipment.milestones.insert(event.milestone_id),
        journeys=shipment.journeys.insert(event.carton_id, joined(known, seen(event))),
    )


def decide(shipment: Shipment, command: Any) -> Iterator[s.ShipmentEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, s.RequestShipment):
        yield from _request(shipment, command)
    elif shipment.requested is not None:
        yield from DECISIONS[type(command)](shipment, shipment.requested, command)
    else:
        raise Refused("unknown_shipment", f"there is no shipment {command.shipment_id}; request it first")


def _request(shipment: Shipment, command: s.RequestShipment) -> Iterator[s.ShipmentEvent]:
    """Asked again with the same contents it is the same shipment, however they would be packed today."""
    requested = s.ShipmentRequested.model_construct(**command.__dict__)
    if shipment.requested is None:
        _check_cartons(command)
        yield requested
    elif _contents(requested) != _contents(shipment.requested):
        raise Refused(
            "already_requested",
            f"shipment {command.shipment_id} was requested with other contents; use another shipment_id",
        )


def _check_cartons(command: s.RequestShipment) -> None:
    if command.cartons:
        packed = _units(tuple(item for carton in command.cartons for item in carton.items))
        ids = {carton.carton_id for carton in command.cartons}
        if packed != _units(command.items) or len(ids) != len(command.cartons):
            raise Refused(
                "cartons_do_not_match",
                f"the cartons of {command.shipment_id} must hold exactly its items, each under its own carton_id",
            )


def _units(items: tuple[Reservation, ...]) -> Counter[tuple[str, str, str]]:
    units: Counter[tuple[str, str, str]] = Counter()
    for item in items:
        units[item.reservation_id, item.sku, item.location] += item.quantity
    return units


def _contents(requested: s.ShipmentRequested) -> s.ShipmentRequested:
    return requested.model_copy(update={"cartons": (), "carton_rule": ""})


def _pack(shipment: Shipment, requested: s.ShipmentRequested, command: s.PackShipment) -> Iterator[s.ShipmentEvent]:
    if shipment.cancelled or shipment.packed:
        return
    planned = {carton.carton_id for carton in requested.cartons}
    if command.cartons and {carton.carton_id for carton in command.cartons} != planned:
        raise Refused(
            "unknown_carton",
            f"shipment {command.shipment_id} is planned in the cartons {sorted(planned)}; weigh these, or leave out "
            "the cartons",
        )
    yield s.ShipmentPacked(
        **_of(requested),
        weight_grams=command.weight_grams,
        cartons=command.cartons
        or tuple(s.CartonWeight(carton_id=c.carton_id, weight_grams=c.weight_grams) for c in requested.cartons),
        location=requested.location,
        ship_to=requested.ship_to,
        delivery_option=requested.delivery_option,
        pickup=requested.pickup,
    )


def _book(shipment: Shipment, requested: s.ShipmentRequested, command: s.BookShipment) -> Iterator[s.ShipmentEvent]:
    """After a failure, or a booking that was cancelled, this is a new intent, hence a new idempotency key."""
    if shipment.cancelled or shipment.with_carrier:
        return
    if requested.pickup:
        raise Refused(
            "collected", f"shipment {command.shipment_id} is collected at the counter: record when it has been"
        )
    if not shipment.packed:
        raise Refused("not_packed", f"shipment {command.shipment_id} has no weight yet; pack it before booking it")
    choice = {name: getattr(command, name) for name in s.CarrierChoice.model_fields}
    yield s.ShipmentBookingRequested(
        **_of(requested),
        **choice,
        location=requested.location,
        weight_grams=shipment.packed.weight_grams,
        ship_to=requested.ship_to,
        cartons=shipment.packed.cartons,
        delivery_option=requested.delivery_option,
    )


def _defer(shipment: Shipment, requested: s.ShipmentRequested, command: s.DeferBooking) -> Iterator[s.ShipmentEvent]:
    if shipment.booking == "none" and not shipment.cancelled:
        yield s.ShipmentBookingDeferred(
            **_of(requested),
            delivery_option=requested.delivery_option,
            candidates=command.candidates,
            rule_version=command.rule_version,
        )


def _record_booking(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordBooking
) -> Iterator[s.ShipmentEvent]:
    told = (command.carrier, command.tracking_number)
    if shipment.tracking == told or command.tracking_number in shipment.void:
        return
    if shipment.tracking:
        raise Refused(
            "already_booked",
            f"shipment {command.shipment_id} travels as {' '.join(shipment.tracking)} and is now reported as "
            f"{' '.join(told)}: ask the carrier which label is real",
        )
    _check_with_carrier(shipment, command)
    known = {carton.carton_id for carton in requested.cartons}
    numbers = {carton_id: own for carton_id, own in command.carton_numbers.items() if carton_id in known}
    booked = s.ShipmentBooked(
        **_of(requested),
        carrier=command.carrier,
        tracking_number=command.tracking_number,
        carton_numbers=numbers,
        booked_at=command.booked_at,
    )
    yield booked
    if shipment.stopping and not shipment.dispatched:
        yield _give_back(evolve(shipment, booked), requested, STOPPED)


def _record_booking_failure(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordBookingFailure
) -> Iterator[s.ShipmentEvent]:
    """A parcel that is booked, or on its way, is not called back by the failure of an attempt."""
    if shipment.booking == "requested" and not shipment.dispatched:
        yield s.ShipmentBookingFailed(**_of(requested), reason=command.reason)
        if shipment.stopping:
            yield _cancelled(requested)


def _cancel_booking(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.CancelBooking
) -> Iterator[s.ShipmentEvent]:
    if shipment.dispatched:
        raise Refused("already_left", f"shipment {command.shipment_id} has left; ask for a return instead")
    if shipment.booking == "requested":
        raise Refused(
            "not_answered",
            f"the carrier has not answered the booking of {command.shipment_id} yet; try again when it has, or cancel "
            "the shipment",
        )
    if shipment.booking == "booked":
        yield _give_back(shipment, requested, command.reason)


def _record_booking_cancelled(
    shipment: Shipment, requested: s.ShipmentRequested, _: s.RecordBookingCancelled
) -> Iterator[s.ShipmentEvent]:
    """Also of the carrier's own accord. What has left is not in the warehouse, whatever the carrier says."""
    if not shipment.tracking:
        return
    carrier, number = shipment.tracking
    if shipment.dispatched:
        yield from _dispute(shipment, requested, f"cancelled {number}", f"{carrier} cancelled a parcel that had left")
        return
    yield s.ShipmentBookingCancelled(**_of(requested), carrier=carrier, tracking_number=number)
    if shipment.stopping:
        yield _cancelled(requested)


def _record_booking_cancellation_refused(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordBookingCancellationRefused
) -> Iterator[s.ShipmentEvent]:
    if shipment.booking == "cancelling":
        yield s.ShipmentBookingCancellationRefused(**_of(requested), reason=command.reason)
        if shipment.stopping:
            yield s.ShipmentCancellationRefused(**_of(requested))


def _attach_label(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.AttachLabel
) -> Iterator[s.ShipmentEvent]:
    if command.carton_id not in (WHOLE, *shipment.carton_ids):
        raise Refused(
            "unknown_carton", f"shipment {command.shipment_id} has no carton {command.carton_id}; leave it out for all"
        )
    if (command.carton_id, command.document.sha256) not in shipment.labels:
        yield s.ShipmentLabelAttached(**_of(requested), carton_id=command.carton_id, document=command.document)


def _record_dispatch(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordDispatch
) -> Iterator[s.ShipmentEvent]:
    _check_with_carrier(shipment, command)
    yield from _leave(shipment, requested, command.dispatched_at)


def _record_milestone(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordMilestone
) -> Iterator[s.ShipmentEvent]:
    if command.milestone_id in shipment.milestones:
        return
    number = command.tracking_number
    if shipment.cancelled or shipment.booking == "cancelled" or number in shipment.void:
        if command.status in MOVING:
            where = f"seen {command.status} although it should be in the warehouse, or under a void label: look for it"
            yield from _dispute(shipment, requested, command.milestone_id, where, command.occurred_at)
        return
    if shipment.lost:
        if command.status in MOVING:
            found = f"seen {command.status} although it was given up as lost"
            yield from _dispute(shipment, requested, command.milestone_id, found, command.occurred_at)
        return
    _check_with_carrier(shipment, command)
    yield from _moved(shipment, requested, command)


def _record_collection(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordCollection
) -> Iterator[s.ShipmentEvent]:
    """It leaves and arrives in one moment. What was collected is not collected again."""
    if not requested.pickup:
        raise Refused("not_a_pickup", f"shipment {command.shipment_id} is sent with a carrier; book it")
    if shipment.delivered:
        return
    if shipment.cancelled or not shipment.packed:
        why = "was cancelled" if shipment.cancelled else "is not packed"
        raise Refused("not_ready", f"shipment {command.shipment_id} {why}: it should be in the warehouse, look for it")
    at_the_counter = s.RecordMilestone(
        shipment_id=command.shipment_id,
        milestone_id=COLLECTED,
        status="delivered",
        occurred_at=command.collected_at,
        detail="collected at the counter",
    )
    yield from _moved(shipment, requested, at_the_counter)


COLLECTED = "collected"


def _moved(shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordMilestone) -> Iterator[s.ShipmentEvent]:
    reached = _reached(shipment, requested, command)
    after = shipment
    if command.status in MOVING:
        for left in _leave(shipment, requested, command.occurred_at):
            yield left
            after = evolve(after, left)
    yield reached
    if shipment.silent_since:
        yield s.ShipmentHeardOf(**_of(requested), seen_at=max(shipment.silent_since, command.occurred_at))
    if command.status in TELLING or shipment.raised:
        yield from _consequences(evolve(after, reached), requested)


def _suspect(shipment: Shipment, requested: s.ShipmentRequested, command: s.SuspectLoss) -> Iterator[s.ShipmentEvent]:
    """Of its cartons that are still to arrive, the one that was silent for longest counts."""
    on_their_way = _on_their_way(shipment)
    if not shipment.left_at or not on_their_way or shipment.silent_since:
        return
    seen_at = min(_last_seen(shipment, carton_id, shipment.left_at) for carton_id in on_their_way)
    if shifted(seen_at, timedelta(seconds=s.SILENCE_SECONDS)) <= command.now:
        yield s.ShipmentFellSilent(**_of(requested), since=seen_at)
    elif seen_at not in (shipment.left_at, shipment.heard_of):
        yield s.ShipmentHeardOf(**_of(requested), seen_at=seen_at)


def _on_their_way(shipment: Shipment) -> list[str]:
    if not shipment.dispatched or shipment.lost:
        return []
    return [carton_id for carton_id, outcome in shipment.outcomes.items() if outcome == "open"]


def _last_seen(shipment: Shipment, carton_id: str, left_at: Moment) -> Moment:
    newest = shipment.journey(carton_id).newest
    return max(left_at, newest.occurred_at) if newest else left_at


def _declare_lost(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.DeclareLost
) -> Iterator[s.ShipmentEvent]:
    if shipment.lost:
        return
    on_their_way = _on_their_way(shipment)
    if not on_their_way:
        raise Refused(
            "not_on_its_way",
            f"shipment {command.shipment_id} has not left, or has come to its end; what has not left is cancelled",
        )
    items = tuple(item for c in requested.cartons if c.carton_id in on_their_way for item in c.items)
    yield s.ShipmentLost(
        **_of(requested),
        items=items or requested.items,
        carton_ids=tuple(on_their_way),
        complete=len(on_their_way) == len(shipment.carton_ids),
        choice=command.choice,
        reason=command.reason,
    )
    for carton_id in sorted(shipment.raised.keys()):
        yield s.ShipmentExceptionSettled(**_of(requested), carton_id=carton_id)


def _chase_dispatch(
    shipment: Shipment, requested: s.ShipmentRequested, _: s.ChaseDispatch
) -> Iterator[s.ShipmentEvent]:
    if not (shipment.dispatched or shipment.cancelled or shipment.overdue):
        yield s.ShipmentDispatchOverdue(**_of(requested), waits_for=_waits_for(shipment))


def _waits_for(shipment: Shipment) -> s.DispatchStep:
    if shipment.booking in ("booked", "cancelling"):
        return "collection"
    if shipment.requested and shipment.requested.pickup and shipment.packed:
        return "collection"
    return "booking" if shipment.packed else "packing"


def _chase_cancellation(
    shipment: Shipment, requested: s.ShipmentRequested, _: s.ChaseCancellation
) -> Iterator[s.ShipmentEvent]:
    if shipment.booking == "cancelling" and shipment.tracking and not shipment.unanswered:
        carrier, number = shipment.tracking
        yield s.ShipmentCancellationUnanswered(**_of(requested), carrier=carrier, tracking_number=number)


def _reached(
    shipment: Shipment, requested: s.ShipmentRequested, command: s.RecordMilestone
) -> s.ShipmentMilestoneReached:
    carton_id = command.carton_id or shipment.numbers.get(command.tracking_number, WHOLE)
    if carton_id not in (WHOLE, *shipment.carton_ids):
        raise Refused(
            "unknown_carton", f"shipment {command.shipment_id} has no carton {carton_id}; leave it out for all of them"
        )
    if shipment.numbers and command.tracking_number not in ("", *shipment.numbers.keys()):
        raise Refused(
            "other_number",
            f"shipment {command.shipment_id} does not travel as {command.tracking_number}: ask whose it is",
        )
    return s.ShipmentMilestoneReached(
        **_of(requested),
        milestone_id=command.milestone_id,
        status=command.status,
        occurred_at=command.occurred_at,
        detail=command.detail,
        carton_id=carton_id,
        tracking_number=command.tracking_number,
        carrier_status=command.carrier_status,
    )


def _leave(shipment: Shipment, requested: s.ShipmentRequested, at: Moment) -> Iterator[s.ShipmentEvent]:
    """The first of its cartons takes it out of our hands; whoever wanted to stop it is told."""
    if not shipment.dispatched:
        yield _dispatched(requested, at)
        if shipment.stopping:
            yield s.ShipmentCancellationRefused(**_of(requested))


def _consequences(shipment: Shipment, requested: s.ShipmentRequested) -> Iterator[s.ShipmentEvent]:
    """What has become true of the whole, now that one more sighting is known."""
    outcomes = shipment.outcomes
    back = tuple(c for c, outcome in outcomes.items() if outcome == "returned" and c not in shipment.returned)
    if back:
        yield _returned(shipment, requested, back)
    there = [c for c, outcome in outcomes.items() if outcome == "delivered"]
    news = tuple(c for c in there if c not in shipment.arrived)
    if there and not shipment.delivered:
        at = max(moment for c in there if (moment := shipment.journey(c).delivered_first))
        if "open" not in outcomes.values():
            yield s.ShipmentDelivered(**_of(requested), delivered_at=at)
        elif news:
            yield s.ShipmentPartlyDelivered(**_of(requested), carton_ids=news, delivered_at=at)
    yield from _exceptions(shipment, requested)


def _exceptions(shipment: Shipment, requested: s.ShipmentRequested) -> Iterator[s.ShipmentEvent]:
    """What is told of all cartons troubles nobody any more once each has come to its end."""
    ended = "open" not in shipment.outcomes.values()
    for carton_id in sorted({*shipment.journeys.keys(), *shipment.raised.keys()}):
        trouble = shipment.journey(carton_id).trouble
        if carton_id == WHOLE and requested.cartons and ended:
            trouble = None
        if trouble and shipment.raised.get(carton_id) != trouble.status:
            yield s.ShipmentExceptionRaised(
                **_of(requested),
                carton_id=carton_id,
                status=trouble.status,
                occurred_at=trouble.occurred_at,
                detail=trouble.detail,
            )
        elif not trouble and carton_id in shipment.raised:
            yield s.ShipmentExceptionSettled(**_of(requested), carton_id=carton_id)


def _returned(
    shipment: Shipment, requested: s.ShipmentRequested, carton_ids: tuple[str, ...]
) -> s.ShipmentReturnedToSender:
    items = tuple(item for c in requested.cartons if c.carton_id in carton_ids for item in c.items)
    journeys = [shipment.journey(carton_id) for carton_id in carton_ids]
    return s.ShipmentReturnedToSender(
        **_of(requested),
        location=requested.location,
        items=items or requested.items,
        carton_ids=carton_ids,
        returned_at=max(moment for j in journeys if (moment := j.returned_at or j.back_at)),
        complete=set(shipment.outcomes.values()) == {"returned"},
    )


def _dispute(
    shipment: Shipment, requested: s.ShipmentRequested, report: str, detail: str, at: Moment | None = None
) -> Iterator[s.ShipmentEvent]:
    if report not in shipment.disputed:
        yield s.ShipmentReportDisputed(**_of(requested), report=report, detail=detail, occurred_at=at)


def _check_with_carrier(shipment: Shipment, command: s.ShipmentCommand) -> None:
    """The carrier reports only what it was asked to fetch. Its answer to the booking may come after its reports."""
    if shipment.cancelled:
        raise Refused(
            "cancelled", f"shipment {command.shipment_id} was cancelled and should be in the warehouse: look for it"
        )
    if shipment.booking in ("none", "deferred", "cancelled"):
        raise Refused("not_booked", f"shipment {command.shipment_id} was not given to a carrier; book it first")


STOPPED = "the shipment is to be stopped"


def _cancel(shipment: Shipment, requested: s.ShipmentRequested, _: s.CancelShipment) -> Iterator[s.ShipmentEvent]:
    if shipment.cancelled or shipment.stopping:
        return
    if not shipment.with_carrier:
        yield _cancelled(requested)
    elif shipment.kept:
        return
    elif shipment.dispatched:
        yield s.ShipmentCancellationRefused(**_of(requested))
    else:
        yield s.ShipmentCancellationRequested(**_of(requested))
        if shipment.booking == "booked":
            yield _give_back(shipment, requested, STOPPED)


def _give_back(
    shipment: Shipment, requested: s.ShipmentRequested, reason: str
) -> s.ShipmentBookingCancellationRequested:
    assert shipment.tracking
    carrier, number = shipment.tracking
    return s.ShipmentBookingCancellationRequested(
        **_of(requested), carrier=carrier, tracking_number=number, reason=reason
    )


def _of(requested: s.ShipmentRequested) -> Any:
    return {"shipment_id": requested.shipment_id, "order_id": requested.order_id}


def _cancelled(requested: s.ShipmentRequested) -> s.ShipmentCancelled:
    return s.ShipmentCancelled(**_of(requested), items=requested.items)


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
    s.DeferBooking: _defer,
    s.RecordBooking: _record_booking,
    s.RecordBookingFailure: _record_booking_failure,
    s.CancelBooking: _cancel_booking,
    s.RecordBookingCancelled: _record_booking_cancelled,
    s.RecordBookingCancellationRefused: _record_booking_cancellation_refused,
    s.AttachLabel: _attach_label,
    s.RecordDispatch: _record_dispatch,
    s.RecordMilestone: _record_milestone,
    s.RecordCollection: _record_collection,
    s.CancelShipment: _cancel,
    s.SuspectLoss: _suspect,
    s.DeclareLost: _declare_lost,
    s.ChaseDispatch: _chase_dispatch,
    s.ChaseCancellation: _chase_cancellation,
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
        s.ShipmentBookingDeferred,
        s.ShipmentBooked,
        s.ShipmentBookingFailed,
        s.ShipmentBookingCancellationRequested,
        s.ShipmentBookingCancelled,
        s.ShipmentBookingCancellationRefused,
        s.ShipmentLabelAttached,
        s.ShipmentDispatched,
        s.ShipmentDispatchOverdue,
        s.ShipmentMilestoneReached,
        s.ShipmentExceptionRaised,
        s.ShipmentExceptionSettled,
        s.ShipmentPartlyDelivered,
        s.ShipmentDelivered,
        s.ShipmentReturnedToSender,
        s.ShipmentReportDisputed,
        s.ShipmentFellSilent,
        s.ShipmentHeardOf,
        s.ShipmentLost,
        s.ShipmentCancellationUnanswered,
        s.ShipmentCancellationRequested,
        s.ShipmentCancelled,
        s.ShipmentCancellationRefused,
    ),
)
