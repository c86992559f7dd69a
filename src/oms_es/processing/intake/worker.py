"""Takes input from outside, a batch at a time: each is parsed and decided, or stored as a dead letter with its reason.

Invariant: every arrival ends either as a decided command or as a dead letter, in the same transaction as the position
that moves past it; one that cannot be used delays no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import NamedTuple, Protocol

import structlog
from pydantic import ValidationError

from oms_es.door import brought_in
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import BadInput, Command, Recorded, Skipped
from oms_es.processing import aside, metrics
from oms_es.processing.intake.screening import Screen, everything_passes
from oms_es.processing.readers import NothingToSave
from oms_es.schemas.inputs import Input
from oms_es.store.dead_letters import DeadLetter, Header, without_card_numbers
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import Feed
from oms_es.store.recorder import Advance, PositionLost
from oms_es.store.store import OUTAGES, Store

BATCH_MAX = 500
"""Arrivals per transaction."""

log = structlog.get_logger(__name__)
Parser = Callable[[bytes], Command]


def understood(parse: Parser, payload: bytes) -> Command:
    """Brought in as whatever comes from outside, no matter who may give the command. Raises BadInput, Skipped.

    A mistake that a dialect makes with it is of this input alone: it stops neither its reader nor what comes with it.
    """
    try:
        return brought_in(parse(payload))
    except (BadInput, Skipped):
        raise
    except ValidationError as error:
        raise BadInput(Input.OUT_OF_RANGE, aside.why(error)[1]) from error
    except Exception as error:
        raise BadInput(Input.UNEXPECTED, f"{type(error).__name__}: {error}") from error


class Arrival(NamedTuple):
    """Something that came from outside: where it stands in its source, and its bytes and headers as they came."""

    position: int
    payload: bytes
    headers: Sequence[Header] = ()
    place: str = ""
    """Where people find it, if not at its position."""


class Source(Protocol):
    """Input from outside, in order, at positions of its own."""

    name: str
    dialect: str

    def read(self, after: int, limit: int) -> Sequence[Arrival]: ...


class IntakeResult(NamedTuple):
    accepted: int
    dead_letters: int

    def __add__(self, other: object) -> IntakeResult:
        assert isinstance(other, IntakeResult)
        return IntakeResult(self.accepted + other.accepted, self.dead_letters + other.dead_letters)


class Outcome(NamedTuple):
    """What an arrival asked for, and the events that its commands came to: none of a repeat."""

    command: Command
    events: Sequence[Recorded]


def _outcomes(
    given: Sequence[Sequence[Command]], recorded: Sequence[Recorded], came_to: Sequence[int]
) -> Iterator[Outcome]:
    """The events of a stream are in the order of its commands."""
    of_stream: dict[str, deque[Recorded]] = {}
    for one in recorded:
        of_stream.setdefault(one.stream, deque()).append(one)
    counts = iter(came_to)
    for commands in given:
        decided = (one for given in commands for one in (given, *given.beside))
        events = [of_stream[one.stream].popleft() for one in decided for _ in range(next(counts))]
        yield Outcome(commands[0], events)


def dead_letter_of(
    error: Exception, source: str, place: str, dialect: str, payload: bytes, headers: Sequence[Header]
) -> DeadLetter:
    """Return the dead letter of input that cannot be used, with the reason."""
    if isinstance(error, BadInput):
        reason, detail = error.reason, error.detail
    elif isinstance(error, aside.REFUSALS):
        reason, detail = aside.why(error)
    else:
        reason, detail = Input.UNEXPECTED, f"{type(error).__name__}: {error}"
    return without_card_numbers(DeadLetter(source, place, dialect, payload, reason, detail, headers))


class TooManyDeadLetters(OmsError):
    """So much of the input cannot be used that the fault is likely ours, or the sender's of all of it."""

    code = "too_many_dead_letters"
    exit_code = Code.UNEXPECTED
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Limit:
    """Stops before a whole topic becomes dead letters, as after a bad deploy. Dead letters can be replayed."""

    def __init__(self, arrivals_min: int = 100, share_max: float = 0.5, window: int = 1_000) -> None:
        self.arrivals_min = arrivals_min
        self.share_max = share_max
        self.window = window
        self._batches: deque[IntakeResult] = deque()
        self._in_a_row = 0

    def note(self, taken: IntakeResult) -> None:
        """Raises TooManyDeadLetters."""
        self._batches.append(taken)
        self._in_a_row = 0 if taken.accepted else self._in_a_row + taken.dead_letters
        total = sum(self._batches, IntakeResult(0, 0))
        while total.accepted + total.dead_letters - sum(self._batches[0]) >= self.window:
            self._batches.popleft()
            total = sum(self._batches, IntakeResult(0, 0))
        arrivals = total.accepted + total.dead_letters
        if self._in_a_row >= self.arrivals_min or (
            arrivals >= self.arrivals_min and total.dead_letters > self.share_max * arrivals
        ):
            raise TooManyDeadLetters(
                f"{total.dead_letters} of the last {arrivals} inputs could not be used: "
                "see `oms-es dead-letters list`, repair the cause, start again and replay them"
            )


class Intake:
    """`tracked`: its position is kept, so that a restart goes on where it was; otherwise the ids make repeats free."""

    def __init__(
        self,
        name: str,
        dialect: str,
        parse: Parser,
        store: Store,
        feed: Feed,
        *,
        tracked: bool,
        screen: Screen = everything_passes,
    ) -> None:
        self.name = name
        self.dialect = dialect
        self.parse = parse
        self.store = store
        self.feed = feed
        self.tracked = tracked
        self.screen = screen
        self.seen = 0
        self.on_outcomes: Callable[[Sequence[Outcome]], None] = lambda _outcomes: None
        """Given what came of each arrival, to be counted."""
        self.on_dead_letters: Callable[[Sequence[DeadLetter]], None] = lambda _dead_letters: None
        """Given what could not be used, once it is stored."""

    def seek(self) -> None:
        self.seen = self.store.recorder.position(self.name) if self.tracked else 0

    def take(self, arrivals: Sequence[Arrival]) -> IntakeResult:
        """Halve a failing batch until the failing input is alone, and store that as a dead letter."""
        given, dead_letters = self._screened(arrivals)
        try:
            return self._commit(given, dead_letters, arrivals[-1].position)
        except PositionLost:
            raise
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an input does to us, it must not stop the others
            if len(arrivals) > 1:
                middle = len(arrivals) // 2
                return self.take(arrivals[:middle]) + self.take(arrivals[middle:])
            return self._commit([], [self._dead_letter(arrivals[0], error)], arrivals[0].position)

    def pass_to(self, position: int) -> None:
        """Nothing lies before this position that has not come. Raises PositionLost."""
        self.store.recorder.save(Advance(self.name, self.seen, position))
        self.seen = position

    def _screened(self, arrivals: Sequence[Arrival]) -> tuple[list[Sequence[Command]], list[DeadLetter]]:
        """For each arrival that can be used, what is given for it: the command, and what is added to it."""
        parsed, dead_letters = self._parsed(arrivals)
        given: list[Sequence[Command]] = []
        for (arrival, _), answer in zip(parsed, self.screen([command for _, command in parsed]), strict=True):
            if isinstance(answer, BadInput):
                dead_letters.append(self._dead_letter(arrival, answer))
            else:
                given.append(answer)
        return given, dead_letters

    def _parsed(self, arrivals: Sequence[Arrival]) -> tuple[list[tuple[Arrival, Command]], list[DeadLetter]]:
        commands: list[tuple[Arrival, Command]] = []
        dead_letters: list[DeadLetter] = []
        for arrival in arrivals:
            try:
                commands.append((arrival, understood(self.parse, arrival.payload)))
            except BadInput as bad:
                dead_letters.append(self._dead_letter(arrival, bad))
            except Skipped:
                log.debug("skipped", source=self.name, place=arrival.position)
        return commands, dead_letters

    def _commit(
        self, given: Sequence[Sequence[Command]], dead_letters: Sequence[DeadLetter], position: int
    ) -> IntakeResult:
        advance = Advance(self.name, self.seen, position) if self.tracked else None
        recorded = self.store.execute([(Cause(self.name), commands) for commands in given], advance, dead_letters)
        self.feed.notify_appended(recorded)
        self.on_outcomes(list(_outcomes(given, recorded, self.store.came_to)))
        self.on_dead_letters(dead_letters)
        self.seen = position
        for dead_letter in dead_letters:
            metrics.DEAD_LETTERS.labels(dead_letter.source.partition("@")[0]).inc()
            aside.log_dead_letter(dead_letter)
        return IntakeResult(len(given), len(dead_letters))

    def _dead_letter(self, arrival: Arrival, error: Exception) -> DeadLetter:
        place = arrival.place or str(arrival.position)
        return dead_letter_of(error, self.name, place, self.dialect, arrival.payload, arrival.headers)


class IntakeWorker(NothingToSave):
    """A source that is followed, at a position that is kept."""

    def __init__(
        self,
        source: Source,
        parse: Parser,
        store: Store,
        feed: Feed,
        batch_max: int = BATCH_MAX,
        limit: Limit | None = None,
        screen: Screen = everything_passes,
    ) -> None:
        self.name = source.name
        self.source = source
        self.batch_max = batch_max
        self.limit = limit
        self.intake = Intake(source.name, source.dialect, parse, store, feed, tracked=True, screen=screen)

    def step(self) -> int:
        arrivals = self.source.read(self.intake.seen, self.batch_max)
        if arrivals:
            taken = self.intake.take(arrivals)
            if self.limit:
                self.limit.note(taken)
        return len(arrivals)

    def seek(self) -> None:
        self.intake.seek()
