"""Reports of a channel that are repeated, contradict themselves, or come when nothing can follow them any more."""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.aggregates.order.decider import decider
from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from order_story import (
    A2,
    DUE,
    FULFILLING,
    GONE,
    ID,
    LOCKING,
    OF,
    PLACE,
    OrderScenario,
    dispatched,
    locked,
    paid,
    parcel,
    placed,
    source,
    units,
)

A, B = PLACE.lines
CANCEL = o.CancelOrder(**OF, reason="changed their mind")


def shipped(fulfilment_id: str = "f", /, **by_line: int) -> o.RecordFulfilment:
    return o.RecordFulfilment(**OF, fulfilment_id=fulfilment_id, lines=units(**by_line))


def refunded(refund_id: str = "r", /, **more: Any) -> o.RecordChannelRefund:
    return o.RecordChannelRefund(**OF, refund_id=refund_id, **more)


def updated(amendment_id: str, fulfilled: tuple[o.LineUnits, ...], *lines: o.OrderLine, **more: Any) -> o.AmendOrder:
    return o.AmendOrder(**OF, amendment_id=amendment_id, fulfilled=fulfilled, lines=lines or PLACE.lines, **more)


def known_otherwise(scenario: OrderScenario, command: Command) -> None:
    """Assert that the command is refused, because its name stands for another content."""
    with pytest.raises(Refused) as refused:
        scenario.submit(command)
    assert refused.value.reason == "id_reused"


# --- repeated


@pytest.mark.parametrize("begin", [DUE, FULFILLING, GONE, (*DUE, CANCEL)], ids=["due", "released", "left", "cancelled"])
def test_a_report_of_what_was_shipped_is_one_report_at_every_stage(begin: tuple[Command, ...]) -> None:
    scenario = OrderScenario(*begin, shipped(_1=1))
    assert scenario.submit(shipped(_1=1)) == []
    known_otherwise(scenario, shipped(_1=2))


def test_an_update_is_one_update_before_and_after_the_release() -> None:
    for begin, lines in ((DUE, (A,)), (FULFILLING, (A, B))):
        scenario = OrderScenario(*begin, updated("a", units(_1=1), *lines))
        assert scenario.submit(updated("a", units(_1=1), *lines)) == []
        known_otherwise(scenario, updated("a", units(_1=2)))


def test_a_dispute_of_an_earlier_release_without_a_digest_leaves_that_of_its_report() -> None:
    noted = OrderScenario(*DUE, shipped(_1=1))
    dispute = o.OrderReportDisputed(**OF, report="fulfilment/f", detail="x")
    noted.state = decider.evolve(noted.state, dispute)
    assert noted.submit(shipped(_1=1)) == []
    known_otherwise(noted, shipped(_1=2))


def test_a_refund_that_was_left_to_a_person_is_known_again() -> None:
    scenario = OrderScenario(*GONE, refunded(lines=units(_1=1)))
    assert scenario.submit(refunded(lines=units(_1=1))) == []
    known_otherwise(scenario, refunded(lines=units(_1=2)))


def test_an_early_amendment_that_was_refused_is_known_again_when_the_order_is_there() -> None:
    early = o.AmendOrder(**OF, amendment_id="a", discount_minor=9_999, keep=True)
    scenario = OrderScenario(early, PLACE)
    assert scenario.shapes() == ["OrderPlaced", "OrderAmendmentRefused"]
    assert scenario.submit(early) == []
    known_otherwise(scenario, early.model_copy(update={"discount_minor": 10}))


def test_a_refund_by_hand_and_an_override_are_one_act_each() -> None:
    refund = o.RefundOrder(**OF, refund_id="f", goodwill_minor=10)
    scenario = OrderScenario(*GONE, refund)
    assert scenario.submit(refund) == []
    known_otherwise(scenario, refund.model_copy(update={"goodwill_minor": 11}))
    with pytest.raises(Refused, match="refund_id exchange/r begins with a prefix"):
        scenario.submit(refund.model_copy(update={"refund_id": "exchange/r"}))
    override = o.OverrideOrder(**OF, override_id="x", to="completed", reason="they said so")
    scenario = OrderScenario(*GONE, override)
    assert scenario.submit(override) == []
    known_otherwise(scenario, override.model_copy(update={"reason": "another"}))


# --- shipped by others


def test_what_is_no_news_is_noted_under_its_name() -> None:
    noted = OrderScenario(*DUE, shipped(_9=1)).only(o.OrderFulfilledElsewhere)
    assert (noted.fulfilment_id, noted.told, noted.fulfilled) == ("f", units(_9=1), ())


def test_an_order_of_which_others_shipped_all_waits_for_nothing_and_is_paid_by_nothing() -> None:
    lacking = (PLACE, source(1, A2, B=1), locked(1, A2))
    gone = OrderScenario(*lacking, shipped(_1=2, _2=1)).only(o.OrderFulfilledElsewhere)
    assert gone.no_longer_backordered == {"B": 1}
    gift = o.Tender(method="gift_card", payment_token="gift", amount_minor=700)
    over = OrderScenario(placed(tenders=(gift,)), *LOCKING, paid(1), shipped(_1=2, _2=1)).only(o.OrderCompleted)
    assert (over.payment_ids, over.charges) == ((), ())


@pytest.mark.parametrize(
    ("command", "report", "what"),
    [
        (shipped(_1=1), "fulfilment/f", "shipped by the channel"),
        (refunded(lines=units(_1=1)), "channel_refund/r", "refunded by the channel"),
    ],
)
def test_units_in_a_parcel_that_could_not_be_stopped_are_for_a_person(command: Command, report: str, what: str) -> None:
    scenario = OrderScenario(*FULFILLING, parcel(o.RecordShipmentKept, 1), command)
    disputed = scenario.only(o.OrderReportDisputed)
    assert (disputed.order_id, disputed.report) == (ID, report)
    assert disputed.detail.startswith(f"{what}: 1 of line 1, while the order is fulfilling here; compare both")
    assert not [event for event in scenario.last if isinstance(event, o.OrderLinesCancellationRequested)]
    assert scenario.submit(command) == []


def test_a_refund_of_what_left_asks_no_parcel() -> None:
    scenario = OrderScenario(*FULFILLING, dispatched(1), refunded(lines=units(_1=1)))
    assert scenario.shapes() == ["OrderReportDisputed"]


def test_a_refund_of_a_first_revision_counts() -> None:
    assert OrderScenario(*DUE, refunded(lines=units(_1=1), revision=1)).total == 750


# --- updates


def test_an_update_of_which_nothing_can_be_followed_is_refused() -> None:
    for begin, reason in ((GONE, "already_released"), ((*DUE, o.YieldToMerge(**OF, to_order_id="m")), "merged")):
        with pytest.raises(Refused) as refused:
            OrderScenario(*begin, updated("a", units(_1=3), A))
        assert refused.value.reason == reason


def test_an_update_changes_what_it_may_although_what_it_says_to_have_left_does_not_fit() -> None:
    update = updated("a", units(_1=1, _3=2), A, B, shipping_minor=60, revision=4)
    scenario = OrderScenario(*DUE, update)
    disputed = [event for event in scenario.last if isinstance(event, o.OrderReportDisputed)]
    assert [(one.report, one.detail.partition(", while")[0]) for one in disputed] == [
        ("a", "shipped by the channel: 2 of line 3")
    ]
    content = scenario.state.content
    assert content
    assert (content.shipping_minor, [line.quantity for line in content.lines]) == (60, [1, 1])
    assert scenario.submit(update) == []
    known_otherwise(scenario, update.model_copy(update={"shipping_minor": 61}))
    assert scenario.submit(updated("older", (), A, B, shipping_minor=70, revision=3)) == []


def test_an_update_that_comes_after_the_release_takes_out_what_left_and_leaves_the_rest_to_a_person() -> None:
    update = updated("a", units(_1=1), A)
    scenario = OrderScenario(*FULFILLING, update)
    assert scenario.shapes() == ["OrderFulfilledElsewhere", "OrderLinesCancellationRequested", "OrderReportDisputed"]
    disputed = scenario.only(o.OrderReportDisputed)
    assert disputed.report == "a/rest"
    assert disputed.detail.startswith(f"order {ID} is fulfilling and can no longer be amended; cancel lines of it")
    assert scenario.submit(update) == []
    known_otherwise(scenario, updated("a", units(_1=1), B))
    with pytest.raises(Refused, match="already_released"):
        scenario.submit(updated("b", units(_1=1), A))


def test_an_update_of_an_order_that_is_being_cancelled_or_that_others_completed_changes_nothing() -> None:
    cancelling = OrderScenario(*FULFILLING, CANCEL)
    assert cancelling.submit(updated("a", units(_1=1))) == []
    assert cancelling.submit(refunded(lines=units(_1=1))) == []
    elsewhere = OrderScenario(*DUE, shipped(_1=2, _2=1))
    assert elsewhere.state.phase == "completed"
    assert elsewhere.submit(updated("a", units(_1=2, _2=1), A, B, shipping_minor=60)) == []
    delivered = tuple(parcel(o.RecordShipmentDelivered, number) for number in (1, 2))
    with pytest.raises(Refused, match="already_released"):
        OrderScenario(*GONE, *delivered, updated("a", (), A, B, shipping_minor=60))


def test_an_update_that_says_the_same_is_remembered_against_the_older_ones() -> None:
    scenario = OrderScenario(*DUE, updated("new", (), A, B, revision=3))
    assert scenario.shapes() == ["OrderAmended"]
    assert scenario.submit(updated("old", (), A, revision=2)) == []


def test_an_update_need_not_name_the_lines_that_have_left() -> None:
    scenario = OrderScenario(*DUE, updated("a", units(_1=2)), updated("b", units(_1=2), B, shipping_minor=60))
    content = scenario.state.content
    assert content
    assert ([line.line_id for line in content.lines], content.shipping_minor) == (["2"], 60)


def test_what_left_before_the_order_came_and_does_not_fit_is_reported_as_that() -> None:
    disputed = OrderScenario(placed(fulfilled=units(_1=3))).last[-1]
    assert isinstance(disputed, o.OrderReportDisputed)
    assert disputed.report == "placed again"


# --- by hand


def test_an_order_that_is_sourced_again_by_hand_is_held_nowhere() -> None:
    override = o.OverrideOrder(**OF, override_id="x", to="sourcing", reason="w")
    asked = OrderScenario(*DUE, override).only(o.OrderSourcingRequested)
    assert asked.held == ()


def test_a_long_reason_of_a_loss_is_cut() -> None:
    lost = o.RecordShipmentLost(
        **OF,
        shipment_id=f"{ID}.1",
        items=(o.Reservation(reservation_id=f"{ID}/1", sku="A", location="berlin", quantity=2),),
        complete=True,
        choice="refund",
        reason="x" * 500,
    )
    refund = OrderScenario(*GONE, lost).last[1]
    assert isinstance(refund, o.OrderRefundRequested)
    assert (len(refund.reason), refund.reason[-1]) == (500, "x")


def test_amounts_in_another_currency_are_left_to_a_person_and_never_read_as_the_orders() -> None:
    for fulfilled in (None, ()):
        update = o.AmendOrder(
            **OF, amendment_id="usd", shipping_minor=5, currency="USD", fulfilled=fulfilled, revision=4
        )
        scenario = OrderScenario(*DUE, update)
        disputed = scenario.only(o.OrderReportDisputed)
        assert disputed.report == "usd/USD"
        assert disputed.detail.startswith("its channel states amounts in USD, and the order is in EUR")
        assert scenario.state.content == OrderScenario(*DUE).state.content
        assert scenario.submit(update) == []
        stated = o.AmendOrder(**OF, amendment_id="eur", shipping_minor=5, currency="EUR", revision=5)
        assert scenario.submit(stated)
        assert scenario.submit(stated.model_copy(update={"currency": None})) == [], "a repeat of before it was stated"
        assert [type(event) for event in scenario.submit(stated.model_copy(update={"currency": "USD"}))] == [
            o.OrderReportDisputed
        ], "the same id in another currency is no repeat"
        right = update.model_copy(update={"currency": "EUR", "shipping_minor": 7, "revision": 6})
        assert scenario.submit(right), "nor is it one the other way round"
