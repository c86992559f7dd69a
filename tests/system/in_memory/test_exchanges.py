"""Exchanges of exchanges: the customer's money follows the goods, over any number of rounds, to the cent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oms_es.kernel import Refused
from oms_es.processing.bulk.overflow import Overflow
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import rma as r
from oms_es.verification.order_checks import OrderChecks
from shop import Shop, an_order
from whole_engine import START

PRICE = 10_000


class Customer:
    """A customer who buys a thing, and exchanges and returns it."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.shop.comes("TEA")
        self.shop.submit(an_order("1", ("TEA", 1)))
        self.name, self.round = "1", 0

    def back(self, resolution: r.Resolution, *replacement: int, sku: str = "TEA") -> None:
        """Return the one unit of the newest order; if it is exchanged, for units of these prices."""
        self.round += 1
        rma, at = f"r{self.round}", "berlin"
        of: Any = {"rma_id": rma}
        lines = tuple(
            o.OrderLine(line_id=str(n), sku=sku, quantity=1, unit_price_minor=price)
            for n, price in enumerate(replacement, start=1)
        )
        asked = (r.ReturnLine(line_id="1", quantity=1, reason="other"),)
        seen = r.InspectedLine(line_id="1", quantity=1, grade="as_new", disposition="sellable")
        unit = o.LineUnits(line_id="1", quantity=1)
        self.shop.submit(
            x.RequestReturn(
                order_id=o.order_id_of("web", self.name),
                **of,
                lines=asked,
                resolution=resolution,
                replacement=lines,
                now=START,
            ),
            r.ReceiveRma(**of, receipt_id="c", location=at, lines=(unit,)),
            r.InspectRma(**of, inspection_id="i", location=at, lines=(seen,)),
        )
        if resolution == "exchange":
            self.name = f"exchange/{rma}"

    def paid(self) -> int:
        """Return how much of the customer's money the shop has."""
        events = [recorded.event for recorded in self.shop.engine.log]
        taken = sum(event.amount_minor for event in events if isinstance(event, p.PaymentCaptured))
        return taken - sum(event.amount_minor for event in events if isinstance(event, p.PaymentRefunded))

    def exceptions(self) -> list[str]:
        return [row["detail"] for row in self.shop.engine.open_rows("open_exceptions")]


def test_what_comes_back_of_an_exchange_is_paid_back() -> None:
    customer = Customer()
    customer.back("exchange", PRICE)
    assert (customer.paid(), customer.shop.order("exchange/r1")["phase"]) == (PRICE, "completed")
    customer.back("refund")
    assert (customer.paid(), customer.exceptions()) == (0, [])


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from([1, 4_999, PRICE, 12_345, 20_000]), min_size=1, max_size=4))
def test_after_any_exchanges_the_customer_has_paid_what_the_last_one_costs_and_gets_it_all_back(
    prices: list[int],
) -> None:
    customer = Customer()
    for price in prices:
        customer.back("exchange", price)
        assert (customer.paid(), customer.exceptions()) == (price, [])
    customer.back("refund")
    assert (customer.paid(), customer.exceptions()) == (0, [])


def test_one_of_several_goods_of_an_exchange_is_paid_back() -> None:
    customer = Customer()
    customer.back("exchange", 15_000)
    customer.back("exchange", 12_000, 1_000)
    assert customer.paid() == 13_000
    customer.back("refund")
    assert (customer.paid(), customer.exceptions()) == (1_000, [])


def test_goods_that_no_one_paid_for_pay_for_nothing() -> None:
    """All of it went back as goodwill, and the goods come back as well."""
    customer = Customer()
    order_id = o.order_id_of("web", "1")
    customer.shop.submit(o.RefundOrder(order_id=order_id, refund_id="g", goodwill_minor=PRICE))
    assert customer.paid() == 0
    customer.back("exchange", PRICE)
    assert [row["kind"] for row in customer.shop.engine.open_rows("open_exceptions")] == ["credit_refused"]
    assert len(customer.shop.engine.open_rows("order_status")) == 1


def reported(customer: Customer, operation: Any, outcome: Any, amount_minor: int) -> p.RecordReport:
    """Return a provider's report about the first order's payment that was not requested here."""
    return p.RecordReport(
        payment_id=f"{o.order_id_of('web', '1')}.1",
        operation=operation,
        outcome=outcome,
        part="re_1",
        reference="re_1" if operation == "refund" else "",
        amount_minor=amount_minor,
    )


def test_what_was_refunded_in_the_providers_dashboard_is_the_orders_and_is_not_paid_twice() -> None:
    customer = Customer()
    order_id = o.order_id_of("web", "1")
    answer = reported(customer, "refund", "succeeded", 4_000)
    customer.shop.submit(answer, answer)
    assert (customer.paid(), customer.shop.order("1")["refunded_minor"]) == (6_000, 4_000)
    with pytest.raises(Refused, match=r"60\.01 EUR is more than the 60\.00 EUR left"):
        customer.shop.submit(o.RefundOrder(order_id=order_id, refund_id="g", goodwill_minor=6_001))
    customer.shop.submit(o.RefundOrder(order_id=order_id, refund_id="g", goodwill_minor=6_000))
    assert (customer.paid(), customer.shop.order("1")["refunded_minor"]) == (0, PRICE)


def test_more_given_back_than_is_left_of_a_payment_is_found() -> None:
    """By the second account, had the order asked for it all the same."""
    customer = Customer()
    customer.shop.submit(
        reported(customer, "refund", "succeeded", 4_000),
        o.RefundOrder(order_id=o.order_id_of("web", "1"), refund_id="g", goodwill_minor=6_000),
    )
    checks = OrderChecks(Overflow())
    for recorded in customer.shop.engine.log:
        checks.note(recorded)
        if isinstance(recorded.event, o.OrderRefundRequested):
            assert not checks.refunds.failed
            checks.note(recorded)
    assert f"{o.order_id_of('web', '1')}.1 gives back 120.00 EUR, and has 60.00 EUR" in checks.refunds.differences[0]


def test_a_refund_of_the_dashboard_that_comes_back_is_owed_again() -> None:
    customer = Customer()
    customer.shop.submit(
        reported(customer, "refund", "succeeded", 4_000), reported(customer, "refund", "declined", 4_000)
    )
    assert customer.shop.order("1")["refunded_minor"] == 0
    customer.shop.submit(o.RefundOrder(order_id=o.order_id_of("web", "1"), refund_id="g", goodwill_minor=PRICE))
    assert customer.shop.order("1")["refunded_minor"] == PRICE


@pytest.mark.parametrize("outcomes", [("opened",), ("opened", "lost"), ("lost",)])
def test_goods_whose_money_was_charged_back_pay_for_nothing(outcomes: tuple[str, ...]) -> None:
    customer = Customer()
    customer.shop.submit(*(reported(customer, "dispute", outcome, PRICE) for outcome in outcomes))
    customer.back("exchange", PRICE)
    assert "credit_refused" in [row["kind"] for row in customer.shop.engine.open_rows("open_exceptions")]
    assert len(customer.shop.engine.open_rows("order_status")) == 1


def test_goods_whose_dispute_was_won_pay_for_an_exchange() -> None:
    customer = Customer()
    customer.shop.submit(*(reported(customer, "dispute", outcome, PRICE) for outcome in ("opened", "won")))
    customer.back("exchange", PRICE)
    assert customer.shop.order("exchange/r1")["phase"] == "completed"


DISPUTE = ("opened", "won")


def test_an_exchange_waits_while_the_payment_that_paid_for_it_is_disputed() -> None:
    """The exchange is granted, and its goods have not come yet."""
    customer = Customer()
    customer.back("exchange", PRICE, sku="CUP")
    opened, won = (reported(customer, "dispute", outcome, PRICE) for outcome in DISPUTE)
    customer.shop.submit(opened, opened)
    customer.shop.comes("CUP")
    assert (customer.shop.order("exchange/r1")["phase"], customer.shop.left("exchange/r1")) == ("held", [])
    kinds = {row["kind"] for row in customer.shop.engine.open_rows("open_exceptions")}
    assert kinds == {"dispute", "held_payment"}
    customer.shop.submit(won, won)
    assert customer.shop.order("exchange/r1")["phase"] == "completed"
    customer.back("refund")
    assert (customer.paid(), customer.exceptions()) == (0, [])


def test_an_exchange_that_has_left_when_its_payment_is_disputed_is_asked_for_by_a_person() -> None:
    customer = Customer()
    customer.back("exchange", PRICE)
    opened, won = (reported(customer, "dispute", outcome, PRICE) for outcome in DISPUTE)
    customer.shop.submit(opened, opened)
    rows = {row["kind"]: row for row in customer.shop.engine.open_rows("open_exceptions")}
    assert set(rows) == {"dispute", "exchange_unpaid"}
    assert rows["exchange_unpaid"]["order_id"] == o.order_id_of("web", "exchange/r1")
    assert rows["exchange_unpaid"]["detail"].startswith("its credit was 100.00 EUR of ")
    refund = o.RefundOrder(order_id=o.order_id_of("web", "exchange/r1"), refund_id="g", goodwill_minor=PRICE)
    with pytest.raises(Refused, match=r"100\.00 EUR is more than the 0\.00 EUR left"):
        customer.shop.submit(refund)
    customer.shop.submit(won, won)
    assert customer.exceptions() == []


def test_the_news_of_a_dispute_follows_the_goods_over_every_round() -> None:
    customer = Customer()
    customer.back("exchange", PRICE)
    customer.back("exchange", PRICE, sku="CUP")
    opened, won = (reported(customer, "dispute", outcome, PRICE) for outcome in DISPUTE)
    customer.shop.submit(opened)
    assert customer.shop.order("exchange/r2")["holds"] == ["payment"]
    customer.shop.submit(won)
    assert customer.shop.order("exchange/r2")["holds"] == []
    customer.shop.comes("CUP")
    assert customer.shop.order("exchange/r2")["phase"] == "completed"


def test_a_dispute_of_what_still_pays_for_the_exchange_stops_nothing() -> None:
    customer = Customer()
    customer.back("exchange", 4_000, sku="CUP")
    customer.shop.submit(reported(customer, "refund", "succeeded", 1))
    assert customer.shop.order("exchange/r1")["holds"] == [], "it costs less than the rest of its credit"
    customer.shop.comes("CUP")
    assert customer.shop.order("exchange/r1")["phase"] == "completed"


def test_a_return_whose_name_is_taken_by_another_orders_ends_and_its_units_may_be_returned_under_another() -> None:
    customer = Customer()
    customer.shop.submit(an_order("2", ("TEA", 1)))
    unit = (r.ReturnLine(line_id="1", quantity=1, reason="other"),)
    first, second = (
        x.RequestReturn(order_id=o.order_id_of("web", name), rma_id="same", lines=unit, now=START) for name in "12"
    )
    customer.shop.submit(first, second, second)
    ended = [e.event for e in customer.shop.engine.log if isinstance(e.event, x.OrderReturnEnded)]
    assert [(event.order_id, event.rma_id) for event in ended] == [(second.order_id, "same")]
    assert "is taken" in ended[0].reason
    customer.shop.submit(second.model_copy(update={"rma_id": "another"}))
    assert {row["rma_id"]: row["order_id"] for row in customer.shop.engine.open_rows("returns")} == {
        "same": first.order_id,
        "another": second.order_id,
    }
