"""No gateway is asked: people and other systems see the work in the read models and record it by command.

Reads    what the gateway in whose stead it stands reads
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
