"""A mapping that overflows into a file behaves as a dict, whenever entries are moved out."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from oms_es.processing.bulk.overflow import Overflow

KEYS = st.tuples(st.sampled_from(["a", "a'b", "ü"]), st.integers(0, 6))
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "take", "get", "add", "pop", "trim", "in"]), KEYS, st.integers(1, 99)),
    max_size=60,
)


@given(STEPS, st.integers(1, 5))
def test_it_is_a_dict_however_little_is_held(steps: list[tuple[str, Any, int]], held_max: int) -> None:
    overflow, expected = Overflow(held_max), dict[Any, list[int]]()
    mapping: Any = overflow.mapping(list)
    for step, key, value in steps:
        match step:
            case "put":
                mapping[key], expected[key] = [value], [value]
            case "take":
                mapping[key] = None
                expected.pop(key, None)
            case "get":
                assert mapping.get(key) == expected.get(key)
            case "add":
                if key not in mapping:
                    mapping[key] = []
                mapping[key].append(value)
                expected.setdefault(key, []).append(value)
            case "pop":
                assert mapping.pop(key) == expected.pop(key, None)
            case "in":
                assert (key in mapping) is (key in expected)
            case "trim":
                overflow.trim()
                assert len(mapping) + len(mapping.older) <= held_max
    found = list(mapping.entries())
    assert dict(found) == expected
    assert len(found) == len(expected)


def test_what_is_changed_in_place_before_it_is_moved_is_kept() -> None:
    overflow = Overflow(1)
    first: Any = overflow.mapping(list)
    second: Any = overflow.mapping(int)
    for number in range(100):
        first[number % 10].append(number)
        second[number % 10] += number
        if number % 7 == 0:
            overflow.trim()
    assert {key: sum(entry) for key, entry in first.entries()} == dict(second.entries())
    assert sum(second[key] for key in range(10)) == sum(range(100))


def test_one_that_is_not_asked_again_is_held_no_longer() -> None:
    overflow = Overflow(10)
    ended, other = overflow.mapping(int), overflow.mapping(int)
    for number in range(8):
        ended[number] = other[number] = number
    overflow.drop(ended)
    overflow.trim()
    assert len(other) == 8
