"""The models by name: each returns its expectation for every coming period."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean

from oms_es.reports.forecasting import intermittent, smoothing
from oms_es.reports.forecasting.smoothing import History

Model = Callable[[History, int], list[float]]
SHORT, MIDDLE, LONG = 4, 8, 13
SEASONS_MIN = 2
"""How many whole seasons a seasonal model needs."""
MODELS: Mapping[str, Model] = {
    "naive": smoothing.naive,
    "mean": lambda history, horizon: smoothing.mean_of(history, horizon, len(history)),
    f"average_of_{SHORT}": partial(smoothing.mean_of, periods=SHORT),
    f"average_of_{MIDDLE}": partial(smoothing.mean_of, periods=MIDDLE),
    f"average_of_{LONG}": partial(smoothing.mean_of, periods=LONG),
    "ses": smoothing.ses,
    "damped_trend": smoothing.damped_trend,
    "theta": smoothing.theta,
    "croston": intermittent.croston,
    "sba": intermittent.sba,
    "tsb": intermittent.tsb,
    "adida": intermittent.adida,
}


def models_of(length: int, season: int) -> Mapping[str, Model]:
    """Return the models that can forecast from a history of this length, and from every longer one.

    A season of 1 means none.
    """
    if season < SEASONS_MIN or length < SEASONS_MIN * season:
        return MODELS
    return {
        **MODELS,
        "seasonal_naive": partial(smoothing.seasonal_naive, season=season),
        "seasonal_ses": partial(seasonal_ses, season=season),
    }


def seasonal_ses(history: History, horizon: int, season: int) -> list[float]:
    """Smoothing of the history divided by its seasonal factors, such as that of Mondays."""
    shape = _shape(history, season)
    plain = [value / shape[place % season] for place, value in enumerate(history)]
    level = smoothing.smoothed(plain)
    return [level * shape[(len(history) + step) % season] for step in range(horizon)]


def _shape(history: Sequence[float], season: int) -> list[float]:
    """Return the seasonal factors: each place's mean relative to the mean of all, shrunk to 1 as if by one more
    even season.
    """
    mean = fmean(history)
    if not mean:
        return [1.0] * season
    places = [history[place::season] for place in range(season)]
    return [(sum(values) / mean + 1) / (len(values) + 1) for values in places]
