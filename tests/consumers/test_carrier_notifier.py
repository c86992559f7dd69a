"""A packed parcel is booked; a booking that failed waits for a person."""

from __future__ import annotations

from oms_es.consumers.carrier_notifier import consumer
from oms_es.schemas import shipment as sh
from story import OF_PARCEL, PARCEL


def test_a_packed_parcel_is_booked() -> None:
    packed = sh.ShipmentPacked(**OF_PARCEL, weight_grams=950)
    assert consumer.react(packed) == (sh.BookShipment(shipment_id=PARCEL),)


def test_a_booking_that_failed_is_not_tried_again_by_itself() -> None:
    assert set(consumer.reactions) == {sh.ShipmentPacked}
