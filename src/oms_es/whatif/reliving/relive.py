"""Replay of history: what came from outside is given again, in its order and at its times; the rest is decided again.

Invariant: an item of history is given to the fork once, after the item before it, and when the engine has decided as
many events in between as it had then, or has nothing to do. With nothing changed, the decisions are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from oms_es.kernel import Command, Recorded, Refused
from oms_es.processing.chain import NEW_MAX
from oms_es.processing.readers import BATCH_MAX, NothingToSave, Stopped
from oms_es.processing.ticker import Ticker
from oms_es.store.encoding.codec import Cause
from oms_es.whatif.changes import Change
from oms_es.whatif.reliving.fork import Fork
from oms_es.whatif.reliving.outside import Given, Recovery, Restated
from oms_es.whatif.reliving.script import Item, Kind, items

BEGINNING = datetime.min.replace(tzinfo=UTC)
REST_SECONDS = 2.0
"""If so many seconds passed between two events, the engine had nothing left to do before the second."""


def unchanged(command: Command) -> Sequence[Command]:
    return (command,)


class Door(NothingToSave):
    """A worker that gives the next item, if it is of these kinds and due."""

    batch_max = BATCH_MAX

    def __init__(self, name: str, relive: Relive, *kinds: Kind) -> None:
        self.name = name
        self.relive = relive
        self.kinds = frozenset(kinds)

    def step(self) -> int:
        return self.relive.let_in(self.kinds)

    def seek(self) -> None:
        """Do nothing: this worker has no position."""


class Relive:
    """A replay. `began` is the history that the fork begins with, `history` is replayed."""

    def __init__(
        self,
        began: Iterable[Recorded],
        history: Iterable[Recorded],
        changed: Change = unchanged,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self.recovery = Recovery()
        self.fork = Fork(self._time)
        self.changed = changed
        self.rest_seconds = rest_seconds
        self.fork.begin(self._noted(began))
        self.items = items(history, self.recovery)
        self.next: Item | None = next(self.items, None)
        self.base = self.fork.end
        self.at = self.next.at if self.next else BEGINNING
        self.forced = False
        self.turn, self.bulk_turn, self.busy_turn = 0, -1, -1
        self.giving: Item | None = None
        self.counts: Counter[str] = Counter()
        self.loop = self.fork.loop(
            (Door("outside", self, "input"),), (Door("gateways", self, "answer"),), Door("ticker", self, "tick", "end")
        )

    def run(self, progress: Callable[[int], None] = lambda _position: None) -> None:
        """Replay until the end. Raise Stopped if a reader of the fork stops."""
        self.loop.seek()
        while self.next is not None:
            self.turn += 1
            if not self.loop.iterate():
                self.forced = True
            if self.loop.stopped:
                raise Stopped(self.loop.stopped)
            progress(self.next.position if self.next else self.fork.end)
        while self.loop.iterate():
            pass

    def events(self, after: int = 0) -> list[Recorded]:
        """Return the replayed events beyond a position."""
        return self.fork.events(after)

    def let_in(self, kinds: frozenset[Kind]) -> int:
        count = 0
        while (item := self.upcoming()) and item.kind in kinds and (self.forced or self._is_due(item)):
            self.forced = False
            self._make_room(item)
            self._give(item)
            self._gave(item)
            if item.kind == "input" and item.events > NEW_MAX:
                self.bulk_turn = self.turn
            self.base = self.fork.end
            count += 1
        return count

    def _make_room(self, item: Item) -> None:
        """Have readers pass what came before an input, if nothing follows from it and a chain could not take both.

        How often the engine took a turn between two inputs without deciding anything, history does not say. One that
        was running did; otherwise more would wait for it now than then, and its readers would take steps, not chains.
        """
        if item.kind != "input" or self.turn == self.busy_turn or self.fork.takes(item.events):
            return
        if not self.fork.pass_by():
            self.busy_turn = self.turn

    def upcoming(self) -> Item | None:
        """Return the item whose commands are given next."""
        return self.next

    def _gave(self, _item: Item) -> None:
        self.next = next(self.items, None)

    def _is_due(self, item: Item) -> bool:
        """Return whether an item is due: as many events were decided since the last item as in history, without
        time for the engine to come to rest. The engine gets a turn after input in bulk, and a ticker's item is due
        only if all deadlines are known.
        """
        if (
            item.kind == "end"
            or self.turn == self.bulk_turn
            or (item.at - (item.between[-1] if item.between else self.at)).total_seconds() > self.rest_seconds
        ):
            return False
        return self.fork.end - self.base >= len(item.between) and (item.kind != "tick" or self.fork.knows_deadlines)

    def _time(self, position: int) -> datetime:
        between = self.next.between if self.next else ()
        number = position - self.base - 1
        if self.giving is not None or not between:
            return self.at
        return between[min(max(number, 0), len(between) - 1)]

    def _give(self, item: Item) -> None:
        self.giving, self.at = item, item.at
        if item.kind == "tick":
            self._tick(item.at)
        elif item.given:
            recorded = self._execute(item.given)
            if item.kind == "answer":
                self.fork.log.notify_appended(recorded)
        self.giving = None

    def _tick(self, now: datetime) -> None:
        recorded = self._try([(Cause(Ticker.name), command) for command in self.fork.due(now)])
        self.fork.log.notify_appended(recorded)

    def _execute(self, given: Sequence[Given]) -> list[Recorded]:
        batch: list[tuple[Cause, Command]] = []
        added: Counter[str] = Counter()
        for one in given:
            command = one.command
            if isinstance(command, Restated):
                self.counts["restated"] += 1
                if self.fork.version(command.stream) + added[command.stream] != command.version - 1:
                    self.counts["left_out"] += 1
                    continue
            added[command.stream] += one.events
            batch += [(one.cause, each) for each in self._given(command)]
        self.counts["given"] += len(batch)
        return self._try(batch) if batch else []

    def _given(self, command: Command) -> Sequence[Command]:
        """Return the commands that are given in its place."""
        return self.changed(command)

    def _try(self, batch: Sequence[tuple[Cause, Command]]) -> list[Recorded]:
        """Execute a batch; a command that is refused, because the fork differs, is left out."""
        try:
            return self.fork.store.execute([(cause, [command]) for cause, command in batch])
        except Refused:
            if len(batch) == 1:
                self.counts["refused"] += 1
                return []
            middle = len(batch) // 2
            return self._try(batch[:middle]) + self._try(batch[middle:])

    def _noted(self, began: Iterable[Recorded]) -> Iterator[Recorded]:
        for recorded in began:
            self.recovery.note(recorded)
            yield recorded
