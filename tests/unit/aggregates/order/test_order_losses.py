"""What was paid for a lost parcel is refunded, or pays for its replacement: once, and never both."""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from order_story import (
    A2,
    FULFILLING,
    GONE,
    ID,
    NOON,
    OF,
    OrderScenario,
    Units,
    dispatched,
    locked,
    paid,
    parcel,
    placed,
    stopped,
)
from order_story import source as sourced

LOSS = f"lost/{ID}.1"


def lost(number: int, *units: Units, choice: Any = "refund", complete: bool = True) -> o.RecordShipmentLost:
    items = tuple(o.Reservation(reservation_id=f"{ID}/1", sku=sku, location=at, quantity=n) for sku, at, n in units)
    shipment_id = f"{ID}.{number}"
    return o.RecordShipmentLost(
        **OF, shipment_id=shipment_id, items=items, complete=complete, choice=choice, reason="fell into the sea"
    )


REFUNDED, SENT_AGAIN = lost(1, A2), lost(1, A2, choice="reship")


def refund(**what: Any) -> o.RefundOrder:
    return o.RefundOrder(**OF, refund_id="f", **what)


def refusal(*commands: Command) -> str:
    scenario = OrderScenario(*commands[:-1])
    with pytest.raises(Refused) as refused:
        scenario.submit(commands[-1])
    return refused.value.reason


def test_what_was_paid_for_a_lost_parcel_is_given_back_with_its_shipping_once() -> None:
    scenario = OrderScenario(*GONE, REFUNDED)
    assert scenario.shapes() == ["OrderShipmentLost", "OrderRefundRequested"]
    event = scenario.only(o.OrderShipmentLost)
    assert [(share.line_id, share.quantity, share.amount_minor) for share in event.lines] == [("1", 2, 600)]
    assert (event.shipping_minor, event.worth_minor) == (30, 630)
    due = scenario.only(o.OrderRefundRequested)
    assert (due.refund_id, due.amount_minor, due.refunded_units) == (LOSS, 630, {})
    assert due.reason == f"{ID}.1 was lost: fell into the sea"
    allocations = [(a.kind, a.line_id, a.amount_minor) for part in due.parts for a in part.allocations]
    assert allocations == [("line", "1", 600), ("shipping", "", 30)]
    assert scenario.submit(REFUNDED) == []
    assert scenario.submit(SENT_AGAIN) == []


def test_of_a_carton_only_what_was_in_it_is_given_back() -> None:
    scenario = OrderScenario(*GONE, lost(1, ("A", "berlin", 1), complete=False))
    event = scenario.only(o.OrderShipmentLost)
    assert (event.shipping_minor, event.worth_minor) == (0, 300)
    assert scenario.only(o.OrderRefundRequested).amount_minor == 300


def test_only_what_is_on_its_way_can_be_lost() -> None:
    arrived = parcel(o.RecordShipmentDelivered, 1)
    assert OrderScenario(*GONE, arrived, REFUNDED).last == []
    assert OrderScenario(*FULFILLING, stopped(1), REFUNDED).last == []
    assert OrderScenario(*FULFILLING, lost(9, A2)).last == []
    assert OrderScenario(*FULFILLING, REFUNDED).shapes()[0] == "OrderShipmentLost", "it may have left unseen"


def test_no_one_waits_for_a_lost_parcel() -> None:
    scenario = OrderScenario(*GONE, parcel(o.RecordShipmentDelivered, 2), REFUNDED)
    assert scenario.shapes() == ["OrderShipmentLost", "OrderRefundRequested", "OrderCompleted"]
    assert scenario.state.shipments[f"{ID}.1"] == "lost"
    assert scenario.submit(parcel(o.RecordShipmentDelivered, 1)) == []


def test_what_was_lost_is_neither_asked_back_nor_refunded_again() -> None:
    lines = (r.ReturnLine(line_id="1", quantity=1, reason="damaged"),)
    request = x.RequestReturn(**OF, rma_id="r1", lines=lines, now=NOON)
    assert refusal(*GONE, REFUNDED, request) == "over_return"
    by_amount = refund(lines=(o.RefundLine(line_id="1", amount_minor=1),))
    for choice in (REFUNDED, SENT_AGAIN):
        assert refusal(*GONE, choice, by_amount) == "exceeds_payment"
        assert refusal(*GONE, choice, refund(shipping_minor=21)) == "exceeds_payment"
        assert refusal(*GONE, choice, refund(goodwill_minor=421)) == "exceeds_payment"
        assert OrderScenario(*GONE, choice, refund(goodwill_minor=420)).last


def test_what_was_lost_with_several_parcels_comes_back_of_none_of_them() -> None:
    both = (*GONE, REFUNDED, lost(2, ("B", "paris", 1)))
    for line_id in ("1", "2"):
        back = (r.ReturnLine(line_id=line_id, quantity=1, reason="damaged"),)
        assert refusal(*both, x.RequestReturn(**OF, rma_id="r", lines=back, now=NOON)) == "over_return"


def test_what_is_sent_again_costs_what_was_paid_for_it() -> None:
    place = placed(priority=3, delivery_option="express", discount_minor=101)
    gone = (place, *GONE[1:])
    scenario = OrderScenario(*gone, SENT_AGAIN)
    assert scenario.shapes() == ["OrderShipmentLost", "OrderExchangeCredited"]
    event, again = scenario.only(o.OrderShipmentLost), scenario.only(x.OrderExchangeCredited)
    content = again.content
    assert (again.rma_id, again.credit_id, again.credited_units) == (LOSS, LOSS, {})
    assert content.total_minor == content.credit_minor == event.worth_minor
    assert [(line.line_id, line.sku, line.quantity) for line in content.lines] == [("1", "A", 2)]
    assert (content.kind, content.exchange_of, content.external_id) == ("exchange", LOSS, LOSS)
    assert (content.priority, content.delivery_option, content.ship_to) == (3, "express", place.ship_to)
    assert (content.payment_token, content.placed_at) == (place.payment_token, place.placed_at)
    assert sum(allocation.amount_minor for allocation in again.allocations) == event.worth_minor
    assert [allocation.kind for allocation in again.allocations] == ["line", "shipping"]
    assert scenario.state.credited == event.worth_minor
    assert scenario.submit(SENT_AGAIN) == []


def test_prices_are_whole_and_what_they_leave_goes_with_shipping() -> None:
    place = placed(lines=(o.OrderLine(line_id="1", sku="A", quantity=3, unit_price_minor=100),), tax_minor=1)
    held: Units = ("A", "berlin", 3)
    story = (place, sourced(1, held), locked(1, held), paid(), dispatched(1))
    content = OrderScenario(*story, lost(1, held, choice="reship")).only(x.OrderExchangeCredited).content
    assert [(line.quantity, line.unit_price_minor) for line in content.lines] == [(3, 100)]
    assert (content.shipping_minor, content.total_minor) == (51, 351)


def test_what_cost_nothing_is_sent_again_for_nothing_and_not_refunded() -> None:
    free = (placed(discount_minor=1050), *GONE[1:3], GONE[3], dispatched(1))
    scenario = OrderScenario(*free, SENT_AGAIN)
    again = scenario.only(x.OrderExchangeCredited)
    assert (again.content.credit_minor, again.content.total_minor, again.allocations) == (0, 0, ())
    assert OrderScenario(*free, REFUNDED).shapes() == ["OrderShipmentLost"]


def test_what_was_given_back_before_is_for_a_person_to_settle() -> None:
    before = refund(lines=(o.RefundLine(line_id="1", amount_minor=1),))
    for choice in (REFUNDED, SENT_AGAIN):
        scenario = OrderScenario(*GONE, before, choice)
        refused = scenario.only(x.OrderCreditRefused)
        assert (refused.rma_id, refused.credit_id) == (LOSS, LOSS)
        assert "exceeds_payment" in refused.reason or "more than" in refused.reason
    goodwill = refund(goodwill_minor=421)
    assert "OrderCreditRefused" in OrderScenario(*GONE, goodwill, SENT_AGAIN).shapes()
    just_enough = refund(goodwill_minor=420)
    assert OrderScenario(*GONE, just_enough, SENT_AGAIN).shapes() == ["OrderShipmentLost", "OrderExchangeCredited"]


def test_what_pays_for_an_exchange_does_not_pay_for_sending_again_too() -> None:
    tea = o.OrderLine(line_id="1", sku="TEA", quantity=1, unit_price_minor=250)
    returned = (r.ReturnLine(line_id="2", quantity=1, reason="damaged"),)
    exchanged = (
        *GONE,
        x.RequestReturn(**OF, rma_id="r1", lines=returned, resolution="exchange", replacement=(tea,), now=NOON),
        x.CreditReturn(
            **OF,
            rma_id="r1",
            credit_id="r1/closed",
            resolution="exchange",
            lines=(o.LineUnits(line_id="2", quantity=1),),
        ),
    )
    left = 420 - OrderScenario(*exchanged).state.credited
    assert 0 < left < 420
    just_enough, too_much = refund(goodwill_minor=left), refund(goodwill_minor=left + 1)
    assert OrderScenario(*exchanged, just_enough, SENT_AGAIN).shapes() == ["OrderShipmentLost", "OrderExchangeCredited"]
    assert "OrderCreditRefused" in OrderScenario(*exchanged, too_much, SENT_AGAIN).shapes()
