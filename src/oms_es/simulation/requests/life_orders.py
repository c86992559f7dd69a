"""Requests about orders in the full scenario: split, merged, overridden, held, late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from oms_es.kernel import Command
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.catalog.numbering import SetOrderNumbering
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.simulation.requests.workload import ADDRESS, EPOCH, PRICE_MINOR, Draw
from oms_es.simulation.scenario import Action
from oms_es.store.encoding.codec import event_id_of

SET, PHONE = "set", "phone"

BOOKED_AT_VERSION = 2
"""The version of a parcel's stream at which the carrier is asked, if nothing came before; the carrier's number derives
from it."""


CUSTOMER = o.Customer(customer_id="C-1", email="ada@example.com")
"""One customer of many orders, so that many orders change the customer's row."""


def moment(at: float) -> datetime:
    return EPOCH + timedelta(seconds=int(at))


def an_order(draw: Draw, at: float, name: str, *lines: tuple[str, int], **more: Any) -> o.PlaceOrder:
    return o.PlaceOrder(
        channel="web",
        external_id=name,
        placed_at=moment(at),
        currency="EUR",
        lines=tuple(
            o.OrderLine(line_id=str(n), sku=sku, quantity=units, unit_price_minor=PRICE_MINOR)
            for n, (sku, units) in enumerate(lines, start=1)
        ),
        ship_to=ADDRESS,
        customer=CUSTOMER,
        **{"shipping_minor": draw.chance.choice((0, 490)), **more},
    )


def in_the_dashboard(draw: Draw) -> Iterator[Action]:
    """Yield reports of money that was released, refunded or disputed at the provider, under the provider's
    own names."""
    for doing in draw.chance.sample(("void", "refund", "dispute"), 2):
        action, order = draw.earlier()
        reference = f"auth-{event_id_of(f'payment-{order.order_id}.1', 1).hex[:20]}"
        amount = draw.chance.choice((100, 100, PRICE_MINOR))
        said: dict[str, Any] = {"part": "" if doing == "void" else f"{doing}-1", "reference": f"{doing}-{reference}"}
        if doing != "void":
            said |= {"amount_minor": amount, "currency": "EUR"}
        outcome = draw.chance.choice(("opened", "won", "lost")) if doing == "dispute" else "succeeded"
        report = p.Report(operation=doing, outcome=outcome, **said)
        ask = RecordProviderReport(provider="simulated", references=(reference,), report=report)
        yield draw.action(action.at + draw.chance.expovariate(0.05), ask)


def orders_in_parts(draw: Draw) -> Iterator[Action]:
    """Yield requests to hold, split, assign and override an order; some holds are released again."""
    chance = draw.chance
    action, order = draw.earlier()
    at = action.at + chance.choice((0.0, 0.2, 2.0))
    yield draw.action(at, o.HoldOrder(order_id=order.order_id, kind="manual"))
    line = order.lines[0]
    part = o.LineUnits(line_id=line.line_id, quantity=max(1, line.quantity // 2))
    split = o.SplitOrder(order_id=order.order_id, split_id="s1", lines=(part,))
    yield draw.action(at + chance.uniform(1.0, 20.0), split)
    if draw.likely(0.5):
        where = (o.Assignment(sku=line.sku, location=draw.place(), quantity=line.quantity),)
        assign = o.AssignOrder(order_id=order.order_id, assignments=where, reason="by hand")
        yield draw.action(at + chance.uniform(1.0, 40.0), assign)
    if draw.likely(0.8):
        yield draw.action(at + chance.uniform(20.0, 60.0), o.ReleaseHold(order_id=order.order_id, kind="manual"))


def merges(draw: Draw) -> Iterator[Action]:
    """Yield orders of one channel that are held until a merge of them is requested."""
    at = draw.moment()
    some = [an_order(draw, at, f"M{n}", (draw.sku(), 1)) for n in (1, 2)]
    for order in some:
        yield draw.action(at, order)
        yield draw.action(at + 0.1, o.HoldOrder(order_id=order.order_id, kind="manual"))
    ids = tuple(order.order_id for order in some)
    yield draw.action(at + draw.chance.uniform(1.0, 30.0), o.MergeOrders(channel="web", merge_id="m1", order_ids=ids))
    for order_id in ids:
        yield draw.action(at + 60.0, o.ReleaseHold(order_id=order_id, kind="manual"))


def overrides(draw: Draw) -> Iterator[Action]:
    chance = draw.chance
    action, order = draw.earlier()
    to: o.OverrideTarget = chance.choice(("sourcing", "released", "completed"))
    ask = o.OverrideOrder(order_id=order.order_id, override_id="o1", to=to, reason="a person said so")
    yield draw.action(action.at + chance.expovariate(0.1), ask)
    if draw.likely(0.5):
        yield draw.action(action.at + chance.expovariate(0.05), o.RetrySourcing(order_id=order.order_id))


def other_addresses(draw: Draw) -> Iterator[Action]:
    action, order = draw.earlier()
    to = o.Address(country="FR", postal_code="69001")
    ask = o.AmendOrder(order_id=order.order_id, amendment_id="a2", ship_to=to, keep=draw.likely(0.5))
    yield draw.action(action.at + draw.chance.expovariate(0.5), ask)


def tasks(draw: Draw) -> Iterator[Action]:
    of: Any = {"sku": draw.sku(), "location": draw.place(), "channel": draw.chance.choice(("web", "shop"))}
    share = s.SetChannelShare(
        **of, share_percent=draw.chance.choice((0, 50, 100)), buffer_units=draw.chance.choice((0, 1))
    )
    yield draw.action(draw.moment(), share)
    if draw.likely(0.7):
        yield draw.action(draw.span * 0.9, s.SetChannelShare(**of))


def numbers_of_orders(draw: Draw) -> Iterator[Action]:
    for channel in ("web", "shop"):
        yield draw.action(draw.moment(), SetOrderNumbering(channel=channel, prefix=channel.upper(), first=100))


def what_is_late(draw: Draw) -> Iterator[Action]:
    """Yield commands that a clock would give days later, given by a person at once."""
    chance = draw.chance
    action, order = draw.earlier()
    parcel, late = f"{order.order_id}.1", moment(action.at) + timedelta(days=40)
    asks: list[Command] = [
        o.ChaseHold(order_id=order.order_id, kind="fraud", now=late),
        o.ChasePlacement(order_id=order.order_id),
        sh.ChaseDispatch(shipment_id=parcel),
        sh.SuspectLoss(shipment_id=parcel, now=late),
        sh.ChaseCancellation(shipment_id=parcel),
        p.ChaseAnswer(payment_id=f"{order.order_id}.1", operation="capture", part=parcel),
        s.CoverPresales(sku=draw.sku(), location=draw.place()),
    ]
    for ask in chance.sample(asks, 3):
        yield draw.action(action.at + chance.expovariate(0.02), ask)


def presales_that_lapse(draw: Draw) -> Iterator[Action]:
    """Yield presale orders for more than the limit, of goods that never arrive."""
    chance, first, sku = draw.chance, draw.moment(), draw.sku()
    for place in draw.locations:
        yield draw.action(0.0, s.SetPresaleLimit(sku=sku, location=place, quantity=chance.randint(0, 2)))
    for number in range(chance.randint(2, 4)):
        at = first + chance.expovariate(0.5)
        terms: dict[str, Any] = {"deposit_minor": 300, "deposit_kept": draw.likely(0.5), "balance_due_seconds": 60}
        lasts = moment(at + 100.0)
        order = an_order(draw, at, f"LAPSE{number}", (sku, 2), kind="presale", available_by=lasts, **terms)
        yield draw.action(at, order)
        if draw.likely(0.3):
            yield draw.action(at + chance.uniform(0.0, 150.0), o.LapsePresale(order_id=order.order_id))
