"""Models of demand with sales in most periods: naive ones, moving averages, exponential smoothing, theta.

Each takes a history, oldest first, and returns one number for each coming period. They follow the literature, with
smoothing constants chosen from a grid by the squared error of one step ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

ALPHAS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
BETAS = (0.05, 0.15, 0.3)
DAMPING = 0.9
History = Sequence[float]


def naive(history: History, horizon: int) -> list[float]:
    return [history[-1]] * horizon


def seasonal_naive(history: History, horizon: int, season: int) -> list[float]:
    last = history[-season:]
    return [last[step % len(last)] for step in range(horizon)]


def mean_of(history: History, horizon: int, periods: int) -> list[float]:
    return [fmean(history[-periods:])] * horizon


def ses(history: History, horizon: int) -> list[float]:
    """Simple exponential smoothing."""
    return [smoothed(history)] * horizon


def smoothed(history: History) -> float:
    """Return the final level with the best of the smoothing constants."""
    return min((_level(history, alpha) for alpha in ALPHAS), key=lambda found: found[0])[1]


def _level(history: History, alpha: float) -> tuple[float, float]:
    """Return the sum of squared errors, and the final level."""
    level, errors = history[0], 0.0
    for value in history[1:]:
        error = value - level
        errors += error * error
        level += alpha * error
    return errors, level


def damped_trend(history: History, horizon: int) -> list[float]:
    """Holt's method with a damped trend, ETS(A,Ad,N)."""
    found = min((_damped(history, a, b) for a in ALPHAS for b in BETAS if b <= a), key=lambda one: one[0])
    _, level, trend = found
    said, growth = [], 0.0
    for step in range(1, horizon + 1):
        growth += DAMPING**step
        said.append(max(level + growth * trend, 0.0))
    return said


def _damped(history: History, alpha: float, beta: float) -> tuple[float, float, float]:
    level, trend, errors = history[0], 0.0, 0.0
    for value in history[1:]:
        expected = level + DAMPING * trend
        error = value - expected
        errors += error * error
        level, trend = expected + alpha * error, DAMPING * trend + beta * error
    return errors, level, trend


def theta(history: History, horizon: int) -> list[float]:
    """The standard theta method: smoothing, with half of the drift of a line through all of the history."""
    level, drift = smoothed(history), _slope(history) / 2
    return [max(level + drift * step, 0.0) for step in range(1, horizon + 1)]


def _slope(history: History) -> float:
    middle, mean = (len(history) - 1) / 2, fmean(history)
    square = sum((place - middle) ** 2 for place in range(len(history)))
    return sum((place - middle) * (value - mean) for place, value in enumerate(history)) / square if square else 0.0
