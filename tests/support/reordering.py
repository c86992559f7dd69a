"""reordered(state): the same state, whose persistent maps and sets iterate in another order.

Each map of rpds has an order of its own, drawn when it is made. A decision that depended on this order would differ
between processes: a crash, a retry or a second worker would record the same facts in other words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic_core import to_json
from rpds import HashTrieMap, HashTrieSet

from oms_es.kernel import Command, Decider, Event, Refused

ORDERS_TRIED = 3
"""Orders that are tried: two entries change places in every second one."""


def reordered(value: Any) -> Any:
    if isinstance(value, HashTrieMap):
        return HashTrieMap({key: reordered(item) for key, item in value.items()})
    if isinstance(value, HashTrieSet):
        return HashTrieSet(list(value))
    if isinstance(value, tuple):
        return tuple.__new__(type(value), map(reordered, value))
    return value


def reported(events: Iterable[Event]) -> list[bytes]:
    """Return the events in their stored form, which shows the order of a mapping's keys."""
    return [type(event).__name__.encode() + to_json(event) for event in events]


def assert_in_any_order(decider: Decider[Any], state: Any, command: Command, events: Iterable[Event]) -> None:
    """Assert that the decision and its result are the same, to the byte, for other orders of the state's
    maps and sets."""
    events = tuple(events)
    after = state
    for event in events:
        after = decider.evolve(after, event)
    for _ in range(ORDERS_TRIED):
        other = reordered(state)
        assert other == state
        try:
            decided = tuple(decider.decide(other, command))
        except Refused:
            decided = ()
        assert reported(decided) == reported(events), f"{command!r} is decided by the order of a map"
        for event in decided:
            other = decider.evolve(other, event)
        assert other == after, f"what follows from {command!r} is folded by the order of a map"
