"""No outside caller can grant themselves goods, take a name that the engine makes, or bypass a hold."""

from __future__ import annotations

import pytest

from oms_es.kernel import Refused
from oms_es.schemas import order as o
from shop import Shop, an_order
from whole_engine import START


def split(external_id: str, line_id: str, quantity: int, split_id: str = "s1") -> o.SplitOrder:
    return o.SplitOrder(
        order_id=o.order_id_of("web", external_id),
        split_id=split_id,
        lines=(o.LineUnits(line_id=line_id, quantity=quantity),),
    )


def test_an_exchange_that_no_return_granted_is_refused_and_nothing_leaves() -> None:
    shop = Shop()
    shop.comes("TEA")
    with pytest.raises(Refused, match="not_granted"):
        shop.submit(an_order("free-1", ("TEA", 1), kind="exchange", exchange_of="never", credit_minor=10_000))
    assert shop.engine.open_rows("order_status") == []


@pytest.mark.parametrize("name", ["1/s1", "split-s1-1", "s1/1"])
def test_what_is_split_off_is_in_an_order_whatever_others_are_called(name: str) -> None:
    shop = Shop()
    shop.submit(an_order(name, ("TEA", 1)), an_order("1", ("TEA", 2), ("CUP", 1)), split("1", "2", 1))
    assert shop.units() == 4
    assert (shop.order(name)["units"], shop.order("1")["units"], shop.order("split/s1/1")["units"]) == (1, 2, 1)
    shop.comes("TEA", "CUP")
    assert {row["phase"] for row in shop.engine.open_rows("order_status")} == {"completed"}


@pytest.mark.parametrize("name", ["split/s1/1", "merge/m", "exchange/r1", "lost/x.1"])
def test_names_that_the_engine_makes_cannot_be_sent(name: str) -> None:
    shop = Shop()
    with pytest.raises(Refused, match="reserved_name"):
        shop.submit(an_order(name, ("TEA", 1)))


def test_what_is_split_off_a_held_order_waits_for_a_person_as_well() -> None:
    shop = Shop()
    held = an_order("F-1", ("TEA", 1), ("CUP", 1))
    shop.submit(held, o.HoldOrder(order_id=held.order_id, kind="fraud"))
    shop.comes("TEA", "CUP")
    shop.submit(split("F-1", "2", 1))
    off = "split/s1/F-1"
    assert (shop.left(off), shop.left("F-1")) == ([], [])
    assert (shop.order(off)["phase"], shop.order(off)["holds"]) == ("held", ["fraud"])
    kinds = {(row["kind"], row["order_id"]) for row in shop.engine.open_rows("open_exceptions")}
    assert ("held_fraud", o.order_id_of("web", off)) in kinds
    shop.submit(o.ReleaseHold(order_id=o.order_id_of("web", off), kind="fraud"))
    assert shop.left(off) == ["OrderReleased", "ShipmentDispatched", "PaymentCaptured"]
    assert shop.left("F-1") == []


def test_an_order_that_a_held_one_becomes_part_of_is_held() -> None:
    shop = Shop()
    held, other = an_order("F-1", ("TEA", 1)), an_order("2", ("TEA", 1))
    shop.submit(held, o.HoldOrder(order_id=held.order_id, kind="fraud", until=START.replace(year=2027)), other)
    merge = o.MergeOrders(channel="web", merge_id="m", order_ids=(other.order_id, held.order_id))
    shop.submit(merge)
    shop.comes("TEA")
    assert shop.order("F-1")["phase"] == "merged"
    merged = shop.order("merge/m")
    assert (merged["phase"], merged["holds"], shop.left("merge/m")) == ("held", ["fraud"], [])
    assert [row["order_id"] for row in shop.engine.open_rows("open_exceptions")] == [merge.order_id]
    assert [row["order_id"] for row in shop.engine.open_rows("deadlines")] == [merge.order_id]
    shop.submit(o.ReleaseHold(order_id=merge.order_id, kind="fraud"))
    assert shop.order("merge/m")["phase"] == "completed"


def test_a_merge_goes_on_without_an_order_that_is_part_of_another_by_now() -> None:
    shop = Shop()
    orders = [an_order(name, ("TEA", 1)) for name in ("1", "2", "3", "4")]
    shop.submit(*orders)
    first, second, third, _ = (order.order_id for order in orders)
    shop.submit(o.MergeOrders(channel="web", merge_id="m", order_ids=(first, second)))
    shop.submit(o.MergeOrders(channel="web", merge_id="n", order_ids=(third, second)))  # which is part of m by now
    assert shop.units() == 4
    assert shop.order("3")["phase"] == "merged"
    assert shop.order("merge/n")["units"] == 1
    shop.comes("TEA")
    assert {row["phase"] for row in shop.engine.open_rows("order_status")} == {"merged", "completed"}
