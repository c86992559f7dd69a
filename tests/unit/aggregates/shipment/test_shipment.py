"""Tracking gives the same result in whichever order it is reported; three tests per rule: it happens, nothing
happens, it is refused.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.shipment.carton_tracking import CartonTracking
from oms_es.aggregates.shipment.decider import STOPPED, decider
from oms_es.aggregates.shipment.state import Shipment
from oms_es.kernel import Event
from oms_es.schemas import shipment as sh
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

REQUEST = sh.RequestShipment(**CONTENTS)
REQUESTED = sh.ShipmentRequested(**CONTENTS)
PACK = sh.PackShipment(**SHIP, weight_grams=900)
PACKED = sh.ShipmentPacked(**OF, weight_grams=900, location="berlin", ship_to=CONTENTS["ship_to"])
BOOK = sh.BookShipment(**SHIP)
BOOKING_REQUESTED = sh.ShipmentBookingRequested(**OF, location="berlin", weight_grams=900, ship_to=CONTENTS["ship_to"])
RECORD_BOOKING = sh.RecordBooking(**SHIP, carrier="dhl", tracking_number="T1")
BOOKED = sh.ShipmentBooked(**OF, carrier="dhl", tracking_number="T1")
RECORD_BOOKING_FAILURE = sh.RecordBookingFailure(**SHIP, reason="address unknown")
BOOKING_FAILED = sh.ShipmentBookingFailed(**OF, reason="address unknown")
RECORD_DISPATCH = sh.RecordDispatch(**SHIP, dispatched_at=NOON)
CANCEL = sh.CancelShipment(**SHIP)
CANCELLED = sh.ShipmentCancelled(**OF, items=ITEMS)
KEPT = sh.ShipmentCancellationRefused(**OF)
DELIVERED = sh.ShipmentDelivered(**OF, delivered_at=LATER)
STOP = sh.ShipmentCancellationRequested(**OF)
CANCEL_BOOKING = sh.CancelBooking(**SHIP, reason="another carrier is cheaper")
GIVE_BACK = sh.ShipmentBookingCancellationRequested(
    **OF, carrier="dhl", tracking_number="T1", reason="another carrier is cheaper"
)
CHASE = sh.ChaseDispatch(**SHIP)
STOP_GIVE_BACK = GIVE_BACK.model_copy(update={"reason": STOPPED})
RECORD_GIVEN_BACK = sh.RecordBookingCancelled(**SHIP)
GIVEN_BACK = sh.ShipmentBookingCancelled(**OF, carrier="dhl", tracking_number="T1")
RECORD_NOT_GIVEN_BACK = sh.RecordBookingCancellationRefused(**SHIP, reason="the van is on its way")
NOT_GIVEN_BACK = sh.ShipmentBookingCancellationRefused(**OF, reason="the van is on its way")


def dispatched(at: datetime = NOON) -> sh.ShipmentDispatched:
    sent = {name: value for name, value in CONTENTS.items() if name != "ship_to"}
    return sh.ShipmentDispatched(**sent, dispatched_at=at)


def record(status: sh.MilestoneStatus, key: str = "m1", at: datetime = LATER) -> sh.RecordMilestone:
    return sh.RecordMilestone(**SHIP, milestone_id=key, status=status, occurred_at=at)


def reached(status: sh.MilestoneStatus, key: str = "m1", at: datetime = LATER) -> sh.ShipmentMilestoneReached:
    return sh.ShipmentMilestoneReached(**OF, milestone_id=key, status=status, occurred_at=at, detail="")


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
    requested(PACKED).when(sh.PackShipment(**SHIP, weight_grams=1)).then()
    Given(decider).when(PACK).then_refused("unknown_shipment")


def test_a_packed_parcel_is_booked_once() -> None:
    requested(PACKED).when(BOOK).then(BOOKING_REQUESTED)
    with_carrier().when(BOOK).then()
    with_carrier(BOOKED).when(BOOK).then()
    requested().when(BOOK).then_refused("not_packed")


def test_a_failed_booking_can_be_tried_again() -> None:
    with_carrier().when(RECORD_BOOKING_FAILURE).then(BOOKING_FAILED)
    with_carrier(BOOKING_FAILED).when(RECORD_BOOKING_FAILURE).then()
    with_carrier(BOOKING_FAILED).when(BOOK).then(BOOKING_REQUESTED)
    with_carrier(BOOKING_FAILED, BOOKING_REQUESTED).when(RECORD_BOOKING_FAILURE).then(BOOKING_FAILED)


def test_a_failure_undoes_neither_a_booking_nor_a_tracking() -> None:
    with_carrier(BOOKED).when(RECORD_BOOKING_FAILURE).then()
    with_carrier(dispatched()).when(RECORD_BOOKING_FAILURE).then()
    with_carrier(BOOKING_FAILED, dispatched()).when(BOOK).then()


def test_a_booking_is_noted_once() -> None:
    with_carrier().when(RECORD_BOOKING).then(BOOKED)
    with_carrier(BOOKED).when(RECORD_BOOKING).then()
    other = sh.RecordBooking(**SHIP, carrier="dhl", tracking_number="T2")
    with_carrier(BOOKED).when(other).then_refused("already_booked")
    requested(PACKED).when(RECORD_BOOKING).then_refused("not_booked")


def test_the_answer_to_a_booking_may_come_after_the_parcel_left() -> None:
    with_carrier(dispatched(), reached("delivered"), DELIVERED).when(RECORD_BOOKING).then(BOOKED)


def test_a_parcel_leaves_once() -> None:
    with_carrier().when(RECORD_DISPATCH).then(dispatched())
    with_carrier(dispatched()).when(RECORD_DISPATCH).then()
    with_carrier(dispatched()).when(sh.RecordDispatch(**SHIP, dispatched_at=LATER)).then()
    requested(PACKED).when(RECORD_DISPATCH).then_refused("not_booked")


@pytest.mark.parametrize("status", ["in_transit", "out_for_delivery"])
def test_a_parcel_seen_on_its_way_has_left(status: sh.MilestoneStatus) -> None:
    with_carrier().when(record(status)).then(dispatched(LATER), reached(status))
    with_carrier(dispatched()).when(record(status)).then(reached(status))
    requested().when(record(status)).then_refused("not_booked")


def test_an_exception_says_nothing_about_having_left() -> None:
    with_carrier().when(record("exception")).then(reached("exception"), exception("exception"))


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


def test_a_parcel_that_left_is_kept_and_that_is_reported_once() -> None:
    for tracking in ((dispatched(),), (dispatched(), reached("delivered"), DELIVERED)):
        with_carrier(*tracking).when(CANCEL).then(KEPT)
        with_carrier(*tracking, KEPT).when(CANCEL).then()


def test_a_booked_parcel_is_stopped_once_the_carrier_gives_it_back() -> None:
    with_carrier(BOOKED).when(CANCEL).then(STOP, STOP_GIVE_BACK)
    asked = with_carrier(BOOKED, STOP, STOP_GIVE_BACK)
    asked.when(CANCEL).then()
    asked.when(RECORD_GIVEN_BACK).then(GIVEN_BACK, CANCELLED)
    asked.when(RECORD_NOT_GIVEN_BACK).then(NOT_GIVEN_BACK, KEPT)
    asked.when(RECORD_DISPATCH).then(dispatched(), KEPT)
    with_carrier(BOOKED, STOP, STOP_GIVE_BACK, GIVEN_BACK, CANCELLED).when(RECORD_GIVEN_BACK).then()
    with_carrier(BOOKED, STOP, STOP_GIVE_BACK, NOT_GIVEN_BACK, KEPT).when(RECORD_NOT_GIVEN_BACK).then()
    with_carrier(BOOKED, STOP, STOP_GIVE_BACK, NOT_GIVEN_BACK, KEPT).when(CANCEL).then()
    with_carrier(BOOKED, STOP, STOP_GIVE_BACK, dispatched(), KEPT).when(RECORD_NOT_GIVEN_BACK).then(NOT_GIVEN_BACK)


def test_a_parcel_whose_booking_is_not_answered_is_stopped_by_the_answer() -> None:
    with_carrier().when(CANCEL).then(STOP)
    with_carrier(STOP).when(CANCEL).then()
    with_carrier(STOP).when(RECORD_BOOKING).then(BOOKED, STOP_GIVE_BACK)
    with_carrier(STOP).when(RECORD_BOOKING_FAILURE).then(BOOKING_FAILED, CANCELLED)
    with_carrier(STOP).when(record("in_transit")).then(dispatched(LATER), KEPT, reached("in_transit"))


def test_a_booking_is_cancelled_with_the_carriers_consent_and_the_parcel_stays_ours() -> None:
    with_carrier(BOOKED).when(CANCEL_BOOKING).then(GIVE_BACK)
    with_carrier(BOOKED, GIVE_BACK).when(CANCEL_BOOKING).then()
    with_carrier(BOOKED, GIVE_BACK).when(CANCEL).then(STOP)
    with_carrier(BOOKED, GIVE_BACK).when(RECORD_GIVEN_BACK).then(GIVEN_BACK)
    ours = with_carrier(BOOKED, GIVE_BACK, GIVEN_BACK)
    ours.when(RECORD_GIVEN_BACK).then()
    ours.when(CANCEL_BOOKING).then()
    ours.when(CANCEL).then(CANCELLED)
    ours.when(BOOK).then(BOOKING_REQUESTED)
    ours.when(RECORD_BOOKING).then()  # the first booking's answer, reported again
    requested(PACKED).when(CANCEL_BOOKING).then()
    with_carrier().when(CANCEL_BOOKING).then_refused("not_answered")
    with_carrier(BOOKED, dispatched()).when(CANCEL_BOOKING).then_refused("already_left")


def test_a_carrier_that_keeps_the_booking_can_be_asked_again() -> None:
    with_carrier(BOOKED, GIVE_BACK).when(RECORD_NOT_GIVEN_BACK).then(NOT_GIVEN_BACK)
    with_carrier(BOOKED).when(RECORD_NOT_GIVEN_BACK).then()
    with_carrier(BOOKED, GIVE_BACK, NOT_GIVEN_BACK).when(CANCEL_BOOKING).then(GIVE_BACK)


def test_a_carrier_may_cancel_of_its_own_accord_but_not_what_has_left() -> None:
    with_carrier(BOOKED).when(RECORD_GIVEN_BACK).then(GIVEN_BACK)
    disputed = sh.ShipmentReportDisputed(**OF, report="cancelled T1", detail="dhl cancelled a parcel that had left")
    with_carrier(BOOKED, dispatched()).when(RECORD_GIVEN_BACK).then(disputed)
    with_carrier(BOOKED, dispatched(), disputed).when(RECORD_GIVEN_BACK).then()


def test_what_is_seen_under_a_void_label_moves_nothing_and_is_reported_to_a_person() -> None:
    """P13: however often it is reported, it is one event."""
    again = sh.ShipmentBooked(**OF, carrier="dhl", tracking_number="T2")
    booked_anew = with_carrier(BOOKED, GIVE_BACK, GIVEN_BACK, BOOKING_REQUESTED, again)
    old = record("in_transit").model_copy(update={"tracking_number": "T1"})
    (disputed,) = decider.decide(booked_anew.state, old)
    assert isinstance(disputed, sh.ShipmentReportDisputed)
    assert disputed.report == "m1"
    assert not tuple(decider.decide(decider.evolve(booked_anew.state, disputed), old))
    booked_anew.when(old.model_copy(update={"status": "cancelled"})).then()
    new = record("in_transit").model_copy(update={"tracking_number": "T2"})
    seen = reached("in_transit").model_copy(update={"tracking_number": "T2"})
    booked_anew.when(new).then(dispatched(LATER), seen)
    booked_anew.when(new.model_copy(update={"tracking_number": "T9"})).then_refused("other_number")


LABEL = sh.LabelDocument(sha256="ab" * 32, byte_count=3)
ATTACHED = sh.ShipmentLabelAttached(**OF, carton_id="", document=LABEL)


def test_a_label_is_attached_once_by_its_hash() -> None:
    attach = sh.AttachLabel(**SHIP, document=LABEL)
    with_carrier(BOOKED).when(attach).then(ATTACHED)
    with_carrier(BOOKED, ATTACHED).when(attach).then()
    other = LABEL.model_copy(update={"sha256": "cd" * 32})
    another = attach.model_copy(update={"document": other})
    with_carrier(BOOKED, ATTACHED).when(another).then(ATTACHED.model_copy(update={"document": other}))
    with_carrier(BOOKED).when(attach.model_copy(update={"carton_id": "9"})).then_refused("unknown_carton")


def test_a_shipment_that_no_rate_serves_waits_for_a_person() -> None:
    defer = sh.DeferBooking(**SHIP, rule_version="1")
    deferred = sh.ShipmentBookingDeferred(**OF, delivery_option="standard", candidates=(), rule_version="1")
    requested(PACKED).when(defer).then(deferred)
    requested(PACKED, deferred).when(defer).then()
    with_carrier(BOOKED).when(defer).then()
    requested(PACKED, deferred).when(BOOK).then(BOOKING_REQUESTED)
    requested(PACKED, deferred).when(CANCEL).then(CANCELLED)
    requested(PACKED, deferred).when(record("in_transit")).then_refused("not_booked")


def test_who_carries_it_and_why_is_kept_in_the_intent() -> None:
    choice: Any = {
        "carrier": "dhl",
        "service": "parcel",
        "quoted_minor": 490,
        "currency": "EUR",
        "transit_days": 2,
        "candidates": (sh.CarrierCandidate(carrier="dhl", service="parcel", price_minor=490, transit_days=2),),
        "rule_version": "1",
    }
    requested(PACKED).when(sh.BookShipment(**SHIP, **choice)).then(BOOKING_REQUESTED.model_copy(update=choice))


# --- tracking events


def exception(status: sh.MilestoneStatus, at: datetime = LATER, carton_id: str = "") -> sh.ShipmentExceptionRaised:
    return sh.ShipmentExceptionRaised(**OF, carton_id=carton_id, status=status, occurred_at=at, detail="")


SETTLED = sh.ShipmentExceptionSettled(**OF, carton_id="")


def back(*carton_ids: str, items: Any = ITEMS, complete: bool = True, at: datetime = LATER) -> Event:
    return sh.ShipmentReturnedToSender(
        **OF, location="berlin", items=items, carton_ids=carton_ids or ("",), returned_at=at, complete=complete
    )


def test_an_exception_is_open_until_something_better_is_seen_later() -> None:
    bad = reached("exception", at=NOON)
    open_ = with_carrier(dispatched(), bad, exception("exception", NOON))
    with_carrier(dispatched()).when(record("exception", at=NOON)).then(bad, exception("exception", NOON))
    open_.when(record("exception", "m2", NOON)).then(reached("exception", "m2", NOON))
    open_.when(record("out_for_delivery", "m2")).then(reached("out_for_delivery", "m2"), SETTLED)
    open_.when(record("delivered", "m2")).then(reached("delivered", "m2"), DELIVERED, SETTLED)
    went_on = with_carrier(dispatched(), reached("out_for_delivery"))
    went_on.when(record("exception", "m0", NOON)).then(reached("exception", "m0", NOON))


def test_a_parcel_that_is_turned_back_is_an_exception_until_it_is_back() -> None:
    turned = (dispatched(), reached("return_to_sender", at=NOON), exception("return_to_sender", NOON))
    with_carrier(dispatched()).when(record("return_to_sender", at=NOON)).then(*turned[1:])
    with_carrier(*turned).when(record("returned", "m2")).then(reached("returned", "m2"), back(), SETTLED)
    with_carrier(*turned).when(record("delivered", "m2")).then(reached("delivered", "m2"), back(), SETTLED)
    there = with_carrier(*turned, reached("returned", "m2"), back(), SETTLED)
    there.when(record("returned", "m3")).then(reached("returned", "m3"))
    there.when(record("returned", "m2")).then()


def test_words_that_are_not_known_are_kept_and_change_nothing() -> None:
    result = record("unknown").model_copy(update={"carrier_status": "handed to a drone"})
    kept = reached("unknown").model_copy(update={"carrier_status": "handed to a drone"})
    with_carrier().when(result).then(kept)
    with_carrier(dispatched(), kept).when(result).then()


# --- cartons

ONE, TWO = (ITEMS[0].model_copy(update={"quantity": 1}) for _ in range(2))
CARTONS = (
    sh.Carton(carton_id="1", box="small", items=(ONE,), weight_grams=500),
    sh.Carton(carton_id="2", box="small", items=(TWO,), weight_grams=400),
)
IN_CARTONS = REQUESTED.model_copy(update={"cartons": CARTONS, "carton_rule": "1"})
CARTONED = REQUEST.model_copy(update={"cartons": CARTONS, "carton_rule": "1"})
BOOKED_IN_TWO = BOOKED.model_copy(update={"carton_numbers": {"1": "T1-1", "2": "T1-2"}})


def in_cartons(*then: Event) -> Given:
    return Given(decider, IN_CARTONS, PACKED, BOOKING_REQUESTED, BOOKED_IN_TWO, dispatched(), *then)


def of_carton(carton_id: str, status: sh.MilestoneStatus, key: str) -> tuple[sh.RecordMilestone, Event]:
    number = f"T1-{carton_id}"
    result = record(status, key).model_copy(update={"tracking_number": number})
    return result, reached(status, key).model_copy(update={"carton_id": carton_id, "tracking_number": number})


def test_a_shipment_may_be_planned_in_cartons() -> None:
    Given(decider).when(CARTONED).then(IN_CARTONS)
    Given(decider, IN_CARTONS).when(CARTONED).then()
    Given(decider, IN_CARTONS).when(REQUEST).then()  # the same contents, however they would be packed today


@pytest.mark.parametrize("cartons", [CARTONS[:1], (*CARTONS, CARTONS[1]), (CARTONS[0], CARTONS[0])])
def test_p20_cartons_never_hold_more_or_less_than_the_shipment(cartons: tuple[sh.Carton, ...]) -> None:
    Given(decider).when(REQUEST.model_copy(update={"cartons": cartons})).then_refused("cartons_do_not_match")


def test_each_carton_is_weighed_as_packed_or_weighs_what_was_planned() -> None:
    planned = (sh.CartonWeight(carton_id="1", weight_grams=500), sh.CartonWeight(carton_id="2", weight_grams=400))
    weighed = (sh.CartonWeight(carton_id="1", weight_grams=510), sh.CartonWeight(carton_id="2", weight_grams=390))
    Given(decider, IN_CARTONS).when(PACK).then(PACKED.model_copy(update={"cartons": planned}))
    result = PACK.model_copy(update={"cartons": weighed})
    Given(decider, IN_CARTONS).when(result).then(PACKED.model_copy(update={"cartons": weighed}))
    Given(decider, IN_CARTONS).when(PACK.model_copy(update={"cartons": weighed[:1]})).then_refused("unknown_carton")


def test_a_carton_is_as_large_as_planned_unless_it_was_measured() -> None:
    large = tuple(carton.model_copy(update={"volume_ml": 4_000}) for carton in CARTONS)
    given = Given(decider, IN_CARTONS.model_copy(update={"cartons": large}))
    planned = tuple(
        sh.CartonWeight(carton_id=c.carton_id, weight_grams=c.weight_grams, volume_ml=4_000) for c in CARTONS
    )
    given.when(PACK).then(PACKED.model_copy(update={"cartons": planned}))
    measured = (planned[0].model_copy(update={"volume_ml": 3_100}), planned[1])
    weighed = (measured[0], planned[1].model_copy(update={"volume_ml": 0}))
    given.when(PACK.model_copy(update={"cartons": weighed})).then(PACKED.model_copy(update={"cartons": measured}))


def test_cartons_arrive_one_by_one_and_the_shipment_with_the_last() -> None:
    first, seen = of_carton("1", "delivered", "m1")
    partly = sh.ShipmentPartlyDelivered(**OF, carton_ids=("1",), delivered_at=LATER)
    in_cartons().when(first).then(seen, partly)
    in_cartons(seen, partly).when(first).then()
    last, seen_last = of_carton("2", "delivered", "m2")
    in_cartons(seen, partly).when(last).then(seen_last, DELIVERED)
    whole = record("delivered")
    in_cartons().when(whole).then(reached("delivered"), DELIVERED)
    in_cartons(seen, partly).when(record("delivered", "m3")).then(reached("delivered", "m3"), DELIVERED)
    stranger = whole.model_copy(update={"carton_id": "3"})
    in_cartons().when(stranger).then_refused("unknown_carton")


def test_a_carton_that_came_back_is_returned_alone_and_the_others_are_delivered() -> None:
    first, seen = of_carton("1", "returned", "m1")
    alone = back("1", items=(ONE,), complete=False)
    in_cartons().when(first).then(seen, alone)
    last, seen_last = of_carton("2", "delivered", "m2")
    in_cartons(seen, alone).when(last).then(seen_last, DELIVERED)
    also, seen_also = of_carton("2", "returned", "m2")
    in_cartons(seen, alone).when(also).then(seen_also, back("2", items=(TWO,)))


SIGHTINGS: tuple[tuple[sh.MilestoneStatus, str, int], ...] = (
    ("picked_up", "", 0),
    ("exception", "1", 1),
    ("out_for_delivery", "1", 2),
    ("return_to_sender", "2", 2),
    ("delivered", "1", 3),
    ("delivered", "2", 4),
    ("unknown", "2", 5),
)


def reported_in(order: tuple[int, ...]) -> tuple[Shipment, list[Event]]:
    """Return state and events after the tracking events in this order, each reported twice."""
    state = Given(decider, IN_CARTONS, PACKED, BOOKING_REQUESTED, BOOKED_IN_TWO).state
    happened: list[Event] = []
    for i in order:
        status, carton_id, hours = SIGHTINGS[i]
        at = NOON + timedelta(hours=hours)
        result = record(status, f"m{i}", at).model_copy(update={"carton_id": carton_id})
        for _ in range(2):
            for event in decider.decide(state, result):
                happened.append(event)
                state = decider.evolve(state, event)
    return state, happened


def test_p18_tracking_events_converge_in_every_order_and_however_often_they_are_reported() -> None:
    in_order, _ = reported_in(tuple(range(len(SIGHTINGS))))
    assert in_order.outcomes == {"1": "delivered", "2": "returned"}
    assert not in_order.raised
    for order in permutations(range(len(SIGHTINGS))):
        state, happened = reported_in(order)
        assert state.trackings == in_order.trackings
        assert (state.outcomes, state.raised, state.returned) == (in_order.outcomes, in_order.raised, in_order.returned)
        assert state.dispatched
        assert state.delivered
        names = Counter(type(event) for event in happened)
        assert names[sh.ShipmentDispatched] == names[sh.ShipmentDelivered] == names[sh.ShipmentReturnedToSender] == 1
        assert names[sh.ShipmentMilestoneReached] == len(SIGHTINGS)
        assert names[sh.ShipmentExceptionRaised] >= names[sh.ShipmentExceptionSettled]


# --- silent, and lost

LONG = timedelta(seconds=sh.SILENCE_SECONDS)


def suspect(now: datetime) -> sh.SuspectLoss:
    return sh.SuspectLoss(**SHIP, now=now)


def test_a_parcel_that_is_not_seen_for_long_is_suspected_to_be_lost_until_it_is_seen() -> None:
    silent = sh.ShipmentFellSilent(**OF, since=NOON)
    heard = sh.ShipmentHeardOf(**OF, seen_at=LATER)
    with_carrier(dispatched()).when(suspect(NOON + LONG)).then(silent)
    with_carrier(dispatched()).when(suspect(NOON + LONG - timedelta(seconds=1))).then()
    with_carrier(dispatched(), silent).when(suspect(NOON + LONG)).then()
    with_carrier(dispatched(), silent).when(record("in_transit")).then(reached("in_transit"), heard)
    with_carrier(dispatched(), silent).when(record("delivered")).then(reached("delivered"), heard, DELIVERED)


def test_a_parcel_that_was_seen_meanwhile_is_asked_for_later() -> None:
    seen = (dispatched(), reached("in_transit"))
    heard = sh.ShipmentHeardOf(**OF, seen_at=LATER)
    with_carrier(*seen).when(suspect(NOON + LONG)).then(heard)
    with_carrier(*seen, heard).when(suspect(NOON + LONG)).then()
    with_carrier(*seen, heard).when(suspect(LATER + LONG)).then(sh.ShipmentFellSilent(**OF, since=LATER))


@pytest.mark.parametrize("end", [(), (dispatched(), reached("delivered"), DELIVERED)])
def test_what_has_not_left_or_has_arrived_is_not_suspected(end: tuple[Event, ...]) -> None:
    with_carrier(*end).when(suspect(NOON + LONG)).then()


LOSE = sh.DeclareLost(**SHIP, choice="refund", reason="the carrier cannot find it")
LOST = sh.ShipmentLost(
    **OF, items=ITEMS, carton_ids=("",), complete=True, choice="refund", reason="the carrier cannot find it"
)


def test_a_parcel_is_given_up_once_and_its_exceptions_with_it() -> None:
    with_carrier(dispatched()).when(LOSE).then(LOST)
    with_carrier(dispatched(), LOST).when(LOSE).then()
    given_up = (dispatched(), reached("failure"))
    raised = sh.ShipmentExceptionRaised(**OF, carton_id="", status="failure", occurred_at=LATER, detail="")
    with_carrier(*given_up, raised).when(LOSE).then(LOST, sh.ShipmentExceptionSettled(**OF, carton_id=""))
    with_carrier(dispatched(), LOST).when(suspect(NOON + LONG)).then()


def test_what_has_not_left_or_has_arrived_cannot_be_lost() -> None:
    with_carrier().when(LOSE).then_refused("not_on_its_way")
    with_carrier(dispatched(), reached("delivered"), DELIVERED).when(LOSE).then_refused("not_on_its_way")


def test_a_lost_parcel_that_is_seen_after_all_is_for_a_person() -> None:
    disputed = sh.ShipmentReportDisputed(
        **OF, report="m1", detail="seen delivered although it was given up as lost", occurred_at=LATER
    )
    with_carrier(dispatched(), LOST).when(record("delivered")).then(disputed)
    with_carrier(dispatched(), LOST, disputed).when(record("delivered")).then()
    with_carrier(dispatched(), LOST).when(record("failure")).then()


@pytest.mark.parametrize(
    ("so_far", "waits_for"),
    [
        ((), "packing"),
        ((PACKED,), "booking"),
        ((PACKED, BOOKING_REQUESTED, BOOKING_FAILED), "booking"),
        ((PACKED, BOOKING_REQUESTED, BOOKED), "collection"),
        ((PACKED, BOOKING_REQUESTED, BOOKED, GIVE_BACK), "collection"),
        ((PACKED, BOOKING_REQUESTED, BOOKED, GIVE_BACK, GIVEN_BACK), "booking"),
    ],
)
def test_a_parcel_that_has_not_left_in_time_says_once_what_it_waits_for(
    so_far: tuple[sh.ShipmentEvent, ...], waits_for: sh.DispatchStep
) -> None:
    overdue = sh.ShipmentDispatchOverdue(**OF, waits_for=waits_for)
    requested(*so_far).when(CHASE).then(overdue)
    requested(*so_far, overdue).when(CHASE).then()


def test_no_one_asks_for_a_parcel_that_left_or_was_stopped() -> None:
    with_carrier(BOOKED, dispatched()).when(CHASE).then()
    requested(CANCELLED).when(CHASE).then()
    Given(decider).when(CHASE).then_refused("unknown_shipment")


def test_a_carrier_that_does_not_say_whether_it_cancels_is_asked_by_a_person_once() -> None:
    chase = sh.ChaseCancellation(**SHIP)
    unanswered = sh.ShipmentCancellationUnanswered(**OF, carrier="dhl", tracking_number="T1")
    with_carrier(BOOKED, GIVE_BACK).when(chase).then(unanswered)
    with_carrier(BOOKED, GIVE_BACK, unanswered).when(chase).then()
    with_carrier(BOOKED, GIVE_BACK, GIVEN_BACK).when(chase).then()
    with_carrier(BOOKED, GIVE_BACK, unanswered).when(RECORD_GIVEN_BACK).then(GIVEN_BACK)


def test_nothing_goes_on_with_a_stopped_parcel() -> None:
    """Packing and booking may have raced with the cancellation; the carrier cannot have."""
    requested(CANCELLED).when(PACK).then()
    requested(PACKED, CANCELLED).when(BOOK).then()
    with_carrier(BOOKING_FAILED, CANCELLED).when(RECORD_BOOKING_FAILURE).then()
    for report in (RECORD_DISPATCH, RECORD_BOOKING):
        with_carrier(BOOKING_FAILED, CANCELLED).when(report).then_refused("cancelled")
    with_carrier(BOOKING_FAILED, CANCELLED).when(record("pre_transit")).then()
    (disputed,) = decider.decide(with_carrier(BOOKING_FAILED, CANCELLED).state, record("in_transit"))
    assert isinstance(disputed, sh.ShipmentReportDisputed)
    assert not tuple(decider.decide(with_carrier(BOOKING_FAILED, CANCELLED, disputed).state, record("in_transit")))


def test_what_was_given_back_is_in_the_warehouse_until_it_is_booked_again() -> None:
    ours = with_carrier(BOOKED, GIVE_BACK, GIVEN_BACK)
    (disputed,) = decider.decide(ours.state, record("in_transit"))
    assert isinstance(disputed, sh.ShipmentReportDisputed)
    assert (disputed.report, disputed.occurred_at) == ("m1", LATER)
    ours.when(RECORD_DISPATCH).then_refused("not_booked")
    ours.when(record("exception")).then()
    anew = with_carrier(BOOKED, GIVE_BACK, GIVEN_BACK, BOOKING_REQUESTED)
    early = record("in_transit").model_copy(update={"tracking_number": "T2"})  # before the booking is answered
    anew.when(early).then(dispatched(LATER), reached("in_transit").model_copy(update={"tracking_number": "T2"}))


def test_its_booking_says_where_it_stands() -> None:
    given_back = (BOOKED, STOP, STOP_GIVE_BACK, GIVEN_BACK, CANCELLED)
    steps: list[tuple[Given, str, bool]] = [
        (requested(PACKED), "none", False),
        (with_carrier(), "requested", False),
        (with_carrier(BOOKING_FAILED), "failed", False),
        (with_carrier(BOOKED), "booked", False),
        (with_carrier(*given_back[:3]), "cancelling", True),
        (with_carrier(*given_back), "cancelled", False),
        (with_carrier(BOOKED, STOP, STOP_GIVE_BACK, NOT_GIVEN_BACK, KEPT), "booked", False),
    ]
    for given, booking, stopping in steps:
        assert (given.state.booking, given.state.stopping) == (booking, stopping)


def test_the_way_it_shall_go_is_reported_at_every_step() -> None:
    express: Any = {"delivery_option": "express"}
    asked, packed = REQUESTED.model_copy(update=express), PACKED.model_copy(update=express)
    Given(decider, asked).when(PACK).then(packed)
    booking = BOOKING_REQUESTED.model_copy(update=express)
    Given(decider, asked, packed).when(BOOK).then(booking)
    Given(decider, asked, packed, booking).when(RECORD_DISPATCH).then(dispatched().model_copy(update=express))


def test_a_carton_s_number_is_noted_and_one_of_no_carton_is_not() -> None:
    booked = RECORD_BOOKING.model_copy(update={"carton_numbers": {"1": "T1-1", "2": "T1-2", "9": "T1-9"}})
    Given(decider, IN_CARTONS, PACKED, BOOKING_REQUESTED).when(booked).then(BOOKED_IN_TWO)


def test_trouble_with_one_carton_is_over_with_that_carton() -> None:
    bad, seen_bad = of_carton("2", "exception", "m1")
    raised = exception("exception", carton_id="2")
    in_cartons().when(bad).then(seen_bad, raised)
    in_cartons(seen_bad, raised).when(bad).then()
    first, seen_first = of_carton("1", "delivered", "m2")
    partly = sh.ShipmentPartlyDelivered(**OF, carton_ids=("1",), delivered_at=LATER)
    in_cartons(seen_bad, raised).when(first).then(seen_first, partly)
    last, seen_last = of_carton("2", "delivered", "m3")
    settled = sh.ShipmentExceptionSettled(**OF, carton_id="2")
    in_cartons(seen_bad, raised, seen_first, partly).when(last).then(seen_last, DELIVERED, settled)
    in_cartons(seen_first, partly).when(bad).then(seen_bad, raised)  # and the first is not reported again


def test_trouble_with_all_cartons_is_over_when_each_has_come_to_its_end() -> None:
    result = reached("exception", "m0")
    raised = exception("exception")
    in_cartons().when(record("exception", "m0")).then(result, raised)
    first, seen_first = of_carton("1", "delivered", "m1")
    partly = sh.ShipmentPartlyDelivered(**OF, carton_ids=("1",), delivered_at=LATER)
    in_cartons(result, raised).when(first).then(seen_first, partly)
    last, seen_last = of_carton("2", "delivered", "m2")
    in_cartons(result, raised, seen_first, partly).when(last).then(seen_last, DELIVERED, SETTLED)


def test_what_comes_back_is_what_was_in_the_carton() -> None:
    a, b = (ITEMS[0].model_copy(update={"sku": sku, "quantity": 1}) for sku in "AB")
    cartons = tuple(
        sh.Carton(carton_id=carton_id, box="small", items=(item,), weight_grams=1)
        for carton_id, item in (("1", a), ("2", b))
    )
    of_two = REQUESTED.model_copy(update={"items": (a, b), "cartons": cartons})
    left = dispatched().model_copy(update={"items": (a, b)})
    result, seen = of_carton("2", "returned", "m1")
    Given(decider, of_two, PACKED, BOOKING_REQUESTED, BOOKED_IN_TWO, left).when(result).then(
        seen, back("2", items=(b,), complete=False)
    )


LIFE: tuple[tuple[sh.MilestoneStatus, int], ...] = (
    ("in_transit", 0),
    ("delivered", 1),
    ("exception", 2),
    ("return_to_sender", 3),
    ("delivered", 4),
    ("return_to_sender", 5),
    ("returned", 6),
    ("returned", 7),
)


def hours(n: int) -> datetime:
    return NOON + timedelta(hours=n)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("first", range(len(LIFE)))
def test_p18_tracking_is_the_same_whichever_tracking_event_is_reported_first(first: int, backwards: bool) -> None:
    result = [*LIFE[first:], *LIFE[:first]]
    events = [reached(status, f"m{n}", hours(n)) for status, n in (reversed(result) if backwards else result)]
    tracking = with_carrier(dispatched(), *events).state.tracking_of("")
    assert tracking.newest
    assert (tracking.newest.status, tracking.newest.occurred_at) == ("returned", hours(7))
    assert tracking == CartonTracking(tracking.newest, hours(1), hours(4), hours(3), hours(6))
    assert (tracking.outcome, tracking.trouble) == ("returned", None)


def test_of_two_tracking_events_at_one_moment_the_one_further_on_is_later_and_of_two_alike_the_later_name() -> None:
    bad, on = reached("exception", "m1"), reached("out_for_delivery", "m2")
    for events in ((bad, on), (on, bad)):
        trouble = with_carrier(dispatched(), *events).state.tracking_of("").trouble
        assert trouble
        assert trouble.status == "exception"
    first = reached("exception", "m1").model_copy(update={"detail": "wet"})
    second = reached("exception", "m2").model_copy(update={"detail": "a dog"})
    for events in ((first, second), (second, first)):
        trouble = with_carrier(dispatched(), *events).state.tracking_of("").trouble
        assert trouble
        assert trouble.detail == "a dog"
