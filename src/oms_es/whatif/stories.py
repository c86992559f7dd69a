"""The two timelines of an order side by side: in history, and in the replay."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from oms_es.kernel import Recorded, Row
from oms_es.reports.timelines import timeline_of


class Step(NamedTuple):
    """A line of the comparison; a side is None if it has no more events."""

    before: Row | None
    after: Row | None
    is_same: bool


def stories(real: Sequence[Recorded], relived: Sequence[Recorded], order_id: str) -> list[Step]:
    """Return the order's timeline on both sides; a step is the same if both entries are."""
    sides = [_timeline(history, order_id) for history in (real, relived)]
    return [
        Step(before, after, bool(before and after and _said(before) == _said(after)))
        for before, after in zip_longest(*sides)
    ]


def _timeline(history: Sequence[Recorded], order_id: str) -> list[Row]:
    of_it = [recorded for recorded in history if recorded.correlation_id == order_id]
    rows = [row for row in timeline_of(of_it) if row["order_id"] == order_id]
    return sorted(rows, key=lambda row: int(row["position"]))


def _said(row: Row) -> tuple[object, ...]:
    return row["event"], row["summary"]
