"""The totals of a customer's orders per channel and currency, whatever the order in which events are read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from folding import fold, recorded_at
from oms_es.projections.order import customer_spending, customers
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns.rma import ExpectedLine
from story import NOON, cancelled, line, placed

ADA = o.Customer(customer_id="C-1", email="Ada@Example.com", phone="030 1234567", language="de")
WHOSE: Any = {"order_id": "o", "channel": "web", "customer_id": "C-1"}
KEY, EUROS = ("web", "C-1"), ("web", "C-1", "EUR")


def named(*lines: o.OrderLine, customer: o.Customer = ADA, **more: Any) -> o.OrderPlaced:
    return placed(*lines, customer=customer, **more)


def rated(name: str, rating: int) -> x.OrderFeedbackGiven:
    return x.OrderFeedbackGiven(**WHOSE, feedback_id=name, subject="order", about="", rating=rating)


def refund(amount_minor: int, credit: o.CreditPart | None = None) -> o.OrderRefundRequested:
    return o.OrderRefundRequested(
        **WHOSE, refund_id="r", amount_minor=amount_minor, currency="EUR", reason="", parts=(), credit=credit
    )


def test_orders_of_a_customer_add_up_and_the_newest_says_how_to_reach_them() -> None:
    newer = o.Customer(customer_id="C-1", phone="030 7654321")
    later = named(line("C", 4, 50), customer=newer, order_id="p", external_id="2", placed_at=NOON + timedelta(days=1))
    for history in ((named(), later), (later, named())):
        row = fold(customers.projection, *history)[KEY]
        assert (row["orders"], row["units"], row["cancelled_orders"]) == (2, 7, 0)
        assert (row["email"], row["phone"], row["language"]) == ("", "030 7654321", "")
        assert (row["first_placed_at"], row["last_placed_at"]) == (NOON, NOON + timedelta(days=1))
        assert row["last_order_id"] == "p"
    row = fold(customers.projection, named())[KEY]
    assert (row["email"], row["email_key"], row["phone"], row["language"]) == (
        "Ada@Example.com",
        "ada@example.com",
        "030 1234567",
        "de",
    )


def test_a_customer_is_of_one_channel_and_an_order_without_customer_is_in_no_row() -> None:
    guest = o.Customer(email="guest@example.com")
    rows = fold(customers.projection, named(), named(channel="app"), placed(), named(customer=guest))
    assert set(rows) == {KEY, ("app", "C-1")}
    spending = fold(customer_spending.projection, named(), named(currency="CHF"), placed(), named(customer=guest))
    assert {key[2]: row["ordered_minor"] for key, row in spending.items()} == {"EUR": 900, "CHF": 900}


def test_cancellations_returns_and_feedback_are_counted_beside() -> None:
    requested = x.OrderReturnRequested(
        **WHOSE,
        rma_id="r",
        resolution="refund",
        lines=(ExpectedLine(line_id="1", quantity=2, reason="damaged", sku="A"),),
        requested_at=NOON,
    )
    gone = cancelled().model_copy(update={"customer_id": "C-1"})
    row = fold(customers.projection, named(), gone, requested, rated("f1", 5), rated("f2", 2))[KEY]
    assert (row["orders"], row["cancelled_orders"], row["cancelled_units"]) == (1, 1, 3)
    assert (row["returns"], row["returned_units"]) == (1, 2)
    assert (row["ratings"], row["rating_sum"], row["last_rating"], row["last_feedback"]) == (2, 7, 2, "o/f2")
    assert row["last_feedback_at"] == recorded_at(5)


def test_what_is_spent_is_what_was_ordered_without_what_went_back() -> None:
    gone = cancelled().model_copy(update={"customer_id": "C-1"})
    assert fold(customer_spending.projection, named(), gone)[EUROS]["spent_minor"] == 0
    row = fold(customer_spending.projection, named(), refund(100))[EUROS]
    assert (row["ordered_minor"], row["refunded_minor"], row["spent_minor"]) == (900, 100, 800)
    by_provider: Any = {**WHOSE, "payment_id": "o.1", "effect": "e", "amount_minor": 40, "currency": "EUR"}
    withdrawn = o.OrderMoneyGone(**by_provider, why="refunded")
    row = fold(customer_spending.projection, named(), withdrawn)[EUROS]
    assert row["refunded_minor"] == 40
    row = fold(customer_spending.projection, named(), withdrawn, o.OrderMoneyBack(**by_provider, why="refunded"))[EUROS]
    assert row["spent_minor"] == 900
    assert fold(customer_spending.projection, o.OrderMoneyGone(**by_provider, why="disputed")) == {}


def test_an_exchange_is_paid_with_what_came_back_and_counted_once() -> None:
    exchange = named(kind="exchange", exchange_of="r", credit_minor=900, order_id="e", external_id="2")
    row = fold(customer_spending.projection, named(), exchange)[EUROS]
    assert (row["ordered_minor"], row["exchanged_minor"], row["spent_minor"]) == (1_800, 900, 900)
    left = o.OrderCreditLeft(**WHOSE, exchange_of="r", amount_minor=900, currency="EUR")
    gone = cancelled().model_copy(update={"customer_id": "C-1", "order_id": "e"})
    row = fold(customer_spending.projection, named(), exchange, gone, left, refund(900))[EUROS]
    assert (row["exchanged_minor"], row["refunded_minor"], row["spent_minor"]) == (0, 900, 0)
    credit = o.CreditPart(exchange_of="r", amount_minor=900, allocations=())
    row = fold(customer_spending.projection, named(), exchange, refund(900, credit), refund(900))[EUROS]
    assert (row["exchanged_minor"], row["refunded_minor"], row["spent_minor"]) == (900, 900, 0)
