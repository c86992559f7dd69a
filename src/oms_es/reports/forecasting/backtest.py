"""Backtests with rolling origins: what each model would have forecast at several times in the past, beside the actual
demand.

Invariant: nothing after an origin is known to its forecast, and periods without stock do not count as errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from oms_es.reports.forecasting.models import models_of
from oms_es.reports.forecasting.smoothing import History

ORIGINS = 3
TRAINED_MIN = 4
"""How many periods there must be before the first origin."""
ERROR_MIN = 1e-2
"""Added to a model's squared error, so that a model without errors by chance does not get all the weight."""


TIE = 1e-9


class Origin(NamedTuple):
    """An origin at which `at` periods were known.

    `said` has the forecast of each model for the periods of `actual`; `counted` says which of these count.
    """

    at: int
    actual: Sequence[float]
    counted: Sequence[bool]
    said: Mapping[str, Sequence[float]]

    def squared(self, said: Sequence[float]) -> float:
        return sum((a - s) ** 2 for a, s, counts in zip(self.actual, said, self.counted, strict=True) if counts)


def origins(history: History, censored: Sequence[bool], horizon: int, season: int) -> list[Origin]:
    """Return the origins.

    The last one ends with the history; each leaves at least half of the history to learn from, and they are a third of
    the horizon apart.
    """
    length = len(history)
    ahead = min(horizon, length // 2)
    step = max(ahead // ORIGINS, 1)
    found = []
    for number in range(ORIGINS):
        at = length - ahead + number * step
        if max(length // 2, TRAINED_MIN) <= at < length:
            found.append(_origin(history, censored, at, min(ahead, length - at), season))
    return [one for one in found if any(one.counted)]


def _origin(history: History, censored: Sequence[bool], at: int, ahead: int, season: int) -> Origin:
    known = history[:at]
    said = {name: model(known, ahead) for name, model in models_of(at, season).items()}
    return Origin(at, history[at : at + ahead], [not one for one in censored[at : at + ahead]], said)


def weights(found: Sequence[Origin], names: Sequence[str]) -> dict[str, float]:
    """Return the weights of the models, which sum to 1: the inverse of the mean squared error over all origins, or
    equal weights without an origin.
    """
    periods = sum(sum(one.counted) for one in found)
    inverse = dict.fromkeys(names, 1.0)
    if periods:
        for name in names:
            errors = [one.squared(one.said[name]) for one in found if name in one.said]
            inverse[name] = 1 / (sum(errors) / periods + ERROR_MIN) if len(errors) == len(found) else 0.0
    whole = sum(inverse.values())
    return {name: one / whole for name, one in inverse.items()}


def together(said: Mapping[str, Sequence[float]], shares: Mapping[str, float]) -> list[float]:
    """Return for each period the weighted median of the models' forecasts, which an outlier moves little."""
    steps = range(len(next(iter(said.values()))))
    return [_middle([(values[step], shares.get(name, 0.0)) for name, values in said.items()]) for step in steps]


def _middle(weighed: Iterable[tuple[float, float]]) -> float:
    """Return the weighted median: half of the weight is at or below it.

    If the half is exact, it is midway to the next value.
    """
    ordered = sorted((value, share) for value, share in weighed if share)
    half, below = sum(share for _, share in ordered) / 2, 0.0
    for place, (value, share) in enumerate(ordered):
        below += share
        if below > half + TIE:
            return value
        if below >= half - TIE:
            return (value + ordered[place + 1][0]) / 2
    raise AssertionError("no model has a weight")


class Spread(NamedTuple):
    """The variance of the combined forecast's errors: `noise` is independent in each period, `level` is the same in all
    of them.
    """

    noise: float
    level: float

    def of_period(self, mean: float) -> float:
        """Return the variance of one period's demand, at least that of a Poisson distribution."""
        return max(self.noise + self.level, mean)

    def of_sum(self, mean: float, periods: float) -> float:
        """Return the variance of the sum over periods: noise evens out, an error of the level does not."""
        return max(self.noise * periods + self.level * periods * periods, mean)


def spread_of(errors: Sequence[Sequence[float]]) -> Spread:
    """Return the spread of the errors, which are given for each origin."""
    each = [error for origin in errors for error in origin]
    if not each:
        return Spread(0.0, 0.0)
    mean_square, level = fmean(error * error for error in each), 0.0
    longest = [origin for origin in errors if len(origin) > 1]
    if longest:
        length = fmean(len(origin) for origin in longest)
        of_means = fmean(fmean(origin) ** 2 for origin in longest)
        level = min(max((of_means - mean_square / length) / (1 - 1 / length), 0.0), mean_square)
    return Spread(mean_square - level, level)
