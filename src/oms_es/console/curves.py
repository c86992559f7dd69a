"""The stock of a SKU over time: one line for each location, one step for each event. Pure: turns the API's steps into
shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from oms_es.console.rendering import moment_of
from oms_es.reports.figures.chart import ticks

WIDTH, HEIGHT = 860, 200
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 28
LINES_MAX = 6
TIMES = 5


class Line(NamedTuple):
    label: str
    path: str
    latest: int


class Mark(NamedTuple):
    at: float
    label: str


class Curves(NamedTuple):
    """The shapes of the chart. `across`: labels of the vertical axis with their heights; `along`: times
    with their x."""

    width: int
    height: int
    lines: Sequence[Line]
    across: Sequence[Mark]
    along: Sequence[Mark]
    left_out: int


def curves(steps: Sequence[Mapping[str, Any]], measure: str, until: datetime) -> Curves | None:
    """Return the lines of the locations with most units, up to `until`, or None if there never was any."""
    points: dict[str, list[tuple[datetime, int]]] = {}
    for step in steps:
        points.setdefault(step["location"], []).append((moment_of(step["recorded_at"]), step[measure]))
    if not points:
        return None
    kept = sorted(points, key=lambda name: (-max(abs(value) for _, value in points[name]), name))[:LINES_MAX]
    since = min(line[0][0] for line in points.values())
    seconds = max((until - since).total_seconds(), 1.0)
    values = [value for name in kept for _, value in points[name]]
    marks = ticks(min(values), max(values))

    def x(moment: datetime) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (moment - since).total_seconds() / seconds

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - marks[0]) / (marks[-1] - marks[0])

    return Curves(
        WIDTH,
        HEIGHT,
        [
            Line(name, _path([(x(at), y(value)) for at, value in points[name]], x(until)), points[name][-1][1])
            for name in kept
        ],
        [Mark(y(mark), f"{mark:,.0f}" if mark == int(mark) else f"{mark:,.1f}") for mark in marks],
        [Mark(x(at), f"{at:%m-%d %H:%M}") for at in (since + (until - since) * n / (TIMES - 1) for n in range(TIMES))],
        len(points) - len(kept),
    )


def _path(points: Sequence[tuple[float, float]], end: float) -> str:
    """Return the SVG path of a step line: level until the next event, and after the last one to the end."""
    (first_x, first_y), *others = points
    return f"M{first_x:.1f},{first_y:.1f}" + "".join(f" H{x:.1f} V{y:.1f}" for x, y in others) + f" H{end:.1f}"
