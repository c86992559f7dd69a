"""A report finds its parcel whether it comes before or after the booking."""

from __future__ import annotations

from typing import Any

from oms_es.consumers.tracking_matcher import consumer
from oms_es.schemas import shipment as sh
from oms_es.schemas.tracker import Sighting, TrackingReported
from story import NOON, OF_PARCEL, PARCEL

SIGHT = Sighting(milestone_id="m", status="in_transit", occurred_at=NOON, detail="seen", carrier_status="odd")
REPORTED = TrackingReported(carrier="dhl", tracking_number="T1-2", sightings=(SIGHT,))
BOOKED = sh.ShipmentBooked(**OF_PARCEL, carrier="DHL", tracking_number="T1", carton_numbers={"2": "T1-2"})
MILESTONE = sh.RecordMilestone(shipment_id=PARCEL, tracking_number="T1-2", **dict(SIGHT))
OF_IT: dict[str, Any] = {"tracking_number": "T1-2", "carrier": "dhl"}


def test_a_report_is_told_to_the_parcel_that_travels_under_its_number() -> None:
    rows = [{**OF_IT, "shipment_id": PARCEL}, {**OF_IT, "carrier": "ups", "shipment_id": "other"}]
    assert consumer.react(REPORTED, {"tracking_numbers": {"T1-2": rows}}) == (MILESTONE,)


def test_a_report_of_nobodys_number_waits() -> None:
    assert consumer.react(REPORTED, {"tracking_numbers": {"T1-2": []}}) == ()


def test_a_booking_hears_what_was_said_of_its_numbers_before() -> None:
    told = {**OF_IT, **SIGHT.model_dump()}
    other = {**told, "carrier": "ups"}
    assert consumer.react(BOOKED, {"tracking_reports": {"T1": [], "T1-2": [told, other]}}) == (MILESTONE,)
