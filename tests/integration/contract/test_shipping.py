"""Parcels and their carrier on a real database: what goes wrong in transit, and which exception reports it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from oms_es.app import DECIDERS, PROJECTIONS, Engine, engine_on
from oms_es.errors import NotFound
from oms_es.gateways.simulated.modes import Chaos, Hazards
from oms_es.kernel import Command
from oms_es.processing.intake.worker import Arrival
from oms_es.schemas.catalog.item import DescribeItem
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.catalog.rates import Band, PublishRates, Service, Zone
from oms_es.schemas.order import Address, CancelOrder, OrderLine, PlaceOrder
from oms_es.schemas.shipment import (
    BookShipment,
    CancelBooking,
    RecordBooking,
    RecordMilestone,
    ShipmentBookingRequested,
)
from oms_es.schemas.stock import ReceiveStock
from oms_es.store.documents import table as documents
from oms_es.verification.verify import verify

START = datetime(2026, 1, 1, tzinfo=UTC)
FETCHED_LATER = Hazards(pickup_seconds=3_600)
PLACED = PlaceOrder(
    channel="web",
    external_id="1",
    placed_at=START,
    currency="EUR",
    lines=(OrderLine(line_id="1", sku="A", quantity=2, unit_price_minor=999),),
    ship_to=Address(country="DE", latitude=52.5, longitude=13.4),
)
PARCEL = f"{PLACED.order_id}.1"


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def shipped(url: str, hazards: Hazards, *before: Command, **options: Any) -> Iterator[tuple[Engine, Clock]]:
    """Run an engine until its order is packed, and as far as the carrier allows."""
    clock = Clock()
    with engine_on(url, hazards=hazards, clock=clock, **options) as engine:
        assert not engine.submit("test", before)
        engine.submit(
            "test",
            [
                OpenLocation(location="berlin", country="DE", latitude=52.5, longitude=13.4),
                ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=2),
                PLACED,
            ],
        )
        engine.loop.run_until_idle()
        yield engine, clock
        assert verify(url, DECIDERS, PROJECTIONS, engine.store.codec).passed


def settle(engine: Engine, clock: Clock) -> None:
    """Advance time until the external systems have reported everything."""
    for _ in range(20):
        engine.loop.run_until_idle()
        if not engine.external_systems.outstanding():
            return
        clock.now += timedelta(hours=1)
    pytest.fail("the world still has something to report")


def rows(url: str, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()


def phase(url: str) -> str:
    return str(rows(url, "SELECT phase FROM order_status")[0]["phase"])


def exceptions(url: str) -> dict[str, str]:
    return {row["kind"]: row["detail"] for row in rows(url, "SELECT * FROM open_exceptions")}


def happened(url: str) -> list[str]:
    return [row["event"] for row in rows(url, "SELECT event FROM order_timeline ORDER BY position")]


def test_an_order_whose_parcel_is_booked_but_not_fetched_is_cancelled_with_the_carriers_consent(
    database_url: str,
) -> None:
    with shipped(database_url, FETCHED_LATER) as (engine, clock):
        assert phase(database_url) == "fulfilling"
        engine.submit("test", [CancelOrder(order_id=PLACED.order_id, reason="changed my mind")])
        settle(engine, clock)
        assert phase(database_url) == "cancelled"
        assert not exceptions(database_url)
        (level,) = rows(database_url, "SELECT on_hand, reserved FROM stock_levels")
        assert level == {"on_hand": 2, "reserved": 0}


@pytest.mark.parametrize("chaos", [Chaos(late=1.0), Chaos(duplicate=1.0), Chaos(timeout=1.0)])
def test_p13_a_consent_reported_late_twice_or_after_a_lost_answer_cancels_once(database_url: str, chaos: Chaos) -> None:
    with shipped(database_url, FETCHED_LATER, chaos=chaos) as (engine, clock):
        for _ in range(5):
            clock.now += timedelta(seconds=2)
            engine.loop.run_until_idle()
        booked = "ShipmentBooked" in happened(database_url)
        engine.submit("test", [CancelOrder(order_id=PLACED.order_id, reason="changed my mind")])
        settle(engine, clock)
        reported = happened(database_url)
        assert reported.count("ShipmentCancelled") == (1 if booked else 0)
        assert phase(database_url) == ("cancelled" if booked else "completed")


def test_a_parcel_that_was_fetched_is_delivered_although_its_order_was_to_be_cancelled(database_url: str) -> None:
    with shipped(database_url, FETCHED_LATER) as (engine, clock):
        clock.now += timedelta(hours=1)
        engine.submit("test", [CancelOrder(order_id=PLACED.order_id, reason="changed my mind")])
        settle(engine, clock)
        assert phase(database_url) == "completed"
        assert exceptions(database_url).keys() == {"cancellation_refused"}


def test_a_booking_that_was_cancelled_waits_for_a_person_and_can_be_made_again(database_url: str) -> None:
    with shipped(database_url, FETCHED_LATER) as (engine, clock):
        engine.submit("test", [CancelBooking(shipment_id=PARCEL)])
        engine.loop.run_until_idle()
        assert exceptions(database_url).keys() == {"booking_failed"}
        engine.submit("test", [BookShipment(shipment_id=PARCEL)])
        engine.loop.run_until_idle()
        assert not exceptions(database_url)
        clock.now += timedelta(hours=1)
        settle(engine, clock)
        assert phase(database_url) == "completed"
        assert happened(database_url).count("ShipmentBooked") == 2


def test_a_stubborn_carrier_keeps_the_booking_and_the_parcel_goes_on(database_url: str) -> None:
    with shipped(database_url, FETCHED_LATER._replace(stubborn=1.0)) as (engine, clock):
        engine.submit("test", [CancelOrder(order_id=PLACED.order_id, reason="changed my mind")])
        engine.loop.run_until_idle()
        assert exceptions(database_url).keys() == {"cancellation_refused"}
        clock.now += timedelta(hours=1)
        settle(engine, clock)
        assert phase(database_url) == "completed"


def test_what_goes_wrong_on_the_way_is_an_exception_until_it_is_put_right(database_url: str) -> None:
    with shipped(database_url, Hazards(exception=1.0)) as (engine, clock):
        settle(engine, clock)
        assert "ShipmentExceptionRaised" in happened(database_url)
        assert phase(database_url) == "completed"
        assert not exceptions(database_url)


def test_a_lost_parcel_stays_an_exception(database_url: str) -> None:
    with shipped(database_url, Hazards(lost=1.0)) as (engine, clock):
        settle(engine, clock)
        assert exceptions(database_url) == {"delivery_exception": "failure"}
        assert phase(database_url) == "shipped"


def test_a_parcel_that_comes_back_is_reported_once_and_is_no_delivery(database_url: str) -> None:
    with shipped(database_url, Hazards(returned=1.0), chaos=Chaos(duplicate=1.0)) as (engine, clock):
        settle(engine, clock)
        reported = happened(database_url)
        assert reported.count("ShipmentReturnedToSender") == 1
        assert "ShipmentDelivered" not in reported
        assert "delivery_exception" not in exceptions(database_url)


def test_a_booking_that_is_turned_down_waits_for_a_person(database_url: str) -> None:
    with shipped(database_url, Hazards(refused=1.0)) as (engine, clock):
        settle(engine, clock)
        assert exceptions(database_url) == {"booking_failed": "the carrier refused: no van goes there"}


def test_a_carrier_that_never_answers_leaves_the_parcel_asked_for_and_the_order_can_be_stopped_when_it_does(
    database_url: str,
) -> None:
    with shipped(database_url, Hazards(silent=1.0)) as (engine, clock):
        engine.submit("test", [CancelOrder(order_id=PLACED.order_id, reason="changed my mind")])
        settle(engine, clock)
        assert phase(database_url) == "cancelling"
        assert happened(database_url)[-1] == "ShipmentCancellationRequested"


def test_labels_are_attached_by_the_hash_of_what_is_kept(database_url: str) -> None:
    with shipped(database_url, Hazards(labels=True), chaos=Chaos(timeout=1.0)) as (engine, clock):
        settle(engine, clock)
        assert happened(database_url).count("ShipmentLabelAttached") == 1
        (kept,) = rows(database_url, "SELECT sha256, content FROM oms_documents")
        with psycopg.connect(database_url) as connection:
            found = documents.look(connection, kept["sha256"])
            content = b"".join(documents.pieces(lambda: nullcontext(connection), found))
            assert content == bytes(kept["content"])
            assert documents.keep(connection, content, found.media_type) == found
            with pytest.raises(NotFound):
                documents.look(connection, "0" * 64)
            connection.execute("DELETE FROM oms_documents")
            connection.commit()
            assert not verify(database_url, DECIDERS, PROJECTIONS, engine.store.codec).passed
            documents.keep(connection, content, found.media_type)
            connection.commit()
            with pytest.raises(documents.TooLarge):
                documents.keep(connection, b"", "text/plain")
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute("UPDATE oms_documents SET content = 'forged'")


def dhl(price_minor: int, grams: int = 30_000) -> PublishRates:
    zone = Zone(transit_days=2, bands=(Band(weight_grams_max=grams, price_minor=price_minor),))
    return PublishRates(
        carrier="dhl", version="1", currency="EUR", services=(Service(service="parcel", zones=(zone,)),)
    )


BULKY = DescribeItem(sku="A", weight_grams=15_000, volume_ml=60_000)
"""Two of them need two boxes."""


def test_with_rates_and_sizes_a_shipment_travels_in_cartons_with_the_carrier_that_was_chosen(database_url: str) -> None:
    with shipped(database_url, Hazards(), dhl(490), BULKY, transit_seconds=60.0) as (engine, clock):
        settle(engine, clock)
        reported = happened(database_url)
        assert reported.count("ShipmentPartlyDelivered") == reported.count("ShipmentDelivered") == 1
        assert phase(database_url) == "completed"
        numbers = rows(database_url, "SELECT tracking_number, carrier FROM tracking_numbers ORDER BY 1")
        assert {row["carrier"] for row in numbers} == {"dhl"}
        assert len(numbers) == 3
        (asked,) = (r.event for r in engine.log.read(0) if isinstance(r.event, ShipmentBookingRequested))
        assert (asked.carrier, asked.service, asked.quoted_minor) == ("dhl", "parcel", 980)
        assert [carton.weight_grams for carton in asked.cartons] == [16_200, 16_200]


def test_one_carton_of_two_comes_back_and_the_shipment_is_reported_of_both(database_url: str) -> None:
    with shipped(database_url, FETCHED_LATER, BULKY) as (engine, clock):
        second = rows(database_url, "SELECT tracking_number FROM tracking_numbers ORDER BY 1 DESC")[0]
        reported = RecordMilestone(
            shipment_id=PARCEL, milestone_id="back", status="returned", occurred_at=START, **second
        )
        assert not engine.submit("test", [reported])
        settle(engine, clock)
        assert happened(database_url).count("ShipmentReturnedToSender") == 1


def test_what_no_rate_serves_waits_for_a_person_who_books_it(database_url: str) -> None:
    with shipped(database_url, Hazards(), dhl(490, grams=100)) as (engine, clock):
        settle(engine, clock)
        assert exceptions(database_url).keys() == {"booking_failed"}
        engine.submit("test", [BookShipment(shipment_id=PARCEL, carrier="courier")])
        settle(engine, clock)
        assert not exceptions(database_url)
        assert phase(database_url) == "completed"


def easypost(number: str, *statuses: str, start: datetime = START) -> bytes:
    details = [
        {"status": status, "datetime": (start + timedelta(hours=hour)).isoformat()}
        for hour, status in enumerate(statuses)
    ]
    tracker = {
        "object": "Tracker",
        "carrier": "Simulated",
        "tracking_code": number,
        "status": statuses[-1],
        "updated_at": start.isoformat(),
        "tracking_details": details,
    }
    return json.dumps({"object": "Event", "description": "tracker.updated", "result": tracker}).encode()


@pytest.mark.parametrize("early", [True, False])
def test_p13_trackers_reported_three_times_move_the_parcel_once_before_or_after_its_booking(
    database_url: str, early: bool
) -> None:
    history = ("pre_transit", "in_transit", "exception_of_theirs", "delivered")
    with shipped(database_url, Hazards(pickup_seconds=3_600, silent=float(early))) as (engine, _):
        number = "T-early"
        if not early:
            number = rows(database_url, "SELECT tracking_number FROM tracking_numbers")[0]["tracking_number"]
        payload = easypost(number, *history)
        intake = engine.intake("easypost", "easypost_tracker")
        intake.take([Arrival(i, payload) for i in range(3)])
        engine.loop.run_until_idle()
        if early:
            assert "ShipmentMilestoneReached" not in happened(database_url)
            engine.submit("test", [RecordBooking(shipment_id=PARCEL, carrier="simulated", tracking_number=number)])
            engine.loop.run_until_idle()
        reported = happened(database_url)
        assert reported.count("ShipmentMilestoneReached") == len(history)
        assert reported.count("ShipmentDispatched") == reported.count("ShipmentDelivered") == 1
        assert phase(database_url) == "completed"
        seen = rows(database_url, "SELECT summary FROM order_timeline WHERE event = 'ShipmentMilestoneReached'")
        assert "unknown exception_of_theirs" in {row["summary"] for row in seen}


@pytest.mark.parametrize("early", [True, False])
def test_the_history_of_the_parcel_that_had_the_number_before_is_not_this_parcels(
    database_url: str, early: bool
) -> None:
    long_ago = START - timedelta(days=400)
    with shipped(database_url, Hazards(pickup_seconds=3_600, silent=float(early))) as (engine, _):
        booking = RecordBooking(shipment_id=PARCEL, carrier="simulated", tracking_number="N1", booked_at=START)
        number = (
            "N1" if early else rows(database_url, "SELECT tracking_number FROM tracking_numbers")[0]["tracking_number"]
        )
        engine.intake("easypost", "easypost_tracker").take(
            [Arrival(1, easypost(number, "in_transit", "delivered", start=long_ago))]
        )
        if early:
            engine.submit("test", [booking])
        engine.loop.run_until_idle()
        reported = happened(database_url)
        assert "ShipmentBooked" in reported
        assert not {"ShipmentMilestoneReached", "ShipmentDispatched", "PaymentCaptureRequested"} & set(reported)
        engine.intake("easypost", "easypost_tracker").take([Arrival(2, easypost(number, "in_transit"))])
        engine.loop.run_until_idle()
        assert happened(database_url).count("ShipmentDispatched") == 1
