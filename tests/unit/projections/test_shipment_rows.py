"""A parcel's row shows its state, and a late report does not move it back."""

from __future__ import annotations

from typing import Any

import pytest

from folding import fold
from oms_es.kernel import Event
from oms_es.projections.shipment.shipments import projection
from oms_es.schemas import shipment as sh
from oms_es.schemas.order import Address, Reservation
from story import NOON

OF: Any = {"shipment_id": "o.1", "order_id": "o"}
ITEMS = (Reservation(reservation_id="r", sku="A", location="x", quantity=2),)
WORTH: Any = {"payment_id": "p", "location": "x", "items": ITEMS, "amount_minor": 900}
REQUESTED = sh.ShipmentRequested(**OF, **WORTH, ship_to=Address(country="DE"))
PACKED = sh.ShipmentPacked(**OF, weight_grams=500)
NUMBER: Any = {"carrier": "fast", "tracking_number": "N1"}
BOOKED = sh.ShipmentBooked(**OF, **NUMBER)
GIVEN_BACK = sh.ShipmentBookingCancelled(**OF, **NUMBER)
LEFT = sh.ShipmentDispatched(**OF, **WORTH, dispatched_at=NOON)
DELIVERED = sh.ShipmentDelivered(**OF, delivered_at=NOON)


def only(*events: Event) -> Any:
    ((key, row),) = fold(projection, REQUESTED, *events).items()
    assert key == ("o.1",)
    return row


@pytest.mark.parametrize(
    ("events", "status", "number"),
    [
        ([], "requested", ""),
        ([PACKED], "packed", ""),
        ([PACKED, sh.ShipmentBookingFailed(**OF, reason="full")], "to_be_booked", ""),
        ([PACKED, BOOKED], "booked", "N1"),
        ([PACKED, BOOKED, GIVEN_BACK], "to_be_booked", ""),
        ([PACKED, BOOKED, LEFT], "dispatched", "N1"),
        ([PACKED, LEFT, BOOKED], "dispatched", "N1"),
        ([PACKED, BOOKED, LEFT, DELIVERED], "delivered", "N1"),
        ([sh.ShipmentCancelled(**OF, items=ITEMS)], "cancelled", ""),
    ],
)
def test_its_status_is_how_far_it_came_and_its_number_the_one_that_holds(
    events: list[Event], status: str, number: str
) -> None:
    row = only(*events)
    assert (row["status"], row["tracking_number"], row["units"], row["location"]) == (status, number, 2, "x")


def test_when_it_left_and_arrived_is_what_the_carrier_says() -> None:
    assert (only(PACKED)["dispatched_at"], only(PACKED)["delivered_at"]) == (None, None)
    row = only(PACKED, BOOKED, LEFT, DELIVERED)
    assert (row["dispatched_at"], row["delivered_at"]) == (LEFT.dispatched_at, DELIVERED.delivered_at)


def test_a_parcel_that_no_one_asked_for_has_no_row() -> None:
    assert fold(projection, PACKED) == {}
