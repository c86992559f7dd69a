"""An act that has a name happens once: repeated it decides nothing, and under its name nothing else is done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.repeats import asked_of
from oms_es.aggregates.returns import rma
from oms_es.aggregates.stock import decider as stock
from oms_es.kernel import Command, Decider
from oms_es.schemas import order as o
from oms_es.schemas import stock as s
from oms_es.schemas.returns import rma as r

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AT: Any = {"sku": "A", "location": "berlin"}
FIVE = s.ReceiveStock(**AT, receipt_id="first", quantity=5)
EXPECTED = s.ExpectInbound(**AT, inbound_id="in", quantity=5, promised_at=NOON)
RESERVED = s.ReserveStock(**AT, reservation_id="o/1", order_id="o", quantity=3)
DAMAGED = s.ChangeCondition(**AT, change_id="d", quantity=3, condition="damaged")
LINE = r.ExpectedLine(line_id="1", sku="TEA", quantity=2, reason="damaged")
RMA: Any = {"rma_id": "r1"}
ASKED = r.OpenRma(**RMA, order_id="o", channel="web", resolution="refund", lines=(LINE,), requested_at=NOON)
CAME = r.ReceiveRma(**RMA, receipt_id="c1", location="berlin", lines=(o.LineUnits(line_id="1", quantity=1),))
SEEN = r.InspectedLine(line_id="1", quantity=1, grade="as_new", disposition="sellable")

ACTS: tuple[tuple[Decider[Any], Sequence[Command], Command, dict[str, Any]], ...] = (
    (stock.decider, (), FIVE, {"quantity": 4}),
    (stock.decider, (EXPECTED,), s.ReceiveInbound(**AT, inbound_id="in", receipt_id="r", quantity=2), {"quantity": 3}),
    (stock.decider, (FIVE,), s.CountStock(**AT, count_id="c", quantity=4), {"quantity": 3}),
    (stock.decider, (FIVE,), s.AdjustStock(**AT, adjustment_id="a", quantity=-1, reason="x"), {"quantity": 1}),
    (stock.decider, (FIVE,), DAMAGED, {"quantity": 2}),
    (stock.decider, (FIVE, DAMAGED), s.WriteOffStock(**AT, write_off_id="w", quantity=1, reason="x"), {"quantity": 2}),
    (stock.decider, (FIVE,), s.MoveToBin(**AT, move_id="m", quantity=1, to_bin="B"), {"quantity": 2}),
    (stock.decider, (FIVE,), s.MoveStock(**AT, move_id="m", quantity=1, to_location="paris"), {"quantity": 2}),
    (stock.decider, (FIVE,), RESERVED, {"quantity": 2}),
    (
        stock.decider,
        (FIVE, RESERVED),
        s.ReleaseStock(**AT, reservation_id="o/1", order_id="o", quantity=1, release_id="x"),
        {"quantity": 2},
    ),
    (rma.decider, (ASKED,), CAME, {"location": "rome"}),
    (
        rma.decider,
        (ASKED, CAME),
        r.InspectRma(**RMA, inspection_id="i", location="berlin", lines=(SEEN,)),
        {"location": "rome"},
    ),
)


@pytest.mark.parametrize(("decider", "before", "act", "other"), ACTS, ids=lambda act: type(act).__name__)
def test_an_act_is_done_once_and_another_under_its_name_is_refused(
    decider: Decider[Any], before: Sequence[Command], act: Command, other: dict[str, Any]
) -> None:
    state = decider.initial
    for command in before:
        state = reduce(decider.evolve, decider.decide(state, command), state)
    done = list(decider.decide(state, act))
    assert done
    given = Given(decider)
    given.state = reduce(decider.evolve, done, state)
    given.when(act).then()
    given.when(act.model_copy(update=other)).then_refused("id_reused")


def test_what_an_earlier_release_kept_of_a_request_is_still_the_same_request() -> None:
    """What is not said is left out at every depth, so that a new field changes nothing that is stored."""
    ids: Any = {"order_id": "o", "amendment_id": "a"}
    to_berlin = o.AmendOrder(**ids, ship_to=o.Address(country="DE"), shipping_minor=0)
    assert asked_of(to_berlin) == 'AmendOrder {"ship_to":"sha256:a04a64eb55c4a16e","shipping_minor":0}'
    line = o.OrderLine(line_id="1", sku="A", quantity=1, unit_price_minor=5)
    assert asked_of(o.AmendOrder(**ids, lines=(line,))) == 'AmendOrder {"lines":"sha256:0adb77cbfe5197bb"}'
    one_unit = o.SplitOrder(order_id="o", split_id="s", lines=(o.LineUnits(line_id="1", quantity=1),))
    assert asked_of(one_unit) == 'SplitOrder {"lines":[{"line_id":"1","quantity":1}]}'
