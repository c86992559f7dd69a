"""What a fork begins with and what is lived again, read from the log.

Invariant: a fork begins where the engine was at rest, at the moment that is asked for or the last such place before it:
then everything that had happened had been reacted to.
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
"""As many are held in memory, with all that is decided from them: about 6 KB for each. Others ask for fewer."""


class TooLong(OmsError):
    """More history than is held in memory: say an earlier end."""

    code = "too_long"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Lived(NamedTuple):
    """`before` is what a fork begins with, `after` what is lived again."""

    before: Sequence[Recorded]
    after: Sequence[Recorded]

    @property
    def begins(self) -> int:
        """After this position."""
        return self.before[-1].position if self.before else 0


def read(
    connection: Connection,
    first: int,
    last: int,
    reached: Callable[[int, int], None],
    rest_seconds: float = REST_SECONDS,
    events_max: int = EVENTS_MAX,
) -> Lived:
    """From the last rest at `first` or before, to `last`. Raises TooLong."""
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
    """How many events there were when everything had been reacted to, none of them after the position."""
    by_then = sum(recorded.position <= position for recorded in history)
    for number in range(min(by_then, len(history) - 1), 0, -1):
        last, following = history[number - 1 : number + 1]
        if (is_from_outside(following) or is_tick(following)) and (
            following.recorded_at - last.recorded_at
        ).total_seconds() >= rest_seconds:
            return number
    return 0
