"""Apportioning money: the sum is exact, no share is a unit off, and a larger weight never gets less."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.schemas.values.money import apportion

totals = st.integers(0, 10**12)
weights = st.lists(st.integers(0, 10**6) | st.fractions(0, 1000), min_size=1, max_size=12)


@given(totals, weights)
def test_the_shares_sum_to_the_total_exactly(total: int, weighed: list[int | Fraction]) -> None:
    assert sum(apportion(total, weighed)) == total


@given(totals, weights.filter(any))
def test_no_share_is_a_unit_or_more_from_the_exact_one(total: int, weighed: list[int | Fraction]) -> None:
    whole = sum(weighed)
    for share, weight in zip(apportion(total, weighed), weighed, strict=True):
        assert abs(share - Fraction(weight) * total / whole) < 1


@given(totals, weights.filter(any))
def test_more_weight_never_gets_less(total: int, weighed: list[int | Fraction]) -> None:
    weighed_shares = list(zip(weighed, apportion(total, weighed), strict=True))
    for (weight, share), (other_weight, other_share) in product(weighed_shares, weighed_shares):
        assert weight <= other_weight or share >= other_share


def test_the_largest_remainder_gets_the_odd_unit() -> None:
    assert apportion(100, [1, 1, 1]) == [34, 33, 33]
    assert apportion(10, [Fraction(1, 3), Fraction(1, 6), Fraction(1, 2)]) == [3, 2, 5]


def test_without_any_weight_everything_goes_to_the_first() -> None:
    assert apportion(7, [0, 0]) == [7, 0]
    with pytest.raises(ValueError, match="no one"):
        apportion(7, [])
