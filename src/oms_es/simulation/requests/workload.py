"""Requests from outside the engine: one function per kind of request, each drawn from the seed.

A new command joins the simulation as one more function in MIX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import (
    Address,
    AmendOrder,
    CancelOrder,
    CancelOrderLines,
    HoldOrder,
    LineUnits,
    OrderLine,
    PlaceOrder,
    RefundLine,
    RefundOrder,
    ReleaseHold,
    Tender,
)
from oms_es.schemas.stock import (
    AdjustStock,
    CountStock,
    MoveStock,
    ReceiveInbound,
    ReceiveStock,
    ReleaseStock,
    ReserveStock,
    SetPresaleLimit,
    SetSafetyStock,
)
from oms_es.simulation.scenario import Action, Ask, Profile

EPOCH = datetime(2026, 1, 5, 8, tzinfo=UTC)
"""The simulated time at which every scenario begins."""
SKUS = ("tea", "cup", "pot")
LOCATIONS = ("berlin", "lyon", "turin")
CHANNELS = ("web", "shop", "market")
PRICE_MINOR = 1_250
BURST_SHARE, BURST_SECONDS = 0.85, 1.0
ADDRESS = Address(country="DE", postal_code="10115")


GIFT_CARD = Tender(method="gift_card", payment_token="gift", amount_minor=100)


class Draw(NamedTuple):
    """The source of random draws. `span`: the seconds in which requests may be sent."""

    chance: Random
    profile: Profile
    skus: Sequence[str]
    locations: Sequence[str]
    orders: Sequence[Action]
    span: float
    clients: int
    bursts: Sequence[float]

    def moment(self) -> float:
        """Return a random moment, mostly within a burst: requests at the same time race each other."""
        if self.bursts and self.chance.random() < BURST_SHARE:
            return self.chance.choice(self.bursts) + self.chance.expovariate(1.0 / BURST_SECONDS)
        return self.chance.uniform(0.0, self.span)

    def likely(self, share: float) -> bool:
        return self.chance.random() < share

    def sku(self) -> str:
        return self.chance.choice(self.skus)

    def place(self) -> str:
        return self.chance.choice(self.locations)

    def action(self, at: float, ask: Ask) -> Action:
        return Action(at, self.chance.randrange(self.clients), ask)

    def earlier(self) -> tuple[Action, PlaceOrder]:
        """Return an order that the scenario sends anyway."""
        action = self.chance.choice(self.orders)
        assert isinstance(action.ask, PlaceOrder)
        return action, action.ask


def drawn(chance: Random, profile: Profile, seconds: float, clients: int) -> Draw:
    """Return the source of draws with SKUs, locations, and the orders of the scenario."""
    skus, locations = SKUS[: chance.randint(*profile.skus)], LOCATIONS[: chance.randint(*profile.locations)]
    span = seconds * 0.9
    bursts = [chance.uniform(0.0, span) for _ in range(chance.randint(1, 2))] if profile.units < FLASH_UNITS else ()
    draw = Draw(chance, profile, skus, locations, (), span, clients, bursts)
    return draw._replace(orders=tuple(orders(draw)))


def asked(draw: Draw) -> Iterator[Action]:
    yield from draw.orders
    if draw.profile.units >= FLASH_UNITS:
        yield from what_is_on_sale(draw)
        return
    for some in MIX:
        yield from some(draw)


FLASH_UNITS = 100
"""Units from which a profile is a flash sale: few SKUs, many orders, and all stock from the beginning."""


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
        at, lines = draw.moment(), _lines(draw, 1 if flash else chance.choice((1, 1, 2)))
        by_card = flash or draw.likely(0.7) or not any(line.unit_price_minor for line in lines)
        yield draw.action(
            at,
            PlaceOrder(
                channel=channel,
                external_id=f"{channel[0].upper()}{number}",
                placed_at=EPOCH + timedelta(seconds=int(at)),
                currency="EUR",
                lines=lines,
                ship_to=ADDRESS,
                shipping_minor=0 if flash else chance.choice((0, 490)),
                priority=0 if flash else chance.choice((0, 0, 5)),
                tenders=() if by_card else (GIFT_CARD,),
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
    """Yield receipts of stock: some at the beginning, some while orders wait for it; sometimes one is sent twice."""
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
    """Yield orders that are sent again: unchanged, or with other content."""
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
    """Yield temporary reservations, some of which are released before they expire."""
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


def amendments(draw: Draw) -> Iterator[Action]:
    """Yield amendments of units or shipping charges, also of orders that are not known yet."""
    if draw.likely(0.2):
        action, order = draw.earlier()
        first, *others = order.lines
        more = first.model_copy(update={"quantity": draw.chance.randint(1, 3)})
        amended: dict[str, Any] = {"lines": (more, *others)} if draw.likely(0.6) else {"shipping_minor": 700}
        ask = AmendOrder(order_id=order.order_id, amendment_id="a1", keep=draw.likely(0.5), **amended)
        yield draw.action(action.at + draw.chance.expovariate(0.5), ask)


def holds(draw: Draw) -> Iterator[Action]:
    """Yield holds of orders, most of which are released again."""
    if draw.likely(0.2):
        action, order = draw.earlier()
        at, kind = action.at + draw.chance.expovariate(1.0), draw.chance.choice(("fraud", "address"))
        yield draw.action(at, HoldOrder(order_id=order.order_id, kind=kind))
        if draw.likely(0.7):
            yield draw.action(at + draw.chance.expovariate(0.1), ReleaseHold(order_id=order.order_id, kind=kind))


def lines_cancelled(draw: Draw) -> Iterator[Action]:
    if draw.likely(0.2):
        action, order = draw.earlier()
        line = draw.chance.choice(order.lines)
        units = (LineUnits(line_id=line.line_id, quantity=draw.chance.randint(1, line.quantity)),)
        ask = CancelOrderLines(order_id=order.order_id, cancellation_id="c1", lines=units, reason="too many")
        yield draw.action(action.at + draw.chance.expovariate(0.2), ask)


def refunds(draw: Draw) -> Iterator[Action]:
    if draw.likely(0.2):
        action, order = draw.earlier()
        line = draw.chance.choice(order.lines)
        given: dict[str, Any] = (
            {"goodwill_minor": 100} if draw.likely(0.5) else {"lines": (RefundLine(line_id=line.line_id, quantity=1),)}
        )
        ask = RefundOrder(order_id=order.order_id, refund_id="r1", reason="broken", **given)
        yield draw.action(action.at + draw.chance.uniform(20.0, 200.0), ask)


def presales(draw: Draw) -> Iterator[Action]:
    """Yield presale orders, whose goods arrive in time, too late, or in part."""
    chance = draw.chance
    if draw.likely(0.15):
        at, sku, place = draw.moment(), chance.choice(draw.skus), chance.choice(draw.locations)
        quantity = chance.randint(1, 2)
        line = OrderLine(line_id="1", sku=sku, quantity=quantity, unit_price_minor=PRICE_MINOR)
        by = EPOCH + timedelta(seconds=int(at) + chance.randint(60, 400))
        yield draw.action(0.0, SetPresaleLimit(sku=sku, location=place, quantity=chance.randint(1, 4)))
        yield draw.action(
            at,
            PlaceOrder(
                channel="web",
                external_id="PRE",
                placed_at=EPOCH + timedelta(seconds=int(at)),
                currency="EUR",
                lines=(line,),
                ship_to=ADDRESS,
                kind="presale",
                deposit_minor=chance.choice((0, 500)),
                available_by=by,
                balance_due_seconds=chance.randint(60, 600),
            ),
        )
        come = ReceiveStock(sku=sku, location=place, receipt_id="presold", quantity=chance.randint(1, 4))
        yield draw.action(at + chance.uniform(10.0, 500.0), come)


def counts(draw: Draw) -> Iterator[Action]:
    """Yield counts and corrections of stock, which may break promises."""
    chance = draw.chance
    if draw.likely(0.2):
        at, sku, place = draw.moment(), chance.choice(draw.skus), chance.choice(draw.locations)
        yield draw.action(at, CountStock(sku=sku, location=place, count_id="k1", quantity=chance.randint(0, 4)))
    if draw.likely(0.1):
        at, sku, place = draw.moment(), chance.choice(draw.skus), chance.choice(draw.locations)
        yield draw.action(
            at, AdjustStock(sku=sku, location=place, adjustment_id="d1", quantity=chance.choice((-1, 2)), reason="seen")
        )


def moves(draw: Draw) -> Iterator[Action]:
    """Yield moves to another location, immediate or with time on the way."""
    chance = draw.chance
    if draw.likely(0.2) and len(draw.locations) > 1:
        at, sku, (place, other) = draw.moment(), chance.choice(draw.skus), chance.sample(draw.locations, 2)
        arrives = EPOCH + timedelta(seconds=int(at) + 60) if draw.likely(0.5) else None
        moved = MoveStock(sku=sku, location=place, move_id="m1", quantity=1, to_location=other, arrives_at=arrives)
        yield draw.action(at, moved)
        if arrives:
            came = ReceiveInbound(sku=sku, location=other, inbound_id="m1", receipt_id="m1")
            yield draw.action(at + chance.uniform(30.0, 120.0), came)


MIX: tuple[Callable[[Draw], Iterator[Action]], ...] = (
    openings,
    receipts,
    repeats,
    cancellations,
    carts,
    safety_stocks,
    bad_input,
    amendments,
    holds,
    lines_cancelled,
    refunds,
    presales,
    counts,
    moves,
)
