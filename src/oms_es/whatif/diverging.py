"""Replay with changes: history's answers are used as long as they fit, then a model's.

Invariant: what came from outside to a payment or a parcel is used as long as everything asked of it was asked at the
same time; from the first question that was not, the model answers. Deadlines of an order that differs are due when
their time is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from oms_es.consumers.order.deadline_keeper import due_commands
from oms_es.kernel import Command, Recorded
from oms_es.processing.ticker import TICK_SECONDS, Ticker
from oms_es.store.encoding.codec import Cause
from oms_es.whatif.answers import Answers
from oms_es.whatif.changes import NAME, Changed, Changes
from oms_es.whatif.equality import outcome_of
from oms_es.whatif.reliving.outside import Given
from oms_es.whatif.reliving.relive import REST_SECONDS, Relive
from oms_es.whatif.reliving.script import Item

TICK = timedelta(seconds=TICK_SECONDS)


class Diverging(Relive):
    """A replay with changes. `differ` has the orders with an event that history does not have."""

    def __init__(
        self,
        before: Sequence[Recorded],
        after: Sequence[Recorded],
        changes: Changes,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        changed = Changed(changes, before)
        self.added: Item | None = None
        self.differ: set[str] = set()
        self.ended: set[tuple[str, datetime]] = set()
        super().__init__(before, after, changed, rest_seconds)
        self.noted = self.fork.end
        self.real = {recorded.event_id: recorded for recorded in after}
        self.answers = Answers([*before, *after], self.real, timedelta(seconds=REST_SECONDS))
        self.giving = self.next
        for command in changed.first:
            self._try([(Cause(NAME), command)])
        self.giving = None

    def upcoming(self) -> Item | None:
        self._look()
        if self.added is None and self.next is not None:
            self.added = self._answer(self.next) or self._overdue(self.next)
        return self.added or self.next

    def _is_due(self, item: Item) -> bool:
        """Return whether an item is due: what it answers must exist, too; otherwise it waits until the fork is at
        rest.
        """
        is_there = all(self.fork.version(one.command.stream) >= one.version - 1 for one in item.given)
        return is_there and super()._is_due(item)

    def _gave(self, item: Item) -> None:
        if item is self.added:
            self.added = None
        else:
            super()._gave(item)

    def _time(self, position: int) -> datetime:
        """Return the time of the next event, never before the item that was given last."""
        return max(self.at, super()._time(position))

    def _given(self, command: Command) -> Sequence[Command]:
        if command.stream in self.answers.modelled and self.added is None:
            self.counts["replaced"] += 1
            return ()
        return super()._given(command)

    def _look(self) -> None:
        """Note the orders that differ, and the questions, among the events since the last look."""
        for recorded in self.fork.events(self.noted):
            known = self.real.get(recorded.event_id)
            if known is None or outcome_of(known.event) != outcome_of(recorded.event):
                self.differ.add(recorded.correlation_id)
            self.answers.note(recorded)
        self.noted = self.fork.end

    def _answer(self, before: Item) -> Item | None:
        due = self.answers.next_by(before.at)
        return due and self._item(before, due.at, due.command, due.cause)

    def _overdue(self, before: Item) -> Item | None:
        """Return the next deadline of an order that differs: history's ticker has no command for it."""
        if not self.differ:
            return None
        for row in self.fork.due_rows(before.at - TICK):
            name = str(row["deadline_id"]), row["due_at"]
            if row["order_id"] in self.differ and name not in self.ended:
                self.ended.add(name)
                at = max(self.at, row["due_at"] + TICK)
                (command,) = due_commands([row], at)
                return self._item(before, at, command, Cause(Ticker.name))
        return None

    def _item(self, before: Item, at: datetime, command: Command, cause: Cause) -> Item:
        given = [Given(command, cause, 1)]
        return Item("answer", max(self.at, at), given, (), 0, before.position)
