"""A booking is cancelled where it was made: by the gateway that gave its number, or else by a person."""

from __future__ import annotations

from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.shipment.decider import STOPPED, decider
from oms_es.kernel import Event
from oms_es.schemas import shipment as sh
from oms_es.schemas.order import Address, Reservation

OF: Any = {"shipment_id": "o.1", "order_id": "o"}
SHIP: Any = {"shipment_id": "o.1"}
DE = Address(country="DE")
REQUESTED = sh.ShipmentRequested(
    **OF,
    payment_id="o.1",
    location="berlin",
    items=(Reservation(reservation_id="o/1", sku="A", location="berlin", quantity=2),),
    amount_minor=100,
    ship_to=DE,
)
PACKED = sh.ShipmentPacked(**OF, weight_grams=900, location="berlin", ship_to=DE)
FAILED = sh.ShipmentBookingFailed(**OF, reason="it may be done or not")
CANCEL = sh.CancelBooking(**SHIP, reason=STOPPED)


def asked(gateway: str | None) -> sh.ShipmentBookingRequested:
    return sh.ShipmentBookingRequested(**OF, location="berlin", weight_grams=900, ship_to=DE, carrier_gateway=gateway)


def record(gateway: str | None = None, number: str = "T1") -> sh.RecordBooking:
    return sh.RecordBooking(**SHIP, carrier="dhl", tracking_number=number, carrier_gateway=gateway)


def booked(gateway: str | None, number: str = "T1") -> sh.ShipmentBooked:
    return sh.ShipmentBooked(**OF, carrier="dhl", tracking_number=number, carrier_gateway=gateway)


def given_back(gateway: str | None, number: str = "T1") -> sh.ShipmentBookingCancellationRequested:
    return sh.ShipmentBookingCancellationRequested(
        **OF, carrier="dhl", tracking_number=number, reason=STOPPED, carrier_gateway=gateway
    )


def cancelled(number: str = "T1") -> sh.ShipmentBookingCancelled:
    return sh.ShipmentBookingCancelled(**OF, carrier="dhl", tracking_number=number)


def after(*events: Event) -> Given:
    return Given(decider, REQUESTED, PACKED, *events)


TWO = (("easypost", "commands"), ("commands", "easypost"))


@pytest.mark.parametrize(("first", "last"), TWO)
def test_the_gateway_that_gave_the_number_cancels_it_and_not_the_one_that_was_asked_last(first: str, last: str) -> None:
    history = (asked(first), FAILED, asked(last))
    after(*history).when(record(first)).then(booked(first))
    after(*history, booked(first)).when(CANCEL).then(given_back(first))
    after(*history, booked(last)).when(CANCEL).then(given_back(last))
    stop = sh.ShipmentCancellationRequested(**OF)
    after(*history, booked(first)).when(sh.CancelShipment(**SHIP)).then(stop, given_back(first))
    after(*history, stop).when(record(first)).then(booked(first), given_back(first))


@pytest.mark.parametrize(("first", "last"), TWO)
def test_a_person_decides_where_several_were_asked_and_the_report_does_not_say_which(first: str, last: str) -> None:
    history = (asked(first), FAILED, asked(last))
    disputed = sh.ShipmentReportDisputed(
        **OF,
        report="booked T1",
        detail="booked as dhl T1, and which gateway did it is not said (commands, easypost were asked): look there; "
        "who cancels it cancels it by hand, and records that",
    )
    after(*history).when(record()).then(booked(None), disputed)
    after(*history, booked(None)).when(CANCEL).then(given_back("commands"))
    after(*history, booked(None), disputed).when(record()).then()


@pytest.mark.parametrize("gateway", [None, "easypost", "commands"])
def test_the_only_one_that_was_asked_booked_it(gateway: str | None) -> None:
    after(asked(gateway), FAILED, asked(gateway)).when(record()).then(booked(gateway))
    after(asked(gateway), booked(None)).when(CANCEL).then(given_back(gateway))


def test_one_that_has_cancelled_its_booking_is_in_doubt_no_more() -> None:
    history = (asked("easypost"), booked("easypost"), cancelled(), asked("commands"))
    after(*history).when(record(number="T2")).then(booked("commands", "T2"))
    doubtful = (asked("easypost"), FAILED, asked("commands"), booked("commands"), cancelled(), asked("commands"))
    answer = after(*doubtful).when(record("easypost", "T2"))
    answer.then(booked("easypost", "T2"))


def refused(gateway: str | None) -> sh.RecordBookingFailure:
    return sh.RecordBookingFailure(**SHIP, reason="no service", carrier_gateway=gateway)


def refusal(gateway: str | None) -> sh.ShipmentBookingFailed:
    return sh.ShipmentBookingFailed(**OF, reason="no service", carrier_gateway=gateway)


@pytest.mark.parametrize(("first", "last"), TWO)
def test_a_refusal_is_of_the_gateway_that_was_asked_last(first: str, last: str) -> None:
    twice = (asked(first), FAILED, asked(last))
    after(*twice).when(refused(last)).then(refusal(last))
    after(*twice).when(refused(first)).then()
    after(*twice).when(refused(None)).then(refusal(last))
    after(asked(None)).when(refused(first)).then(refusal(first))
    after(*twice, refusal(last)).when(refused(last)).then()
    after(*twice, booked(last)).when(refused(first)).then()
