"""Measures of a forecast's errors that can be compared between series.

`mase`: the absolute error relative to that of the seasonal naive forecast within the history; below 1 the forecast is
better. `bias`: the excess of the forecast relative to the demand. `pinball`: the loss of a quantile, on the scale of
`mase`.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from oms_es.reports.forecasting.smoothing import History


def scale_of(history: History, season: int) -> float:
    """Return the mean absolute error of forecasting each period by the one a season before; 0 if the history never
    changes.
    """
    step = season if len(history) > season else 1
    return fmean(abs(now - before) for now, before in zip(history[step:], history, strict=False))


def absolute(actual: Sequence[float], said: Sequence[float]) -> float:
    return fmean(abs(a - s) for a, s in zip(actual, said, strict=True))


def squared(actual: Sequence[float], said: Sequence[float]) -> float:
    return fmean((a - s) ** 2 for a, s in zip(actual, said, strict=True))


def pinball(actual: Sequence[float], said: Sequence[float], share: float) -> float:
    return fmean(max(share * (a - s), (share - 1) * (a - s)) for a, s in zip(actual, said, strict=True))


def covered(actual: Sequence[float], low: Sequence[float], high: Sequence[float]) -> float:
    """Return the share of periods in which the demand was within the range, bounds included."""
    return fmean(1.0 if least <= a <= most else 0.0 for a, least, most in zip(actual, low, high, strict=True))
