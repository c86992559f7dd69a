"""What the outside asks of the engine: one function per kind of request, each drawn from the seed.

A new command joins the simulation as one more function in MIX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from oms_es.kernel import Command
from oms_es.schemas.location import OpenLocation
from oms_es.schemas.order import Address, CancelOrder, OrderLine, PlaceOrder
from oms_es.schemas.stock import ReceiveStock, ReleaseStock, ReserveStock, SetSafetyStock
from oms_es.simulation.scenario import Action, Profile

EPOCH = datetime(2026, 1, 5, 8, tzinfo=UTC)
"""The simulated time at which every scenario begins."""
SKUS = ("tea", "cup", "pot")
LOCATIONS = ("berlin", "lyon", "turin")
CHANNELS = ("web", "shop", "market")
PRICE_MINOR = 1_250
BURST_SHARE, BURST_SECONDS = 0.85, 1.0
ADDRESS = Address(country="DE", postal_code="10115")


class Draw(NamedTuple):
    """What the functions draw from. `span`: the seconds in which something may be asked."""

    chance: Random
    profile: Profile
    skus: Sequence[str]
    locations: Sequence[str]
    orders: Sequence[Action]
    span: float
    clients: int
    bursts: Sequence[float]

    def moment(self) -> float:
        """Most comes in bursts: what meets is what races."""
        if self.bursts and self.chance.random() < BURST_SHARE:
            return self.chance.choice(self.bursts) + self.chance.expovariate(1.0 / BURST_SECONDS)
        return self.chance.uniform(0.0, self.span)

    def likely(self, share: float) -> bool:
        return self.chance.random() < share

    def action(self, at: float, ask: Command | bytes) -> Action:
        return Action(at, self.chance.randrange(self.clients), ask)

    def earlier(self) -> tuple[Action, PlaceOrder]:
        """An order that is asked for anyway."""
        action = self.chance.choice(self.orders)
        assert isinstance(action.ask, PlaceOrder)
        return action, action.ask


def asked(chance: Random, profile: Profile, seconds: float, clients: int) -> Iterator[Action]:
    skus, locations = SKUS[: chance.randint(*profile.skus)], LOCATIONS[: chance.randint(*profile.locations)]
    span = seconds * 0.9
    bursts = [chance.uniform(0.0, span) for _ in range(chance.randint(1, 2))] if profile.units < FLASH_UNITS else ()
    draw = Draw(chance, profile, skus, locations, (), span, clients, bursts)
    draw = draw._replace(orders=tuple(orders(draw)))
    yield from draw.orders
    if profile.units >= FLASH_UNITS:
        yield from what_is_on_sale(draw)
        return
    for some in MIX:
        yield from some(draw)


FLASH_UNITS = 100
"""From here on a profile is a sale of few things to many: what there is, is there when it begins."""


def what_is_on_sale(draw: Draw) -> Iterator[Action]:
    places, left = len(draw.locations), draw.profile.units
    for place in draw.locations:
        yield Action(0.0, 0, OpenLocation(location=place, country="DE"))
    for number, place in enumerate(draw.locations, start=1):
        units = left if number == places else left * 3 // 5
        left -= units
        yield Action(0.0, 0, ReceiveStock(sku=draw.skus[0], location=place, receipt_id="opening", quantity=units))


def orders(draw: Draw) -> Iterator[Action]:
    chance, flash = draw.chance, draw.profile.units >= FLASH_UNITS
    for number in range(chance.randint(*draw.profile.orders)):
        channel = CHANNELS[number % len(CHANNELS)]
        at = draw.moment()
        yield draw.action(
            at,
            PlaceOrder(
                channel=channel,
                external_id=f"{channel[0].upper()}{number}",
                placed_at=EPOCH + timedelta(seconds=int(at)),
                currency="EUR",
                lines=_lines(draw, 1 if flash else chance.choice((1, 1, 2))),
                ship_to=ADDRESS,
                shipping_minor=0 if flash else chance.choice((0, 490)),
            ),
        )


def _lines(draw: Draw, count: int) -> tuple[OrderLine, ...]:
    chance, flash = draw.chance, draw.profile.units >= FLASH_UNITS
    return tuple(
        OrderLine(
            line_id=str(number),
            sku=chance.choice(draw.skus),
            quantity=1 if flash else chance.choice((1, 1, 2, 3)),
            unit_price_minor=chance.choice((PRICE_MINOR, PRICE_MINOR, 0)) if not flash else PRICE_MINOR,
        )
        for number in range(1, count + 1)
    )


def openings(draw: Draw) -> Iterator[Action]:
    for place in draw.locations:
        yield draw.action(0.0, OpenLocation(location=place, country="DE"))


def receipts(draw: Draw) -> Iterator[Action]:
    """Some there from the beginning, some while orders wait for it; now and then one is told twice."""
    chance = draw.chance
    for sku in draw.skus:
        for place in draw.locations:
            for number in range(chance.choice((1, 1, 2))):
                at = draw.moment() if number or draw.likely(0.3) else 0.0
                quantity = chance.randint(1, draw.profile.units)
                ask = ReceiveStock(sku=sku, location=place, receipt_id=f"r{number}", quantity=quantity)
                yield draw.action(at, ask)
                if draw.likely(0.1):
                    yield draw.action(draw.moment(), ask)


def repeats(draw: Draw) -> Iterator[Action]:
    """Told again: the same, or something else under the same name."""
    if draw.likely(0.4):
        action, order = draw.earlier()
        if draw.likely(0.3):
            order = order.model_copy(update={"shipping_minor": order.shipping_minor + 100})
        yield draw.action(action.at + draw.chance.expovariate(0.5), order)


def cancellations(draw: Draw) -> Iterator[Action]:
    if draw.likely(0.5):
        action, order = draw.earlier()
        cancel = CancelOrder(order_id=order.order_id, reason="changed their mind")
        yield draw.action(action.at + draw.chance.expovariate(0.3), cancel)


def carts(draw: Draw) -> Iterator[Action]:
    """Stock that is held for a while, and let go in time or not."""
    chance = draw.chance
    if draw.likely(0.4):
        at, sku, place = draw.moment(), chance.choice(draw.skus), chance.choice(draw.locations)
        until = EPOCH + timedelta(seconds=int(at) + chance.randint(5, 200))
        held = {"sku": sku, "location": place, "reservation_id": "cart", "order_id": "cart"}
        yield draw.action(at, ReserveStock(**held, quantity=1, expires_at=until))
        if draw.likely(0.3):
            yield draw.action(at + chance.uniform(0.0, 200.0), ReleaseStock(**held))


def safety_stocks(draw: Draw) -> Iterator[Action]:
    chance = draw.chance
    if draw.likely(0.2):
        sku, place = chance.choice(draw.skus), chance.choice(draw.locations)
        yield draw.action(draw.moment(), SetSafetyStock(sku=sku, location=place, quantity=chance.randint(0, 2)))


def bad_input(draw: Draw) -> Iterator[Action]:
    if draw.likely(0.3):
        yield draw.action(draw.moment(), draw.chance.choice((b"{", b"{}", b'{"channel": "web"}', b"\xff\xfe")))


MIX: tuple[Callable[[Draw], Iterator[Action]], ...] = (
    openings,
    receipts,
    repeats,
    cancellations,
    carts,
    safety_stocks,
    bad_input,
)
