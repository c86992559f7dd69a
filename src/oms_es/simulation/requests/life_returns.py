"""Requests about returns in the full scenario, and customers' feedback."""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Command
from oms_es.schemas import order as o
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.returns import rma as r
from oms_es.schemas.returns.feedback import RecordFeedback
from oms_es.schemas.returns.policy import SetReturnPolicy
from oms_es.simulation.requests.life_orders import moment
from oms_es.simulation.requests.workload import PRICE_MINOR, Draw
from oms_es.simulation.scenario import Action


def returns(draw: Draw) -> Iterator[Action]:
    """Yield returns that are requested, approved or refused, received and inspected in parts, exchanged, or
    given up."""
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


def feedback(draw: Draw) -> Iterator[Action]:
    action, order = draw.earlier()
    subject, about = draw.chance.choice((("order", ""), ("sku", order.lines[0].sku), ("carrier", "simulated")))
    ask = RecordFeedback(
        order_id=order.order_id, feedback_id="f1", subject=subject, about=about, rating=draw.chance.randint(1, 5)
    )
    yield draw.action(action.at + draw.chance.uniform(0.0, 200.0), ask)
