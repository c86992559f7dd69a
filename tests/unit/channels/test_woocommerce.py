"""WooCommerce's orders: totals to the cent, its own statuses, and a reason for each order that cannot be used."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.channels import DIALECTS, parser_of
from oms_es.kernel import BadInput, Command, Skipped
from oms_es.schemas.order import (
    NOWHERE,
    AmendOrder,
    CancelOrder,
    HoldOrder,
    LineUnits,
    PlaceOrder,
    RecordChannelRefund,
    order_id_of,
)
from oms_es.schemas.values.currency import to_minor
from repository import ROOT

REAL = Path(os.environ.get("OMS_REAL_PAYLOADS") or ROOT.parent / "shared" / "real-payloads") / "woocommerce"
HOME = {
    "first_name": "Ada",
    "last_name": "Example",
    "address_1": "1 Example Street",
    "city": "Bonn",
    "postcode": "53111",
    "country": "DE",
}
BLANK = dict.fromkeys(HOME, "")


def item(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "product_id": 70 + number,
        "variation_id": 0,
        "sku": f"SKU-{number}",
        "quantity": 1,
        "subtotal": "10.00",
        "total": "10.00",
        "price": 10,
        "meta_data": [{"id": 1, "key": "_x", "value": {"anything": [1, None]}}],
    } | changes


def payload(total: str = "10.00", **changes: Any) -> bytes:
    order = {
        "id": 4711,
        "status": "processing",
        "currency": "EUR",
        "date_created": "2026-01-05T19:00:00",
        "date_created_gmt": "2026-01-05T10:00:00",
        "date_modified_gmt": "2026-01-05T10:00:05",
        "total": total,
        "total_tax": "0.00",
        "shipping_total": "0.00",
        "customer_id": 0,
        "line_items": [item()],
        "shipping_lines": [{"id": 9, "method_id": "flat_rate", "total": "0.00"}],
        "shipping": HOME,
        "billing": HOME,
        "meta_data": [{"key": "is_vat_exempt", "value": "no"}, {"key": None, "value": {"deep": {"er": []}}}],
    }
    return json.dumps(order | changes).encode()


def parse(line: bytes) -> PlaceOrder:
    placed = DIALECTS["woocommerce"](line)
    assert isinstance(placed, PlaceOrder)
    return placed


def refusal(line: bytes, dialect: str = "woocommerce") -> BadInput:
    with pytest.raises(BadInput) as refused:
        DIALECTS[dialect](line)
    assert "\n" not in refused.value.detail
    return refused.value


def test_an_order_is_mapped_with_times_in_utc_and_deep_meta_data_unread() -> None:
    order = parse(payload())
    assert (order.channel, order.external_id, order.currency, order.total_minor) == ("woocommerce", "4711", "EUR", 1000)
    assert order.placed_at == datetime(2026, 1, 5, 10, tzinfo=UTC)
    (line,) = order.lines
    assert (line.line_id, line.sku, line.quantity, line.unit_price_minor) == ("1", "SKU-1", 1, 1000)
    assert (order.ship_to.name, order.ship_to.street, order.ship_to.country) == (
        "Ada Example",
        "1 Example Street",
        "DE",
    )
    assert (order.payment_token, order.fulfilled, order.cancelled) == ("woocommerce-4711", (), None)


def test_each_shop_may_be_a_channel_since_its_ids_are_its_own() -> None:
    parser = parser_of("woocommerce:shop-b")
    assert parser
    command = parser(payload())
    assert isinstance(command, PlaceOrder)
    assert (command.channel, command.order_id) == ("shop-b", order_id_of("shop-b", "4711"))
    assert command.order_id != parse(payload()).order_id


def test_local_time_is_not_taken_for_utc() -> None:
    line = json.loads(payload())
    del line["date_created_gmt"]
    assert refusal(json.dumps(line).encode()).reason == "invalid_order"


@pytest.mark.parametrize("status", ["pending", "on-hold", "processing"])
def test_what_is_open_in_the_shop_is_placed(status: str) -> None:
    assert parse(payload(status=status)) == parse(payload())


@pytest.mark.parametrize("status", ["cancelled", "refunded", "trash"])
def test_what_is_over_in_the_shop_is_history(status: str) -> None:
    order = parse(payload(status=status, refunds=[{"id": 1, "total": "-10.00"}]))
    assert order.cancelled
    assert order.fulfilled == ()
    update = DIALECTS["woocommerce_updated"](payload(status=status))
    assert isinstance(update, CancelOrder)
    assert update.keep


def test_what_is_over_and_cannot_be_placed_is_cancelled_if_it_is_known() -> None:
    assert isinstance(DIALECTS["woocommerce"](payload(status="cancelled", line_items=[])), CancelOrder)


def test_what_is_completed_was_sent() -> None:
    order = parse(payload(status="completed", refunds=[{"id": 1, "total": "-3.00"}]))
    assert order.fulfilled == (LineUnits(line_id="1", quantity=1),)
    update = DIALECTS["woocommerce_updated"](payload(status="completed"))
    assert isinstance(update, AmendOrder)
    assert update.fulfilled == order.fulfilled


def test_of_a_completed_order_that_was_refunded_in_part_it_is_known_only_that_it_was_sent() -> None:
    update = DIALECTS["woocommerce_updated"](payload(status="completed", refunds=[{"id": 1}]))
    assert isinstance(update, AmendOrder)
    assert (update.lines, update.fulfilled) == (None, (LineUnits(line_id="1", quantity=1),))


def test_what_failed_is_not_placed_and_is_held_where_it_is_known() -> None:
    assert refusal(payload(status="failed")).reason == "payment_failed"
    held = DIALECTS["woocommerce_updated"](payload(status="failed"))
    assert isinstance(held, HoldOrder)
    assert held.order_id == order_id_of("woocommerce", "4711")
    undated = DIALECTS["woocommerce_updated"](payload(status="failed", date_modified_gmt=None, date_modified=None))
    assert isinstance(undated, HoldOrder)
    assert held.revision
    assert undated == held.model_copy(update={"revision": None})


def test_an_update_of_which_no_goods_are_left_holds_the_order() -> None:
    emptied = payload("5.00", line_items=[], fee_lines=[{"total": "5.00"}])
    held = DIALECTS["woocommerce_updated"](emptied)
    assert isinstance(held, HoldOrder)
    assert held.order_id == order_id_of("woocommerce", "4711")
    assert refusal(emptied).reason == "nothing_to_ship"


@pytest.mark.parametrize("dialect", ["woocommerce", "woocommerce_updated"])
def test_drafts_are_skipped_and_unknown_states_refused(dialect: str) -> None:
    with pytest.raises(Skipped):
        DIALECTS[dialect](payload(status="checkout-draft"))
    assert refusal(payload(status="awaiting-shipment"), dialect).reason == "unknown_status"
    assert refusal(payload(refunds=[{"id": 3}]), dialect).reason == "partly_refunded"


def test_an_update_is_an_amendment_of_its_second_and_content() -> None:
    one, again, other = (
        DIALECTS["woocommerce_updated"](line)
        for line in (payload(), payload(), payload("20.00", line_items=[item(quantity=2, total="20", subtotal="20")]))
    )
    assert isinstance(one, AmendOrder)
    assert isinstance(other, AmendOrder)
    assert one == again
    assert one.amendment_id != other.amendment_id
    assert one.revision == int(datetime(2026, 1, 5, 10, 0, 5, tzinfo=UTC).timestamp())
    assert one.keep
    assert refusal(payload(date_modified_gmt=None), "woocommerce_updated").reason == "not_dated"


def test_tax_shipping_fees_and_coupons_make_the_total() -> None:
    order = parse(
        payload(
            "43.86",
            line_items=[item(1, quantity=3, subtotal="30.00", total="27.00"), item(2, subtotal="9.99", total="9.99")],
            fee_lines=[{"total": "2.50"}, {"total": "-4.00"}],
            shipping_total="5.00",
            total_tax="3.37",
            coupon_lines=[{"code": "ten", "discount": "3.00"}],
        )
    )
    assert order.total_minor == 4386
    assert [line.unit_price_minor for line in order.lines] == [1000, 999]
    assert (order.shipping_minor, order.tax_minor, order.discount_minor) == (750, 337, 700)


def test_a_price_that_is_no_whole_cent_is_rounded_up_and_taken_back() -> None:
    order = parse(payload("10.00", line_items=[item(quantity=3)]))
    assert (order.lines[0].unit_price_minor, order.discount_minor, order.total_minor) == (334, 2, 1000)


def test_parts_that_do_not_make_the_total_are_refused() -> None:
    assert refusal(payload("10.03")).reason == "total_mismatch"
    assert parse(payload("10.01")).total_minor == 1001  # of a cent of rounding in each part


def test_currencies_have_their_own_decimals() -> None:
    assert parse(payload("10", currency="JPY", line_items=[item(subtotal="10", total="10")])).total_minor == 10
    assert (
        parse(payload("1.234", currency="KWD", line_items=[item(subtotal="1.234", total="1.234")])).total_minor == 1234
    )
    assert refusal(payload("10.001")).reason == "invalid_amount"


@pytest.mark.parametrize("amount", ["ten", "NaN", "Infinity", "1e400", "1e-400", "9" * 40, "-1.00"])
def test_an_amount_that_is_none_is_refused(amount: str) -> None:
    assert refusal(payload(amount)).reason in ("invalid_order", "invalid_amount", "total_mismatch")
    assert refusal(payload(line_items=[item(total=amount)])).reason in (
        "invalid_order",
        "invalid_amount",
        "total_mismatch",
    )


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 99_999), st.integers(0, 100)), min_size=1, max_size=8),
    st.integers(0, 9_999),
    st.integers(0, 9_999),
)
def test_any_total_is_kept_to_the_cent(goods: list[tuple[int, int, int]], shipping: int, tax: int) -> None:
    items, total = [], shipping + tax
    for number, (quantity, subtotal, percent_off) in enumerate(goods, 1):
        paid = subtotal - subtotal * percent_off // 100
        total += paid
        amounts = {"subtotal": str(Decimal(subtotal) / 100), "total": str(Decimal(paid) / 100)}
        items.append(item(number, quantity=quantity, **amounts))
    shown = {"shipping_total": str(Decimal(shipping) / 100), "total_tax": str(Decimal(tax) / 100)}
    order = parse(payload(str(Decimal(total) / 100), line_items=items, **shown))
    assert order.total_minor == total
    assert all(
        line.quantity * line.unit_price_minor >= subtotal
        for line, (_, subtotal, _) in zip(order.lines, goods, strict=True)
    )


def test_products_without_a_sku_have_a_name() -> None:
    items = [
        item(1, sku=""),
        item(2, sku=None, variation_id=5),
        item(3, sku=" a b@c ", product_id=0),
        item(4, sku="", product_id=0),
    ]
    order = parse(payload("40.00", line_items=items))
    assert [line.sku for line in order.lines] == ["product-71", "variation-5", "a-b-c", "custom-4"]


def test_a_pickup_needs_no_address() -> None:
    lines = [{"method_id": "local_pickup:3", "total": "0.00"}]
    order = parse(payload(shipping_lines=lines, shipping=BLANK))
    assert (order.pickup, order.ship_to, order.delivery_option) == (True, NOWHERE, "pickup")


def test_what_is_not_shipped_is_refused_and_billing_is_where_shipping_says_nothing() -> None:
    assert refusal(payload(shipping_lines=[], shipping=BLANK)).reason == "nothing_to_ship"
    assert refusal(payload(line_items=[])).reason == "nothing_to_ship"
    assert parse(payload(shipping=BLANK)).ship_to.city == "Bonn"


def refund(**changes: Any) -> bytes:
    line = {"id": 31, "quantity": -2, "meta_data": [{"key": "_refunded_item_id", "value": "1"}]}
    reported = {
        "id": 8,
        "parent_id": 4711,
        "date_created_gmt": "2026-01-06T10:00:00",
        "line_items": [line],
        "reason": "",
    }
    return json.dumps(reported | changes).encode()


def test_a_refund_names_units_of_the_order() -> None:
    command = DIALECTS["woocommerce_refund"](refund())
    assert isinstance(command, RecordChannelRefund)
    assert command.lines == (LineUnits(line_id="1", quantity=2),)
    assert (command.order_id, command.refund_id, command.keep) == (order_id_of("woocommerce", "4711"), "8", True)
    by_link = {"up": [{"href": "https://shop.example/wp-json/wc/v3/orders/4711"}]}
    assert DIALECTS["woocommerce_refund"](refund(parent_id=None, _links=by_link)) == command


def test_a_refund_without_customer_knows_what_is_refused() -> None:
    assert refusal(refund(parent_id=0), "woocommerce_refund").reason == "invalid_order"
    unnamed = [{"id": 31, "quantity": -1, "meta_data": []}]
    assert refusal(refund(line_items=unnamed), "woocommerce_refund").reason == "invalid_order"


def test_a_deleted_order_is_cancelled() -> None:
    command = DIALECTS["woocommerce_deleted"](b'{"id": 4711}')
    assert isinstance(command, CancelOrder)
    assert command.order_id == order_id_of("woocommerce", "4711")


def real() -> Iterator[tuple[str, Any]]:
    """Return every object of every file that looks like a webhook's payload."""
    for path in sorted(REAL.glob("*.json")):
        reported = json.loads(path.read_text())
        several = (
            reported
            if isinstance(reported, list)
            else [*reported.get("create", []), *reported.get("update", []), *reported.get("orders", [])]
        )
        yield from ((path.name, one) for one in several or [reported])


@pytest.mark.skipif(not REAL.is_dir(), reason="the real payloads are not here")
def test_real_payloads_are_taken_to_the_cent_or_refused_with_a_reason() -> None:
    orders = refunds = 0
    for name, reported in real():
        line, inner = json.dumps(reported).encode(), reported.get("order", reported)
        if "line_items" in inner and "total" in inner:
            command: Command = parse(line)
            assert isinstance(command, PlaceOrder), name
            assert command.total_minor == to_minor(inner["total"], inner["currency"]), name
            assert (inner["status"] == "completed") == bool(command.fulfilled), name
            orders += 1
        elif "refunded_by" in reported:
            command = DIALECTS["woocommerce_refund"](line)
            assert isinstance(command, RecordChannelRefund), name
            assert command.order_id == order_id_of("woocommerce", "723"), name
            assert sum(unit.quantity for unit in command.lines) == -sum(
                i["quantity"] for i in reported["line_items"]
            ), name
            refunds += 1
        else:
            assert refusal(line).reason == "invalid_order", name
    assert (orders >= 10, refunds) == (True, 5)


def test_who_ordered_and_what_was_written_about_it_is_kept() -> None:
    order = parse(
        payload(
            customer_id=26,
            billing={**HOME, "email": "ada@example.com", "phone": "(555) 555-5555"},
            customer_note="please ring twice",
            meta_data=[
                {"key": "wpml_language", "value": "de"},
                {"key": "_paypal", "value": "x"},
                {"key": "n", "value": 2},
            ],
        )
    )
    assert order.customer is not None
    assert order.customer.model_dump(exclude_none=True) == {
        "customer_id": "26",
        "email": "ada@example.com",
        "phone": "(555) 555-5555",
    }
    assert (order.notes, order.metadata) == ("please ring twice", {"wpml_language": "de", "n": "2"})


@pytest.mark.parametrize(
    "strange", [{"customer_id": 0}, {"meta_data": {"a": 1}}, {"meta_data": ["x"]}, {"customer_note": []}]
)
def test_a_guest_is_no_customer_and_strange_metadata_is_not_read(strange: dict[str, Any]) -> None:
    order = parse(payload(**{"meta_data": None, **strange}))
    assert (order.customer, order.notes, order.metadata) == (None, "", {})


def test_an_order_of_the_oldest_api_says_who_ordered_it() -> None:
    old = {"order": json.loads(payload(customer_id=2, note="n", customer_note=None))}
    assert parse(json.dumps(old).encode()).customer_id == "2"
