"""What a return credits: to an account, to an exchange, and back from an exchange, over all payments of the order."""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.aggregates.order.decider import decider
from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from order_story import (
    GONE,
    ID,
    LOCKING,
    NOON,
    OF,
    OrderScenario,
    dispatched,
    granted,
    locked,
    paid,
    parcel,
    placed,
    source,
    units,
)

TEA = o.OrderLine(line_id="1", sku="TEA", quantity=1, unit_price_minor=250)
LEFT = (dispatched(1), dispatched(2))


def want(line_id: str, quantity: int) -> r.ReturnLine:
    return r.ReturnLine(line_id=line_id, quantity=quantity, reason="damaged")


def request(*lines: r.ReturnLine, rma_id: str = "r1", **more: Any) -> x.RequestReturn:
    return x.RequestReturn(**OF, rma_id=rma_id, lines=lines, now=NOON, **more)


def credit(resolution: r.Resolution = "refund", **by_line: int) -> x.CreditReturn:
    return x.CreditReturn(**OF, rma_id="r1", credit_id="return/r1/i", resolution=resolution, lines=units(**by_line))


def goodwill(amount_minor: int) -> o.RefundOrder:
    return o.RefundOrder(**OF, refund_id="g", goodwill_minor=amount_minor)


def left(amount_minor: int, exchange: str = "x") -> x.RefundCredit:
    return x.RefundCredit(**OF, rma_id="r1", exchange_order_id=exchange, amount_minor=amount_minor)


EXCHANGE = (request(want("1", 2), resolution="exchange", replacement=(TEA,)), credit("exchange", _1=2))
"""Two units of line 1, for which 600 were paid, pay for an exchange."""
GIFT = o.Tender(method="gift_card", payment_token="gift", amount_minor=700)
BY_TWO = (placed(tenders=(GIFT,)), *LOCKING, paid(1), paid(2), *LEFT)
WITH_CREDIT = (granted(300), *LOCKING, paid(), *LEFT)
"""An exchange that a credit of 300 and a payment of 750 bear."""


@pytest.mark.parametrize("begin", [GONE, BY_TWO, WITH_CREDIT], ids=["one payment", "two payments", "credit"])
def test_what_an_exchange_gives_back_is_counted_over_all_that_bear_it(begin: tuple[Command, ...]) -> None:
    """Of 1050, 250 pay for the exchange and 350 are back: 450 are left."""
    story = (*begin, *EXCHANGE, left(350))
    scenario = OrderScenario(*story)
    back = scenario.only(o.OrderRefundRequested)
    of_credit = back.credit.amount_minor if back.credit else 0
    assert sum(part.amount_minor for part in back.parts) + of_credit == back.amount_minor == 350
    with pytest.raises(Refused, match=r"4\.51 EUR is more than the 4\.50 EUR left"):
        scenario.submit(goodwill(451))
    assert scenario.submit(goodwill(450))
    again = OrderScenario(*story)
    assert [type(event) for event in again.submit(left(251, "y"))] == [x.OrderCreditRefused]
    assert "2.51 EUR is more than the 2.50 EUR that was credited" in again.only(x.OrderCreditRefused).reason


def test_a_credit_that_is_there_whole_goes_back_whole_and_leaves_nothing_to_a_person() -> None:
    assert OrderScenario(*GONE, *EXCHANGE, left(350)).shapes() == ["OrderRefundRequested"]


def test_the_credit_of_an_exchange_that_was_placed_under_a_taken_name_is_not_the_orders_own() -> None:
    taken = OrderScenario(placed(), granted(300))
    assert taken.shapes() == ["DuplicateConflictFound", "OrderCreditLeft"]
    assert taken.state.credit_left == 0
    other = o.OrderCreditLeft(**OF, exchange_of="rma-1", amount_minor=1, currency="EUR")
    assert decider.evolve(decider.initial, other).credit_left == 0, "there is no order yet"


# --- to an account


ON_ACCOUNT = request(want("1", 1), to_account="ACME-1")


def test_a_return_that_is_to_be_paid_on_an_account_is_paid_there() -> None:
    assert OrderScenario(*GONE, ON_ACCOUNT).only(x.OrderReturnRequested).to_account == "ACME-1"
    paid_back = OrderScenario(*GONE, ON_ACCOUNT, credit(_1=1)).only(o.OrderRefundRequested)
    assert (paid_back.to_account, paid_back.rma_id, paid_back.amount_minor) == ("ACME-1", "r1", 300)
    elsewhere = OrderScenario(*GONE, request(want("1", 1)), credit(_1=1)).only(o.OrderRefundRequested)
    assert elsewhere.to_account == ""


def test_what_an_exchange_leaves_goes_to_the_account_that_its_return_named() -> None:
    exchange, credited = EXCHANGE
    named = exchange.model_copy(update={"to_account": "ACME-1"})
    assert OrderScenario(*GONE, named, credited, left(350)).only(o.OrderRefundRequested).to_account == "ACME-1"
    assert OrderScenario(*GONE, exchange, credited, left(350)).only(o.OrderRefundRequested).to_account == ""
    other = left(350).model_copy(update={"rma_id": "lost/x.1"})
    back = OrderScenario(*GONE, named, credited, other).only(o.OrderRefundRequested)
    assert back.to_account == "", "it is not of this return"


# --- how much may come back


def test_a_return_of_one_line_leaves_the_others_to_be_returned_whole() -> None:
    scenario = OrderScenario(*GONE, request(want("1", 1)), request(want("2", 1), rma_id="r2"))
    assert scenario.shapes() == ["OrderReturnRequested"]


def test_a_unit_that_was_refunded_without_coming_back_is_one_less_beside_those_on_their_way() -> None:
    three = placed(lines=(o.OrderLine(line_id="1", sku="A", quantity=3, unit_price_minor=100),))
    held = ("A", "berlin", 3)
    refund = o.RefundOrder(**OF, refund_id="f", lines=(o.RefundLine(line_id="1", quantity=1),))
    story = (three, source(1, held), locked(1, held), paid(), dispatched(1), refund, request(want("1", 1)))
    scenario = OrderScenario(*story)
    with pytest.raises(Refused, match=r"2 units of line 1 of order .* would come back, and 1 can"):
        scenario.submit(request(want("1", 2), rma_id="r2"))
    assert scenario.submit(request(want("1", 1), rma_id="r2"))


def test_a_parcel_of_which_one_carton_came_back_may_still_arrive() -> None:
    arrived = parcel(o.RecordShipmentDelivered, 2)
    carton = o.RecordShipmentReturned(
        **OF,
        shipment_id=f"{ID}.1",
        return_id=f"{ID}.1/c1",
        location="berlin",
        items=(o.Reservation(reservation_id=f"{ID}/1", sku="A", location="berlin", quantity=1),),
        complete=False,
    )
    scenario = OrderScenario(*GONE, arrived, carton)
    assert scenario.shapes() == ["OrderShipmentReturned"]
    scenario.submit(parcel(o.RecordShipmentDelivered, 1))
    assert scenario.shapes() == ["OrderShipmentDelivered", "OrderCompleted"]
    scenario.submit(carton.model_copy(update={"return_id": f"{ID}.1/c2", "complete": True}))
    assert scenario.state.shipments[f"{ID}.1"] == "delivered", "it arrived once, and came back after that"


def test_a_reserved_name_is_refused_with_the_field_that_has_it() -> None:
    with pytest.raises(Refused, match="rma_id exchange/r1 begins with a prefix that is reserved"):
        OrderScenario(*GONE, request(want("1", 1), rma_id="exchange/r1"))
