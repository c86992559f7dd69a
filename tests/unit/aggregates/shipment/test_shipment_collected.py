"""Parcels that customers collect at the counter, and parcels in cartons that are lost or fall silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.shipment import tracker
from oms_es.aggregates.shipment.decider import decider
from oms_es.kernel import Event
from oms_es.schemas import shipment as sh
from oms_es.schemas.order import Address, Reservation
from oms_es.schemas.shipment import tracker as t

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
SILENCE = timedelta(seconds=sh.SILENCE_SECONDS)
OF: Any = {"shipment_id": "o.1", "order_id": "o"}
SHIP: Any = {"shipment_id": "o.1"}
ONE = Reservation(reservation_id="o/1", sku="A", location="berlin", quantity=1)
TWO = Reservation(reservation_id="o/1", sku="B", location="berlin", quantity=3)
CARTONS = (
    sh.Carton(carton_id="1", box="small", items=(ONE,), weight_grams=500),
    sh.Carton(carton_id="2", box="small", items=(TWO,), weight_grams=400),
)
CHARGES = ({"payment_id": "o.1", "amount_minor": 100},)
CONTENTS: Any = {
    **OF,
    "payment_id": "o.1",
    "location": "berlin",
    "items": (ONE, TWO),
    "amount_minor": 100,
    "charges": CHARGES,
    "ship_to": Address(country="DE"),
    "delivery_option": "express",
}
REQUESTED = sh.ShipmentRequested(**CONTENTS)
TO_COLLECT = sh.ShipmentRequested(**{**CONTENTS, "pickup": True})
PACK = sh.PackShipment(**SHIP, weight_grams=900)
PACKED = sh.ShipmentPacked(
    **OF, weight_grams=900, location="berlin", ship_to=CONTENTS["ship_to"], delivery_option="express"
)
READY = PACKED.model_copy(update={"pickup": True})
COLLECT = sh.RecordCollection(**SHIP, collected_at=LATER)


def left(at: datetime) -> sh.ShipmentDispatched:
    sent = {name: value for name, value in CONTENTS.items() if name != "ship_to"}
    return sh.ShipmentDispatched(**sent, dispatched_at=at)


def reached(status: sh.MilestoneStatus, key: str, at: datetime, **more: Any) -> sh.ShipmentMilestoneReached:
    return sh.ShipmentMilestoneReached(**OF, milestone_id=key, status=status, occurred_at=at, detail="", **more)


DELIVERED = sh.ShipmentDelivered(**OF, delivered_at=LATER)
COLLECTED = reached("delivered", "collected", LATER).model_copy(update={"detail": "collected at the counter"})


def test_what_is_collected_leaves_and_arrives_at_once_and_once() -> None:
    Given(decider, TO_COLLECT).when(PACK).then(READY)
    given = Given(decider, TO_COLLECT, READY)
    given.when(COLLECT).then(left(LATER), COLLECTED, DELIVERED)
    Given(decider, TO_COLLECT, READY, left(LATER), COLLECTED, DELIVERED).when(COLLECT).then()


def test_only_a_packed_parcel_that_is_still_there_can_be_collected() -> None:
    cancelled = sh.ShipmentCancelled(**OF, items=CONTENTS["items"])
    Given(decider, TO_COLLECT).when(COLLECT).then_refused("not_ready", "o.1 is not packed:")
    Given(decider, TO_COLLECT, READY, cancelled).when(COLLECT).then_refused("not_ready", "o.1 was cancelled:")
    Given(decider, REQUESTED, PACKED).when(COLLECT).then_refused("not_a_pickup")
    Given(decider, TO_COLLECT, READY).when(sh.BookShipment(**SHIP)).then_refused("collected")


def test_a_packed_parcel_waits_to_be_collected_and_one_that_is_not_packed_to_be_packed() -> None:
    chase = sh.ChaseDispatch(**SHIP)
    overdue = sh.ShipmentDispatchOverdue(**OF, waits_for="collection")
    Given(decider, TO_COLLECT, READY).when(chase).then(overdue)
    Given(decider, TO_COLLECT).when(chase).then(overdue.model_copy(update={"waits_for": "packing"}))


BOOKING = sh.ShipmentBookingRequested(
    **OF,
    location="berlin",
    weight_grams=900,
    ship_to=CONTENTS["ship_to"],
    cartons=(sh.CartonWeight(carton_id="1", weight_grams=500), sh.CartonWeight(carton_id="2", weight_grams=400)),
    delivery_option="express",
)
NUMBERS = {"1": "T1-1", "2": "T1-2"}
BOOKED = sh.ShipmentBooked(**OF, carrier="dhl", tracking_number="T1", carton_numbers=NUMBERS, booked_at=NOON)
IN_CARTONS = REQUESTED.model_copy(update={"cartons": CARTONS, "carton_rule": "1"})
WEIGHED = PACKED.model_copy(update={"cartons": BOOKING.cartons})
ON_ITS_WAY = (IN_CARTONS, WEIGHED, BOOKING, BOOKED, left(NOON))


def given(*then: Event) -> Given:
    return Given(decider, *ON_ITS_WAY, *then)


def seen(carton_id: str, status: sh.MilestoneStatus, key: str, at: datetime) -> sh.ShipmentMilestoneReached:
    return reached(status, key, at, carton_id=carton_id, tracking_number=f"T1-{carton_id}")


def test_the_booking_names_the_cartons_and_the_carrier_when_it_was_booked() -> None:
    Given(decider, IN_CARTONS, WEIGHED).when(sh.BookShipment(**SHIP)).then(BOOKING)
    answer = sh.RecordBooking(
        **SHIP, carrier="dhl", tracking_number="T1", carton_numbers={**NUMBERS, "3": "X"}, booked_at=NOON
    )
    Given(decider, IN_CARTONS, WEIGHED, BOOKING).when(answer).then(BOOKED)


def test_the_same_contents_in_other_cartons_are_the_same_shipment_and_other_contents_are_not() -> None:
    request = sh.RequestShipment(**CONTENTS)
    otherwise = sh.RequestShipment(**CONTENTS, cartons=CARTONS, carton_rule="2")
    Given(decider, IN_CARTONS).when(request).then()
    Given(decider, IN_CARTONS).when(otherwise).then()
    Given(decider, IN_CARTONS).when(request.model_copy(update={"amount_minor": 99})).then_refused("already_requested")


def test_units_of_one_lock_in_two_cartons_are_added_up() -> None:
    halves = [ONE.model_copy(update={"quantity": n}) for n in (1, 2)]
    three = ONE.model_copy(update={"quantity": 3})
    cartons = tuple(
        sh.Carton(carton_id=str(n), box="small", items=(half,), weight_grams=1) for n, half in enumerate(halves)
    )
    request = sh.RequestShipment(**{**CONTENTS, "items": (three,)}, cartons=cartons)
    requested = sh.ShipmentRequested(**{**CONTENTS, "items": (three,)}, cartons=cartons)
    Given(decider).when(request).then(requested)
    less = request.model_copy(update={"items": (ONE,)})
    Given(decider).when(less).then_refused("cartons_do_not_match")


def test_the_carton_that_was_not_seen_for_longest_says_since_when_the_shipment_is_silent() -> None:
    first = seen("1", "in_transit", "m1", LATER)
    second = seen("2", "in_transit", "m2", LATER + timedelta(hours=1))
    silent = sh.ShipmentFellSilent(**OF, since=LATER)
    given(first, second).when(sh.SuspectLoss(**SHIP, now=LATER + SILENCE)).then(silent)
    given(first).when(sh.SuspectLoss(**SHIP, now=NOON + SILENCE)).then(sh.ShipmentFellSilent(**OF, since=NOON))


def test_after_it_was_heard_of_it_can_fall_silent_again() -> None:
    silent = sh.ShipmentFellSilent(**OF, since=NOON)
    heard = sh.ShipmentHeardOf(**OF, seen_at=LATER)
    both = (seen("1", "in_transit", "m1", LATER), seen("2", "in_transit", "m2", LATER))
    given(silent, *both, heard).when(sh.SuspectLoss(**SHIP, now=LATER + SILENCE)).then(
        sh.ShipmentFellSilent(**OF, since=LATER)
    )


def lost(*carton_ids: str, items: Any, complete: bool) -> sh.ShipmentLost:
    return sh.ShipmentLost(
        **OF, items=items, carton_ids=carton_ids, complete=complete, choice="refund", reason="it burned"
    )


def test_of_cartons_that_are_given_up_only_those_on_their_way_are_lost() -> None:
    lose = sh.DeclareLost(**SHIP, choice="refund", reason="it burned")
    arrived = seen("1", "delivered", "m1", LATER)
    partly = sh.ShipmentPartlyDelivered(**OF, carton_ids=("1",), delivered_at=LATER)
    given(arrived, partly).when(lose).then(lost("2", items=(TWO,), complete=False))
    given().when(lose).then(lost("1", "2", items=(ONE, TWO), complete=True))


def test_a_silent_parcel_that_is_given_up_is_not_silent_any_more() -> None:
    silent = sh.ShipmentFellSilent(**OF, since=NOON)
    assert given(silent).state.silent_since == NOON
    assert given(silent, lost("1", "2", items=(ONE, TWO), complete=True)).state.silent_since is None


def test_a_carrier_that_is_asked_again_to_cancel_may_leave_that_unanswered_again() -> None:
    back = sh.ShipmentBookingCancellationRequested(**OF, carrier="dhl", tracking_number="T1", reason="a cheaper one")
    unanswered = sh.ShipmentCancellationUnanswered(**OF, carrier="dhl", tracking_number="T1")
    kept = sh.ShipmentBookingCancellationRefused(**OF, reason="no")
    booked = (IN_CARTONS, WEIGHED, BOOKING, BOOKED, back, unanswered)
    assert Given(decider, *booked).state.unanswered is True
    Given(decider, *booked, kept, back).when(sh.ChaseCancellation(**SHIP)).then(unanswered)
    assert Given(decider, *booked, kept, back).state.unanswered is False


@pytest.mark.parametrize(
    ("known", "named", "is_news"), [(("a", "b"), ("a", "b"), False), (("a", "b"), ("a", "c"), True)]
)
def test_that_parcels_share_a_number_is_recorded_for_each_set_of_them(
    known: tuple[str, ...], named: tuple[str, ...], is_news: bool
) -> None:
    number: Any = {"carrier": "dhl", "tracking_number": "T1"}
    shared = t.TrackingNumberShared(**number, shipment_ids=named)
    command = t.RecordSharedNumber(**number, shipment_ids=named)
    Given(tracker.decider).when(command).then(shared)
    Given(tracker.decider, t.TrackingNumberShared(**number, shipment_ids=("a", "b"))).when(command).then(
        *([shared] if is_news else [])
    )
