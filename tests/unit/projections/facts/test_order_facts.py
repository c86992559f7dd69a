"""Milestones and lines stay correct whatever becomes of the order, and agree with each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from folding import fold, recorded_at
from oms_es.kernel import Event, Row
from oms_es.projections.facts import order_lines, order_milestones
from oms_es.schemas import order as o
from story import NOON, OF, allocated, backordered, cancelled, line, placed, released

TOTALS: Any = {"channel": "web", "placed_at": NOON, "currency": "EUR"}
REASON: Any = {"reason": "changed their mind"}


def milestones(*events: Event) -> Row:
    return fold(order_milestones.projection, placed(), *events)[("order",)]


def lines(*events: Event) -> dict[str, Row]:
    return {str(key[1]): row for key, row in fold(order_lines.projection, placed(), *events).items()}


def amended(*to: o.OrderLine, more_units: int, more_minor: int, **more: Any) -> o.OrderAmended:
    worth: Any = {"total_minor": 900 + more_minor, "units": 3 + more_units}
    reported: Any = {**OF, **TOTALS, **worth, **more}
    return o.OrderAmended(amendment_id="a", lines=to or None, more_units=more_units, more_minor=more_minor, **reported)


def lines_cancelled(*left: o.OrderLine, sku: str, quantity: int) -> o.OrderLinesCancelled:
    worth: Any = {"total_minor": 900 - 300 * quantity, "units": 3 - quantity}
    gone = (o.LineUnits(line_id=sku, quantity=quantity),)
    change: Any = {"more_units": -quantity, "more_minor": -300 * quantity}
    return o.OrderLinesCancelled(
        **OF, **TOTALS, **worth, **change, **REASON, cancellation_id="c", cancelled=gone, lines=left
    )


def split_off(*left: o.OrderLine, gone: o.OrderLine) -> o.OrderSplit:
    worth: Any = {"total_minor": 900 - 300 * gone.quantity, "units": 3 - gone.quantity}
    change: Any = {"more_units": -gone.quantity, "more_minor": -300 * gone.quantity}
    fields = {name: getattr(placed(), name) for name in o.OrderContent.model_fields}
    content = o.OrderContent(**{**fields, "lines": (gone,), "external_id": "split/1"})
    return o.OrderSplit(**OF, **TOTALS, **worth, **change, split_id="1", to_order_id="p", content=content, lines=left)


def elsewhere(*left: o.OrderLine, sku: str, quantity: int) -> o.OrderFulfilledElsewhere:
    worth: Any = {"total_minor": 900 - 300 * quantity, "units": 3 - quantity}
    change: Any = {"more_units": -quantity, "more_minor": -300 * quantity}
    gone = (o.LineUnits(line_id=sku, quantity=quantity),)
    return o.OrderFulfilledElsewhere(**OF, **TOTALS, **worth, **change, fulfilled=gone, lines=left)


def test_a_step_keeps_the_time_of_its_first_coming() -> None:
    left = o.OrderShipmentDispatched(**OF, shipment_id="order.1")
    row = milestones(backordered(), allocated(), released(), left, left, o.OrderShipped(**OF))
    steps = ("backordered_at", "allocated_at", "released_at", "first_dispatched_at", "shipped_at")
    assert [row[step] for step in steps] == [recorded_at(position) for position in (2, 3, 4, 5, 7)]
    assert (row["accepted_at"], row["placed_at"], row["parcels"]) == (recorded_at(1), NOON, 2)
    assert (row["cancelled_at"], row["completed_at"], row["merged_at"]) == (None, None, None)


def test_deliveries_are_those_of_the_carrier_in_whichever_order_they_are_heard_of() -> None:
    late, early = (
        o.OrderShipmentDelivered(**OF, shipment_id=f"order.{n}", delivered_at=NOON + timedelta(days=days))
        for n, days in ((1, 5), (2, 3))
    )
    row = milestones(late, early)
    assert (row["first_delivered_at"], row["last_delivered_at"]) == (early.delivered_at, late.delivered_at)
    unsaid = milestones(o.OrderShipmentDelivered(**OF, shipment_id="order.1"))
    assert unsaid["first_delivered_at"] == recorded_at(2)


def test_where_an_order_goes_follows_its_amendments() -> None:
    row = milestones(amended(more_units=0, more_minor=0, ship_to=o.Address(country="AT", region="Tirol")))
    assert (row["country"], row["region"], row["lines_version"]) == ("AT", "Tirol", 1)
    assert lines(amended(more_units=0, more_minor=0))["A"]["quantity"] == 2


def test_what_was_heard_of_no_order_leaves_no_row() -> None:
    left = o.OrderShipmentDispatched(**OF, shipment_id="order.1")
    assert fold(order_milestones.projection, left, cancelled(), released()) == {}
    assert fold(order_lines.projection, lines_cancelled(sku="A", quantity=1)) == {}


def test_a_line_that_an_amendment_adds_begins_and_one_that_it_leaves_out_is_reported_by_its_version() -> None:
    change = amended(line("A", 1), line("C", 4, 50), more_units=2, more_minor=-400)
    found, order = lines(change), milestones(change)
    assert {name: (row["ordered"], row["quantity"]) for name, row in found.items()} == {
        "A": (2, 1),
        "B": (1, 1),
        "C": (4, 4),
    }
    there = {name for name, row in found.items() if row["said_version"] == order["lines_version"]}
    assert there == {"A", "C"}
    assert (order["units"], order["gross_minor"]) == (5, 500)


CHANGES: dict[str, list[Event]] = {
    "nothing": [],
    "some cancelled": [lines_cancelled(line("A", 1), line("B", 1), sku="A", quantity=1)],
    "a line cancelled": [lines_cancelled(line("A", 2), sku="B", quantity=1)],
    "all cancelled": [cancelled()],
    "cancelled, then all": [
        lines_cancelled(line("A", 2), sku="B", quantity=1),
        cancelled(total_minor=600, units=2),
    ],
    "split": [split_off(line("A", 1), line("B", 1), gone=line("A", 1))],
    "shipped by others": [elsewhere(line("B", 1), sku="A", quantity=2)],
    "amended, then cancelled": [
        amended(line("A", 3), more_units=0, more_minor=0),
        lines_cancelled(line("A", 1), sku="A", quantity=2),
    ],
}


@pytest.mark.parametrize("name", CHANGES)
def test_lines_come_to_what_their_order_comes_to(name: str) -> None:
    order, found = milestones(*CHANGES[name]), lines(*CHANGES[name]).values()
    there = [row for row in found if row["said_version"] == order["lines_version"]]
    now, worth = (
        sum(row["quantity"] for row in there),
        sum(row["quantity"] * row["unit_price_minor"] for row in there),
    )
    units = now + sum(row["cancelled"] + row["elsewhere"] for row in found)
    minor = worth + sum(row["cancelled_minor"] + row["elsewhere_minor"] for row in found)
    assert (units, minor) == (order["units"], order["gross_minor"])
    cancelled_units = sum(row["cancelled"] for row in found) + (now if order["cancelled_at"] else 0)
    assert cancelled_units == order["cancelled_units"]
    assert (
        sum(row["cancelled_minor"] for row in found) + (worth if order["cancelled_at"] else 0)
        == (order["cancelled_minor"])
    )


def test_what_was_split_off_stands_beside_what_is_left() -> None:
    row = lines(*CHANGES["split"])["A"]
    assert (row["quantity"], row["moved"], row["moved_minor"], row["ordered"]) == (1, 1, 300, 2)


def test_what_it_is_sent_in_exchange_for_is_known() -> None:
    order = placed(kind="exchange", exchange_of="r", credit_minor=600)
    row = fold(order_milestones.projection, order)[("order",)]
    assert (row["kind"], row["credit_minor"], milestones()["credit_minor"]) == ("exchange", 600, 0)


def test_an_order_that_became_part_of_another_is_counted_there() -> None:
    merged = o.OrderMergedInto(
        **OF, **TOTALS, to_order_id="p", content=o.OrderContent(**{
            name: getattr(placed(), name) for name in o.OrderContent.model_fields
        }), transfers=(), total_minor=900, units=3,
    )  # fmt: skip
    row = milestones(merged)
    assert (row["units"], row["gross_minor"], row["merged_at"]) == (0, 0, recorded_at(2))
