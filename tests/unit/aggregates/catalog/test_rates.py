"""Rate tables are published in versions; delivery options and trackers keep what is new."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from dsl import Given
from oms_es.aggregates.catalog import delivery, rates
from oms_es.aggregates.shipment import tracker
from oms_es.schemas.catalog import rates as ra
from oms_es.schemas.shipment.tracker import RecordTracking, Sighting, TrackingReported
from story import NOON

BAND = ra.Band(weight_grams_max=1_000, price_minor=490)
SERVICE = ra.Service(service="parcel", zones=(ra.Zone(transit_days=2, bands=(BAND,)),))
PUBLISH = ra.PublishRates(carrier="dhl", version="1", currency="EUR", services=(SERVICE,))
PUBLISHED = ra.RatesPublished(carrier="dhl", version="1", currency="EUR", services=(SERVICE,))
NEXT = PUBLISHED.model_copy(update={"version": "2"})
WITHDRAW, WITHDRAWN = ra.WithdrawRates(carrier="dhl"), ra.RatesWithdrawn(carrier="dhl")


def test_a_version_of_rates_is_published_once_and_says_one_thing() -> None:
    Given(rates.decider).when(PUBLISH).then(PUBLISHED)
    Given(rates.decider, PUBLISHED).when(PUBLISH).then()
    Given(rates.decider, PUBLISHED, NEXT).when(PUBLISH).then()
    other = PUBLISH.model_copy(update={"currency": "USD"})
    Given(rates.decider, PUBLISHED).when(other).then_refused("version_reused")


def test_rates_are_withdrawn_and_can_be_offered_again() -> None:
    Given(rates.decider, PUBLISHED).when(WITHDRAW).then(WITHDRAWN)
    Given(rates.decider, PUBLISHED, WITHDRAWN).when(WITHDRAW).then()
    Given(rates.decider).when(WITHDRAW).then()
    Given(rates.decider, PUBLISHED, WITHDRAWN).when(PUBLISH).then(PUBLISHED)


def test_bands_that_do_not_rise_and_services_that_repeat_are_refused_at_the_door() -> None:
    with pytest.raises(ValidationError, match="sort them"):
        ra.Zone(transit_days=1, bands=(BAND, BAND))
    with pytest.raises(ValidationError, match="its own name"):
        ra.PublishRates(carrier="dhl", version="1", currency="EUR", services=(SERVICE, SERVICE))


def test_steps_that_begin_nowhere_and_surcharges_that_repeat_are_refused_at_the_door() -> None:
    with pytest.raises(ValidationError, match="above the heaviest band"):
        ra.Zone(transit_days=1, bands=(BAND,), beyond=ra.Beyond(step_grams=500, step_minor=100, weight_grams_max=1_000))
    for wrong in ({"step_grams": 0}, {"step_minor": -1}):
        with pytest.raises(ValidationError):
            ra.Beyond.model_validate({"step_grams": 500, "step_minor": 100, "weight_grams_max": 5_000, **wrong})
    with pytest.raises(ValidationError, match="surcharges repeat"):
        ra.Service(service="parcel", zones=SERVICE.zones, surcharges=(ra.Surcharge(name="fuel"),) * 2)
    with pytest.raises(ValidationError):
        ra.Service(service="parcel", zones=SERVICE.zones, volume_divisor=0)


def test_a_version_with_other_steps_is_another_one() -> None:
    beyond = ra.Beyond(step_grams=500, step_minor=100, weight_grams_max=5_000)
    zone = SERVICE.zones[0].model_copy(update={"beyond": beyond, "regions": ("广东",)})
    other = PUBLISH.model_copy(update={"services": (SERVICE.model_copy(update={"zones": (zone,)}),)})
    Given(rates.decider, PUBLISHED).when(other).then_refused("version_reused")


def test_a_delivery_option_says_what_was_sent_last() -> None:
    define = ra.DefineDeliveryOption(option="express", transit_days_max=1, prefer="fastest")
    defined = ra.DeliveryOptionDefined(option="express", transit_days_max=1, prefer="fastest")
    Given(delivery.decider).when(define).then(defined)
    Given(delivery.decider, defined).when(define).then()
    cheaper = define.model_copy(update={"prefer": "cheapest"})
    Given(delivery.decider, defined).when(cheaper).then(defined.model_copy(update={"prefer": "cheapest"}))


def test_p13_a_tracking_history_reported_three_times_is_passed_on_once() -> None:
    first = Sighting(milestone_id="1", status="in_transit", occurred_at=NOON)
    second = first.model_copy(update={"milestone_id": "2"})
    answer = RecordTracking(carrier="ups", tracking_number="T", sightings=(first,))
    reported = TrackingReported(carrier="ups", tracking_number="T", sightings=(first,))
    Given(tracker.decider).when(answer).then(reported)
    Given(tracker.decider, reported).when(answer).then()
    longer = answer.model_copy(update={"sightings": (second, first)})
    Given(tracker.decider, reported).when(longer).then(reported.model_copy(update={"sightings": (second,)}))
    Given(tracker.decider).when(answer.model_copy(update={"sightings": ()})).then()
