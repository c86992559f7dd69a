"""The whole engine in memory, one event at a time, in any order: deciders, consumers, projections.

No code with I/O is used but `fold`: facts are rows folded at once, a consumer's position is a number, and the test
determines the outside world's answers and their times. Decisions are made by the same code as everywhere.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from oms_es.app import CONSUMERS, DECIDERS, PROJECTIONS
from oms_es.consumers.order.deadline_keeper import due_commands
from oms_es.kernel import Command, Consumer, Decider, Event, Key, Lookup, LookupResults, Recorded, Row
from oms_es.processing.read_models.folding import fold
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.verification.history import History
from reordering import assert_in_any_order

START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS_MAX = 20_000
"""Deliveries until nothing is left to do; more would mean that the engine never stops."""


class WholeEngine:
    def __init__(self) -> None:
        self.now = START
        self.log: list[Recorded] = []
        self.states: dict[str, tuple[Any, int]] = {}
        self.rows: dict[str, dict[Key, Row | None]] = {projection.name: {} for projection in PROJECTIONS}
        self.positions = {consumer.name: 0 for consumer in CONSUMERS}
        self.history = History(DECIDERS)
        self.codec = Codec(EVENTS)
        self._deciders = {command: decider for decider in DECIDERS for command in decider.accepts}

    def submit(self, command: Command, cause: Cause = Cause("test")) -> list[Recorded]:  # noqa: B008 - immutable
        """Submit a command; submitted again at once, it must decide nothing. Raise Refused; then nothing happened."""
        recorded = self._decide(command, cause)
        if recorded:
            assert not self._decide(command, cause), f"{command!r} is not idempotent"
        return recorded

    def _decide(self, command: Command, cause: Cause) -> list[Recorded]:
        decider, stream = self._deciders[type(command)], command.stream
        state, version = self.states.get(stream, (decider.initial, 0))
        appended: list[Recorded] = []
        events = tuple(decider.decide(state, command))
        self.check_decision(decider, state, command, events)
        for event in events:
            state, version = decider.evolve(state, event), version + 1
            enveloped = self.codec.envelop(stream, version, event, cause, self.now)
            appended.append(enveloped._replace(position=len(self.log) + len(appended) + 1))
        self.states[stream] = state, version
        for recorded in appended:
            self._append(recorded)
        return appended

    def check_decision(self, decider: Decider[Any], state: Any, command: Command, events: Sequence[Event]) -> None:
        assert_in_any_order(decider, state, command, events)

    def _append(self, recorded: Recorded) -> None:
        self.log.append(recorded)
        self.history.fold(recorded)
        for projection in PROJECTIONS:
            fold(projection, self.rows[projection.name], [recorded])

    def behind(self) -> list[Consumer]:
        return [consumer for consumer in CONSUMERS if self.positions[consumer.name] < len(self.log)]

    def step(self, consumer: Consumer) -> None:
        """Deliver the next event to a consumer. Its commands must never be refused: no one would see the refusal."""
        recorded = self.log[self.positions[consumer.name]]
        self.positions[consumer.name] += 1
        if reaction := consumer.reactions.get(type(recorded.event)):
            facts = self._facts(recorded.event, reaction.lookups)
            for command in consumer.react(recorded.event, facts):
                self.submit(command, Cause.of(recorded, consumer.name))

    def settle(self) -> None:
        for _ in range(STEPS_MAX):
            consumers = self.behind()
            if not consumers:
                return
            for consumer in consumers:
                self.step(consumer)
        raise AssertionError(f"still busy after {STEPS_MAX} rounds")

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and give each command that is due by then, once."""
        self.now += timedelta(seconds=seconds)
        due = [row for row in self.rows["deadlines"].values() if row and row["due_at"] <= self.now]
        for command in due_commands(sorted(due, key=lambda row: row["deadline_id"]), self.now):
            self.submit(command, Cause("ticker"))

    def open_rows(self, projection: str) -> list[Row]:
        return [row for row in self.rows[projection].values() if row is not None]

    def _facts(self, event: Any, lookups: Iterable[Lookup]) -> LookupResults:
        facts: dict[str, dict[Hashable, list[Row]]] = {}
        for want in lookups:
            found = facts.setdefault(want.projection, {})
            for key in dict.fromkeys(want.keys(event)):
                found[key] = list(self._wanted(want, key))[: want.limit]
        return facts

    def _wanted(self, want: Lookup, key: Hashable) -> Iterator[Row]:
        table = next(p.table for p in PROJECTIONS if p.name == want.projection)
        order = [*([want.order_by] if want.order_by else []), *(column.name for column in table.primary_key)]
        rows = [row for row in self.open_rows(want.projection) if row[want.by] == key]
        yield from sorted(rows, key=lambda row: [row[name] for name in order])


def failed(history: History) -> Mapping[str, list[str]]:
    """Return the differences of each check that failed."""
    return {check.name: check.differences for check in history.checks if check.failed}
