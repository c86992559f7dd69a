"""Orders and payments in the books: which postings each event makes, and that the books always balance."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folding import as_recorded
from oms_es.books import chart
from oms_es.books.entry import Entry, Posting, Unbalanced
from oms_es.books.journal import Balances, Books
from oms_es.kernel import Event
from oms_es.processing.bulk.overflow import Overflow
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.values.currency import exponent_of
from oms_es.verification.book_checks import BookChecks
from story import OF, PAYMENT, allocated, placed, reservation

CARD = "assets:clearing:card"
PAID: Any = {"order_id": OF["order_id"], "payment_id": PAYMENT}
MONEY: Any = {**PAID, "currency": "EUR"}


def plan(number: int, worth: int = 500, tax: int = 80, *, charged: int | None = None) -> o.ShipmentPlan:
    """Return the plan of a line that costs `worth` with its tax, and 100 for its shipping."""
    share = o.LineShare(line_id="A", sku="A", quantity=2, amount_minor=worth, tax_minor=tax)
    return o.ShipmentPlan(
        shipment_id=f"{OF['order_id']}.{number}",
        location="berlin",
        items=(reservation("A", "berlin", 2),),
        amount_minor=worth + 100 if charged is None else charged,
        lines=(share,),
        shipping_minor=100,
    )


def release(*plans: o.ShipmentPlan) -> o.OrderReleased:
    address = placed().ship_to
    return o.OrderReleased(**OF, payment_id=PAYMENT, currency="EUR", shipments=plans, ship_to=address)


def requested(*, deposit: bool = False) -> p.PaymentRequested:
    return p.PaymentRequested(**MONEY, amount_minor=600, payment_token="t", capture_now=deposit)


def captured(amount: int, part: str = "order.1") -> p.PaymentCaptured:
    return p.PaymentCaptured(**MONEY, capture_id=part, amount_minor=amount, reference="r")


def refunded(amount: int, refund_id: str = "r1") -> p.PaymentRefunded:
    return p.PaymentRefunded(**MONEY, refund_id=refund_id, amount_minor=amount, reference="r")


def granted(amount: int, refund_id: str = "r1") -> o.OrderRefundRequested:
    part = o.RefundPart(
        payment_id=PAYMENT,
        amount_minor=amount,
        allocations=(p.RefundAllocation(kind="line", line_id="A", amount_minor=amount),),
    )
    return o.OrderRefundRequested(
        **OF, refund_id=refund_id, amount_minor=amount, currency="EUR", reason="", parts=(part,)
    )


def cancelled(payment_id: str | None) -> o.OrderCancelled:
    return o.OrderCancelled(
        **OF,
        reason="",
        reservations=(),
        payment_id=payment_id,
        channel="web",
        placed_at=placed().placed_at,
        currency="EUR",
        total_minor=600,
        units=2,
    )


def left(number: int = 1) -> o.OrderShipmentDispatched:
    return o.OrderShipmentDispatched(**OF, shipment_id=f"{OF['order_id']}.{number}")


def stopped(number: int = 1) -> o.OrderShipmentCancelled:
    return o.OrderShipmentCancelled(**OF, shipment_id=f"{OF['order_id']}.{number}")


def balances(*events: Event) -> dict[str, int]:
    """Return the balances after all events, without accounts at zero."""
    books, found = Books(), Balances()
    for recorded in as_recorded(events):
        for entry in books.fold(recorded):
            found.add(entry.postings)
        assert books.fold(recorded) == []
    assert found.total("EUR") == 0
    return {account: amount for (account, _), amount in found.of.items() if amount}


BEGIN = (placed(), allocated(600), requested(), release(plan(1)))
SOLD = {chart.SALES: -420, chart.SHIPPING: -100, chart.TAX: -80}


def test_revenue_is_deferred_until_the_parcel_leaves_and_money_clears() -> None:
    assert balances(*BEGIN) == {chart.RECEIVABLE: 600, chart.DEFERRED: -600}
    assert balances(*BEGIN, left()) == {chart.RECEIVABLE: 600, **SOLD}
    assert balances(*BEGIN, left(), captured(600)) == {CARD: 600, **SOLD}
    assert balances(*BEGIN, left(), left(), captured(600)) == {CARD: 600, **SOLD}


def test_a_parcel_that_is_stopped_leaves_nothing_and_what_was_paid_for_it_is_an_advance() -> None:
    assert balances(*BEGIN, stopped(), stopped()) == {}
    again = o.OrderShipmentPlanned(**OF, plan=plan(2), payment_id=PAYMENT, ship_to=placed().ship_to)
    assert balances(*BEGIN, stopped(), again, again, left(2), captured(600)) == {CARD: 600, **SOLD}
    assert balances(*BEGIN, captured(600), stopped()) == {CARD: 600, chart.ADVANCES: -600}
    assert balances(*BEGIN, captured(600), stopped(), refunded(600, "cancel")) == {}
    assert balances(*BEGIN, cancelled(PAYMENT)) == {}
    assert balances(placed(), requested(), captured(600), release(plan(1))) == {CARD: 600, chart.DEFERRED: -600}


def test_a_deposit_is_held_applied_kept_or_given_back() -> None:
    begin = (placed(deposit_kept=True), requested(deposit=True), captured(600, PAYMENT))
    applied = p.PaymentDepositApplied(**MONEY, capture_id="order.1", amount_minor=600)
    assert balances(*begin) == {CARD: 600, chart.DEPOSITS: -600}
    assert balances(*begin, release(plan(1)), left(), applied) == {CARD: 600, **SOLD}
    assert balances(*begin, cancelled(None)) == {CARD: 600, chart.FORFEITED: -600}
    assert balances(*begin, cancelled(PAYMENT), refunded(600, "cancel")) == {}
    early = (placed(deposit_kept_early=True), *begin[1:])
    assert balances(*early, cancelled(None)) == {CARD: 600, chart.FORFEITED: -600}
    not_kept = balances(placed(), *begin[1:], cancelled(None))
    assert not_kept == {CARD: 600, chart.DEPOSITS: -600}, "it goes back by a refund of its own"
    back = p.PaymentRefundReversed(**MONEY, refund_id="x", amount_minor=200, reason="")
    assert balances(*begin, refunded(200, "x"), back, release(plan(1)), left(), applied) == {CARD: 600, **SOLD}


def test_a_refund_is_due_then_paid_and_its_tax_goes_back_to_the_cent() -> None:
    sold = (*BEGIN, left(), captured(600))
    assert balances(*sold, granted(100)) == {
        CARD: 600,
        **SOLD,
        chart.REFUNDS: 84,
        chart.TAX: -64,
        chart.REFUNDS_DUE: -100,
    }
    everything = balances(*sold, granted(166), granted(167, "r2"), granted(167, "r3"), refunded(166))
    assert (everything[chart.REFUNDS], everything.get(chart.TAX)) == (420, None)
    assert (everything[CARD], everything[chart.REFUNDS_DUE]) == (434, -334)
    back = p.PaymentRefundReversed(**MONEY, refund_id="r1", amount_minor=100, reason="")
    assert balances(*sold, granted(100), refunded(100), back) == balances(*sold, granted(100))
    assert balances(*sold, refunded(100, "dashboard"))[chart.REFUNDS] == 100
    otherwise = balances(*sold, granted(100), refunded(100, "dashboard"))
    assert (otherwise[chart.REFUNDS], otherwise.get(chart.REFUNDS_DUE)) == (84, None), "paid under another name"


def test_a_refund_of_what_was_paid_ahead_that_comes_back_pays_what_is_owed_since() -> None:
    back = p.PaymentRefundReversed(**MONEY, refund_id="x", amount_minor=600, reason="")
    ahead = (placed(), requested(), captured(600), refunded(600, "x"))
    assert balances(*ahead, release(plan(1)), left(), back) == {CARD: 600, **SOLD}


def test_of_what_has_left_no_plan_is_held() -> None:
    """There is a book of every order that ever was, at once in memory."""
    books, sent = Books(), plan(1)
    held = weakref.ref(sent)
    for recorded in as_recorded((placed(), allocated(600), requested(), release(sent), left())):
        books.fold(recorded)
    book = books.orders[OF["order_id"]]
    assert (list(book.left), dict(book.shares)) == ([sent.shipment_id], {"A": (500, 80)})
    del sent, recorded
    gc.collect()
    assert held() is None


def test_money_in_another_currency_than_the_orders_is_apart() -> None:
    dollars: Any = {**PAID, "payment_id": "order.9", "currency": "USD"}
    asked = p.PaymentRequested(**dollars, amount_minor=600, payment_token="t")
    came = p.PaymentCaptured(**dollars, capture_id="c", amount_minor=600, reference="r9")
    books, found = Books(), Balances()
    for recorded in as_recorded([placed(), asked, came, requested(), release(plan(1))]):
        for entry in books.fold(recorded):
            found.add(entry.postings)
    assert found.of[chart.ADVANCES, "USD"] == -600
    assert found.of[chart.RECEIVABLE, "EUR"] == 600
    assert not found.of[chart.ADVANCES, "EUR"]


def test_a_dispute_is_open_won_or_lost() -> None:
    sold = (*BEGIN, left(), captured(600))
    opened = p.PaymentDisputeOpened(**MONEY, dispute_id="d", amount_minor=600, reason="")
    assert balances(*sold, opened) == {chart.DISPUTED: 600, **SOLD}
    assert balances(*sold, opened, p.PaymentDisputeWon(**MONEY, dispute_id="d", amount_minor=600)) == balances(*sold)
    lost = p.PaymentDisputeLost(**MONEY, dispute_id="d", amount_minor=600)
    assert balances(*sold, opened, lost) == {chart.DISPUTES_LOST: 600, **SOLD}
    assert balances(placed(), requested(), captured(600), opened, lost) == {}, "it was theirs: nothing was sold"
    assert balances(*sold, granted(600), opened, lost).get(chart.REFUNDS_DUE) is None


def test_what_is_not_charged_is_credit_of_an_exchange_or_written_off() -> None:
    exchange = placed(kind="exchange", exchange_of="rma", credit_minor=250)
    assert balances(exchange, release(plan(1, charged=300))) == {
        chart.RECEIVABLE: 300,
        chart.STORE_CREDIT: 250,
        chart.WRITE_OFF: 50,
        chart.DEFERRED: -600,
    }
    assert balances(exchange, release(plan(1, charged=300)), stopped()) == {}


def test_an_entry_that_does_not_balance_cannot_be_made() -> None:
    postings = (Posting(chart.TAX, "EUR", 5), Posting(chart.SALES, "USD", -5))
    with pytest.raises(Unbalanced, match="position 7"):
        Entry(7, 1, "2026-01-01", "Anything", "", "", postings)


AMOUNTS = st.integers(1, 700)
NUMBERS = st.integers(1, 3)
ANYTHING: st.SearchStrategy[Event] = st.one_of(
    st.lists(st.builds(plan, NUMBERS, AMOUNTS, st.integers(0, 50), charged=AMOUNTS), max_size=2).map(
        lambda plans: release(*plans)
    ),
    st.builds(left, NUMBERS),
    st.builds(stopped, NUMBERS),
    st.builds(captured, AMOUNTS),
    st.builds(granted, AMOUNTS, st.sampled_from(["r1", "r2"])),
    st.builds(refunded, AMOUNTS, st.sampled_from(["r1", "r2", "other"])),
    st.builds(lambda amount: p.PaymentDepositApplied(**MONEY, capture_id="c", amount_minor=amount), AMOUNTS),
    st.builds(lambda amount: p.PaymentRefundReversed(**MONEY, refund_id="r1", amount_minor=amount, reason=""), AMOUNTS),
    st.builds(lambda amount: p.PaymentDisputeOpened(**MONEY, dispute_id="d", amount_minor=amount, reason=""), AMOUNTS),
    st.builds(lambda amount: p.PaymentDisputeLost(**MONEY, dispute_id="d", amount_minor=amount), AMOUNTS),
    st.sampled_from([PAYMENT, None]).map(cancelled),
)


@given(st.booleans(), st.lists(ANYTHING, max_size=25))
def test_whatever_happens_in_whatever_order_the_books_balance_and_nothing_is_posted_twice(
    deposit: bool, events: Sequence[Event]
) -> None:
    found = balances(placed(), requested(deposit=deposit), *events)
    assert found.get(chart.RECEIVABLE, 0) >= 0
    assert not (found.get(chart.RECEIVABLE) and found.get(chart.ADVANCES))
    assert found.get(chart.ADVANCES, 0) <= 0
    assert found.get(chart.DEPOSITS, 0) <= 0
    assert found.get(chart.DEFERRED, 0) <= 0


def test_the_verifier_says_where_clearing_is_not_what_the_payment_says() -> None:
    checks = BookChecks(Overflow())
    for recorded in as_recorded([*BEGIN, captured(600)]):
        checks.note(recorded)
    checks.tie(recorded, PAYMENT, 600)
    assert [check.failed for check in checks.checks] == [0, 0, 0]
    checks.tie(recorded, PAYMENT, 599)
    assert [check.failed for check in checks.checks] == [0, 1, 0]
    assert "the books have 600, its payment says 599" in checks.tied.differences[0]


def test_names_of_accounts_are_those_that_other_programs_take() -> None:
    assert chart.part_of("gift-card") == "gift-card"
    strange = ["Card", "card!", "微信", "a:b", "-", "x" * 200]
    made = {chart.part_of(name) for name in strange}
    assert len(made) == len(strange)
    assert all(chart.PLAIN.fullmatch(name) for name in made)
    assert exponent_of("JPY") == 0
