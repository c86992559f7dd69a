"""Whether a day of a series is odd: by medians, which a few odd days of the past do not move.

A day is expected to be the median of the same day of the week in the eight weeks before it. How far days usually are
from that is the median absolute deviation of those weeks' days, each from its own day's median, times 1.4826 as for a
normal distribution; it is at least what chance alone makes of counts (the root of what is expected) and of shares.
A day is odd that is more than LIMIT times as far away. Nothing of the day itself or of later days is looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from math import sqrt
from statistics import median
from typing import NamedTuple

WEEKS = 8
SAME_DAYS_MIN, DAYS_MIN = 4, 28
"""Without as many in those weeks, nothing is said."""
LIMIT = 4.5
NORMAL = 1.4826
WIDER = 1.15
"""Medians of eight days are off themselves, and deviations from them too small."""


class Day(NamedTuple):
    """`of`: of how many things it is a share, in percent; 0 for what is none. `is_count`: of things that happen."""

    value: float
    of: float = 0
    is_count: bool = False


class Odd(NamedTuple):
    """`times`: how many times as far off as days usually are; negative below what was expected."""

    day: date
    value: float
    expected: float
    low: float
    high: float
    times: float


def judge(days: Mapping[date, Day], day: date) -> Odd | None:
    """None where it is not odd, or where too little is known to say so."""
    before = [one for n in range(1, 7 * WEEKS + 1) if (one := day - timedelta(days=n)) in days]
    by_weekday: dict[int, list[float]] = defaultdict(list)
    for one in before:
        by_weekday[one.weekday()].append(days[one].value)
    same = by_weekday[day.weekday()]
    if day not in days or len(same) < SAME_DAYS_MIN or len(before) < DAYS_MIN:
        return None
    middles = {weekday: median(values) for weekday, values in by_weekday.items()}
    expected = middles[day.weekday()]
    usual = NORMAL * median(abs(days[one].value - middles[one.weekday()]) for one in before)
    usual = WIDER * max(usual, by_chance(days[day], expected))
    if usual == 0:
        return None
    times = (days[day].value - expected) / usual
    if abs(times) <= LIMIT:
        return None
    return Odd(day, days[day].value, expected, expected - LIMIT * usual, expected + LIMIT * usual, times)


def by_chance(day: Day, expected: float) -> float:
    """How far counts and shares are off though nothing has changed."""
    if day.of:
        share = min(max(expected / 100, 1 / day.of), 1 - 1 / day.of) if day.of > 1 else 0.5
        return 100 * sqrt(share * (1 - share) / day.of)
    return sqrt(max(expected, 1)) if day.is_count else 0
