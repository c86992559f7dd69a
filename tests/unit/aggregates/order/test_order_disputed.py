"""What is said to a person about two amendments of one revision: both values, and what to do."""

from __future__ import annotations

from typing import Any

from oms_es.aggregates.order.amendments import DETAIL_CHARACTERS_MAX
from oms_es.schemas import order as o
from order_story import A2, B1, DUE, OF, PLACE, OrderScenario, locked, paid, placed, source, units

PARIS, ROME = o.Address(city="Paris", country="FR"), o.Address(city="Rome", country="IT")
WAY = "the latter holds here, also if the former is sent again: where it is wrong, amend the order by hand"


def amend(amendment_id: str, revision: int | None = 1, **changes: Any) -> o.AmendOrder:
    return o.AmendOrder(**OF, amendment_id=amendment_id, revision=revision, **changes)


def disputed(first: dict[str, Any], then: dict[str, Any]) -> str:
    scenario = OrderScenario(PLACE, amend("a", **first), amend("b", **then))
    dispute = scenario.last[-1]
    assert isinstance(dispute, o.OrderReportDisputed)
    assert dispute.report == "b"
    return dispute.detail


def test_amounts_are_in_their_currency_and_of_an_address_only_its_country_is_said() -> None:
    both = disputed({"shipping_minor": 60, "ship_to": PARIS}, {"shipping_minor": 75, "ship_to": ROME})
    said = "ship_to in FR and in IT; shipping_minor 0.60 EUR and 0.75 EUR"
    assert both == f"of revision 1 the channel has said two things: {said}; {WAY}"


def test_lines_are_said_with_units_and_prices_and_an_option_by_its_name() -> None:
    one, two = PLACE.lines
    fewer = {"lines": (one.model_copy(update={"quantity": 1}), two), "delivery_option": "express"}
    other = {"lines": (two,), "delivery_option": "standard"}
    said = "delivery_option express and standard; lines 1 x A at 3.00 EUR, 1 x B at 4.00 EUR and 1 x B at 4.00 EUR"
    assert disputed(fewer, other) == f"of revision 1 the channel has said two things: {said}; {WAY}"


def test_what_is_too_long_is_cut_before_what_to_do() -> None:
    lines = tuple(o.OrderLine(line_id=str(n), sku=f"SKU-{n:03}", quantity=1, unit_price_minor=300) for n in range(60))
    detail = disputed({"lines": lines}, {"lines": lines[:59]})
    assert len(detail) == DETAIL_CHARACTERS_MAX
    assert detail.endswith(f"; {WAY}")


def test_an_amendment_without_a_revision_or_of_a_newer_one_is_no_contradiction() -> None:
    for first, then in ((None, None), (1, None), (None, 1), (1, 2)):
        scenario = OrderScenario(PLACE, amend("a", first, shipping_minor=60), amend("b", then, shipping_minor=70))
        assert scenario.shapes() == ["OrderAmended"]


def test_the_revision_in_which_the_channel_refunded_may_say_what_it_refunded() -> None:
    refund = o.RecordChannelRefund(**OF, refund_id="r", lines=units(_1=1), revision=7)
    scenario = OrderScenario(*DUE, refund, amend("a", 7, shipping_minor=60))
    assert scenario.only(o.OrderAmended).shipping_minor == 60


def test_units_that_are_being_sourced_go_before_those_that_wait() -> None:
    one_lacks = (PLACE, source(1, ("A", "berlin", 1), B1, A=1))
    short = o.RecordShortage(**OF, reservation_id=f"{PLACE.order_id}/1", sku="A", location="berlin", quantity=1)
    fewer = o.CancelOrderLines(**OF, cancellation_id="c", lines=units(_1=1), reason="too many")
    cancelled = OrderScenario(*one_lacks, short, fewer).only(o.OrderLinesCancelled)
    assert (cancelled.no_longer_sought, cancelled.no_longer_backordered) == ({"A": 1}, {})


def test_an_order_that_is_collected_says_so_at_each_step() -> None:
    collected = placed(pickup=True, pickup_at="berlin")
    waits = OrderScenario(collected, source(1, A2, B=1)).only(o.OrderBackordered)
    assert waits.terms
    assert (waits.terms.pickup, waits.terms.pickup_at, waits.terms.kind) == (True, "berlin", "standard")
    b1 = ("B", "berlin", 1)
    scenario = OrderScenario(collected, source(1, A2, b1), locked(1, A2), locked(1, b1), paid())
    assert scenario.only(o.OrderReleased).pickup
    scenario.submit(o.CancelOrderLines(**OF, cancellation_id="c", lines=units(_1=1), reason="too many"))
    scenario.submit(o.RecordShipmentCancelled(**OF, shipment_id=f"{PLACE.order_id}.1"))
    assert scenario.only(o.OrderShipmentPlanned).pickup
