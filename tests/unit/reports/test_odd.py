"""Unusual values are flagged and usual ones are not, on seeded series with weekly trends, holidays and gaps."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from math import exp

import pytest

from oms_es.reports.odd.judging import LIMIT, WEEKS, Day, judge

FIRST = date(2026, 1, 5)
HISTORY, JUDGED = 7 * WEEKS, 120
WEEK = (1.0, 0.9, 0.95, 1.0, 1.3, 1.7, 0.6)
SERIES = 25
FEW = 3
FALSE_ALARMS_MAX = 0.01
"""Of the days judged, where amounts are made of a few orders a day; the how-to says so."""


def poisson(chance: random.Random, mean: float) -> int:
    least, count, product = exp(-mean), 0, chance.random()
    while product > least:
        count, product = count + 1, product * chance.random()
    return count


def counts(chance: random.Random, mean: float) -> Day:
    return Day(poisson(chance, mean), is_count=True)


def bursts(chance: random.Random, mean: float) -> Day:
    """Return a day of a series that is more uneven than chance alone: each day is good or bad."""
    return Day(poisson(chance, mean * chance.gammavariate(20, 1 / 20)), is_count=True)


def amounts(chance: random.Random, mean: float) -> Day:
    return Day(sum(chance.lognormvariate(8, 0.7) for _ in range(poisson(chance, mean))))


def shares(chance: random.Random, mean: float) -> Day:
    asked = poisson(chance, mean * 3) + 1
    return Day(100 * sum(chance.random() < 0.06 for _ in range(asked)) / asked, of=asked)


def drawn(seed: int, one: Callable[[random.Random, float], Day], mean: float) -> dict[date, Day]:
    chance = random.Random(seed)
    days = [FIRST + timedelta(days=n) for n in range(HISTORY + JUDGED)]
    return {day: one(chance, mean * WEEK[day.weekday()]) for day in days}


def judged() -> Iterator[date]:
    yield from (FIRST + timedelta(days=HISTORY + n) for n in range(JUDGED))


@pytest.mark.parametrize("mean", [FEW, 30])
@pytest.mark.parametrize("one", [counts, bursts, amounts, shares])
def test_days_as_ever_are_hardly_flagged(one: Callable[[random.Random, float], Day], mean: float) -> None:
    each = (drawn(seed, one, mean) for seed in range(SERIES))
    flagged = sum(judge(days, day) is not None for days in each for day in judged())
    most = FALSE_ALARMS_MAX if one is amounts and mean == FEW else FALSE_ALARMS_MAX / 4
    assert flagged / (SERIES * JUDGED) <= most


@pytest.mark.parametrize(("one", "times"), [(counts, 0.0), (counts, 2.5), (bursts, 4.0)])
def test_a_day_without_and_a_day_with_far_more_are_found(
    one: Callable[[random.Random, float], Day], times: float
) -> None:
    found = 0
    for seed in range(SERIES):
        days = drawn(seed, one, 60)
        day = FIRST + timedelta(days=HISTORY + seed)
        days[day] = Day(round(days[day].value * times), is_count=True)
        odd = judge(days, day)
        found += odd is not None and (odd.times > 0) == (times > 1) and odd.low <= odd.expected <= odd.high
    assert found >= SERIES * 0.9


def test_payments_that_fail_five_times_as_often_are_found() -> None:
    days = drawn(1, shares, 60)
    day = FIRST + timedelta(days=HISTORY)
    days[day] = Day(30.0, of=days[day].of)
    odd = judge(days, day)
    assert odd is not None
    assert odd.times > LIMIT


def test_odd_days_of_the_past_do_not_make_the_next_ones_usual() -> None:
    days = drawn(2, counts, 30)
    for week in range(3):
        days[FIRST + timedelta(days=HISTORY - 1 - 14 * week)] = Day(500, is_count=True)
    day = FIRST + timedelta(days=HISTORY + 6)
    days[day] = Day(200, is_count=True)
    assert judge(days, day) is not None


@pytest.mark.parametrize("kept", [range(27), range(0, 7 * WEEKS, 7)])
def test_of_too_little_history_nothing_is_said(kept: range) -> None:
    days = {FIRST + timedelta(days=n): Day(10, is_count=True) for n in kept}
    day = FIRST + timedelta(days=HISTORY)
    assert judge({**days, day: Day(1_000, is_count=True)}, day) is None
    assert judge(days, day) is None, "a day of which nothing is known"


def test_what_comes_later_changes_nothing() -> None:
    days: Mapping[date, Day] = drawn(3, bursts, 10)
    day = FIRST + timedelta(days=HISTORY)
    until = {one: value for one, value in days.items() if one <= day}
    assert judge(days, day) == judge(until, day)


def test_amounts_that_never_change_are_not_called_odd_for_want_of_a_scale() -> None:
    days = {FIRST + timedelta(days=n): Day(0) for n in range(HISTORY)}
    day = FIRST + timedelta(days=HISTORY)
    assert judge({**days, day: Day(5)}, day) is None
