"""Sourced units are reserved, unneeded ones released, dispatched ones shipped: each unit once."""

from __future__ import annotations

from typing import Any

from oms_es.consumers.stock.stock_allocator import consumer
from oms_es.schemas import order as o
from oms_es.schemas import stock as s
from story import A2, B1, OF, ORDER, PARCEL, cancelled, dispatched, sourced, sourcing_requested


def claim(sku: str, location: str, reservation: str = f"{ORDER}/1") -> Any:
    return {**OF, "sku": sku, "location": location, "reservation_id": reservation}


def test_every_assignment_is_locked_under_the_attempt_s_name() -> None:
    assert consumer.react(sourced(("A", "berlin", 2), ("B", "paris", 1), attempt=3)) == (
        s.ReserveStock(**claim("A", "berlin", f"{ORDER}/3"), quantity=2),
        s.ReserveStock(**claim("B", "paris", f"{ORDER}/3"), quantity=1),
    )


def test_two_assignments_of_one_stream_are_one_lock() -> None:
    assert consumer.react(sourced(("A", "berlin", 2), ("A", "paris", 1), ("A", "berlin", 3))) == (
        s.ReserveStock(**claim("A", "berlin"), quantity=5),
        s.ReserveStock(**claim("A", "paris"), quantity=1),
    )


def test_what_no_location_can_promise_locks_nothing() -> None:
    assert consumer.react(sourced()) == ()


def test_a_cancelled_order_releases_what_it_held() -> None:
    assert consumer.react(cancelled(A2, B1)) == (
        s.ReleaseStock(**claim("A", "berlin")),
        s.ReleaseStock(**claim("B", "paris")),
    )
    assert consumer.react(cancelled()) == ()


def test_what_is_short_and_sourced_elsewhere_is_released_where_it_is_missing() -> None:
    assert consumer.react(sourcing_requested(short=A2, A=2)) == (s.ReleaseStock(**claim("A", "berlin")),)
    assert consumer.react(sourcing_requested(A=2)) == ()


def test_a_stopped_parcel_releases_what_the_order_says() -> None:
    """What else was in it goes into another parcel and stays reserved."""
    whole = o.Cut(**A2.model_dump(), remaining=0)
    part = o.Cut(**{**A2.model_dump(), "quantity": 1}, remaining=1)
    stopped: Any = {**OF, "shipment_id": PARCEL}
    assert consumer.react(o.OrderShipmentCancelled(**stopped)) == ()
    assert consumer.react(o.OrderShipmentCancelled(**stopped, released=(whole,))) == (
        s.ReleaseStock(**claim("A", "berlin")),
    )
    assert consumer.react(o.OrderShipmentCancelled(**stopped, released=(part,))) == (
        s.ReleaseStock(**claim("A", "berlin"), quantity=1, release_id=PARCEL),
    )


def test_locks_that_do_not_fit_a_person_s_word_are_released_whole_or_in_part() -> None:
    part, whole = o.Cut(**A2.model_dump(), remaining=3), o.Cut(**B1.model_dump(), remaining=0)
    assigned = o.OrderAssigned(**OF, attempt=2, released=(part, whole), reason="reported so")
    assert consumer.react(assigned) == (
        s.ReleaseStock(**claim("A", "berlin"), quantity=2, release_id="assigned/2"),
        s.ReleaseStock(**claim("B", "paris")),
    )


def test_what_a_failing_place_held_is_released() -> None:
    failed = o.OrderLocationFailed(**OF, location="paris", released=(o.Cut(**B1.model_dump(), remaining=0),))
    assert consumer.react(failed) == (s.ReleaseStock(**claim("B", "paris")),)


def test_a_presale_is_locked_as_one() -> None:
    (lock,) = consumer.react(sourced(("A", "berlin", 2)).model_copy(update={"kind": "presale", "channel": "web"}))
    assert lock == s.ReserveStock(**claim("A", "berlin"), quantity=2, presale=True, channel="web")


def test_what_left_is_taken_off_the_shelf() -> None:
    assert consumer.react(dispatched(A2, B1)) == (
        s.ShipStock(**claim("A", "berlin"), shipment_id=PARCEL),
        s.ShipStock(**claim("B", "paris"), shipment_id=PARCEL),
    )
