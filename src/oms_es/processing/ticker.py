"""The ticker: gives the commands of deadlines that are due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from oms_es.kernel import Command, Recorded, Refused
from oms_es.processing.gateway_worker import dead_letter_of
from oms_es.processing.readers import BATCH_MAX, NothingToSave
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import Feed
from oms_es.store.store import Store

TICK_SECONDS = 1.0


class Ticker(NothingToSave):
    """Turns rows whose time has come into commands. They decide nothing when they come twice or too late."""

    name = "ticker"
    batch_max = BATCH_MAX

    def __init__(
        self,
        due: Callable[[datetime, int], Sequence[Command]],
        store: Store,
        feed: Feed,
        clock: Callable[[], datetime],
        timing: Timing = SYSTEM_TIMING,
    ) -> None:
        self.due = due
        self.store = store
        self.feed = feed
        self.clock = clock
        self.timing = timing
        self._looked = -TICK_SECONDS
        self._refused: set[tuple[type[Command], str]] = set()  # due as long as their rows are; one dead letter each

    def step(self) -> int:
        if self.timing.monotonic() - self._looked < TICK_SECONDS:
            return 0
        self._looked = self.timing.monotonic()
        due = self.due(self.clock(), self.batch_max + len(self._refused))
        commands = [command for command in due if _named(command) not in self._refused]
        recorded = self._give(commands) if commands else []
        self.feed.notify_appended(recorded)
        if recorded and len(commands) >= self.batch_max:
            self._looked = -TICK_SECONDS  # there are more, once these rows are folded
        return min(1, len(recorded))

    def _give(self, commands: Sequence[Command]) -> list[Recorded]:
        """One that is refused is for a person, and holds no other up."""
        try:
            return self.store.execute([(Cause(self.name), commands)])
        except Refused as refused:
            if len(commands) > 1:
                middle = len(commands) // 2
                return self._give(commands[:middle]) + self._give(commands[middle:])
            self._refused.add(_named(commands[0]))
            dead_letter = dead_letter_of(self.name, commands[0].stream, commands[0], refused)
            return self.store.execute([], dead_letters=[dead_letter])

    def seek(self) -> None:
        """A ticker has no position."""


def _named(command: Command) -> tuple[type[Command], str]:
    """Return what identifies the command, whatever time it is given at."""
    return type(command), command.model_dump_json(exclude={"now"})
