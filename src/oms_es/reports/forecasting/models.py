"""The models, by name: each says what it expects of every period to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean

from oms_es.reports.forecasting import intermittent, smoothing
from oms_es.reports.forecasting.smoothing import History

Model = Callable[[History, int], list[float]]
SHORT, MIDDLE, LONG = 4, 8, 13
SEASONS_MIN = 2
"""So many whole seasons are needed to see one."""
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
SEASONAL = ("seasonal_naive", "seasonal_ses")
"""Those that are asked, too, where history has seasons enough."""


def models_of(length: int, season: int) -> Mapping[str, Model]:
    """That can say something of a history of so many periods, and of every longer one. A season of 1 is none."""
    if season < SEASONS_MIN or length < SEASONS_MIN * season:
        return MODELS
    return {
        **MODELS,
        "seasonal_naive": partial(smoothing.seasonal_naive, season=season),
        "seasonal_ses": partial(seasonal_ses, season=season),
    }


def seasonal_ses(history: History, horizon: int, season: int) -> list[float]:
    """Smoothing of what is left when each place in the season, such as a Monday, is divided by its share."""
    shape = _shape(history, season)
    plain = [value / shape[place % season] for place, value in enumerate(history)]
    level = smoothing.smoothed(plain)
    return [level * shape[(len(history) + step) % season] for step in range(horizon)]


def _shape(history: Sequence[float], season: int) -> list[float]:
    """Each place's mean over the mean of all, drawn to 1 as if one more season had been even."""
    mean = fmean(history)
    if not mean:
        return [1.0] * season
    places = [history[place::season] for place in range(season)]
    return [(sum(values) / mean + 1) / (len(values) + 1) for values in places]
