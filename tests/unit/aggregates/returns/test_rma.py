"""A return is requested, approved or refused, received, inspected, credited and closed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.returns.rma import decider
from oms_es.kernel import Refused
from oms_es.schemas.order import LineUnits
from oms_es.schemas.returns import rma as r
from story import NOON

OF: Any = {"rma_id": "r1", "order_id": "order"}
RMA: Any = {"rma_id": "r1"}
TEA = r.ExpectedLine(line_id="1", sku="TEA", quantity=2, reason="damaged")
SET = r.ExpectedLine(line_id="2", sku="SET", quantity=1, reason="changed_mind", components={"CUP": 2, "POT": 1})


def units(*counts: int) -> tuple[LineUnits, ...]:
    return tuple(LineUnits(line_id=str(line), quantity=n) for line, n in enumerate(counts, start=1) if n)


def opening(**more: Any) -> r.OpenRma:
    answer: dict[str, Any] = {"channel": "web", "resolution": "refund", "lines": (TEA, SET), "requested_at": NOON}
    return r.OpenRma(**OF, **{**answer, **more})


def opened(**more: Any) -> r.RmaOpened:
    answer: dict[str, Any] = {
        "channel": "web",
        "resolution": "refund",
        "lines": (TEA, SET),
        "requested_at": NOON,
        "terms": r.Terms(),
    }
    return r.RmaOpened(**OF, **{**answer, **more})


TAKEN = r.RmaNameTaken(
    rma_id="r1",
    order_id="other",
    lines=(LineUnits(line_id="1", quantity=2), LineUnits(line_id="2", quantity=1)),
    reason="the name r1 is taken by a return of another order; use another rma_id",
)


def test_an_order_that_asks_for_a_return_by_a_name_that_another_has_is_answered_once() -> None:
    other = opening().model_copy(update={"order_id": "other"})
    Given(decider, opened(), r.RmaApproved(**OF, return_days=21)).when(other).then(TAKEN)
    Given(decider, opened(), r.RmaApproved(**OF, return_days=21), TAKEN).when(other).then()
    Given(decider, opened(), r.RmaApproved(**OF, return_days=21), TAKEN).when(opening()).then()


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
    of = name if name in ("kept", "closed", "lapsed") else f"inspected/{name}"
    return r.RmaCreditDue(**OF, credit_id=f"return/r1/{of}", resolution=resolution, lines=units(*counts))


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


def test_one_line_sent_twice_in_a_receipt_counts_twice_and_what_is_too_much_is_surplus() -> None:
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
    answer = (inspected(line, items=(item("TEA", 1),)), credit(1))
    Given(decider, opened(), APPROVED, received(2), *answer).when(inspect(line)).then()


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


def test_what_an_exchange_left_is_reported_once() -> None:
    left = r.RecordCreditLeft(**RMA, exchange_order_id="x", amount_minor=5)
    answer = r.RmaCreditLeft(**OF, exchange_order_id="x", amount_minor=5)
    Given(decider, opened(), APPROVED).when(left).then(answer)
    Given(decider, opened(), APPROVED, answer).when(left).then()
    Given(decider).when(left).then()


def test_a_return_that_no_one_asked_for_is_unknown() -> None:
    Given(decider).when(r.ApproveRma(**RMA)).then_refused("unknown_return")


def receive(*counts: int, receipt: str = "c1", location: str = "berlin") -> r.ReceiveRma:
    return r.ReceiveRma(**RMA, receipt_id=receipt, location=location, lines=units(*counts))


def test_of_each_line_as_much_is_received_as_is_still_expected() -> None:
    surplus = r.RmaSurplusReceived(**OF, receipt_id="c1", location="berlin", lines=units(1, 2))
    Given(decider, opened(), APPROVED).when(receive(3, 3)).then(received(2, 1), surplus)
    only_two = r.RmaSurplusReceived(**OF, receipt_id="c2", location="berlin", lines=units(0, 1))
    Given(decider, opened(), APPROVED, received(0, 1)).when(receive(1, 1, receipt="c2")).then(
        received(1, receipt="c2"), only_two
    )
    strange = r.RmaSurplusReceived(**OF, receipt_id="c1", location="rome", lines=(LineUnits(line_id="9", quantity=2),))
    of_another = r.ReceiveRma(**RMA, receipt_id="c1", location="rome", lines=(LineUnits(line_id="9", quantity=2),))
    Given(decider, opened(), APPROVED).when(of_another).then(strange)
    Given(decider, opened(), APPROVED, strange).when(of_another).then()


def test_what_comes_before_a_person_has_decided_is_a_surplus() -> None:
    surplus = r.RmaSurplusReceived(**OF, receipt_id="c1", location="berlin", lines=units(1))
    Given(decider, opened(), REVIEW).when(receive(1)).then(surplus)


def test_one_line_asked_for_twice_is_expected_twice() -> None:
    twice = opened(lines=(TEA, TEA.model_copy(update={"quantity": 1})))
    Given(decider, twice, APPROVED).when(receive(4)).then(
        received(3), r.RmaSurplusReceived(**OF, receipt_id="c1", location="berlin", lines=units(1))
    )
    over = r.RmaClosed(**OF, outstanding=units(3))
    Given(decider, twice, APPROVED).when(r.CloseRma(**RMA)).then(over)


def test_what_was_asked_for_on_the_last_day_of_the_window_is_in_it() -> None:
    terms = r.Terms(window_days=14)
    for late, approved in ((timedelta(days=14), True), (timedelta(days=14, seconds=1), False)):
        events = tuple(decider.decide(decider.initial, opening(terms=terms, delivered_at=NOON - late)))
        assert isinstance(events[1], r.RmaApproved if approved else r.RmaReviewRequested)
    unknown = tuple(decider.decide(decider.initial, opening(terms=terms)))
    assert isinstance(unknown[1], r.RmaApproved)


def test_a_channel_that_names_its_reasons_accepts_these_and_reports_each_other_one_once() -> None:
    named = r.Terms(reasons=("damaged", "changed_mind"))
    approved = Given(decider).when(opening(terms=named))
    approved.then(opened(terms=named), APPROVED)
    only = r.Terms(reasons=("changed_mind",))
    twice = (TEA, TEA.model_copy(update={"line_id": "2"}))
    Given(decider).when(opening(terms=only, lines=twice)).then(
        opened(terms=only, lines=twice),
        r.RmaReviewRequested(**OF, reasons=("damaged is no reason that this channel accepts",)),
    )


def test_how_long_the_goods_may_take_is_what_the_channel_says() -> None:
    terms = r.Terms(return_days=7)
    Given(decider).when(opening(terms=terms)).then(opened(terms=terms), r.RmaApproved(**OF, return_days=7))


def test_a_return_that_is_over_is_neither_approved_nor_refused_nor_closed_again() -> None:
    refused = r.RmaRefused(**OF, reason="worn", lines=units(2, 1))
    over = Given(decider, opened(), APPROVED, CLOSED)
    over.when(r.ApproveRma(**RMA)).then()
    over.when(r.RefuseRma(**RMA, reason="worn")).then_refused("arrived")
    over.when(r.CloseRma(**RMA)).then()
    over.when(r.LapseRma(**RMA)).then()
    Given(decider, opened(), REVIEW, refused).when(r.CloseRma(**RMA)).then()
    Given(decider, opened(), REVIEW, refused).when(r.LapseRma(**RMA)).then()
    Given(decider, opened(), APPROVED).when(r.RefuseRma(**RMA, reason="worn")).then(refused)
    Given(decider, opened(), REVIEW).when(r.LapseRma(**RMA)).then()
    Given(decider, opened(), REVIEW).when(r.CloseRma(**RMA)).then(r.RmaClosed(**OF, outstanding=units(2, 1)))


def test_lines_are_inspected_in_parts_and_one_named_twice_counts_twice() -> None:
    three = opened(lines=(TEA.model_copy(update={"quantity": 3}),))
    good, bad = seen(1, 1, bin="A1", lot="l"), seen(1, 1, "damaged", serials=("7",))
    items = (
        r.InspectedItem(sku="TEA", quantity=1, disposition="sellable", bin="A1", lot="l"),
        r.InspectedItem(sku="TEA", quantity=1, disposition="damaged", serials=("7",)),
    )
    answer = inspected(good, bad, items=items)
    Given(decider, three, APPROVED, received(3)).when(inspect(good, bad)).then(answer, credit(2))
    Given(decider, three, APPROVED, received(1)).when(inspect(good, bad)).then_refused("not_received")
    so_far = (received(3), answer, credit(2))
    last = inspect(seen(1, 1), inspection="i2")
    Given(decider, three, APPROVED, *so_far).when(last).then(
        inspected(seen(1, 1), items=(item("TEA", 1),), inspection="i2"), credit(1, name="i2"), CLOSED
    )
    Given(decider, three, APPROVED, *so_far).when(inspect(seen(1, 2), inspection="i2")).then_refused("not_received")
    with pytest.raises(Refused, match="has 1 units of line 1 that were not inspected, and 2 are reported"):
        tuple(decider.decide(Given(decider, three, APPROVED, *so_far).state, inspect(seen(1, 2), inspection="i2")))
    Given(decider, three, APPROVED, received(3)).when(inspect(seen(2, 1))).then_refused("not_received")


def test_several_units_of_a_bundle_come_back_as_so_many_components() -> None:
    sets = opened(lines=(SET.model_copy(update={"quantity": 3}),))
    line = seen(2, 2)
    Given(decider, sets, APPROVED, received(0, 3)).when(inspect(line)).then(
        inspected(line, items=(item("CUP", 4), item("POT", 2))), credit(0, 2)
    )


def test_of_what_is_inspected_only_what_is_accepted_is_credited_and_only_once() -> None:
    first, worthless = seen(1, 1), seen(2, 1, "written_off", credited=False)
    answer = inspected(
        first, worthless, items=(item("TEA", 1), item("CUP", 2, "written_off"), item("POT", 1, "written_off"))
    )
    before = (opened(), APPROVED, received(1, 1))
    Given(decider, *before).when(inspect(first, worthless)).then(answer, credit(1))
    Given(decider, *before, answer, credit(1)).when(r.CloseRma(**RMA)).then(r.RmaClosed(**OF, outstanding=units(1)))


def test_an_exchange_that_is_complete_is_sent_and_one_that_lapsed_refunds_what_comes_out_afterwards() -> None:
    exchange = opened(resolution="exchange")
    all_came = received(2, 1)
    line_1, line_2 = seen(1, 2), seen(2, 1)
    answer = inspected(line_1, line_2, items=(item("TEA", 2), item("CUP", 2), item("POT", 1)))
    Given(decider, exchange, APPROVED, all_came).when(inspect(line_1, line_2)).then(
        answer, credit(2, 1, resolution="exchange"), CLOSED
    )
    one = inspected(seen(1, 1), items=(item("TEA", 1),))
    half = Given(decider, exchange, APPROVED, received(2), one)
    over = r.RmaClosed(**OF, outstanding=units(0, 1))
    half.when(r.LapseRma(**RMA)).then(credit(1, name="lapsed", resolution="exchange"), over)
    half.when(r.CloseRma(**RMA)).then_refused("not_inspected")
    lapsed = (one, credit(1, name="lapsed", resolution="exchange"), over)
    Given(decider, exchange, APPROVED, received(2), *lapsed).when(inspect(seen(1, 1), inspection="i2")).then(
        inspected(seen(1, 1), items=(item("TEA", 1),), inspection="i2"), credit(1, name="i2", resolution="refund")
    )


def test_only_of_an_exchange_that_is_known_something_is_left() -> None:
    left = r.RecordCreditLeft(**RMA, exchange_order_id="x", amount_minor=5)
    answer = r.RmaCreditLeft(**OF, exchange_order_id="x", amount_minor=5)
    other = left.model_copy(update={"exchange_order_id": "y"})
    Given(decider, opened(), answer).when(other).then(answer.model_copy(update={"exchange_order_id": "y"}))
    for command in (r.LapseRma(**RMA), receive(1), inspect(seen(1, 1))):
        Given(decider).when(command).then_refused("unknown_return")
