"""A return: asked for, approved or refused, received against what was expected, inspected, credited, closed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dsl import Given
from oms_es.aggregates.rma import decider
from oms_es.schemas import rma as r
from oms_es.schemas.order import LineUnits
from story import NOON

OF: Any = {"rma_id": "r1", "order_id": "order"}
RMA: Any = {"rma_id": "r1"}
TEA = r.ExpectedLine(line_id="1", sku="TEA", quantity=2, reason="damaged")
SET = r.ExpectedLine(line_id="2", sku="SET", quantity=1, reason="changed_mind", components={"CUP": 2, "POT": 1})


def units(*counts: int) -> tuple[LineUnits, ...]:
    return tuple(LineUnits(line_id=str(line), quantity=n) for line, n in enumerate(counts, start=1) if n)


def opening(**more: Any) -> r.OpenRma:
    told: dict[str, Any] = {"channel": "web", "resolution": "refund", "lines": (TEA, SET), "requested_at": NOON}
    return r.OpenRma(**OF, **{**told, **more})


def opened(**more: Any) -> r.RmaOpened:
    told: dict[str, Any] = {
        "channel": "web",
        "resolution": "refund",
        "lines": (TEA, SET),
        "requested_at": NOON,
        "terms": r.Terms(),
    }
    return r.RmaOpened(**OF, **{**told, **more})


APPROVED = r.RmaApproved(**OF, return_days=21)
REVIEW = r.RmaReviewRequested(**OF, reasons=("why",))
CLOSED = r.RmaClosed(**OF)


def received(*counts: int, receipt: str = "c1") -> r.RmaReceived:
    return r.RmaReceived(**OF, receipt_id=receipt, location="berlin", lines=units(*counts))


def inspect(*lines: r.InspectedLine, inspection: str = "i1") -> r.InspectRma:
    return r.InspectRma(**RMA, inspection_id=inspection, location="berlin", lines=lines)


def seen(line: int, quantity: int, disposition: r.Disposition = "sellable", **more: Any) -> r.InspectedLine:
    return r.InspectedLine(line_id=str(line), quantity=quantity, grade="as_new", disposition=disposition, **more)


def inspected(*lines: r.InspectedLine, items: tuple[r.InspectedItem, ...], inspection: str = "i1") -> r.RmaInspected:
    return r.RmaInspected(**OF, inspection_id=inspection, location="berlin", lines=lines, items=items)


def item(sku: str, quantity: int, disposition: r.Disposition = "sellable") -> r.InspectedItem:
    return r.InspectedItem(sku=sku, quantity=quantity, disposition=disposition)


def credit(*counts: int, name: str = "i1", resolution: r.Resolution = "refund") -> r.RmaCreditDue:
    return r.RmaCreditDue(**OF, credit_id=f"r1/{name}", resolution=resolution, lines=units(*counts))


def test_a_return_that_fits_the_policy_is_approved_at_once() -> None:
    Given(decider).when(opening()).then(opened(), APPROVED)
    Given(decider, opened(), APPROVED).when(opening()).then()


def test_a_return_outside_the_policy_waits_for_a_person_with_every_reason() -> None:
    terms = r.Terms(window_days=14, reasons=("damaged",), approve_at_once=False)
    late = NOON - timedelta(days=15)
    Given(decider).when(opening(terms=terms, delivered_at=late)).then(
        opened(terms=terms),
        r.RmaReviewRequested(
            **OF,
            reasons=(
                "every return of this channel is looked at",
                "asked for more than 14 days after the delivery of 2025-12-17",
                "changed_mind is no reason that this channel accepts",
            ),
        ),
    )
    Given(decider).when(opening(delivered_at=NOON - timedelta(days=30))).then(opened(), APPROVED)


def test_a_person_approves_or_refuses_what_waits() -> None:
    waiting = Given(decider, opened(), REVIEW)
    waiting.when(r.ApproveRma(**RMA, note="a good customer")).then(
        r.RmaApproved(**OF, note="a good customer", return_days=21)
    )
    refused = r.RmaRefused(**OF, reason="worn", lines=units(2, 1))
    waiting.when(r.RefuseRma(**RMA, reason="worn")).then(refused)
    Given(decider, opened(), APPROVED).when(r.ApproveRma(**RMA)).then()
    Given(decider, opened(), REVIEW, refused).when(r.RefuseRma(**RMA, reason="worn")).then()
    Given(decider, opened(), REVIEW, refused).when(r.ApproveRma(**RMA)).then_refused("refused")
    Given(decider, opened(), APPROVED, received(1)).when(r.RefuseRma(**RMA, reason="worn")).then_refused("arrived")


def test_where_the_customer_keeps_the_goods_the_approval_is_all() -> None:
    Given(decider).when(opening(resolution="refund_only")).then(
        opened(resolution="refund_only"), APPROVED, credit(2, 1, name="kept", resolution="refund_only"), CLOSED
    )


def test_one_line_told_twice_in_a_receipt_counts_twice_and_what_is_too_much_is_surplus() -> None:
    lines = (*units(1), *units(2))
    Given(decider, opened(), APPROVED).when(r.ReceiveRma(**RMA, receipt_id="c1", location="berlin", lines=lines)).then(
        received(2), r.RmaSurplusReceived(**OF, receipt_id="c1", location="berlin", lines=units(1))
    )


def test_goods_are_received_in_parts_against_what_is_expected() -> None:
    approved = Given(decider, opened(), APPROVED)
    receive = r.ReceiveRma(**RMA, receipt_id="c1", location="berlin", lines=units(1))
    approved.when(receive).then(received(1))
    Given(decider, opened(), APPROVED, received(1)).when(receive).then()
    more = r.ReceiveRma(**RMA, receipt_id="c2", location="berlin", lines=units(3, 1))
    surplus = r.RmaSurplusReceived(**OF, receipt_id="c2", location="berlin", lines=units(2))
    Given(decider, opened(), APPROVED, received(1)).when(more).then(received(1, 1, receipt="c2"), surplus)
    Given(decider, opened(), APPROVED, received(1), received(1, 1, receipt="c2"), surplus).when(more).then()


def test_what_comes_back_of_a_return_that_was_refused_or_is_over_is_a_surplus() -> None:
    receive = r.ReceiveRma(**RMA, receipt_id="c1", location="berlin", lines=units(1))
    surplus = r.RmaSurplusReceived(**OF, receipt_id="c1", location="berlin", lines=units(1))
    refused = r.RmaRefused(**OF, reason="worn", lines=units(2, 1))
    Given(decider, opened(), REVIEW, refused).when(receive).then(surplus)
    Given(decider, opened(), APPROVED, CLOSED).when(receive).then(surplus)


def test_inspected_units_are_credited_and_go_where_they_belong() -> None:
    line = seen(1, 1, "damaged", bin="B2")
    Given(decider, opened(), APPROVED, received(2)).when(inspect(line)).then(
        inspected(line, items=(r.InspectedItem(sku="TEA", quantity=1, disposition="damaged", bin="B2"),)), credit(1)
    )
    told = (inspected(line, items=(item("TEA", 1),)), credit(1))
    Given(decider, opened(), APPROVED, received(2), *told).when(inspect(line)).then()


def test_a_bundle_comes_back_as_its_components() -> None:
    line = seen(2, 1)
    Given(decider, opened(), APPROVED, received(0, 1)).when(inspect(line)).then(
        inspected(line, items=(item("CUP", 2), item("POT", 1))), credit(0, 1)
    )


def test_units_that_are_not_accepted_are_not_credited() -> None:
    line = seen(1, 2, "written_off", credited=False)
    Given(decider, opened(), APPROVED, received(2)).when(inspect(line)).then(
        inspected(line, items=(item("TEA", 2, "written_off"),))
    )


def test_more_than_was_received_cannot_be_inspected() -> None:
    Given(decider, opened(), APPROVED, received(1)).when(inspect(seen(1, 2))).then_refused("not_received")
    one = inspected(seen(1, 1), items=(item("TEA", 1),))
    Given(decider, opened(), APPROVED, received(1), one).when(inspect(seen(1, 1), inspection="i2")).then_refused(
        "not_received"
    )


def test_a_return_closes_with_the_last_inspection() -> None:
    first = (received(2), inspected(seen(1, 2), items=(item("TEA", 2),)), credit(2))
    last = inspect(seen(2, 1), inspection="i2")
    Given(decider, opened(), APPROVED, *first, received(0, 1, receipt="c2")).when(last).then(
        inspected(seen(2, 1), items=(item("CUP", 2), item("POT", 1)), inspection="i2"), credit(0, 1, name="i2"), CLOSED
    )


def test_an_exchange_is_credited_once_for_everything() -> None:
    exchange = opened(resolution="exchange")
    first = inspected(seen(1, 2), items=(item("TEA", 2),))
    Given(decider, exchange, APPROVED, received(2)).when(inspect(seen(1, 2))).then(first)
    Given(decider, exchange, APPROVED, received(2), first).when(r.CloseRma(**RMA)).then(
        credit(2, name="closed", resolution="exchange"), r.RmaClosed(**OF, outstanding=units(0, 1))
    )


def test_a_return_is_closed_by_hand_or_by_time_and_says_what_never_came() -> None:
    over = r.RmaClosed(**OF, outstanding=units(2, 1))
    for command in (r.CloseRma(**RMA), r.LapseRma(**RMA)):
        Given(decider, opened(), APPROVED).when(command).then(over)
        Given(decider, opened(), APPROVED, over).when(command).then()
    Given(decider, opened(), APPROVED, received(1)).when(r.CloseRma(**RMA)).then_refused("not_inspected")
    lapsed = r.RmaClosed(**OF, outstanding=units(1, 1))
    Given(decider, opened(), APPROVED, received(1)).when(r.LapseRma(**RMA)).then(lapsed)
    Given(decider, opened(), APPROVED, received(1), lapsed).when(inspect(seen(1, 1))).then(
        inspected(seen(1, 1), items=(item("TEA", 1),)), credit(1)
    )


def test_what_an_exchange_left_is_told_once() -> None:
    left = r.RecordCreditLeft(**RMA, exchange_order_id="x", amount_minor=5)
    told = r.RmaCreditLeft(**OF, exchange_order_id="x", amount_minor=5)
    Given(decider, opened(), APPROVED).when(left).then(told)
    Given(decider, opened(), APPROVED, told).when(left).then()
    Given(decider).when(left).then()


def test_a_return_that_nobody_asked_for_is_unknown() -> None:
    Given(decider).when(r.ApproveRma(**RMA)).then_refused("unknown_return")
