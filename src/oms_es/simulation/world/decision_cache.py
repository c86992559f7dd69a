"""What the same events make of the same states is worked out once, however many stores and checks ask.

Invariant: states and events are never changed, so that the same two objects always make the same third. The seeds that
write events as JSON get other objects every time, and work everything out again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from oms_es.kernel import Decider

REMEMBERED_MAX = 20_000
"""States remembered per aggregate: more than the events of a scenario, but for a flash sale."""


class Remembering:
    """An `evolve`, and what it gave. What it was given is kept, too: an object's id is its own only while it lives."""

    def __init__(self, evolve: Callable[[Any, Any], Any]) -> None:
        self.evolve = evolve
        self.known: dict[tuple[int, int], tuple[Any, Any, Any]] = {}

    def __call__(self, state: Any, event: Any) -> Any:
        key = id(state), id(event)
        found = self.known.get(key)
        if found is None:
            if len(self.known) >= REMEMBERED_MAX:
                self.known.clear()
            found = self.known[key] = state, event, self.evolve(state, event)
        return found[2]


def remembering(deciders: tuple[Decider[Any], ...]) -> tuple[Decider[Any], ...]:
    return tuple(replace(decider, evolve=Remembering(decider.evolve)) for decider in deciders)
