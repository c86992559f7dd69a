"""Payments that come late, in several cards, as a deposit and its balance, or are withdrawn."""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.aggregates.order import money
from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from oms_es.schemas.values.customer import Customer
from oms_es.schemas.values.types import TEXT_LENGTH_MAX
from order_story import (
    A2,
    B1,
    DUE,
    FULFILLING,
    GONE,
    ID,
    LOCKING,
    NOON,
    OF,
    PLACE,
    OrderScenario,
    declined,
    dispatched,
    granted,
    locked,
    of_shape,
    paid,
    parcel,
    placed,
    source,
)

WITHDRAWN = o.RecordPaymentWithdrawn(**OF, payment_id=f"{ID}.1", reason="let go at the provider")
PRESALE = placed(kind="presale", deposit_minor=250, available_by=NOON)
COVERED = o.RecordPresaleCovered(**OF, reservation_id=f"{ID}/1", sku="A", location="berlin")
PRESOLD = (PRESALE, source(1, A2, B1), locked(1, A2, presale=True), locked(1, B1), paid())
"""A presale with its deposit, as payment 1."""


def test_a_payment_that_was_put_off_and_comes_after_all_releases_the_order() -> None:
    scenario = OrderScenario(*DUE, declined(), paid())
    assert scenario.shapes() == ["OrderPaymentSecured", "OrderReleased"]
    assert scenario.submit(paid()) == []


def test_two_cards_are_two_payments_and_both_are_reported() -> None:
    card = o.Tender(method="card", payment_token="first-card", amount_minor=700)
    allocated = OrderScenario(placed(tenders=(card,)), *LOCKING).only(o.OrderAllocated)
    assert [(due.payment_token, due.amount_minor) for due in allocated.payments] == [
        ("first-card", 700),
        ("on-file", 350),
    ]


def test_the_balance_of_a_presale_bears_what_is_not_said_otherwise() -> None:
    scenario = OrderScenario(*PRESOLD, COVERED, paid(2))
    released = scenario.only(o.OrderReleased)
    assert released.payment_id == f"{ID}.2"
    assert [charge.payment_id for charge in released.shipments[0].charges] == [f"{ID}.1", f"{ID}.2"]


def test_a_deposit_that_was_asked_for_again_is_still_used_before_the_balance() -> None:
    retry = o.RetryPayment(**OF)
    scenario = OrderScenario(*PRESOLD, COVERED, WITHDRAWN, retry, paid(2), paid(3))
    released = of_shape(o.OrderReleased, scenario.last)[0]
    assert [(charge.payment_id, charge.amount_minor) for charge in released.shipments[0].charges] == [
        (f"{ID}.3", 250),
        (f"{ID}.2", 380),
    ]


# --- withdrawn


def test_a_payment_that_is_withdrawn_before_the_release_holds_the_order_once_for_a_person() -> None:
    deferred, held = OrderScenario(*DUE).submit(WITHDRAWN)
    assert isinstance(deferred, o.OrderPaymentDeferred)
    assert (deferred.again, deferred.reason, deferred.attempt) == (False, "let go at the provider", 1)
    assert isinstance(held, o.OrderHeld)
    assert (held.kind, held.note) == ("payment", "let go at the provider")
    by_hand = o.HoldOrder(**OF, kind="payment", note="call them")
    assert OrderScenario(*DUE, by_hand, WITHDRAWN).shapes() == ["OrderPaymentDeferred"]


def test_a_payment_that_is_withdrawn_after_the_release_cancels_what_can_be_stopped() -> None:
    scenario = OrderScenario(*FULFILLING, WITHDRAWN)
    asked = scenario.only(o.OrderCancellationRequested)
    assert (asked.order_id, asked.reason) == (ID, "payment: let go at the provider")
    assert asked.shipment_ids == (f"{ID}.1", f"{ID}.2")
    long = o.RecordPaymentWithdrawn(**OF, payment_id=f"{ID}.1", reason="x" * TEXT_LENGTH_MAX)
    asked = OrderScenario(*FULFILLING, long).only(o.OrderCancellationRequested)
    assert asked.reason == "payment: " + "x" * TEXT_LENGTH_MAX


@pytest.mark.parametrize(
    "before",
    [GONE, (*FULFILLING, parcel(o.RecordShipmentKept, 1)), (*DUE, o.CancelOrder(**OF, reason="dear"))],
    ids=["left", "with the carrier", "cancelled"],
)
def test_a_payment_that_is_withdrawn_when_nothing_can_be_stopped_stops_nothing(before: tuple[Command, ...]) -> None:
    assert OrderScenario(*before, WITHDRAWN).last == []


# --- refunded


def test_a_refund_goes_to_the_account_that_a_person_names() -> None:
    refund: dict[str, Any] = {"refund_id": "f", "goodwill_minor": 10}
    named = OrderScenario(*GONE, o.RefundOrder(**OF, **refund, to_account="ACME-1"))
    assert named.only(o.OrderRefundRequested).to_account == "ACME-1"
    assert OrderScenario(*GONE, o.RefundOrder(**OF, **refund)).only(o.OrderRefundRequested).to_account == ""


def test_a_refund_of_an_exchange_names_the_return_whose_credit_it_gives_back() -> None:
    of_credit = OrderScenario(granted(1050), *LOCKING, dispatched(1), dispatched(2))
    of_credit.submit(o.RefundOrder(**OF, refund_id="f", goodwill_minor=10))
    credit = of_credit.only(o.OrderRefundRequested).credit
    assert credit
    assert (credit.exchange_of, credit.amount_minor) == ("rma-1", 10)


def test_units_of_one_line_that_are_named_one_by_one_are_worth_what_was_paid_for_all_of_them() -> None:
    three = placed(lines=(o.OrderLine(line_id="1", sku="A", quantity=3, unit_price_minor=100),), discount_minor=100)
    held = ("A", "berlin", 3)
    left = (three, source(1, held), locked(1, held), paid(), dispatched(1))
    each = tuple(o.RefundLine(line_id="1", quantity=1) for _ in range(3))
    refund = OrderScenario(*left, o.RefundOrder(**OF, refund_id="f", lines=each)).only(o.OrderRefundRequested)
    (part,) = refund.parts
    assert [allocation.amount_minor for allocation in part.allocations] == [67, 67, 66]


def test_a_unit_is_worth_at_most_what_amounts_of_the_same_refund_leave_of_its_line() -> None:
    amounts = tuple(o.RefundLine(line_id="1", amount_minor=n) for n in (400, 190))
    unit = o.RefundLine(line_id="1", quantity=1)
    (part,) = (
        OrderScenario(*GONE, o.RefundOrder(**OF, refund_id="f", lines=(*amounts, unit)))
        .only(o.OrderRefundRequested)
        .parts
    )
    assert [allocation.amount_minor for allocation in part.allocations] == [400, 190, 10]


def test_a_credit_that_is_left_names_its_customer() -> None:
    exchange = granted(1100)
    ada = exchange.content.model_copy(update={"customer": Customer(customer_id="c-1")})
    scenario = OrderScenario(exchange.model_copy(update={"content": ada}), *LOCKING)
    left = scenario.only(o.OrderCreditLeft)
    assert (left.channel, left.customer_id) == ("web", "c-1")


# --- worth


def test_each_of_several_bundles_is_worth_the_same_shares_of_its_price() -> None:
    bundles = {"SET": {"CUP": 2, "POT": 1}}
    for quantity in (1, 2, 3):
        content = OrderScenario(
            placed(lines=(o.OrderLine(line_id="1", sku="SET", quantity=quantity, unit_price_minor=500),))
        ).state.content
        assert content
        shares = money.shares_of(content, bundles).lines
        assert {share.sku: share.amount_minor for share in shares} == {"CUP": 333 * quantity, "POT": 167 * quantity}


def test_a_bundle_that_costs_nothing_bears_its_tax_by_the_units_that_it_is_made_of() -> None:
    free = o.OrderLine(line_id="1", sku="SET", quantity=1, unit_price_minor=0)
    content = OrderScenario(placed(lines=(free,), shipping_minor=0, tax_minor=9)).state.content
    assert content
    shares = money.shares_of(content, {"SET": {"CUP": 2, "POT": 1}})
    assert sum(share.amount_minor for share in shares.lines) + shares.shipping_minor == 9
    assert {share.sku for share in shares.lines} == {"CUP", "POT"}


# --- completed by hand


def test_an_order_that_was_completed_by_hand_is_not_completed_again_by_its_parcels() -> None:
    by_hand = o.OverrideOrder(**OF, override_id="x", to="completed", reason="they said so")
    scenario = OrderScenario(*GONE, by_hand)
    for number in (1, 2):
        scenario.submit(parcel(o.RecordShipmentDelivered, number))
        assert scenario.shapes() == ["OrderShipmentDelivered"]


def test_an_order_that_was_completed_by_hand_is_not_forgotten_while_its_parcels_are_under_way() -> None:
    by_hand = o.OverrideOrder(**OF, override_id="x", to="completed", reason="they said so")
    forget = o.ForgetOrder(**OF, reason="request", case_id="dsr-1")
    scenario = OrderScenario(*GONE, by_hand)
    with pytest.raises(Refused, match=f"yet: parcels {ID}.1, {ID}.2 are under way; end that first"):
        scenario.submit(forget)
    scenario.submit(parcel(o.RecordShipmentDelivered, 1))
    with pytest.raises(Refused, match=f"yet: parcels {ID}.2 are under way; end that first"):
        scenario.submit(forget)
    scenario.submit(parcel(o.RecordShipmentDelivered, 2))
    assert scenario.submit(forget)


def test_a_note_is_one_text_for_ever() -> None:
    note = o.AddNote(**OF, note_id="n", note_text="they called")
    scenario = OrderScenario(PLACE, note)
    assert scenario.submit(note) == []
    with pytest.raises(Refused, match="note_id n is known"):
        scenario.submit(note.model_copy(update={"note_text": "they did not call"}))
