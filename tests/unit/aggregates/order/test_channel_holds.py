"""A channel's hold is news once: sent again, or older than an amendment, it holds no order that a person released."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.kernel import Refused
from oms_es.schemas import order as o
from order_story import DUE, GONE, OF, OrderScenario, paid, placed

EMPTIED, LAPSED = "nothing is left of it in the shop", "its payment failed in the shop"
RELEASE = o.ReleaseHold(**OF, kind="manual", note="it is right so")


def held(revision: int | None, note: str = EMPTIED) -> o.HoldOrder:
    return o.HoldOrder(**OF, kind="manual", note=note, revision=revision)


def sent(revision: int, **changes: Any) -> o.AmendOrder:
    changes = {"shipping_minor": 50} | changes
    return o.AmendOrder(**OF, amendment_id=f"a{revision}", lines=placed().lines, revision=revision, **changes)


def test_an_order_is_held_by_its_channel_and_keeps_the_revision() -> None:
    event = OrderScenario(*DUE, held(5)).only(o.OrderHeld)
    assert (event.kind, event.note, event.revision) == ("manual", EMPTIED, 5)


def test_what_a_person_released_is_not_held_again_by_later_updates_that_say_the_same() -> None:
    scenario = OrderScenario(*DUE, held(5), RELEASE)
    assert [scenario.submit(held(revision)) for revision in (4, 5, 6, 9)] == [[]] * 4
    assert scenario.submit(held(10, LAPSED)), "another reason is news"


def test_an_older_hold_does_not_hold_what_the_channel_amended_since() -> None:
    scenario = OrderScenario(*DUE, sent(7, shipping_minor=60))
    assert scenario.submit(held(6)) == []
    assert scenario.submit(held(8)), "emptied after that"


def test_what_is_emptied_again_after_an_amendment_is_held_again() -> None:
    scenario = OrderScenario(*DUE, held(5), RELEASE, sent(6))
    assert scenario.submit(held(7))
    assert scenario.state.is_held("manual")


def test_a_reason_of_the_channel_is_kept_also_where_a_person_holds_the_order() -> None:
    by_hand = o.HoldOrder(**OF, kind="manual", note="call them")
    assert OrderScenario(*DUE, by_hand, held(5)).only(o.OrderHeld).note == EMPTIED
    assert OrderScenario(*DUE, held(5), by_hand).last == []


def test_a_hold_that_comes_too_late_is_refused_and_one_without_a_revision_holds_each_time() -> None:
    with pytest.raises(Refused) as refused:
        OrderScenario(*GONE, held(5))
    assert refused.value.reason == "already_released"
    assert OrderScenario(*DUE, held(None), RELEASE, held(None)).only(o.OrderHeld).revision is None


UPDATES = st.tuples(st.integers(1, 6), st.booleans())


@given(st.lists(UPDATES, min_size=1, max_size=8))
def test_a_repeat_of_any_update_of_a_channel_holds_nothing(updates: list[tuple[int, bool]]) -> None:
    scenario = OrderScenario(*DUE)
    for revision, emptied in updates:
        command = held(revision) if emptied else sent(revision)
        scenario.submit(command)
        scenario.submit(RELEASE)
        assert scenario.submit(command) == []
    assert not scenario.state.is_held("manual")
    assert scenario.submit(paid()), "it is released to the warehouse"
