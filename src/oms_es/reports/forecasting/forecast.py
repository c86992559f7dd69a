"""The forecast of one series: the expected units of every coming period, and the range of their counts.

The expectation is the weighted median of the models' forecasts. Its error is estimated at the origins of the past, each
time with weights from the other origins. Counts follow a negative binomial distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from oms_es.reports.forecasting import measures
from oms_es.reports.forecasting.backtest import Origin, Spread, origins, spread_of, together, weights
from oms_es.reports.forecasting.counts import quantile
from oms_es.reports.forecasting.models import models_of
from oms_es.reports.forecasting.smoothing import History

LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9
DECIMALS = 4
NEAR = 4
"""How many periods before and after one without stock are used to estimate what would have been sold."""


class Said(NamedTuple):
    """The forecast of a period, or of all together: the expected units, and the counts that a tenth, a half and
    nine tenths of cases do not exceed.
    """

    expected: float
    low: int
    middle: int
    high: int


class Errors(NamedTuple):
    """The errors at rolling origins in the series' own history.

    Scaled ones are None if the history never changes, so that there is no scale.
    """

    origins: int
    periods: int
    mase: float | None
    bias: float | None
    pinball_low: float | None
    pinball_high: float | None
    covered: float | None


class Forecast(NamedTuple):
    """A forecast.

    `weights` are those of the models, the largest first. `not_enough` says why there is no forecast; then all else is
    empty.
    """

    periods: Sequence[Said]
    total: Said | None
    errors: Errors | None
    weights: Mapping[str, float]
    spread: Spread
    not_enough: str = ""


NOTHING_SAID = Forecast((), None, None, {}, Spread(0.0, 0.0))


def forecast(
    sold: Sequence[int], censored: Sequence[bool], horizon: int, *, season: int, periods_min: int, unit: str
) -> Forecast:
    """Return the forecast.

    `sold` has the units of each whole period, oldest first; `censored` marks periods mostly without stock.
    """
    if len(sold) < periods_min:
        return NOTHING_SAID._replace(not_enough=f"{len(sold)} of {periods_min} {unit}s")
    if not any(sold):
        return NOTHING_SAID._replace(not_enough=f"nothing was sold in {len(sold)} {unit}s")
    history = uncensored(sold, censored)
    found = origins(history, censored, horizon, season)
    said = {name: model(history, horizon) for name, model in models_of(len(history), season).items()}
    shares = weights(found, list(said))
    held = [_left_out(found, one) for one in found]
    spread = spread_of([_errors_at(one, expected) for one, expected in zip(found, held, strict=True)])
    expected = together(said, shares)
    known = {name: round(share, DECIMALS) for name, share in shares.items() if round(share, DECIMALS)}
    return Forecast(
        [_said(mean, spread.of_period(mean)) for mean in expected],
        _said(sum(expected), spread.of_sum(sum(expected), horizon)),
        _errors(history, found, held, spread, season),
        dict(sorted(known.items(), key=lambda pair: (-pair[1], pair[0]))),
        spread,
    )


def uncensored(sold: Sequence[int], censored: Sequence[bool]) -> list[float]:
    """Return the series with periods without stock raised to the mean of nearby periods with stock, if that is more."""
    found = [float(units) for units in sold]
    for place in (place for place, is_out in enumerate(censored) if is_out):
        before = [float(sold[n]) for n in range(place - 1, -1, -1) if not censored[n]][:NEAR]
        after = [float(sold[n]) for n in range(place + 1, len(sold)) if not censored[n]][:NEAR]
        if near := before + after:
            found[place] = max(found[place], fmean(near))
    return found


def _left_out(found: Sequence[Origin], one: Origin) -> list[float]:
    """Return the combined forecast at an origin, with weights from the other origins."""
    others = [other for other in found if other is not one]
    return together(one.said, weights(others, list(one.said)))


def _errors_at(one: Origin, expected: Sequence[float]) -> list[float]:
    return [a - e for a, e, counts in zip(one.actual, expected, one.counted, strict=True) if counts]


def _said(mean: float, variance: float) -> Said:
    low, middle, high = (quantile(mean, variance, share) for share in (LOW, MIDDLE, HIGH))
    return Said(round(mean, DECIMALS), low, middle, high)


def _errors(
    history: History, found: Sequence[Origin], held: Sequence[Sequence[float]], spread: Spread, season: int
) -> Errors | None:
    if not found:
        return None
    actual, scales, said, means = [], [], [], []
    for one, expected in zip(found, held, strict=True):
        scale = measures.scale_of(history[: one.at], season)
        for wanted, mean, counts in zip(one.actual, expected, one.counted, strict=True):
            if counts:
                actual.append(wanted)
                scales.append(scale)
                means.append(mean)
                said.append(_said(mean, spread.of_period(mean)))
    scale = fmean(scales)
    lows, middles, highs = ([float(getattr(one, name)) for one in said] for name in ("low", "middle", "high"))
    scaled = [
        measures.absolute(actual, middles),
        measures.pinball(actual, lows, LOW),
        measures.pinball(actual, highs, HIGH),
    ]
    mase, low, high = (round(error / scale, DECIMALS) if scale else None for error in scaled)
    bias = round(sum(means) / sum(actual) - 1, DECIMALS) if sum(actual) else None
    covered = round(measures.covered(actual, lows, highs), DECIMALS)
    return Errors(len(found), len(actual), mase, bias, low, high, covered)
