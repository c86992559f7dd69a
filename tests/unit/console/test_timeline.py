"""The picture of an order's timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from oms_es.console import timeline
from oms_es.projections.order.timeline_sentences import TEMPLATES

BEGAN = datetime(2026, 1, 5, 12, tzinfo=UTC)


def row(position: int, stream: str, event: str, seconds: float, because_of: int | None = None) -> dict[str, Any]:
    return {
        "position": position,
        "stream": stream,
        "event": event,
        "recorded_at": BEGAN + timedelta(seconds=seconds),
        "event_id": f"id-{position}",
        "caused_by": because_of and f"id-{because_of}",
        "summary": "",
    }


STORY = [
    row(1, "order-o1", "OrderPlaced", 0),
    row(2, "stock-TEA@berlin", "StockReserved", 0.5, 1),
    row(3, "payment-o1.1", "PaymentDeclined", 7_200, 2),
    row(4, "order-o1", "OrderAllocated", 7_201, 99),
]


def test_each_stream_has_a_lane_each_event_a_point_and_each_known_cause_an_arc() -> None:
    made = timeline.picture(STORY, "o1", "W-1")
    assert [lane.label for lane in made.lanes] == ["order W-1", "stock TEA@berlin", "payment 1"]
    assert [point.row["position"] for point in made.points] == [1, 2, 3, 4]
    assert [(arc.of, arc.to) for arc in made.arcs] == [(1, 2), (2, 3)]
    xs = [point.x for point in made.points]
    assert xs == sorted(set(xs))
    assert max(xs) < made.width
    assert {point.y for point in made.points} == {lane.y for lane in made.lanes}
    assert max(lane.y for lane in made.lanes) < made.height


def test_a_pause_is_marked_with_its_length_and_what_went_wrong_is_red() -> None:
    made = timeline.picture(STORY, "o1", "W-1")
    assert [gap.length for gap in made.gaps] == ["2 h"]
    assert [point.is_bad for point in made.points] == [False, False, True, False]


def test_an_order_without_events_is_an_empty_picture() -> None:
    made = timeline.picture([], "o1", "W-1")
    assert (made.points, made.lanes, made.arcs) == ([], [], [])


@pytest.mark.parametrize(
    ("seconds", "shown"), [(60, "1 min"), (90, "1.5 min"), (3_600, "1 h"), (86_400 * 10, "10 d"), (2, "2 s")]
)
def test_a_pause_is_shown_in_its_largest_unit(seconds: int, shown: str) -> None:
    assert timeline.length_of(timedelta(seconds=seconds)) == shown


def test_a_long_name_keeps_its_end() -> None:
    made = timeline.picture([row(1, "stock-" + "a" * 60 + "@berlin", "StockReserved", 0)], "o1", "W-1")
    (lane,) = made.lanes
    assert len(lane.label) <= timeline.LABEL_CHARACTERS_MAX
    assert lane.label.endswith("@berlin")


def test_what_counts_as_minor_exists_and_nothing_bad_is_minor() -> None:
    known = {event.__name__ for event in TEMPLATES}
    assert known >= timeline.MINOR
    assert [event for event in timeline.MINOR if timeline.is_bad(event)] == []
    assert sum(timeline.is_bad(event) for event in known) > 30
    assert not any(timeline.is_bad(event) for event in ("OrderPlaced", "OrderCompleted", "PaymentCaptured"))
