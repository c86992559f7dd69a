"""The distribution of a number of units, by mean and variance, and its quantiles.

It is a negative binomial if the variance is above the mean, and a Poisson distribution otherwise; above a thousand
units it is normal.
"""

from __future__ import annotations

from math import exp, log, sqrt
from statistics import NormalDist

NORMAL_FROM = 1_000.0
STEPS_MAX = 100_000
SPREAD_MIN = 1.0001
"""A variance relative to the mean from which on it counts as more than Poisson's."""


def quantile(mean: float, variance: float, share: float) -> int:
    """Return the least count that is not exceeded in this share of cases."""
    if mean <= 0:
        return 0
    if mean >= NORMAL_FROM:
        return max(round(NormalDist(mean, sqrt(max(variance, mean))).inv_cdf(share)), 0)
    spread = variance / mean
    return _poisson(mean, share) if spread < SPREAD_MIN else _negative_binomial(mean, spread, share)


def _poisson(mean: float, share: float) -> int:
    chance, count = exp(-mean), 0
    total = chance
    while total < share and count < STEPS_MAX:
        count += 1
        chance *= mean / count
        total += chance
    return count


def _negative_binomial(mean: float, spread: float, share: float) -> int:
    size = mean / (spread - 1)
    grows = (spread - 1) / spread
    chance = exp(-size * log(spread))
    total, count = chance, 0
    while total < share and count < STEPS_MAX:
        chance *= grows * (size + count) / (count + 1)
        count += 1
        total += chance
    return count
