"""The history that a fork begins with, and the history that is replayed, read from the log.

Invariant: a fork begins where the engine was at rest, at the requested position or the last such place before it: at
rest, everything that had happened had been reacted to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import NamedTuple

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Recorded
from oms_es.processing.read_models.history_pages import pages
from oms_es.reports.queries import Connection
from oms_es.schemas.vocabulary import EVENTS
from oms_es.whatif.reliving.outside import is_from_outside, is_tick
from oms_es.whatif.reliving.relive import REST_SECONDS

EVENTS_MAX = 1_000_000
"""How many events are held in memory, with all that is decided from them: about 6 KB each. Some callers allow fewer."""


class TooLong(OmsError):
    """The history has more events than fit in memory: name an earlier end."""

    code = "too_long"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Lived(NamedTuple):
    """A history to replay: `before` is what a fork begins with, `after` is replayed."""

    before: Sequence[Recorded]
    after: Sequence[Recorded]

    @property
    def begins(self) -> int:
        """The position after which events are replayed."""
        return self.before[-1].position if self.before else 0


def read(
    connection: Connection,
    first: int,
    last: int,
    reached: Callable[[int, int], None],
    rest_seconds: float = REST_SECONDS,
    events_max: int = EVENTS_MAX,
) -> Lived:
    """Return the history from the last rest at or before `first`, to `last`.

    Raise TooLong if it has too many events.
    """
    if last > events_max:
        raise TooLong(
            f"a fork holds {events_max:,} events in memory, and {last:,} are too many; ask for an earlier end"
        )
    found: list[Recorded] = []
    for page in pages(connection, list(EVENTS), last):
        found += page
        reached(page[-1].position, last)
    begins = rest_before(found, first, rest_seconds)
    return Lived(found[:begins], found[begins:])


def rest_before(history: Sequence[Recorded], position: int, rest_seconds: float) -> int:
    """Return the number of events up to the last rest at or before the position; at rest everything had been
    reacted to.
    """
    by_then = sum(recorded.position <= position for recorded in history)
    for number in range(min(by_then, len(history) - 1), 0, -1):
        last, following = history[number - 1 : number + 1]
        if (is_from_outside(following) or is_tick(following)) and (
            following.recorded_at - last.recorded_at
        ).total_seconds() >= rest_seconds:
            return number
    return 0
