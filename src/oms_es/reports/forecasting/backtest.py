"""Rolling origins: what each model would have said at several moments of the past, beside what came then.

Invariant: nothing of after an origin is known to what is said at it, nor is a period in which there was nothing to sell
counted as an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from oms_es.reports.forecasting.models import models_of
from oms_es.reports.forecasting.smoothing import History

ORIGINS = 3
TRAINED_MIN = 4
"""Periods before the first origin, at the least."""
ERROR_MIN = 1e-2
"""Added to a model's squared error, so that none has all the weight for having been right by chance."""


TIE = 1e-9


class Origin(NamedTuple):
    """`at`: so many periods were known. `said`: by model, for each of `actual`, and `counted` of them."""

    at: int
    actual: Sequence[float]
    counted: Sequence[bool]
    said: Mapping[str, Sequence[float]]

    def squared(self, said: Sequence[float]) -> float:
        return sum((a - s) ** 2 for a, s, counts in zip(self.actual, said, self.counted, strict=True) if counts)


def origins(history: History, censored: Sequence[bool], horizon: int, season: int) -> list[Origin]:
    """The newest ends with history; each leaves at least half of it to learn from, and they are apart by a third."""
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
    """By the inverse of the mean squared error over all origins; even without an origin. They sum to 1."""
    periods = sum(sum(one.counted) for one in found)
    inverse = dict.fromkeys(names, 1.0)
    if periods:
        for name in names:
            errors = [one.squared(one.said[name]) for one in found if name in one.said]
            inverse[name] = 1 / (sum(errors) / periods + ERROR_MIN) if len(errors) == len(found) else 0.0
    whole = sum(inverse.values())
    return {name: one / whole for name, one in inverse.items()}


def together(said: Mapping[str, Sequence[float]], shares: Mapping[str, float]) -> list[float]:
    """For each period the middle of what the models say, by their weights: one that is far off moves it little."""
    steps = range(len(next(iter(said.values()))))
    return [_middle([(values[step], shares.get(name, 0.0)) for name, values in said.items()]) for step in steps]


def _middle(weighed: Iterable[tuple[float, float]]) -> float:
    """Half of the weight is at it or below; where exactly half is, it lies between that one and the next."""
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
    """Of what was said together, as variances: `noise` is another in each period, `level` the same in all of them."""

    noise: float
    level: float

    def of_period(self, mean: float) -> float:
        """As much as Poisson's at the least."""
        return max(self.noise + self.level, mean)

    def of_sum(self, mean: float, periods: float) -> float:
        """Noise evens out over periods, a level that is wrong does not."""
        return max(self.noise * periods + self.level * periods * periods, mean)


def spread_of(errors: Sequence[Sequence[float]]) -> Spread:
    """`errors`: of each origin."""
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
