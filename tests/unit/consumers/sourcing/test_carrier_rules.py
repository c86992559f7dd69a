"""Who gets a shipment: by delivery option, reach, weight, time and price."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from oms_es.consumers.sourcing.carrier_choice import Freight, quote
from oms_es.schemas.catalog.rates import Band, DeliveryOptionDefined, RatesPublished, Service, Zone

NEAR = Freight([1_000], "DE", 100)


def service(name: str, price: int, days: int = 2, options: tuple[str, ...] = ("standard",)) -> Service:
    bands = (Band(weight_grams_max=2_000, price_minor=price), Band(weight_grams_max=10_000, price_minor=3 * price))
    return Service(service=name, delivery_options=options, zones=(Zone(transit_days=days, bands=bands),))


def rates(carrier: str, *services: Service, currency: str = "EUR") -> RatesPublished:
    return RatesPublished(carrier=carrier, version="1", currency=currency, services=services)


def promise(days: int | None = None, prefer: str = "cheapest") -> DeliveryOptionDefined:
    return DeliveryOptionDefined.model_validate({"option": "standard", "transit_days_max": days, "prefer": prefer})


TWO = [rates("a", service("slow", 100, days=5)), rates("b", service("fast", 300, days=1))]


def test_the_cheapest_wins_unless_the_option_says_otherwise() -> None:
    assert quote(NEAR, TWO, None).service == "slow"
    assert quote(NEAR, TWO, promise()).service == "slow"
    assert quote(NEAR, TWO, promise(prefer="fastest")).service == "fast"
    assert quote(NEAR, TWO, promise(days=3)).service == "fast"


def test_where_no_one_is_in_time_the_fastest_goes_and_is_marked_late() -> None:
    choice = quote(NEAR, TWO, promise(days=0))
    assert choice.service == "fast"
    assert not choice.candidates[0].in_time


def test_a_service_is_used_for_the_options_it_is_meant_for() -> None:
    only_express = [rates("a", service("air", 900, options=("express",)))]
    assert quote(NEAR, only_express, None).carrier == ""
    assert quote(NEAR._replace(delivery_option="express"), only_express, None).carrier == "a"


def test_a_heavier_parcel_costs_the_next_band_and_a_too_heavy_one_is_not_taken() -> None:
    assert quote(NEAR._replace(weights_grams=[2_001]), TWO, None).quoted_minor == 300
    assert quote(NEAR._replace(weights_grams=[2_000, 2_001]), TWO, None).quoted_minor == 400
    assert quote(NEAR._replace(weights_grams=[10_001]), TWO, None).carrier == ""


def test_the_first_zone_that_a_parcel_falls_into_counts() -> None:
    home = Zone(countries=("DE",), transit_days=1, bands=(Band(weight_grams_max=2_000, price_minor=50),))
    near = Zone(distance_km_max=500, transit_days=2, bands=(Band(weight_grams_max=2_000, price_minor=70),))
    zoned = [rates("a", Service(service="s", zones=(home, near)))]
    assert quote(NEAR, zoned, None).quoted_minor == 50
    assert quote(NEAR._replace(country="FR"), zoned, None).quoted_minor == 70
    assert quote(NEAR._replace(country="FR", distance_km=501), zoned, None).carrier == ""


def test_prices_in_another_currency_are_not_compared() -> None:
    choice = quote(NEAR, [*TWO, rates("c", service("x", 1), currency="USD")], None)
    assert choice.carrier == "a"
    assert choice.candidates[-1].reason == "priced in USD, the others in EUR"


prices = st.integers(0, 5)


@settings(deadline=None)
@given(st.lists(st.tuples(prices, prices), min_size=1, max_size=6), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_the_lookups(offers: list[tuple[int, int]], chance: object) -> None:
    published = [rates(str(i), service("s", price, days)) for i, (price, days) in enumerate(offers)]
    choice = quote(NEAR, published, None)
    shuffled = list(published)
    chance.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis gives a Random
    assert quote(NEAR, shuffled, None) == choice
    assert choice.quoted_minor == min(price for price, _ in offers)
