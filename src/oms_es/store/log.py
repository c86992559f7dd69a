"""The log as a transport: readers follow the store's own notification log, and are woken when it grows.

Invariant: a reader sees every event once per pass, in the order of positions, and none before it is committed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import compress, islice
from operator import attrgetter
from threading import Lock
from typing import NamedTuple, Protocol

import psycopg

from oms_es.kernel import Event, Recorded
from oms_es.store.caching import CACHE_BYTES_MAX, Scale, Shares
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import EVENTS, Recording
from oms_es.store.store import OUTAGES

READ_MAX = 2_000
"""Events per read: reading 500 at a time costs a quarter more, 10 at a time six times as much."""
WINDOW_MAX = 20_000
"""Decoded events kept for the readers of this process that stand near the end of the log."""
BEHIND_MAX = WINDOW_MAX // 2
"""Events that a reader further back reads at a time."""
PAGES_MAX = 2 * WINDOW_MAX // READ_MAX
"""Pages of decoded events kept for them: they read the same ones, one after the other."""
PAGES_MIN = 2
PAGES_SHARE = 0.25
"""Of the bytes of all events kept; the window has the rest."""

POSITION, EVENT = attrgetter("position"), attrgetter("event")

Interests = frozenset[type[Event]]
Bound = Callable[[], int | None]
"""The last position that may be read now; None without a bound."""
Next = tuple[list[Recorded], int]


def next_among(read: Sequence[Recorded], after: int, interests: Interests, limit: int, bound: Bound) -> Next | None:
    """`Feed.next_of` of what was read after `after`: without a step of the interpreter for each event."""
    if not read:
        return None
    last = bound()
    if last is not None and read[-1].position > last:
        read = read[: bisect_right(read, last, key=POSITION)]
        if not read:
            return [], after
    found = list(islice(compress(read, map(interests.__contains__, map(type, map(EVENT, read)))), limit))
    return found, read[-1].position if len(found) < limit else found[-1].position


class Chunk(NamedTuple):
    """Events that came together, with their positions and types; `present`: the types that are among them.

    Most readers pass over most chunks: few types come together.
    """

    events: Sequence[Recorded]
    positions: Sequence[int]
    kinds: Sequence[type[Event]]
    present: Interests

    @property
    def end(self) -> int:
        return self.positions[-1]

    def among(self, after: int, last: int, interests: Interests) -> Iterator[Recorded]:
        """Those of interest after a position, up to another."""
        if self.present.isdisjoint(interests):
            return iter(())
        begin = bisect_right(self.positions, after)
        end = len(self.positions) if self.end <= last else bisect_right(self.positions, last)
        wanted = map(interests.__contains__, islice(self.kinds, begin, end))
        return compress(islice(self.events, begin, end), wanted)


def _chunk(recorded: Sequence[Recorded]) -> Chunk:
    kinds = list(map(type, map(EVENT, recorded)))
    return Chunk(recorded, list(map(POSITION, recorded)), kinds, frozenset(kinds))


class Feed(Protocol):
    """Where recorded events come from, in the order of their positions: the log itself, or a partition of a topic."""

    @property
    def suffix(self) -> str:
        """Distinguishes positions in this feed from those in others."""

    def next_of(self, after: int, interests: Interests, limit: int, bound: Bound) -> Next | None:
        """The next events of interest, at most `limit`, and the position up to which all were considered, at most the
        bound; None where there is nothing after `after`."""

    def notify_appended(self, recorded: Sequence[Recorded]) -> None:
        """Receive the events that this process has just appended."""


class NullFeed:
    """A feed for a process that only appends and has no readers."""

    suffix = ""

    def next_of(self, _after: int, _interests: Interests, _limit: int, _bound: Bound) -> Next | None:
        return None

    def notify_appended(self, recorded: Sequence[Recorded]) -> None:
        """Nothing to do: the events come back over Kafka."""


CHUNK_END = attrgetter("end")


class Log:
    """One window of decoded events for all readers of a process, in whichever thread; those who are behind it share
    pages, so that an event is decoded once and not by each of them."""

    suffix = ""
    ready_max = 2 * WINDOW_MAX

    def __init__(self, recorder: Recording, codec: Codec, bytes_max: int = Shares.of(CACHE_BYTES_MAX).events) -> None:
        """`bytes_max`: of the events kept."""
        self.recorder = recorder
        self.codec = codec
        self.bytes_max = bytes_max
        self._scale = Scale()
        self._chunks: list[Chunk] = []
        self._kept = 0  # events in the chunks
        self._base = self._end = 0  # the window holds everything after `_base` up to `_end`
        self._pages: OrderedDict[int, Page] = OrderedDict()
        self._changing = Lock()

    def start_at(self, position: int) -> None:
        """Keep nothing up to here: a reader further back reads pages until it has caught up."""
        self._chunks, self._kept = [], 0
        self._base = self._end = position

    @property
    def end(self) -> int:
        """The newest position that this process has seen."""
        return self._end

    def read(self, after: int, limit: int = ready_max) -> Sequence[Recorded]:
        with self._changing:
            if after >= self._base:
                return list(islice(self._after(after), limit))
            return list(islice(self._behind(after), min(limit, BEHIND_MAX, self._pages_max() * READ_MAX)))

    def next_of(self, after: int, interests: Interests, limit: int, bound: Bound) -> Next | None:
        if after < self._base:
            return next_among(self.read(after), after, interests, limit, bound)
        if after >= self._end:
            return None
        last = bound()
        with self._changing:
            behind = after < self._base
            last = self._end if last is None else last
            chunks = self._chunks[bisect_right(self._chunks, after, key=CHUNK_END) :]
        if behind:  # another thread has dropped what was at hand
            return next_among(self.read(after), after, interests, limit, bound)
        found: list[Recorded] = []
        reached = after
        for chunk in chunks:
            if chunk.positions[0] > last:
                break
            found += islice(chunk.among(after, last, interests), limit - len(found))
            if len(found) == limit:
                return found, found[-1].position
            reached = chunk.end if chunk.end <= last else chunk.positions[bisect_right(chunk.positions, last) - 1]
        return found, max(after, reached)

    def _after(self, position: int) -> Iterator[Recorded]:
        """Yield the events of the window after the position."""
        for chunk in self._chunks[bisect_right(self._chunks, position, key=CHUNK_END) :]:
            yield from islice(chunk.events, bisect_right(chunk.positions, position), None)

    def refresh(self) -> None:
        """Read what was appended; once per iteration of the loop is enough for all its readers."""
        for _ in range(WINDOW_MAX // READ_MAX):
            found = self._select(self._end, READ_MAX)
            self._extend(found)
            if len(found) < READ_MAX:
                break

    def forget(self, position: int) -> None:
        """Drop what all readers have passed; one that goes back reads pages."""
        with self._changing:
            self._drop(bisect_right(self._chunks, position, key=CHUNK_END))

    def notify_appended(self, recorded: Sequence[Recorded]) -> None:
        """Add what this process has just appended, after reading what other processes appended before it."""
        if recorded and self._knows_all_before(recorded[0].position):
            self._extend(recorded)

    def _knows_all_before(self, position: int) -> bool:
        """Return whether the window reaches up to the position. If the database is down or too much is missing, it
        does not."""
        if position > self._end + 1:
            with suppress(*OUTAGES):
                others = self._select(self._end, READ_MAX, position - 1)
                self._extend(others)
                return len(others) < READ_MAX
        return position == self._end + 1

    def _extend(self, recorded: Sequence[Recorded]) -> None:
        if not recorded:
            return
        with self._changing:
            self._chunks.append(_chunk(recorded))
            self._kept += len(recorded)
            self._end = self._chunks[-1].end
            self._scale.note(len(recorded), recorded)
            fitting = int(self.bytes_max * (1 - PAGES_SHARE) / self._scale.mean)
            window_max = min(WINDOW_MAX, max(READ_MAX, fitting // 2))  # it grows to twice as many
            if self._kept > 2 * window_max:
                self._drop(self._oldest(self._kept - window_max))

    def _oldest(self, count: int) -> int:
        """Return how many chunks have at most so many events together; never all."""
        chunks = 0
        while len(self._chunks) > chunks + 1 and count >= len(self._chunks[chunks].events):
            count -= len(self._chunks[chunks].events)
            chunks += 1
        return chunks

    def _drop(self, chunks: int) -> None:
        """So many of the oldest."""
        if chunks:
            self._base = self._chunks[chunks - 1].end
            self._kept -= sum(len(chunk.events) for chunk in self._chunks[:chunks])
            del self._chunks[:chunks]

    def _behind(self, after: int) -> Iterator[Recorded]:
        """Events between a position and the window, read from the database."""
        while after < self._base:
            page = self._page(after)
            yield from islice(page.events, bisect_right(page.events, after, key=POSITION), None)
            after = page.end

    def _page(self, after: int) -> Page:
        number = after // READ_MAX
        page = self._pages.get(number)
        if page is None or page.end <= after:
            page = self._pages[number] = self._read_page(number * READ_MAX)
        self._pages.move_to_end(number)
        while len(self._pages) > self._pages_max():
            self._pages.popitem(last=False)
        return page

    def _pages_max(self) -> int:
        """Return how many pages are kept: all that a reader takes at a time, since the next reader reads the same."""
        mean = self._scale.mean or 1.0
        return min(PAGES_MAX, max(PAGES_MIN, int(self.bytes_max * PAGES_SHARE / mean / READ_MAX)))

    def _read_page(self, begin: int) -> Page:
        end = min(begin + READ_MAX, self._end)
        rows = self.recorder.after(begin, READ_MAX)
        events = [self.codec.decode(row, row.id) for row in rows if row.id <= end]
        self._scale.note(len(events), events)
        if not events:  # positions were skipped
            end = rows[0].id - 1 if rows else self._end
        return Page(end, events)

    def _select(self, after: int, limit: int, stop: int | None = None) -> list[Recorded]:
        return [self.codec.decode(row, row.id) for row in self.recorder.after(after, limit, stop)]


class Page(NamedTuple):
    """The events of READ_MAX positions: all of them up to `end`."""

    end: int
    events: Sequence[Recorded]


class AppendListener:
    """Rings when something was appended anywhere. It may miss a ring: a waiting reader also looks from time to time."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self._connection: psycopg.Connection | None = None

    def wait(self, seconds: float) -> bool:
        """True if it rang within `seconds`."""
        if self._connection is None:
            self._connection = psycopg.connect(self.database_url, autocommit=True)
            self._connection.execute(f"LISTEN {EVENTS}")
            return True
        try:
            notified = bool(list(self._connection.notifies(timeout=seconds, stop_after=1)))
            for _ in self._connection.notifies(timeout=0):  # rings that piled up meanwhile are one ring
                pass
        except psycopg.OperationalError:
            self.close()
            raise
        return notified

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
