"""Models of demand with many periods in which nothing is sold: Croston and its corrections, and ADIDA.

Invariant: each says a rate, units per period, which is the same for every period to come.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import fmean

from oms_es.reports.forecasting.smoothing import History, smoothed

ALPHA = 0.1
"""What Croston's method is used with."""
TSB_ALPHA, TSB_BETA = 0.2, 0.1


def croston(history: History, horizon: int) -> list[float]:
    """How much is sold when something is, over how long it takes until something is; both smoothed."""
    return [_rate(history)] * horizon


def sba(history: History, horizon: int) -> list[float]:
    """Syntetos and Boylan: Croston's rate without its bias."""
    return [_rate(history) * (1 - ALPHA / 2)] * horizon


def tsb(history: History, horizon: int) -> list[float]:
    """Teunter, Syntetos and Babai: how likely something is sold is smoothed in each period, so that what is not sold
    any more fades."""
    sold = [value for value in history if value]
    if not sold:
        return [0.0] * horizon
    size, chance = sold[0], len(sold) / len(history)
    for value in history:
        if value:
            size += TSB_ALPHA * (value - size)
        chance += TSB_BETA * ((1.0 if value else 0.0) - chance)
    return [size * chance] * horizon


def adida(history: History, horizon: int) -> list[float]:
    """Aggregate to as many periods as pass between sales, smooth, and share out."""
    gaps = intervals(history)
    width = max(ceil(fmean(gaps)), 1) if gaps else 1
    begin = len(history) % width
    sums = [sum(history[place : place + width]) for place in range(begin, len(history), width)]
    return [smoothed(sums) / width if sums else 0.0] * horizon


def intervals(history: Sequence[float]) -> list[int]:
    """How many periods after the last one something was sold again; the first counts from the beginning."""
    found, since = [], 0
    for value in history:
        since += 1
        if value:
            found.append(since)
            since = 0
    return found


def _rate(history: History) -> float:
    sold = [value for value in history if value]
    if not sold:
        return 0.0
    gaps = intervals(history)
    size, gap = sold[0], float(gaps[0])
    for value, interval in zip(sold[1:], gaps[1:], strict=True):
        size += ALPHA * (value - size)
        gap += ALPHA * (interval - gap)
    return size / gap
