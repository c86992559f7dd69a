"""What happens to orders and stock beside buying and selling: returns, exchanges, disputes, splits, lots, serial
numbers, bundles, rates, and everything else that a person may ask for.

A seed draws a few of them. What cannot be done in the moment in which it is asked is refused, and that is an answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from oms_es.gateways.simulated.effects import CARRIER_CALLBACKS, PAYMENT_CALLBACKS
from oms_es.gateways.simulated.modes import REUSED_NUMBER, TOKEN_MODES
from oms_es.kernel import Command
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import item as i
from oms_es.schemas.catalog import rates as ra
from oms_es.schemas.catalog import rules as ru
from oms_es.schemas.catalog.location import CloseLocation, OpenLocation
from oms_es.schemas.catalog.numbering import SetOrderNumbering
from oms_es.schemas.catalog.serial import ReceiveSerials
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.schemas.returns import rma as r
from oms_es.schemas.returns.feedback import RecordFeedback
from oms_es.schemas.returns.policy import SetReturnPolicy
from oms_es.schemas.shipment.tracker import RecordTracking, Sighting
from oms_es.simulation.scenario import Action, Tells
from oms_es.simulation.workload import ADDRESS, EPOCH, PRICE_MINOR, Draw
from oms_es.store.codec import event_id_of

SET, PHONE = "set", "phone"
ODD_STATUSES = (
    "unknown",
    "pre_transit",
    "out_for_delivery",
    "available_for_pickup",
    "exception",
    "cancelled",
    "booking_kept",
)
BOOKED_AT_VERSION = 2
"""Where a parcel's stream asks the carrier, if nothing came between: the carrier's number follows from it."""


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
        **{"shipping_minor": draw.chance.choice((0, 490)), **more},
    )


def strange_payments(draw: Draw) -> Iterator[Action]:
    """Cards that are turned down and work later, expire, are disputed, or take no refund; now and then others pay."""
    for token in draw.chance.sample(sorted(TOKEN_MODES), 3):
        at = draw.moment()
        order = an_order(draw, at, f"T-{token}", (draw.sku(), 1), payment_token=token)
        yield draw.action(at, order)
        if draw.likely(0.4):
            yield draw.action(at, o.HoldOrder(order_id=order.order_id, kind="payment"))
            yield draw.action(at + 90.0, o.ReleaseHold(order_id=order.order_id, kind="payment"))
        if token == "tok-decline":
            told = {"operation": "authorize", "outcome": "declined", "payment_id": f"{order.order_id}.1"}
            yield draw.action(at + 30.0, Tells(PAYMENT_CALLBACKS, json.dumps(told).encode()))
        if draw.likely(0.4):
            other = draw.chance.choice((None, "on-file"))
            ask = o.RetryPayment(order_id=order.order_id, payment_token=other)
            yield draw.action(at + draw.chance.uniform(2.0, 60.0), ask)
        if draw.likely(0.5):
            refund = o.RefundOrder(order_id=order.order_id, refund_id="t1", goodwill_minor=100)
            yield draw.action(at + draw.chance.uniform(20.0, 200.0), refund)


def money_that_lapses(draw: Draw) -> Iterator[Action]:
    """The provider lets go of what it holds, or we do; most often before it is needed."""
    action, order = draw.earlier()
    payment = f"{order.order_id}.1"
    told = {"operation": "expire", "outcome": "succeeded", "payment_id": payment}
    yield draw.action(action.at + draw.chance.expovariate(0.1), Tells(PAYMENT_CALLBACKS, json.dumps(told).encode()))
    for operation in draw.chance.sample(("capture", "void", "refund", "reauthorize"), 2):
        odd = {"operation": operation, "outcome": "declined", "payment_id": payment, "part": "never-asked"}
        yield draw.action(action.at + 50.0, Tells(PAYMENT_CALLBACKS, json.dumps(odd).encode()))
    if draw.likely(0.5):
        ask = p.ExpireAuthorization(payment_id=payment, now=moment(action.at + 400.0))
        yield draw.action(action.at + draw.chance.expovariate(0.1), ask)
    if draw.likely(0.3):
        lapse = o.LapseOrder(order_id=order.order_id, payment_id=None)
        yield draw.action(action.at + draw.chance.expovariate(0.1), lapse)


def in_the_dashboard(draw: Draw) -> Iterator[Action]:
    """Money is let go of, given back or disputed at the provider, which knows it by names of its own alone."""
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


def returns(draw: Draw) -> Iterator[Action]:
    """Asked for, approved or not, received and inspected in parts, exchanged, given up."""
    chance = draw.chance
    for number in range(chance.randint(1, 3)):
        action, order = draw.earlier()
        at, rma = action.at + chance.uniform(60.0, 250.0), f"{order.external_id}-{number}"
        line = chance.choice(order.lines)
        units = chance.randint(1, line.quantity + (1 if draw.likely(0.1) else 0))
        resolution: r.Resolution = chance.choice(("refund", "exchange", "exchange", "refund_only"))
        price = chance.choice((PRICE_MINOR, 2 * PRICE_MINOR, 500))
        other = o.OrderLine(line_id="1", sku=draw.sku(), quantity=1, unit_price_minor=price)
        yield draw.action(
            at,
            RequestReturn(
                order_id=order.order_id,
                rma_id=rma,
                lines=(r.ReturnLine(line_id=line.line_id, quantity=units, reason=chance.choice(("other", "damaged"))),),
                resolution=resolution,
                replacement=(other,) if resolution == "exchange" else (),
                now=moment(at),
            ),
        )
        for later, ask in returned(draw, rma, line.line_id, units):
            yield draw.action(at + later, ask)


def returned(draw: Draw, rma: str, line: str, units: int) -> Iterator[tuple[float, Command]]:
    chance, place = draw.chance, draw.place()
    answer = chance.choice((r.ApproveRma(rma_id=rma), r.ApproveRma(rma_id=rma), r.RefuseRma(rma_id=rma, reason="late")))
    yield 5.0 + chance.expovariate(0.1), answer
    back = units + (1 if draw.likely(0.1) else 0)
    for part in range(chance.choice((1, 1, 2))):
        counted = (o.LineUnits(line_id=line, quantity=max(1, back // (part + 1))),)
        after = 20.0 + chance.uniform(0.0, 60.0)
        yield after, r.ReceiveRma(rma_id=rma, receipt_id=f"c{part}", location=place, lines=counted)
        seen = r.InspectedLine(
            line_id=line,
            quantity=counted[0].quantity,
            grade=chance.choice(("as_new", "opened", "damaged")),
            disposition=chance.choice(("sellable", "damaged", "quarantine", "written_off")),
            credited=draw.likely(0.8),
        )
        inspected = r.InspectRma(rma_id=rma, inspection_id=f"i{part}", location=place, lines=(seen,))
        yield after + chance.uniform(1.0, 20.0), inspected
    if draw.likely(0.3):
        yield 100.0, chance.choice((r.CloseRma(rma_id=rma), r.LapseRma(rma_id=rma)))


def policies(draw: Draw) -> Iterator[Action]:
    terms = r.Terms(approve_at_once=draw.likely(0.5), reasons=draw.chance.choice(((), ("damaged",))))
    yield draw.action(draw.moment(), SetReturnPolicy(channel=draw.chance.choice(("web", "shop")), terms=terms))


def orders_in_parts(draw: Draw) -> Iterator[Action]:
    """Held while they are split and merged, assigned, overridden; some are let go again."""
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
    """Orders of one channel, held until somebody has asked for it."""
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


def parcels(draw: Draw) -> Iterator[Action]:
    """Weighed, labelled, taken back from the carrier, seen by others."""
    chance = draw.chance
    for _ in range(2):
        action, order = draw.earlier()
        parcel, at = f"{order.order_id}.1", action.at
        label = sh.LabelDocument(sha256=sha256(parcel.encode()).hexdigest(), byte_count=len(parcel))
        asks: list[Command] = [
            sh.PackShipment(shipment_id=parcel, weight_grams=chance.randint(100, 2_000)),
            sh.AttachLabel(shipment_id=parcel, document=label),
            sh.CancelBooking(shipment_id=parcel, reason="the wrong van"),
        ]
        for ask in chance.sample(asks, 2):
            yield draw.action(at + chance.expovariate(0.1), ask)
        if draw.likely(0.7):
            gone = sh.DeclareLost(
                shipment_id=parcel, choice=chance.choice(("refund", "reship")), reason="nobody saw it"
            )
            yield draw.action(at + chance.uniform(3.0, 40.0), gone)
    number = f"SIM{event_id_of(f'shipment-{parcel}', BOOKED_AT_VERSION).int % 10**12:012d}"
    seen = Sighting(milestone_id="seen", status=chance.choice(("in_transit", "exception")), occurred_at=moment(at))
    tracked = RecordTracking(carrier="simulated", tracking_number=number, sightings=(seen,))
    yield draw.action(at + chance.uniform(0.0, 100.0), tracked)
    yield draw.action(at + 60.0, tracked.model_copy(update={"tracking_number": REUSED_NUMBER}))


def strange_journeys(draw: Draw) -> Iterator[Action]:
    """A carrier tells what does not fit: of a parcel in the wrong order, or of one that is not on its way."""
    chance = draw.chance
    action, order = draw.earlier()
    for status in chance.sample(ODD_STATUSES, 2):
        told = {
            "shipment_id": f"{order.order_id}.1",
            "status": status,
            "milestone_id": f"odd/{status}",
            "occurred_at": moment(action.at).isoformat(),
        }
        at = action.at + chance.uniform(5.0, 100.0)
        yield draw.action(at, Tells(CARRIER_CALLBACKS, json.dumps(told).encode()))


def feedback(draw: Draw) -> Iterator[Action]:
    action, order = draw.earlier()
    subject, about = draw.chance.choice((("order", ""), ("sku", order.lines[0].sku), ("carrier", "simulated")))
    ask = RecordFeedback(
        order_id=order.order_id, feedback_id="f1", subject=subject, about=about, rating=draw.chance.randint(1, 5)
    )
    yield draw.action(action.at + draw.chance.uniform(0.0, 200.0), ask)


def inbounds(draw: Draw) -> Iterator[Action]:
    """Promised, and it comes, or does not; stock that runs low asks for it."""
    chance, sku, place, at = draw.chance, draw.sku(), draw.place(), draw.moment()
    of: Any = {"sku": sku, "location": place}
    yield draw.action(at, s.SetReorderPoint(**of, quantity=chance.randint(0, 3), up_to=5))
    promised = moment(at + chance.uniform(20.0, 200.0))
    yield draw.action(at, s.ExpectInbound(**of, inbound_id="in1", quantity=chance.randint(1, 4), promised_at=promised))
    come = s.ReceiveInbound(**of, inbound_id="in1", receipt_id="in1", quantity=chance.choice((None, 1)))
    gone = s.CancelInbound(**of, inbound_id="in1", reason="it sank")
    yield draw.action(at + chance.uniform(10.0, 300.0), chance.choice((come, gone)))


def tasks(draw: Draw) -> Iterator[Action]:
    of: Any = {"sku": draw.sku(), "location": draw.place(), "channel": draw.chance.choice(("web", "shop"))}
    share = s.SetChannelShare(
        **of, share_percent=draw.chance.choice((0, 50, 100)), buffer_units=draw.chance.choice((0, 1))
    )
    yield draw.action(draw.moment(), share)
    if draw.likely(0.7):
        yield draw.action(draw.span * 0.9, s.SetChannelShare(**of))


def lots(draw: Draw) -> Iterator[Action]:
    """On shelves, by lot; some expire, some are put aside, some are thrown away."""
    chance, at = draw.chance, draw.moment()
    of: Any = {"sku": draw.sku(), "location": draw.place()}
    until = moment(at + chance.uniform(50.0, 400.0))
    come = s.ReceiveStock(**of, receipt_id="lot1", quantity=3, bin="A1", lot="l1", lot_expires_at=until)
    yield draw.action(at, come)
    asks: list[Command] = [
        s.MoveToBin(**of, move_id="b1", quantity=1, bin="A1", to_bin="B2", lot="l1"),
        s.ChangeCondition(
            **of, change_id="g1", quantity=1, condition=chance.choice(("damaged", "quarantine")), bin="A1", lot="l1"
        ),
        s.CountStock(**of, count_id="lc", quantity=chance.randint(0, 3), bin="A1", lot="l1"),
        s.ExpireLot(**of, lot="l1", now=until),
        s.WriteOffStock(**of, write_off_id="w1", quantity=1, bin="A1", lot="l1", reason="broken"),
    ]
    for ask in chance.sample(asks, 4):
        yield draw.action(at + chance.expovariate(0.02), ask)


def serials(draw: Draw) -> Iterator[Action]:
    """Units with numbers: received, received again elsewhere, sold, moved."""
    chance, at, place = draw.chance, draw.moment(), draw.place()
    yield draw.action(0.0, i.DescribeItem(sku=PHONE, name="A phone", weight_grams=200, serial_tracked=True))
    numbers = ("p1", "p2", "p3")
    for where, some in ((place, numbers), (draw.place(), ("p3", "p4"))):
        come = ReceiveSerials(sku=PHONE, location=where, serials=some, receipt_id=f"at-{where}")
        yield draw.action(at + chance.expovariate(0.1), come)
    order = an_order(draw, at, "PHONE", (PHONE, chance.randint(1, 2)))
    yield draw.action(at + chance.uniform(0.0, 60.0), order)
    if draw.likely(0.5):
        to = draw.place()
        move = s.MoveStock(sku=PHONE, location=place, move_id="pm", quantity=1, to_location=to, serials=("p1",))
        yield draw.action(at + chance.uniform(5.0, 80.0), move)


def bundles(draw: Draw) -> Iterator[Action]:
    parts = {sku: draw.chance.randint(1, 2) for sku in draw.skus[:2]}
    yield draw.action(0.0, i.DefineBundle(sku=SET, components=parts))
    at = draw.moment()
    yield draw.action(at, an_order(draw, at, "SET", (SET, 1), (draw.skus[0], 1)))


def places(draw: Draw) -> Iterator[Action]:
    """A location that fails, and perhaps comes back."""
    at, place = draw.moment(), draw.place()
    yield draw.action(at, CloseLocation(location=place, reason="a flood"))
    if draw.likely(0.6):
        yield draw.action(at + draw.chance.uniform(5.0, 200.0), OpenLocation(location=place, country="DE"))


def prices_of_carriage(draw: Draw) -> Iterator[Action]:
    """What carriers ask, what customers may choose, and by which rules it is decided where from."""
    chance, at = draw.chance, draw.moment()
    bands = (ra.Band(weight_grams_max=50_000, price_minor=chance.choice((390, 590))),)
    zone = ra.Zone(countries=chance.choice(((), (), ("FR",))), transit_days=2, bands=bands)
    service = ra.Service(service="parcel", zones=(zone,))
    yield draw.action(at, ra.DefineDeliveryOption(option="standard", prefer=chance.choice(("cheapest", "fastest"))))
    yield draw.action(at, ra.PublishRates(carrier="simulated", version="1", currency="EUR", services=(service,)))
    if draw.likely(0.5):
        yield draw.action(at + chance.uniform(1.0, 200.0), ra.WithdrawRates(carrier="simulated"))
    never = ru.EligibilityRule(rule_id="never", effect="never", channels=("shop",), locations=(draw.place(),))
    rules = ru.PublishSourcingRules(version="2", eligibility=(never,), objective=({"shipments": 1, "priority": 2},))
    yield draw.action(at, rules)


def numbers_of_orders(draw: Draw) -> Iterator[Action]:
    for channel in ("web", "shop"):
        yield draw.action(draw.moment(), SetOrderNumbering(channel=channel, prefix=channel.upper(), first=100))


def what_is_late(draw: Draw) -> Iterator[Action]:
    """What a clock would ask for days later, asked by a person who does not wait."""
    chance = draw.chance
    action, order = draw.earlier()
    parcel, late = f"{order.order_id}.1", moment(action.at) + timedelta(days=40)
    asks: list[Command] = [
        o.ChaseHold(order_id=order.order_id, kind="fraud", now=late),
        sh.ChaseDispatch(shipment_id=parcel),
        sh.SuspectLoss(shipment_id=parcel, now=late),
        sh.ChaseCancellation(shipment_id=parcel),
        p.ChaseAnswer(payment_id=f"{order.order_id}.1", operation="capture", part=parcel),
        s.CoverPresales(sku=draw.sku(), location=draw.place()),
    ]
    for ask in chance.sample(asks, 3):
        yield draw.action(action.at + chance.expovariate(0.02), ask)


def presales_that_lapse(draw: Draw) -> Iterator[Action]:
    """More of them than may be sold before there are any; nothing comes."""
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


LIFE: tuple[Callable[[Draw], Iterator[Action]], ...] = (
    strange_payments,
    money_that_lapses,
    in_the_dashboard,
    returns,
    policies,
    orders_in_parts,
    merges,
    overrides,
    other_addresses,
    parcels,
    strange_journeys,
    feedback,
    inbounds,
    tasks,
    lots,
    serials,
    bundles,
    places,
    prices_of_carriage,
    numbers_of_orders,
    presales_that_lapse,
    what_is_late,
)
