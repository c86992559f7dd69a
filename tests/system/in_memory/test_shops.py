"""Orders that a shop shipped or charged itself, through the whole engine: neither happens again, whichever message
came first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from oms_es.channels import DIALECTS
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock
from outside import Outside, run_on
from whole_engine import WholeEngine, failed

HOME = {"name": "Ada Example", "address1": "1 Example Street", "city": "Bonn", "zip": "53111", "country_code": "DE"}
ORDER = {
    "id": 4711,
    "created_at": "2026-01-05T10:00:00+01:00",
    "updated_at": "2026-01-05T10:00:00+01:00",
    "currency": "EUR",
    "taxes_included": True,
    "total_price": "34.90",
    "shipping_lines": [{"price": "4.90"}],
    "line_items": [
        {"id": 1, "sku": "POT", "quantity": 2, "current_quantity": 2, "fulfillable_quantity": 2, "price": "10.00"},
        {"id": 2, "sku": "CUP", "quantity": 1, "current_quantity": 1, "fulfillable_quantity": 1, "price": "10.00"},
    ],
    "shipping_address": HOME,
}
LINES: Any = ORDER["line_items"]


def order(*lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return an order. `lines`: the fields that differ for each line."""
    items = [line | (lines[n] if n < len(lines) else {}) for n, line in enumerate(LINES)]
    return ORDER | {"line_items": items} | changes


def updated(*lines: dict[str, Any], at: str = "2026-01-05T10:05:00+01:00", **changes: Any) -> dict[str, Any]:
    return order(*lines, updated_at=at, **changes)


def sent(number: int = 9, **units: int) -> dict[str, Any]:
    items = [{"id": int(line[1:]), "quantity": n} for line, n in units.items()]
    return {"id": number, "order_id": 4711, "status": "success", "line_items": items}


def refunded(number: int = 8, at: str = "2026-01-05T10:04:00+01:00", **units: int) -> dict[str, Any]:
    items = [{"line_item_id": int(line[1:]), "quantity": n, "restock_type": "cancel"} for line, n in units.items()]
    return {"id": number, "order_id": 4711, "created_at": at, "refund_line_items": items}


class Shop:
    """`stock`: whether its goods are there when it is opened; without them its orders wait."""

    def __init__(self, *, stock: bool = False) -> None:
        self.engine = WholeEngine()
        self.outside = Outside(self.engine)
        self.engine.submit(OpenLocation(location="bonn", country="DE"))
        if stock:
            self.stock_comes()

    def stock_comes(self) -> None:
        for sku in ("POT", "CUP"):
            self.engine.submit(ReceiveStock(sku=sku, location="bonn", receipt_id="r", quantity=10))
        self.run()

    def submit(self, dialect: str, payload: dict[str, Any], *, run: bool = True) -> None:
        self.engine.submit(DIALECTS[dialect](json.dumps(payload).encode()))
        if run:
            self.run()
            self.engine.submit(DIALECTS[dialect](json.dumps(payload).encode()))

    def run(self) -> None:
        run_on(self.engine, self.outside)
        assert not failed(self.engine.history)

    @property
    def status(self) -> dict[str, Any]:
        (row,) = self.engine.open_rows("order_status")
        return dict(row)

    @property
    def exceptions(self) -> list[str]:
        return sorted(row["kind"] for row in self.engine.open_rows("open_exceptions"))

    def taken(self) -> int:
        captured: int = sum(e.amount_minor for e in self.events(p.PaymentCaptured))
        given_back: int = sum(e.amount_minor for e in self.events(p.PaymentRefunded))
        return captured - given_back

    def shipped(self) -> dict[str, int]:
        units: dict[str, int] = {}
        for event in self.events(sh.ShipmentDispatched):
            for item in event.items:
                units[item.sku] = units.get(item.sku, 0) + item.quantity
        return units

    def on_hand(self) -> dict[str, int]:
        return {row["sku"]: row["on_hand"] for row in self.engine.open_rows("stock_levels")}

    def events(self, shape: type[Any]) -> list[Any]:
        return [recorded.event for recorded in self.engine.log if isinstance(recorded.event, shape)]


def test_an_order_of_a_shop_is_shipped_and_charged_once() -> None:
    shop = Shop(stock=True)
    shop.submit("shopify", order())
    assert (shop.status["phase"], shop.taken(), shop.shipped()) == ("completed", 3490, {"POT": 2, "CUP": 1})


OVER = (
    {"cancelled_at": "2026-01-05T11:00:00+01:00"},
    {"financial_status": "voided"},
    {"financial_status": "refunded"},
    {"closed_at": "2026-01-06T11:00:00+01:00"},
)


@pytest.mark.parametrize("reported", OVER, ids=lambda reported: next(iter(reported)))
@pytest.mark.parametrize("topic", ["shopify", "shopify_updated"])
def test_what_is_over_in_the_shop_is_cancelled_here_however_it_is_reported(
    reported: dict[str, Any], topic: str
) -> None:
    history = Shop(stock=True)
    history.submit("shopify", order(**reported))
    assert (history.status["phase"], history.taken(), history.shipped()) == ("cancelled", 0, {})
    waiting = Shop()
    waiting.submit("shopify", order())
    waiting.submit(topic, updated(**reported))
    waiting.stock_comes()
    assert (waiting.status["phase"], waiting.taken(), waiting.shipped()) == ("cancelled", 0, {})
    assert waiting.exceptions == []


ALL_SENT = ({"fulfillable_quantity": 0}, {"fulfillable_quantity": 0})
ONE_SENT = ({"fulfillable_quantity": 1},)


def test_what_the_shop_has_sent_is_history_and_what_it_has_not_is_shipped_from_here() -> None:
    history = Shop(stock=True)
    history.submit("shopify", order(*ALL_SENT, fulfillment_status="fulfilled"))
    assert (history.status["phase"], history.status["total_minor"], history.taken()) == ("completed", 3490, 0)
    assert (history.shipped(), history.exceptions) == ({}, [])
    rest = Shop(stock=True)
    rest.submit("shopify", order(*ONE_SENT, fulfillment_status="partial"))
    assert (rest.status["phase"], rest.taken(), rest.shipped()) == ("completed", 2490, {"POT": 1, "CUP": 1})


TOLD_AS_SENT = [("shopify_fulfillment", sent(_1=1)), ("shopify_updated", updated(*ONE_SENT))]
TOLD_AS_REFUNDED = [
    ("shopify_refund", refunded(_1=1)),
    ("shopify_updated", updated({"current_quantity": 1, "fulfillable_quantity": 1}, current_total_price="24.90")),
]
TOLD = {
    "sent": TOLD_AS_SENT,
    "sent, by itself": TOLD_AS_SENT[:1],
    "sent, by an update": TOLD_AS_SENT[1:],
    "refunded": TOLD_AS_REFUNDED,
    "refunded, by itself": TOLD_AS_REFUNDED[:1],
}


@pytest.mark.parametrize("topics", TOLD.values(), ids=TOLD)
def test_a_unit_that_the_shop_sends_or_refunds_is_left_out_once_whatever_is_reported_first(
    topics: Sequence[Any],
) -> None:
    for said in permutations([("shopify", order()), *topics]):
        shop = Shop()
        for dialect, payload in said:
            shop.submit(dialect, payload)
        shop.stock_comes()
        assert (shop.status["phase"], shop.taken(), shop.shipped()) == ("completed", 2490, {"POT": 1, "CUP": 1})
        assert shop.exceptions == []


def test_goods_that_were_locked_for_what_the_shop_sent_have_left_their_shelf() -> None:
    for units in ({"_1": 1}, {"_1": 2, "_2": 1}):
        shop = Shop(stock=True)
        shop.submit("shopify", order(), run=False)
        shop.engine.settle()
        assert shop.status["phase"] == "awaiting_payment"
        shop.submit("shopify_fulfillment", sent(**units))
        assert shop.status["phase"] == "completed"
        assert shop.taken() == (2490 if len(units) == 1 else 0)
        assert shop.on_hand() == {"POT": 8, "CUP": 9}
        assert shop.exceptions == []


def test_parcels_with_what_the_shop_sent_are_stopped_while_they_can_be() -> None:
    shop = Shop(stock=True)
    shop.submit("shopify", order(), run=False)
    shop.engine.settle()
    for intent in list(shop.outside.look()):
        for command in shop.outside.answer(intent):
            shop.engine.submit(command)
    shop.engine.settle()
    assert shop.status["phase"] == "fulfilling"
    shop.submit("shopify_fulfillment", sent(_1=1))
    assert (shop.status["phase"], shop.taken(), shop.shipped()) == ("completed", 2490, {"POT": 1, "CUP": 1})


def test_a_shop_that_hears_of_our_parcels_says_them_back_and_nothing_follows() -> None:
    shop = Shop(stock=True)
    shop.submit("shopify", order())
    shop.submit("shopify_fulfillment", sent(_1=2, _2=1))
    shop.submit("shopify_updated", updated(*ALL_SENT, fulfillment_status="fulfilled"))
    assert (shop.taken(), shop.exceptions) == (3490, [])
    shop.submit("shopify_fulfillment", sent(10, _1=1))
    assert (shop.taken(), shop.exceptions) == (3490, [])  # a channel may say one parcel under two names
    shop.submit("shopify_fulfillment", sent(11, _1=3))
    assert (shop.taken(), shop.exceptions) == (3490, ["channel_contradiction"])


def test_an_order_that_was_exported_after_its_refund_has_it_in_it() -> None:
    shop = Shop()
    shop.submit("shopify", updated({"current_quantity": 1, "fulfillable_quantity": 1}, current_total_price="24.90"))
    shop.submit("shopify_refund", refunded(_1=1))
    shop.submit("shopify_updated", updated(at="2026-01-05T10:01:00+01:00"))
    shop.stock_comes()
    assert (shop.taken(), shop.shipped()) == (2490, {"POT": 1, "CUP": 1})


def test_an_update_of_before_the_refund_does_not_bring_its_unit_back() -> None:
    shop = Shop()
    for dialect, payload in (
        ("shopify", order()),
        ("shopify_refund", refunded(_1=1)),
        ("shopify_updated", updated(at="2026-01-05T10:01:00+01:00")),
    ):
        shop.submit(dialect, payload)
    shop.stock_comes()
    assert (shop.taken(), shop.shipped()) == (2490, {"POT": 1, "CUP": 1})


def test_a_refund_of_everything_ends_the_order_and_one_of_what_has_left_is_for_a_person() -> None:
    waiting = Shop()
    waiting.submit("shopify", order())
    waiting.submit("shopify_refund", refunded(_1=2, _2=1))
    assert (waiting.status["phase"], waiting.exceptions) == ("cancelled", [])
    gone = Shop(stock=True)
    gone.submit("shopify", order())
    gone.submit("shopify_refund", refunded(_1=1))
    assert (gone.taken(), gone.exceptions) == (3490, ["channel_contradiction"])
    money = Shop()
    money.submit("shopify", order())
    money.submit("shopify_refund", refunded())
    assert money.exceptions == ["backordered", "channel_contradiction"]


def test_of_two_updates_of_one_second_the_last_holds_and_a_person_is_informed() -> None:
    shop = Shop()
    shop.submit("shopify", order())
    for left, total in ((1, "24.90"), (2, "34.90"), (1, "24.90")):
        line = {"current_quantity": left, "fulfillable_quantity": left}
        shop.submit("shopify_updated", updated(line, current_total_price=total))
    assert shop.exceptions == ["backordered", "channel_contradiction"]
    shop = Shop()
    shop.submit("shopify", order())
    for left, total in ((2, "34.90"), (1, "24.90"), (2, "34.90")):
        line = {"current_quantity": left, "fulfillable_quantity": left}
        shop.submit("shopify_updated", updated(line, current_total_price=total))
    (reported,) = [row["detail"] for row in shop.engine.open_rows("open_exceptions") if "revision" in row["detail"]]
    assert "lines 2 x POT at 10.00 EUR, 1 x CUP at 10.00 EUR and 1 x POT at 10.00 EUR, 1 x CUP at 10.00 EUR" in reported
    assert shop.status["units"] == 2
    lines = tuple(
        o.OrderLine(line_id=line_id, sku=sku, quantity=n, unit_price_minor=1000)
        for line_id, sku, n in (("1", "POT", 2), ("2", "CUP", 1))
    )
    shop.engine.submit(o.AmendOrder(order_id=shop.status["order_id"], amendment_id="the first is right", lines=lines))
    shop.stock_comes()
    assert (shop.status["phase"], shop.taken(), shop.shipped()) == ("completed", 3490, {"POT": 2, "CUP": 1})
    shop = Shop()
    shop.submit("shopify", order())
    for left, total in ((2, "34.90"), (1, "24.90")):
        line = {"current_quantity": left, "fulfillable_quantity": left}
        shop.submit("shopify_updated", updated(line, current_total_price=total))
    shop.stock_comes()
    assert (shop.status["phase"], shop.taken(), shop.shipped()) == ("completed", 2490, {"POT": 1, "CUP": 1})


def test_what_is_collected_needs_no_address_and_no_carrier() -> None:
    for location, phase in ((None, "completed"), (7, "backordered")):
        shop = Shop(stock=True)
        shop.submit("shopify", order(shipping_address=None, source_name="pos", location_id=location))
        assert shop.status["phase"] == phase
        assert shop.events(sh.ShipmentBookingRequested) == []
        if location:
            shop.engine.submit(OpenLocation(location="shopify-7", country="DE"))
            for sku in ("POT", "CUP"):
                shop.engine.submit(ReceiveStock(sku=sku, location="shopify-7", receipt_id="r", quantity=5))
            shop.run()
        assert (shop.status["phase"], shop.status["delivered"], shop.taken()) == ("completed", 1, 3490)


def test_twenty_seven_vouchers_pay_an_order() -> None:
    shop = Shop(stock=True)
    vouchers = tuple(o.Tender(method="voucher", payment_token=f"v-{n}", amount_minor=100) for n in range(27))
    line = o.OrderLine(line_id="1", sku="POT", quantity=1, unit_price_minor=2900)
    placed = o.PlaceOrder(
        channel="web",
        external_id="V-27",
        placed_at=shop.engine.now,
        currency="BRL",
        lines=(line,),
        shipping_minor=1185,
        ship_to=o.Address(country="BR"),
        tenders=vouchers,
    )
    shop.engine.submit(placed)
    shop.run()
    assert (shop.status["phase"], shop.taken(), len(shop.events(p.PaymentCaptured))) == ("completed", 4085, 28)
    reported = shop.events(o.OrderPlaced)[0]
    assert (len(reported.tenders), len(reported.further_tenders), reported.all_tenders) == (20, 7, vouchers)


def test_a_refund_of_everything_before_the_release_is_counted_under_its_name() -> None:
    shop = Shop()
    shop.submit("shopify", order())
    shop.submit("shopify_refund", refunded(_1=2, _2=1))
    assert shop.status["phase"] == "cancelled"
    assert [event.report for event in shop.events(o.OrderCancelled)] == ["channel_refund/8"]
    known = len(shop.engine.log)
    shop.submit("shopify_refund", refunded(_1=2, _2=1))
    assert len(shop.engine.log) == known
    with pytest.raises(Refused, match="id_reused"):
        shop.submit("shopify_refund", refunded(_1=1))
