"""Two orders are promised the same unit: the shortage is reported and shown, and the money waits."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import permutations

import pytest

from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import stock as s
from oms_es.schemas.catalog.location import OpenLocation
from outside import Outside, run_on
from shop import Shop, an_order
from whole_engine import START, WholeEngine, failed


def order(number: int) -> o.PlaceOrder:
    return o.PlaceOrder(
        channel="web",
        external_id=str(number),
        placed_at=START,
        currency="EUR",
        lines=(o.OrderLine(line_id="1", sku="TEA", quantity=1, unit_price_minor=1_000),),
        ship_to=o.Address(country="DE"),
    )


def test_p02_a_shortfall_is_an_event_and_an_exception_and_no_one_pays_for_what_is_not_there() -> None:
    engine = WholeEngine()
    engine.submit(OpenLocation(location="berlin", country="DE"))
    engine.submit(s.ReceiveStock(sku="TEA", location="berlin", receipt_id="r", quantity=1))
    engine.settle()
    first, second = order(1), order(2)
    engine.submit(first)
    engine.submit(second)
    (sourcing,) = (consumer for consumer in engine.behind() if consumer.name == "sourcing")
    while sourcing in engine.behind():  # both are sourced before either is reserved
        engine.step(sourcing)
    run_on(engine, Outside(engine))
    happened = Counter((type(r.event).__name__, getattr(r.event, "order_id", "")) for r in engine.log)
    assert [happened["OrderSourced", each.order_id] for each in (first, second)] == [
        1,
        2,
    ]  # sourced again, and no location has it
    assert happened["StockShort", second.order_id] == 1
    phases = {row["order_id"]: row["phase"] for row in engine.open_rows("order_status")}
    assert phases == {first.order_id: "completed", second.order_id: "backordered"}
    (exception,) = engine.open_rows("open_exceptions")
    assert (exception["order_id"], exception["kind"]) == (second.order_id, "backordered")
    assert happened["PaymentRequested", second.order_id] == 0
    assert not failed(engine.history)


def broken_promises(engine: WholeEngine) -> list[str]:
    return [row["exception_id"] for row in engine.open_rows("open_exceptions") if row["kind"] == "promise_broken"]


def test_a_promise_that_a_count_broke_is_an_exception_until_the_order_is_cancelled() -> None:
    """The payment was requested: the unit is not sourced elsewhere without a person's decision."""
    engine = WholeEngine()
    engine.submit(OpenLocation(location="berlin", country="DE"))
    engine.submit(s.ReceiveStock(sku="TEA", location="berlin", receipt_id="r", quantity=1))
    engine.submit(order(1))
    engine.settle()  # the payment is requested, and the provider does not answer
    engine.submit(s.CountStock(sku="TEA", location="berlin", count_id="c", quantity=0))
    engine.settle()
    assert broken_promises(engine) == [f"promise_broken/TEA@berlin/{order(1).order_id}/1"]
    engine.submit(o.CancelOrder(order_id=order(1).order_id, reason="not there"))
    engine.settle()
    assert broken_promises(engine) == []
    assert not failed(engine.history)


def test_a_promise_that_is_sourced_elsewhere_is_a_backorder_and_no_broken_promise() -> None:
    engine = WholeEngine()
    engine.submit(OpenLocation(location="berlin", country="DE"))
    engine.submit(s.ReceiveStock(sku="TEA", location="berlin", receipt_id="r", quantity=1))
    both = order(1).model_copy(
        update={"lines": (*order(1).lines, o.OrderLine(line_id="2", sku="POT", quantity=1, unit_price_minor=500))}
    )
    engine.submit(both)  # there is no pot: it waits, and no money is due yet
    engine.settle()
    engine.submit(s.CountStock(sku="TEA", location="berlin", count_id="c", quantity=0))
    engine.settle()
    kinds = {row["kind"]: row["detail"] for row in engine.open_rows("open_exceptions")}
    assert kinds == {"backordered": "waits for 1 x POT, 1 x TEA"}
    assert not failed(engine.history)


ALLOCATOR, PROGRESS, JOINER = "stock_allocator", "order_progress", "order_joiner"


@pytest.mark.parametrize("first", [*permutations((ALLOCATOR, PROGRESS, JOINER))])
def test_what_is_split_off_a_broken_promise_is_sourced_again_anyone_who_hears_of_it_first(
    first: tuple[str, ...],
) -> None:
    """The reservation existed in the books only, so no payment is due for it."""
    engine = WholeEngine()
    engine.submit(OpenLocation(location="berlin", country="DE"))
    engine.submit(s.ReceiveStock(sku="TEA", location="berlin", receipt_id="r", quantity=2))
    engine.submit(an_order("1", ("TEA", 2)))
    engine.settle()  # the payment is requested, and the provider does not answer
    order_id = o.order_id_of("web", "1")
    engine.submit(s.CountStock(sku="TEA", location="berlin", count_id="c", quantity=0))
    engine.submit(o.SplitOrder(order_id=order_id, split_id="s", lines=(o.LineUnits(line_id="1", quantity=1),)))
    for name in first:
        for consumer in engine.behind():
            while consumer.name == name and consumer in engine.behind():
                engine.step(consumer)
    engine.settle()
    off = o.order_id_of("web", "split/s/1")
    exceptions = {row["exception_id"]: row["detail"] for row in engine.open_rows("open_exceptions")}
    assert exceptions == {
        f"promise_broken/TEA@berlin/{order_id}/1": "1 x TEA at berlin are not there",
        f"backordered/{off}": "waits for 1 x TEA",
    }
    assert not asked_for_money(engine, off)
    engine.submit(s.ReceiveStock(sku="TEA", location="berlin", receipt_id="r2", quantity=1))
    engine.settle()
    phases = {row["order_id"]: row["phase"] for row in engine.open_rows("order_status")}
    assert phases[off] == "awaiting_payment"
    assert asked_for_money(engine, off)
    assert not failed(engine.history)


def asked_for_money(engine: WholeEngine, order_id: str) -> bool:
    return any(isinstance(r.event, p.PaymentRequested) and r.event.order_id == order_id for r in engine.log)


@pytest.mark.parametrize("first", [*permutations((ALLOCATOR, PROGRESS, JOINER))])
def test_what_is_merged_of_a_broken_promise_is_sourced_again_anyone_who_hears_of_it_first(
    first: tuple[str, ...],
) -> None:
    engine = WholeEngine()
    engine.submit(OpenLocation(location="berlin", country="DE"))
    engine.submit(s.ReceiveStock(sku="TEA", location="berlin", receipt_id="r", quantity=2))
    engine.submit(an_order("1", ("TEA", 1)))
    engine.submit(an_order("2", ("TEA", 1)))
    engine.settle()
    engine.submit(s.CountStock(sku="TEA", location="berlin", count_id="c", quantity=0))
    parts = (o.order_id_of("web", "1"), o.order_id_of("web", "2"))
    engine.submit(o.MergeOrders(channel="web", merge_id="m", order_ids=parts))
    for name in first:
        for consumer in engine.behind():
            while consumer.name == name and consumer in engine.behind():
                engine.step(consumer)
    engine.settle()
    merged = o.order_id_of("web", "merge/m")
    waits = {row["order_id"]: row["detail"] for row in engine.open_rows("open_exceptions")}
    assert waits == {merged: "waits for 2 x TEA"}
    assert not asked_for_money(engine, merged)
    engine.submit(s.ReceiveStock(sku="TEA", location="berlin", receipt_id="r2", quantity=2))
    engine.settle()
    phases = {row["order_id"]: row["phase"] for row in engine.open_rows("order_status")}
    assert phases == {**dict.fromkeys(parts, "merged"), merged: "awaiting_payment"}
    assert not failed(engine.history)


def test_anyone_who_was_placed_first_is_served_first_in_part_too_however_many_small_orders_wait() -> None:
    """Of 16 units that arrive, the earlier order keeps all and waits for four; then the nine are served in turn."""
    shop = Shop()
    large = an_order("large", ("TEA", 20))
    small = [
        an_order(f"small-{n}", ("TEA", 1)).model_copy(update={"placed_at": START + timedelta(minutes=1 + n)})
        for n in range(9)
    ]
    shop.submit(*small[:4], large, *small[4:])
    shop.submit(s.ReceiveStock(sku="TEA", location="berlin", receipt_id="r", quantity=16))
    assert waiting(shop)[large.order_id] == "waits for 4 x TEA"
    assert len(waiting(shop)) == 10
    shop.submit(s.ReceiveStock(sku="TEA", location="berlin", receipt_id="r2", quantity=6))
    assert sorted(waiting(shop)) == sorted(order.order_id for order in small[2:])


def waiting(shop: Shop) -> dict[str, str]:
    """Return what each order waits for."""
    rows = shop.engine.open_rows("open_exceptions")
    return {row["order_id"]: row["detail"] for row in rows if row["kind"] == "backordered"}


def test_units_that_are_split_off_are_waited_for_by_their_own_order_alone() -> None:
    shop = Shop()
    shop.comes("TEA")
    shop.submit(an_order("1", ("TEA", 1), ("POT", 2), ("CUP", 1)))
    order_id = o.order_id_of("web", "1")
    assert waiting(shop) == {order_id: "waits for 2 x POT, 1 x CUP"}
    part = o.LineUnits(line_id="2", quantity=1)
    shop.submit(o.SplitOrder(order_id=order_id, split_id="s", lines=(part,)))
    other = next(key for key in waiting(shop) if key != order_id)
    assert waiting(shop) == {order_id: "waits for 1 x POT, 1 x CUP", other: "waits for 1 x POT"}
    rest = (o.LineUnits(line_id="2", quantity=1), o.LineUnits(line_id="3", quantity=1))
    shop.submit(o.SplitOrder(order_id=order_id, split_id="t", lines=rest))
    assert order_id not in waiting(shop)
    assert sorted(waiting(shop).values()) == ["waits for 1 x POT", "waits for 1 x POT, 1 x CUP"]


def test_units_that_are_cancelled_are_waited_for_no_more() -> None:
    shop = Shop()
    shop.submit(an_order("1", ("POT", 2), ("CUP", 1)))
    order_id = o.order_id_of("web", "1")
    pot = o.LineUnits(line_id="1", quantity=1)
    shop.submit(o.CancelOrderLines(order_id=order_id, cancellation_id="c", lines=(pot,), reason="r"))
    assert waiting(shop) == {order_id: "waits for 1 x POT, 1 x CUP"}
