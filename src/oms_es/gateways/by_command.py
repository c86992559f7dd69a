"""A gateway that sends nothing: people and other systems see the work in read models, and record it by command.

Reads    the events of the gateway that it replaces
Decides  nothing, and emits nothing
"""

from __future__ import annotations

from collections.abc import Sequence

from oms_es.kernel import INTENTS_MAX, Command, Event, Recorded


class ByCommand:
    batch_max = INTENTS_MAX

    def __init__(self, name: str, intents: frozenset[type[Event]]) -> None:
        self.name = name
        self.intents = intents

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        return [() for _ in intents]
