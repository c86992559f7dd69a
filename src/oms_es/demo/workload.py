"""The demo's world, generated from a seed: locations, stock that is nearly enough, a week of orders with mishaps.

Invariant: the same (seed, order_count) gives the same commands in every program, however far it iterates: each order is
drawn from the seed and its own index alone.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from itertools import islice
from math import ceil, sqrt
from random import Random
from typing import NamedTuple

from oms_es.demo.catalogue import (
    CATALOGUE,
    CITIES,
    CITY_SPREAD_DEGREES,
    CITY_WEIGHTS,
    CURRENCY,
    SCARCE_RANKS,
    STORES,
    WAREHOUSES,
    WEIGHTS,
    WEIGHTS_SO_FAR,
    Product,
    Site,
)
from oms_es.demo.figures import (
    BALANCE_DUE_SECONDS,
    CANCEL_DELAY_ORDERS_MAX,
    CANCEL_SHARE,
    CHANNEL_WEIGHTS,
    CHANNELS,
    CONFLICTS,
    COUPON_PERCENT,
    COUPON_SHARE,
    EPOCH,
    EXCHANGE_SHARE,
    FREE_SHIPPING_FROM_MINOR,
    GIFT_CARD_MINOR,
    GIFT_CARD_SHARE,
    GOODWILL_MINOR,
    GOODWILL_SHARE,
    HOUR_SECONDS,
    KEPT_SHARE,
    LATE_FROM,
    LATE_STEP,
    LINE_WEIGHTS,
    LINES,
    ORDERS_PER_CONFLICT_MIN,
    PRESALE_DEPOSIT_MINOR,
    PRESALE_LATE,
    PRESALE_PRICE_MINOR,
    PRESALE_SHARE,
    PRESALE_SKU,
    QUANTITIES,
    QUANTITY_WEIGHTS,
    REPEAT_DISTANCE_MAX,
    REPEAT_SHARE,
    REPLACEMENT_RANKS,
    RETURN_DESK,
    RETURN_SHARE,
    RETURNED_AFTER,
    SAFETY_SKUS,
    SAFETY_STOCK,
    SCARCE_FILLED,
    SCARCE_FILLED_LATE,
    SHIPPING_MINOR,
    STOCK_DEVIATIONS,
    STOCK_MARGIN,
    STOCK_MIN,
    TOKEN_WEIGHTS,
    TOKENS,
    UNITS_PER_ORDER,
    WEEK,
    WEEK_SO_FAR,
)
from oms_es.kernel import Command
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import (
    Address,
    CancelOrder,
    Customer,
    LineUnits,
    OrderLine,
    PlaceOrder,
    RefundOrder,
    Tender,
)
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.returns.rma import InspectedLine, InspectRma, ReceiveRma, Resolution, ReturnLine
from oms_es.schemas.stock import ReceiveStock, SetPresaleLimit, SetSafetyStock


class Wish(NamedTuple):
    """The random choices of one order's customer: whether something comes back, and for what."""

    number: int
    chance: float
    wish: float

    @property
    def rma_id(self) -> str:
        return f"R-{self.number + 1:07d}"


@dataclass(frozen=True)
class Workload:
    seed: int
    order_count: int

    def __post_init__(self) -> None:
        if self.order_count < 1:
            raise ValueError(f"order_count is {self.order_count}; a world has at least one order")

    def locations(self) -> list[OpenLocation]:
        return [site.location for site in (*WAREHOUSES, *STORES)]

    def receipts(self) -> list[ReceiveStock]:
        return [
            ReceiveStock(sku=product.sku, location=site.location.location, receipt_id="opening", quantity=quantity)
            for rank, product in enumerate(CATALOGUE)
            for site, quantity in self._opening_stock(rank, product)
        ]

    def safety_stocks(self) -> list[SetSafetyStock]:
        """Return the safety stock of stores, for the SKUs that sell best."""
        return [
            SetSafetyStock(sku=product.sku, location=site.location.location, quantity=SAFETY_STOCK)
            for product in CATALOGUE[:SAFETY_SKUS]
            for site in product.sites
            if site in STORES
        ]

    def late_receipts(self) -> list[tuple[int, ReceiveStock]]:
        """Return late receipts, each with the index of the order that it comes after; they cover a part of the waiting
        orders."""
        receipts = []
        for i, rank in enumerate(SCARCE_RANKS):
            product = CATALOGUE[rank]
            quantity = ceil(self._expected_units(rank) * SCARCE_FILLED_LATE)
            at = {"sku": product.sku, "location": product.sites[0].location.location}
            index = int(self.order_count * (LATE_FROM + i * LATE_STEP))
            receipts.append((index, ReceiveStock(**at, receipt_id="late", quantity=quantity)))
        at = {"sku": PRESALE_SKU, "location": WAREHOUSES[0].location.location}
        launched = ReceiveStock(**at, receipt_id="launch", quantity=self._presold())
        return sorted([*receipts, (int(self.order_count * PRESALE_LATE), launched)], key=lambda receipt: receipt[0])

    def orders(self) -> Iterator[PlaceOrder]:
        return (self.order(index) for index in range(self.order_count))

    def order(self, index: int) -> PlaceOrder:
        """Return a new order, or an earlier one sent again: mostly unchanged, a few times with other content."""
        first_sent = self._first_sent(index)
        order = self._new_order(first_sent)
        return _with_one_more(order) if first_sent != index and index in self._conflicts else order

    def cancellations(self) -> Iterator[tuple[int, CancelOrder]]:
        """Yield cancellations, each with the index of the order that it comes after, in that order."""
        waiting: list[tuple[int, int]] = []
        for index in range(self.order_count):
            if self._draw("cancel", index) < CANCEL_SHARE and self._first_sent(index) == index:
                # Cubed: most customers cancel at once, some when the parcel is packed.
                delay = int(self._draw("regret", index) ** 3 * CANCEL_DELAY_ORDERS_MAX)
                heapq.heappush(waiting, (min(index + delay, self.order_count - 1), index))
            while waiting and waiting[0][0] <= index:
                after, cancelled = heapq.heappop(waiting)
                order_id = self._new_order(cancelled).order_id
                yield after, CancelOrder(order_id=order_id, reason="the customer changed their mind")

    def acts(self) -> Iterator[Iterator[Command]]:
        """Yield the acts. Each is sent after everything that follows from the one before it: only delivered goods come
        back."""
        yield self.commands()
        yield iter(self.requests())
        yield iter(self.arrivals())

    def requests(self) -> Iterator[Command]:
        """Yield what customers request after delivery: a return, or a small refund."""
        for order, at in self._first_orders():
            if at.chance < RETURN_SHARE:
                yield self._return_of(order, at)
            if self._draw("goodwill", at.number) < GOODWILL_SHARE:
                reason = "the box was dented"
                yield RefundOrder(
                    order_id=order.order_id, refund_id="goodwill", goodwill_minor=GOODWILL_MINOR, reason=reason
                )

    def arrivals(self) -> Iterator[Command]:
        """Yield the arrivals and inspections of returned parcels."""
        for _, at in self._first_orders():
            if at.chance < RETURN_SHARE and at.wish >= KEPT_SHARE:
                back = LineUnits(line_id="1", quantity=1)
                yield ReceiveRma(rma_id=at.rma_id, receipt_id=f"{at.rma_id}/1", location=RETURN_DESK, lines=(back,))
                worn = self._draw("worn", at.number) < EXCHANGE_SHARE
                seen = InspectedLine(
                    line_id="1",
                    quantity=1,
                    grade="opened" if worn else "as_new",
                    disposition="damaged" if worn else "sellable",
                )
                yield InspectRma(rma_id=at.rma_id, inspection_id="1", location=RETURN_DESK, lines=(seen,))

    def _first_orders(self) -> Iterator[tuple[PlaceOrder, Wish]]:
        for index in range(self.order_count):
            if self._first_sent(index) == index:
                yield self._new_order(index), Wish(index, self._draw("return", index), self._draw("wish", index))

    def _return_of(self, order: PlaceOrder, at: Wish) -> RequestReturn:
        resolution: Resolution = "refund"
        replacement: tuple[OrderLine, ...] = ()
        if at.wish < KEPT_SHARE:
            resolution = "refund_only"
        elif at.wish < KEPT_SHARE + EXCHANGE_SHARE:
            product = CATALOGUE[at.number % REPLACEMENT_RANKS]
            resolution = "exchange"
            replacement = (OrderLine(line_id="1", sku=product.sku, quantity=1, unit_price_minor=product.price_minor),)
        return RequestReturn(
            order_id=order.order_id,
            rma_id=at.rma_id,
            lines=(ReturnLine(line_id="1", quantity=1, reason="changed_mind"),),
            resolution=resolution,
            replacement=replacement,
            now=EPOCH + RETURNED_AFTER,
        )

    def presale(self) -> SetPresaleLimit:
        """Return the limit of the presale, with enough units for all orders of it."""
        at = WAREHOUSES[0].location.location
        return SetPresaleLimit(sku=PRESALE_SKU, location=at, quantity=self._presold())

    def _presold(self) -> int:
        return max(ceil(self.order_count * PRESALE_SHARE * 2), 1)

    def commands(self) -> Iterator[Command]:
        """Yield everything up to the last order: locations and their stock first."""
        yield from self.locations()
        yield from self.receipts()
        yield from self.safety_stocks()
        yield self.presale()
        extras = heapq.merge(self.late_receipts(), self.cancellations(), key=lambda extra: extra[0])
        extra = next(extras, None)
        for index, order in enumerate(self.orders()):
            yield order
            while extra and extra[0] <= index:
                yield extra[1]
                extra = next(extras, None)

    def steps(self, batch: int, start: int = 0) -> Iterator[Sequence[Command]]:
        return in_batches(self.commands(), batch, start)

    def _expected_units(self, rank: int) -> float:
        return self.order_count * UNITS_PER_ORDER * WEIGHTS[rank] / WEIGHTS_SO_FAR[-1]

    def _opening_stock(self, rank: int, product: Product) -> Iterator[tuple[Site, int]]:
        expected = self._expected_units(rank)
        enough = expected * STOCK_MARGIN + STOCK_DEVIATIONS * sqrt(expected) + STOCK_MIN
        units = expected * SCARCE_FILLED if product.scarce else enough
        shares = sum(site.share for site in product.sites)
        for site in product.sites:
            yield site, ceil(units * site.share / shares)

    @cached_property
    def _conflicts(self) -> frozenset[int]:
        number = min(CONFLICTS, self.order_count // ORDERS_PER_CONFLICT_MIN)
        return frozenset(int((i + 0.5) * self.order_count / number) for i in range(number))

    def _repeats(self, index: int) -> bool:
        return index in self._conflicts or self._draw("repeat", index) < REPEAT_SHARE

    def _first_sent(self, index: int) -> int:
        """Return the index at which the order was first sent: the same index, unless the order repeats an
        earlier one."""
        if not self._repeats(index):
            return index
        earlier = index - 1 - int(self._draw("distance", index) * REPEAT_DISTANCE_MAX)
        while earlier >= 0 and self._repeats(earlier):
            earlier -= 1
        return earlier if earlier >= 0 else index

    def _new_order(self, index: int) -> PlaceOrder:
        if self._draw("presale", index) < PRESALE_SHARE:
            return self._presale_order(index)
        chance = Random(f"{self.seed}/order/{index}")
        (channel,) = chance.choices(CHANNELS, CHANNEL_WEIGHTS)
        lines = _lines(chance)
        goods_minor = sum(line.quantity * line.unit_price_minor for line in lines)
        free = channel == "web" and goods_minor >= FREE_SHIPPING_FROM_MINOR
        return PlaceOrder(
            channel=channel,
            external_id=f"{channel[0].upper()}-{index + 1:07d}",
            placed_at=self._placed_at(index),
            currency=CURRENCY,
            lines=lines,
            shipping_minor=0 if free else SHIPPING_MINOR[channel],
            discount_minor=goods_minor * COUPON_PERCENT // 100 if chance.random() < COUPON_SHARE else 0,
            ship_to=_at_a_store(chance) if channel == "pos" else _at_home(chance),
            customer=None if channel == "pos" else self._customer(index),
            payment_token=chance.choices(TOKENS, TOKEN_WEIGHTS)[0],
            tenders=self._tenders(index, goods_minor),
        )

    def _presale_order(self, index: int) -> PlaceOrder:
        chance = Random(f"{self.seed}/presale/{index}")
        line = OrderLine(line_id="1", sku=PRESALE_SKU, quantity=1, unit_price_minor=PRESALE_PRICE_MINOR)
        return PlaceOrder(
            channel="web",
            external_id=f"W-{index + 1:07d}",
            placed_at=self._placed_at(index),
            currency=CURRENCY,
            lines=(line,),
            ship_to=_at_home(chance),
            payment_token="tok-ok",
            kind="presale",
            deposit_minor=PRESALE_DEPOSIT_MINOR,
            balance_due_seconds=BALANCE_DUE_SECONDS,
        )

    def _customer(self, index: int) -> Customer:
        """Return the customer. A few come back; orders at a till name none."""
        number = int(self._draw("customer", index) ** 2 * self.order_count)
        return Customer(customer_id=f"C-{number:06d}", email=f"c{number}@example.com", language="de")

    def _tenders(self, index: int, goods_minor: int) -> tuple[Tender, ...]:
        if goods_minor <= 2 * GIFT_CARD_MINOR or self._draw("gift card", index) >= GIFT_CARD_SHARE:
            return ()
        return (Tender(method="gift_card", payment_token=f"gift-{index}", amount_minor=GIFT_CARD_MINOR),)

    def _placed_at(self, index: int) -> datetime:
        """Return when the order was placed: orders are spread by the weights of hours, and a later index is never
        earlier."""
        point = (index + self._draw("moment", index)) / self.order_count * WEEK_SO_FAR[-1]
        hour = min(bisect_right(WEEK_SO_FAR, point), len(WEEK) - 1)
        within = 1 - (WEEK_SO_FAR[hour] - point) / WEEK[hour]
        return EPOCH + timedelta(seconds=int((hour + within) * HOUR_SECONDS))

    def _draw(self, purpose: str, index: int) -> float:
        digest = sha256(f"{self.seed}/{purpose}/{index}".encode()).digest()
        return int.from_bytes(digest[:6]) / 2**48


def in_batches(commands: Iterable[Command], batch: int, start: int = 0) -> Iterator[Sequence[Command]]:
    """Yield batches from batch `start` on. Earlier commands are generated and dropped, so that every batch stays the
    same."""
    rest = islice(commands, start * batch, None)
    while taken := tuple(islice(rest, batch)):
        yield taken


def _lines(chance: Random) -> tuple[OrderLine, ...]:
    """Return the order's lines. SKUs are drawn one by one, so that an order may have two lines of one SKU."""
    (count,) = chance.choices(LINES, LINE_WEIGHTS)
    products = chance.choices(CATALOGUE, cum_weights=WEIGHTS_SO_FAR, k=count)
    quantities = chance.choices(QUANTITIES, QUANTITY_WEIGHTS, k=count)
    return tuple(
        OrderLine(line_id=str(i), sku=product.sku, quantity=quantity, unit_price_minor=product.price_minor)
        for i, (product, quantity) in enumerate(zip(products, quantities, strict=True), start=1)
    )


def _at_a_store(chance: Random) -> Address:
    store = chance.choice(STORES)
    place = store.location
    return Address(
        city=store.city,
        postal_code=store.postal_code,
        country=place.country,
        latitude=place.latitude,
        longitude=place.longitude,
    )


def _at_home(chance: Random) -> Address:
    (city,) = chance.choices(CITIES, CITY_WEIGHTS)
    return Address(
        name=f"Customer {chance.randrange(1, 10_000)}",
        city=city.name,
        postal_code=city.postal_code,
        country=city.country,
        latitude=round(city.latitude + chance.uniform(-CITY_SPREAD_DEGREES, CITY_SPREAD_DEGREES), 4),
        longitude=round(city.longitude + chance.uniform(-CITY_SPREAD_DEGREES, CITY_SPREAD_DEGREES), 4),
    )


def _with_one_more(order: PlaceOrder) -> PlaceOrder:
    first, *others = order.lines
    return order.model_copy(update={"lines": (first.model_copy(update={"quantity": first.quantity + 1}), *others)})
