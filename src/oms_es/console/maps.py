"""A plain map of the locations that an order could ship from: points at their coordinates, north at the top.

Pure: turns locations, and the decision about each, into shapes. Distances are exact in the middle of the map.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import cos, floor, log10, radians
from typing import Any, Literal, NamedTuple

Role = Literal["chosen", "weighed", "ruled-out", "other", "destination"]
WIDTH, HEIGHT_MIN, HEIGHT_MAX, MARGIN, RIGHT = 760, 220, 460, 48, 150
KM_PER_DEGREE = 111.2
SPAN_MIN_DEGREES = 0.2
LABEL_HEIGHT = 15
LABELS_MAX = 30
SCALE_WIDTH_MAX = 160
HALF_TURN, TURN = 180.0, 360.0


class Spot(NamedTuple):
    """A point of the map. `label_y`: the height of its name, or None if the name has no room and is in the tooltip
    only."""

    x: float
    y: float
    name: str
    role: Role
    label_y: float | None = None


class Map(NamedTuple):
    width: int
    height: int
    spots: Sequence[Spot]
    ways: Sequence[tuple[Spot, Spot]]
    """Lines from the chosen locations to the destination, if that is shown."""
    scale: float
    scale_km: float


def role_of(location: str, decision: Mapping[str, Any]) -> Role:
    """Return the location's role in a sourcing decision."""
    if any(one["location"] == location for one in decision.get("assignments", ())):
        return "chosen"
    if any(location in one["locations"] for one in decision.get("candidates", ())):
        return "weighed"
    return "ruled-out" if location in decision.get("ruled_out", {}) else "other"


def drawn(
    locations: Iterable[Mapping[str, Any]], decision: Mapping[str, Any], destination: tuple[float, float] | None
) -> Map | None:
    """Return the map, or None if fewer than two points have coordinates."""
    found: list[tuple[str, Role, float, float]] = [
        (row["location"], role_of(row["location"], decision), float(row["latitude"]), float(row["longitude"]))
        for row in locations
        if row.get("latitude") is not None and row.get("longitude") is not None
    ]
    if destination:
        found.append(("", "destination", *destination))
    return _map(found) if len(found) > 1 else None


def _map(places: Sequence[tuple[str, Role, float, float]]) -> Map:
    north, south = max(at for _, _, at, _ in places), min(at for _, _, at, _ in places)
    easts = _unbroken([at for _, _, _, at in places])
    width_of_degree = max(cos(radians((north + south) / 2)), 0.05)
    across = max((max(easts) - min(easts)) * width_of_degree, SPAN_MIN_DEGREES)
    down = max(north - south, SPAN_MIN_DEGREES)
    per_degree = min((WIDTH - MARGIN - RIGHT) / across, (HEIGHT_MAX - 2 * MARGIN) / down)
    height = max(HEIGHT_MIN, round(down * per_degree) + 2 * MARGIN)
    top = (height - (north - south) * per_degree) / 2
    spots = [
        Spot(MARGIN + (east - min(easts)) * width_of_degree * per_degree, top + (north - at) * per_degree, name, role)
        for (name, role, at, _), east in zip(places, easts, strict=True)
    ]
    spots = _labelled(sorted(spots, key=lambda spot: (ORDER[spot.role], spot.name)))
    end = next((spot for spot in spots if spot.role == "destination"), None)
    scale_km = _round_below(SCALE_WIDTH_MAX / per_degree * KM_PER_DEGREE)
    ways = [(spot, end) for spot in spots if end and spot.role == "chosen"]
    return Map(WIDTH, height, spots[::-1], ways, scale_km / KM_PER_DEGREE * per_degree, scale_km)


ORDER: Mapping[Role, int] = {"destination": 0, "chosen": 1, "weighed": 2, "ruled-out": 3, "other": 4}
"""Order of drawing: a lower number is labelled first and drawn above the others."""


def _unbroken(longitudes: Sequence[float]) -> Sequence[float]:
    """Return the longitudes without a jump at the date line, so that neighbours across it are drawn side by side."""
    if max(longitudes) - min(longitudes) <= HALF_TURN:
        return longitudes
    return [one + TURN if one < 0 else one for one in longitudes]


def _labelled(spots: Sequence[Spot]) -> list[Spot]:
    """Place each name beside its point, or a line lower or higher, where no other name is."""
    taken: list[tuple[float, float]] = []
    made = []
    for spot in spots:
        tries = (spot.y + 4, spot.y + 4 + LABEL_HEIGHT, spot.y + 4 - LABEL_HEIGHT)
        free = (at for at in tries if all(abs(x - spot.x) > RIGHT or abs(y - at) >= LABEL_HEIGHT for x, y in taken))
        at = next(free, None) if len(taken) < LABELS_MAX else None
        taken += [(spot.x, at)] if at is not None else []
        made.append(spot._replace(label_y=at))
    return made


def _round_below(length: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that is not above the length."""
    power = 10.0 ** floor(log10(length))
    return next(times * power for times in (5, 2, 1) if times * power <= length)
