"""The choice of boxes for a shipment. Pure arithmetic over weights and volumes; boxes are data, and each plan names the
rule's version.

Invariant: the cartons hold exactly the items, each unit once; the contents of a box weigh and fill no more than the box
takes. Fewest cartons win, then least room. Up to EXACT_UNITS_MAX units every way to pack them is compared; beyond that,
units are packed first-fit, largest first. Volumes are compared, not shapes, and only FILL_PERCENT of a box's volume is
used. A unit that no box takes travels in its own packaging.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from oms_es.schemas.order import Reservation
from oms_es.schemas.shipment import CARTONS_MAX, Carton

RULE_VERSION = "1"
EXACT_UNITS_MAX = 8
"""Up to so many units every way is compared: there are 4,140 ways to sort 8 units into boxes, and 21,147 for 9."""
UNITS_MAX = 500
"""For more units no plan is made: such a shipment travels on pallets, not in cartons."""
FILL_PERCENT = 85
OWN_PACKAGING = "own"


class Box(NamedTuple):
    name: str
    volume_ml: int
    load_grams_max: int
    empty_grams: int

    def takes(self, size: Size) -> bool:
        return size.volume_ml * 100 <= self.volume_ml * FILL_PERCENT and size.weight_grams <= self.load_grams_max


class Size(NamedTuple):
    weight_grams: int
    volume_ml: int

    def __add__(self, other: object) -> Size:
        assert isinstance(other, Size)
        return Size(self.weight_grams + other.weight_grams, self.volume_ml + other.volume_ml)


BOXES: tuple[Box, ...] = (
    Box("small", 4_000, 5_000, 120),
    Box("medium", 15_000, 12_000, 300),
    Box("large", 45_000, 20_000, 650),
    Box("extra-large", 110_000, 30_000, 1_200),
)
"""The boxes, smallest first."""

Unit = tuple[Reservation, Size]
Group = tuple[int, ...]
"""Units by their index."""


class Packing(NamedTuple):
    cartons: tuple[Carton, ...]
    rule: str


def cartonise(items: Sequence[Reservation], sizes: Mapping[str, Size], boxes: Sequence[Box] = BOXES) -> Packing | None:
    """Return the cartons.

    Return None if the size of an item is not known, or more than CARTONS_MAX cartons were needed.
    """
    if any(item.sku not in sizes for item in items) or not 0 < sum(item.quantity for item in items) <= UNITS_MAX:
        return None
    units = [(item, sizes[item.sku]) for item in items for _ in range(item.quantity)]
    exact = len(units) <= EXACT_UNITS_MAX
    groups = (pack_exactly if exact else pack_first_fit)([size for _, size in units], boxes)
    if len(groups) > CARTONS_MAX:
        return None
    cartons = tuple(_carton(str(number), [units[i] for i in group], boxes) for number, group in enumerate(groups, 1))
    return Packing(cartons, f"{RULE_VERSION}/{'exact' if exact else 'first-fit'}")


def pack_exactly(sizes: Sequence[Size], boxes: Sequence[Box] = BOXES) -> list[Group]:
    """Return the best of all ways to sort the units into boxes."""
    loose = tuple(i for i, size in enumerate(sizes) if _box_for([size], boxes))
    alone: list[Group] = [(i,) for i in range(len(sizes)) if i not in loose]
    for count in range(1, len(loose) + 1):
        ways = list(_sortings(sizes, boxes, loose, (), count))
        if ways:
            best = min(ways, key=lambda groups: (_room(groups, sizes, boxes), groups))
            return [*best, *alone]
    return alone


def _sortings(
    sizes: Sequence[Size], boxes: Sequence[Box], left: Group, groups: tuple[Group, ...], count: int
) -> Iterator[tuple[Group, ...]]:
    """Yield every way to sort the units into `count` groups: each unit joins a group that has room for it, or begins
    one.
    """
    if not left:
        if len(groups) == count:
            yield groups
        return
    first, *rest = left
    for place, group in enumerate(groups):
        if _box_for([sizes[i] for i in (*group, first)], boxes):
            joined = (*groups[:place], (*group, first), *groups[place + 1 :])
            yield from _sortings(sizes, boxes, tuple(rest), joined, count)
    if len(groups) < count:
        yield from _sortings(sizes, boxes, tuple(rest), (*groups, (first,)), count)


def pack_first_fit(sizes: Sequence[Size], boxes: Sequence[Box] = BOXES) -> list[Group]:
    """Return groups by first-fit decreasing (D.

    S. Johnson, 1973), ordered by the larger of the two shares of the largest box that a unit takes.
    """
    largest = boxes[-1]

    def share(i: int) -> int:
        size = sizes[i]
        return max(size.weight_grams * largest.volume_ml, size.volume_ml * largest.load_grams_max)

    groups: list[list[int]] = []
    held: list[Size] = []
    for i in sorted(range(len(sizes)), key=lambda i: (-share(i), i)):
        place = next((at for at, size in enumerate(held) if largest.takes(size + sizes[i])), None)
        if place is None:
            groups.append([i])
            held.append(sizes[i])
        else:
            groups[place].append(i)
            held[place] += sizes[i]
    return [tuple(sorted(group)) for group in groups]


def _box_for(sizes: Sequence[Size], boxes: Sequence[Box]) -> Box | None:
    """Return the smallest box that takes all units; None if there is none."""
    whole = sum(sizes, Size(0, 0))
    return next((box for box in boxes if box.takes(whole)), None)


def _room(groups: Sequence[Group], sizes: Sequence[Size], boxes: Sequence[Box]) -> int:
    chosen = [_box_for([sizes[i] for i in group], boxes) for group in groups]
    return sum(box.volume_ml for box in chosen if box)


def _carton(carton_id: str, units: Sequence[Unit], boxes: Sequence[Box]) -> Carton:
    sizes = [size for _, size in units]
    box = _box_for(sizes, boxes)
    counted = Counter(item for item, _ in units)
    items = tuple(item.model_copy(update={"quantity": quantity}) for item, quantity in counted.items())
    whole = sum(sizes, Size(0, 0))
    return Carton(
        carton_id=carton_id,
        box=box.name if box else OWN_PACKAGING,
        items=items,
        weight_grams=whole.weight_grams + (box.empty_grams if box else 0),
        volume_ml=box.volume_ml if box else whole.volume_ml,
    )
