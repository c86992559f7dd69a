"""A carrier's report is matched to its parcel, whether it arrives before or after the booking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from oms_es.consumers.shipment.tracking_matcher import EARLY_SECONDS, consumer
from oms_es.kernel import LookupResults
from oms_es.schemas import shipment as sh
from oms_es.schemas.shipment.tracker import RecordSharedNumber, Sighting, TrackingReported
from story import NOON, OF_PARCEL, PARCEL

SIGHT = Sighting(milestone_id="m", status="in_transit", occurred_at=NOON, detail="seen", carrier_status="odd")
REPORTED = TrackingReported(carrier="dhl", tracking_number="T1-2", sightings=(SIGHT,))
BOOKED = sh.ShipmentBooked(**OF_PARCEL, carrier="DHL", tracking_number="T1", carton_numbers={"2": "T1-2"})
MILESTONE = sh.RecordMilestone(shipment_id=PARCEL, tracking_number="T1-2", **dict(SIGHT))
OF_IT: dict[str, Any] = {"tracking_number": "T1-2", "carrier": "dhl", "since": NOON}
MINE = {**OF_IT, "shipment_id": PARCEL}
OTHERS = {**OF_IT, "shipment_id": "another"}
SHARED = RecordSharedNumber(carrier="dhl", tracking_number="T1-2", shipment_ids=("another", PARCEL))
TOLD = {**OF_IT, **SIGHT.model_dump()}


def test_a_report_is_reported_to_the_parcel_that_travels_under_its_number() -> None:
    rows = [{**OF_IT, "shipment_id": PARCEL}, {**OF_IT, "carrier": "ups", "shipment_id": "other"}]
    assert consumer.react(REPORTED, {"tracking_numbers": {"T1-2": rows}}) == (MILESTONE,)


def test_a_report_without_customers_number_waits() -> None:
    assert consumer.react(REPORTED, {"tracking_numbers": {"T1-2": []}}) == ()


def test_a_booking_hears_what_was_said_of_its_numbers_before() -> None:
    other = {**TOLD, "carrier": "ups"}
    results: LookupResults = {
        "tracking_reports": {"T1": [], "T1-2": [TOLD, other]},
        "tracking_numbers": {"T1": [], "T1-2": [MINE]},
    }
    assert consumer.react(BOOKED, results) == (MILESTONE,)


@pytest.mark.parametrize(("seconds", "is_its_own"), [(0, True), (EARLY_SECONDS, True), (EARLY_SECONDS + 1, False)])
def test_what_was_seen_before_the_parcel_was_booked_is_of_another_whichever_comes_first(
    seconds: int, *, is_its_own: bool
) -> None:
    booked = {**MINE, "since": NOON + timedelta(seconds=seconds)}
    expected = (MILESTONE,) if is_its_own else ()
    assert consumer.react(REPORTED, {"tracking_numbers": {"T1-2": [booked]}}) == expected
    results: LookupResults = {
        "tracking_reports": {"T1": [], "T1-2": [TOLD]},
        "tracking_numbers": {"T1": [], "T1-2": [booked]},
    }
    assert consumer.react(BOOKED, results) == expected


def test_of_a_number_that_several_parcels_have_nothing_is_brought_to_any_and_a_person_is_informed() -> None:
    assert consumer.react(REPORTED, {"tracking_numbers": {"T1-2": [MINE, OTHERS]}}) == (SHARED,)
    results: LookupResults = {
        "tracking_reports": {"T1": [], "T1-2": [TOLD]},
        "tracking_numbers": {"T1": [], "T1-2": [OTHERS, MINE]},
    }
    assert consumer.react(BOOKED, results) == (SHARED,)
