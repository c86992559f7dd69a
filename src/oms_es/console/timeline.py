"""An order's timeline as a picture: a lane for each stream, a point for each event, an arc from each cause to its
effect.

Pure: turns rows of the timeline into shapes. Time runs to the right, not to scale: pauses are marked with their length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from oms_es.console.rendering import moment_of

LEFT, TOP, LANE, STEP, PAUSE, RIGHT, BOTTOM = 214, 34, 30, 26, 44, 24, 14
PAUSE_SECONDS = 60.0
LABEL_CHARACTERS_MAX = 26
NO_WORDS: Mapping[str, str] = MappingProxyType({})
BAD = re.compile(
    r"Failed|Refused|Declined|Short|Lost|Disput|Expired|Broken|Overdue|Silent|Unanswered|Conflict|Exception|Cancelled"
    r"|Backordered|Deferred|Held$|Gone"
)
MINOR = frozenset(
    {"OrderLineAllocated", "StockShipped", "PaymentExpirySet", "ShipmentBookingRequested", "ShipmentLabelAttached"}
    | {"ShipmentHeardOf", "PaymentAnswerAwaited", "PaymentAnswerChased", "OrderShipmentDispatched"}
    | {"OrderShipmentDelivered", "PaymentCaptureRequested", "OrderNumbered", "StockReleased"}
)
"""Events that are drawn less prominently, since others of the timeline say the same."""


class Point(NamedTuple):
    x: int
    y: int
    row: Mapping[str, Any]
    is_bad: bool
    is_later: bool = False


class Lane(NamedTuple):
    y: int
    kind: str
    label: str
    stream: str


class Arc(NamedTuple):
    path: str
    of: int
    to: int


class Gap(NamedTuple):
    x: int
    length: str


class Picture(NamedTuple):
    width: int
    height: int
    lanes: Sequence[Lane]
    points: Sequence[Point]
    arcs: Sequence[Arc]
    gaps: Sequence[Gap]
    until: int | None = None
    """The x of the moment that the order is shown as of, or None for now."""


def is_bad(event: str) -> bool:
    return BAD.search(event) is not None


def is_minor(event: str) -> bool:
    return event in MINOR


def picture(
    rows: Sequence[Mapping[str, Any]],
    order_id: str,
    called: str,
    moment: str | None = None,
    words: Mapping[str, str] = NO_WORDS,
) -> Picture:
    """Return the picture. `called`: the order's name for people. `words`: for kinds of streams.

    Events after `moment` are marked as later.
    """
    lanes = _lanes(rows, order_id, called, words)
    of_stream = {lane.stream: lane for lane in lanes}
    points, gaps = _points(rows, of_stream)
    if moment is not None:
        points = [point._replace(is_later=moment_of(point.row["recorded_at"]) > moment_of(moment)) for point in points]
    by_id = {str(point.row["event_id"]): point for point in points}
    arcs = [_arc(by_id[cause], point) for point in points if (cause := str(point.row["caused_by"])) in by_id]
    width = max((point.x for point in points), default=LEFT) + RIGHT
    return Picture(width, TOP + LANE * len(lanes) + BOTTOM, lanes, points, arcs, gaps, _until(points))


def _until(points: Sequence[Point]) -> int | None:
    """Return the x between the last event before the moment and the first after it, or None if there is
    none after it."""
    first = next((number for number, point in enumerate(points) if point.is_later), None)
    if first is None:
        return None
    return (points[first - 1].x + points[first].x) // 2 if first else points[first].x - STEP // 2


def _lanes(rows: Sequence[Mapping[str, Any]], order_id: str, called: str, words: Mapping[str, str]) -> list[Lane]:
    streams = dict.fromkeys(row["stream"] for row in rows)
    return [
        Lane(
            TOP + LANE * number + LANE // 2,
            stream.partition("-")[0],
            _label(stream.replace(order_id, called), called, words),
            stream,
        )
        for number, stream in enumerate(streams)
    ]


def _label(stream: str, called: str, words: Mapping[str, str]) -> str:
    """Return a lane's label: parts of an order are named by its name and their number."""
    code, _, name = stream.partition("-")
    kind = words.get(code, code)
    own = name.removeprefix(called)
    text = f"{kind} {own.strip('.') if own and own.startswith('.') else name}"
    if len(text) <= LABEL_CHARACTERS_MAX:
        return text
    room = LABEL_CHARACTERS_MAX - len(kind) - 2
    return f"{kind} …{text[-room:]}"


def _points(rows: Sequence[Mapping[str, Any]], lanes: Mapping[str, Lane]) -> tuple[list[Point], list[Gap]]:
    points: list[Point] = []
    gaps: list[Gap] = []
    x, before, last = LEFT, None, ""
    for row in rows:
        at = moment_of(row["recorded_at"])
        pause = at - before if before else timedelta()
        if pause.total_seconds() >= PAUSE_SECONDS:
            gaps.append(Gap(x + PAUSE // 2, length_of(pause)))
            x += PAUSE
        elif before is not None:
            x += STEP if row["stream"] == last or pause.total_seconds() >= 1 else STEP * 2 // 3
        points.append(Point(x, lanes[row["stream"]].y, row, is_bad(row["event"])))
        before, last = at, row["stream"]
    return points, gaps


def length_of(pause: timedelta) -> str:
    seconds = pause.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def _arc(of: Point, to: Point) -> Arc:
    middle = (of.x + to.x) / 2
    path = f"M{of.x},{of.y} C{middle:.0f},{of.y} {middle:.0f},{to.y} {to.x},{to.y}"
    return Arc(path, of.row["position"], to.row["position"])
