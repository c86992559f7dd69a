"""Goods are held back while their money is missing, and released when it is back; three tests per rule."""

from __future__ import annotations

import pytest

from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from order_story import (
    A2,
    DUE,
    FULFILLING,
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
    stopped,
    units,
)

FIRST, SECOND, THIRD, FOURTH = (f"{ID}.{number}" for number in range(1, 5))
HELD = o.HoldOrder(**OF, kind="fraud")
UNHOLD = o.ReleaseHold(**OF, kind="payment")
WAITING = (*DUE, HELD, paid())
"""Paid and held: 420 in Paris and 630 in Berlin."""


def gone(amount_minor: int, effect: str = "refund/1", number: int = 1, why: o.MoneyGone = "refunded") -> Command:
    payment_id = f"{ID}.{number}"
    return o.RecordMoneyGone(**OF, payment_id=payment_id, effect=effect, why=why, amount_minor=amount_minor)


def back(effect: str = "refund/1", number: int = 1) -> Command:
    return o.RecordMoneyBack(**OF, payment_id=f"{ID}.{number}", effect=effect)


def held_for(scenario: OrderScenario) -> o.OrderHeld:
    return scenario.only(o.OrderHeld)


# --- before the release


@pytest.mark.parametrize("why", ["refunded", "disputed", "not_captured"])
def test_an_order_is_held_for_what_is_gone_before_its_release(why: o.MoneyGone) -> None:
    scenario = OrderScenario(*WAITING, gone(1, why=why))
    held = held_for(scenario)
    assert (held.kind, held.payment_id, held.effect, held.shipment_ids) == ("payment", FIRST, "refund/1", ())
    assert held.note.startswith(f"0.01 EUR of {FIRST} were ")
    assert scenario.submit(gone(1, why=why)) == []
    scenario.submit(o.ReleaseHold(**OF, kind="fraud"))
    assert (scenario.shapes(), scenario.state.phase) == (["OrderHoldReleased"], "held")


def test_it_goes_on_when_all_of_the_money_is_there_again_and_not_before() -> None:
    scenario = OrderScenario(
        *DUE, HELD, paid(), gone(1), gone(2, "dispute/1"), o.ReleaseHold(**OF, kind="fraud"), back()
    )
    assert (scenario.shapes(), scenario.state.phase) == (["OrderMoneyBack"], "held")
    scenario.submit(back("dispute/1"))
    assert scenario.shapes() == ["OrderMoneyBack", "OrderHoldReleased", "OrderReleased"]
    assert scenario.only(o.OrderHoldReleased).note == "the money is there again"
    assert scenario.submit(back("dispute/1")) == []


def test_an_order_that_was_cancelled_meanwhile_is_held_for_nothing_when_the_money_is_there_again() -> None:
    scenario = OrderScenario(*DUE, gone(1), gone(2, "dispute/1"), o.CancelOrder(**OF, reason="changed their mind"))
    scenario.submit(back())
    assert (scenario.shapes(), set(scenario.state.holds)) == (["OrderMoneyBack"], {"payment"})
    scenario.submit(back("dispute/1"))
    assert (scenario.shapes(), set(scenario.state.holds)) == (["OrderMoneyBack"], set())


def test_a_hold_that_a_person_asked_for_stays_when_the_money_is_there_again() -> None:
    asked = o.HoldOrder(**OF, kind="payment")
    for first, second in ((asked, gone(1)), (gone(1), asked)):
        scenario = OrderScenario(*DUE, HELD, paid(), first, second)
        assert scenario.submit(second) == []
        scenario.submit(back())
        assert (scenario.shapes(), set(scenario.state.holds)) == (["OrderMoneyBack"], {"fraud", "payment"})
        scenario.submit(UNHOLD)
        assert scenario.shapes() == ["OrderHoldReleased"]


def test_what_a_person_lets_go_without_the_money_goes_and_is_not_held_by_what_is_known() -> None:
    scenario = OrderScenario(*WAITING, gone(1050), o.ReleaseHold(**OF, kind="fraud"), UNHOLD)
    assert scenario.shapes() == ["OrderHoldReleased", "OrderReleased"]
    assert scenario.submit(gone(1050)) == []
    assert scenario.submit(UNHOLD) == []
    assert [type(event) for event in scenario.submit(back())] == [o.OrderMoneyBack]


def test_another_attempt_at_one_payment_does_not_let_the_other_go_that_is_gone() -> None:
    gift = o.Tender(method="gift_card", payment_token="gift", amount_minor=700)
    blocked = o.RecordPaymentWithdrawn(**OF, payment_id=SECOND, reason="let go")
    scenario = OrderScenario(placed(tenders=(gift,)), *LOCKING, paid(1), gone(700), blocked)
    assert scenario.only(o.OrderHeld).effect == ""
    scenario.submit(o.RetryPayment(**OF))
    assert scenario.shapes() == ["OrderPaymentRequested"]
    scenario.submit(paid(3))
    scenario.submit(back())
    assert (scenario.shapes(), scenario.state.phase) == (["OrderMoneyBack"], "held"), (
        "what a person was asked for stays"
    )
    assert isinstance(scenario.submit(UNHOLD)[-1], o.OrderReleased)


def test_money_of_a_payment_that_is_no_longer_wanted_holds_nothing() -> None:
    cheaper = o.CancelOrderLines(**OF, cancellation_id="c", lines=units(l1=1), reason="one is enough")
    scenario = OrderScenario(*WAITING, cheaper, gone(1050))
    assert scenario.shapes() == ["OrderMoneyGone"]
    assert OrderScenario(*WAITING, gone(1, number=9)).shapes() == ["OrderMoneyGone"]


def test_a_deposit_that_is_gone_holds_the_order_until_its_balance_is_paid_and_on() -> None:
    presale = placed(kind="presale", deposit_minor=250, balance_due_seconds=60)
    lock = locked(1, A2, presale=True)
    covered = o.RecordPresaleCovered(**OF, reservation_id=f"{ID}/1", sku="A", location="berlin")
    scenario = OrderScenario(presale, LOCKING[0], lock, *LOCKING[2:], paid(1), gone(250), covered)
    assert scenario.shapes() == ["OrderPresaleCovered", "OrderBalanceDue"]
    scenario.submit(paid(2))
    assert (scenario.shapes(), scenario.state.phase) == (["OrderPaymentSecured"], "held")
    assert isinstance(scenario.submit(back())[-1], o.OrderReleased)


# --- on its way out


def test_parcels_that_have_not_left_are_stopped_and_wait_and_go_when_the_money_is_there_again() -> None:
    scenario = OrderScenario(*FULFILLING, gone(1050))
    assert held_for(scenario).shipment_ids == (FIRST, SECOND)
    scenario.submit(stopped(2))
    assert scenario.shapes() == ["OrderShipmentCancelled", "OrderShipmentPlanned"]
    assert scenario.only(o.OrderShipmentCancelled).released == ()
    planned = scenario.only(o.OrderShipmentPlanned)
    assert (planned.held, planned.plan.shipment_id, planned.plan.location) == (True, THIRD, "paris")
    scenario.submit(stopped(1))
    assert scenario.state.in_status("held") == (THIRD, FOURTH)
    scenario.submit(back())
    assert scenario.shapes() == ["OrderMoneyBack", "OrderHoldReleased", "OrderShipmentPlanned", "OrderShipmentPlanned"]
    assert [event.held for event in scenario.last if isinstance(event, o.OrderShipmentPlanned)] == [False, False]
    assert scenario.state.in_status("open") == (THIRD, FOURTH)
    for number in (3, 4):
        scenario.submit(dispatched(number))
    assert scenario.shapes()[-1] == "OrderShipped"


def test_a_parcel_that_has_left_or_would_not_be_stopped_goes_and_then_nothing_is_held() -> None:
    scenario = OrderScenario(*FULFILLING, dispatched(1), gone(1050))
    assert held_for(scenario).shipment_ids == (SECOND,)
    scenario.submit(parcel(o.RecordShipmentKept, 2))
    scenario.submit(gone(5, "dispute/1"))
    assert scenario.shapes() == ["OrderMoneyGone"], "it can no longer be stopped"
    scenario.submit(dispatched(2))
    assert scenario.shapes() == ["OrderShipmentDispatched", "OrderShipped"]
    assert not scenario.state.holds
    assert scenario.submit(UNHOLD) == []
    assert OrderScenario(*GONE, gone(1050)).shapes() == ["OrderMoneyGone"]


def test_what_is_left_of_a_payment_may_still_cover_what_is_to_leave() -> None:
    """Paris left with 420 of 1050: so much may go, and not a cent more."""
    assert OrderScenario(*FULFILLING, dispatched(2), gone(420)).shapes() == ["OrderMoneyGone"]
    scenario = OrderScenario(*FULFILLING, dispatched(2), gone(420), gone(1, "refund/2"))
    assert held_for(scenario).effect == "refund/2"
    scenario.submit(back())
    assert scenario.shapes() == ["OrderMoneyBack"], "it is held for another"
    goodwill = o.RefundOrder(**OF, refund_id="g", goodwill_minor=20)
    assert OrderScenario(*FULFILLING, dispatched(2), goodwill, gone(400)).shapes() == ["OrderMoneyGone"]
    assert held_for(OrderScenario(*FULFILLING, dispatched(2), goodwill, gone(401))).shipment_ids == (FIRST,)


def test_only_the_parcels_that_the_money_was_for_are_stopped() -> None:
    gift = o.Tender(method="gift_card", payment_token="gift", amount_minor=630)
    released = (placed(tenders=(gift,)), *LOCKING, paid(1), paid(2))
    assert held_for(OrderScenario(*released, gone(1, number=2))).shipment_ids == (SECOND,)
    assert held_for(OrderScenario(*released, gone(1, number=1))).shipment_ids == (FIRST,)


def test_a_person_may_let_it_go_while_a_parcel_is_being_stopped() -> None:
    scenario = OrderScenario(*FULFILLING, gone(1050), stopped(1), UNHOLD)
    assert [event.held for event in scenario.last if isinstance(event, o.OrderShipmentPlanned)] == [False]
    scenario.submit(stopped(2))
    planned = scenario.only(o.OrderShipmentPlanned)
    assert (planned.held, planned.plan.shipment_id) == (False, FOURTH)
    assert scenario.submit(stopped(2)) == []


def test_more_that_goes_while_everything_waits_holds_it_as_well() -> None:
    scenario = OrderScenario(*FULFILLING, gone(1050), stopped(1), stopped(2), gone(3, "dispute/1"))
    assert held_for(scenario).shipment_ids == ()
    scenario.submit(back())
    assert scenario.shapes() == ["OrderMoneyBack"]
    scenario.submit(back("dispute/1"))
    assert "OrderShipmentPlanned" in scenario.shapes()


def test_an_order_whose_parcels_wait_is_cancelled_without_asking_anybody() -> None:
    scenario = OrderScenario(*FULFILLING, gone(1050), stopped(1), stopped(2), o.CancelOrder(**OF, reason="fraud"))
    assert scenario.shapes() == [
        "OrderCancellationRequested",
        "OrderShipmentCancelled",
        "OrderShipmentCancelled",
        "OrderCancelled",
    ]
    cuts = [cut for event in scenario.last if isinstance(event, o.OrderShipmentCancelled) for cut in event.released]
    assert sorted((cut.sku, cut.quantity) for cut in cuts) == [("A", 2), ("B", 1)]
    assert [type(event) for event in scenario.submit(back())] == [o.OrderMoneyBack]


def test_what_waits_is_cancelled_where_the_rest_is_with_the_carrier_or_gone() -> None:
    kept = parcel(o.RecordShipmentKept, 1)
    scenario = OrderScenario(*FULFILLING, kept, gone(1050), stopped(2), o.CancelOrder(**OF, reason="fraud"))
    assert scenario.only(o.OrderCancellationRequested).shipment_ids == ()
    scenario.submit(dispatched(1))
    assert scenario.shapes() == ["OrderShipmentDispatched", "OrderShipped"]
    left = OrderScenario(*FULFILLING, dispatched(1), gone(1050), stopped(2), o.CancelOrder(**OF, reason="fraud"))
    assert left.shapes() == ["OrderCancellationRequested", "OrderShipmentCancelled", "OrderShipped"]
    assert left.submit(o.CancelOrder(**OF, reason="fraud")) == []
    with pytest.raises(Refused, match="has left"):
        left.submit(o.CancelOrder(**OF, reason="changed my mind"))
    with pytest.raises(Refused, match="with the carrier"):
        OrderScenario(*FULFILLING, kept, o.CancelOrder(**OF, reason="fraud"))


def test_lines_of_what_waits_are_cancelled_at_once_and_the_rest_waits_on() -> None:
    waiting = OrderScenario(*FULFILLING, gone(1050), stopped(1), stopped(2))
    cut = o.CancelOrderLines(**OF, cancellation_id="c", lines=units(l1=1), reason="one is enough")
    waiting.submit(cut)
    assert waiting.shapes() == [
        "OrderLinesCancellationRequested",
        "OrderShipmentCancelled",
        "OrderLinesCancelled",
        "OrderShipmentPlanned",
    ]
    asked = waiting.only(o.OrderLinesCancellationRequested)
    assert (asked.shipment_ids, len(asked.held_shipment_ids)) == ((), 1)
    assert waiting.only(o.OrderShipmentPlanned).held
    assert waiting.submit(cut) == []
    waiting.submit(back())
    plans = [event.plan for event in waiting.last if isinstance(event, o.OrderShipmentPlanned)]
    assert sorted(plan.amount_minor for plan in plans) == [330, 420]


def test_a_held_parcel_hears_of_no_warehouse() -> None:
    scenario = OrderScenario(*FULFILLING, gone(1050), stopped(1))
    for report in (dispatched(3), parcel(o.RecordShipmentDelivered, 3), stopped(3)):
        assert scenario.submit(report) == []


# --- exchanges


def returned(scenario: OrderScenario, rma: str, *back: o.LineUnits) -> o.RecordMoneyGone:
    """Let these units come back and pay for another order. Return the report to that order that credit is lost."""
    asked = tuple(r.ReturnLine(line_id=line.line_id, quantity=line.quantity, reason="other") for line in back)
    instead = (o.OrderLine(line_id="1", sku="A", quantity=1, unit_price_minor=300),)
    scenario.submit(
        x.RequestReturn(**OF, rma_id=rma, lines=asked, resolution="exchange", replacement=instead, now=NOON)
    )
    scenario.submit(x.CreditReturn(**OF, rma_id=rma, credit_id=f"{rma}/1", resolution="exchange", lines=back))
    return o.RecordMoneyGone(
        order_id=o.order_id_of("web", f"exchange/{rma}"),
        payment_id=FIRST,
        effect="dispute/1",
        why="disputed",
        amount_minor=1,
        of_credit=True,
    )


def disputed(amount_minor: int) -> Command:
    return gone(amount_minor, "dispute/1", why="disputed")


def test_exchanges_lack_what_the_rest_of_the_order_does_not_pay_for_the_newest_first() -> None:
    scenario = OrderScenario(*GONE)
    first, second = (returned(scenario, rma, *units(l1=1)).order_id for rma in ("r1", "r2"))
    scenario.submit(disputed(450))
    assert scenario.only(o.OrderMoneyGone).exchanges == {}, "what was not returned is worth as much"
    scenario.submit(gone(100))
    assert scenario.only(o.OrderMoneyGone).exchanges == {second: 100}
    scenario.submit(gone(500, "refund/2"))
    assert scenario.only(o.OrderMoneyGone).exchanges == {second: 200, first: 300}
    scenario.submit(back("refund/2"))
    assert scenario.only(o.OrderMoneyBack).exchanges == {second: 200, first: 300}
    scenario.submit(gone(1, "refund/3"))
    assert scenario.only(o.OrderMoneyGone).exchanges == {second: 1}


def test_an_exchange_that_has_given_its_credit_back_lacks_nothing_of_it() -> None:
    scenario = OrderScenario(*GONE)
    first, second = (returned(scenario, rma, *units(l1=1)).order_id for rma in ("r1", "r2"))
    scenario.submit(x.RefundCredit(**OF, rma_id="r2", exchange_order_id=second, amount_minor=300))
    scenario.submit(disputed(700))
    assert scenario.only(o.OrderMoneyGone).exchanges == {first: 250}


def credit(amount_minor: int, effect: str = "dispute/1") -> Command:
    return o.RecordMoneyGone(
        **OF, payment_id="another.1", effect=effect, why="disputed", amount_minor=amount_minor, of_credit=True
    )


CREDIT_BACK = o.RecordMoneyBack(**OF, payment_id="another.1", effect="dispute/1")


def test_an_exchange_whose_credit_is_gone_is_held_before_its_release_and_stopped_after_it() -> None:
    waiting = OrderScenario(granted(1050), o.HoldOrder(**OF, kind="fraud"), *LOCKING, credit(1))
    assert (held_for(waiting).payment_id, waiting.only(o.OrderMoneyGone).left_minor) == ("another.1", 0)
    waiting.submit(o.ReleaseHold(**OF, kind="fraud"))
    assert waiting.submit(credit(1)) == []
    assert isinstance(waiting.submit(CREDIT_BACK)[-1], o.OrderReleased)
    released = OrderScenario(granted(1050), *LOCKING, credit(1050))
    assert held_for(released).shipment_ids == (FIRST, SECOND)
    for number in (1, 2):
        released.submit(stopped(number))
    assert [event.held for event in released.history if isinstance(event, o.OrderShipmentPlanned)] == [True, True]
    assert "OrderShipmentPlanned" in [type(event).__name__ for event in released.submit(CREDIT_BACK)]


def test_an_exchange_that_has_left_says_how_much_of_its_goods_the_credit_paid() -> None:
    left = (granted(1050), *LOCKING, dispatched(1))
    part = OrderScenario(*left, credit(700))
    assert (part.only(o.OrderMoneyGone).left_minor, held_for(part).shipment_ids) == (630, (SECOND,))
    whole = OrderScenario(*left, dispatched(2), credit(1050))
    assert (whole.shapes(), whole.only(o.OrderMoneyGone).left_minor) == (["OrderMoneyGone"], 1050)
    assert (
        OrderScenario(granted(1050), *LOCKING[:1], o.CancelOrder(**OF, reason=""), credit(9))
        .only(o.OrderMoneyGone)
        .left_minor
        == 0
    )


def test_of_a_credit_that_is_more_than_the_exchange_costs_the_rest_may_go() -> None:
    waiting = (granted(1100), o.HoldOrder(**OF, kind="fraud"))
    assert OrderScenario(*waiting, credit(50)).shapes() == ["OrderMoneyGone"]
    assert OrderScenario(*waiting, credit(51)).shapes() == ["OrderMoneyGone", "OrderHeld"]


def test_credit_that_goes_bit_by_bit_leaves_nothing_of_it_in_goods_that_did_not_leave() -> None:
    waiting = OrderScenario(granted(1050), o.HoldOrder(**OF, kind="fraud"), *LOCKING, credit(100))
    more = o.RecordMoneyGone(**{**credit(50).model_dump(), "effect": "dispute/2"})
    waiting.submit(more)
    assert waiting.only(o.OrderMoneyGone).left_minor == 0


def test_credit_that_goes_while_no_parcel_can_be_stopped_is_gone_with_the_goods() -> None:
    kept = tuple(parcel(o.RecordShipmentKept, number) for number in (1, 2))
    with_carrier = OrderScenario(granted(1050), *LOCKING, *kept, credit(1050))
    assert (with_carrier.shapes(), with_carrier.only(o.OrderMoneyGone).left_minor) == (["OrderMoneyGone"], 1050)


def test_only_a_part_of_an_exchange_that_its_credit_pays_is_stopped_and_its_own_payment_is_another() -> None:
    dearer = (granted(400), *LOCKING, paid())
    assert held_for(OrderScenario(*dearer, credit(400))).shipment_ids == (FIRST,)
    assert held_for(OrderScenario(*dearer, gone(600))).shipment_ids == (FIRST, SECOND)


def test_what_came_back_of_an_exchange_whose_credit_is_gone_is_not_paid_back() -> None:
    scenario = OrderScenario(granted(1050), *LOCKING, dispatched(1), dispatched(2), credit(1000))
    with pytest.raises(Refused, match=r"10\.50 EUR is more than the 0\.50 EUR left"):
        scenario.submit(o.RefundOrder(**OF, refund_id="g", goodwill_minor=1050))
    scenario.submit(CREDIT_BACK)
    assert scenario.submit(o.RefundOrder(**OF, refund_id="g", goodwill_minor=1050))


def test_an_order_that_is_no_exchange_has_no_credit_to_lose() -> None:
    assert OrderScenario(*FULFILLING, credit(1050)).last == []
    assert OrderScenario(*FULFILLING).submit(CREDIT_BACK) == []
    assert OrderScenario().submit(credit(1)) == []
