"""Whatever is reported of one order, in whichever order and twice: it ends in the same place.

What the door refuses for now (the callback of a payment that nobody asked for yet) is kept like a dead letter, and
tried again at the end, as `oms-es dead-letters replay` would. Short lives are reported in every order, longer ones in a
seeded sample of them; one message of each ordering comes twice.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import pytest

from oms_es.kernel import Command, Recorded, Refused
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock
from outside import ANSWERS, PLACE, Outside, run_on
from whole_engine import WholeEngine, failed

SAMPLES = 30
OF: Any = {"order_id": PLACE.order_id}
READDRESSED = o.AmendOrder(
    **OF, amendment_id="a", revision=1, keep=True, ship_to=o.Address(country="AT"), shipping_minor=600
)
ENLARGED = o.AmendOrder(
    **OF,
    amendment_id="b",
    revision=2,
    keep=True,
    lines=(PLACE.lines[0].model_copy(update={"quantity": 4}), PLACE.lines[1]),
    shipping_minor=0,
)
CANCEL = o.CancelOrder(**OF, reason="changed their mind", keep=True)
REFUND = o.RefundOrder(**OF, refund_id="r", lines=(o.RefundLine(line_id="1", quantity=1),))
SHELVES = tuple(ReceiveStock(sku=sku, location="berlin", receipt_id="first", quantity=9) for sku in ("TEA", "CUP"))
BERLIN = OpenLocation(location="berlin", country="DE")


class Steady(Outside):
    """Gateways that give the same reference for the same request."""

    def answers(self, intent: Recorded) -> list[list[Command]]:
        if type(intent.event) not in ANSWERS:
            return super().answers(intent)
        return ANSWERS[type(intent.event)](
            intent.event, f"{type(intent.event).__name__} of {intent.stream}", self.engine.now
        )


def life(*messages: Command) -> tuple[WholeEngine, Steady]:
    """Run everything in its usual order: reports, and the answers of external systems."""
    engine = WholeEngine()
    outside = Steady(engine)
    for message in messages:
        engine.submit(message)
        run_on(engine, outside)
    return engine, outside


def reported(outside: Outside, *shapes: type[Command]) -> dict[str, Command]:
    """Return what external systems reported in that run, by a label."""
    return {
        getattr(command, "status", type(command).__name__): command
        for command in outside.reported
        if isinstance(command, shapes)
    }


def lives() -> Iterator[tuple[str, tuple[Command, ...]]]:
    """Yield the name of each run, and its messages in their usual order."""
    yield "updated", (PLACE, READDRESSED, ENLARGED, *SHELVES)
    _, world = life(BERLIN, *SHELVES, PLACE, REFUND)
    said = reported(world, p.RecordAuthorization, p.RecordCapture, p.RecordRefund, sh.RecordBooking, sh.RecordMilestone)
    authorised, captured, booked = said["RecordAuthorization"], said["RecordCapture"], said["RecordBooking"]
    fulfilled = (PLACE, authorised, booked, said["picked_up"], said["delivered"])
    yield "fulfilled", fulfilled
    yield "refunded", (*fulfilled, captured, REFUND, said["RecordRefund"])
    payment_id = f"{PLACE.order_id}.1"
    voided = p.RecordVoid(payment_id=payment_id, void_id=payment_id, reference="void")
    yield "cancelled", (PLACE, authorised, booked, CANCEL, voided)
    yield "updated and cancelled", (PLACE, READDRESSED, ENLARGED, authorised, CANCEL, booked, voided)


def orderings(messages: tuple[Command, ...]) -> Iterator[tuple[Command, ...]]:
    """Return all orders of up to five messages, some of more; in each, one message is repeated."""
    chance = random.Random(len(messages))
    every = (
        permutations(messages)
        if len(messages) <= 5
        else (chance.sample(messages, len(messages)) for _ in range(SAMPLES))
    )
    for order in every:
        again = list(order)
        again.insert(chance.randrange(len(order) + 1), chance.choice(order))
        yield tuple(again)


def submit(engine: WholeEngine, messages: Sequence[Command]) -> list[Command]:
    """Submit the messages; return those that were refused."""
    refused = []
    for message in messages:
        try:
            engine.submit(message)
        except Refused:
            refused.append(message)
        engine.settle()
    return refused


def replay(engine: WholeEngine, letters: list[Command]) -> list[Command]:
    """Submit the refused ones again until none is accepted any more."""
    while letters and len(left := submit(engine, letters)) < len(letters):
        letters = left
    return letters


def ending(before: Sequence[Command], messages: Sequence[Command]) -> dict[str, Any]:
    """Where it ends, and that no promise was broken on the way.

    A cancelled order is not changed any more: what it asked for depends on which came first, and nobody will ship it.
    """
    engine = WholeEngine()
    outside = Steady(engine)
    submit(engine, before)
    letters = replay(engine, submit(engine, messages))
    run_on(engine, outside)
    assert len(replay(engine, letters)) < len(messages)
    run_on(engine, outside)
    assert not failed(engine.history)
    order = engine.states[PLACE.stream][0]
    payments = engine.open_rows("payments")
    return {
        "phase": order.phase,
        "content": None if order.phase == "cancelled" else order.content,
        "captured": sum(row["captured_minor"] for row in payments),
        "refunded": sum(row["refunded_minor"] for row in payments),
        "held": sum(row["authorized_minor"] - row["released_minor"] - row["captured_minor"] for row in payments),
        "stock": {row["sku"]: (row["on_hand"], row["reserved"]) for row in engine.open_rows("stock_levels")},
    }


LIVES = dict(lives())
ENDS = {
    "updated": ("completed", 4_150, 0, {"TEA": (5, 0), "CUP": (8, 0)}),
    "fulfilled": ("completed", 3_550, 0, {"TEA": (6, 0), "CUP": (8, 0)}),
    "refunded": ("completed", 3_550, 900, {"TEA": (6, 0), "CUP": (8, 0)}),
    "cancelled": ("cancelled", 0, 0, {"TEA": (9, 0), "CUP": (9, 0)}),
    "updated and cancelled": ("cancelled", 0, 0, {"TEA": (9, 0), "CUP": (9, 0)}),
}
"""Phase, money taken and given back, units on hand and reserved."""


@pytest.mark.parametrize("life_sent", LIVES)
def test_p18_every_order_of_what_is_reported_with_a_repeat_ends_in_the_same_state(life_sent: str) -> None:
    messages = LIVES[life_sent]
    before = [command for command in (BERLIN, *SHELVES) if command not in messages]
    usual = ending(before, messages)
    assert (usual["phase"], usual["captured"], usual["refunded"], usual["stock"]) == ENDS[life_sent]
    assert usual["held"] == 0
    for ordering in orderings(messages):
        assert ending(before, ordering) == usual, [type(message).__name__ for message in ordering]
