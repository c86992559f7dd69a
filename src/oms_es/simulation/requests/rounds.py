"""More requests about orders: reports of what others did with them, work of people on exceptions, and repeated rounds
of exchanges and splits. A seed draws a few of these and of life.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic_core import to_json

from oms_es.gateways.simulated.effects import PAYMENT_CALLBACKS
from oms_es.schemas import order as o
from oms_es.schemas.operations import exception as c
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.returns import rma as r
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.values import names
from oms_es.simulation.requests.full_scenario import LIFE
from oms_es.simulation.requests.life_orders import an_order, moment
from oms_es.simulation.requests.life_returns import returned
from oms_es.simulation.requests.workload import PRICE_MINOR, Draw
from oms_es.simulation.scenario import Action, OutsideCallback

THEMES_SHARE = 0.3
"""The probability with which a seed draws each theme."""
LAMP = "lamp"
PART = f"{names.SPLIT}s1/PARTS"
"""The channel's name of the part that is split off first."""


def reported_elsewhere(draw: Draw) -> Iterator[Action]:
    """Yield reports of a channel that it has shipped or refunded units itself, sometimes before it sends the order."""
    chance = draw.chance
    for number in range(chance.randint(1, 3)):
        action, order = draw.earlier()
        line, keep = chance.choice(order.lines), draw.likely(0.7)
        some = (o.LineUnits(line_id=line.line_id, quantity=chance.randint(1, line.quantity)),)
        of: Any = {"order_id": order.order_id, "keep": keep}
        shipped = o.RecordFulfilment(**of, fulfilment_id=f"f{number}", lines=some)
        given = o.RecordChannelRefund(**of, refund_id=f"g{number}", lines=some if draw.likely(0.7) else ())
        for report in chance.sample((shipped, given), chance.randint(1, 2)):
            at = max(0.0, action.at + chance.choice((-5.0, 0.2, 20.0, 100.0)) * chance.random())
            yield draw.action(at, report)
            if draw.likely(0.3):
                yield draw.action(at + chance.expovariate(0.1), report)


def pickups(draw: Draw) -> Iterator[Action]:
    """Yield orders that are collected at a counter: of a named location, or of any that has everything."""
    for number in range(draw.chance.randint(1, 2)):
        at = draw.moment()
        place = draw.place() if draw.likely(0.5) else None
        yield draw.action(at, an_order(draw, at, f"C{number}", (draw.sku(), 1), pickup=True, pickup_at=place))


def what_people_see_to(draw: Draw) -> Iterator[Action]:
    """Yield an order sent twice with different content, and a person who assigns and resolves the exception, sometimes
    before it is raised."""
    chance = draw.chance
    action, order = draw.earlier()
    other = order.model_copy(update={"shipping_minor": order.shipping_minor + 1})
    yield draw.action(action.at + chance.expovariate(0.1), other)
    raised: Any = {
        "exception_id": f"duplicate_conflict/{order.order_id}",
        "order_id": order.order_id,
        "raised_at": moment(action.at),
    }
    assigned = c.AssignException(**raised, assignee="ada")
    for kind in ("assign", "resolve", chance.choice(("assign", "resolve"))):
        at = action.at + chance.uniform(0.0, 60.0)
        resolved = c.ResolveException(**raised, note="ours is right", now=moment(at))
        yield draw.action(at, assigned if kind == "assign" else resolved)


def one_return_of_two_orders(draw: Draw) -> Iterator[Action]:
    """Yield two returns with the same name; the second is refused."""
    for _ in range(2):
        action, order = draw.earlier()
        at = action.at + draw.chance.uniform(80.0, 200.0)
        one = (r.ReturnLine(line_id=order.lines[0].line_id, quantity=1, reason="other"),)
        yield draw.action(at, RequestReturn(order_id=order.order_id, rma_id="SAME", lines=one, now=moment(at)))


def exchanges_of_exchanges(draw: Draw) -> Iterator[Action]:
    """Yield exchanges of exchanges: goods that come back are exchanged again, or refunded, over several rounds."""
    chance = draw.chance
    action, order = draw.earlier()
    order_id, line, at = order.order_id, order.lines[0].line_id, action.at
    for number in range(chance.randint(2, 4)):
        rma, at = f"again-{number}-{order.external_id}", at + chance.uniform(60.0, 120.0)
        again = draw.likely(0.8)
        price = chance.choice((PRICE_MINOR, 2 * PRICE_MINOR, 500))
        other = (o.OrderLine(line_id="1", sku=draw.sku(), quantity=1, unit_price_minor=price),)
        ask = RequestReturn(
            order_id=order_id,
            rma_id=rma,
            lines=(r.ReturnLine(line_id=line, quantity=1, reason="other"),),
            resolution="exchange" if again else "refund",
            replacement=other if again else (),
            now=moment(at),
        )
        yield draw.action(at, ask)
        for later, step in returned(draw, rma, line, 1):
            yield draw.action(at + later, step)
        order_id, line = o.order_id_of(order.channel, f"{names.EXCHANGE}{rma}"), "1"


def rounds_of_parts(draw: Draw) -> Iterator[Action]:
    """Yield a held order that is split, a part that is split again, and a merge of both parts."""
    chance, at = draw.chance, draw.moment()
    of_it: Any = {"sku": LAMP, "location": draw.place()}
    yield draw.action(0.0, ReceiveStock(**of_it, receipt_id="lamps", quantity=chance.choice((3, 4, 6))))
    order = an_order(draw, at, "PARTS", (LAMP, 4))
    yield draw.action(at, order)
    yield draw.action(at + 0.1, o.HoldOrder(order_id=order.order_id, kind="manual"))
    first = split_of(order.order_id, "s1", 2)
    part = o.order_id_of("web", PART)
    second = split_of(part, "s2", 1)
    rest = o.order_id_of("web", f"{names.SPLIT}s2/{PART}")
    some = tuple(chance.sample((part, rest, order.order_id), 2))
    together = o.MergeOrders(channel="web", merge_id="m2", order_ids=some)
    for ask in (first, second, together):
        at += chance.uniform(1.0, 20.0)
        yield draw.action(at, ask)
        if draw.likely(0.3):
            yield draw.action(at + chance.uniform(0.0, 5.0), o.ReleaseHold(order_id=part, kind="manual"))
    for order_id in (order.order_id, part, rest):
        yield draw.action(at + 60.0, o.ReleaseHold(order_id=order_id, kind="manual"))


def split_of(order_id: str, split_id: str, units: int) -> o.SplitOrder:
    return o.SplitOrder(order_id=order_id, split_id=split_id, lines=(o.LineUnits(line_id="1", quantity=units),))


def people_who_are_forgotten(draw: Draw) -> Iterator[Action]:
    """Yield requests to forget people whose orders have ended, or not yet, while cases hold some of them; and what is
    said of them afterwards."""
    chance = draw.chance
    for number in range(chance.randint(1, 3)):
        action, order = draw.earlier()
        at, of, case = action.at + chance.uniform(0.0, 120.0), order.order_id, f"case-{number}"
        forget = o.ForgetOrder(order_id=of, reason=chance.choice(("request", "retention")), case_id=f"dsr-{number}")
        if draw.likely(0.3):
            yield draw.action(action.at + chance.uniform(1.0, 20.0), o.CancelOrder(order_id=of, reason="changed"))
        if draw.likely(0.7):
            yield draw.action(at, o.PlaceLegalHold(order_id=of, case_id=case, reason="dispute"))
            yield draw.action(at + chance.uniform(0.0, 100.0), o.LiftLegalHold(order_id=of, case_id=case))
        for _ in range(chance.randint(1, 3)):
            at += chance.uniform(0.0, 60.0)
            yield draw.action(at, forget)
        moved = o.Address(name="Ada Lovelace", country="FR", postal_code="69001")
        late = o.AmendOrder(order_id=of, amendment_id=f"late-{number}", ship_to=moved, keep=draw.likely(0.5))
        note = o.AddNote(order_id=of, note_id=f"late-{number}", note_text="Ada called")
        for said in (late, note):
            yield draw.action(at + chance.uniform(0.0, 60.0), said)


EARLY_SECONDS = 0.5
"""Seconds after an order was placed in which no refund of it can have been requested."""


def contradictions(draw: Draw) -> Iterator[Action]:
    """Yield reports of a provider that contradict the requests: a higher amount, another currency, a failure of what
    then succeeds."""
    chance = draw.chance
    for number in range(chance.randint(1, 3)):
        action, order = draw.earlier()
        operation = chance.choice(("authorize", "authorize", "capture", "refund"))
        part = {"authorize": "", "capture": f"{order.order_id}.1", "refund": "r1"}[operation]
        report: dict[str, Any] = {"operation": operation, "payment_id": f"{order.order_id}.1", "part": part}
        done: dict[str, Any] = {"outcome": "succeeded", "reference": f"wrong-{number}"}
        wrong = chance.choice(({**done, "amount_minor": 9_999_999}, {**done, "currency": "USD"}))
        if operation == "authorize" and draw.likely(0.3):
            wrong = {"outcome": "declined", "reason": "no", "retriable": draw.likely(0.7)}
        if operation == "refund":
            early = {"outcome": "declined", "reason": "no", "reference": f"early-{number}"}
            yield draw.action(
                action.at + EARLY_SECONDS, OutsideCallback(PAYMENT_CALLBACKS, to_json({**report, **early}))
            )
        at = action.at + chance.choice((0.3, 5.0, 60.0)) * chance.random()
        yield draw.action(at, OutsideCallback(PAYMENT_CALLBACKS, to_json({**report, **wrong})))


THEMES: tuple[Callable[[Draw], Iterator[Action]], ...] = (
    *LIFE,
    reported_elsewhere,
    pickups,
    what_people_see_to,
    one_return_of_two_orders,
    exchanges_of_exchanges,
    rounds_of_parts,
    contradictions,
    people_who_are_forgotten,
)


def lived(draw: Draw) -> Iterator[Action]:
    """Yield the requests of a few themes."""
    for some in THEMES:
        if draw.likely(THEMES_SHARE):
            yield from some(draw)
