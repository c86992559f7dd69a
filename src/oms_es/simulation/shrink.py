"""Shrinking of a failing scenario: faults and requests are left out as long as the same invariant still breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from oms_es.simulation.components import Components
from oms_es.simulation.run import Outcome, play
from oms_es.simulation.scenario import Scenario

RUNS_MAX = 150
"""Smaller scenarios that are tried at most."""
T = TypeVar("T")


class Shrinker:
    def __init__(self, failed: Outcome, components: Components) -> None:
        assert failed.violation
        self.best = failed
        self.check = failed.violation.check
        self.components = components
        self.runs = 0

    def shrunk(self) -> Outcome:
        """Return the smallest failing scenario that was found: first with fewer faults, then requests, then faults
        again."""
        for what in ("faults", "actions", "faults"):
            self._fewer(what)
        return self.best

    def _fewer(self, what: str) -> None:
        """Leave out halves, then quarters, down to single items."""
        size = max(1, len(getattr(self.best.scenario, what)) // 2)
        while True:
            start = 0
            while start < len(kept := getattr(self.best.scenario, what)) and self.runs < RUNS_MAX:
                if not self._fails(self._with(what, _without(kept, start, size))):
                    start += size
            if size == 1 or self.runs >= RUNS_MAX:
                return
            size //= 2

    def _with(self, what: str, kept: Any) -> Scenario:
        scenario = self.best.scenario
        return replace(scenario, faults=kept) if what == "faults" else replace(scenario, actions=kept)

    def _fails(self, scenario: Scenario) -> bool:
        self.runs += 1
        outcome = play(scenario, self.components)
        if outcome.violation is None or outcome.violation.check != self.check:
            return False
        self.best = outcome
        return True


def _without(kept: Sequence[T], start: int, size: int) -> tuple[T, ...]:
    return (*kept[:start], *kept[start + size :])
