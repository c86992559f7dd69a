"""Models of demand equal an established library, and the selection of a model is the one that history supports."""

from __future__ import annotations

from itertools import pairwise
from math import comb, exp, factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oms_es.reports.forecasting import backtest, intermittent, measures, smoothing
from oms_es.reports.forecasting.backtest import Spread
from oms_es.reports.forecasting.counts import quantile
from oms_es.reports.forecasting.forecast import Forecast, forecast, uncensored
from oms_es.reports.forecasting.models import MODELS, models_of
from oms_es.reports.forecasting.replenishing import LeadTime, classes, learnt, proposal

SELDOM = [0.0, 2, 0, 1, 0, 0, 3, 0, 2, 0, 0, 1, 4, 0, 0, 2, 0, 1, 0, 3]
STEADY = [12.0, 15, 11, 14, 18, 13, 16, 12, 17, 19, 14, 15, 16, 18, 13, 20, 17, 15, 18, 19, 21, 16, 18, 22]
SALES = st.lists(st.integers(0, 40), min_size=8, max_size=70)


def said(sold: list[int], censored: list[bool] | None = None, horizon: int = 6, season: int = 7) -> Forecast:
    censored = censored or [False] * len(sold)
    return forecast(sold, censored, horizon, season=season, periods_min=8, unit="week")


@pytest.mark.parametrize(
    ("model", "history", "library"),
    [
        ("croston", SELDOM, 0.98526),
        ("croston", STEADY, 17.054427),
        ("sba", SELDOM, 0.935997),
        ("sba", STEADY, 16.201706),
        ("tsb", STEADY, 18.426189),
        ("mean", SELDOM, 0.95),
        ("average_of_4", STEADY, 19.25),
        ("naive", STEADY, 22.0),
    ],
)
def test_models_say_what_statsforecast_says(model: str, history: list[float], library: float) -> None:
    """Its version 2.1.1 with the same constants."""
    assert MODELS[model](history, 3) == pytest.approx([library] * 3, abs=1e-6)


def test_smoothing_and_drift_are_those_of_statsforecast() -> None:
    """Its theta chooses a level otherwise; what each step adds is the same."""
    assert smoothing._level(SELDOM, 0.2)[1] == pytest.approx(1.173347, abs=1e-6)
    assert smoothing._level(STEADY, 0.5)[1] == pytest.approx(19.939279, abs=1e-6)
    first, second, third = smoothing.theta(STEADY, 3)
    assert (second - first, third - second) == pytest.approx((18.719007 - 18.583138, 18.854877 - 18.719007), abs=1e-5)
    assert smoothing.seasonal_naive(STEADY, 3, 4) == [21.0, 16.0, 18.0]


def test_what_is_smoothed_is_within_what_was_and_a_trend_goes_on() -> None:
    assert smoothing.ses([5.0] * 9, 2) == [5.0, 5.0]
    rising = [float(n) for n in range(1, 25)]
    assert all(later > before for before, later in pairwise([rising[-1], *smoothing.damped_trend(rising, 4)]))
    assert smoothing.damped_trend(rising[::-1], 40)[-1] >= 0
    assert min(smoothing.theta(rising[::-1], 40)) >= 0


def test_what_is_not_sold_any_more_fades() -> None:
    over = [4.0, 0, 3, 5, 0, 4] + [0.0] * 30
    assert intermittent.tsb(over, 1)[0] < intermittent.croston(over, 1)[0] / 10
    assert [model([0.0] * 9, 2) for model in MODELS.values()] == [[0.0, 0.0]] * len(MODELS)


def test_a_week_has_its_shape_again() -> None:
    weeks = [1.0, 1, 1, 1, 1, 9, 7] * 12
    expected = models_of(len(weeks), 7)["seasonal_ses"](weeks, 7)
    assert expected == pytest.approx(weeks[:7], rel=0.15)
    assert "seasonal_ses" not in models_of(13, 7)


@settings(max_examples=40)
@given(SALES, st.integers(1, 30), st.data())
def test_nothing_of_what_comes_is_known_at_an_origin(sold: list[int], horizon: int, data: st.DataObject) -> None:
    history = [float(units) for units in sold]
    found = backtest.origins(history, [False] * len(history), horizon, 7)
    for one in found:
        later = data.draw(st.lists(st.floats(0, 1_000), min_size=len(history) - one.at, max_size=len(history) - one.at))
        others = backtest.origins([*history[: one.at], *later], [False] * len(history), horizon, 7)
        assert next(other for other in others if other.at == one.at).said == one.said
    assert found
    shares = backtest.weights(found, list(models_of(len(history), 7)))
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) >= 0


@settings(max_examples=40)
@given(SALES, st.integers(1, 20))
def test_counts_are_in_order_and_the_same_again(sold: list[int], horizon: int) -> None:
    found = said(sold, horizon=horizon)
    assert found == said(sold, horizon=horizon)
    if not any(sold):
        assert found.not_enough == f"nothing was sold in {len(sold)} weeks"
        return
    assert len(found.periods) == horizon
    assert found.total
    for one in (*found.periods, found.total):
        assert 0 <= one.low <= one.middle <= one.high
        assert one.expected >= 0
    assert sum(found.weights.values()) == pytest.approx(1, abs=0.01)


def test_what_has_too_little_behind_it_says_so() -> None:
    assert said([3, 4, 5]).not_enough == "3 of 8 weeks"
    assert (said([3, 4, 5]).periods, said([3, 4, 5]).total) == ((), None)
    assert said([0] * 7 + [1]).not_enough == ""


def test_where_there_was_nothing_to_sell_is_what_was_sold_beside_it() -> None:
    out = [False] * 10
    out[4] = out[5] = True
    assert uncensored([6, 6, 6, 6, 0, 1, 6, 6, 6, 6], out) == [6.0] * 10
    assert uncensored([6, 6, 6, 6, 9, 1, 6, 6, 6, 6], out)[4] == 9.0
    assert uncensored([0, 3], [True, True]) == [0.0, 3.0]
    sold = [6, 5, 7, 6, 5, 7, 6, 6, 6, 5, 7, 6, 0, 0, 0, 0]
    empty = [units == 0 for units in sold]
    assert said(sold, empty).periods[0].expected == pytest.approx(6, abs=0.5)
    assert said(sold).periods[0].expected < 4
    errors = said(sold, empty).errors
    assert errors is None or errors.bias is None or abs(errors.bias) < 0.2


def test_errors_are_those_of_the_past() -> None:
    even = said([5] * 30)
    assert even.errors
    assert (even.errors.mase, even.errors.bias) == (None, 0.0)
    assert [one.middle for one in even.periods] == [5] * 6
    by_turns = said([0, 10] * 20, horizon=4, season=1)
    assert by_turns.errors
    assert by_turns.errors.mase is not None
    assert 0.3 < by_turns.errors.mase < 0.8
    assert measures.scale_of([0.0, 10.0] * 20, 1) == 10
    assert measures.pinball([10.0], [0.0], 0.9) == pytest.approx(9.0)
    assert measures.pinball([0.0], [10.0], 0.9) == pytest.approx(1.0)


def test_a_level_that_is_wrong_does_not_even_out() -> None:
    noise = backtest.spread_of([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]])
    assert noise == Spread(1.0, 0.0)
    level = backtest.spread_of([[2.0, 2.0, 2.0], [-2.0, -2.0, -2.0]])
    assert (level.noise, level.level) == pytest.approx((0.0, 4.0))
    assert noise.of_sum(1.0, 9) == 9
    assert level.of_sum(1.0, 9) == pytest.approx(324)


@pytest.mark.parametrize("mean", [0.2, 1.0, 7.5, 40.0])
def test_quantiles_of_counts_are_those_of_their_distribution(mean: float) -> None:
    for share in (0.1, 0.5, 0.9, 0.99):
        least = quantile(mean, mean, share)
        chances = [exp(-mean) * mean**n / factorial(n) for n in range(least + 1)]
        assert sum(chances) >= share - 1e-9
        assert sum(chances[:-1]) < share
        size, chance = 3, 3 / (3 + mean)
        least = quantile(mean, mean + mean * mean / 3, share)
        chances = [comb(n + size - 1, n) * chance**size * (1 - chance) ** n for n in range(least + 1)]
        assert sum(chances) >= share - 1e-9
        assert sum(chances[:-1]) < share
    assert quantile(2_000.0, 2_500.0, 0.9) == pytest.approx(2_064, abs=1)
    assert quantile(0.0, 0.0, 0.99) == 0


def test_classes_are_by_what_all_that_is_wanted_comes_to() -> None:
    assert classes({"a": 60, "b": 25, "c": 8, "d": 5, "e": 2}) == {"a": "A", "b": "A", "c": "B", "d": "B", "e": "C"}
    assert classes({"only": 3}) == {"only": "A"}
    assert classes({}) == {}


def test_a_lead_time_is_what_was_said_or_else_what_enough_inbounds_took() -> None:
    assert learnt([7, 7, 10], [1] * 9, 5) == LeadTime(5, 0.0, 0, "said")
    assert learnt([7, 7, 10], [1] * 9, None) == LeadTime(8.0, 2.0, 3, "SKU")
    assert learnt([7, 7], [7, 7, 10, 8], None) == LeadTime(8.0, 1.5, 4, "location")
    assert learnt([7, 7], [7, 7], None) is None


@given(st.lists(st.integers(0, 30), min_size=8, max_size=40).filter(any), st.floats(0.5, 90), st.floats(0, 50))
@settings(max_examples=40)
def test_more_is_kept_for_a_higher_service_level_and_for_what_takes_longer(
    sold: list[int], days: float, variance: float
) -> None:
    def point(percent: float, lead: LeadTime) -> int:
        one = proposal("mug", "berlin", said(sold), lead, abc="A", service_percent=percent, cover_weeks=4, now=0)
        assert one.up_to > one.reorder_point >= one.safety_stock >= 0
        return one.reorder_point

    lead = LeadTime(days, variance, 5, "SKU")
    assert point(60, lead) <= point(90, lead) <= point(99, lead)
    assert point(95, lead) <= point(95, LeadTime(days * 2, variance, 5, "SKU"))
