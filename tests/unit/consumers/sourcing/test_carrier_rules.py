"""The choice of a carrier: by delivery option, reach, weight, time and price."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oms_es.consumers.sourcing.carrier_choice import Freight, quote
from oms_es.consumers.sourcing.regions import region_key
from oms_es.schemas.catalog.rates import (
    Band,
    Beyond,
    DeliveryOptionDefined,
    RatesPublished,
    Service,
    Surcharge,
    Zone,
)
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX

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


FIRST_KILO = Band(weight_grams_max=1_000, price_minor=1_200)
HOME = Zone(
    countries=("CN",),
    regions=("上海", "江苏", "浙江"),
    transit_days=1,
    bands=(FIRST_KILO,),
    beyond=Beyond(step_grams=1_000, step_minor=200, weight_grams_max=30_000),
)
FAR = HOME.model_copy(
    update={"regions": (), "transit_days": 3, "beyond": Beyond(step_grams=500, step_minor=350, weight_grams_max=30_000)}
)
IN_CHINA = Freight([1_000], "CN", 100, region="江苏省")


def chinese(*surcharges: Surcharge, **more: Any) -> list[RatesPublished]:
    """首重 1 kg 12.00; 续重 2.00 a kilogram near, 3.50 half a kilogram elsewhere."""
    made = Service(service="标快", zones=(HOME, FAR), surcharges=surcharges, **more)
    return [rates("shunfeng", made, currency="CNY")]


@pytest.mark.parametrize(
    ("region", "grams", "price"),
    [
        ("江苏省", 1, 1_200),
        ("江苏", 1_000, 1_200),
        ("江苏省", 1_001, 1_400),
        ("上海市", 2_000, 1_400),
        ("浙江省", 2_001, 1_600),
        ("浙江省", 30_000, 7_000),
        ("广东省", 1_001, 1_550),
        ("广东省", 2_000, 1_900),
        ("", 1_001, 1_550),
        ("江苏省", 30_001, None),
    ],
)
def test_more_than_the_first_weight_costs_each_step_that_is_begun_by_province(
    region: str, grams: int, price: int | None
) -> None:
    choice = quote(IN_CHINA._replace(region=region, weights_grams=[grams]), chinese(), None)
    assert (choice.quoted_minor if choice.carrier else None) == price


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("广东", "广东省"),
        ("北京", "北京市"),
        ("新疆", "新疆维吾尔自治区"),
        ("广西", "广西壮族自治区"),
        ("内蒙古", "内蒙古自治区"),
        ("香港", "香港特别行政区"),
        ("texas", " TEXAS"),
        ("Guangdong", "guangdong  Province"),
    ],
)
def test_a_region_is_known_by_what_addresses_call_it(one: str, other: str) -> None:
    assert region_key(one) == region_key(other)
    assert region_key("吉林省") != region_key("江西省")
    assert region_key("沙市") == "沙市", "no name without its suffix is left of one character"


def test_a_carton_counts_as_what_it_weighs_or_as_how_large_it_is() -> None:
    large = IN_CHINA._replace(volumes_ml=[12_001])
    assert quote(large, chinese(volume_divisor=6_000), None).quoted_minor == 1_600, "2,000.2 g are 2,001"
    assert quote(large, chinese(volume_divisor=12_001), None).quoted_minor == 1_200
    assert quote(large, chinese(), None).quoted_minor == 1_200
    assert quote(IN_CHINA, chinese(volume_divisor=6_000), None).quoted_minor == 1_200, "how large it is, is not known"
    too_large = quote(large._replace(volumes_ml=[10**9]), chinese(volume_divisor=1), None)
    assert too_large.candidates[0].reason == "takes no 1000000000000 g by volume"


def test_what_is_oversize_costs_more_carton_by_carton() -> None:
    large = Surcharge(name="oversize", above_ml=60_000, amount_minor=700)
    both = Surcharge(name="bulky", above_ml=60_000, above_grams=900, permille=100)
    sized = IN_CHINA._replace(weights_grams=[900, 1_000, 900], volumes_ml=[60_000, 60_001, 60_001])
    (best,) = quote(sized, chinese(large, both), None).candidates
    assert [(part.name, part.amount_minor) for part in best.price_parts][-2:] == [
        ("surcharge oversize", 1_400),
        ("surcharge bulky", 120),
    ]
    unknown = quote(IN_CHINA._replace(volumes_ml=()), chinese(large), None)
    assert unknown.quoted_minor == quote(IN_CHINA, chinese(), None).quoted_minor


def test_surcharges_add_up_and_say_what_they_are_for() -> None:
    surcharges = (
        Surcharge(name="fuel", permille=125),
        Surcharge(name="remote", regions=("新疆", "西藏"), amount_minor=1_500),
        Surcharge(name="heavy", above_grams=20_000, amount_minor=900, permille=10),
        Surcharge(name="abroad", countries=("US",), amount_minor=9_999),
    )
    light = quote(IN_CHINA, chinese(*surcharges), None)
    assert light.quoted_minor == 1_200 + 150
    far = quote(IN_CHINA._replace(region="新疆维吾尔自治区", weights_grams=[20_001, 500]), chinese(*surcharges), None)
    further = 39 * 350
    assert [(part.name, part.amount_minor) for part in far.candidates[0].price_parts] == [
        ("first weight", 2_400),
        ("further weight", further),
        ("surcharge fuel", 1_856 + 150),
        ("surcharge remote", 3_000),
        ("surcharge heavy", 900 + 149),
    ]
    assert sum(part.amount_minor for part in far.candidates[0].price_parts) == far.quoted_minor


def test_a_price_of_one_part_is_not_taken_apart() -> None:
    assert quote(IN_CHINA, chinese(), None).candidates[0].price_parts == ()


def test_what_costs_more_than_an_amount_may_is_not_taken() -> None:
    dear = Zone(transit_days=1, bands=(Band(weight_grams_max=1_000, price_minor=AMOUNT_MINOR_MAX),))
    choice = quote(NEAR._replace(weights_grams=[1, 1]), [rates("a", Service(service="s", zones=(dear,)))], None)
    assert choice.candidates[0].reason == "costs more than can be written down"


amounts, grams_drawn = st.integers(0, 10**6), st.integers(1, 10**6)


@given(
    st.lists(st.tuples(grams_drawn, st.integers(0, 10**6)), min_size=1, max_size=4),
    st.tuples(amounts, amounts, st.integers(1, 10**5), st.integers(0, 10_000), amounts),
    st.integers(1, 20_000),
)
def test_a_price_is_exact_to_the_minor_unit(
    cartons: list[tuple[int, int]], tariff: tuple[int, int, int, int, int], divisor: int
) -> None:
    """The price is compared with a computation in decimals, step by step."""
    first, step, step_grams, permille, fixed = tariff
    zone = Zone(
        transit_days=1,
        bands=(Band(weight_grams_max=1_000, price_minor=first),),
        beyond=Beyond(step_grams=step_grams, step_minor=step, weight_grams_max=10**12),
    )
    extra = Surcharge(name="x", permille=permille, amount_minor=fixed)
    one = Service(service="s", zones=(zone,), surcharges=(extra,), volume_divisor=divisor)
    weights, volumes = [grams for grams, _ in cartons], [volume for _, volume in cartons]
    choice = quote(Freight(weights, "CN", 1, volumes_ml=volumes), [rates("a", one)], None)
    expected = Decimal()
    for grams, volume in cartons:
        counted = max(Decimal(grams), (Decimal(volume) * 1_000 / divisor))
        beyond = max(counted - 1_000, Decimal()) / step_grams
        freight = first + step * beyond.to_integral_value("ROUND_CEILING")
        expected += freight + fixed + (freight * permille / 1_000).quantize(Decimal(1), ROUND_HALF_UP)
    assert choice.quoted_minor == expected
