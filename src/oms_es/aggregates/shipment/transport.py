"""A shipment under way: dispatched, tracked, delivered, silent, lost or returned. Part of the shipment's decider."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from oms_es.aggregates.shipment.carton_tracking import MOVING, NOTEWORTHY
from oms_es.aggregates.shipment.state import WHOLE, Shipment, evolve, ids_of
from oms_es.kernel import Refused
from oms_es.schemas import shipment as sh
from oms_es.schemas.shipment.refusals import ShipmentRefusal
from oms_es.schemas.values.types import Moment, shifted


def record_dispatch(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.RecordDispatch
) -> Iterator[sh.ShipmentEvent]:
    check_with_carrier(shipment, command)
    yield from _leave(shipment, requested, command.dispatched_at)


def record_milestone(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.RecordMilestone
) -> Iterator[sh.ShipmentEvent]:
    if command.milestone_id in shipment.milestones:
        return
    number = command.tracking_number
    if shipment.cancelled or shipment.booking == "cancelled" or number in shipment.void:
        if command.status in MOVING:
            where = f"seen {command.status} although it should be in the warehouse, or under a void label: look for it"
            yield from dispute(shipment, requested, command.milestone_id, where, command.occurred_at)
        return
    if shipment.lost:
        if command.status in MOVING:
            found = f"seen {command.status} although it was given up as lost"
            yield from dispute(shipment, requested, command.milestone_id, found, command.occurred_at)
        return
    check_with_carrier(shipment, command)
    yield from _moved(shipment, requested, command)


def record_collection(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.RecordCollection
) -> Iterator[sh.ShipmentEvent]:
    """Record a collection at the counter: the parcel leaves and arrives at the same time.

    A repeat decides nothing. Raise Refused if it is not a pickup, or is not ready.
    """
    if not requested.pickup:
        raise Refused(ShipmentRefusal.NOT_A_PICKUP, f"shipment {command.shipment_id} is sent with a carrier; book it")
    if shipment.delivered:
        return
    if shipment.cancelled or not shipment.packed:
        why = "was cancelled" if shipment.cancelled else "is not packed"
        raise Refused(
            ShipmentRefusal.NOT_READY,
            f"shipment {command.shipment_id} {why}: it should be in the warehouse, look for it",
        )
    at_the_counter = sh.RecordMilestone(
        shipment_id=command.shipment_id,
        milestone_id=COLLECTED,
        status="delivered",
        occurred_at=command.collected_at,
        detail="collected at the counter",
    )
    yield from _moved(shipment, requested, at_the_counter)


COLLECTED = "collected"


def _moved(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.RecordMilestone
) -> Iterator[sh.ShipmentEvent]:
    reached = _reached(shipment, requested, command)
    after = shipment
    if command.status in MOVING:
        for left in _leave(shipment, requested, command.occurred_at):
            yield left
            after = evolve(after, left)
    yield reached
    if shipment.silent_since:
        yield sh.ShipmentHeardOf(**ids_of(requested), seen_at=max(shipment.silent_since, command.occurred_at))
    if command.status in NOTEWORTHY or shipment.raised:
        yield from _consequences(evolve(after, reached), requested)


def suspect(shipment: Shipment, requested: sh.ShipmentRequested, command: sh.SuspectLoss) -> Iterator[sh.ShipmentEvent]:
    """Decide whether the parcel was seen too long ago: of the cartons that are still to arrive, the one seen longest
    ago counts.
    """
    on_their_way = _on_their_way(shipment)
    if not shipment.left_at or not on_their_way or shipment.silent_since:
        return
    seen_at = min(_last_seen(shipment, carton_id, shipment.left_at) for carton_id in on_their_way)
    if shifted(seen_at, timedelta(seconds=sh.SILENCE_SECONDS)) <= command.now:
        yield sh.ShipmentFellSilent(**ids_of(requested), since=seen_at)
    elif seen_at not in (shipment.left_at, shipment.heard_of):
        yield sh.ShipmentHeardOf(**ids_of(requested), seen_at=seen_at)


def _on_their_way(shipment: Shipment) -> list[str]:
    if not shipment.dispatched or shipment.lost:
        return []
    return [carton_id for carton_id, outcome in shipment.outcomes.items() if outcome == "open"]


def _last_seen(shipment: Shipment, carton_id: str, left_at: Moment) -> Moment:
    newest = shipment.tracking_of(carton_id).newest
    return max(left_at, newest.occurred_at) if newest else left_at


def declare_lost(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.DeclareLost
) -> Iterator[sh.ShipmentEvent]:
    if shipment.lost:
        return
    on_their_way = _on_their_way(shipment)
    if not on_their_way:
        raise Refused(
            ShipmentRefusal.NOT_ON_ITS_WAY,
            f"shipment {command.shipment_id} has not left, or has come to its end; what has not left is cancelled",
        )
    items = tuple(item for c in requested.cartons if c.carton_id in on_their_way for item in c.items)
    yield sh.ShipmentLost(
        **ids_of(requested),
        items=items or requested.items,
        carton_ids=tuple(on_their_way),
        complete=len(on_their_way) == len(shipment.carton_ids),
        choice=command.choice,
        reason=command.reason,
    )
    for carton_id in sorted(shipment.raised.keys()):
        yield sh.ShipmentExceptionSettled(**ids_of(requested), carton_id=carton_id)


def chase_dispatch(
    shipment: Shipment, requested: sh.ShipmentRequested, _: sh.ChaseDispatch
) -> Iterator[sh.ShipmentEvent]:
    if not (shipment.dispatched or shipment.cancelled or shipment.overdue):
        yield sh.ShipmentDispatchOverdue(**ids_of(requested), waits_for=_waits_for(shipment))


def _waits_for(shipment: Shipment) -> sh.DispatchStep:
    if shipment.booking in ("booked", "cancelling"):
        return "collection"
    if shipment.requested and shipment.requested.pickup and shipment.packed:
        return "collection"
    return "booking" if shipment.packed else "packing"


def chase_cancellation(
    shipment: Shipment, requested: sh.ShipmentRequested, _: sh.ChaseCancellation
) -> Iterator[sh.ShipmentEvent]:
    if shipment.booking == "cancelling" and shipment.tracking and not shipment.unanswered:
        carrier, number = shipment.tracking
        yield sh.ShipmentCancellationUnanswered(**ids_of(requested), carrier=carrier, tracking_number=number)


def _reached(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.RecordMilestone
) -> sh.ShipmentMilestoneReached:
    carton_id = command.carton_id or shipment.numbers.get(command.tracking_number, WHOLE)
    if carton_id not in (WHOLE, *shipment.carton_ids):
        raise Refused(
            ShipmentRefusal.UNKNOWN_CARTON,
            f"shipment {command.shipment_id} has no carton {carton_id}; leave it out for all of them",
        )
    if shipment.numbers and command.tracking_number not in ("", *shipment.numbers.keys()):
        raise Refused(
            ShipmentRefusal.OTHER_NUMBER,
            f"shipment {command.shipment_id} does not travel as {command.tracking_number}: ask whose it is",
        )
    return sh.ShipmentMilestoneReached(
        **ids_of(requested),
        milestone_id=command.milestone_id,
        status=command.status,
        occurred_at=command.occurred_at,
        detail=command.detail,
        carton_id=carton_id,
        tracking_number=command.tracking_number,
        carrier_status=command.carrier_status,
    )


def _leave(shipment: Shipment, requested: sh.ShipmentRequested, at: Moment) -> Iterator[sh.ShipmentEvent]:
    """Record that the parcel left, with the first of its cartons; a requested cancellation is refused thereby."""
    if not shipment.dispatched:
        yield _dispatched(requested, at)
        if shipment.stopping:
            yield sh.ShipmentCancellationRefused(**ids_of(requested))


def _consequences(shipment: Shipment, requested: sh.ShipmentRequested) -> Iterator[sh.ShipmentEvent]:
    """Yield what has become true of the whole shipment with one more tracking event."""
    outcomes = shipment.outcomes
    back = tuple(c for c, outcome in outcomes.items() if outcome == "returned" and c not in shipment.returned)
    if back:
        yield _returned(shipment, requested, back)
    there = [c for c, outcome in outcomes.items() if outcome == "delivered"]
    news = tuple(c for c in there if c not in shipment.arrived)
    if there and not shipment.delivered:
        at = max(moment for c in there if (moment := shipment.tracking_of(c).delivered_first))
        if "open" not in outcomes.values():
            yield sh.ShipmentDelivered(**ids_of(requested), delivered_at=at)
        elif news:
            yield sh.ShipmentPartlyDelivered(**ids_of(requested), carton_ids=news, delivered_at=at)
    yield from _exceptions(shipment, requested)


def _exceptions(shipment: Shipment, requested: sh.ShipmentRequested) -> Iterator[sh.ShipmentEvent]:
    """Raise and settle exceptions by carton. One that concerns all cartons at once is settled when each has ended."""
    ended = "open" not in shipment.outcomes.values()
    for carton_id in sorted({*shipment.trackings.keys(), *shipment.raised.keys()}):
        trouble = shipment.tracking_of(carton_id).trouble
        if carton_id == WHOLE and requested.cartons and ended:
            trouble = None
        if trouble and shipment.raised.get(carton_id) != trouble.status:
            yield sh.ShipmentExceptionRaised(
                **ids_of(requested),
                carton_id=carton_id,
                status=trouble.status,
                occurred_at=trouble.occurred_at,
                detail=trouble.detail,
            )
        elif not trouble and carton_id in shipment.raised:
            yield sh.ShipmentExceptionSettled(**ids_of(requested), carton_id=carton_id)


def _returned(
    shipment: Shipment, requested: sh.ShipmentRequested, carton_ids: tuple[str, ...]
) -> sh.ShipmentReturnedToSender:
    items = tuple(item for c in requested.cartons if c.carton_id in carton_ids for item in c.items)
    trackings = [shipment.tracking_of(carton_id) for carton_id in carton_ids]
    return sh.ShipmentReturnedToSender(
        **ids_of(requested),
        location=requested.location,
        items=items or requested.items,
        carton_ids=carton_ids,
        returned_at=max(moment for j in trackings if (moment := j.returned_at or j.back_at)),
        complete=set(shipment.outcomes.values()) == {"returned"},
    )


def dispute(
    shipment: Shipment, requested: sh.ShipmentRequested, report: str, detail: str, at: Moment | None = None
) -> Iterator[sh.ShipmentEvent]:
    if report not in shipment.disputed:
        yield sh.ShipmentReportDisputed(**ids_of(requested), report=report, detail=detail, occurred_at=at)


def check_with_carrier(shipment: Shipment, command: sh.ShipmentCommand) -> None:
    """Raise Refused if no carrier was asked to fetch the parcel.

    Reports may arrive before the carrier's answer to the booking.
    """
    if shipment.cancelled:
        raise Refused(
            ShipmentRefusal.CANCELLED,
            f"shipment {command.shipment_id} was cancelled and should be in the warehouse: look for it",
        )
    if shipment.booking in ("none", "deferred", "cancelled"):
        raise Refused(
            ShipmentRefusal.NOT_BOOKED, f"shipment {command.shipment_id} was not given to a carrier; book it first"
        )


def _dispatched(requested: sh.ShipmentRequested, dispatched_at: Moment) -> sh.ShipmentDispatched:
    return sh.ShipmentDispatched(
        **ids_of(requested),
        payment_id=requested.payment_id,
        location=requested.location,
        items=requested.items,
        amount_minor=requested.amount_minor,
        dispatched_at=dispatched_at,
        charges=requested.charges,
        delivery_option=requested.delivery_option,
    )
