"""Which parcel a tracking number belongs to, what was reported of it, and the rates in force."""

from __future__ import annotations

from folding import fold, recorded_at
from oms_es.projections.catalog import carrier_rates, delivery_options
from oms_es.projections.operations import open_exceptions
from oms_es.projections.order import order_timeline
from oms_es.projections.shipment import tracking_numbers, tracking_reports
from oms_es.schemas import shipment as sh
from oms_es.schemas.catalog import rates as ra
from oms_es.schemas.shipment.tracker import Sighting, TrackingNumberShared, TrackingReported
from story import NOON, OF_PARCEL, ORDER, PARCEL

SIGHT = Sighting(milestone_id="m", status="unknown", occurred_at=NOON, detail="in a tree", carrier_status="odd")


def test_each_number_of_a_booking_leads_to_its_parcel() -> None:
    booked = sh.ShipmentBooked(**OF_PARCEL, carrier="DHL", tracking_number="T", carton_numbers={"1": "T", "2": "T-2"})
    rows = fold(tracking_numbers.projection, booked)
    assert set(rows) == {("T", "dhl", PARCEL), ("T-2", "dhl", PARCEL)}
    assert {row["order_id"] for row in rows.values()} == {ORDER}
    assert {row["since"] for row in rows.values()} == {recorded_at(1)}
    (reported, *_) = fold(tracking_numbers.projection, booked.model_copy(update={"booked_at": NOON})).values()
    assert reported["since"] == NOON


def test_a_number_on_several_parcels_is_an_open_exception() -> None:
    shared = TrackingNumberShared(carrier="dhl", tracking_number="T", shipment_ids=("o.1", "p.1"))
    more = shared.model_copy(update={"shipment_ids": ("o.1", "p.1", "q.1")})
    (row,) = fold(open_exceptions.projection, shared, more).values()
    assert (row["exception_id"], row["kind"]) == ("number_shared/dhl/T", "number_shared")
    assert "o.1, p.1, q.1" in row["detail"]


def test_every_tracking_event_is_a_row_anyone_who_the_parcel_is_of() -> None:
    rows = fold(tracking_reports.projection, TrackingReported(carrier="ups", tracking_number="T", sightings=(SIGHT,)))
    assert rows == {("T", "ups", "m"): {"tracking_number": "T", "carrier": "ups", **SIGHT.model_dump()}}


def test_rates_are_the_newest_until_they_are_withdrawn() -> None:
    band = ra.Band(weight_grams_max=1, price_minor=1)
    service = ra.Service(service="parcel", zones=(ra.Zone(transit_days=1, bands=(band,)),))
    first = ra.RatesPublished(carrier="dhl", version="1", currency="EUR", services=(service,))
    newer = first.model_copy(update={"version": "2"})
    (row,) = fold(carrier_rates.projection, first, newer).values()
    assert (row["version"], row["offered"]) == ("2", True)
    (row,) = fold(carrier_rates.projection, first, newer, ra.RatesWithdrawn(carrier="dhl")).values()
    assert row["offered"] is False


def test_a_delivery_option_promises_what_was_sent_last() -> None:
    defined = ra.DeliveryOptionDefined(option="express", transit_days_max=1, prefer="fastest")
    (row,) = fold(delivery_options.projection, defined.model_copy(update={"transit_days_max": 9}), defined).values()
    assert row == defined.model_dump()


def test_a_tracking_event_in_unknown_words_is_on_the_timeline_in_these_words() -> None:
    reached = sh.ShipmentMilestoneReached(**OF_PARCEL, **dict(SIGHT), carton_id="2")
    (row,) = fold(order_timeline.projection, reached).values()
    assert row["summary"] == "2 unknown odd in a tree"
