"""What a carrier bills counts once by each line of its bill, in one currency, of parcels that it had."""

from __future__ import annotations

from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.shipment import freight
from oms_es.aggregates.shipment.decider import decider
from oms_es.schemas import shipment as sh
from oms_es.schemas.order import Address, Reservation

OF: Any = {"shipment_id": "o.1", "order_id": "o"}
ITEMS = (Reservation(reservation_id="o/1", sku="A", location="berlin", quantity=2),)
REQUESTED = sh.ShipmentRequested(
    **OF, payment_id="o.1", location="berlin", items=ITEMS, amount_minor=100, ship_to=Address(country="DE")
)
BOOKED = sh.ShipmentBooked(**OF, carrier="dhl", tracking_number="T1")
GIVEN_BACK = sh.ShipmentBookingCancelled(**OF, carrier="dhl", tracking_number="T1")


def bill(bill_id: str = "INV-7/12", amount_minor: int = 590, currency: str = "EUR") -> sh.RecordFreightBill:
    return sh.RecordFreightBill(shipment_id="o.1", bill_id=bill_id, amount_minor=amount_minor, currency=currency)


def billed(command: sh.RecordFreightBill) -> sh.ShipmentFreightBilled:
    return sh.ShipmentFreightBilled(**OF, **command.model_dump(exclude={"shipment_id"}))


def test_a_line_of_a_bill_counts_once() -> None:
    Given(decider, REQUESTED, BOOKED).when(bill()).then(billed(bill()))
    Given(decider, REQUESTED, BOOKED, billed(bill())).when(bill()).then()
    Given(decider, REQUESTED, BOOKED, billed(bill())).when(bill("INV-7/13")).then(billed(bill("INV-7/13")))


@pytest.mark.parametrize("other", [bill(amount_minor=600), bill(currency="USD"), bill("INV-7/13", currency="USD")])
def test_a_line_with_another_amount_and_another_currency_are_refused(other: sh.RecordFreightBill) -> None:
    Given(decider, REQUESTED, BOOKED, billed(bill())).when(other).then_refused("billed_otherwise")


def test_what_no_carrier_had_is_billed_by_none_and_a_cancelled_booking_may_be() -> None:
    Given(decider, REQUESTED).when(bill()).then_refused("not_booked")
    Given(decider).when(bill()).then_refused("unknown_shipment")
    Given(decider, REQUESTED, BOOKED, GIVEN_BACK).when(bill()).then(billed(bill()))


def test_the_lines_of_a_shipment_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freight, "BILLS_MAX", 1)
    Given(decider, REQUESTED, BOOKED, billed(bill())).when(bill("INV-7/13")).then_refused("too_many_bills")
