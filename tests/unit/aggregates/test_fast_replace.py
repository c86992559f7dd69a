"""`fast_replace` changes a state with many fields as `NamedTuple._replace` does."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from oms_es.aggregates.fast_replace import fast_replace


class Point(NamedTuple):
    x: int = 0
    y: int = 0


def test_what_is_not_changed_stays() -> None:
    assert fast_replace(Point) is Point
    point = Point(1, 2)
    moved = point._replace(y=3)
    assert (moved, type(moved), point) == ((1, 3), Point, (1, 2))
    assert point._replace(x=5, y=6) == Point(5, 6)
    assert point._replace() == point


def test_a_field_that_it_does_not_have_is_not_changed() -> None:
    with pytest.raises(KeyError):
        fast_replace(Point)(1, 2)._replace(z=3)  # type: ignore[call-arg] # that there is none is what is asked
