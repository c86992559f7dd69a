"""The loop: everything with a position takes its next batch, until there is nothing left, or for ever.

Invariant: what a batch brings about and the position it leads to are one transaction, so effects happen exactly once;
a consumer never sees facts older than the event it reacts to.

What follows from a fact and is refused, by a type or by the domain, is put aside for a person, and the rest goes on.
Own facts that cannot be handled otherwise are a bug: their consumer stops, loudly, its position before the culprit.
Input from outside that cannot be handled becomes a dead letter, and the rest goes on.
"""

from __future__ import annotations

import signal
import threading
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import compress, islice
from operator import attrgetter
from types import FrameType
from typing import Protocol

import structlog
from pydantic import ValidationError

from oms_es.database.reasons import is_disk_full, without_rows
from oms_es.door import brought_in
from oms_es.kernel import Command, Consumer, Event, Gateway, GatewayUnavailable, Recorded, Refused, Wanted
from oms_es.processing import aside, metrics
from oms_es.processing.read_models import Finder, ReadModel
from oms_es.store import command_codec as command_letters
from oms_es.store.clock import REAL, Timing
from oms_es.store.codec import Cause
from oms_es.store.dead_letters import DeadLetter, without_card_numbers
from oms_es.store.log import Feed
from oms_es.store.recorder import Advance, PositionLost
from oms_es.store.store import OUTAGES, Batch, Store

BATCH_MAX = 500
"""Deliveries per transaction."""
POLL_SECONDS = 1.0
OUTAGE_SECONDS_MAX = 10.0
"""The longest pause between attempts while the database, or a gateway, does not answer."""
PROJECTED_MAX = 2_000
"""Deliveries per transaction of a projection: a row that many of them touch is written once."""
TAKEN_PER_TURN_MAX = 10_000
"""Deliveries that a participant takes before the next one has its turn: nobody falls behind the window of the log, and
nobody waits for ever."""
UNSAVED_EVENTS_MAX = 20_000
"""How many events of no interest a participant passes before it saves its position all the same."""

TICK_SECONDS = 1.0

POSITION, EVENT = attrgetter("position"), attrgetter("event")
"""Every participant looks at every event: that is done without a step of the interpreter for each."""

log = structlog.get_logger(__name__)


class Stopped(Exception):  # noqa: N818 - not an error of the loop: it reports which participants stopped, and why
    """One or more participants met a fact that they cannot handle; their positions stay before it."""

    def __init__(self, causes: Mapping[str, BaseException]) -> None:
        super().__init__("; ".join(f"{name}: {cause_of(cause)}" for name, cause in causes.items()))
        self.causes = causes


def cause_of(error: BaseException) -> str:
    """With where it happened, and without the rows that it happened to."""
    return ", ".join([without_rows(str(error)) or type(error).__name__, *getattr(error, "__notes__", ())])


class Participant(Protocol):
    """Something with a position of its own that takes a batch at a time."""

    @property
    def name(self) -> str: ...

    @property
    def batch_max(self) -> int: ...

    def step(self) -> int:
        """Take the next batch; how many deliveries it had, and at least 1 where a position moved: 0 is rest.

        A full batch says that there may be more. Raises what its deliveries raise.
        """

    def rest(self) -> None:
        """Nothing to do: save what a restart should not repeat."""

    def seek(self) -> None:
        """Go where the stored position is."""


class Stopping(Protocol):
    """Whether the loop is to end: a threading.Event, or a simulation of one."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float) -> bool: ...


class Waiter(Protocol):
    def wait(self, seconds: float) -> bool:
        """Until there may be something to do, at most `seconds`."""


class FeedReader:
    """A participant that follows a feed. Passing what does not concern it costs no transaction."""

    def __init__(self, name: str, feed: Feed, interests: frozenset[type[Event]], batch_max: int = BATCH_MAX) -> None:
        self.role = name
        self.name = name + feed.suffix
        self.feed = feed
        self.interests = interests
        self.batch_max = batch_max
        self.seen = self.saved = 0

    def step(self) -> int:
        """Passing events of no interest is work, too: what is of interest may lie behind them."""
        before = self.seen
        with metrics.timed(self.role) as told:
            taken = self.take_next()
            told(taken)
        return taken or int(self.seen > before)

    def take_next(self) -> int:
        """The next batch of deliveries, from everything that the feed has ready; how many it had."""
        read = self.feed.read(self.seen, self.feed.ready_max)
        if not read:
            return 0
        deliveries, position = self._next(read, self.bound())
        if deliveries:
            self._attempt(deliveries, position)
        elif position - self.saved > UNSAVED_EVENTS_MAX:
            self.save(Advance(self.name, self.saved, position))
            self.saved = position
        self.seen = max(self.seen, position)
        return len(deliveries)

    def rest(self) -> None:
        if self.seen > self.saved:
            self.save(Advance(self.name, self.saved, self.seen))
            self.saved = self.seen

    def seek(self) -> None:
        """What was taken from the log itself need not be taken from a topic again."""
        self.saved = self.stored_position(self.name)
        self.seen = max(self.saved, self.stored_position(self.role)) if self.role != self.name else self.saved

    def bound(self) -> int | None:
        """The last position that may be read now; None without a bound."""
        return None

    def take(self, deliveries: Sequence[Recorded], advance: Advance) -> None:
        raise NotImplementedError

    def save(self, advance: Advance) -> None:
        """Move the position past what concerns nobody here. Raises PositionLost."""
        raise NotImplementedError

    def stored_position(self, name: str) -> int:
        raise NotImplementedError

    def _next(self, read: Sequence[Recorded], bound: int | None) -> tuple[list[Recorded], int]:
        """The next deliveries of interest, and the position up to which nothing was left out."""
        if bound is not None and read[-1].position > bound:
            read = read[: bisect_right(read, bound, key=POSITION)]
        if not read:
            return [], self.seen
        wanted = map(self.interests.__contains__, map(type, map(EVENT, read)))
        deliveries = list(islice(compress(read, wanted), self.batch_max))
        complete = len(deliveries) < self.batch_max
        return deliveries, read[-1].position if complete else deliveries[-1].position

    def _attempt(self, deliveries: Sequence[Recorded], position: int) -> None:
        """A failing batch is halved, down to its culprit; what stands before the culprit is done."""
        try:
            self.take(deliveries, Advance(self.name, self.saved, position))
        except (PositionLost, GatewayUnavailable):
            raise
        except OUTAGES:
            raise
        except Exception as error:
            if len(deliveries) > 1:
                middle = len(deliveries) // 2
                self._attempt(deliveries[:middle], deliveries[middle - 1].position)
                self._attempt(deliveries[middle:], position)
                return
            if not isinstance(error, aside.REFUSALS) or not self.put_aside(deliveries[0], error, position):
                raise Stopped({self.name: _blamed(deliveries[0], error)}) from error
        self.seen = self.saved = position

    def put_aside(self, recorded: Recorded, error: ValidationError | Refused, position: int) -> bool:  # noqa: ARG002 - of those that give commands
        """Leave to a person what follows from a fact and is refused, and go past it; False where nothing follows."""
        return False


def _blamed(recorded: Recorded, error: Exception) -> Exception:
    error.add_note(f"at position {recorded.position}: {type(recorded.event).__name__} {recorded.event_id}")
    log.critical(
        "own fact cannot be handled",
        position=recorded.position,
        fact=type(recorded.event).__name__,
        event_id=str(recorded.event_id),
        caused_by=str(recorded.caused_by),
        stream=recorded.stream,
        error=str(error),
    )
    return error


class Giver(FeedReader):
    """A reader that gives commands."""

    store: Store

    def stored_position(self, name: str) -> int:
        return self.store.recorder.position(name)

    def save(self, advance: Advance) -> None:
        self.store.recorder.save(advance)

    def put_aside(self, recorded: Recorded, error: ValidationError | Refused, position: int) -> bool:
        command, letter = aside.put(self.role, recorded, error)
        batch = [(Cause.of(recorded, self.role), [command])]
        self.feed.offer(self.store.execute(batch, Advance(self.name, self.saved, position), [letter]))
        return True


class ConsumerWorker(Giver):
    """Facts in, commands out: `react` for each delivery, one transaction for all."""

    def __init__(
        self,
        consumer: Consumer,
        store: Store,
        feed: Feed,
        facts: Finder,
        fact_positions: Callable[[frozenset[str]], int],
        batch_max: int = BATCH_MAX,
    ) -> None:
        super().__init__(consumer.name, feed, frozenset(consumer.reactions), batch_max)
        self.consumer = consumer
        self.store = store
        self.facts = facts
        self.fact_positions = fact_positions
        self.wanted_projections = consumer.wanted_projections

    def bound(self) -> int | None:
        return self.fact_positions(self.wanted_projections) if self.wanted_projections else None

    def take(self, deliveries: Sequence[Recorded], advance: Advance) -> None:
        self.feed.offer(self.store.execute(reactions(self.consumer, deliveries, self.facts), advance))


def reactions(consumer: Consumer, deliveries: Sequence[Recorded], facts: Finder) -> Batch:
    """What a consumer wants to be done about each."""
    found = facts.fetch(_wanted(consumer, deliveries)) if consumer.wanted_projections else {}
    return [(Cause.of(r, consumer.name), consumer.react(r.event, found)) for r in deliveries]


def _wanted(consumer: Consumer, deliveries: Sequence[Recorded]) -> dict[Wanted, list[Hashable]]:
    wanted: dict[Wanted, list[Hashable]] = {}
    for recorded in deliveries:
        for want in consumer.reactions[type(recorded.event)].wants:
            wanted.setdefault(want, []).extend(want.keys(recorded.event))
    return wanted


def answers(gateway: Gateway, deliveries: Sequence[Recorded]) -> list[tuple[Cause, list[Command]]]:
    """What the world says of each intent, brought in as whatever comes from outside."""
    told = zip(deliveries, gateway.perform(deliveries), strict=True)
    return [(Cause.of(r, gateway.name), [brought_in(command) for command in commands]) for r, commands in told]


class ProjectionWorker(FeedReader):
    """Facts in, rows out."""

    def __init__(self, read_model: ReadModel, feed: Feed, batch_max: int = PROJECTED_MAX) -> None:
        super().__init__(read_model.projection.name, feed, frozenset(read_model.projection.folds), batch_max)
        self.read_model = read_model

    def seek(self) -> None:
        """Whoever moved the position meanwhile has changed rows, too."""
        self.read_model.forget()
        super().seek()

    def stored_position(self, name: str) -> int:
        return self.read_model.position(name)

    def save(self, advance: Advance) -> None:
        self.read_model.save(advance)

    def take(self, deliveries: Sequence[Recorded], advance: Advance) -> None:
        self.read_model.apply(deliveries, advance)


class GatewayWorker(Giver):
    """Intents in, the world's answers out. The world is asked before the transaction, and recognises a repeat."""

    def __init__(self, gateway: Gateway, store: Store, feed: Feed, batch_max: int = BATCH_MAX) -> None:
        super().__init__(gateway.name, feed, gateway.intents, batch_max)
        self.gateway = gateway
        self.store = store

    def take(self, deliveries: Sequence[Recorded], advance: Advance) -> None:
        batch = answers(self.gateway, deliveries)
        try:
            recorded: Sequence[Recorded] = self.store.execute(batch, advance)
        except Refused:
            if len(deliveries) > 1:
                raise
            recorded = self._take_one_by_one(deliveries[0], batch[0][1], advance)
        self.feed.offer(recorded)

    def _take_one_by_one(self, intent: Recorded, commands: Sequence[Command], advance: Advance) -> Sequence[Recorded]:
        """What the world says is input from outside: an answer that contradicts what is known is for a person."""
        recorded: list[Recorded] = []
        letters: list[DeadLetter] = []
        for command in commands:
            try:
                recorded += self.store.execute([(Cause.of(intent, self.role), [command])])
            except Refused as refused:
                letters.append(buried(self.role, str(intent.position), command, refused))
        recorded += self.store.execute([], advance, letters)
        return recorded


def buried(source: str, place: str, command: Command, refused: Refused) -> DeadLetter:
    letter = without_card_numbers(
        DeadLetter(
            source=source,
            place=place,
            dialect=command_letters.DIALECT,
            payload=command_letters.as_bytes(command),
            reason=refused.reason,
            detail=refused.detail,
        )
    )
    log.warning("buried", source=source, place=letter.place, reason=letter.reason, detail=letter.detail)
    metrics.DEAD_LETTERS.labels(source).inc()
    return letter


class Ticker:
    """Turns rows whose time has come into commands. They decide nothing when they come twice or too late."""

    name = "ticker"
    batch_max = BATCH_MAX

    def __init__(
        self,
        due: Callable[[datetime, int], Sequence[Command]],
        store: Store,
        feed: Feed,
        clock: Callable[[], datetime],
        timing: Timing = REAL,
    ) -> None:
        self.due = due
        self.store = store
        self.feed = feed
        self.clock = clock
        self.timing = timing
        self._looked = -TICK_SECONDS
        self._refused: set[tuple[type[Command], str]] = set()  # due for as long as their rows are, and buried once

    def step(self) -> int:
        if self.timing.monotonic() - self._looked < TICK_SECONDS:
            return 0
        self._looked = self.timing.monotonic()
        due = self.due(self.clock(), self.batch_max + len(self._refused))
        commands = [command for command in due if _named(command) not in self._refused]
        recorded = self._give(commands) if commands else []
        self.feed.offer(recorded)
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
            letter = buried(self.name, commands[0].stream, commands[0], refused)
            return self.store.execute([], dead_letters=[letter])

    def rest(self) -> None:
        """A ticker has no position: what is due is a row."""

    def seek(self) -> None:
        """A ticker has no position."""


def _named(command: Command) -> tuple[type[Command], str]:
    """Whichever moment it is given in."""
    return type(command), command.model_dump_json(exclude={"now"})


class Loop:
    """`look` is called once per turn, before anybody takes a step.

    `note` is given who had to stop, and why, whenever that has changed.

    `beside` names participants whose steps nobody else's depend on: within a turn they go on in a thread of their own,
    while the others wait for the database, and the order in which everything is decided stays the same.
    """

    def __init__(
        self,
        participants: Sequence[Participant],
        bell: Waiter,
        poll_seconds: float = POLL_SECONDS,
        look: Callable[[], None] = lambda: None,
        timing: Timing = REAL,
        beside: frozenset[str] = frozenset(),
        note: Callable[[Mapping[str, BaseException]], None] = lambda _causes: None,
    ) -> None:
        self.timing = timing
        self.look = look
        self.note = note
        self._noted: frozenset[str] = frozenset()
        self.participants = participants
        self._here = [participant for participant in participants if participant.name not in beside]
        self._beside = [participant for participant in participants if participant.name in beside]
        self._thread = ThreadPoolExecutor(1, "beside") if self._beside else None
        self.bell = bell
        self.poll_seconds = poll_seconds
        self.stopped: dict[str, BaseException] = {}
        self.turned_at = timing.monotonic()
        self.stopping: Stopping = threading.Event()
        self.ends_when_stopped = False
        self.outage = ""
        self._paused_until: dict[str, float] = {}
        self._pauses: dict[str, float] = {}

    def seek(self) -> None:
        for participant in self.participants:
            participant.seek()

    def turn(self) -> int:
        """A few batches for everybody; how many deliveries there were, and 0 only if nobody's position has moved."""
        self.turned_at = self.timing.monotonic()
        self.look()
        taken = self._everybody_steps()
        if (culprits := self.culprits()) and culprits.keys() != self._noted:
            self.note(culprits)
            self._noted = frozenset(culprits)
        return taken

    def _everybody_steps(self) -> int:
        if self._thread is None:
            return self._steps(self._here)
        beside = self._thread.submit(self._steps, self._beside)
        try:
            taken = self._steps(self._here)
        finally:
            wait([beside])
        return taken + beside.result()

    def close(self) -> None:
        if self._thread:
            self._thread.shutdown()

    def readers(self) -> list[FeedReader]:
        """Those that follow a feed."""
        return [participant for participant in self.participants if isinstance(participant, FeedReader)]

    def paused(self) -> list[str]:
        """Those whose world does not answer; they are asked again."""
        return sorted(self._paused_until)

    def behind(self, end: int) -> int:
        """How many events the slowest of those that could go on has not seen of a log that ends here."""
        waiting = {*self.stopped, *self._paused_until}
        return end - min((reader.seen for reader in self.readers() if reader.name not in waiting), default=end)

    def run_until_quiet(self) -> int:
        """Until nothing is left to do; how many deliveries there were. Raises Stopped if anybody had to stop."""
        total = 0
        while taken := self.turn() or self._waits_for_the_world():
            total += taken
        if self.stopped:
            raise Stopped(self.stopped)
        self._rest()
        return total

    def run(self, stopping: Stopping) -> None:
        """For ever, until `stopping` is set, or somebody had to stop where that ends it: the batch in hand is finished
        first. Raises Stopped at the end if anybody had to stop on the way."""
        self.stopping = stopping
        outage_seconds = 0.0
        while not (stopping.is_set() or (self.ends_when_stopped and self.culprits())):
            try:
                if not self.turn():
                    self._rest()
                    self.bell.wait(self.poll_seconds)
                outage_seconds, self.outage = 0.0, ""
            except OUTAGES as error:
                outage_seconds = min(OUTAGE_SECONDS_MAX, 2 * outage_seconds or self.poll_seconds)
                self.outage = what = (
                    "the disk is full, make room" if is_disk_full(error) else "database does not answer"
                )
                log.warning(what, retry_in_seconds=outage_seconds, error=str(error))
                stopping.wait(outage_seconds)
                self._seek_after_outage()
        with suppress(*OUTAGES):
            self._rest()
        if self.stopped or (self.ends_when_stopped and self.culprits()):
            raise Stopped(self.culprits())

    def culprits(self) -> dict[str, BaseException]:
        """Why whoever stopped did: a reader of the log, or of a partition."""
        parts = {f"{p.name}@{at}": why for p in self.participants for at, why in getattr(p, "stopped", {}).items()}
        return {**self.stopped, **parts}

    def _steps(self, participants: Iterable[Participant]) -> int:
        return sum(self._step(participant) for participant in participants)

    def _step(self, participant: Participant) -> int:
        name = participant.name
        if name in self.stopped or (name in self._paused_until and self.timing.monotonic() < self._paused_until[name]):
            return 0
        try:
            taken = self._batches(participant)
        except PositionLost as lost:
            log.warning("position moved by another worker, seeking", consumer=name, reason=str(lost))
            participant.seek()
            return 1  # there may be more after the place where it stands now
        except GatewayUnavailable as error:
            self._pause(name, error)
            return 0
        except Stopped as stopped:
            self.stopped.update(stopped.causes)
            log.critical("stopped: repair the cause, then start it again", consumer=name, error=str(stopped))
            return 0
        if name in self._paused_until:
            del self._pauses[name], self._paused_until[name]
        return taken

    def _batches(self, participant: Participant) -> int:
        """One after the other, as long as they are full, and nobody wants the loop to end."""
        taken, last = 0, participant.batch_max
        while last >= participant.batch_max and taken < TAKEN_PER_TURN_MAX and not self.stopping.is_set():
            last = participant.step()
            taken += last
            self.turned_at = self.timing.monotonic()
        return taken

    def _pause(self, name: str, error: GatewayUnavailable) -> None:
        self._pauses[name] = min(OUTAGE_SECONDS_MAX, 2 * self._pauses.get(name, self.poll_seconds / 4))
        self._paused_until[name] = self.timing.monotonic() + self._pauses[name]
        log.warning("the world does not answer", consumer=name, retry_in_seconds=self._pauses[name], error=str(error))

    def _waits_for_the_world(self) -> int:
        """1 after waiting for a paused gateway, 0 if none is paused."""
        if not self._paused_until:
            return 0
        self.timing.sleep(max(0.0, min(self._paused_until.values()) - self.timing.monotonic()))
        return 1

    def _rest(self) -> None:
        for participant in self.participants:
            if participant.name not in self.stopped:
                try:
                    participant.rest()
                except PositionLost:  # whoever has it now keeps it
                    participant.seek()

    def _seek_after_outage(self) -> None:
        """Nobody knows which commits arrived: every participant asks where it stands."""
        with suppress(*OUTAGES):
            self.seek()


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """SIGTERM and SIGINT ask the loop to finish the batch in hand and stop."""
    stopping = threading.Event()

    def stop(signum: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(signum).name)
        stopping.set()

    before = {signum: signal.signal(signum, stop) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
