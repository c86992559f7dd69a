"""The event store: a batch is a transaction.

Invariant: every outcome is decided from the newest state of its stream, also the outcome "nothing"; all outcomes of a
batch, its consumer's position and its dead letters are committed together or not at all.

Decisions are made in memory before the append lock is taken. Under the lock the store asks which of the streams it
looked at have grown meanwhile; only their commands are decided again, and then nothing can come between any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from logging import DEBUG
from typing import Any

import structlog
from eventsourcing.persistence import InterfaceError, OperationalError
from psycopg import OperationalError as PsycopgError

from oms_es.kernel import Command, Decider, Event, Recorded, Refused
from oms_es.store import snapshots
from oms_es.store.archive.files import UNREADABLE
from oms_es.store.caching import CACHE_BYTES_MAX, Budget, Cache, Shares
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.dead_letters import DeadLetter
from oms_es.store.draft import Cached, Draft, Overtaken
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.store.encoding.event_lines import log_appended
from oms_es.store.outcomes import Addressed, Apart, MoreRows, Outcome, Request, addressed_of, no_more_rows
from oms_es.store.privacy.subject_keys import SubjectKeys
from oms_es.store.recorder import Advance, EventRow, Recording

ATTEMPTS_MAX = 10
"""How often a batch is tried while the database does not answer."""
RETRY_SECONDS = 0.2
OUTAGES: tuple[type[Exception], ...] = (OperationalError, InterfaceError, PsycopgError, *UNREADABLE)
"""What is raised while the database does not answer, or a file of archived events is not there as it was written."""

log = structlog.get_logger(__name__)
Batch = Sequence[tuple[Cause, Sequence[Command]]]


class Store:
    """`clock` gives `recorded_at`; it is the store's only reading of the time."""

    def __init__(
        self,
        deciders: Iterable[Decider[Any]],
        events: Mapping[str, type[Event]],
        recorder: Recording,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        states_bytes_max: int = Shares.of(CACHE_BYTES_MAX).states,
        timing: Timing = SYSTEM_TIMING,
        attempts_max: int = ATTEMPTS_MAX,
        keys: SubjectKeys | None = None,
    ) -> None:
        deciders = tuple(deciders)
        self.deciders = {accepted: decider for decider in deciders for accepted in decider.accepts}
        self.by_category = {decider.category: decider for decider in deciders}
        self.codec = Codec(events, keys=keys)
        self.recorder = recorder
        self.clock = clock
        self.timing = timing
        self.attempts_max = attempts_max
        self._next_snapshots: dict[str, int] = {}  # the version at which a stream is due
        self._known_end = -1  # the log's end when this store last looked
        self._foreign_appends = 0  # rises whenever another process is found to have appended
        self._newest_at: dict[
            str, int
        ] = {}  # of each cached stream: `_foreign_appends` when its state was last the newest
        self._cache: Cache[str, Cached] = Cache(
            Budget(states_bytes_max), lambda stream: self._newest_at.pop(stream, None)
        )
        self.came_to: Sequence[int] = ()
        """How many events each command of the last batch came to."""

    def execute(
        self, batch: Batch, advance: Advance | None = None, dead_letters: Sequence[DeadLetter] = ()
    ) -> list[Recorded]:
        """Decide every command; append all outcomes, the position and the dead letters in one transaction.

        Raises Refused if the domain says no to any of them, PositionLost if the position is no longer ours; then
        nothing of the batch has happened.
        """
        return self._try(addressed_of(batch), advance, dead_letters, None)

    def execute_each(self, requests: Sequence[Request], beside: MoreRows = no_more_rows) -> list[Outcome]:
        """Decide every request by itself, and append what all of them came to in one transaction, with an outcome each.

        A refused request leaves the others alone. No two requests may be of one stream. `beside` is given the
        transaction and the outcomes, for rows of its own; what it raises undoes everything.
        """
        apart = Apart(requests, beside)
        self._try(addressed_of((r.cause, r.commands) for r in requests), None, (), apart)
        return [apart.outcomes[request.stream] for request in requests]

    def _try(
        self,
        addressed: Sequence[Addressed],
        advance: Advance | None,
        dead_letters: Sequence[DeadLetter],
        apart: Apart | None,
    ) -> list[Recorded]:
        """Decide and append, again while the database does not answer or other writers come first."""
        streams = dict.fromkeys(stream for _, stream, _ in addressed)
        for attempt in range(1, self.attempts_max + 1):
            pending: list[Recorded] = []
            stale_streams = self._maybe_stale(dict.fromkeys(streams, 0))
            try:
                return self._execute(addressed, streams, advance, dead_letters, pending, apart)
            except Refused:
                if attempt == self.attempts_max or not (stale_streams or self._foreign_append_seen()):
                    raise
            except (OperationalError, InterfaceError) as error:
                if self._was_committed(pending, advance):
                    return self._positioned(pending)
                if attempt == self.attempts_max:
                    raise
                log.warning("database does not answer, trying again", attempt=attempt, error=str(error))
                self.timing.sleep(RETRY_SECONDS * attempt)
        raise AssertionError("unreachable")

    def draft(self, end: int) -> Draft:
        """Decisions to be committed together, after the position at which the log is thought to end."""
        self._refresh(end)
        return Draft(
            end, self._newest_known, lambda batch, states, now: self._decide(batch, states, now, [0] * len(batch))
        )

    def commit(self, draft: Draft, beside: Callable[[Any], None]) -> None:
        """Append what a draft has decided, in one transaction with what `beside` does in it.

        Raise Overtaken if another writer has appended since it was begun; then nothing is stored.
        """
        try:
            with self.recorder.writing() as curs:
                self._require_end(curs, draft.end)
                if draft.recorded:
                    self._append_at(curs, draft.recorded)
                beside(curs)
        except BaseException:
            self._forget(draft.states)
            raise
        self._known_end = draft.end + len(draft.recorded)
        self._remember(draft.states)
        if log.is_enabled_for(DEBUG):
            log_appended(draft.recorded)

    def _require_end(self, curs: Any, end: int) -> None:
        """Raises Overtaken."""
        if self._refresh(self.recorder.end(curs)) != end:
            raise Overtaken(f"the log does not end at {end} any more")

    def _append_at(self, curs: Any, recorded: Sequence[Recorded]) -> None:
        """At the positions that they have already, which what follows from them may name."""
        ids = self.recorder.append(curs, self._rows(curs, recorded))
        self._require_begin(ids[0], recorded[0].position)

    def _require_begin(self, position: int, expected: int) -> None:
        """Raises Overtaken."""
        if position != expected:
            raise Overtaken(f"{position} is given instead of {expected}: attempts between them were dropped")

    def _newest_known(self, streams: Sequence[str]) -> dict[str, Cached]:
        """Return the streams' states at the end of the log that the store knows, reading what others have appended."""
        known = self._loaded(streams)
        if stale_streams := self._maybe_stale(dict.fromkeys(streams, 0)):
            newest = self._caught_up({stream: known[stream] for stream in stale_streams})
            self._keep(newest)
            known.update(newest)
        return known

    def state_of(self, stream: str) -> tuple[Any, int]:
        """A stream's newest state and its version; 0 for a stream without events."""
        self._forget([stream])
        return self._loaded([stream])[stream]

    def preview(self, command: Command) -> tuple[Any, list[Event], Any]:
        """Return the current state, the events of the command, and the state after them. Raise Refused."""
        before, _ = self.state_of(command.stream)
        decider = self.deciders[type(command)]
        after, events = before, []
        for event in decider.decide(before, command):
            after = decider.evolve(after, event)
            events.append(event)
        for one in command.beside:
            self.preview(one)
        return before, events, after

    def history(self, stream: str) -> list[Recorded]:
        """Every event of a stream, in order, with its position in the log."""
        return [self.codec.decode(row, row.id) for row in self.recorder.stream(stream)]

    def _execute(
        self,
        batch: Sequence[Addressed],
        streams: Iterable[str],
        advance: Advance | None,
        dead_letters: Sequence[DeadLetter],
        pending: list[Recorded],
        apart: Apart | None,
    ) -> list[Recorded]:
        recorded_at = self.clock()
        try:
            states = self._loaded(streams)
            expected = {stream: version for stream, (_, version) in states.items()}
            came_to = [0] * len(batch)
            decided = self._decide(batch, states, recorded_at, came_to, apart)
            with self.recorder.writing() as curs:
                if advance:
                    self.recorder.advance(curs, advance)
                end = self._refresh(self.recorder.end(curs))
                if (stale_streams := self._maybe_stale(expected)) and (
                    stale := self.recorder.stale(curs, stale_streams)
                ):
                    decided = self._decide_again(batch, stale, states, decided, curs, came_to, apart)
                if dead_letters:
                    self.recorder.add_dead_letters(curs, dead_letters)
                pending.extend(decided)
                self.came_to = came_to
                ids = self.recorder.append(curs, self._rows(curs, decided)) if decided else []
                appended = [Recorded(position, *recorded[1:]) for recorded, position in zip(decided, ids, strict=True)]
                if apart:
                    apart.settle(curs, appended, states)
        except BaseException:
            self._forget(streams)
            raise
        self._known_end = ids[-1] if ids else end
        self._remember(states)
        if log.is_enabled_for(DEBUG):
            log_appended(appended)
        return appended

    def _refresh(self, end: int) -> int:
        """Note whether another process has appended: every state that is cached may be older than that."""
        if end != self._known_end:
            self._known_end = end
            self._foreign_appends += 1
        return end

    def _foreign_append_seen(self) -> bool:
        """Return whether another process has appended since the states were read: a refusal must be decided again
        then."""
        before = self._foreign_appends
        self._refresh(self.recorder.end())
        return self._foreign_appends != before

    def _maybe_stale(self, expected: Mapping[str, int]) -> dict[str, int]:
        """Those whose cached state may have been overtaken, although no one has written since this store looked."""
        foreign_appends, newest_at = self._foreign_appends, self._newest_at
        return {
            stream: version
            for stream, version in expected.items()
            if newest_at.get(stream, foreign_appends) != foreign_appends
        }

    def _forget(self, streams: Iterable[str]) -> None:
        self._cache.drop(streams)
        for stream in streams:
            self._newest_at.pop(stream, None)

    def _decide(
        self,
        batch: Sequence[Addressed],
        states: dict[str, Cached],
        recorded_at: datetime,
        came_to: list[int],
        apart: Apart | None = None,
    ) -> list[Recorded]:
        """Fold every command of a known stream into `states`; what the others decide is not asked here."""
        if apart:
            return self._decide_apart(states, recorded_at, apart)
        decided: list[Recorded] = []
        envelop, deciders = self.codec.envelop, self.deciders
        for number, (cause, stream, command) in enumerate(batch):
            if stream not in states:
                continue
            decider = deciders[type(command)]
            state, version = states[stream]
            before = version
            for event in decider.decide(state, command):
                state, version = decider.evolve(state, event), version + 1
                decided.append(envelop(stream, version, event, cause, recorded_at))
            states[stream] = state, version
            came_to[number] = version - before
        return decided

    def _decide_apart(self, states: dict[str, Cached], recorded_at: datetime, apart: Apart) -> list[Recorded]:
        """Each request's commands by themselves: all of them, or none where one is refused."""
        decided: list[Recorded] = []
        for stream, addressed in apart.by_stream(states):
            try:
                apart.require_version(stream, states[stream][1])
                now = {one: states[one] for _, one, _ in addressed}
                decided += self._decide(addressed, now, recorded_at, [0] * len(addressed))
                states.update(now)
            except Refused as refused:
                apart.refused[stream] = refused
        return decided

    def _decide_again(
        self,
        batch: Sequence[Addressed],
        stale: Sequence[str],
        states: dict[str, Cached],
        decided: list[Recorded],
        curs: Any,
        came_to: list[int],
        apart: Apart | None,
    ) -> list[Recorded]:
        """Under the append lock: what the stale streams decide again replaces what they decided before."""
        log.debug("streams had grown, deciding again", streams=len(stale))
        again = apart.together_with(stale) if apart else stale
        fresh = self._caught_up({**dict.fromkeys(again), **self._cache.found(again)}, curs)
        kept = [recorded for recorded in decided if recorded.stream not in fresh]
        decided = self._decide(batch, fresh, self.clock(), came_to, apart)
        states.update(fresh)
        return kept + decided

    def _loaded(self, streams: Iterable[str]) -> dict[str, Cached]:
        """The states of these streams, in order; those that are not cached are read."""
        known = self._cache.found(streams)
        missing = [stream for stream in streams if stream not in known]
        if missing:
            read = self._caught_up(dict.fromkeys(missing))
            self._keep(read)
            known.update(read)
        return {stream: known[stream] for stream in streams}

    def _keep(self, newest: Mapping[str, Cached]) -> None:
        """Remember these states as current. Nothing is evicted for them: whether a stream was overtaken must still be
        known."""
        self._newest_at.update(dict.fromkeys(newest, self._foreign_appends))
        self._cache.put(newest)

    def _caught_up(self, known: Mapping[str, Cached | None], curs: Any = None) -> dict[str, Cached]:
        """The newest state of each stream, folded from the cached state, the snapshot or the beginning."""
        deciders = {stream: self.by_category[stream.partition("-")[0]] for stream in known}
        restored = self._from_snapshots([s for s, cached in known.items() if not cached and deciders[s].restore])
        states = {
            stream: cached or restored.get(stream) or (deciders[stream].initial, 0) for stream, cached in known.items()
        }
        after = {stream: version for stream, (_, version) in states.items()}
        for row in self.recorder.tails(after, curs):
            stream = str(row.originator_id)
            state = deciders[stream].evolve(states[stream][0], self.codec.decode(row).event)
            states[stream] = state, row.originator_version
        return states

    def _from_snapshots(self, streams: Sequence[str]) -> dict[str, Cached]:
        restored: dict[str, Cached] = {}
        for snapshot in self.recorder.snapshots(streams) if streams else ():
            decider = self.by_category[snapshot.stream.partition("-")[0]]
            if snapshots.is_of_this_version(self.by_category, snapshot):
                try:
                    restored[snapshot.stream] = snapshots.state_in(decider, snapshot, self.codec.keys), snapshot.version
                except snapshots.Unreadable as why:
                    log.warning("snapshot left aside, replaying the stream", stream=snapshot.stream, why=str(why))
                else:
                    self._next_snapshots[snapshot.stream] = snapshots.next_version(snapshot)
        return restored

    def _remember(self, states: Mapping[str, Cached]) -> None:
        self._keep(states)
        self._cache.budget.trim()
        for stream, (state, version) in states.items():
            if version >= snapshots.EVERY_EVENTS:
                self._keep_snapshot(stream, state, version)

    def _keep_snapshot(self, stream: str, state: Any, version: int) -> None:
        decider = self.by_category[stream.partition("-")[0]]
        if decider.dump is None or version < self._next_snapshots.get(stream, 0):
            return
        with suppress(*OUTAGES):  # a snapshot only saves time; the next one will do
            if snapshot := snapshots.taken(decider, stream, version, state, self.codec.keys, self.recorder.writing):
                self.recorder.keep_snapshot(snapshot)
                self._next_snapshots[stream] = snapshots.next_version(snapshot)

    def _rows(self, curs: Any, decided: Sequence[Recorded]) -> list[EventRow]:
        states = zip(decided, self.codec.encode_all(curs, decided), strict=True)
        return [EventRow(one.stream, one.version, type(one.event).__name__, state) for one, state in states]

    def _was_committed(self, pending: Sequence[Recorded], advance: Advance | None) -> bool:
        """A connection that broke during COMMIT leaves it open whether the batch is stored: look it up."""
        try:
            if pending:
                found = self.recorder.stored(pending[0].stream, pending[0].version)
                return found is not None and self.codec.decode(found) == pending[0]
            return advance is not None and self.recorder.position(advance.name) == advance.position
        except (OperationalError, InterfaceError):
            return False

    def _positioned(self, pending: Sequence[Recorded]) -> list[Recorded]:
        """The pending events as the log has them, with their positions."""
        wanted = {recorded.event_id for recorded in pending}
        histories = (self.history(stream) for stream in dict.fromkeys(recorded.stream for recorded in pending))
        found = [recorded for history in histories for recorded in history if recorded.event_id in wanted]
        return sorted(found, key=lambda recorded: recorded.position)
