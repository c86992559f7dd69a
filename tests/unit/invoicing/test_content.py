"""The content of documents for partial captures, partial refunds, deposits and returns: sums are exact to the minor
unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.app.invoicing.content import (
    TAXED_AS,
    Part,
    Story,
    drawn_up,
    kept_until,
    lines_of,
    name_of,
    seller_of,
    seller_then,
)
from oms_es.kernel import Event, Recorded, Row
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.finance import invoicing as v

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDER = o.order_id_of("web", "W-1")
PAYMENT = f"{ORDER}.1"
SELLER = v.SetSeller(seller="ACME", name="Acme", country="DE", vat_id="DE123456789", included_tax="19")
amounts = st.integers(min_value=1, max_value=10**9)


def at(position: int, event: Event) -> Recorded:
    moment = AT + timedelta(seconds=position)
    return Recorded(position, "", 1, event, UUID(int=position), moment, None, ORDER, "")


def placed(**said: Any) -> o.OrderPlaced:
    whole: dict[str, Any] = {
        "channel": "web",
        "external_id": "W-1",
        "placed_at": AT,
        "currency": "EUR",
        "lines": (
            o.OrderLine(line_id="1", sku="TEA", quantity=3, unit_price_minor=999),
            o.OrderLine(line_id="2", sku="CUP", quantity=1, unit_price_minor=1250),
        ),
        "shipping_minor": 495,
        "ship_to": o.Address(name="Ada", city="Bonn", country="DE"),
    }
    command = o.PlaceOrder(**whole | said)
    return o.OrderPlaced(order_id=command.order_id, fingerprint=command.fingerprint, **command.content)


def released(*plans: o.ShipmentPlan) -> o.OrderReleased:
    return o.OrderReleased(
        order_id=ORDER, payment_id=PAYMENT, currency="EUR", shipments=plans, ship_to=o.Address(country="DE")
    )


PARCEL = o.ShipmentPlan(
    shipment_id="s-1",
    location="berlin",
    items=(),
    amount_minor=4742,
    lines=(
        o.LineShare(line_id="1", sku="TEA", quantity=3, amount_minor=2997),
        o.LineShare(line_id="2", sku="CUP", quantity=1, amount_minor=1250),
    ),
    shipping_minor=495,
)


def captured(amount: int, capture_id: str = "s-1", currency: str = "EUR") -> p.PaymentCaptured:
    of: Any = {"payment_id": PAYMENT, "order_id": ORDER, "currency": currency}
    return p.PaymentCaptured(**of, capture_id=capture_id, amount_minor=amount, reference=f"c-{capture_id}")


def refunded(amount: int, refund_id: str = "r-1") -> p.PaymentRefunded:
    of: Any = {"payment_id": PAYMENT, "order_id": ORDER, "currency": "EUR"}
    return p.PaymentRefunded(**of, refund_id=refund_id, amount_minor=amount, reference=f"r-{refund_id}")


def reversed_(amount: int, refund_id: str = "r-1") -> p.PaymentRefundReversed:
    of: Any = {"payment_id": PAYMENT, "order_id": ORDER, "currency": "EUR"}
    return p.PaymentRefundReversed(**of, refund_id=refund_id, amount_minor=amount, reason="account closed")


def story(payment: Sequence[Event], *order: Event, seller: v.SetSeller = SELLER) -> Story:
    """Return the history: the seller is set first, then the order is placed; the payment's events come last."""
    sellers = [at(1, v.SellerSet(**seller.model_dump()))]
    of_order = [at(n, event) for n, event in enumerate(order or (placed(), released(PARCEL)), 2)]
    return Story(of_order, [at(n, event) for n, event in enumerate(payment, 100)], sellers)


def documents(whole: Story) -> list[v.InvoiceContent]:
    """Issue documents one after the other, each from the rows of those before."""
    rows: dict[str, Row] = {}
    made = []
    for number, moved in enumerate(whole.moved, 1):
        until = whole.until(moved.position)
        seller, taxing = seller_of(until), seller_then(until)
        assert seller
        assert taxing
        content = drawn_up(until, moved, seller, rows, taxing)
        assert all(line.net_minor >= 0 for line in content.lines)
        assert all(line.tax_minor >= 0 for line in content.lines)
        assert content.total_minor == moved.event.amount_minor  # type: ignore[attr-defined] # what moves money has one
        sums = {name: getattr(content, name) for name in ("net_minor", "tax_minor", "total_minor", "kind", "part")}
        said = {"name": f"A-{number}", "corrects": "", **{name: getattr(content, name) for name in TAXED_AS}}
        rows[name_of(moved)] = {**sums, **said, "position": moved.position + 1}
        made.append(content)
    return made


def test_a_capture_of_a_parcel_is_an_invoice_of_its_lines() -> None:
    (invoice,) = documents(story([captured(4742)]))
    assert (invoice.kind, invoice.ahead, invoice.tax_code, invoice.tax_rate) == ("invoice", False, "S", "19")
    assert [(one.line_id, one.text, one.quantity, one.total_minor) for one in invoice.lines] == [
        ("1", "TEA", 3, 2997),
        ("2", "CUP", 1, 1250),
        ("", "Shipping", 1, 495),
    ]
    assert invoice.tax_minor == 757  # 47.42 * 19 / 119 = 7.571...
    assert invoice.worth_minor == 0
    assert (invoice.buyer.name, invoice.order_name, invoice.happened_on) == ("Ada", "W-1", "2026-03-01")


def test_a_part_of_a_parcel_says_what_it_is_a_part_of() -> None:
    first, second = documents(story([captured(1742), captured(3000, "s-1/2")]))
    assert first.worth_minor == 4742
    assert [one.total_minor for one in first.lines] == [1101, 459, 182]
    assert second.ahead, "no parcel is called so"


def test_a_deposit_is_an_invoice_of_an_advance_payment() -> None:
    (invoice,) = documents(story([captured(1000, "deposit")], placed()))
    assert invoice.ahead
    assert [one.text for one in invoice.lines] == ["Payment for order W-1"]


def test_tax_on_top_is_the_orders_and_is_called_by_the_rate_that_it_fits() -> None:
    taxed = placed(tax_minor=901)  # 47.42 * 19 % = 9.0098
    seller = SELLER.model_copy(update={"tax_rates": ("7", "19")})
    (invoice,) = documents(story([captured(5643, "all")], taxed, seller=seller))
    assert (invoice.tax_minor, invoice.tax_rate, invoice.tax_code) == (901, "19", "S")
    (unnamed,) = documents(story([captured(5643, "all")], taxed))
    assert unnamed.tax_rate == "19.0004"


def test_where_nothing_is_taxed_it_is_said_why() -> None:
    free = SELLER.model_copy(update={"included_tax": "0"})
    (zero,) = documents(story([captured(4742)], seller=free))
    assert (zero.tax_code, zero.tax_rate, zero.tax_minor) == ("Z", "0", 0)
    exempt = free.model_copy(update={"exempt_reason": "small business"})
    (said,) = documents(story([captured(4742)], seller=exempt))
    assert (said.tax_code, said.exempt_reason) == ("E", "small business")


def test_a_refund_is_a_credit_note_of_what_it_is_for() -> None:
    asked = p.PaymentRefundRequested(
        payment_id=PAYMENT,
        order_id=ORDER,
        refund_id="r-1",
        amount_minor=1350,
        currency="EUR",
        authorization="a",
        allocations=(
            p.RefundAllocation(kind="line", line_id="2", amount_minor=1250),
            p.RefundAllocation(kind="goodwill", amount_minor=100),
        ),
    )
    _, note = documents(story([captured(4742), asked, refunded(1350)]))
    assert note.kind == "credit_note"
    assert [(one.line_id, one.text, one.total_minor) for one in note.lines] == [
        ("2", "CUP", 1250),
        ("", "Goodwill", 100),
    ]
    assert note.precedes == ("A-1",)


def test_a_refund_that_came_back_is_invoiced_again_with_its_tax() -> None:
    _, note, again, last = documents(story([captured(4742), refunded(1000), reversed_(1000), refunded(1000, "r-2")]))
    assert (again.kind, again.precedes, again.reason) == ("invoice", ("A-2",), "account closed")
    assert again.tax_minor == note.tax_minor
    assert abs(last.tax_minor - note.tax_minor) <= 1, "what rounding left"


@given(
    st.lists(amounts, min_size=1, max_size=6), st.lists(amounts, max_size=6), st.sampled_from(["0", "7", "19", "8.875"])
)
def test_whatever_is_taken_and_given_back_in_parts_its_tax_is_taken_and_given_back(
    taken: list[int], back: list[int], rate: str
) -> None:
    """In the end everything is refunded, and net and tax sum to zero."""
    left, refunds = sum(taken), []
    for amount in back:
        if amount < left:
            refunds.append(amount)
            left -= amount
    events = [captured(amount, f"c-{n}") for n, amount in enumerate(taken)]
    events_back = [refunded(amount, f"r-{n}") for n, amount in enumerate([*refunds, left])]
    seller = SELLER.model_copy(update={"included_tax": rate})
    made = documents(story([*events, *events_back], placed(), seller=seller))
    signed = [(1 if one.kind == "invoice" else -1, one) for one in made]
    assert sum(sign * one.net_minor for sign, one in signed) == 0
    assert sum(sign * one.tax_minor for sign, one in signed) == 0
    invoiced = [one for one in made if one.kind == "invoice"]
    share = float(rate) / (100 + float(rate))
    assert abs(sum(one.tax_minor for one in invoiced) - sum(taken) * share) <= 1


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30), amounts, st.data())
def test_lines_sum_to_the_amount_and_the_tax_in_it(weights: list[int], amount: int, data: st.DataObject) -> None:
    tax = data.draw(st.integers(0, amount))
    lines = lines_of([Part(str(n), "x", 1, weight) for n, weight in enumerate(weights)], amount, tax)
    assert sum(one.total_minor for one in lines) == amount
    assert sum(one.tax_minor for one in lines) == tax


def test_more_lines_than_a_document_has_are_summed_up_in_the_last() -> None:
    lines = lines_of([Part(str(n), "x", 1, 1) for n in range(v.LINES_MAX + 9)], 5_000, 0)
    assert len(lines) == v.LINES_MAX
    assert lines[-1].text == "10 more lines"
    assert sum(one.total_minor for one in lines) == 5_000


def test_a_payment_is_one_sellers_from_its_first_money_on() -> None:
    other = v.SetSeller(seller="B", name="B", country="FR", vat_id="FR1234", channels=("web",))
    whole = story([captured(1000, "a"), captured(1000, "b")])
    later = whole._replace(sellers=[*whole.sellers, at(100, v.SellerSet(**other.model_dump()))])
    found = seller_of(later)
    assert found
    assert found.seller == "ACME"
    before = whole._replace(sellers=[*whole.sellers, at(50, v.SellerSet(**other.model_dump()))])
    found = seller_of(before)
    assert found
    assert found.seller == "B", "a seller that names the channel goes before one that has all others"


def test_a_payment_is_taxed_as_its_seller_was_set_when_its_first_money_came() -> None:
    untaxed = SELLER.model_copy(update={"included_tax": "0", "exempt_reason": "small business"})
    whole = story([captured(10_000, "a"), captured(10_000, "b"), refunded(5_000), reversed_(5_000)], seller=untaxed)
    again = SELLER.model_copy(update={"name": "Acme & Co", "exempt_reason": "another"})
    made = documents(whole._replace(sellers=[*whole.sellers, at(100, v.SellerSet(**again.model_dump()))]))
    assert [one.tax_minor for one in made] == [0, 0, 0, 0]
    assert {(one.tax_code, one.tax_rate, one.exempt_reason) for one in made} == {("E", "0", "small business")}
    assert [one.party.name for one in made[1:]] == ["Acme & Co"] * 3, "who sells is said as it is now"


def test_of_documents_with_several_rates_a_credit_note_says_what_they_come_to() -> None:
    """As after the correction of one of two invoices."""
    whole = story([captured(10_000, "a"), captured(11_900, "b"), refunded(5_000)], placed())
    common: Row = {"kind": "invoice", "corrects": "", "exempt_reason": "", "part": ""}
    untaxed = {"tax_code": "E", "tax_rate": "0", "exempt_reason": "x", "net_minor": 10_000, "tax_minor": 0}
    taxed = {"tax_code": "S", "tax_rate": "19", "net_minor": 10_000, "tax_minor": 1_900}
    rows: dict[str, Row] = {
        "capture/100": {**common, **untaxed, "total_minor": 10_000, "name": "A-1", "position": 1},
        "capture/101": {**common, **taxed, "total_minor": 11_900, "name": "A-2", "position": 2},
    }
    seller = v.SellerSet(**SELLER.model_dump())
    note = drawn_up(whole, whole.moved[-1], seller, rows, seller)
    assert (note.tax_code, note.tax_rate, note.exempt_reason) == ("S", "9.5", "")
    assert (note.net_minor, note.tax_minor) == (4_567, 433)


@pytest.mark.parametrize("position", [101, 500])
def test_what_was_taken_before_any_seller_was_set_has_no_document(position: int) -> None:
    whole = story([captured(1000, "a"), captured(1000, "b")])
    assert seller_of(whole._replace(sellers=[at(position, whole.sellers[0].event)])) is None


def test_it_is_kept_so_many_years_after_that_of_its_issue() -> None:
    assert kept_until(2026, v.SellerSet(**SELLER.model_dump())) == "2036-12-31"
