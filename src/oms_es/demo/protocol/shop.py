"""The demo's week for a shop that is paid by card, WeChat Pay and Alipay, and ships with EasyPost.

Invariant: the same (seed, order_count) gives the same commands, however far one iterates, as in the week itself.
Purchases, cancellations and returns are those of the week; places, payment methods and currencies are changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from oms_es.demo.catalogue import STORES
from oms_es.demo.workload import Wish, Workload
from oms_es.kernel import Command
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import Address, OrderLine, PlaceOrder, Tender
from oms_es.schemas.order.returns import RequestReturn

COUNTRY = "US"
"""The shop's country. It ships within the country only, since EasyPost needs customs papers for other parcels."""


class Town(NamedTuple):
    name: str
    city: str
    state: str
    postal_code: str
    latitude: float
    longitude: float


SITES: Mapping[str, Town] = {
    "rotterdam": Town("newark", "Newark", "NJ", "07102", 40.7357, -74.1724),
    "leipzig": Town("columbus", "Columbus", "OH", "43215", 39.9612, -82.9988),
    "milano": Town("oakland", "Oakland", "CA", "94607", 37.8044, -122.2712),
    "paris": Town("manhattan", "New York", "NY", "10001", 40.7506, -73.9972),
    "wien": Town("seattle", "Seattle", "WA", "98101", 47.6101, -122.3344),
}
"""The towns in place of the week's locations."""
COUNTERS = {store.postal_code: SITES[store.location.location] for store in STORES}
HOMES = (
    Town("", "Boston", "MA", "02108", 42.3601, -71.0589),
    Town("", "Chicago", "IL", "60601", 41.8837, -87.6289),
    Town("", "Denver", "CO", "80202", 39.7525, -104.9995),
    Town("", "Houston", "TX", "77002", 29.7604, -95.3698),
    Town("", "Los Angeles", "CA", "90012", 34.0614, -118.2385),
    Town("", "Miami", "FL", "33130", 25.7681, -80.2044),
    Town("", "Portland", "OR", "97201", 45.5070, -122.6900),
)
CARD, WECHATPAY, ALIPAY = "card", "wechatpay", "alipay"
"""Methods of payment."""
WAYS = (
    *(("pm_card_visa", CARD, 45), ("native", WECHATPAY, 20), ("jsapi:o-customer", WECHATPAY, 7)),
    *(("qr", ALIPAY, 18), ("page", ALIPAY, 10)),
)
"""Payment tokens, their methods, and their relative frequency."""
TURNED_DOWN = "pm_card_visa_chargeDeclined"
YUAN_PER_DOLLAR = 7


class ProtocolShop(Workload):
    """The shop. It sells no gift cards, and presales are paid by card."""

    def acts(self) -> Iterator[Iterator[Command]]:
        for commands in super().acts():
            yield map(_here, commands)

    def _new_order(self, index: int) -> PlaceOrder:
        order = super()._new_order(index)
        token, method = self._way_of(index, order)
        priced = order if method == CARD else _in_yuan(order)
        return priced.model_copy(
            update={
                "ship_to": self._address(index, order),
                "payment_token": token,
                "tenders": (Tender(method=method, payment_token=token, amount_minor=priced.total_minor),)
                if method != CARD
                else (),
                "currency": "USD" if method == CARD else "CNY",
            }
        )

    def _way_of(self, index: int, order: PlaceOrder) -> tuple[str, str]:
        if order.kind == "presale" or order.payment_token == "tok-decline":
            return ("pm_card_visa" if order.kind == "presale" else TURNED_DOWN), CARD
        point = self._draw("way", index) * sum(weight for _, _, weight in WAYS)
        for token, method, weight in WAYS:
            point -= weight
            if point < 0:
                return token, method
        return WAYS[0][:2]

    def _address(self, index: int, order: PlaceOrder) -> Address:
        """Return the address: of the store for orders at its counter, else of a home."""
        there = COUNTERS.get(order.ship_to.postal_code) if order.channel == "pos" else None
        place = there or HOMES[int(self._draw("home", index) * len(HOMES))]
        return order.ship_to.model_copy(
            update={
                "street": f"{1 + index % 900} Main Street",
                "city": place.city,
                "region": place.state,
                "postal_code": place.postal_code,
                "country": COUNTRY,
                "latitude": place.latitude,
                "longitude": place.longitude,
            }
        )

    def _return_of(self, order: PlaceOrder, at: Wish) -> RequestReturn:
        """Return the return. Customers who paid by a code get a refund in place of an exchange, whose difference would
        need another code."""
        wanted = super()._return_of(order, at)
        if order.currency == "CNY" and wanted.resolution == "exchange":
            return wanted.model_copy(update={"resolution": "refund", "replacement": ()})
        return wanted


def _here(command: Command) -> Command:
    """Return the command with the location of this shop in place of the week's."""
    location = getattr(command, "location", None)
    place = SITES.get(location) if isinstance(location, str) else None
    if place is None:
        return command
    moved: dict[str, object] = {"location": place.name}
    if isinstance(command, OpenLocation):
        moved |= {"country": COUNTRY, "latitude": place.latitude, "longitude": place.longitude}
    return command.model_copy(update=moved)


def _in_yuan(order: PlaceOrder) -> PlaceOrder:
    lines = tuple(map(_line_in_yuan, order.lines))
    amounts = {name: getattr(order, name) * YUAN_PER_DOLLAR for name in ("shipping_minor", "discount_minor")}
    return order.model_copy(update={"lines": lines, **amounts})


def _line_in_yuan(line: OrderLine) -> OrderLine:
    return line.model_copy(update={"unit_price_minor": line.unit_price_minor * YUAN_PER_DOLLAR})
