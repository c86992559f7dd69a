"""A question asked of the whole history, and what was found wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from oms_es.kernel import Recorded

DIFFERENCES_MAX = 20
"""Differences kept per check: the first ones show what happened."""


@dataclass
class Check:
    """One question asked of the whole history. `checked` counts how often it was asked. `notes`: what a person should
    know although it is no difference."""

    name: str
    checked: int = 0
    failed: int = 0
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def expect(self, holds: bool, difference: Callable[[], str]) -> None:  # noqa: FBT001 - reads as the question it is
        self.checked += 1
        if not holds:
            self.failed += 1
            if len(self.differences) < DIFFERENCES_MAX:
                self.differences.append(difference())


def at(recorded: Recorded) -> str:
    return f"position {recorded.position}, {type(recorded.event).__name__} in {recorded.stream}"
