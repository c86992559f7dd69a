"""Lost parcels through the whole engine: an exception reports each, and it is refunded or sent again, once."""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from oms_es.schemas.stock import ReceiveStock
from outside import PLACE, Outside, run_on, seen
from whole_engine import START, WholeEngine, failed

PARCEL = f"{PLACE.order_id}.1"
AGAIN = o.order_id_of("web", f"lost/{PARCEL}")
DAY = 86_400


class World:
    """An order of one parcel that is booked, left and is not tracked any more, or was not collected at all."""

    def __init__(self, stock: int = 10, *, picked_up: bool = True) -> None:
        self.engine = WholeEngine()
        self.outside = Outside(self.engine)
        self.submit(OpenLocation(location="berlin", country="DE"))
        for sku in ("TEA", "CUP"):
            self.submit(ReceiveStock(sku=sku, location="berlin", receipt_id="r", quantity=stock))
        self.engine.submit(PLACE)
        self.engine.settle()
        while intents := list(self.outside.look()):
            for intent in intents:
                booking = isinstance(intent.event, sh.ShipmentBookingRequested)
                for command in self.outside.answer(intent, 1 if booking else 0):
                    self.engine.submit(command)
            self.engine.settle()
        if picked_up:
            self.submit(seen(PARCEL, "picked_up", self.engine.now))

    def submit(self, command: Command) -> None:
        self.engine.submit(command)
        run_on(self.engine, self.outside)
        assert not failed(self.engine.history)

    def lose(self, choice: o.LossChoice) -> None:
        self.submit(sh.DeclareLost(shipment_id=PARCEL, choice=choice, reason="the carrier cannot find it"))

    def phase(self, order_id: str = PLACE.order_id) -> str:
        (row,) = [row for row in self.engine.open_rows("order_status") if row["order_id"] == order_id]
        return str(row["phase"])

    def sum_of(self, fact: type[Any], order_id: str = PLACE.order_id) -> int:
        events = [recorded.event for recorded in self.engine.log if isinstance(recorded.event, fact)]
        return sum(event.amount_minor for event in events if event.order_id == order_id)

    def exceptions(self) -> list[str]:
        return sorted(row["kind"] for row in self.engine.open_rows("open_exceptions"))


def test_a_parcel_that_no_one_sees_for_long_is_an_exception_until_it_is_seen() -> None:
    world = World()
    world.engine.pass_time(sh.SILENCE_SECONDS - 1)
    assert world.exceptions() == []
    world.engine.pass_time(1)
    assert world.exceptions() == ["parcel_silent"]
    world.submit(seen(PARCEL, "delivered", world.engine.now))
    assert (world.exceptions(), world.phase()) == ([], "completed")
    assert world.engine.open_rows("deadlines") == []


def test_a_parcel_that_no_one_fetches_is_an_exception_until_it_leaves() -> None:
    world = World(picked_up=False)
    world.engine.pass_time(sh.DISPATCH_SECONDS - 1)
    assert world.exceptions() == []
    world.engine.pass_time(1)
    assert world.exceptions() == ["dispatch_overdue"]
    assert world.engine.open_rows("deadlines") == []
    world.submit(seen(PARCEL, "picked_up", world.engine.now))
    assert (world.exceptions(), world.phase()) == ([], "shipped")


def test_a_lost_parcel_is_refunded_and_the_order_waits_for_nothing() -> None:
    world = World()
    assert (world.phase(), world.sum_of(p.PaymentCaptured)) == ("shipped", PLACE.total_minor)
    world.lose("refund")
    assert (world.phase(), world.sum_of(p.PaymentRefunded)) == ("completed", PLACE.total_minor)
    assert world.exceptions() == []
    lines = (r.ReturnLine(line_id="1", quantity=1, reason="other"),)
    with pytest.raises(Refused, match="over_return"):
        world.submit(x.RequestReturn(order_id=PLACE.order_id, rma_id="r", lines=lines, now=START))


def test_a_lost_parcel_is_sent_again_and_no_one_pays_for_it() -> None:
    world = World()
    world.lose("reship")
    assert (world.phase(), world.phase(AGAIN)) == ("completed", "completed")
    assert world.sum_of(p.PaymentRequested, AGAIN) == 0
    assert world.sum_of(p.PaymentRefunded) == 0
    (tea,) = [row for row in world.engine.open_rows("stock_levels") if row["sku"] == "TEA"]
    assert tea["on_hand"] == 10 - 2 * 3
    again = next(e.event for e in world.engine.log if isinstance(e.event, o.OrderPlaced) and e.event.order_id == AGAIN)
    assert again.total_minor == again.credit_minor == PLACE.total_minor
    assert world.exceptions() == []


def test_what_is_not_sent_again_after_all_goes_back_in_money() -> None:
    world = World(stock=3)
    world.lose("reship")
    assert world.phase(AGAIN) == "backordered"
    world.submit(o.CancelOrder(order_id=AGAIN, reason="no tea any more"))
    assert world.sum_of(p.PaymentRefunded) == PLACE.total_minor


def test_what_was_refunded_before_is_not_given_back_again() -> None:
    world = World()
    line = o.RefundLine(line_id="1", quantity=3)
    world.submit(o.RefundOrder(order_id=PLACE.order_id, refund_id="sorry", lines=(line,)))
    before = world.sum_of(p.PaymentRefunded)
    world.lose("refund")
    assert world.sum_of(p.PaymentRefunded) == before
    assert (world.exceptions(), world.phase()) == (["credit_refused"], "completed")


def test_a_carrier_that_is_silent_about_a_cancellation_is_an_exception_after_a_day() -> None:
    world = World.__new__(World)
    world.engine = WholeEngine()
    world.outside = Outside(world.engine)
    world.submit(OpenLocation(location="berlin", country="DE"))
    for command in (
        sh.RequestShipment(
            shipment_id="s",
            order_id="o",
            payment_id="p",
            location="berlin",
            items=(o.Reservation(reservation_id="o/1", sku="TEA", location="berlin", quantity=1),),
            amount_minor=0,
            ship_to=o.Address(country="DE"),
        ),
        sh.PackShipment(shipment_id="s", weight_grams=1),
        sh.BookShipment(shipment_id="s"),
        sh.RecordBooking(shipment_id="s", carrier="dhl", tracking_number="T"),
        sh.CancelBooking(shipment_id="s"),
    ):
        world.engine.submit(command)
    world.engine.settle()
    world.engine.pass_time(DAY - 1)
    assert world.exceptions() == []
    world.engine.pass_time(1)
    assert world.exceptions() == ["cancellation_unanswered"]
    world.engine.submit(sh.RecordBookingCancellationRefused(shipment_id="s", reason="the van is on its way"))
    assert world.exceptions() == []
    assert [row["kind"] for row in world.engine.open_rows("deadlines")] == ["dispatch_overdue"]
