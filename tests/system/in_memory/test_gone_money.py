"""Money that is refunded at the provider's dashboard, or reclaimed by the customer's bank: goods that have not left
wait for it.
"""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.processing.bulk.overflow import Overflow
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.verification.order_checks import OrderChecks
from outside import run_on
from shop import Shop, an_order
from whole_engine import failed

PRICE = 20_000
OF: Any = {"order_id": o.order_id_of("web", "1")}
ITEMS = (("TEA", 1), ("CUP", 1))


def reported(operation: Any, outcome: Any, part: str = "1", amount_minor: int = PRICE) -> RecordProviderReport:
    """Return a provider's report under its own reference, which was not requested here."""
    name = f"{operation}-{part}"
    said = p.Report(
        operation=operation,
        outcome=outcome,
        part="" if operation == "capture" else name,
        reference=name,
        amount_minor=amount_minor,
        currency="EUR",
    )
    return RecordProviderReport(provider="stripe", references=("pi_1",), report=said)


class Window(Shop):
    """A paid order, released unless it is held; the test decides when its warehouse and carrier answer."""

    def __init__(self, *before: Any) -> None:
        super().__init__()
        self.comes("TEA", "CUP")
        for command in (an_order("1", *ITEMS), *before):
            self.engine.submit(command)
        self.engine.settle()
        self.engine.submit(p.RecordAuthorization(payment_id=f"{OF['order_id']}.1", reference="pi_1"))
        self.send(reported("capture", "succeeded"))

    def send(self, *commands: Any) -> None:
        for command in commands:
            self.engine.submit(command)
            self.engine.settle()
            assert not failed(self.engine.history)

    def go_on(self) -> None:
        self.outside.open = [i for i in self.outside.look() if not isinstance(i.event, p.PaymentRequested)]
        run_on(self.engine, self.outside)
        assert not failed(self.engine.history)

    @property
    def kinds(self) -> set[str]:
        return {row["kind"] for row in self.engine.open_rows("open_exceptions")}

    @property
    def sent(self) -> int:
        return self.left("1").count("ShipmentDispatched")


GONE_BY = {
    "refunded": (reported("refund", "succeeded"), reported("refund", "declined")),
    "disputed": (reported("dispute", "opened"), reported("dispute", "won")),
}


@pytest.mark.parametrize("how", GONE_BY)
def test_a_paid_order_whose_money_is_gone_before_its_parcel_left_is_stopped_and_goes_when_it_is_there_again(
    how: str,
) -> None:
    gone, back = GONE_BY[how]
    shop = Window()
    assert shop.order("1")["phase"] == "fulfilling"
    shop.send(gone, gone)
    shop.go_on()
    assert (shop.sent, shop.order("1")["phase"], shop.order("1")["holds"]) == (0, "fulfilling", ["payment"])
    assert {"held_payment", "refunded_elsewhere" if how == "refunded" else "dispute"} == shop.kinds
    shop.send(back, back)
    shop.go_on()
    assert (shop.sent, shop.order("1")["phase"], shop.order("1")["holds"]) == (1, "completed", [])
    assert "held_payment" not in shop.kinds
    events = [recorded.event for recorded in shop.engine.log]
    assert sum(event.amount_minor for event in events if isinstance(event, p.PaymentDepositApplied)) == PRICE


@pytest.mark.parametrize("how", GONE_BY)
def test_a_held_order_whose_money_is_gone_is_not_released_by_the_end_of_its_other_hold(how: str) -> None:
    gone, back = GONE_BY[how]
    shop = Window(o.HoldOrder(**OF, kind="fraud"))
    shop.send(gone, o.ReleaseHold(**OF, kind="fraud"))
    shop.go_on()
    assert (shop.left("1"), shop.order("1")["phase"]) == (["PaymentCaptured"], "held")
    shop.send(back)
    shop.go_on()
    assert (shop.sent, shop.order("1")["phase"]) == (1, "completed")


def test_what_was_refunded_for_good_is_cancelled_without_any_money_moving_again() -> None:
    shop = Window()
    shop.send(GONE_BY["refunded"][0])
    shop.go_on()
    shop.send(o.CancelOrder(**OF, reason="the customer wanted the money back"))
    shop.go_on()
    assert (shop.sent, shop.order("1")["phase"]) == (0, "cancelled")
    events = [recorded.event for recorded in shop.engine.log]
    assert not [event for event in events if isinstance(event, p.PaymentRefundRequested)]
    assert [row["atp"] for row in shop.engine.open_rows("stock_levels")] == [9, 9]


def test_what_left_with_the_carrier_is_not_called_back_and_a_person_has_it_on_a_list() -> None:
    shop = Window()
    shop.go_on()
    shop.send(GONE_BY["disputed"][0])
    assert (shop.sent, shop.order("1")["phase"], shop.kinds) == (1, "completed", {"dispute"})


def test_a_cent_less_than_all_that_is_to_leave_costs_stops_it_until_a_person_says_what_is_left_is_enough() -> None:
    shop = Window()
    shop.send(reported("refund", "succeeded", "1", 1))
    shop.go_on()
    assert shop.sent == 0, "what is left does not pay for all that is to leave"
    shop.send(o.CancelOrderLines(**OF, cancellation_id="c", lines=(o.LineUnits(line_id="2", quantity=1),), reason=""))
    shop.send(o.ReleaseHold(**OF, kind="payment", note="the rest pays for what is left"))
    shop.go_on()
    assert (shop.sent, shop.order("1")["phase"]) == (1, "completed")


def test_a_parcel_that_leaves_although_it_is_held_is_found() -> None:
    shop = Window()
    shop.send(GONE_BY["refunded"][0])
    shop.go_on()
    checks = OrderChecks(Overflow())
    for recorded in shop.engine.log:
        checks.note(recorded)
    assert not checks.shared.failed
    (waiting,) = checks.orders[OF["order_id"]].held
    left = o.OrderShipmentDispatched(**OF, shipment_id=waiting)
    checks.note(shop.engine.log[-1]._replace(event=left))
    assert "was held" in checks.shared.differences[0]
