"""Decisions that build on one another, made in memory: they are committed together, or never were.

Invariant: each is decided from what those before it came to; nothing of a draft is known outside it before its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Recorded
from oms_es.store.outcomes import Addressed

Cached = tuple[Any, int]
"""A stream's state, and the version it has."""

Load = Callable[[Sequence[str]], Mapping[str, Cached]]
Decide = Callable[[Sequence[Addressed], dict[str, Cached], datetime], list[Recorded]]


class Overtaken(OmsError):
    """Another writer has written since the draft was begun: it may rest on what is no longer so."""

    code = "overtaken"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Draft:
    """`end`: the position after which its events will stand, if no one else writes before it is committed."""

    def __init__(self, end: int, load: Load, decide: Decide) -> None:
        self.end = end
        self.load = load
        self.decide_all = decide
        self.states: dict[str, Cached] = {}
        self.recorded: list[Recorded] = []

    def decide(self, addressed: Sequence[Addressed], now: datetime) -> Sequence[Recorded]:
        """Decide the commands, with the positions that their events will have. Raises Refused."""
        new = [stream for stream in dict.fromkeys(stream for _, stream, _ in addressed) if stream not in self.states]
        self.states.update(self.load(new) if new else {})
        decided = self.decide_all(addressed, self.states, now)
        position = self.end + len(self.recorded)
        placed = [Recorded(position + number, *recorded[1:]) for number, recorded in enumerate(decided, 1)]
        self.recorded += placed
        return placed
