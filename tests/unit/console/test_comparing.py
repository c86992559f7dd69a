"""The comparison of an order as of a time with now, the times to choose from, and the curves of stock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from oms_es.console import comparing
from oms_es.console.comparing import CHANGES_MAX, of_preview
from oms_es.console.curves import LEFT, LINES_MAX, RIGHT, WIDTH, curves

BEGAN = datetime(2026, 1, 5, 12, tzinfo=UTC)


def step(minutes: int, event: str, **more: Any) -> dict[str, Any]:
    return {"recorded_at": (BEGAN + timedelta(minutes=minutes)).isoformat(), "event": event, **more}


def test_what_was_then_stands_beside_what_is_now_and_parts_that_came_or_went_are_there() -> None:
    then = {
        "phase": "held",
        "units": 2,
        "holds": ["fraud"],
        "lines": [{"line_id": "1", "quantity": 2}],
        "shipments": [],
    }
    now = {
        "phase": "shipped",
        "units": 2,
        "holds": [],
        "lines": [],
        "shipments": [{"shipment_id": "o.s1", "step": "left"}],
    }
    facts = comparing.of_order(then, now, "o")
    changed = {(fact.name, fact.subject): (fact.then, fact.now) for fact in facts if fact.is_changed}
    assert changed == {
        ("phase", ""): ("held", "shipped"),
        ("holds", ""): (["fraud"], []),
        ("quantity", "1"): (2, None),
        ("step", "s1"): (None, "left"),
    }
    assert [fact.name for fact in facts if not fact.is_changed] == ["units"]


def test_stock_is_compared_by_location_and_what_is_nothing_is_left_out() -> None:
    then = [{"location": "berlin", "on_hand": 5, "damaged": 0}]
    now = [{"location": "berlin", "on_hand": 4, "damaged": 0}, {"location": "rome", "on_hand": 1, "damaged": 0}]
    facts = comparing.of_stock(then, now, ("on_hand", "damaged"))
    assert [(fact.subject, fact.then, fact.now) for fact in facts] == [("berlin", 5, 4), ("rome", None, 1)]


@pytest.mark.parametrize(
    ("at", "place", "before", "after"),
    [
        (None, 2, "b", None),
        ("2026-01-05T12:00:00Z", 0, None, "b"),
        ("2026-01-05T13:00:30+01:00", 0, None, "b"),
        ("2026-01-05T12:09:00Z", 1, "a, c", None),
        ("2026-01-05T11:00:00Z", -1, None, "a, c"),
    ],
)
def test_each_moment_is_a_tick_and_the_neighbours_are_known(
    at: str | None, place: int, before: str | None, after: str | None
) -> None:
    found = comparing.ticks([step(0, "a"), step(0, "c"), step(1, "b")], at)
    assert (len(found.ticks), found.place) == (2, place)
    labels = [tick and tick.label.split(" ", 2)[2] for tick in (found.before, found.after)]
    assert labels == [before, after]
    assert comparing.ticks([], at).ticks == []


def test_of_very_many_moments_the_last_ones_are_ticks() -> None:
    found = comparing.ticks([step(n, str(n)) for n in range(comparing.TICKS_MAX + 5)], None)
    assert (len(found.ticks), found.ticks[-1].label[-3:]) == (comparing.TICKS_MAX, "504")


def test_a_curve_is_level_between_events_and_goes_on_to_now() -> None:
    steps = [step(0, "a", location="berlin", atp=5), step(5, "b", location="berlin", atp=-3)]
    drawn = curves(steps, "atp", BEGAN + timedelta(minutes=10))
    assert drawn is not None
    (line,) = drawn.lines
    middle = (LEFT + WIDTH - RIGHT) / 2
    assert line.path.split(" ")[1] == f"H{middle:.1f}"
    assert line.path.split(" ")[-1] == f"H{WIDTH - RIGHT}.0"
    assert (line.label, line.latest, drawn.left_out) == ("berlin", -3, 0)
    assert float(drawn.across[0].label) <= -3 <= 5 <= float(drawn.across[-1].label)


def test_one_event_at_this_very_moment_and_more_places_than_lines_are_drawn_too() -> None:
    steps = [step(0, "a", location=str(n), atp=n) for n in range(LINES_MAX + 2)]
    drawn = curves(steps, "atp", BEGAN)
    assert drawn is not None
    assert (len(drawn.lines), drawn.left_out) == (LINES_MAX, 2)
    assert curves([], "atp", BEGAN) is None


def test_a_preview_shows_the_values_that_differ_and_not_what_recognises_a_repeat() -> None:
    changed: dict[str, dict[str, Any]] = {
        "physical": {
            "from": {"on_hand": 0, "aside": 0, "places": {}},
            "to": {"on_hand": 5, "aside": 0, "places": {"//sellable": {"quantity": 5, "lot_expires_at": None}}},
        },
        "movements": {"from": {"names": {}}, "to": {"names": {"receipt/r-1": "ReceiveStock"}}},
        "holds": {"from": [], "to": ["fraud"]},
    }
    assert of_preview(changed) == [
        (("physical", "on_hand"), 0, 5),
        (("physical", "places", "//sellable", "quantity"), None, 5),
        (("holds",), [], ["fraud"]),
    ]
    assert len(of_preview({str(number): {"from": 0, "to": 1} for number in range(CHANGES_MAX + 1)})) == CHANGES_MAX
