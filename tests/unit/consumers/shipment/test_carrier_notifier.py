"""A packed shipment is booked with the carrier that the rates choose; a booking that failed waits for a person."""

from __future__ import annotations

from typing import Any

from oms_es.consumers.shipment.carrier_notifier import consumer
from oms_es.kernel import LookupResults
from oms_es.schemas import shipment as sh
from oms_es.schemas.catalog.rates import Band, RatesPublished, Service, Zone
from story import BERLIN, OF_PARCEL, PARCEL

PACKED = sh.ShipmentPacked(**OF_PARCEL, weight_grams=950, location="paris", ship_to=BERLIN)
PARIS = {
    "location": "paris",
    "country": "FR",
    "latitude": 48.9,
    "longitude": 2.4,
    "priority": 0,
    "handling_minor": 0,
    "kind": "warehouse",
    "region": "",
    "channels": [],
    "delivery_options": [],
}


def offered(carrier: str, price_minor: int, km: int | None = None, days: int = 2, grams: int = 1_000) -> dict[str, Any]:
    zone = Zone(distance_km_max=km, transit_days=days, bands=(Band(weight_grams_max=grams, price_minor=price_minor),))
    rates = RatesPublished(
        carrier=carrier, version="1", currency="EUR", services=(Service(service="parcel", zones=(zone,)),)
    )
    return {**rates.model_dump(mode="json"), "offered": True}


def results(*rates: dict[str, Any], promise: tuple[dict[str, Any], ...] = ()) -> LookupResults:
    return {
        "carrier_rates": {True: rates},
        "delivery_options": {"standard": promise},
        "locations": {"paris": [PARIS]},
        "gateway_routes": {True: []},
    }


def test_without_rates_a_packed_parcel_is_booked_with_anyone_who_is_connected() -> None:
    assert consumer.react(PACKED, results()) == (sh.BookShipment(shipment_id=PARCEL),)


def test_with_rates_the_cheapest_that_reaches_the_address_is_booked_and_the_others_are_kept() -> None:
    (book,) = consumer.react(PACKED, results(offered("far", 500), offered("near", 100, km=500), offered("dear", 900)))
    assert isinstance(book, sh.BookShipment)
    assert (book.carrier, book.service, book.quoted_minor, book.currency) == ("far", "parcel", 500, "EUR")
    assert [(c.carrier, c.reason) for c in book.candidates] == [
        ("far", ""),
        ("dear", ""),
        ("near", "does not go to DE, 871 km away"),
    ]


def test_a_promise_of_days_comes_before_the_price() -> None:
    express = {"option": "standard", "transit_days_max": 1, "prefer": "cheapest"}
    (book,) = consumer.react(PACKED, results(offered("slow", 100), offered("fast", 900, days=1), promise=(express,)))
    assert isinstance(book, sh.BookShipment)
    assert book.carrier == "fast"


def test_each_carton_is_charged_and_must_fit_a_band() -> None:
    cartons = tuple(sh.CartonWeight(carton_id=c, weight_grams=600) for c in ("1", "2"))
    (book,) = consumer.react(PACKED.model_copy(update={"cartons": cartons}), results(offered("dhl", 500)))
    assert isinstance(book, sh.BookShipment)
    assert book.quoted_minor == 1_000


def test_the_region_and_the_size_of_each_carton_count() -> None:
    cartons = (
        sh.CartonWeight(carton_id="1", weight_grams=600, volume_ml=12_000),
        sh.CartonWeight(carton_id="2", weight_grams=600),
    )
    bands = ({"weight_grams_max": 1_000, "price_minor": 500}, {"weight_grams_max": 2_000, "price_minor": 800})
    service = {
        "service": "parcel",
        "volume_divisor": 6_000,
        "zones": [
            {"regions": ["Bayern"], "transit_days": 1, "bands": bands},
            {"transit_days": 1, "bands": [{"weight_grams_max": 9_000, "price_minor": 9}]},
        ],
    }
    rates = RatesPublished.model_validate({"carrier": "dhl", "version": "1", "currency": "EUR", "services": [service]})
    offer = {**rates.model_dump(mode="json"), "offered": True}
    assert PACKED.ship_to
    there = PACKED.ship_to.model_copy(update={"region": "Bayern"})
    (book,) = consumer.react(PACKED.model_copy(update={"cartons": cartons, "ship_to": there}), results(offer))
    assert isinstance(book, sh.BookShipment)
    assert book.quoted_minor == 1_300
    (elsewhere,) = consumer.react(PACKED.model_copy(update={"cartons": cartons}), results(offer))
    assert isinstance(elsewhere, sh.BookShipment)
    assert elsewhere.quoted_minor == 18


def test_what_no_published_rate_serves_is_left_to_a_person() -> None:
    (defer,) = consumer.react(PACKED, results(offered("dhl", 500, grams=900)))
    assert isinstance(defer, sh.DeferBooking)
    assert [c.reason for c in defer.candidates] == ["takes no 950 g"]


def test_a_parcel_packed_before_addresses_were_sent_again_is_booked_as_then() -> None:
    old = sh.ShipmentPacked(**OF_PARCEL, weight_grams=950)
    assert consumer.react(old, {**results(offered("dhl", 5)), "locations": {}}) == (
        sh.BookShipment(shipment_id=PARCEL),
    )


def test_a_booking_that_failed_is_not_tried_again_by_itself() -> None:
    assert set(consumer.reactions) == {sh.ShipmentPacked}
