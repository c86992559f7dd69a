"""An order that is sent again, sent as cancelled, or sent with more about its customer than the first time."""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.aggregates.order.placement import is_known_otherwise
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.values.customer import Customer
from order_story import DUE, FULFILLING, GONE, ID, OF, PLACE, OrderScenario, placed, units

ADA = Customer(customer_id="c-1", email="ada@example.com")
DEARER = placed(shipping_minor=60)
CANCELLED = placed(cancelled="changed their mind")


def test_an_order_that_is_sent_as_cancelled_is_placed_and_cancelled_at_once() -> None:
    scenario = OrderScenario(CANCELLED)
    assert scenario.shapes() == ["OrderPlaced", "OrderCancelled"]
    assert scenario.only(o.OrderCancelled).reason == "changed their mind"
    assert scenario.submit(CANCELLED) == []


def test_an_order_that_is_sent_again_as_cancelled_is_cancelled_if_it_has_not_left() -> None:
    scenario = OrderScenario(*DUE, CANCELLED)
    assert scenario.only(o.OrderCancelled).reason == "changed their mind"
    assert OrderScenario(*FULFILLING, CANCELLED).shapes() == ["OrderCancellationRequested"]
    with pytest.raises(Refused, match="already_shipped"):
        OrderScenario(*GONE, CANCELLED)


def test_an_order_that_others_shipped_whole_is_not_cancelled_any_more() -> None:
    shipped = o.RecordFulfilment(**OF, fulfilment_id="f", lines=units(_1=2, _2=1))
    with pytest.raises(Refused, match="has left; ask for a return instead"):
        OrderScenario(*DUE, shipped, o.CancelOrder(**OF, reason="changed their mind"))


def test_what_an_order_says_to_have_left_that_is_sent_again_and_does_not_fit_is_reported_as_that() -> None:
    again = placed(fulfilled=units(_1=3))
    disputed = OrderScenario(*DUE, again).only(o.OrderReportDisputed)
    assert (disputed.report, disputed.order_id) == ("placed again", ID)
    assert disputed.detail.startswith("shipped by the channel: 1 of line 1, while the order is awaiting_payment here")


# --- a customer who was not named the first time


@pytest.mark.parametrize(
    ("first", "then", "same"),
    [
        ({}, {"customer": ADA, "notes": "ring", "metadata": {"gift": "yes"}}, True),
        ({}, {"customer": ADA, "shipping_minor": 51}, False),
        ({"notes": "knock"}, {"notes": "knock", "customer": ADA}, False),
        ({"metadata": {"gift": "yes"}}, {"metadata": {"gift": "yes"}, "customer": ADA}, False),
        ({"customer": Customer(customer_id="c-2")}, {"customer": ADA}, False),
        ({"notes": "knock"}, {}, False),
        ({"metadata": {"gift": "yes"}}, {}, False),
        ({"customer": ADA}, {}, False),
    ],
)
def test_an_order_is_the_same_when_it_names_its_customer_only_the_second_time(
    first: dict[str, Any], then: dict[str, Any], *, same: bool
) -> None:
    assert OrderScenario(placed(**first), placed(**then)).shapes() == ([] if same else ["DuplicateConflictFound"])


# --- what its sender is told of


def test_a_sender_learns_that_an_order_is_known_with_other_content() -> None:
    conflicting = OrderScenario(PLACE, DEARER).state
    assert is_known_otherwise(conflicting, DEARER)
    assert not is_known_otherwise(conflicting, PLACE), "as it is"
    assert not is_known_otherwise(OrderScenario(PLACE).state, DEARER), "not sent yet"
    assert not is_known_otherwise(conflicting, placed(shipping_minor=60, cancelled="dear")), "it asks to cancel"
    assert not is_known_otherwise(OrderScenario().state, DEARER)


def test_an_order_that_was_amended_to_what_it_was_sent_as_since_then_is_as_it_was_sent() -> None:
    amended = o.AmendOrder(**OF, amendment_id="a", shipping_minor=60)
    assert not is_known_otherwise(OrderScenario(PLACE, DEARER, amended).state, DEARER)
    other = o.AmendOrder(**OF, amendment_id="a", shipping_minor=61)
    assert is_known_otherwise(OrderScenario(PLACE, DEARER, other).state, DEARER)


def test_an_order_that_was_sent_with_another_time_is_as_it_was_sent() -> None:
    later = placed(placed_at="2026-01-02T12:00:00Z")
    assert not is_known_otherwise(OrderScenario(PLACE, later).state, later)
