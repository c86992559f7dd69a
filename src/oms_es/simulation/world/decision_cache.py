"""A cache of evolved states: the same state and event are evolved once, however many stores and checks need the result.

Invariant: states and events never change; therefore the same two objects always give the same third. Seeds that write
events as JSON get new objects every time, and evolve everything again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from oms_es.kernel import Decider

REMEMBERED_MAX = 20_000
"""States that are cached per aggregate: more than the events of a scenario, except for a flash sale."""


class Remembering:
    """An `evolve` with cached results. Its arguments are kept, too: an object's id is unique only while it exists."""

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
