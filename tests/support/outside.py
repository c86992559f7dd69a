"""The outside world of a test: the possible answers of a provider, a warehouse and a carrier to an intent, and later
reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from random import Random
from typing import Any

from oms_es.gateways.simulated.warehouse import SimulatedWarehouse
from oms_es.kernel import Command, Event, GatewayUnavailable, Recorded
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from whole_engine import START, WholeEngine

PLACE = o.PlaceOrder(
    channel="web",
    external_id="1",
    placed_at=START,
    currency="EUR",
    lines=(
        o.OrderLine(line_id="1", sku="TEA", quantity=3, unit_price_minor=1_000),
        o.OrderLine(line_id="2", sku="CUP", quantity=1, unit_price_minor=500),
    ),
    shipping_minor=400,
    discount_minor=350,
    ship_to=o.Address(country="DE"),
)
"""An order with a discount and shipping, whose shares are no whole numbers per unit."""

Answers = Callable[[Any, str, datetime], list[list[Command]]]
"""Returns the possible reactions to an intent with the reference of its effect, the usual one first; each is a list of
commands."""


SILENCE: list[Command] = []


def _payment(event: p.PaymentRequested, ref: str, _: datetime) -> list[list[Command]]:
    of = {"payment_id": event.payment_id}
    return [
        [p.RecordAuthorization(**of, reference=ref)],
        [p.RecordDecline(**of, reason="no money", retriable=True)],
        [p.RecordDecline(**of, reason="stolen card")],
        [p.RecordFailure(**of, reason="no answer")],
    ]


def _capture(event: p.PaymentCaptureRequested, ref: str, _: datetime) -> list[list[Command]]:
    of = {"payment_id": event.payment_id, "capture_id": event.capture_id}
    failed: list[Command] = [p.RecordCaptureFailure(**of, reason="no money any more")]
    return [[p.RecordCapture(**of, reference=ref)], failed, [_pending(event, "capture", event.capture_id, ref)]]


def _pending(event: Any, operation: Any, part: str, ref: str) -> Command:
    """Return the command for an answer that a callback will follow; with the key, so that a later look-up is answered
    like the intent."""
    return p.RecordAnswerPending(
        payment_id=event.payment_id,
        operation=operation,
        part=part,
        key=ref,
        amount_minor=event.amount_minor,
        currency=event.currency,
    )


def _chased(event: p.PaymentAnswerChased, _: str, __: datetime) -> list[list[Command]]:
    of: Any = {"payment_id": event.payment_id, "reference": event.key}
    reported: dict[str, Callable[[], Command]] = {
        "authorize": lambda: p.RecordAuthorization(**of),
        "reauthorize": lambda: p.RecordReauthorization(**of, capture_id=event.part),
        "capture": lambda: p.RecordCapture(**of, capture_id=event.part),
        "void": lambda: p.RecordVoid(**of, void_id=event.part),
        "refund": lambda: p.RecordRefund(**of, refund_id=event.part),
    }
    return [[reported[event.operation]()], [_pending(event, event.operation, event.part, event.key)]]


def _renewal(event: p.PaymentReauthorizationRequested, ref: str, _: datetime) -> list[list[Command]]:
    of = {"payment_id": event.payment_id, "capture_id": event.capture_id}
    return [[p.RecordReauthorization(**of, reference=ref)], [p.RecordReauthorizationDecline(**of, reason="no money")]]


def _void(event: p.PaymentVoidRequested, ref: str, _: datetime) -> list[list[Command]]:
    of = {"payment_id": event.payment_id, "void_id": event.void_id}
    return [[p.RecordVoid(**of, reference=ref)], [p.RecordVoidFailure(**of, reason="not today")]]


def _refund(event: p.PaymentRefundRequested, ref: str, _: datetime) -> list[list[Command]]:
    of = {"payment_id": event.payment_id, "refund_id": event.refund_id}
    failed: list[Command] = [p.RecordRefundFailure(**of, reason="account closed")]
    return [[p.RecordRefund(**of, reference=ref)], failed, [_pending(event, "refund", event.refund_id, ref)]]


def _booking(event: sh.ShipmentBookingRequested, ref: str, now: datetime) -> list[list[Command]]:
    of: Any = {"shipment_id": event.shipment_id}
    booked = sh.RecordBooking(**of, carrier=event.carrier or "dhl", tracking_number=ref)
    milestones = [seen(event.shipment_id, status, now) for status in ("picked_up", "in_transit", "delivered")]
    failed: list[Command] = [sh.RecordBookingFailure(**of, reason="no van")]
    lost: list[Command] = [booked, *milestones[:1], seen(event.shipment_id, "failure", now)]
    back: list[Command] = [booked, *milestones[:1], seen(event.shipment_id, "returned", now)]
    return [[booked, *milestones], [booked], [*reversed(milestones), booked], failed, lost, back]


def seen(shipment_id: str, status: Any, now: datetime) -> Command:
    return sh.RecordMilestone(shipment_id=shipment_id, milestone_id=f"m/{status}", status=status, occurred_at=now)


def _unbooking(event: sh.ShipmentBookingCancellationRequested, _: str, __: datetime) -> list[list[Command]]:
    of = {"shipment_id": event.shipment_id}
    return [[sh.RecordBookingCancelled(**of)], [sh.RecordBookingCancellationRefused(**of, reason="too late")], SILENCE]


ANSWERS: dict[type[Event], Answers] = {
    p.PaymentRequested: _payment,
    p.PaymentReauthorizationRequested: _renewal,
    p.PaymentCaptureRequested: _capture,
    p.PaymentVoidRequested: _void,
    p.PaymentRefundRequested: _refund,
    p.PaymentAnswerChased: _chased,
    sh.ShipmentBookingRequested: _booking,
    sh.ShipmentBookingCancellationRequested: _unbooking,
}


class Outside:
    """The outside world. `reported`: every report so far; each may be repeated at any time."""

    def __init__(self, engine: WholeEngine) -> None:
        self.engine = engine
        self.seen = 0
        self.open: list[Recorded] = []
        self.reported: list[Command] = []

    def look(self) -> list[Recorded]:
        """Return the intents that wait for an answer."""
        intents = (*ANSWERS, *SimulatedWarehouse.intents)
        self.open += [r for r in self.engine.log[self.seen :] if isinstance(r.event, intents)]
        self.seen = len(self.engine.log)
        return self.open

    def answers(self, intent: Recorded) -> list[list[Command]]:
        if type(intent.event) in SimulatedWarehouse.intents:
            return [list(SimulatedWarehouse().perform([intent])[0]), SILENCE]
        reference = f"ref-{intent.event_id.hex[:12]}"
        return ANSWERS[type(intent.event)](intent.event, reference, self.engine.now)

    def answer(self, intent: Recorded, choice: int = 0) -> Iterator[Command]:
        """Yield the commands that answer the intent; the caller gives them to the engine."""
        self.open.remove(intent)
        options = self.answers(intent)
        for command in options[choice % len(options)]:
            self.reported.append(command)
            yield command

    def answer_one(self, chance: Random) -> None:
        """Answer one of the intents, if there are any; one whose gateway is unavailable waits on."""
        intents = list(self.look())
        if not intents:
            return
        intent = chance.choice(intents)
        try:
            commands = list(self.answer(intent))
        except GatewayUnavailable:
            self.open.append(intent)
            return
        for command in commands:
            self.engine.submit(command)


def run_on(engine: WholeEngine, outside: Outside) -> None:
    """Run until nothing is left to do, with the usual answers."""
    engine.settle()
    while intents := list(outside.look()):
        for intent in intents:
            for command in outside.answer(intent):
                engine.submit(command)
        engine.settle()
