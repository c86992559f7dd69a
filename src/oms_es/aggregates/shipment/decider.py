"""One shipment on its way from a location to a customer, in one box or in several cartons.

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
from typing import Any

from oms_es.aggregates.shipment.freight import record_freight_bill
from oms_es.aggregates.shipment.picking import answer_pick, pack, request_again
from oms_es.aggregates.shipment.state import WHOLE, Shipment, booked_by, evolve, ids_of
from oms_es.aggregates.shipment.transport import (
    chase_cancellation,
    chase_dispatch,
    check_with_carrier,
    declare_lost,
    dispute,
    record_collection,
    record_dispatch,
    record_milestone,
    suspect,
)
from oms_es.kernel import Decider, Refused
from oms_es.schemas import shipment as sh
from oms_es.schemas.order import Reservation
from oms_es.schemas.shipment.refusals import ShipmentRefusal


def decide(shipment: Shipment, command: Any) -> Iterator[sh.ShipmentEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, sh.RequestShipment):
        yield from _request(shipment, command)
    elif shipment.requested is not None:
        yield from DECISIONS[type(command)](shipment, shipment.requested, command)
    else:
        raise Refused(ShipmentRefusal.UNKNOWN_SHIPMENT, f"there is no shipment {command.shipment_id}; request it first")


def _request(shipment: Shipment, command: sh.RequestShipment) -> Iterator[sh.ShipmentEvent]:
    """Record the request.

    The same contents asked for again are the same shipment, even if they would be packed otherwise now. Raise Refused
    for other contents.
    """
    requested = sh.ShipmentRequested.model_construct(**command.__dict__)
    if shipment.requested is None:
        _check_cartons(command)
        yield requested
    elif _contents(requested) != _contents(shipment.requested):
        raise Refused(
            ShipmentRefusal.ALREADY_REQUESTED,
            f"shipment {command.shipment_id} was requested with other contents; use another shipment_id",
        )


def _check_cartons(command: sh.RequestShipment) -> None:
    if command.cartons:
        packed = _units(tuple(item for carton in command.cartons for item in carton.items))
        ids = {carton.carton_id for carton in command.cartons}
        if packed != _units(command.items) or len(ids) != len(command.cartons):
            raise Refused(
                ShipmentRefusal.CARTONS_DO_NOT_MATCH,
                f"the cartons of {command.shipment_id} must hold exactly its items, each under its own carton_id",
            )


def _units(items: tuple[Reservation, ...]) -> Counter[tuple[str, str, str]]:
    units: Counter[tuple[str, str, str]] = Counter()
    for item in items:
        units[item.reservation_id, item.sku, item.location] += item.quantity
    return units


def _contents(requested: sh.ShipmentRequested) -> sh.ShipmentRequested:
    return requested.model_copy(update={"cartons": (), "carton_rule": "", "warehouse_gateway": None})


def _book(shipment: Shipment, requested: sh.ShipmentRequested, command: sh.BookShipment) -> Iterator[sh.ShipmentEvent]:
    """Request a booking. After a failed or cancelled one this is a new intent, hence a new idempotency key.

    The gateway that was asked before is asked again, unless the command names another.
    """
    if shipment.cancelled or shipment.with_carrier:
        return
    if requested.pickup:
        raise Refused(
            ShipmentRefusal.COLLECTED,
            f"shipment {command.shipment_id} is collected at the counter: record when it has been",
        )
    if not shipment.packed:
        raise Refused(
            ShipmentRefusal.NOT_PACKED, f"shipment {command.shipment_id} has no weight yet; pack it before booking it"
        )
    choice = {name: getattr(command, name) for name in sh.CarrierChoice.model_fields}
    yield sh.ShipmentBookingRequested(
        **ids_of(requested),
        **choice,
        location=requested.location,
        weight_grams=shipment.packed.weight_grams,
        ship_to=requested.ship_to,
        cartons=shipment.packed.cartons,
        delivery_option=requested.delivery_option,
        carrier_gateway=command.carrier_gateway or shipment.carrier_gateway,
    )


def _defer(shipment: Shipment, requested: sh.ShipmentRequested, command: sh.DeferBooking) -> Iterator[sh.ShipmentEvent]:
    if shipment.booking == "none" and not shipment.cancelled:
        yield sh.ShipmentBookingDeferred(
            **ids_of(requested),
            delivery_option=requested.delivery_option,
            candidates=command.candidates,
            rule_version=command.rule_version,
        )


def _record_booking(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.RecordBooking
) -> Iterator[sh.ShipmentEvent]:
    reported = (command.carrier, command.tracking_number)
    if shipment.tracking == reported or command.tracking_number in shipment.void:
        return
    if shipment.tracking:
        raise Refused(
            ShipmentRefusal.ALREADY_BOOKED,
            f"shipment {command.shipment_id} travels as {' '.join(shipment.tracking)} and is now reported as "
            f"{' '.join(reported)}: ask the carrier which label is real",
        )
    check_with_carrier(shipment, command)
    known = {carton.carton_id for carton in requested.cartons}
    numbers = {carton_id: own for carton_id, own in command.carton_numbers.items() if carton_id in known}
    booked = sh.ShipmentBooked(
        **ids_of(requested),
        carrier=command.carrier,
        tracking_number=command.tracking_number,
        carton_numbers=numbers,
        booked_at=command.booked_at,
        carrier_gateway=command.carrier_gateway or _only_one_asked(shipment),
    )
    yield booked
    if command.carrier_gateway is None and len(shipment.asked_gateways) > 1:
        asked = ", ".join(gateway or "the first that is set up" for gateway in sorted(shipment.asked_gateways))
        yield from dispute(
            shipment,
            requested,
            f"booked {command.tracking_number}",
            f"booked as {' '.join(reported)}, and which gateway did it is not said ({asked} were asked): look there; "
            "who cancels it cancels it by hand, and records that",
        )
    if shipment.stopping and not shipment.dispatched:
        yield _give_back(evolve(shipment, booked), requested, STOPPED)


def _only_one_asked(shipment: Shipment) -> str | None:
    return None if len(shipment.asked_gateways) > 1 else booked_by(shipment, None)


def _record_booking_failure(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.RecordBookingFailure
) -> Iterator[sh.ShipmentEvent]:
    """Record that the requested booking failed; ignore it if the parcel is booked otherwise, or has left, or if another
    gateway was asked since."""
    said, asked = command.carrier_gateway, shipment.carrier_gateway
    is_late = said is not None and asked is not None and said != asked
    if shipment.booking == "requested" and not shipment.dispatched and not is_late:
        yield sh.ShipmentBookingFailed(**ids_of(requested), reason=command.reason, carrier_gateway=said or asked)
        if shipment.stopping:
            yield _cancelled(requested)


def _cancel_booking(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.CancelBooking
) -> Iterator[sh.ShipmentEvent]:
    if shipment.dispatched:
        raise Refused(
            ShipmentRefusal.ALREADY_LEFT, f"shipment {command.shipment_id} has left; ask for a return instead"
        )
    if shipment.booking == "requested":
        raise Refused(
            ShipmentRefusal.NOT_ANSWERED,
            f"the carrier has not answered the booking of {command.shipment_id} yet; try again when it has, or cancel "
            "the shipment",
        )
    if shipment.booking == "booked":
        yield _give_back(shipment, requested, command.reason)


def _record_booking_cancelled(
    shipment: Shipment, requested: sh.ShipmentRequested, _: sh.RecordBookingCancelled
) -> Iterator[sh.ShipmentEvent]:
    """Record that the carrier cancelled the booking, asked or unasked.

    If the parcel had left, the report is disputed.
    """
    if not shipment.tracking:
        return
    carrier, number = shipment.tracking
    if shipment.dispatched:
        yield from dispute(shipment, requested, f"cancelled {number}", f"{carrier} cancelled a parcel that had left")
        return
    yield sh.ShipmentBookingCancelled(**ids_of(requested), carrier=carrier, tracking_number=number)
    if shipment.stopping:
        yield _cancelled(requested)


def _record_booking_cancellation_refused(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.RecordBookingCancellationRefused
) -> Iterator[sh.ShipmentEvent]:
    if shipment.booking == "cancelling":
        yield sh.ShipmentBookingCancellationRefused(**ids_of(requested), reason=command.reason)
        if shipment.stopping:
            yield sh.ShipmentCancellationRefused(**ids_of(requested))


def _attach_label(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.AttachLabel
) -> Iterator[sh.ShipmentEvent]:
    if command.carton_id not in (WHOLE, *shipment.carton_ids):
        raise Refused(
            ShipmentRefusal.UNKNOWN_CARTON,
            f"shipment {command.shipment_id} has no carton {command.carton_id}; leave it out for all",
        )
    if (command.carton_id, command.document.sha256) not in shipment.labels:
        yield sh.ShipmentLabelAttached(**ids_of(requested), carton_id=command.carton_id, document=command.document)


STOPPED = "the shipment is to be stopped"


def _cancel(shipment: Shipment, requested: sh.ShipmentRequested, _: sh.CancelShipment) -> Iterator[sh.ShipmentEvent]:
    if shipment.cancelled or shipment.stopping:
        return
    if not shipment.with_carrier:
        yield _cancelled(requested)
    elif shipment.kept:
        return
    elif shipment.dispatched:
        yield sh.ShipmentCancellationRefused(**ids_of(requested))
    else:
        yield sh.ShipmentCancellationRequested(**ids_of(requested))
        if shipment.booking == "booked":
            yield _give_back(shipment, requested, STOPPED)


def _give_back(
    shipment: Shipment, requested: sh.ShipmentRequested, reason: str
) -> sh.ShipmentBookingCancellationRequested:
    assert shipment.tracking
    carrier, number = shipment.tracking
    return sh.ShipmentBookingCancellationRequested(
        **ids_of(requested),
        carrier=carrier,
        tracking_number=number,
        reason=reason,
        carrier_gateway=shipment.booked_by,
    )


def _cancelled(requested: sh.ShipmentRequested) -> sh.ShipmentCancelled:
    return sh.ShipmentCancelled(
        **ids_of(requested), items=requested.items, warehouse_gateway=requested.warehouse_gateway
    )


DECISIONS: dict[type[sh.ShipmentCommand], Any] = {
    sh.PackShipment: pack,
    sh.AnswerPick: answer_pick,
    sh.RequestPickAgain: request_again,
    sh.BookShipment: _book,
    sh.DeferBooking: _defer,
    sh.RecordBooking: _record_booking,
    sh.RecordBookingFailure: _record_booking_failure,
    sh.CancelBooking: _cancel_booking,
    sh.RecordBookingCancelled: _record_booking_cancelled,
    sh.RecordBookingCancellationRefused: _record_booking_cancellation_refused,
    sh.AttachLabel: _attach_label,
    sh.RecordFreightBill: record_freight_bill,
    sh.RecordDispatch: record_dispatch,
    sh.RecordMilestone: record_milestone,
    sh.RecordCollection: record_collection,
    sh.CancelShipment: _cancel,
    sh.SuspectLoss: suspect,
    sh.DeclareLost: declare_lost,
    sh.ChaseDispatch: chase_dispatch,
    sh.ChaseCancellation: chase_cancellation,
}

decider = Decider(
    "shipment",
    Shipment(),
    evolve,
    decide,
    accepts=(sh.RequestShipment, *DECISIONS),
    emits=(
        sh.ShipmentRequested,
        sh.ShipmentPacked,
        sh.ShipmentPickedShort,
        sh.ShipmentPickRejected,
        sh.ShipmentPickDisputed,
        sh.ShipmentPickAnsweredLate,
        sh.ShipmentPickRequestRepeated,
        sh.ShipmentBookingRequested,
        sh.ShipmentBookingDeferred,
        sh.ShipmentBooked,
        sh.ShipmentBookingFailed,
        sh.ShipmentBookingCancellationRequested,
        sh.ShipmentBookingCancelled,
        sh.ShipmentBookingCancellationRefused,
        sh.ShipmentLabelAttached,
        sh.ShipmentFreightBilled,
        sh.ShipmentDispatched,
        sh.ShipmentDispatchOverdue,
        sh.ShipmentMilestoneReached,
        sh.ShipmentExceptionRaised,
        sh.ShipmentExceptionSettled,
        sh.ShipmentPartlyDelivered,
        sh.ShipmentDelivered,
        sh.ShipmentReturnedToSender,
        sh.ShipmentReportDisputed,
        sh.ShipmentFellSilent,
        sh.ShipmentHeardOf,
        sh.ShipmentLost,
        sh.ShipmentCancellationUnanswered,
        sh.ShipmentCancellationRequested,
        sh.ShipmentCancelled,
        sh.ShipmentCancellationRefused,
    ),
)
