"""Returns through the whole engine: returned units are in stock again, and their value is refunded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from oms_es.schemas.returns.policy import SetReturnPolicy
from oms_es.schemas.stock import ReceiveStock
from outside import PLACE, Outside, run_on
from whole_engine import START, WholeEngine, failed

OF: Any = {"order_id": PLACE.order_id}
RMA: Any = {"rma_id": "r1"}


class World:
    """`back`: the carrier brings every parcel back."""

    def __init__(self, *, back: bool = False) -> None:
        self.back = back
        self.engine = WholeEngine()
        self.outside = Outside(self.engine)
        self.submit(OpenLocation(location="berlin", country="DE"))
        for sku in ("TEA", "CUP", "POT"):
            self.submit(ReceiveStock(sku=sku, location="berlin", receipt_id="r", quantity=10))
        self.submit(PLACE)

    def submit(self, *commands: Any) -> None:
        for command in commands:
            self.engine.submit(command)
            self.rest()

    def rest(self) -> None:
        if self.back:
            self._bring_back()
        run_on(self.engine, self.outside)
        assert not failed(self.engine.history)

    def _bring_back(self) -> None:
        self.engine.settle()
        while intents := list(self.outside.look()):
            for intent in intents:
                returned = -1 if isinstance(intent.event, sh.ShipmentBookingRequested) else 0
                for command in self.outside.answer(intent, returned):
                    self.engine.submit(command)
            self.engine.settle()

    def row(self, projection: str, **where: Any) -> Any:
        rows = self.engine.open_rows(projection)
        (row,) = [row for row in rows if all(row[name] == value for name, value in where.items())]
        return row

    def on_hand(self, sku: str) -> int:
        return int(self.row("stock_levels", sku=sku)["on_hand"])

    def refunded(self) -> int:
        return sum(e.event.amount_minor for e in self.engine.log if isinstance(e.event, p.PaymentRefunded))

    def phase(self, order_id: str = PLACE.order_id) -> str:
        return str(self.row("order_status", order_id=order_id)["phase"])

    def exceptions(self) -> list[str]:
        return sorted(row["kind"] for row in self.engine.open_rows("open_exceptions"))


def ask(*lines: tuple[str, int], rma_id: str = "r1", **more: Any) -> x.RequestReturn:
    reported = tuple(r.ReturnLine(line_id=line, quantity=n, reason="damaged") for line, n in lines)
    return x.RequestReturn(**OF, rma_id=rma_id, lines=reported, **{"now": START, **more})


def receive(line: str, quantity: int, receipt: str = "c1", rma_id: str = "r1") -> r.ReceiveRma:
    lines = (o.LineUnits(line_id=line, quantity=quantity),)
    return r.ReceiveRma(rma_id=rma_id, receipt_id=receipt, location="berlin", lines=lines)


def inspect(line: str, quantity: int, rma_id: str = "r1", **more: Any) -> r.InspectRma:
    reported: dict[str, Any] = {"grade": "as_new", "disposition": "sellable", **more}
    lines = (r.InspectedLine(line_id=line, quantity=quantity, **reported),)
    return r.InspectRma(rma_id=rma_id, inspection_id="i1", location="berlin", lines=lines)


def test_what_comes_back_is_restocked_and_refunded_at_what_was_paid() -> None:
    world = World()
    assert (world.phase(), world.on_hand("TEA")) == ("completed", 7)
    world.submit(ask(("1", 2)), receive("1", 2), inspect("1", 2))
    assert world.on_hand("TEA") == 9
    assert world.refunded() == 1_800  # two thirds of 3,000 less the line's part of the discount
    assert world.row("returns", rma_id="r1")["status"] == "closed"
    assert world.exceptions() == []


def test_every_unit_returned_one_by_one_gives_back_exactly_what_was_paid() -> None:
    world = World()
    for n in range(3):
        rma = f"r{n}"
        world.submit(ask(("1", 1), rma_id=rma), receive("1", 1, rma_id=rma), inspect("1", 1, rma_id=rma))
    world.submit(ask(("2", 1), rma_id="cup"), receive("2", 1, rma_id="cup"), inspect("2", 1, rma_id="cup"))
    assert world.refunded() == 3_500 - 350
    assert (world.on_hand("TEA"), world.on_hand("CUP")) == (10, 10)


def test_p20_more_than_was_shipped_cannot_be_returned() -> None:
    world = World()
    world.submit(ask(("1", 2)))
    for refused in (ask(("1", 2), rma_id="r2"), ask(("1", 1), ("1", 1), rma_id="r2"), ask(("3", 1), rma_id="r2")):
        with pytest.raises(Refused, match="over_return"):
            world.engine.submit(refused)
    world.submit(ask(("1", 1), rma_id="r2"))
    with pytest.raises(Refused, match="already_requested"):
        world.engine.submit(ask(("1", 1)))
    assert world.engine.submit(ask(("1", 2))) == []


def test_what_never_came_can_be_asked_back_again() -> None:
    world = World()
    world.submit(ask(("1", 3)))
    world.engine.pass_time(22 * 86_400)
    world.rest()
    assert world.row("returns", rma_id="r1")["status"] == "closed"
    world.submit(ask(("1", 3), rma_id="r2"), receive("1", 3, rma_id="r2"), inspect("1", 3, rma_id="r2"))
    assert world.on_hand("TEA") == 10


def test_units_that_were_refunded_without_a_return_are_not_returned_too() -> None:
    world = World()
    world.submit(o.RefundOrder(**OF, refund_id="f", lines=(o.RefundLine(line_id="1", quantity=2),)))
    with pytest.raises(Refused, match="over_return"):
        world.engine.submit(ask(("1", 2)))
    world.submit(ask(("1", 1)), receive("1", 1), inspect("1", 1))
    assert world.refunded() == 3_000 - 300


def test_a_refund_that_overtakes_the_return_leaves_an_exception_and_no_money_twice() -> None:
    world = World()
    world.submit(ask(("1", 2)), receive("1", 2))
    world.submit(o.RefundOrder(**OF, refund_id="f", lines=(o.RefundLine(line_id="1", quantity=3),)))
    world.submit(inspect("1", 2))
    assert world.refunded() == 2_700
    assert world.exceptions() == ["credit_refused"]


def test_the_customer_may_keep_the_goods() -> None:
    world = World()
    world.submit(ask(("2", 1), resolution="refund_only"))
    assert (world.refunded(), world.on_hand("CUP")) == (450, 9)


def test_what_is_written_off_or_damaged_is_not_sold_again() -> None:
    world = World()
    world.submit(ask(("1", 2)), receive("1", 2), inspect("1", 1, disposition="written_off"))
    second = r.InspectedLine(line_id="1", quantity=1, grade="damaged", disposition="damaged", credited=False)
    world.submit(r.InspectRma(**RMA, inspection_id="i2", location="berlin", lines=(second,)))
    assert world.row("stock_levels", sku="TEA")["atp"] == 7
    assert world.refunded() == 900


def test_a_return_outside_the_policy_waits_for_a_person() -> None:
    world = World()
    world.submit(SetReturnPolicy(channel="*", terms=r.Terms(window_days=14)))
    world.submit(ask(("1", 1), now=START + timedelta(days=15)))
    assert world.exceptions() == ["return_review"]
    world.submit(r.RefuseRma(**RMA, reason="too late"))
    assert world.exceptions() == []
    world.submit(ask(("1", 3), rma_id="r2", now=START + timedelta(days=14)))
    assert world.row("returns", rma_id="r2")["status"] == "approved"


def replace_by(sku: str, price: int) -> Any:
    line = o.OrderLine(line_id="1", sku=sku, quantity=1, unit_price_minor=price)
    return ask(("1", 1), resolution="exchange", replacement=(line,))


@pytest.mark.parametrize(("price", "charged", "refunded"), [(2_000, 1_100, 0), (900, 0, 0), (500, 0, 400)])
def test_an_exchange_sends_another_order_and_settles_the_difference(price: int, charged: int, refunded: int) -> None:
    world = World()
    world.submit(replace_by("POT", price), receive("1", 1), inspect("1", 1))
    exchange = o.order_id_of("web", "exchange/r1")
    assert world.phase(exchange) == "completed"
    captured = [e.event for e in world.engine.log if isinstance(e.event, p.PaymentCaptured)]
    assert sum(event.amount_minor for event in captured if event.order_id == exchange) == charged
    assert world.refunded() == refunded
    assert (world.on_hand("TEA"), world.on_hand("POT")) == (8, 9)
    assert world.exceptions() == []
    with pytest.raises(Refused, match="exceeds"):
        world.engine.submit(o.RefundOrder(**OF, refund_id="f", lines=(o.RefundLine(line_id="1", quantity=3),)))


def test_an_exchange_says_what_is_to_be_sent() -> None:
    world = World()
    with pytest.raises(Refused, match="unclear_resolution"):
        world.engine.submit(ask(("1", 1), resolution="exchange"))
    line = o.OrderLine(line_id="1", sku="POT", quantity=1, unit_price_minor=1)
    with pytest.raises(Refused, match="unclear_resolution"):
        world.engine.submit(ask(("1", 1), replacement=(line,)))
    with pytest.raises(Refused, match="invalid_replacement"):
        world.engine.submit(ask(("1", 1), resolution="exchange", replacement=(line, line)))


def test_what_no_one_took_is_put_aside_ends_its_order_and_asks_a_person() -> None:
    world = World(back=True)
    assert world.phase() == "completed"
    assert (world.on_hand("TEA"), world.row("stock_levels", sku="TEA")["atp"]) == (10, 7)
    aside = world.row("stock_places", sku="TEA", condition="quarantine")
    assert aside["quantity"] == 3
    assert world.exceptions() == ["returned_to_sender"]
    with pytest.raises(Refused, match="over_return"):
        world.engine.submit(ask(("1", 1)))
    world.submit(o.RefundOrder(**OF, refund_id="f", lines=(o.RefundLine(line_id="1", quantity=3),), shipping_minor=400))
    world.submit(o.RefundOrder(**OF, refund_id="g", lines=(o.RefundLine(line_id="2", quantity=1),)))
    assert world.refunded() == PLACE.total_minor
