"""How wrong a forecast was, in figures that can be compared between series.

`mase`: its absolute error over that of the seasonal naive forecast within the history that it was made of; below 1 it
is the better one. `bias`: what it said too much, over what was wanted; `pinball`: the loss of a quantile, over the same
scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from oms_es.reports.forecasting.smoothing import History


def scale_of(history: History, season: int) -> float:
    """The mean absolute error of saying, one step ahead, what was a season before; 0 where nothing ever changed."""
    step = season if len(history) > season else 1
    return fmean(abs(now - before) for now, before in zip(history[step:], history, strict=False))


def absolute(actual: Sequence[float], said: Sequence[float]) -> float:
    return fmean(abs(a - s) for a, s in zip(actual, said, strict=True))


def squared(actual: Sequence[float], said: Sequence[float]) -> float:
    return fmean((a - s) ** 2 for a, s in zip(actual, said, strict=True))


def pinball(actual: Sequence[float], said: Sequence[float], share: float) -> float:
    return fmean(max(share * (a - s), (share - 1) * (a - s)) for a, s in zip(actual, said, strict=True))


def covered(actual: Sequence[float], low: Sequence[float], high: Sequence[float]) -> float:
    """The share of periods that lay between the two, or on one of them."""
    return fmean(1.0 if least <= a <= most else 0.0 for a, least, most in zip(actual, low, high, strict=True))
