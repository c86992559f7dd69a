"""Requests about goods in the full scenario: stock, locations, cartons on their way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from oms_es.gateways.simulated.effects import CARRIER_CALLBACKS
from oms_es.gateways.simulated.modes import REUSED_NUMBER
from oms_es.kernel import Command
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import item as i
from oms_es.schemas.catalog import rates as ra
from oms_es.schemas.catalog import rules as ru
from oms_es.schemas.catalog.location import CloseLocation, OpenLocation
from oms_es.schemas.catalog.serial import ReceiveSerials
from oms_es.schemas.shipment.tracker import RecordTracking, Sighting
from oms_es.simulation.requests.life_money import ODD_STATUSES
from oms_es.simulation.requests.life_orders import BOOKED_AT_VERSION, PHONE, SET, an_order, moment
from oms_es.simulation.requests.workload import Draw
from oms_es.simulation.scenario import Action, OutsideCallback
from oms_es.store.encoding.codec import event_id_of


def parcels(draw: Draw) -> Iterator[Action]:
    """Yield requests about parcels: pack, ask the warehouse once more, attach a label, cancel a booking, record
    tracking of others."""
    chance = draw.chance
    for _ in range(2):
        action, order = draw.earlier()
        parcel, at = f"{order.order_id}.1", action.at
        label = sh.LabelDocument(sha256=sha256(parcel.encode()).hexdigest(), byte_count=len(parcel))
        asks: list[Command] = [
            sh.PackShipment(shipment_id=parcel, weight_grams=chance.randint(100, 2_000)),
            sh.AttachLabel(shipment_id=parcel, document=label),
            sh.CancelBooking(shipment_id=parcel, reason="the wrong van"),
            sh.RequestPickAgain(shipment_id=parcel, repeat_id=f"again-{chance.randint(1, 2)}"),
        ]
        for ask in chance.sample(asks, 2):
            yield draw.action(at + chance.expovariate(0.1), ask)
        if draw.likely(0.7):
            gone = sh.DeclareLost(
                shipment_id=parcel, choice=chance.choice(("refund", "reship")), reason="it was never seen"
            )
            yield draw.action(at + chance.uniform(3.0, 40.0), gone)
    number = f"SIM{event_id_of(f'shipment-{parcel}', BOOKED_AT_VERSION).int % 10**12:012d}"
    seen = Sighting(milestone_id="seen", status=chance.choice(("in_transit", "exception")), occurred_at=moment(at))
    tracked = RecordTracking(carrier="simulated", tracking_number=number, sightings=(seen,))
    yield draw.action(at + chance.uniform(0.0, 100.0), tracked)
    yield draw.action(at + 60.0, tracked.model_copy(update={"tracking_number": REUSED_NUMBER}))


def pick_answers(draw: Draw) -> Iterator[Action]:
    """Yield answers of a warehouse's system: late, twice, short, rejected, and such as contradict each other."""
    chance = draw.chance
    for _ in range(2):
        action, order = draw.earlier()
        for number in range(chance.randint(1, 3)):
            answer = sh.AnswerPick(
                shipment_id=f"{order.order_id}.1",
                answer_id=f"wms-{chance.randint(1, 2)}",
                outcome=chance.choice(("packed", "short", "rejected")),
                answered_at=moment(action.at + number),
                weight_grams=chance.choice((500, 700)),
                reason="not on the shelf",
                location=chance.choice((None, draw.place())),
                now=moment(action.at),
            )
            for _ in range(chance.randint(1, 2)):
                at = action.at + chance.expovariate(0.1)
                yield draw.action(at, answer.model_copy(update={"now": moment(at)}))


def bills(draw: Draw) -> Iterator[Action]:
    """Yield what carriers bill for parcels: more or less than they quoted, a line twice, one with another amount."""
    for number in range(draw.chance.randint(0, 3)):
        action, order = draw.earlier()
        bill = sh.RecordFreightBill(
            shipment_id=f"{order.order_id}.1",
            bill_id=f"INV/{number}",
            amount_minor=draw.chance.choice((390, 590, 700)),
            currency="EUR",
        )
        at = action.at + draw.chance.uniform(40.0, 200.0)
        yield draw.action(at, bill)
        again = draw.chance.choice((bill, bill.model_copy(update={"amount_minor": 1})))
        yield draw.action(at + 50.0, again)


def strange_journeys(draw: Draw) -> Iterator[Action]:
    """Yield carriers' reports that do not fit: in the wrong order, or of a parcel that is not on its way."""
    chance = draw.chance
    action, order = draw.earlier()
    for status in chance.sample(ODD_STATUSES, 2):
        callback = {
            "shipment_id": f"{order.order_id}.1",
            "status": status,
            "milestone_id": f"odd/{status}",
            "occurred_at": moment(action.at).isoformat(),
        }
        at = action.at + chance.uniform(5.0, 100.0)
        yield draw.action(at, OutsideCallback(CARRIER_CALLBACKS, json.dumps(callback).encode()))


def inbounds(draw: Draw) -> Iterator[Action]:
    """Yield inbound deliveries that arrive or are cancelled, and a reorder point that asks for them."""
    chance, sku, place, at = draw.chance, draw.sku(), draw.place(), draw.moment()
    of: Any = {"sku": sku, "location": place}
    yield draw.action(at, s.SetReorderPoint(**of, quantity=chance.randint(0, 3), up_to=5))
    promised = moment(at + chance.uniform(20.0, 200.0))
    yield draw.action(at, s.ExpectInbound(**of, inbound_id="in1", quantity=chance.randint(1, 4), promised_at=promised))
    come = s.ReceiveInbound(**of, inbound_id="in1", receipt_id="in1", quantity=chance.choice((None, 1)))
    gone = s.CancelInbound(**of, inbound_id="in1", reason="it sank")
    yield draw.action(at + chance.uniform(10.0, 300.0), chance.choice((come, gone)))


def lots(draw: Draw) -> Iterator[Action]:
    """Yield stock in bins, by lot; some of it expires, is put aside, or is written off."""
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
    """Yield units with serial numbers that are received, received again elsewhere, sold and moved."""
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
    """Yield the closing of a location, and sometimes its reopening."""
    at, place = draw.moment(), draw.place()
    yield draw.action(at, CloseLocation(location=place, reason="a flood"))
    if draw.likely(0.6):
        yield draw.action(at + draw.chance.uniform(5.0, 200.0), OpenLocation(location=place, country="DE"))


def prices_of_carriage(draw: Draw) -> Iterator[Action]:
    """Yield rates of carriers, delivery options, and sourcing rules."""
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
