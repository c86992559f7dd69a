"""The locations at which an order may have reserved units are known until it is released or ends."""

from __future__ import annotations

from typing import Any

from folding import fold
from oms_es.kernel import Event
from oms_es.projections.order.order_locations import projection
from oms_es.schemas import order as o
from story import A2, B1, NOON, OF, ORDER, cancelled, placed, released, sourced

BOTH = sourced(("A", "berlin", 1), ("A", "berlin", 1), ("B", "paris", 1))


def content() -> o.OrderContent:
    whole = placed()
    return o.OrderContent(**{name: getattr(whole, name) for name in o.OrderContent.model_fields})


def places(*events: Event) -> set[Any]:
    rows = fold(projection, *events)
    assert all(key == (row["order_id"], row["location"]) for key, row in rows.items())
    return {location for _, location in rows}


def test_every_location_that_was_asked_is_known() -> None:
    assert places(BOTH) == {"berlin", "paris"}
    assert set(fold(projection, BOTH)) == {(ORDER, "berlin"), (ORDER, "paris")}
    assert places(BOTH, sourced(("B", "rome", 1), attempt=2)) == {"berlin", "paris", "rome"}


def test_nothing_is_locked_for_an_order_that_is_released_or_ended() -> None:
    assert places(BOTH, released()) == set()
    assert places(BOTH, cancelled(A2, B1)) == set()


def test_locks_that_go_to_another_order_are_where_they_were() -> None:
    joined = o.OrderJoined(order_id="joined", from_order_ids=(ORDER,), transfers=(A2, B1))
    assert set(fold(projection, joined)) == {("joined", "berlin"), ("joined", "paris")}
    of_it: Any = {"channel": "web", "placed_at": NOON, "currency": "EUR", "total_minor": 900, "units": 3}
    merged = o.OrderMergedInto(**OF, to_order_id="joined", content=content(), transfers=(A2, B1), **of_it)
    assert places(BOTH, merged) == set()


def test_a_location_that_failed_has_nothing_any_more() -> None:
    assert places(BOTH, o.OrderLocationFailed(**OF, location="berlin", released=())) == {"paris"}
