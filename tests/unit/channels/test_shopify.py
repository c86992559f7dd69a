"""Shopify's orders: totals to the cent, and a reason for each order that cannot be used."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.channels import DIALECTS, shopify
from oms_es.channels.shopify import parse_cancelled, parse_fulfillment, parse_refund, parse_updated
from oms_es.channels.shopify_order import REASON_UNSAID
from oms_es.kernel import BadInput
from oms_es.schemas.order import (
    NOWHERE,
    AmendOrder,
    CancelOrder,
    HoldOrder,
    LineUnits,
    PlaceOrder,
    early_names,
    order_id_of,
)
from oms_es.schemas.values.currency import to_minor
from oms_es.schemas.values.customer import METADATA_MAX, NOTES_LENGTH_MAX
from repository import ROOT

REAL = Path(os.environ.get("OMS_REAL_PAYLOADS") or ROOT.parent / "shared" / "real-payloads")
REAL_ORDERS = sorted((REAL / "shopify" / "orders").glob("*.json"))
HOME = {"name": "Ada Example", "address1": "1 Example Street", "city": "Bonn", "zip": "53111", "country_code": "DE"}


def item(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "sku": f"SKU-{number}",
        "variant_id": 70 + number,
        "quantity": 1,
        "current_quantity": 1,
        "price": "10.00",
        "requires_shipping": True,
        "title": "ignored",
    } | changes


def payload(total: str = "10.00", **changes: Any) -> bytes:
    order = {
        "id": 4711,
        "created_at": "2026-01-05T10:00:00+01:00",
        "currency": "EUR",
        "taxes_included": True,
        "total_price": total,
        "total_tax": "0.00",
        "total_discounts": "0.00",
        "line_items": [item()],
        "shipping_lines": [],
        "shipping_address": HOME,
        "tags": "ignored",
    }
    return json.dumps(order | changes).encode()


def parse(line: bytes) -> PlaceOrder:
    placed = shopify.parse(line)
    assert isinstance(placed, PlaceOrder)
    return placed


def refusal(line: bytes) -> BadInput:
    with pytest.raises(BadInput) as refused:
        parse(line)
    assert "\n" not in refused.value.detail
    return refused.value


def test_an_order_is_mapped() -> None:
    order = parse(payload())
    assert order == DIALECTS["shopify"](payload())
    assert (order.channel, order.external_id, order.currency) == ("shopify", "4711", "EUR")
    assert order.placed_at == datetime(2026, 1, 5, 9, tzinfo=UTC)
    (line,) = order.lines
    assert (line.line_id, line.sku, line.quantity, line.unit_price_minor) == ("1", "SKU-1", 1, 1000)
    assert (order.ship_to.street, order.ship_to.postal_code, order.ship_to.country) == (
        "1 Example Street",
        "53111",
        "DE",
    )


def test_an_imported_order_was_placed_when_it_was_processed() -> None:
    assert parse(payload(processed_at="2025-12-24T08:00:00Z")).placed_at == datetime(2025, 12, 24, 8, tzinfo=UTC)


def test_taxes_count_on_top_of_prices_that_exclude_them_only() -> None:
    assert parse(payload("11.90", taxes_included=False, total_tax="1.90")).tax_minor == 190
    assert parse(payload("10.00", taxes_included=True, total_tax="1.60")).tax_minor == 0


def test_shipping_and_discounts() -> None:
    order = parse(payload("12.40", shipping_lines=[{"price": "4.90"}], total_discounts="2.50"))
    assert (order.shipping_minor, order.discount_minor, order.total_minor) == (490, 250, 1240)


def test_duties_count_unless_the_prices_include_them() -> None:
    duties = {"shop_money": {"amount": "3.00", "currency_code": "EUR"}}
    assert parse(payload("13.00", original_total_duties_set=duties)).tax_minor == 300
    assert parse(payload("10.00", original_total_duties_set=duties, duties_included=True)).tax_minor == 0
    assert parse(payload("13.00", original_total_additional_fees_set=duties)).tax_minor == 300


@pytest.mark.parametrize(
    ("currency", "price", "minor"), [("JPY", "1000", 1000), ("JPY", "1000.00", 1000), ("KWD", "1.250", 1250)]
)
def test_minor_units_are_the_currencys_own(currency: str, price: str, minor: int) -> None:
    order = parse(payload(price, currency=currency, line_items=[item(price=price)]))
    assert order.total_minor == minor


def test_a_fraction_of_a_minor_unit_is_refused_with_its_field() -> None:
    refused = refusal(payload(currency="JPY", line_items=[item(price="10.50")]))
    assert refused.reason == "invalid_amount"
    assert refused.detail.startswith("line_items.1.price: ")


def test_goods_that_are_not_shipped_are_charged_and_not_stocked() -> None:
    card = item(2, price="25.00", quantity=2, current_quantity=2, requires_shipping=False, gift_card=True)
    order = parse(payload("60.00", line_items=[item(), card]))
    assert order.demand == {"SKU-1": 1}
    assert (order.shipping_minor, order.total_minor) == (5000, 6000)


def test_a_gift_card_is_shipped_only_if_the_shop_says_so() -> None:
    unstated = {name: value for name, value in item(2, gift_card=True).items() if name != "requires_shipping"}
    assert parse(payload("20.00", line_items=[item(), unstated])).demand == {"SKU-1": 1}
    assert parse(payload("20.00", line_items=[item(), item(2, gift_card=True)])).demand == {"SKU-1": 1, "SKU-2": 1}


def test_an_order_of_nothing_but_gift_cards_needs_nothing_from_here() -> None:
    assert refusal(payload(line_items=[item(requires_shipping=False)])).reason == "nothing_to_ship"
    assert refusal(payload(line_items=[])).reason == "nothing_to_ship"


def test_a_tip_is_counted_once_wherever_it_stands() -> None:
    tip_line = item(2, sku=None, variant_id=None, price="2.00", requires_shipping=False)
    as_line = parse(payload("12.00", line_items=[item(), tip_line], total_tip_received="2.00"))
    beside = parse(payload("12.00", total_tip_received="2.00"))
    assert as_line.total_minor == beside.total_minor == 1200
    assert as_line.shipping_minor == beside.shipping_minor == 200


@pytest.mark.parametrize("total", ["9.99", "10.01", "0.00"])
def test_a_total_that_its_parts_do_not_make_is_refused(total: str) -> None:
    refused = refusal(payload(total))
    assert refused.reason == "total_mismatch"
    assert "make 10.00 EUR" in refused.detail


@pytest.mark.parametrize(
    ("sku", "kept"), [("  A  1 ", "A-1"), ("a@b", "a-b"), (None, "variant-71"), ("", "variant-71"), (" ", "variant-71")]
)
def test_a_sku_is_made_fit_or_falls_back_to_the_variant(sku: str | None, kept: str) -> None:
    assert parse(payload(line_items=[item(sku=sku)])).lines[0].sku == kept


def test_an_item_made_up_for_one_order_is_charged_and_waits_under_a_name_of_its_own() -> None:
    order = parse(payload("15.00", line_items=[item(), item(2, sku=None, variant_id=None, price="5.00")]))
    assert (order.total_minor, order.demand) == (1500, {"SKU-1": 1, "custom-2": 1})


def test_a_line_of_no_units_is_left_out_and_so_are_units_that_were_taken_off() -> None:
    gone = item(2, quantity=0, current_quantity=0)
    assert parse(payload(line_items=[item(), gone])).demand == {"SKU-1": 1}
    shortened = [item(quantity=3, current_quantity=2), item(2, current_quantity=0)]
    order = parse(payload("40.00", current_total_price="20.00", line_items=shortened))
    assert (order.demand, order.total_minor) == ({"SKU-1": 2}, 2000)
    assert refusal(payload("40.00", line_items=shortened)).reason == "total_mismatch"


def test_the_address_falls_back_to_billing_then_to_the_customers() -> None:
    away = HOME | {"country_code": "FR"}
    customers = {"default_address": HOME | {"country_code": "NL"}}
    billed = parse(payload(shipping_address=None, billing_address=away, customer=customers))
    assert billed.ship_to.country == "FR"
    assert parse(payload(shipping_address=None, customer=customers)).ship_to.country == "NL"
    assert not parse(payload(shipping_address=None, customer=customers)).pickup


@pytest.mark.parametrize(
    "reported",
    [
        {"shipping_address": None},
        {"shipping_address": None, "customer": {"default_address": None}},
        {"shipping_address": None, "billing_address": HOME, "source_name": "pos"},
        {"shipping_lines": [{"price": "0.00", "code": "Pickup"}]},
        {"shipping_address": None, "billing_address": HOME, "shipping_lines": [{"price": "0", "code": "local_pickup"}]},
        {"shipping_lines": [{"price": "0.00", "delivery_category": "pick_up"}]},
    ],
)
def test_what_no_one_wants_sent_is_collected_at_the_counter(reported: dict[str, Any]) -> None:
    order = parse(payload(**reported))
    assert (order.pickup, order.pickup_at, order.delivery_option) == (True, None, "pickup")
    assert (order.ship_to, order.allow_split, order.total_minor) == (NOWHERE, False, 1000)
    there = parse(payload(**reported, location_id=55))
    assert (there.pickup_at, there.allow_split) == ("shopify-55", True)


def test_an_address_without_country_is_invalid() -> None:
    refused = refusal(payload(shipping_address=HOME | {"country_code": None}))
    assert (refused.reason, refused.detail.split(":")[0]) == ("invalid_order", "ship_to.country")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not_json"),
        (b'{"id": 1}', "invalid_order"),
        (payload(id="x"), "invalid_order"),
        (payload(created_at="2026-01-05T10:00:00"), "invalid_order"),
        (payload(total_discounts="11.00"), "total_mismatch"),
        (payload(line_items=[item(price="NaN")]), "invalid_order"),
        (payload(line_items=[item(price="1e999999999")]), "invalid_amount"),
        (payload(note="\x00"), "nul_character"),
    ],
)
def test_what_cannot_be_read_is_bad_input(line: bytes, reason: str) -> None:
    assert refusal(line).reason == reason


@given(
    lines=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 99_999), st.booleans()), min_size=1, max_size=6),
    shipping=st.integers(0, 9_999),
    tax=st.integers(0, 9_999),
    included=st.booleans(),
    off=st.integers(0, 100),
)
def test_the_total_is_kept_whatever_it_is_made_of(
    lines: list[tuple[int, int, bool]], shipping: int, tax: int, included: bool, off: int
) -> None:
    def amount(minor: int) -> str:
        return str(Decimal(minor).scaleb(-2))

    items = [
        item(i, quantity=quantity, current_quantity=quantity, price=amount(price), requires_shipping=shipped)
        for i, (quantity, price, shipped) in enumerate(((1, 500, True), *lines), start=1)
    ]
    goods = 500 + sum(quantity * price for quantity, price, _ in lines)
    total = goods + shipping + (0 if included else tax) - off
    order = parse(
        payload(
            amount(total),
            line_items=items,
            shipping_lines=[{"price": amount(shipping)}],
            total_tax=amount(tax),
            taxes_included=included,
            total_discounts=amount(off),
        )
    )
    assert order.total_minor == total


# --- what is over, sent, or given back in the shop


CANCELLED = {"cancelled_at": "2026-01-05T11:00:00+01:00", "cancel_reason": "customer"}


@pytest.mark.parametrize(
    ("reported", "reason"),
    [
        (CANCELLED, "customer"),
        ({"cancelled_at": "2026-01-05T11:00:00+01:00"}, REASON_UNSAID),
        ({"financial_status": "voided"}, "its payment was voided in the shop"),
        ({"financial_status": "refunded"}, "refunded in the shop"),
        ({"line_items": [item(current_quantity=0)], "current_total_price": "0.00"}, REASON_UNSAID),
        ({"fulfillment_status": "restocked"}, "restocked in the shop"),
        ({"closed_at": "2026-01-06T10:00:00Z"}, "closed in the shop before all of it was sent"),
    ],
)
def test_an_order_that_is_over_is_placed_as_cancelled_and_an_update_cancels_it(
    reported: dict[str, Any], reason: str
) -> None:
    order = parse(payload(**reported))
    assert (order.cancelled, order.total_minor, order.fulfilled) == (reason, 1000, ())
    assert parse_updated(updated(**reported)) == CancelOrder(**early_names("shopify", order.external_id), reason=reason)


def test_what_is_over_and_cannot_be_placed_even_so_is_cancelled_if_it_is_known() -> None:
    over = payload("10.00", line_items=[item(requires_shipping=False)], **CANCELLED)
    assert shopify.parse(over) == CancelOrder(**early_names("shopify", parse(payload()).external_id), reason="customer")


def test_a_test_of_the_shop_is_refused_and_so_is_an_update_of_one() -> None:
    assert refusal(payload(test=True)).reason == "test_order"
    with pytest.raises(BadInput, match="test_order"):
        parse_updated(updated(test=True))


SENT_ONE = {"id": 9, "status": "success", "line_items": [{"id": 1, "quantity": 1}]}


@pytest.mark.parametrize(
    ("line", "reported", "sent"),
    [
        ({"fulfillable_quantity": 3}, {}, 0),
        ({"fulfillable_quantity": 2}, {"fulfillment_status": "partial"}, 1),
        ({"fulfillable_quantity": 0, "fulfillment_status": "fulfilled"}, {}, 3),
        ({"fulfillable_quantity": 3}, {"fulfillment_status": "fulfilled"}, 3),
        ({}, {"fulfillments": [SENT_ONE]}, 1),
        ({}, {"fulfillments": [SENT_ONE, SENT_ONE | {"id": 10}]}, 2),
        ({}, {"fulfillments": [SENT_ONE | {"status": "cancelled"}, SENT_ONE | {"status": "error"}]}, 0),
        ({"fulfillable_quantity": 3}, {"fulfillments": [SENT_ONE | {"status": None}]}, 1),
    ],
)
def test_what_was_sent_already_is_reported_by_line(line: dict[str, Any], reported: dict[str, Any], sent: int) -> None:
    order = parse(payload("30.00", line_items=[item(quantity=3, current_quantity=3, **line)], **reported))
    assert order.demand == {"SKU-1": 3}
    assert sum(units.quantity for units in order.fulfilled) == sent


def test_an_order_that_was_sent_in_part_and_does_not_say_which_is_refused() -> None:
    assert refusal(payload(fulfillment_status="partial")).reason == "partly_fulfilled"


def test_an_order_that_was_refunded_in_part_and_does_not_say_which_is_refused() -> None:
    said: dict[str, Any] = {"financial_status": "partially_refunded", "updated_at": "2026-01-06T10:00:00Z"}
    for parsed in (shopify.parse, parse_updated):
        with pytest.raises(BadInput) as refused:
            parsed(payload(**said))
        assert refused.value.reason == "partly_refunded"
        with pytest.raises(BadInput) as refused:
            parsed(payload(**said, current_total_price="10.00", refunds=[]))
        assert refused.value.reason == "partly_refunded"
    two = [item(), item(2, current_quantity=0)]
    assert parse(payload("20.00", **said, line_items=two, current_total_price="10.00")).total_minor == 1000
    back = refund(order_adjustments=[{"kind": "refund_discrepancy", "amount": "-2.00"}])
    assert parse(payload(**said, refunds=[back], current_total_price="8.00")).total_minor == 800


def test_an_order_that_was_not_paid_for_in_time_is_refused_and_held_where_it_is_here() -> None:
    expired = payload(financial_status="expired", updated_at="2026-01-06T10:00:00Z")
    assert refusal(expired).reason == "payment_failed"
    held = parse_updated(expired)
    assert isinstance(held, HoldOrder)
    assert (held.order_id, held.kind) == (order_id_of("shopify", "4711"), "manual")
    assert held.revision == int(datetime(2026, 1, 6, 10, tzinfo=UTC).timestamp())
    undated = parse_updated(payload(financial_status="expired"))
    assert undated == held.model_copy(update={"revision": None})
    assert isinstance(
        shopify.parse(payload(financial_status="expired", cancelled_at="2026-01-06T10:00:00Z")), PlaceOrder
    )


def test_an_order_for_which_the_shop_has_set_nothing_aside_is_placed() -> None:
    assert parse(payload(confirmed=False)) == parse(payload(confirmed=True))


def refund(*units: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"id": 8, "order_id": 4711, "created_at": "2026-01-06T10:00:00Z", "refund_line_items": units} | changes


@pytest.mark.parametrize("restock_type", ["cancel", "no_restock", "return", "legacy_restock", None])
def test_refunds_count_where_no_one_says_what_is_left(restock_type: str | None) -> None:
    lines = [{name: value for name, value in item(n).items() if name != "current_quantity"} for n in (1, 2, 3)]
    reported = refund(*({"line_item_id": n, "quantity": 1, "restock_type": restock_type} for n in (1, 3)))
    order = parse(payload("30.00", line_items=lines, refunds=[reported], current_total_price="10.00"))
    assert (order.demand, order.total_minor) == ({"SKU-2": 1}, 1000)
    unstated = parse(payload("30.00", line_items=lines, refunds=[reported]))
    assert (unstated.demand, unstated.total_minor) == ({"SKU-2": 1}, 1000)


def test_older_versions_say_the_discount_and_tax_of_a_refund_with_its_units() -> None:
    line = {name: value for name, value in item(quantity=4).items() if name != "current_quantity"}
    reported = refund(
        {"line_item_id": 1, "quantity": 1, "restock_type": "cancel", "subtotal": "9.00", "total_tax": "1.71"},
        order_adjustments=[{"kind": "shipping_refund", "amount": "-2.00"}],
    )
    whole = {
        "total_discounts": "4.00",
        "taxes_included": False,
        "total_tax": "6.84",
        "shipping_lines": [{"price": "2.00"}],
    }
    order = parse(payload("44.84", line_items=[line], refunds=[reported], **whole))
    assert (order.shipping_minor, order.tax_minor, order.discount_minor) == (0, 513, 300)
    assert order.total_minor == 3213


def test_money_that_went_back_without_units_is_not_charged() -> None:
    order = parse(payload("10.00", refunds=[refund()], current_total_price="7.50"))
    assert (order.demand, order.total_minor, order.discount_minor) == ({"SKU-1": 1}, 750, 250)


def money(amount: str) -> dict[str, Any]:
    return {"shop_money": {"amount": amount, "currency_code": "EUR"}}


@pytest.mark.parametrize(("off", "stated"), [("5.00", "0.00"), ("2.50", "2.50"), ("2.50", "5.00")])
def test_a_discount_of_shipping_counts_once_whether_its_price_is_stated_before_it_or_after(
    off: str, stated: str
) -> None:
    line = {"price": "5.00", "discounted_price": stated, "discount_allocations": [{"amount": off}]}
    total = str(Decimal(15) - Decimal(off))
    now = {"current_total_price": total, "current_total_discounts": off, "current_shipping_price_set": money(stated)}
    order = parse(payload(total, shipping_lines=[line], total_discounts=off, **now))
    assert (order.shipping_minor, order.discount_minor) == (500, to_minor(off, "EUR"))
    assert order.total_minor == to_minor(total, "EUR")
    older = parse(payload(total, shipping_lines=[line], total_discounts=off))
    assert older.total_minor == order.total_minor


def test_a_discount_of_shipping_explains_no_other_total() -> None:
    line = {"price": "5.00", "discount_allocations": [{"amount": "5.00"}]}
    now = {"current_total_price": "11.00", "current_shipping_price_set": money("0.00")}
    assert refusal(payload("11.00", shipping_lines=[line], total_discounts="5.00", **now)).reason == "total_mismatch"


WITHHELD = {"refund_line_items": [{"line_item_id": 1, "quantity": 1, "restock_type": "cancel"}]}


@pytest.mark.parametrize(
    ("given_back", "total_minor"),
    [
        ({"order_adjustments": [{"kind": "refund_discrepancy", "amount": "-3.00"}]}, 2200),
        ({"transactions": [{"kind": "refund", "status": "success", "amount": "3.00", "currency": "EUR"}]}, 2200),
        ({"transactions": [{"kind": "refund", "status": "failure", "amount": "3.00"}]}, 2500),
        ({"transactions": [{"kind": "refund", "status": "success", "amount": "3.00", "currency": "USD"}]}, 2500),
        ({"order_adjustments": [{"kind": "shipping_refund", "amount": "-4.20", "tax_amount": "-0.80"}]}, 2000),
        (WITHHELD | {"order_adjustments": [{"kind": "refund_discrepancy", "amount": "2.00"}]}, 1700),
    ],
)
def test_older_versions_say_with_a_refund_what_was_given_back_besides_units(
    given_back: dict[str, Any], total_minor: int
) -> None:
    lines = [{name: value for name, value in item(quantity=2).items() if name != "current_quantity"}]
    reported = refund(**{"order_adjustments": [], **given_back})
    order = parse(payload("25.00", line_items=lines, shipping_lines=[{"price": "5.00"}], refunds=[reported]))
    assert order.total_minor == total_minor


def test_a_refund_of_shipping_gives_its_tax_back_too() -> None:
    back = refund(order_adjustments=[{"kind": "shipping_refund", "amount": "-5.00", "tax_amount": "-0.95"}])
    taxed = {"taxes_included": False, "total_tax": "2.85", "shipping_lines": [{"price": "5.00"}]}
    order = parse(payload("17.85", refunds=[back], **taxed))
    assert (order.shipping_minor, order.tax_minor, order.total_minor) == (0, 190, 1190)


def test_a_unit_that_was_sent_and_came_back_is_none_that_was_sent() -> None:
    line = {name: value for name, value in item(quantity=2).items() if name != "current_quantity"}
    back = refund({"line_item_id": 1, "quantity": 1, "restock_type": "return"})
    order = parse(payload("20.00", line_items=[line], refunds=[back], fulfillments=[SENT_ONE]))
    assert (order.demand, order.fulfilled) == ({"SKU-1": 1}, ())


def test_a_refund_names_the_units_that_may_still_be_here() -> None:
    units = (
        {"line_item_id": 1, "quantity": 1, "restock_type": "cancel"},
        {"line_item_id": 2, "quantity": 1, "restock_type": "return"},
    )
    service = {"line_item_id": 3, "quantity": 1, "line_item": {"id": 3, "quantity": 1, "requires_shipping": False}}
    reported = parse_refund(json.dumps(refund(*units, service, note="damaged")).encode())
    assert reported.lines == (LineUnits(line_id="1", quantity=1),)
    assert (reported.order_id, reported.refund_id, reported.reason) == (parse(payload()).order_id, "8", "damaged")
    assert reported.revision == int(datetime(2026, 1, 6, 10, tzinfo=UTC).timestamp())


def test_a_fulfillment_names_its_units_and_one_of_which_nothing_came_is_refused() -> None:
    sent = {**SENT_ONE, "order_id": 4711}
    reported = parse_fulfillment(json.dumps(sent).encode())
    assert (reported.order_id, reported.fulfilment_id, reported.keep) == (parse(payload()).order_id, "9", True)
    assert reported.lines == (LineUnits(line_id="1", quantity=1),)
    gift = {"line_items": [{"id": 1, "quantity": 1, "requires_shipping": False}]}
    for changes, reason in (
        ({"status": "cancelled"}, "not_sent"),
        ({"order_id": None}, "invalid_order"),
        (gift, "nothing_to_ship"),
    ):
        with pytest.raises(BadInput) as refused:
            parse_fulfillment(json.dumps(sent | changes).encode())
        assert refused.value.reason == reason


@pytest.mark.parametrize("field", ["updated_at", "created_at", "processed_at"])
@pytest.mark.parametrize("moment", ["1969-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_date_out_of_any_calendar_is_bad_input(field: str, moment: str) -> None:
    for read, line in ((parse, payload(**{field: moment})), (parse_updated, updated(**{field: moment}))):
        if (read, field) == (parse_updated, "created_at"):
            line = updated(created_at=moment, processed_at=moment)
        if (read, field) == (parse, "created_at"):
            line = payload(created_at=moment, processed_at=moment)
        with pytest.raises(BadInput):
            read(line)


def test_more_lines_than_an_order_has_are_bad_input_everywhere() -> None:
    many = [{"id": n, "quantity": 1} for n in range(1, 602)]
    with pytest.raises(BadInput):
        parse_fulfillment(json.dumps({"id": 1, "order_id": 2, "line_items": many}).encode())
    with pytest.raises(BadInput):
        parse_refund(json.dumps(refund(*({"line_item_id": n, "quantity": 1} for n in range(601)))).encode())


TOPICS = {
    "orders/create": "shopify",
    "orders/paid": "shopify_updated",
    "orders/updated": "shopify_updated",
    "orders/fulfilled": "shopify_updated",
    "orders/partially_fulfilled": "shopify_updated",
    "orders/link_requested": "shopify_updated",
    "orders/cancelled": "shopify_cancelled",
    "fulfillments/create": "shopify_fulfillment",
    "fulfillments/update": "shopify_fulfillment",
    "refunds/create": "shopify_refund",
}
"""By which dialect each topic is read; what is not among them is none of ours and refused by every dialect."""


@pytest.mark.skipif(not REAL_ORDERS, reason=f"no real payloads at {REAL}: set OMS_REAL_PAYLOADS to their folder")
@pytest.mark.parametrize(
    "path", sorted((REAL / "shopify").glob("*/*.json")), ids=lambda path: "/".join(path.parts[-2:])
)
def test_every_real_payload_is_what_it_says_or_refused_with_a_reason(path: Path) -> None:
    real = json.loads(path.read_text())["response"]
    topic = f"{path.parts[-2]}/{path.stem}"
    line = json.dumps(real).encode()
    for name in (*TOPICS.values(), "canonical"):
        try:
            command = DIALECTS[name](line)
        except BadInput as bad:
            assert bad.reason
            assert topic not in TOPICS or name != TOPICS[topic]
            continue
        assert topic in TOPICS
        assert not isinstance(command, PlaceOrder) or command.cancelled, "what was cancelled is not placed"


@pytest.mark.skipif(not REAL_ORDERS, reason=f"no real payloads at {REAL}: set OMS_REAL_PAYLOADS to their folder")
def test_a_real_order_that_is_neither_a_test_nor_cancelled_costs_what_it_says() -> None:
    real = json.loads((REAL / "shopify" / "orders" / "create.json").read_text())["response"]
    order = parse(json.dumps(real | {"test": False, "cancelled_at": None, "financial_status": "paid"}).encode())
    assert order.total_minor == to_minor(real["current_total_price"], real["currency"])
    assert len(order.lines) == len(real["line_items"])
    refunded = json.loads((REAL / "shopify" / "refunds" / "create.json").read_text())["response"]
    reported = parse_refund(json.dumps(refunded).encode())
    assert reported.order_id == order.order_id
    assert {units.line_id for units in reported.lines} <= {line.line_id for line in order.lines}


# --- orders/updated, orders/cancelled


def updated(total: str = "10.00", **changes: Any) -> bytes:
    now = {"updated_at": "2026-01-05T12:00:00+01:00", "current_total_price": total, "current_total_discounts": "0.00"}
    return payload("10.00", **(now | changes))


def amendment(line: bytes) -> AmendOrder:
    command = parse_updated(line)
    assert isinstance(command, AmendOrder)
    return command


def test_an_update_is_an_amendment_of_all_that_it_says_and_waits_for_its_order() -> None:
    reported, order = amendment(updated()), parse(payload())
    assert (reported.order_id, reported.keep, reported.delivery_option) == (order.order_id, True, None)
    assert (reported.lines, reported.ship_to, reported.shipping_minor) == (
        order.lines,
        order.ship_to,
        order.shipping_minor,
    )
    later = amendment(updated(updated_at="2026-01-05T12:00:01+01:00"))
    assert later.revision == (reported.revision or 0) + 1
    assert later.amendment_id != reported.amendment_id
    other = amendment(updated("20.00", line_items=[item(quantity=2, current_quantity=2)]))
    assert (other.revision, amendment(updated())) == (reported.revision, reported)
    assert other.amendment_id != reported.amendment_id


def test_what_was_taken_off_an_order_is_not_in_its_update() -> None:
    items = [item(1, quantity=3, current_quantity=2), item(2, current_quantity=0)]
    shipping = {"current_shipping_price_set": {"shop_money": {"amount": "4.90"}}}
    reported = amendment(updated("24.90", line_items=items, **shipping))
    assert [(line.line_id, line.quantity) for line in reported.lines or ()] == [("1", 2)]
    assert reported.shipping_minor == 490


def test_an_update_of_a_cancelled_order_or_of_one_without_units_is_a_cancellation() -> None:
    off = CancelOrder(**early_names("shopify", parse(payload()).external_id), reason="customer")
    assert parse_updated(updated(cancelled_at="2026-01-05T12:00:00+01:00", cancel_reason="customer")) == off
    nothing_left = updated("0.00", line_items=[item(current_quantity=0)])
    assert parse_updated(nothing_left) == off.model_copy(update={"reason": REASON_UNSAID})
    assert parse_cancelled(payload(cancel_reason="customer")) == off


def test_an_update_that_leaves_nothing_to_ship_and_something_to_charge_holds_the_order() -> None:
    card = item(2, price="50.00", requires_shipping=False)
    held = parse_updated(updated("50.00", line_items=[item(current_quantity=0), card]))
    assert isinstance(held, HoldOrder)
    assert (held.order_id, held.kind) == (order_id_of("shopify", "4711"), "manual")
    assert isinstance(parse_updated(updated("60.00", line_items=[item(), card])), AmendOrder)
    with pytest.raises(BadInput, match="nothing_to_ship"):
        parse_updated(updated("50.00", line_items=[card]))


def test_an_update_that_does_not_add_up_or_has_no_date_is_refused() -> None:
    for line, reason in ((updated("11.00"), "total_mismatch"), (updated(updated_at=None), "not_dated")):
        with pytest.raises(BadInput) as refused:
            parse_updated(line)
        assert refused.value.reason == reason


@pytest.mark.skipif(not REAL_ORDERS, reason=f"no real payloads at {REAL}: set OMS_REAL_PAYLOADS to their folder")
@pytest.mark.parametrize("topic", ["updated", "cancelled"])
def test_real_updates_of_a_cancelled_order_are_cancellations_and_of_another_add_up(topic: str) -> None:
    real = json.loads((REAL / "shopify" / "orders" / f"{topic}.json").read_text())["response"]
    dialect = DIALECTS[f"shopify_{topic}"]
    assert isinstance(dialect(json.dumps(real).encode()), CancelOrder)
    on = {"cancelled_at": None, "test": False, "financial_status": "paid"}
    reported = amendment(json.dumps(real | on).encode())
    assert sum(line.quantity for line in reported.lines or ()) == sum(i["current_quantity"] for i in real["line_items"])


def test_who_ordered_and_what_was_written_about_it_is_kept() -> None:
    customer = {"id": 115310627314723950, "email": "other@example.com", "phone": "+1 613 555 0100"}
    order = parse(
        payload(
            email="ada@example.com",
            customer=customer,
            customer_locale="en-CA",
            note="please ring twice",
            note_attributes=[
                {"name": "gift", "value": "yes"},
                {"name": " gift", "value": "no"},
                {"name": "n", "value": 2},
            ],
        )
    )
    assert order.customer is not None
    assert order.customer.model_dump() == {
        "customer_id": "115310627314723950",
        "email": "ada@example.com",
        "phone": "+1 613 555 0100",
        "language": "en-CA",
    }
    assert (order.notes, order.metadata) == ("please ring twice", {"gift": "yes", "n": "2"})


@pytest.mark.parametrize(
    "strange",
    [
        {"email": "", "phone": None, "customer": None},
        {"email": "not an address", "customer": {"id": None, "email": 7}},
        {"phone": "none", "customer": {"phone": {"x": 1}}},
        {"customer_locale": "the one they speak"},
        {"note_attributes": None},
        {"note_attributes": [{"name": "", "value": "x"}, {"value": "x"}, {"name": "x", "value": [1]}]},
        {"note_attributes": [{"name": "x", "value": "4111 1111 1111 1111"}, {"name": "y" * 61, "value": "y"}]},
        {"note": 7},
    ],
)
def test_what_a_shop_says_of_its_customer_keeps_no_order_from_being_taken(strange: dict[str, Any]) -> None:
    order = parse(payload(**strange))
    assert (order.customer, order.notes, order.metadata) == (None, "", {})


def test_notes_that_are_too_long_are_cut_and_a_cards_number_in_them_is_masked() -> None:
    order = parse(payload(note="my card is 4111 1111 1111 1111 " + "x" * 9_000))
    assert order.notes.startswith("my card is **** **** **** 1111 xx")
    assert len(order.notes) == NOTES_LENGTH_MAX
    attributes = [{"name": f"k{n}", "value": "v"} for n in range(99)]
    assert len(parse(payload(note_attributes=attributes)).metadata) == METADATA_MAX
