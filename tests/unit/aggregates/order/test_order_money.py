"""Who pays for an order, what happens if they do not, what waits for a person, and what is refunded; three tests per
rule.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from oms_es.aggregates.order import money, refunding
from oms_es.aggregates.order.payments import PAYMENT_ATTEMPTS_MAX
from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from order_story import (
    A2,
    B1,
    BERLIN,
    DUE,
    FULFILLING,
    GONE,
    ID,
    LOCKING,
    NOON,
    OF,
    PLACE,
    OrderScenario,
    Units,
    declined,
    dispatched,
    granted,
    locked,
    of_shape,
    paid,
    parcel,
    placed,
    source,
    stopped,
    units,
)

HOLD = o.HoldOrder(**OF, kind="fraud", note="odd address")
UNHOLD = o.ReleaseHold(**OF, kind="fraud")
RETRY = o.RetryPayment(**OF, payment_token="another-card")


def refusal(*commands: Command) -> str:
    scenario = OrderScenario(*commands[:-1])
    with pytest.raises(Refused) as refused:
        scenario.submit(commands[-1])
    return refused.value.reason


# --- several payments

GIFT = o.Tender(method="gift_card", payment_token="gift", amount_minor=700)
IN_PARTS = (placed(tenders=(GIFT,)), *LOCKING)


def test_tenders_are_asked_for_and_the_rest_falls_on_the_token() -> None:
    due = OrderScenario(*IN_PARTS).only(o.OrderAllocated)
    assert due.amount_minor == 1050
    assert [(p.payment_id, p.method, p.payment_token, p.amount_minor) for p in due.payments] == [
        (f"{ID}.1", "gift_card", "gift", 700),
        (f"{ID}.2", "card", "on-file", 350),
    ]


def test_an_order_is_released_when_the_last_payment_is_held_and_every_parcel_says_who_bears_it() -> None:
    scenario = OrderScenario(*IN_PARTS, paid(2))
    assert scenario.only(o.OrderPaymentSecured).open_minor == 700
    released = OrderScenario(*IN_PARTS, paid(2), paid(1)).only(o.OrderReleased)
    assert [[(c.payment_id, c.amount_minor) for c in plan.charges] for plan in released.shipments] == [
        [(f"{ID}.1", 630)],
        [(f"{ID}.1", 70), (f"{ID}.2", 350)],
    ]


def test_a_payment_that_fails_for_good_undoes_all_of_them() -> None:
    scenario = OrderScenario(*IN_PARTS, paid(2), o.RecordPaymentFailed(**OF, payment_id=f"{ID}.1", reason="blocked"))
    assert scenario.only(o.OrderCancelled).payment_ids == (f"{ID}.1", f"{ID}.2")


# --- declines


def test_a_payment_that_may_still_come_is_asked_for_again() -> None:
    scenario = OrderScenario(*DUE, declined())
    assert scenario.only(o.OrderPaymentDeferred).again
    assert scenario.submit(declined()) == []
    scenario.submit(o.RepeatPayment(**OF, payment_id=f"{ID}.1"))
    again = scenario.only(o.OrderPaymentRequested)
    assert (again.payment_id, again.replaces, again.attempt, again.amount_minor) == (f"{ID}.2", f"{ID}.1", 2, 1050)
    assert scenario.submit(o.RepeatPayment(**OF, payment_id=f"{ID}.1")) == []
    assert isinstance(scenario.submit(paid(2))[-1], o.OrderReleased)


def given_up() -> OrderScenario:
    scenario = OrderScenario(*DUE)
    for attempt in range(1, PAYMENT_ATTEMPTS_MAX + 1):
        scenario.submit(declined(attempt))
        if attempt < PAYMENT_ATTEMPTS_MAX:
            scenario.submit(o.RepeatPayment(**OF, payment_id=f"{ID}.{attempt}"))
    return scenario


def test_after_the_last_attempt_the_order_is_held_for_a_person_and_then_lapses() -> None:
    scenario = given_up()
    assert scenario.only(o.OrderHeld).kind == "payment"
    assert not scenario.only(o.OrderPaymentDeferred).again
    assert scenario.submit(o.LapseOrder(**OF, payment_id=f"{ID}.1")) == [], "it was given more time since"
    scenario.submit(o.LapseOrder(**OF, payment_id=f"{ID}.{PAYMENT_ATTEMPTS_MAX}"))
    assert scenario.state.phase == "cancelled"


def test_another_token_pays_for_an_order_that_was_given_up() -> None:
    scenario = given_up()
    scenario.submit(RETRY)
    assert scenario.shapes() == ["OrderHoldReleased", "OrderPaymentRequested"]
    assert scenario.only(o.OrderPaymentRequested).payment_token == "another-card"
    assert scenario.submit(RETRY) == []
    assert isinstance(scenario.submit(paid(PAYMENT_ATTEMPTS_MAX + 1))[-1], o.OrderReleased)
    assert refusal(*FULFILLING, RETRY) == "nothing_to_pay"


# --- holds


def test_p09_a_hold_is_placed_once_and_released_once() -> None:
    scenario = OrderScenario(*DUE, HOLD)
    assert scenario.submit(HOLD) == []
    scenario.submit(UNHOLD)
    assert scenario.submit(UNHOLD) == []
    assert refusal(*FULFILLING, HOLD) == "already_released"
    assert OrderScenario(*FULFILLING).submit(UNHOLD) == []


def test_a_held_order_is_paid_and_released_with_its_last_hold() -> None:
    scenario = OrderScenario(*DUE, HOLD, o.HoldOrder(**OF, kind="address"), paid())
    assert (scenario.shapes(), scenario.state.phase) == (["OrderPaymentSecured"], "held")
    scenario.submit(UNHOLD)
    assert (scenario.shapes(), scenario.state.phase) == (["OrderHoldReleased"], "held")
    scenario.submit(o.ReleaseHold(**OF, kind="address"))
    assert scenario.shapes() == ["OrderHoldReleased", "OrderReleased"]
    free = OrderScenario(placed(discount_minor=1050), HOLD, *LOCKING)
    assert free.state.phase == "held"


def test_a_hold_with_an_end_is_overdue_then_once_and_stays_on() -> None:
    until = o.HoldOrder(**OF, kind="fraud", until=NOON)
    chase = o.ChaseHold(**OF, kind="fraud", now=NOON)
    scenario = OrderScenario(*DUE, until, paid())
    assert scenario.submit(chase.model_copy(update={"now": NOON - timedelta(seconds=1)})) == []
    scenario.submit(chase)
    assert scenario.only(o.OrderHoldOverdue).until == NOON
    assert scenario.submit(chase) == []
    assert scenario.state.phase == "held"


def test_a_hold_is_given_more_time_and_none_is_overdue_that_is_off_or_has_no_end() -> None:
    until = o.HoldOrder(**OF, kind="fraud", until=NOON)
    later = o.HoldOrder(**OF, kind="fraud", until=NOON + timedelta(days=1))
    chase = o.ChaseHold(**OF, kind="fraud", now=NOON)
    assert OrderScenario(*DUE, until, later).submit(chase) == []
    assert OrderScenario(*DUE, until, later).submit(later) == []
    assert OrderScenario(*DUE, until, UNHOLD).submit(chase) == []
    assert OrderScenario(*DUE, HOLD).submit(chase) == []
    with pytest.raises(ValidationError, match="leave until out"):
        o.HoldOrder(**OF, kind="payment", until=NOON)


def test_a_held_order_can_be_cancelled() -> None:
    assert (
        OrderScenario(*DUE, HOLD, paid(), o.CancelOrder(**OF, reason="")).only(o.OrderCancelled).payment_id == f"{ID}.1"
    )


# --- presale and exchange

PRESALE: Any = {"kind": "presale", "deposit_minor": 250, "available_by": NOON, "balance_due_seconds": 60}
PRESOLD = (placed(**PRESALE), LOCKING[0], locked(1, A2, presale=True), locked(1, B1))
COVERED = o.RecordPresaleCovered(**OF, reservation_id=f"{ID}/1", sku="A", location="berlin")


def test_a_presale_takes_its_deposit_waits_for_its_goods_and_then_for_its_balance() -> None:
    scenario = OrderScenario(*PRESOLD)
    (deposit,) = scenario.only(o.OrderAllocated).payments
    assert (deposit.amount_minor, deposit.capture_now) == (250, True)
    scenario.submit(paid(1))
    assert scenario.shapes() == ["OrderPaymentSecured", "OrderPresold"]
    scenario.submit(COVERED)
    assert scenario.shapes() == ["OrderPresaleCovered", "OrderBalanceDue"]
    (balance,) = scenario.only(o.OrderBalanceDue).payments
    assert scenario.submit(COVERED) == []
    assert (balance.payment_id, balance.amount_minor, balance.capture_now) == (f"{ID}.2", 800, False)
    scenario.submit(paid(2))
    plans = scenario.only(o.OrderReleased).shipments
    assert [plan.amount_minor for plan in plans] == [380, 420]
    borne = [[(charge.payment_id, charge.amount_minor) for charge in plan.charges] for plan in plans]
    assert borne == [[(f"{ID}.1", 250), (f"{ID}.2", 380)], [(f"{ID}.2", 420)]]


def test_lines_cancelled_of_a_presale_lower_its_balance_before_its_deposit() -> None:
    scenario = OrderScenario(placed(**PRESALE), *PRESOLD[1:], paid(1), COVERED, paid(2))
    scenario.submit(o.CancelOrderLines(**OF, cancellation_id="c", lines=units(l1=1), reason="one is enough"))
    scenario.submit(stopped(1))
    plan = scenario.only(o.OrderShipmentPlanned).plan
    assert [(charge.payment_id, charge.amount_minor) for charge in plan.charges] == [(f"{ID}.1", 250), (f"{ID}.2", 80)]
    assert (plan.amount_minor, plan.worth_minor) == (80, 330)


def test_a_presale_whose_goods_do_not_come_is_cancelled_and_its_deposit_goes_back() -> None:
    waiting = OrderScenario(*PRESOLD, paid(1))
    waiting.submit(o.LapsePresale(**OF))
    assert waiting.only(o.OrderCancelled).payment_id == f"{ID}.1"
    assert OrderScenario(*PRESOLD, paid(1), COVERED).submit(o.LapsePresale(**OF)) == []


@pytest.mark.parametrize(("kept", "undone"), [(False, (f"{ID}.1", f"{ID}.2")), (True, (f"{ID}.2",))])
def test_an_unpaid_balance_cancels_and_keeps_the_deposit_only_where_that_was_agreed(
    kept: bool, undone: tuple[str, ...]
) -> None:
    presold = (placed(**PRESALE, deposit_kept=kept), *PRESOLD[1:])
    scenario = OrderScenario(*presold, paid(1), COVERED, o.LapseOrder(**OF, payment_id=f"{ID}.2"))
    cancelled = scenario.only(o.OrderCancelled)
    assert (cancelled.payment_ids or (cancelled.payment_id,)) == undone


@pytest.mark.parametrize(
    ("early", "ends", "undone"),
    [
        (False, o.CancelOrder(**OF, reason="no"), (f"{ID}.1",)),
        (True, o.CancelOrder(**OF, reason="no", by_customer=True), (None,)),
        (False, o.CancelOrder(**OF, reason="no", by_customer=True), (f"{ID}.1",)),
        (True, o.CancelOrder(**OF, reason="sold out"), (f"{ID}.1",)),
        (True, o.CancelOrderLines(**OF, cancellation_id="c", lines=units(l1=2, l2=1), reason="no"), (f"{ID}.1",)),
        (True, o.LapsePresale(**OF), (f"{ID}.1",)),
    ],
)
def test_who_leaves_before_the_goods_come_loses_the_deposit_only_where_that_was_agreed(
    early: bool, ends: Command, undone: tuple[str | None, ...]
) -> None:
    """If the goods do not come in time, the deposit goes back, whatever was agreed."""
    presold = (placed(**PRESALE, deposit_kept_early=early), *PRESOLD[1:])
    cancelled = OrderScenario(*presold, paid(1), ends).only(o.OrderCancelled)
    assert (cancelled.payment_ids or (cancelled.payment_id,)) == undone


def exchange(credit_minor: int) -> tuple[Command, ...]:
    return (granted(credit_minor), *LOCKING)


def test_of_an_exchange_the_difference_is_charged_or_goes_back() -> None:
    dearer = OrderScenario(*exchange(1000))
    assert dearer.only(o.OrderAllocated).amount_minor == 50
    assert [plan.amount_minor for plan in OrderScenario(*exchange(1000), paid()).only(o.OrderReleased).shipments] == [
        0,
        50,
    ]
    cheaper = OrderScenario(*exchange(1100))
    assert cheaper.shapes()[-2:] == ["OrderReleased", "OrderCreditLeft"]
    assert cheaper.only(o.OrderCreditLeft).amount_minor == 50
    cancelled = OrderScenario(*exchange(1000), o.CancelOrder(**OF, reason=""))
    assert cancelled.only(o.OrderCreditLeft).amount_minor == 1000


# --- refunds


def refund(refund_id: str = "r", **what: Any) -> o.RefundOrder:
    return o.RefundOrder(**OF, refund_id=refund_id, **what)


def of_line(line_id: str, quantity: int) -> tuple[o.RefundLine, ...]:
    return (o.RefundLine(line_id=line_id, quantity=quantity),)


def test_units_are_refunded_at_what_was_paid_for_them() -> None:
    scenario = OrderScenario(*GONE, refund(lines=of_line("1", 1), shipping_minor=10))
    (part,) = scenario.only(o.OrderRefundRequested).parts
    assert (part.payment_id, part.amount_minor) == (f"{ID}.1", 310)
    assert [(a.kind, a.line_id, a.amount_minor) for a in part.allocations] == [("line", "1", 300), ("shipping", "", 10)]
    assert scenario.submit(refund(lines=of_line("1", 1), shipping_minor=10)) == []


def test_nothing_is_refunded_that_was_not_shipped_or_not_paid() -> None:
    assert refusal(*GONE, refund(lines=of_line("1", 3))) == "exceeds_shipped"
    assert refusal(*FULFILLING, dispatched(1), refund(lines=of_line("2", 1))) == "exceeds_shipped"
    assert refusal(*GONE, refund(shipping_minor=51)) == "exceeds_payment"
    assert refusal(*GONE, refund(goodwill_minor=1051)) == "exceeds_payment"
    assert refusal(*GONE, refund("a", goodwill_minor=1050), refund("b", goodwill_minor=1)) == "exceeds_payment"
    assert refusal(*GONE, refund()) == "nothing_to_refund"


def test_a_refund_falls_on_the_payments_in_their_proportion() -> None:
    scenario = OrderScenario(*IN_PARTS, paid(2), paid(1), dispatched(1), dispatched(2), refund(goodwill_minor=101))
    assert [(p.payment_id, p.amount_minor) for p in scenario.only(o.OrderRefundRequested).parts] == [
        (f"{ID}.1", 67),
        (f"{ID}.2", 34),
    ]


amounts = st.integers(0, 10_000)


@given(st.lists(st.tuples(st.integers(1, 5), amounts), min_size=1, max_size=5), amounts, amounts, st.integers(0, 100))
def test_p24_a_total_of_whole_cents_is_shared_out_to_the_cent(
    lines: list[tuple[int, int]], shipping: int, tax: int, percent: int
) -> None:
    before = sum(quantity * price for quantity, price in lines) + shipping + tax
    content = o.OrderContent(
        channel="web",
        external_id="1",
        placed_at=NOON,
        currency="EUR",
        ship_to=BERLIN,
        lines=tuple(
            o.OrderLine(line_id=str(n), sku=f"S{n % 2}", quantity=quantity, unit_price_minor=price)
            for n, (quantity, price) in enumerate(lines)
        ),
        shipping_minor=shipping,
        tax_minor=tax,
        discount_minor=before * percent // 100,
    )
    shares = money.shares_of(content, {"S1": {"X": 2, "Y": 1}})
    assert sum(share.amount_minor for share in shares.lines) + shares.shipping_minor == content.total_minor
    assert all(share.amount_minor >= share.tax_minor >= 0 for share in shares.lines)


@given(amounts, st.permutations([("1", 1), ("1", 1), ("2", 1)]))
def test_p23_refunds_by_unit_in_any_order_give_back_every_cent_and_no_more(
    discount: int, order: list[tuple[str, int]]
) -> None:
    """The discount was shared out at the release; no refund shares it out again."""
    cheaper = placed(discount_minor=discount % 1000, tax_minor=7)
    scenario = OrderScenario(cheaper, *LOCKING, paid(), dispatched(1), dispatched(2))
    back = 0
    for number, (line_id, quantity) in enumerate(order):
        try:
            scenario.submit(refund(str(number), lines=of_line(line_id, quantity)))
        except Refused as refused:
            assert refused.reason == "nothing_to_refund"
        else:
            back += scenario.only(o.OrderRefundRequested).amount_minor
    charged = of_shape(o.OrderReleased, scenario.history)[0].shipments
    assert back == sum(plan.amount_minor - plan.shipping_minor for plan in charged)


THREE_FOR_100 = (
    placed(
        lines=(o.OrderLine(line_id="1", sku="A", quantity=3, unit_price_minor=50),), shipping_minor=0, discount_minor=50
    ),
)


def test_what_leaves_and_comes_back_parcel_by_parcel_is_given_back_to_the_cent() -> None:
    one, two = ("A", "berlin", 1), ("A", "paris", 2)
    scenario = OrderScenario(*THREE_FOR_100, source(1, one, two), locked(1, one), locked(1, two), paid())
    back = []
    for number, quantity in ((1, 1), (2, 2)):
        scenario.submit(dispatched(number))
        scenario.submit(refund(str(number), lines=of_line("1", quantity)))
        back.append(scenario.only(o.OrderRefundRequested).amount_minor)
    assert back == [33, 67]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=5), amounts, st.lists(st.integers(0, 9), min_size=25, max_size=25)
)
def test_p23_units_that_leave_in_any_parcels_and_come_back_in_any_order_give_back_what_was_taken(
    parcels: list[int], discount: int, choices: list[int]
) -> None:
    """Parcels leave in any order, and between them units of those that left are given back."""
    line = o.OrderLine(line_id="1", sku="A", quantity=sum(parcels), unit_price_minor=333)
    cheaper = placed(lines=(line,), shipping_minor=0, discount_minor=discount % line.quantity)
    away = [("A", f"place-{number}", quantity) for number, quantity in enumerate(parcels)]
    scenario = OrderScenario(cheaper, source(1, *away), *(locked(1, units) for units in away), paid())
    waiting, there, back = list(range(1, len(parcels) + 1)), 0, 0
    for number, choice in enumerate(choices):
        if waiting and (choice % 2 or not there):
            left = waiting.pop(choice % len(waiting))
            there += parcels[left - 1]
            scenario.submit(dispatched(left))
        elif there:
            quantity = 1 + choice % there
            scenario.submit(refund(str(number), lines=of_line("1", quantity)))
            there -= quantity
            back += scenario.only(o.OrderRefundRequested).amount_minor
    for left in waiting:
        there += parcels[left - 1]
        scenario.submit(dispatched(left))
    if there:
        scenario.submit(refund("last", lines=of_line("1", there)))
        back += scenario.only(o.OrderRefundRequested).amount_minor
    assert back == 333 * line.quantity - discount % line.quantity


# --- by hand


def override(to: Any, override_id: str = "x") -> o.OverrideOrder:
    return o.OverrideOrder(**OF, override_id=override_id, to=to, reason="the customer paid in the shop")


def test_an_order_is_released_by_hand_and_what_is_not_paid_is_not_charged() -> None:
    scenario = OrderScenario(*DUE, HOLD, override("released"))
    overridden = scenario.only(o.OrderOverridden)
    assert (overridden.payments_cancelled, overridden.written_off_minor) == ((f"{ID}.1",), 1050)
    assert [plan.amount_minor for plan in scenario.only(o.OrderReleased).shipments] == [0, 0]
    assert scenario.submit(override("released")) == []
    assert refusal(*DUE[:-1], override("released")) == "not_locked"
    assert refusal(*GONE, override("released")) == "already_released"


def test_an_order_is_sourced_again_by_hand_and_releases_what_it_had() -> None:
    scenario = OrderScenario(*DUE, override("sourcing"))
    assert [(cut.sku, cut.quantity, cut.remaining) for cut in scenario.only(o.OrderOverridden).released] == [
        ("A", 2, 0),
        ("B", 1, 0),
    ]
    assert scenario.only(o.OrderSourcingRequested).demand == {"A": 2, "B": 1}
    assert refusal(*GONE, override("sourcing")) == "already_released"
    scenario.submit(source(2, A2, B1))
    scenario.submit(locked(2, A2))
    scenario.submit(locked(2, B1))
    assert scenario.only(o.OrderAllocated).amount_minor == 0, "the payment that was asked for is still the right one"
    assert isinstance(scenario.submit(paid())[-1], o.OrderReleased)


def test_an_order_that_left_is_completed_by_hand() -> None:
    assert OrderScenario(*GONE, override("completed")).shapes() == ["OrderOverridden", "OrderCompleted"]
    assert refusal(*FULFILLING, override("completed")) == "not_shipped"
    assert OrderScenario(*GONE, override("completed")).submit(override("completed", "y")) == []


# --- what comes back undelivered


def came_back(number: int, *units: Units, complete: bool = True, carton: str = "") -> o.RecordShipmentReturned:
    items = tuple(o.Reservation(reservation_id=f"{ID}/1", sku=sku, location=at, quantity=n) for sku, at, n in units)
    shipment_id = f"{ID}.{number}"
    return o.RecordShipmentReturned(
        **OF,
        shipment_id=shipment_id,
        return_id=f"{shipment_id}/{carton}" if carton else shipment_id,
        location="berlin",
        items=items,
        complete=complete,
    )


def test_an_order_whose_parcels_came_back_or_arrived_is_completed() -> None:
    scenario = OrderScenario(*GONE, parcel(o.RecordShipmentDelivered, 2))
    scenario.submit(came_back(1, A2))
    assert scenario.shapes() == ["OrderShipmentReturned", "OrderCompleted"]
    back = scenario.only(o.OrderShipmentReturned)
    assert [(share.line_id, share.quantity, share.amount_minor) for share in back.lines] == [("1", 2, 600)]
    assert scenario.submit(came_back(1, A2)) == []


def test_what_came_back_can_be_refunded_and_not_returned() -> None:
    scenario = OrderScenario(*GONE, parcel(o.RecordShipmentDelivered, 2), came_back(1, A2))
    lines = (r.ReturnLine(line_id="1", quantity=1, reason="damaged"),)
    with pytest.raises(Refused, match="over_return"):
        scenario.submit(x.RequestReturn(**OF, rma_id="r1", lines=lines, now=NOON))
    scenario.submit(o.RefundOrder(**OF, refund_id="f", lines=(o.RefundLine(line_id="1", quantity=2),)))
    assert scenario.only(o.OrderRefundRequested).amount_minor == 600


def test_cartons_come_back_one_by_one_and_the_rest_may_be_returned() -> None:
    one = ("A", "berlin", 1)
    scenario = OrderScenario(*GONE, came_back(1, one, complete=False, carton="c1"))
    assert scenario.shapes() == ["OrderShipmentReturned"]
    lines = (r.ReturnLine(line_id="1", quantity=1, reason="damaged"),)
    scenario.submit(x.RequestReturn(**OF, rma_id="r1", lines=lines, now=NOON))
    scenario.submit(came_back(1, one, carton="c2"))
    assert scenario.only(o.OrderShipmentReturned).lines[0].amount_minor == 300
    assert scenario.state.shipments[f"{ID}.1"] == "returned"


def test_of_a_parcel_that_is_unknown_or_was_stopped_nothing_comes_back() -> None:
    assert OrderScenario(*FULFILLING).submit(came_back(9, A2)) == []
    assert OrderScenario(*FULFILLING, stopped(1)).submit(came_back(1, A2)) == []
    assert OrderScenario().submit(came_back(1, A2)) == []


# --- what each line, parcel and payment bears


def line(line_id: str, sku: str, quantity: int, price: int = 300) -> o.OrderLine:
    return o.OrderLine(line_id=line_id, sku=sku, quantity=quantity, unit_price_minor=price)


def gone_in(place: o.PlaceOrder, *parcels: tuple[Units, ...]) -> tuple[Command, ...]:
    """Return the commands up to the dispatch of a parcel for each location, in the order of their names."""
    held = [one for items in parcels for one in items]
    left = [dispatched(number) for number in range(1, len(parcels) + 1)]
    return (place, source(1, *held), *(locked(1, one) for one in held), paid(), *left)


A_BERLIN, A_PARIS = ("A", "berlin", 1), ("A", "paris", 1)
SAME_PRODUCT = placed(lines=(line("1", "A", 1, 200), line("2", "A", 1, 500)))
THREE = placed(lines=(line("1", "A", 3, 100),), shipping_minor=0)
THREE_GONE = gone_in(THREE, (("A", "berlin", 3),))


def of_amount(line_id: str, amount_minor: int) -> o.RefundLine:
    return o.RefundLine(line_id=line_id, amount_minor=amount_minor)


@given(st.integers(1, 9), st.integers(0, 9), amounts, amounts)
def test_p24_what_is_taken_of_a_share_and_what_is_left_are_the_share(n: int, more: int, amount: int, tax: int) -> None:
    share = o.LineShare(line_id="1", sku="A", quantity=n + more, amount_minor=amount, tax_minor=tax)
    part, rest = money.taken(share, n)
    assert (part.quantity, rest.quantity) == (n, more)
    assert part.amount_minor + rest.amount_minor == amount
    assert part.tax_minor + rest.tax_minor == tax
    assert min(part.amount_minor, rest.amount_minor, part.tax_minor, rest.tax_minor) >= 0


compositions = st.dictionaries(st.sampled_from("ABC"), st.integers(1, 3), min_size=1)


@given(compositions, st.lists(st.integers(1, 3), min_size=1, max_size=4), amounts, amounts, amounts)
def test_p24_bundles_are_worth_their_price_in_whichever_steps_they_are_cancelled(
    made_of: dict[str, int], steps: list[int], price: int, discount: int, tax: int
) -> None:
    """The discount that is left is never less than none, and what is left of the shares is the total."""
    sets = sum(steps)
    sold = placed(
        lines=(o.OrderLine(line_id="1", sku="SET", quantity=sets, unit_price_minor=price),),
        discount_minor=min(discount, sets * price),
        tax_minor=tax,
    )
    content = o.OrderContent(**sold.model_dump(include=set(o.OrderContent.model_fields)))
    left, shipping = money.shares_of(content, {"SET": made_of})
    for step in steps:
        split = [money.taken(share, step * made_of[share.sku]) for share in left]
        off, left = [part for part, _ in split], [rest for _, rest in split]
        content = content.model_copy(update=refunding.reduced(content, {"1": step}, off))
        assert 0 <= content.discount_minor <= discount
        assert content.total_minor == sum(share.amount_minor for share in left) + shipping


def test_a_discount_beyond_goods_and_shipping_lowers_the_tax() -> None:
    shares = money.shares_of(placed(discount_minor=1060, tax_minor=19), {})
    assert sum(share.amount_minor for share in shares.lines) == sum(share.tax_minor for share in shares.lines) == 9
    assert shares.shipping_minor == 0


def test_a_parcel_has_the_lines_that_its_units_serve_and_no_other() -> None:
    place = placed(lines=(line("1", "A", 2), line("2", "A", 1)))
    released = OrderScenario(*gone_in(place, (A2,), (A_PARIS,))[:-2]).only(o.OrderReleased)
    lines = [[(share.line_id, share.quantity) for share in plan.lines] for plan in released.shipments]
    assert lines == [[("1", 2)], [("2", 1)]]


def test_what_is_no_longer_owed_is_taken_from_the_last_who_bears_it() -> None:
    first, second = o.Charge(payment_id="1", amount_minor=5), o.Charge(payment_id="2", amount_minor=3)
    assert money.lowered((first, second), 0) == (first, second)
    assert money.lowered((first, second), 1) == (first, second.model_copy(update={"amount_minor": 2}))
    assert money.lowered((first, second), 3) == (first,)
    assert money.lowered((first, second), 4) == (first.model_copy(update={"amount_minor": 4}),)


def test_of_a_presale_deposit_and_balance_are_refunded() -> None:
    gone = (*PRESOLD, paid(1), COVERED, paid(2), dispatched(1), dispatched(2))
    parts = OrderScenario(*gone, refund(goodwill_minor=1050)).only(o.OrderRefundRequested).parts
    assert [(part.payment_id, part.amount_minor) for part in parts] == [(f"{ID}.1", 250), (f"{ID}.2", 800)]
    assert refusal(*gone, refund(goodwill_minor=1051)) == "exceeds_payment"
    only_one_left = OrderScenario(*gone[:-1], refund(goodwill_minor=630))
    assert [part.amount_minor for part in only_one_left.only(o.OrderRefundRequested).parts] == [250, 380]


def test_each_payment_says_what_for_it_gives_back() -> None:
    gone = (*IN_PARTS, paid(2), paid(1), dispatched(1), dispatched(2))
    scenario = OrderScenario(*gone, refund(lines=of_line("1", 1), goodwill_minor=101))
    parts = scenario.only(o.OrderRefundRequested).parts
    for part in parts:
        assert sum(allocation.amount_minor for allocation in part.allocations) == part.amount_minor
    given = [(a.kind, a.amount_minor) for part in parts for a in part.allocations]
    assert given == [("line", 267), ("line", 33), ("goodwill", 101)]
    assert [part.amount_minor for part in parts] == [267, 134]


def test_refunds_of_a_line_count_together_however_they_are_named() -> None:
    scenario = OrderScenario(*GONE, refund(lines=(*of_line("1", 1), *of_line("1", 1))))
    due = scenario.only(o.OrderRefundRequested)
    assert (due.amount_minor, due.refunded_units) == (600, {"1": 2})
    assert refusal(*GONE, refund("a", lines=of_line("1", 1)), refund("b", lines=of_line("1", 2))) == "exceeds_shipped"
    by_amount = OrderScenario(*GONE, refund(lines=(of_amount("1", 400),)))
    assert by_amount.only(o.OrderRefundRequested).refunded_units == {}
    assert refusal(*GONE, refund(lines=(of_amount("1", 400), of_amount("1", 201)))) == "exceeds_payment"
    again = refund("b", lines=(of_amount("1", 201),))
    assert refusal(*GONE, refund("a", lines=(of_amount("1", 400),)), again) == "exceeds_payment"
    assert OrderScenario(*GONE, refund(lines=(of_amount("1", 400), of_amount("1", 200)))).last


def test_of_a_line_that_was_not_shipped_or_is_unknown_nothing_is_refunded() -> None:
    one_gone = (*FULFILLING, dispatched(1))
    assert refusal(*one_gone, refund(lines=(of_amount("2", 1),))) == "exceeds_payment"
    assert refusal(*GONE, refund(lines=of_line("9", 1))) == "exceeds_shipped"
    assert refusal(*GONE, refund(lines=(of_amount("9", 1),))) == "exceeds_payment"


def test_what_was_paid_for_is_summed_over_the_parcels() -> None:
    assert OrderScenario(*GONE, refund(shipping_minor=50)).only(o.OrderRefundRequested).amount_minor == 50
    two_parcels = gone_in(placed(lines=(line("1", "A", 2),)), (A_BERLIN,), (A_PARIS,))
    assert (
        OrderScenario(*two_parcels, refund(lines=(of_amount("1", 600),))).only(o.OrderRefundRequested).amount_minor
        == 600
    )


def test_units_are_worth_what_is_left_of_what_was_paid_for_their_line() -> None:
    scenario = OrderScenario(*THREE_GONE)
    worths = []
    for number in "abc":
        scenario.submit(refund(number, lines=of_line("1", 1)))
        worths.append(scenario.only(o.OrderRefundRequested).amount_minor)
    assert worths == [100, 100, 100]
    all_by_amount = refund("a", lines=(of_amount("1", 600),))
    assert refusal(*GONE, all_by_amount, refund("b", lines=of_line("1", 1))) == "nothing_to_refund"
    some = refund("a", lines=(of_amount("1", 450),))
    assert (
        OrderScenario(*GONE, some, refund("b", lines=of_line("1", 1))).only(o.OrderRefundRequested).amount_minor == 150
    )
    rest = OrderScenario(*GONE, some, refund("b", lines=of_line("1", 2)))
    assert rest.only(o.OrderRefundRequested).amount_minor == 150


def sets(*parcels: tuple[Units, ...]) -> tuple[Command, ...]:
    """Return the commands of an order of two sets of two cups and a pot, up to its payment."""
    held = [one for items in parcels for one in items]
    assigned = tuple(o.Assignment(sku=sku, location=at, quantity=n) for sku, at, n in held)
    return (
        placed(lines=(line("1", "SET", 2, 500),)),
        o.ExplodeBundles(**OF, attempt=1, bundles={"SET": {"CUP": 2, "POT": 1}}),
        o.SourceOrder(**OF, attempt=2, assignments=assigned, backordered={}, rule_version="1"),
        *(locked(2, one) for one in held),
        paid(),
    )


def test_of_bundles_as_many_were_shipped_as_their_components_make() -> None:
    story = sets((("CUP", "berlin", 3), ("POT", "berlin", 2)), (("CUP", "paris", 1),))
    assert refusal(*story, dispatched(1), refund(lines=of_line("1", 2))) == "exceeds_shipped"
    assert OrderScenario(*story, dispatched(1), refund(lines=of_line("1", 1))).last
    both = OrderScenario(*story, dispatched(1), dispatched(2), refund(lines=of_line("1", 2)))
    assert both.only(o.OrderRefundRequested).amount_minor == 1000


# --- which lines came back


def back_of(scenario: OrderScenario) -> list[tuple[str, int, int]]:
    return [
        (share.line_id, share.quantity, share.amount_minor) for share in scenario.only(o.OrderShipmentReturned).lines
    ]


def test_what_comes_back_of_each_parcel_is_of_its_own_lines() -> None:
    story = gone_in(placed(lines=(line("1", "A", 2),)), (A_BERLIN,), (A_PARIS,))
    scenario = OrderScenario(*story, came_back(1, A_BERLIN))
    assert back_of(scenario) == [("1", 1, 300)]
    scenario.submit(came_back(2, A_PARIS))
    assert back_of(scenario) == [("1", 1, 300)]
    assert scenario.state.phase == "completed"


def test_units_that_come_back_one_by_one_are_of_one_line_after_the_other_and_sum_to_what_was_paid() -> None:
    story = gone_in(SAME_PRODUCT, (("A", "berlin", 2),))
    scenario = OrderScenario(*story, came_back(1, A_BERLIN, complete=False, carton="c1"))
    assert back_of(scenario) == [("1", 1, 200)]
    scenario.submit(came_back(1, A_BERLIN, carton="c2"))
    assert back_of(scenario) == [("2", 1, 500)]
    odd = gone_in(placed(lines=(line("1", "A", 3, 100),), tax_minor=1, shipping_minor=0), (("A", "berlin", 3),))
    scenario = OrderScenario(*odd)
    worths = []
    for number in "123":
        scenario.submit(came_back(1, A_BERLIN, complete=number == "3", carton=f"c{number}"))
        worths += back_of(scenario)
    assert worths == [("1", 1, 100), ("1", 1, 100), ("1", 1, 101)]


def test_several_items_of_one_product_come_back_together() -> None:
    story = gone_in(SAME_PRODUCT, (("A", "berlin", 2),))
    assert back_of(OrderScenario(*story, came_back(1, A_BERLIN, A_BERLIN))) == [("1", 1, 200), ("2", 1, 500)]


def test_a_line_that_came_back_leaves_the_others_to_be_returned() -> None:
    story = gone_in(PLACE_THREE, (("A", "berlin", 3), ("B", "berlin", 1)))
    partly = (
        came_back(1, A_BERLIN, ("B", "berlin", 1), complete=False, carton="c1"),
        came_back(1, A_BERLIN, complete=False, carton="c2"),
    )
    for quantity, reason in ((2, "over_return"), (1, None)):
        lines = (r.ReturnLine(line_id="1", quantity=quantity, reason="damaged"),)
        request = x.RequestReturn(**OF, rma_id="r1", lines=lines, now=NOON)
        if reason:
            assert refusal(*story, *partly, request) == reason
        else:
            assert OrderScenario(*story, *partly, request).last


PLACE_THREE = placed(lines=(line("1", "A", 3, 100), line("2", "B", 1)))


# --- payments one after the other


THIRDS = (
    placed(tenders=(GIFT, o.Tender(method="voucher", payment_token="v", amount_minor=100))),
    *LOCKING,
)


def test_what_is_still_open_is_what_is_not_held_yet() -> None:
    scenario = OrderScenario(*THIRDS)
    opens = []
    for number in (1, 2):
        scenario.submit(paid(number))
        opens.append(scenario.only(o.OrderPaymentSecured).open_minor)
    assert opens == [350, 250]
    scenario.submit(paid(3))
    assert scenario.shapes() == ["OrderPaymentSecured", "OrderReleased"]
    assert scenario.submit(paid(3)) == []
    assert OrderScenario(*IN_PARTS, paid(1), paid(2)).shapes() == ["OrderPaymentSecured", "OrderReleased"]
    assert OrderScenario(*DUE, paid()).shapes() == ["OrderReleased"], "of one payment it goes without saying"


def test_several_payments_that_are_given_up_hold_the_order_once() -> None:
    scenario = OrderScenario(*IN_PARTS)
    ids = {1: 1, 2: 2}
    for attempt in range(PAYMENT_ATTEMPTS_MAX):
        for which, number in ids.items():
            scenario.submit(declined(number))
            if attempt < PAYMENT_ATTEMPTS_MAX - 1:
                scenario.submit(o.RepeatPayment(**OF, payment_id=f"{ID}.{number}"))
                ids[which] = len(scenario.state.payments)
    held = of_shape(o.OrderHeld, scenario.history)
    assert [(hold.kind, hold.note) for hold in held] == [("payment", "funds are short")]


def test_a_payment_is_repeated_only_where_it_was_put_off() -> None:
    put_off = (*DUE, declined())
    repeat = o.RepeatPayment(**OF, payment_id=f"{ID}.1")
    assert OrderScenario(*DUE).submit(repeat) == []
    assert OrderScenario(*DUE).submit(o.RepeatPayment(**OF, payment_id=f"{ID}.9")) == []
    assert OrderScenario(*put_off, o.CancelOrder(**OF, reason="")).submit(repeat) == []
    assert OrderScenario(*put_off).submit(repeat)


def test_attempts_are_counted_again_when_a_person_looked_at_it() -> None:
    retried = given_up()
    retried.submit(RETRY)
    assert retried.only(o.OrderPaymentRequested).attempt == 1
    assert retried.only(o.OrderHoldReleased).note == "another attempt"
    scenario = given_up()
    scenario.submit(o.ReleaseHold(**OF, kind="payment", note="call them"))
    assert scenario.shapes() == ["OrderHoldReleased", "OrderPaymentRequested"]
    assert scenario.only(o.OrderHoldReleased).note == "call them"
    again = scenario.only(o.OrderPaymentRequested)
    assert (again.attempt, again.payment_token) == (1, "on-file")


def test_letting_go_of_another_hold_asks_for_no_money() -> None:
    scenario = given_up()
    scenario.submit(HOLD)
    assert scenario.only(o.OrderHeld).note == "odd address"
    scenario.submit(UNHOLD)
    assert scenario.shapes() == ["OrderHoldReleased"]


def test_a_presale_goes_on_when_it_is_paid_for_and_everything_has_come() -> None:
    assert OrderScenario(*PRESOLD, COVERED).shapes() == ["OrderPresaleCovered"], "the deposit is still to come"
    both = (placed(**PRESALE), LOCKING[0], locked(1, A2, presale=True), locked(1, B1, presale=True), paid(1))
    scenario = OrderScenario(*both, COVERED)
    assert scenario.shapes() == ["OrderPresaleCovered"]
    assert scenario.state.phase == "awaiting_stock"
    scenario.submit(COVERED.model_copy(update={"sku": "B", "location": "paris"}))
    assert scenario.shapes() == ["OrderPresaleCovered", "OrderBalanceDue"]
    lapsed = OrderScenario(*both, o.LapsePresale(**OF))
    assert lapsed.only(o.OrderCancelled).reason == "the goods did not come in time"


def phase_of(scenario: OrderScenario) -> o.Phase:
    return scenario.state.phase


IN_FULL = (placed(**{**PRESALE, "deposit_minor": 1050}), *PRESOLD[1:])


def test_a_presale_that_is_paid_and_held_waits_for_a_person_once_its_goods_are_there() -> None:
    waiting = OrderScenario(*IN_FULL, paid(), HOLD)
    assert phase_of(waiting) == "awaiting_stock"
    waiting.submit(COVERED)
    assert waiting.only(o.OrderPresaleCovered).phase == "held"
    assert phase_of(waiting) == "held"
    assert waiting.submit(COVERED) == []
    waiting.submit(UNHOLD)
    assert waiting.shapes() == ["OrderHoldReleased", "OrderReleased"]
    assert OrderScenario(*IN_FULL, paid(), COVERED).shapes() == ["OrderPresaleCovered", "OrderReleased"]


def test_a_presale_that_is_held_is_asked_for_its_balance_as_any_other() -> None:
    scenario = OrderScenario(*PRESOLD, paid(1), HOLD, COVERED)
    assert scenario.shapes() == ["OrderPresaleCovered", "OrderBalanceDue"]
    assert phase_of(scenario) == "awaiting_payment"
    scenario.submit(paid(2))
    assert phase_of(scenario) == "held"


@pytest.mark.parametrize("held", [False, True])
def test_a_presale_from_which_what_was_to_come_is_left_out_goes_on(held: bool) -> None:
    gift = o.OrderLine(line_id="1", sku="A", quantity=2, unit_price_minor=0)
    paid_for = placed(**{**PRESALE, "deposit_minor": 450}, lines=(gift, PLACE.lines[1]))
    without = o.CancelOrderLines(**OF, cancellation_id="c", lines=units(l1=2), reason="no longer made")
    scenario = OrderScenario(paid_for, *PRESOLD[1:], paid(), *[HOLD] * held, without)
    assert scenario.shapes() == ["OrderLinesCancelled", "OrderAllocated", *["OrderReleased"] * (not held)]
    assert phase_of(scenario) == ("held" if held else "fulfilling")


LET_GO = o.RecordPaymentWithdrawn(**OF, payment_id=f"{ID}.1", reason="let go of at the provider")


def test_a_presale_whose_deposit_was_released_waits_for_it_once_its_goods_are_there() -> None:
    scenario = OrderScenario(*PRESOLD, paid(1), LET_GO, COVERED)
    assert scenario.only(o.OrderPresaleCovered).phase == "awaiting_payment"
    assert scenario.shapes() == ["OrderPresaleCovered"]
    scenario.submit(RETRY)
    scenario.submit(paid(2))
    assert scenario.shapes() == ["OrderPaymentSecured", "OrderBalanceDue"]


def test_a_held_order_whose_money_was_released_waits_for_money_again() -> None:
    scenario = OrderScenario(*DUE, HOLD, paid())
    assert phase_of(scenario) == "held"
    scenario.submit(LET_GO)
    assert phase_of(scenario) == "awaiting_payment"
    assert scenario.submit(LET_GO) == []
    scenario.submit(UNHOLD)
    scenario.submit(o.ReleaseHold(**OF, kind="payment"))
    scenario.submit(paid(2))
    assert scenario.shapes() == ["OrderPaymentSecured", "OrderReleased"]


def test_of_an_order_that_is_released_by_hand_only_what_is_not_held_is_written_off() -> None:
    half = OrderScenario(*IN_PARTS, paid(1), override("released")).only(o.OrderOverridden)
    assert (half.payments_cancelled, half.written_off_minor) == ((f"{ID}.2",), 350)
    all_held = OrderScenario(*DUE, HOLD, paid(), override("released"))
    overridden = all_held.only(o.OrderOverridden)
    assert (overridden.payments_cancelled, overridden.written_off_minor) == ((), 0)
    assert [plan.amount_minor for plan in all_held.only(o.OrderReleased).shipments] == [630, 420]
