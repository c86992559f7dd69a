"""Caches are bounded in bytes, and the estimate of their size is close enough."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from oms_es.store.caching import WEIGHED_EVERY, Budget, Cache, Shares, weight_of

KIB = 1024


def entry(number: int) -> dict[str, object]:
    return {"number": number, "text": "x" * 200, "parts": [str(number + i) for i in range(10)]}


def test_the_estimate_is_near_what_python_says_was_taken() -> None:
    cache: Cache[int, object] = Cache(Budget(10**9))
    tracemalloc.start()
    cache.put({number: entry(number + 1_000) for number in range(5_000)})
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.7 < cache.estimated_bytes / taken < 1.3


def test_what_was_used_longest_ago_goes_first_and_is_named() -> None:
    gone: list[int] = []
    budget = Budget(20 * weight_of((0, entry(0))))
    cache: Cache[int, object] = Cache(budget, gone.append)
    cache.put({number: entry(number) for number in range(19)})
    assert cache.found([0, 99]).keys() == {0}
    cache.put({number: entry(number) for number in range(19, 29)})
    assert not gone, "nothing is forgotten before the budget is trimmed"
    budget.trim()
    assert gone[:3] == [1, 2, 3]
    assert 0 in cache
    assert budget.estimated_bytes <= budget.bytes_max


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 400), st.integers(1, 300)), max_size=30), st.integers(0, 200)
)
def test_caches_of_one_budget_fit_into_it_together(puts: list[tuple[int, int, int]], kib: int) -> None:
    budget = Budget(kib * KIB)
    caches: list[Cache[int, object]] = [Cache(budget) for _ in range(3)]
    for which, first, count in puts:
        caches[which].put({number: "y" * (which * 500) + str(number) for number in range(first, first + count)})
        budget.trim()
        assert budget.estimated_bytes <= budget.bytes_max


def test_the_largest_gives_way() -> None:
    budget = Budget(100 * KIB)
    small: Cache[int, object] = Cache(budget)
    large: Cache[int, object] = Cache(budget)
    small.put({number: str(number) for number in range(WEIGHED_EVERY)})
    large.put({number: entry(number) for number in range(1_000)})
    budget.trim()
    assert len(small) == WEIGHED_EVERY
    assert 0 < len(large) < 1_000


@given(st.integers(0, 2**40))
def test_shares_are_all_of_it(bytes_max: int) -> None:
    states, rows, events = Shares.of(bytes_max)
    assert states + rows.bytes_max + events == bytes_max
