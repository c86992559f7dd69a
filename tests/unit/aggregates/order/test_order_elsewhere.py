"""What a channel had shipped or refunded by itself: it is neither shipped nor charged here, and what does not fit is
left to a person."""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from order_story import (
    DUE,
    FULFILLING,
    GONE,
    ID,
    OF,
    PLACE,
    OrderScenario,
    dispatched,
    placed,
    stopped,
    units,
)

TOTAL = 1_050
EVERYTHING = units(_1=2, _2=1)
A, B = PLACE.lines


def shipped(fulfilment_id: str = "f", /, **by_line: int) -> o.RecordFulfilment:
    return o.RecordFulfilment(**OF, fulfilment_id=fulfilment_id, lines=units(**by_line))


def refunded(refund_id: str = "r", revision: int | None = None, /, **by_line: int) -> o.RecordChannelRefund:
    return o.RecordChannelRefund(**OF, refund_id=refund_id, lines=units(**by_line), revision=revision)


def updated(amendment_id: str, fulfilled: tuple[o.LineUnits, ...], *lines: o.OrderLine, **more: Any) -> o.AmendOrder:
    """Return what a channel sends that ships orders itself: all lines, and the units of them that left by now."""
    return o.AmendOrder(**OF, amendment_id=amendment_id, fulfilled=fulfilled, lines=lines or PLACE.lines, **more)


def kept(command: Command) -> Command:
    return command.model_copy(update={"keep": True})


def without_ids(cuts: tuple[Any, ...]) -> list[tuple[str, str, int, int]]:
    return [(cut.sku, cut.location, cut.quantity, cut.remaining) for cut in cuts]


def lines(story: OrderScenario) -> dict[str, int]:
    assert story.state.content
    return {line.line_id: line.quantity for line in story.state.content.lines}


def test_units_that_others_shipped_are_not_charged_and_their_locks_are_released() -> None:
    story = OrderScenario(*DUE, shipped(_1=1))
    gone = story.only(o.OrderFulfilledElsewhere)
    assert (gone.fulfilment_id, gone.told, gone.fulfilled) == ("f", units(_1=1), units(_1=1))
    assert (gone.whole, gone.unanswered) == (False, ())
    assert without_ids(gone.released) == [("A", "berlin", 1, 1)]
    assert gone.payments_cancelled == (f"{ID}.1",)
    assert (gone.more_minor, gone.more_units, gone.total_minor, story.total) == (-300, -1, TOTAL - 300, TOTAL - 300)
    assert story.only(o.OrderAllocated).amount_minor == TOTAL - 300
    assert lines(story) == {"1": 1, "2": 1}


def test_units_that_were_shipped_before_they_were_sourced_need_no_location() -> None:
    story = OrderScenario(PLACE, shipped(_1=1))
    assert story.only(o.OrderFulfilledElsewhere).no_longer_sought == {"A": 1}
    assert story.only(o.OrderSourcingRequested).demand == {"A": 1, "B": 1}


def test_locks_that_stock_has_not_answered_are_named_because_their_units_did_not_leave() -> None:
    story = OrderScenario(*DUE[:-2], shipped(_1=1))
    assert story.only(o.OrderFulfilledElsewhere).unanswered == (f"{ID}/1",)


def test_the_same_report_again_changes_nothing_and_another_under_its_name_is_refused() -> None:
    story = OrderScenario(*DUE, shipped(_1=1))
    assert story.submit(shipped(_1=1)) == []
    with pytest.raises(Refused, match="lines was"):
        story.submit(shipped(_1=2))


def test_two_reports_are_of_different_units_and_a_line_in_two_parts_is_added_up() -> None:
    story = OrderScenario(*DUE, shipped(_1=1), shipped("g", _1=1))
    assert (story.only(o.OrderFulfilledElsewhere).fulfilled, lines(story)) == (units(_1=1), {"2": 1})
    in_parts = o.RecordFulfilment(**OF, fulfilment_id="f", lines=(*units(_1=1), *units(_1=1)))
    assert lines(OrderScenario(*DUE, in_parts)) == {"2": 1}


@pytest.mark.parametrize("before", [(), (shipped("earlier", _1=2),)])
def test_an_order_of_which_others_shipped_the_rest_is_completed(before: tuple[Command, ...]) -> None:
    rest = units(_2=1) if before else EVERYTHING
    story = OrderScenario(*DUE, *before, o.RecordFulfilment(**OF, fulfilment_id="f", lines=rest))
    gone = story.only(o.OrderFulfilledElsewhere)
    assert (gone.whole, gone.fulfilled, gone.fulfilment_id) == (True, rest, "f")
    locks = [("A", "berlin", 2, 0), ("B", "paris", 1, 0)]
    assert without_ids(gone.released) == locks[len(before) :]
    assert gone.payments_cancelled == (f"{ID}.{1 + len(before)}",)
    assert (story.shapes()[-1], story.state.phase) == ("OrderCompleted", "completed")
    assert story.submit(shipped("late", _1=1)) == [] or story.shapes() == ["OrderReportDisputed"]


def test_an_order_that_was_not_sourced_yet_is_completed_and_needs_no_location() -> None:
    story = OrderScenario(PLACE, shipped(_1=2, _2=1))
    gone = story.only(o.OrderFulfilledElsewhere)
    assert (gone.no_longer_sought, gone.released, gone.payments_cancelled) == ({"A": 2, "B": 1}, (), ())
    assert story.state.phase == "completed"


@pytest.mark.parametrize(
    ("history", "reported", "taken", "rest", "phase"),
    [
        (DUE, {"_1": 3}, units(_1=2), "1 of line 1", "awaiting_payment"),
        (DUE, {"_3": 1}, (), "1 of line 3", "awaiting_payment"),
        (DUE, {"_1": 4, "_3": 2}, units(_1=2), "2 of line 1, 2 of line 3", "awaiting_payment"),
        (FULFILLING, {"_1": 3}, units(_1=2), "1 of line 1", "fulfilling"),
        (GONE, {"_1": 3}, (), "1 of line 1", "shipped"),
    ],
)
def test_units_that_the_order_does_not_have_are_left_to_a_person(
    history: tuple[Command, ...], reported: dict[str, int], taken: tuple[o.LineUnits, ...], rest: str, phase: str
) -> None:
    story = OrderScenario(*history, shipped(**reported))
    assert story.only(o.OrderFulfilledElsewhere).fulfilled == taken
    disputed = story.only(o.OrderReportDisputed)
    assert disputed.report == "fulfilment/f"
    assert disputed.detail.startswith(f"shipped by the channel: {rest}, while the order is {phase} here;")
    assert story.submit(shipped(**reported)) == []


def test_units_in_parcels_are_taken_out_of_them() -> None:
    story = OrderScenario(*FULFILLING, shipped(_1=1))
    assert story.only(o.OrderFulfilledElsewhere).fulfilled == units(_1=1)
    asked = story.only(o.OrderLinesCancellationRequested)
    assert (asked.cancellation_id, asked.lines, asked.shipment_ids) == ("fulfilment/f", units(_1=1), (f"{ID}.1",))
    assert (asked.reason, story.total) == ("shipped by the channel", TOTAL)
    assert story.submit(shipped(_1=1)) == []
    story.submit(stopped(1))
    assert story.total == TOTAL - 300


def test_parcels_that_left_from_here_are_no_news() -> None:
    story = OrderScenario(*FULFILLING, dispatched(1), shipped(_1=2))
    noted = story.only(o.OrderFulfilledElsewhere)
    assert (noted.told, noted.fulfilled, noted.released) == (units(_1=2), (), ())
    assert story.shapes() == ["OrderFulfilledElsewhere"]
    story.submit(shipped("g", _2=1))
    assert story.only(o.OrderLinesCancellationRequested).lines == units(_2=1)
    assert OrderScenario(*GONE, shipped(_1=2, _2=1)).shapes() == ["OrderFulfilledElsewhere"]


def test_units_that_left_from_here_and_elsewhere_are_for_a_person() -> None:
    story = OrderScenario(*FULFILLING, dispatched(1), shipped(_1=2), shipped("g", _1=1))
    assert story.only(o.OrderFulfilledElsewhere).fulfilled == ()
    assert story.only(o.OrderReportDisputed).report == "fulfilment/g"


def test_of_units_in_two_reports_those_that_are_left_are_taken_out_and_the_rest_is_for_a_person() -> None:
    story = OrderScenario(*FULFILLING, shipped(_1=1), shipped("g", _1=2))
    assert story.only(o.OrderFulfilledElsewhere).fulfilled == units(_1=1)
    assert story.only(o.OrderLinesCancellationRequested).lines == units(_1=1)
    assert story.only(o.OrderReportDisputed).detail.startswith("shipped by the channel: 1 of line 1,")
    story = OrderScenario(*FULFILLING, shipped(_1=1), refunded(_1=2))
    assert story.only(o.OrderLinesCancellationRequested).lines == units(_1=1)
    assert story.only(o.OrderReportDisputed).report == "channel_refund/r/rest"


def test_parcels_of_which_one_has_left_cannot_give_back_what_is_in_it() -> None:
    story = OrderScenario(*FULFILLING, shipped(_1=1), shipped("g", _1=1), dispatched(1), dispatched(2))
    assert story.state.phase == "shipped"
    assert {line: n for line, n in story.state.elsewhere.items() if n} == {"1": 2}


def test_an_update_states_what_left_in_all_and_says_nothing_the_second_time() -> None:
    story = OrderScenario(*DUE, updated("a", units(_1=1)))
    assert story.only(o.OrderFulfilledElsewhere).fulfilment_id == ""
    assert (lines(story), story.total) == ({"1": 1, "2": 1}, TOTAL - 300)
    assert story.submit(updated("a", units(_1=1))) == []
    assert story.submit(updated("b", units(_1=1))) == []
    story.submit(updated("c", units(_1=2)))
    assert (story.only(o.OrderFulfilledElsewhere).fulfilled, lines(story)) == (units(_1=1), {"2": 1})


def test_an_update_changes_the_lines_without_what_left() -> None:
    more = A.model_copy(update={"quantity": 3})
    story = OrderScenario(*DUE, updated("a", units(_1=1), more, B))
    assert lines(story) == {"1": 2, "2": 1}
    assert story.total == TOTAL


def test_an_update_whose_lines_have_all_left_completes_the_order() -> None:
    assert OrderScenario(*DUE, updated("a", EVERYTHING)).state.phase == "completed"
    story = OrderScenario(*DUE, updated("a", units(_1=1)))
    story.submit(updated("b", units(_1=1), A.model_copy(update={"quantity": 1})))
    gone = story.only(o.OrderFulfilledElsewhere)
    assert (gone.whole, gone.fulfilled, gone.fulfilment_id) == (True, (), "")
    assert story.state.phase == "completed"
    assert story.submit(updated("c", units(_1=1))) == []


def test_an_update_after_the_release_takes_units_out_of_parcels_and_changes_nothing_else() -> None:
    story = OrderScenario(*FULFILLING, updated("a", units(_1=1)))
    assert story.shapes() == ["OrderFulfilledElsewhere", "OrderLinesCancellationRequested"]
    assert story.only(o.OrderLinesCancellationRequested).cancellation_id == "a"
    with pytest.raises(Refused):
        story.submit(updated("b", units(_1=1), A))


def test_an_update_of_a_cancelled_order_changes_nothing() -> None:
    story = OrderScenario(*DUE, o.CancelOrder(**OF, reason="no longer wanted"))
    assert story.state.phase == "cancelled"
    assert story.submit(updated("a", units(_1=1))) == []
    assert story.submit(refunded(_1=1)) == []


def test_what_the_channel_refunded_is_cancelled_while_it_is_here() -> None:
    story = OrderScenario(*DUE, refunded(_1=1))
    cut = story.only(o.OrderLinesCancelled)
    assert (cut.cancellation_id, cut.cancelled, cut.reason) == (
        "channel_refund/r",
        units(_1=1),
        "refunded by the channel",
    )
    assert (cut.revision, without_ids(cut.released), story.total) == (None, [("A", "berlin", 1, 1)], TOTAL - 300)
    assert story.submit(refunded(_1=1)) == []
    with pytest.raises(Refused):
        story.submit(refunded(_1=2))


def test_the_channel_says_why_it_refunded() -> None:
    story = OrderScenario(*DUE, refunded(_1=1).model_copy(update={"reason": "broken"}))
    assert story.only(o.OrderLinesCancelled).reason == "broken"
    story = OrderScenario(*DUE, refunded(_1=2, _2=1).model_copy(update={"reason": "broken"}))
    assert story.only(o.OrderCancelled).reason == "broken"


def test_an_order_that_the_channel_refunded_whole_is_cancelled() -> None:
    story = OrderScenario(*DUE, refunded(_1=2, _2=1))
    cancelled = story.only(o.OrderCancelled)
    assert (cancelled.report, cancelled.reason) == ("channel_refund/r", "refunded by the channel")
    assert story.submit(refunded(_1=2, _2=1)) == []


def test_refunded_units_in_parcels_are_taken_out_of_them() -> None:
    story = OrderScenario(*FULFILLING, refunded(_1=1))
    asked = story.only(o.OrderLinesCancellationRequested)
    assert (asked.cancellation_id, asked.lines, asked.reason) == (
        "channel_refund/r",
        units(_1=1),
        "refunded by the channel",
    )
    assert story.submit(refunded(_1=1)) == []


@pytest.mark.parametrize(
    ("history", "reported", "report", "what"),
    [
        (DUE, {"_1": 3}, "channel_refund/r/rest", "1 of line 1"),
        (DUE, {"_1": 1, "_3": 2}, "channel_refund/r/rest", "2 of line 3"),
        (DUE, {"_3": 2}, "channel_refund/r", "2 of line 3"),
        (DUE, {}, "channel_refund/r", "an amount without units"),
        (FULFILLING, {"_1": 3}, "channel_refund/r/rest", "1 of line 1"),
        ((*FULFILLING, dispatched(1)), {"_1": 1}, "channel_refund/r", "1 of line 1"),
        (GONE, {"_1": 1}, "channel_refund/r", "1 of line 1"),
    ],
)
def test_a_refund_of_what_is_not_here_any_more_moves_no_money_and_is_left_to_a_person(
    history: tuple[Command, ...], reported: dict[str, int], report: str, what: str
) -> None:
    story = OrderScenario(*history, refunded(**reported))
    disputed = story.only(o.OrderReportDisputed)
    assert (disputed.report, disputed.detail.partition(", while")[0]) == (report, f"refunded by the channel: {what}")
    assert story.submit(refunded(**reported)) == []


@pytest.mark.parametrize(("revision", "is_news"), [(4, False), (5, False), (6, True)])
def test_a_refund_that_a_later_state_of_the_order_includes_counts_once(revision: int, is_news: bool) -> None:
    story = OrderScenario(*DUE, o.AmendOrder(**OF, amendment_id="a", lines=(A,), revision=5))
    story.submit(refunded("r", revision, _1=1))
    assert lines(story) == {"1": 1 if is_news else 2}
    if is_news:
        assert story.only(o.OrderLinesCancelled).revision == revision
        story.submit(refunded("another of the same second", revision, _1=1))
        assert story.state.phase == "cancelled"


def test_a_report_that_came_before_its_order_counts_when_the_order_comes() -> None:
    early = (kept(shipped(_1=1)), kept(refunded(_2=1)))
    story = OrderScenario(*early)
    assert story.submit(early[0]) == []
    with pytest.raises(Refused):
        story.submit(kept(shipped(_1=2)))
    story.submit(PLACE)
    assert (lines(story), story.total) == ({"1": 1}, 350)
    assert story.only(o.OrderFulfilledElsewhere).told == units(_1=1)
    assert story.only(o.OrderLinesCancelled).cancellation_id == "channel_refund/r"
    assert story.submit(shipped(_1=1)) == []
    assert story.submit(refunded(_2=1)) == []


def test_an_order_that_comes_with_what_left_already_has_only_the_rest() -> None:
    story = OrderScenario(placed(fulfilled=units(_1=2)))
    assert (lines(story), story.total) == ({"2": 1}, TOTAL - 600)
    assert story.submit(placed(fulfilled=units(_1=2))) == []
    story.submit(placed(fulfilled=EVERYTHING))
    assert story.state.phase == "completed"


def test_amendments_that_came_before_their_order_are_applied_by_revision() -> None:
    later = o.AmendOrder(**OF, amendment_id="a", lines=(B,), revision=2, keep=True)
    first = o.AmendOrder(**OF, amendment_id="b", lines=(A,), revision=1, keep=True)
    unfit = o.AmendOrder(**OF, amendment_id="c", discount_minor=TOTAL * 2, keep=True)
    story = OrderScenario(later, first, unfit, PLACE)
    assert lines(story) == {"2": 1}
    assert story.only(o.OrderAmendmentRefused).amendment_id == "c"


def test_a_cancellation_that_came_first_ends_the_order_unless_all_of_it_has_left() -> None:
    early = o.CancelOrder(**OF, reason="changed my mind", keep=True)
    assert OrderScenario(early, PLACE).state.phase == "cancelled"
    assert OrderScenario(early, placed(fulfilled=EVERYTHING)).state.phase == "completed"
