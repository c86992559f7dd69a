"""An order that begins with the units of others has their bundles, notes, holds and tenders."""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.consumers.order import order_joiner
from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from order_story import A2, B1, DUE, ID, OF, PLACE, OrderScenario, locked, of_shape, placed, source, units

MERGE = o.MergeOrders(channel="web", merge_id="m", order_ids=("x", "y"))
SPLIT = o.SplitOrder(**OF, split_id="s", lines=units(_1=1, _2=1))


def begun_by_split(*before: Command) -> OrderScenario:
    """Return the order that begins with what is split off, after commands for it that came too early."""
    parted = OrderScenario(*DUE, SPLIT).only(o.OrderSplit)
    (begin,) = order_joiner.consumer.react(parted)
    return OrderScenario(*before, begin)


def becomes_part(*commands: Command) -> o.OrderMergedInto:
    (answer,) = OrderScenario(*commands).submit(o.YieldToMerge(**OF, to_order_id=MERGE.order_id))
    assert isinstance(answer, o.OrderMergedInto)
    return answer


def merged(*parts: o.OrderMergedInto | None) -> OrderScenario:
    """Return the merged order: each part answers, and None is an order that declines."""
    answers = [
        o.RecordMergeAnswer(order_id=MERGE.order_id, source_id=source_id, merged=part)
        for source_id, part in zip(MERGE.order_ids, parts, strict=True)
    ]
    return OrderScenario(MERGE, *answers)


def of_order(part: o.OrderMergedInto, order_id: str, **more: Any) -> o.OrderMergedInto:
    return part.model_copy(update={"order_id": order_id, "content": part.content.model_copy(update=more)})


def test_what_did_not_come_of_several_reservations_is_asked_for_one_by_one_and_the_last_request_has_all() -> None:
    parted = OrderScenario(*DUE, SPLIT).only(o.OrderSplit)
    short = [
        o.RecordShortage(
            order_id=parted.to_order_id,
            reservation_id=o.transferred(parted.to_order_id, f"{ID}/1"),
            sku=sku,
            location=location,
            quantity=1,
        )
        for sku, location in (("A", "berlin"), ("B", "paris"))
    ]
    begun = begun_by_split(*short)
    first, second = of_shape(o.OrderSourcingRequested, begun.last)
    assert second.attempt == first.attempt + 1
    assert [len(first.demand), second.demand] == [1, {"A": 1, "B": 1}]
    assert second.excluded == {"A": ("berlin",), "B": ("paris",)}


def test_units_that_came_from_another_order_are_released_like_others() -> None:
    fewer = o.CancelOrderLines(**OF, cancellation_id="c", lines=units(_2=1), reason="too many")
    begun = begun_by_split()
    begun.submit(fewer.model_copy(update={"order_id": begun.state.order_id}))
    (cut,) = begun.only(o.OrderLinesCancelled).released
    assert (cut.sku, cut.location, cut.quantity, cut.remaining) == ("B", "paris", 1, 0)


def test_a_hold_without_a_note_says_only_that_it_came_with_the_units() -> None:
    parted = OrderScenario(*DUE, o.HoldOrder(**OF, kind="fraud"), SPLIT).only(o.OrderSplit)
    (begin,) = order_joiner.consumer.react(parted)
    (held,) = of_shape(o.OrderHeld, OrderScenario(begin).last)
    assert held.note == "held when its units were another order's"


def test_a_merged_order_that_waits_for_stock_says_what_it_can_use() -> None:
    waits = becomes_part(placed(delivery_option="express"), source(1, A2, B=1), locked(1, A2))
    backordered = merged(waits, None).only(o.OrderBackordered)
    assert backordered.terms
    assert (backordered.terms.channel, backordered.terms.delivery_option) == ("web", "express")
    assert backordered.terms.held == ("berlin",)


def test_a_merge_is_repeated_only_with_the_same_orders_at_every_stage_of_it() -> None:
    other = MERGE.model_copy(update={"order_ids": ("x", "z")})
    part = of_order(becomes_part(*DUE), "x")
    asked_one = OrderScenario(MERGE)
    asked_two = OrderScenario(MERGE, o.RecordMergeAnswer(order_id=MERGE.order_id, source_id="x", merged=part))
    for scenario in (asked_one, asked_two, merged(part, None)):
        assert scenario.submit(MERGE) == []
        with pytest.raises(Refused, match="merge_id m is known") as refused:
            scenario.submit(other)
        assert refused.value.reason == "id_reused"


def test_bundles_of_merged_orders_are_made_of_the_same_units_in_what_they_become() -> None:
    a_set = placed(lines=(o.OrderLine(line_id="1", sku="SET", quantity=1, unit_price_minor=500),))
    held = (("CUP", "berlin", 2), ("POT", "berlin", 1))
    exploded = o.ExplodeBundles(**OF, attempt=1, bundles={"SET": {"CUP": 2, "POT": 1}})
    of_set = becomes_part(a_set, exploded, source(2, *held), *(locked(2, one) for one in held))
    assert of_set.bundles == {"SET": {"CUP": 2, "POT": 1}}
    both = merged(of_order(of_set, "x"), of_order(becomes_part(*DUE), "y"))
    joined = of_shape(o.OrderJoined, both.history)[0]
    assert joined.bundles == {"SET": {"CUP": 2, "POT": 1}}
    assert both.state.components == {"SET": {"CUP": 2, "POT": 1}}


def test_an_order_that_became_cheaper_than_its_tenders_brings_no_more_of_them_than_it_costs() -> None:
    dear = placed(tenders=(o.Tender(method="account", payment_token="acc", amount_minor=1050),))
    cheaper = o.AmendOrder(**OF, amendment_id="a", discount_minor=1000)
    part = becomes_part(dear, source(1, A2, B1), locked(1, A2), locked(1, B1), cheaper)
    assert [tender.amount_minor for tender in part.content.all_tenders] == [50]


def test_the_notes_of_merged_orders_stand_below_each_other_and_what_both_say_stands_once() -> None:
    part = becomes_part(*DUE)
    for said, notes in ((("ring twice", "mind the dog"), "ring twice\nmind the dog"), (("ring", "ring"), "ring")):
        both = [of_order(part, source_id, notes=note) for source_id, note in zip(("x", "y"), said, strict=True)]
        content = merged(*both).state.content
        assert content
        assert content.notes == notes
    assert PLACE.notes == ""
