"""Requests about money in the full scenario: odd answers, expiry, disputes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from oms_es.gateways.simulated.effects import PAYMENT_CALLBACKS
from oms_es.gateways.simulated.modes import TOKEN_MODES
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.catalog import routes as c
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.simulation.requests.life_orders import an_order, moment
from oms_es.simulation.requests.workload import PRICE_MINOR, Draw
from oms_es.simulation.scenario import Action, OutsideCallback
from oms_es.simulation.world.external_systems import FIRST, SECOND
from oms_es.store.encoding.codec import event_id_of

ODD_STATUSES = (
    "unknown",
    "pre_transit",
    "out_for_delivery",
    "available_for_pickup",
    "exception",
    "cancelled",
    "booking_kept",
)


def strange_payments(draw: Draw) -> Iterator[Action]:
    """Yield orders whose cards are declined at first, expire, are disputed, or refuse a refund; sometimes another
    method pays."""
    for token in draw.chance.sample(sorted(TOKEN_MODES), 3):
        at = draw.moment()
        order = an_order(draw, at, f"T-{token}", (draw.sku(), 1), payment_token=token)
        yield draw.action(at, order)
        if draw.likely(0.4):
            yield draw.action(at, o.HoldOrder(order_id=order.order_id, kind="payment"))
            yield draw.action(at + 90.0, o.ReleaseHold(order_id=order.order_id, kind="payment"))
        if token == "tok-decline":
            callback = {"operation": "authorize", "outcome": "declined", "payment_id": f"{order.order_id}.1"}
            yield draw.action(at + 30.0, OutsideCallback(PAYMENT_CALLBACKS, json.dumps(callback).encode()))
        if draw.likely(0.4):
            other = draw.chance.choice((None, "on-file"))
            ask = o.RetryPayment(order_id=order.order_id, payment_token=other)
            yield draw.action(at + draw.chance.uniform(2.0, 60.0), ask)
        if draw.likely(0.5):
            refund = o.RefundOrder(order_id=order.order_id, refund_id="t1", goodwill_minor=100)
            yield draw.action(at + draw.chance.uniform(20.0, 200.0), refund)


def money_that_lapses(draw: Draw) -> Iterator[Action]:
    """Yield expiries of held money, reported by the provider, and reports of operations that were never requested."""
    action, order = draw.earlier()
    payment = f"{order.order_id}.1"
    callback = {"operation": "expire", "outcome": "succeeded", "payment_id": payment}
    yield draw.action(
        action.at + draw.chance.expovariate(0.1), OutsideCallback(PAYMENT_CALLBACKS, json.dumps(callback).encode())
    )
    for operation in draw.chance.sample(("capture", "void", "refund", "reauthorize"), 2):
        odd = {"operation": operation, "outcome": "declined", "payment_id": payment, "part": "never-asked"}
        yield draw.action(action.at + 50.0, OutsideCallback(PAYMENT_CALLBACKS, json.dumps(odd).encode()))
    if draw.likely(0.5):
        ask = p.ExpireAuthorization(payment_id=payment, now=moment(action.at + 400.0))
        yield draw.action(action.at + draw.chance.expovariate(0.1), ask)
    if draw.likely(0.3):
        lapse = o.LapseOrder(order_id=order.order_id, payment_id=None)
        yield draw.action(action.at + draw.chance.expovariate(0.1), lapse)


def routes(draw: Draw) -> Iterator[Action]:
    """Routes to a second payment gateway are published, and others later, while payments are under way."""
    if draw.likely(0.5):
        return
    chance = draw.chance
    every, none = c.PaymentRoute(gateway=SECOND), c.PaymentRoute(gateway=FIRST)
    some = c.PaymentRoute(gateway=SECOND, channels=(chance.choice(("shop", "web")),), currencies=("EUR",))
    for number, route in enumerate(chance.sample((every, some, none), chance.randint(1, 3)), start=2):
        at = chance.choice((0.0, draw.span * chance.random()))
        carrier = c.CARRIER_GATEWAYS[number % len(c.CARRIER_GATEWAYS)]
        parcels: Any = {
            "carriers": (c.CarrierRoute(gateway=carrier, countries=("DE",)),),
            "warehouses": (c.WarehouseRoute(gateway=c.WAREHOUSE_GATEWAYS[number % 2]),),
        }
        yield draw.action(at, c.PublishGatewayRoutes(version=str(number), payments=(route,), **parcels))


def receipts(draw: Draw) -> Iterator[Action]:
    """Set sellers before anything is sold or during sales, sometimes differently; correct some documents, missing ones
    too."""
    chance = draw.chance
    of_all: Any = {"seller": "ACME", "name": "Acme", "country": "DE", "vat_id": "DE123456789"}
    tax = chance.choice(("0", "19", "8.875"))
    yield draw.action(chance.choice((0.0, 0.0, draw.span * chance.random())), v.SetSeller(**of_all, included_tax=tax))
    if draw.likely(0.5):
        other = v.SetSeller(**{**of_all, "seller": "SHOP"}, channels=("shop",), tax_rates=("20",))
        yield draw.action(draw.span * chance.random() * 0.5, other)
    if draw.likely(0.3):
        yield draw.action(draw.span * chance.random(), v.SetSeller(**{**of_all, "name": "Acme & Co"}, included_tax="7"))
    for _ in range(chance.randint(0, 4)):
        seller, number = chance.choice(("ACME", "ACME", "SHOP")), chance.choice((1, 1, 2, 3, 5, 99))
        year = moment(0.0).year
        correct = v.CorrectInvoice(seller=seller, year=year, number=number, reason="misspelt")
        yield draw.action(draw.span * (0.3 + 0.7 * chance.random()), correct)


def gone_before_it_leaves(draw: Draw) -> Iterator[Action]:
    """Yield reports that money was taken, and refunded or disputed at the provider, while its order is held or on its
    way; often the money comes back."""
    chance, at = draw.chance, draw.moment()
    order = an_order(draw, at, "GONE", (draw.sku(), 1), (draw.sku(), 1))
    total = order.shipping_minor + sum(line.quantity * line.unit_price_minor for line in order.lines)
    name = f"auth-{event_id_of(f'payment-{order.order_id}.1', 1).hex[:20]}"
    amount, doing = chance.choice((total, total, PRICE_MINOR)), chance.choice(("refund", "dispute"))
    begun, ended = ("succeeded", "declined") if doing == "refund" else ("opened", "won")
    said: Any = {"amount_minor": amount, "currency": "EUR"}
    reports = (
        p.Report(operation="capture", outcome="succeeded", reference=f"c-{name}", **said | {"amount_minor": total}),
        *(
            p.Report(operation=doing, outcome=outcome, part="1", reference=f"d-{name}", **said)
            for outcome in (begun, ended)[: chance.randint(1, 2)]
        ),
    )
    yield draw.action(at, order)
    held, later = draw.likely(0.6), at + chance.expovariate(0.2)
    if held:
        yield draw.action(at, o.HoldOrder(order_id=order.order_id, kind="fraud"))
    for report in reports:
        ask = RecordProviderReport(provider="simulated", references=(name,), report=report)
        yield draw.action(later, ask)
        later += chance.expovariate(0.1)
    if held:
        yield draw.action(at + chance.uniform(20.0, 60.0), o.ReleaseHold(order_id=order.order_id, kind="fraud"))
    if draw.likely(0.3):
        yield draw.action(later + 60.0, o.ReleaseHold(order_id=order.order_id, kind="payment"))
