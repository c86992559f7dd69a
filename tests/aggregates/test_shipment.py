"""Three tests per rule, happy, nothing happens, refused: a journey is told in order, however it is reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.shipment import decider
from oms_es.kernel import Event
from oms_es.schemas import shipment as s
from oms_es.schemas.order import Address, Reservation

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
OF: Any = {"shipment_id": "o.1", "order_id": "o"}
SHIP: Any = {"shipment_id": "o.1"}
ITEMS = (Reservation(reservation_id="o/1", sku="A", location="berlin", quantity=2),)
CONTENTS: Any = {
    **OF,
    "payment_id": "o.1",
    "location": "berlin",
    "items": ITEMS,
    "amount_minor": 100,
    "ship_to": Address(country="DE"),
}

REQUEST = s.RequestShipment(**CONTENTS)
REQUESTED = s.ShipmentRequested(**CONTENTS)
PACK = s.PackShipment(**SHIP, weight_grams=900)
PACKED = s.ShipmentPacked(**OF, weight_grams=900)
BOOK = s.BookShipment(**SHIP)
BOOKING_REQUESTED = s.ShipmentBookingRequested(**OF, location="berlin", weight_grams=900, ship_to=CONTENTS["ship_to"])
RECORD_BOOKING = s.RecordBooking(**SHIP, carrier="dhl", tracking_number="T1")
BOOKED = s.ShipmentBooked(**OF, carrier="dhl", tracking_number="T1")
RECORD_BOOKING_FAILURE = s.RecordBookingFailure(**SHIP, reason="address unknown")
BOOKING_FAILED = s.ShipmentBookingFailed(**OF, reason="address unknown")
RECORD_DISPATCH = s.RecordDispatch(**SHIP, dispatched_at=NOON)
CANCEL = s.CancelShipment(**SHIP)
CANCELLED = s.ShipmentCancelled(**OF, items=ITEMS)
KEPT = s.ShipmentCancellationRefused(**OF)
DELIVERED = s.ShipmentDelivered(**OF, delivered_at=LATER)


def dispatched(at: datetime = NOON) -> s.ShipmentDispatched:
    sent = {name: value for name, value in CONTENTS.items() if name != "ship_to"}
    return s.ShipmentDispatched(**sent, dispatched_at=at)


def record(status: s.MilestoneStatus, key: str = "m1", at: datetime = LATER) -> s.RecordMilestone:
    return s.RecordMilestone(**SHIP, milestone_id=key, status=status, occurred_at=at)


def reached(status: s.MilestoneStatus, key: str = "m1", at: datetime = LATER) -> s.ShipmentMilestoneReached:
    return s.ShipmentMilestoneReached(**OF, milestone_id=key, status=status, occurred_at=at, detail="")


def requested(*then: Event) -> Given:
    return Given(decider, REQUESTED, *then)


def with_carrier(*then: Event) -> Given:
    return requested(PACKED, BOOKING_REQUESTED, *then)


def test_a_shipment_is_requested_once() -> None:
    Given(decider).when(REQUEST).then(REQUESTED)
    requested().when(REQUEST).then()
    requested(CANCELLED).when(REQUEST).then()
    requested().when(REQUEST.model_copy(update={"items": ()})).then_refused("already_requested")


def test_a_parcel_is_packed_once() -> None:
    requested().when(PACK).then(PACKED)
    requested(PACKED).when(PACK).then()
    requested(PACKED).when(s.PackShipment(**SHIP, weight_grams=1)).then()
    Given(decider).when(PACK).then_refused("unknown_shipment")


def test_a_packed_parcel_is_booked_once() -> None:
    requested(PACKED).when(BOOK).then(BOOKING_REQUESTED)
    with_carrier().when(BOOK).then()
    with_carrier(BOOKED).when(BOOK).then()
    requested().when(BOOK).then_refused("not_packed")


def test_a_failed_booking_can_be_tried_anew() -> None:
    with_carrier().when(RECORD_BOOKING_FAILURE).then(BOOKING_FAILED)
    with_carrier(BOOKING_FAILED).when(RECORD_BOOKING_FAILURE).then()
    with_carrier(BOOKING_FAILED).when(BOOK).then(BOOKING_REQUESTED)
    with_carrier(BOOKING_FAILED, BOOKING_REQUESTED).when(RECORD_BOOKING_FAILURE).then(BOOKING_FAILED)


def test_a_failure_undoes_neither_a_booking_nor_a_journey() -> None:
    with_carrier(BOOKED).when(RECORD_BOOKING_FAILURE).then()
    with_carrier(dispatched()).when(RECORD_BOOKING_FAILURE).then()
    with_carrier(BOOKING_FAILED, dispatched()).when(BOOK).then()


def test_a_booking_is_noted_once() -> None:
    with_carrier().when(RECORD_BOOKING).then(BOOKED)
    with_carrier(BOOKED).when(RECORD_BOOKING).then()
    other = s.RecordBooking(**SHIP, carrier="dhl", tracking_number="T2")
    with_carrier(BOOKED).when(other).then_refused("already_booked")
    requested(PACKED).when(RECORD_BOOKING).then_refused("not_booked")


def test_the_answer_to_a_booking_may_come_after_the_parcel_left() -> None:
    with_carrier(dispatched(), reached("delivered"), DELIVERED).when(RECORD_BOOKING).then(BOOKED)


def test_a_parcel_leaves_once() -> None:
    with_carrier().when(RECORD_DISPATCH).then(dispatched())
    with_carrier(dispatched()).when(RECORD_DISPATCH).then()
    with_carrier(dispatched()).when(s.RecordDispatch(**SHIP, dispatched_at=LATER)).then()
    requested(PACKED).when(RECORD_DISPATCH).then_refused("not_booked")


@pytest.mark.parametrize("status", ["in_transit", "out_for_delivery"])
def test_a_parcel_seen_on_its_way_has_left(status: s.MilestoneStatus) -> None:
    with_carrier().when(record(status)).then(dispatched(LATER), reached(status))
    with_carrier(dispatched()).when(record(status)).then(reached(status))
    requested().when(record(status)).then_refused("not_booked")


def test_an_exception_says_nothing_about_having_left() -> None:
    with_carrier().when(record("exception")).then(reached("exception"))


def test_a_milestone_counts_once_by_the_carriers_own_id() -> None:
    with_carrier(dispatched(), reached("in_transit")).when(record("in_transit")).then()
    with_carrier(dispatched(), reached("in_transit")).when(record("in_transit", "m2")).then(reached("in_transit", "m2"))


def test_a_delivery_happens_once_and_implies_that_the_parcel_left() -> None:
    with_carrier().when(record("delivered")).then(dispatched(LATER), reached("delivered"), DELIVERED)
    with_carrier(dispatched()).when(record("delivered")).then(reached("delivered"), DELIVERED)
    there = with_carrier(dispatched(), reached("delivered"), DELIVERED)
    there.when(record("delivered")).then()
    there.when(record("delivered", "m2")).then(reached("delivered", "m2"))
    there.when(record("in_transit", "m0", NOON)).then(reached("in_transit", "m0", NOON))
    there.when(RECORD_DISPATCH).then()


def test_a_parcel_in_the_warehouse_can_be_stopped() -> None:
    requested().when(CANCEL).then(CANCELLED)
    requested(PACKED).when(CANCEL).then(CANCELLED)
    with_carrier(BOOKING_FAILED).when(CANCEL).then(CANCELLED)
    with_carrier(KEPT, BOOKING_FAILED).when(CANCEL).then(CANCELLED)
    requested(CANCELLED).when(CANCEL).then()
    Given(decider).when(CANCEL).then_refused("unknown_shipment")


def test_a_parcel_with_the_carrier_is_kept_and_that_is_told_once() -> None:
    for journey in ((), (BOOKED,), (dispatched(),), (dispatched(), reached("delivered"), DELIVERED)):
        with_carrier(*journey).when(CANCEL).then(KEPT)
        with_carrier(*journey, KEPT).when(CANCEL).then()


def test_nothing_goes_on_with_a_stopped_parcel() -> None:
    """Packing and booking may have raced with the cancellation; the carrier cannot have."""
    requested(CANCELLED).when(PACK).then()
    requested(PACKED, CANCELLED).when(BOOK).then()
    with_carrier(BOOKING_FAILED, CANCELLED).when(RECORD_BOOKING_FAILURE).then()
    for report in (RECORD_DISPATCH, record("in_transit"), RECORD_BOOKING):
        with_carrier(BOOKING_FAILED, CANCELLED).when(report).then_refused("cancelled")
