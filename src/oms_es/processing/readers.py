"""Readers of the log: each passes on what is of interest to one consumer, projection or gateway.

Invariant: a reader's position moves in the transaction of its effects.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from http import HTTPStatus
from typing import Protocol

import structlog
from pydantic import ValidationError

from oms_es.database.reasons import without_rows
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Consumer, Event, GatewayUnavailable, Lookup, Recorded, Refused
from oms_es.processing import aside, metrics
from oms_es.processing.read_models.lookups import Finder
from oms_es.processing.read_models.model import ReadModel
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import WINDOW_MAX, Feed
from oms_es.store.recorder import Advance, Move, PositionLost
from oms_es.store.store import OUTAGES, Batch, Store

log = structlog.get_logger(__name__)

BATCH_MAX = 500
"""Deliveries per transaction."""

PROJECTED_MAX = 2_000
"""Deliveries per transaction of a projection: a row that many of them touch is written once."""

DELIVERIES_PER_ITERATION_MAX = WINDOW_MAX
"""Deliveries that a worker takes before the next one has its turn: none falls behind the window of the log, and
none waits for ever."""

UNSAVED_EVENTS_MAX = 20_000
"""How many events of no interest a participant passes before it saves its position all the same."""


class Stopped(OmsError):
    """One or more participants met an event that they cannot handle; their positions stay before it."""

    code = "stopped"
    exit_code = Code.UNEXPECTED
    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, causes: Mapping[str, BaseException]) -> None:
        super().__init__("; ".join(f"{name}: {cause_of(cause)}" for name, cause in causes.items()))
        self.causes = causes


def cause_of(error: BaseException) -> str:
    """The cause of a failure with the place in the code, without the rows, which may be personal."""
    return ", ".join([without_rows(str(error)) or type(error).__name__, *getattr(error, "__notes__", ())])


class Worker(Protocol):
    """Something with a position of its own that takes a batch at a time."""

    @property
    def name(self) -> str: ...

    @property
    def batch_max(self) -> int: ...

    def step(self) -> int:
        """Take the next batch; how many deliveries it had, and at least 1 where a position moved: 0 is rest.

        A full batch says that there may be more. Raises what its deliveries raise.
        """

    def unsaved(self) -> Sequence[Move]:
        """When idle: the position that should be saved, so that a restart does not read the same events again."""

    def was_saved(self, move: Move) -> None:
        """The position was saved."""

    def was_lost(self, move: Move) -> None:
        """The position could not be saved, as another process has moved it."""

    def seek(self) -> None:
        """Continue from the stored position."""


class NothingToSave:
    """A worker without positions that could be saved separately: its position moves in the transactions of its work."""

    def unsaved(self) -> Sequence[Move]:
        return ()

    def was_saved(self, move: Move) -> None:
        """Nothing is."""

    def was_lost(self, move: Move) -> None:
        """Nothing is."""


class Stopping(Protocol):
    """The signal to end the loop: a threading.Event, or a simulated one."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float) -> bool: ...


class Waiter(Protocol):
    def wait(self, seconds: float) -> bool:
        """Wait until there may be something to do, at most `seconds`."""


class FeedReader:
    """A worker that follows a feed. Skipping events of no interest costs no transaction."""

    def __init__(self, name: str, feed: Feed, interests: frozenset[type[Event]], batch_max: int = BATCH_MAX) -> None:
        self.role = name
        self.name = name + feed.suffix
        self.feed = feed
        self.interests = interests
        self.batch_max = batch_max
        self.seen = self.saved = 0

    def step(self) -> int:
        """Take one batch. Skipping events of no interest counts as work, as events of interest may follow them."""
        before = self.seen
        with metrics.timed(self.role) as observe:
            taken = self.take_next()
            observe(taken)
        return taken or int(self.seen > before)

    def take_next(self) -> int:
        """Process the next batch of what the feed has ready; returns how many deliveries it had."""
        found = self.feed.next_of(self.seen, self.interests, self.batch_max, self.bound)
        if found is None:
            return 0
        deliveries, position = found
        if deliveries:
            self._attempt(deliveries, position)
        elif (reached := self.safe(position)) - self.saved > UNSAVED_EVENTS_MAX:
            self.save(Advance(self.name, self.saved, reached))
            self.saved = reached
        self.seen = max(self.seen, position)
        return len(deliveries)

    def unsaved(self) -> Sequence[Move]:
        reached = self.safe(self.seen)
        return (self.move_to(reached),) if reached > self.saved else ()

    def safe(self, position: int) -> int:
        """Up to where everything is done, of what was read up to there."""
        return position

    def was_saved(self, move: Move) -> None:
        self.saved = move.position
        self.seen = max(self.seen, self.saved)

    def was_lost(self, _move: Move) -> None:
        self.seek()

    def move_to(self, position: int) -> Move:
        return Move(self.name, self.saved, position)

    def seek(self) -> None:
        """What was taken from the log itself need not be taken from a topic again."""
        self.saved = self.stored_position(self.name)
        self.seen = max(self.saved, self.stored_position(self.role)) if self.role != self.name else self.saved

    def is_due(self) -> bool:
        """Whether there is something to do that the feed does not bring."""
        return False

    def bound(self) -> int | None:
        """The last position that may be read now; None without a bound."""
        return None

    def take(self, deliveries: Sequence[Recorded], advance: Advance) -> None:
        raise NotImplementedError

    def save(self, advance: Advance) -> None:
        """Move the position past events of no interest. Raises PositionLost."""
        raise NotImplementedError

    def stored_position(self, name: str) -> int:
        raise NotImplementedError

    def _attempt(self, deliveries: Sequence[Recorded], position: int) -> None:
        """Bisect a failing batch until the failing event is alone; everything before it is processed."""
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
                raise Stopped({self.name: _with_failing_event(deliveries[0], error)}) from error
        self.seen, self.saved = position, self.safe(position)

    def put_aside(self, recorded: Recorded, error: ValidationError | Refused, position: int) -> bool:  # noqa: ARG002 - of those that give commands
        """Leave to a person what follows from an event and is refused, and go past it; False where nothing follows."""
        return False


def _with_failing_event(recorded: Recorded, error: Exception) -> Exception:
    error.add_note(f"at position {recorded.position}: {type(recorded.event).__name__} {recorded.event_id}")
    log.critical(
        "event cannot be processed",
        position=recorded.position,
        fact=type(recorded.event).__name__,
        event_id=str(recorded.event_id),
        caused_by=str(recorded.caused_by),
        stream=recorded.stream,
        error=str(error),
    )
    return error


class CommandWorker(FeedReader):
    """A reader that gives commands."""

    store: Store

    def stored_position(self, name: str) -> int:
        return self.store.recorder.position(name)

    def save(self, advance: Advance) -> None:
        self.store.recorder.save(advance)

    def put_aside(self, recorded: Recorded, error: ValidationError | Refused, position: int) -> bool:
        command, dead_letter = aside.put(self.role, recorded, error)
        batch = [(Cause.of(recorded, self.role), [command])]
        advance = Advance(self.name, self.saved, self.safe(position))
        self.feed.notify_appended(self.store.execute(batch, advance, [dead_letter]))
        return True


class ConsumerWorker(CommandWorker):
    """Events in, commands out: `react` to each delivery, in one transaction for all."""

    def __init__(
        self,
        consumer: Consumer,
        store: Store,
        feed: Feed,
        lookups: Finder,
        lookup_position: Callable[[frozenset[str]], int],
        batch_max: int = BATCH_MAX,
    ) -> None:
        super().__init__(consumer.name, feed, frozenset(consumer.reactions), batch_max)
        self.consumer = consumer
        self.store = store
        self.lookups = lookups
        self.lookup_position = lookup_position
        self.lookup_projections = consumer.lookup_projections

    def bound(self) -> int | None:
        return self.lookup_position(self.lookup_projections) if self.lookup_projections else None

    def take(self, deliveries: Sequence[Recorded], advance: Advance) -> None:
        self.feed.notify_appended(self.store.execute(reactions(self.consumer, deliveries, self.lookups), advance))


def reactions(consumer: Consumer, deliveries: Sequence[Recorded], lookups: Finder) -> Batch:
    """The commands with which a consumer reacts to each delivery."""
    found = lookups.fetch(_lookups(consumer, deliveries)) if consumer.lookup_projections else {}
    return [(Cause.of(r, consumer.name), consumer.react(r.event, found)) for r in deliveries]


def _lookups(consumer: Consumer, deliveries: Sequence[Recorded]) -> dict[Lookup, list[Hashable]]:
    wanted: dict[Lookup, list[Hashable]] = {}
    for recorded in deliveries:
        for lookup in consumer.reactions[type(recorded.event)].lookups:
            wanted.setdefault(lookup, []).extend(lookup.keys(recorded.event))
    return wanted


class ProjectionWorker(FeedReader):
    """Events in, rows out."""

    def __init__(self, read_model: ReadModel, feed: Feed, batch_max: int = PROJECTED_MAX) -> None:
        super().__init__(read_model.projection.name, feed, frozenset(read_model.projection.folds), batch_max)
        self.read_model = read_model

    def seek(self) -> None:
        """The process that moved the position meanwhile has changed rows, too."""
        self.read_model.forget()
        super().seek()

    def stored_position(self, name: str) -> int:
        return self.read_model.position(name)

    def save(self, advance: Advance) -> None:
        self.read_model.save(advance)

    def move_to(self, position: int) -> Move:
        return super().move_to(position)._replace(generation=self.read_model.rows.generation(self.name))

    def take(self, deliveries: Sequence[Recorded], advance: Advance) -> None:
        self.read_model.apply(deliveries, advance)
