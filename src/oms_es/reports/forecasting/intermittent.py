"""Models of demand with many periods without sales: Croston's and its corrections, and ADIDA.

Invariant: each forecasts a rate in units per period, which is the same for every coming period.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import fmean

from oms_es.reports.forecasting.smoothing import History, smoothed

ALPHA = 0.1
"""The usual smoothing constant of Croston's method."""
TSB_ALPHA, TSB_BETA = 0.2, 0.1


def croston(history: History, horizon: int) -> list[float]:
    """Croston: the smoothed size of a sale, divided by the smoothed interval between sales."""
    return [_rate(history)] * horizon


def sba(history: History, horizon: int) -> list[float]:
    """Syntetos and Boylan: Croston's rate without its bias."""
    return [_rate(history) * (1 - ALPHA / 2)] * horizon


def tsb(history: History, horizon: int) -> list[float]:
    """Teunter, Syntetos and Babai: the probability of a sale is smoothed in each period, so that the forecast fades
    when sales end.
    """
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
    """ADIDA: aggregate over the mean interval between sales, smooth, and disaggregate."""
    gaps = intervals(history)
    width = max(ceil(fmean(gaps)), 1) if gaps else 1
    begin = len(history) % width
    sums = [sum(history[place : place + width]) for place in range(begin, len(history), width)]
    return [smoothed(sums) / width if sums else 0.0] * horizon


def intervals(history: Sequence[float]) -> list[int]:
    """Return the number of periods between sales; the first is counted from the beginning."""
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
