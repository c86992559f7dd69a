"""Whether a day of a series is odd, judged by medians, which a few odd days of the past do not change much.

The expectation is the median of the same weekday in the eight weeks before. The usual deviation is the median absolute
deviation of those weeks' days, each from its own weekday's median, times 1.4826 as for a normal distribution; it is at
least the random variation of counts (the root of the expectation) and of shares. A day is odd if it deviates more than
LIMIT times the usual deviation. Neither the day itself nor later days are used.
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
"""With fewer days in those weeks, no judgement is made."""
LIMIT = 4.5
NORMAL = 1.4826
WIDER = 1.15
"""Corrects the usual deviation: medians of only eight days vary themselves, so that deviations from them are too
small."""


class Day(NamedTuple):
    """A day's value.

    `of` is the number of things that it is a share of, in percent, or 0. `is_count`: it counts events.
    """

    value: float
    of: float = 0
    is_count: bool = False


class Odd(NamedTuple):
    """An odd day. `times` is its deviation relative to the usual one; it is negative below the expectation."""

    day: date
    value: float
    expected: float
    low: float
    high: float
    times: float


def judge(days: Mapping[date, Day], day: date) -> Odd | None:
    """Return the odd day; None if it is not odd, or too little is known to judge it."""
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
    """Return by how much counts and shares vary at random."""
    if day.of:
        share = min(max(expected / 100, 1 / day.of), 1 - 1 / day.of) if day.of > 1 else 0.5
        return 100 * sqrt(share * (1 - share) / day.of)
    return sqrt(max(expected, 1)) if day.is_count else 0
