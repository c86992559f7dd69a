"""Given(decider, *events).when(command).then(*events): the form of the test of every rule."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import pytest

from oms_es.kernel import Command, Decider, Event, Refused
from reordering import assert_in_any_order


def bare(event: Event) -> Event:
    """Return the event without its copy of the command, which recognises repeats; test_laws.py tests that for every
    command."""
    kept = getattr(event, "asked", None)
    return event.model_copy(update={"asked": ""}) if isinstance(kept, str) else event


class Given:
    def __init__(self, decider: Decider[Any], *events: Event) -> None:
        self.decider = decider
        self.state = reduce(decider.evolve, events, decider.initial)
        self.command: Command | None = None

    def when(self, command: Command) -> Given:
        self.command = command
        return self

    def then(self, *events: Event) -> None:
        decided = tuple(self._decide())
        assert tuple(map(bare, decided)) == tuple(map(bare, events))
        assert self.command is not None
        assert_in_any_order(self.decider, self.state, self.command, decided)

    def then_refused(self, reason: str, saying: str = "", *, detail: str = "") -> None:
        """Assert that the command is refused for the reason, and that the message contains the words.

        If `detail` is given, the message is exactly that.
        """
        with pytest.raises(Refused) as refusal:
            tuple(self._decide())
        assert (refusal.value.reason, saying in refusal.value.detail) == (reason, True), refusal.value.detail
        assert detail in ("", refusal.value.detail)

    def _decide(self) -> Iterable[Event]:
        assert self.command is not None, "when() comes before then()"
        return self.decider.decide(self.state, self.command)
