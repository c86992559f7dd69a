"""The end of the log as changes of rows, read once for all streams of this process.

Invariant: changes are folded from history; therefore a reader that resumes after a position gets what it would have
got: no gap, no repeat. Only a reader's position is kept: all readers share one bounded window.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import structlog

from oms_es.app import Runtime
from oms_es.http.access import Caller
from oms_es.kernel import Projection, Recorded, Row
from oms_es.processing.committer import Busy
from oms_es.processing.read_models.folding import folded
from oms_es.projections.order import order_status
from oms_es.projections.stock import stock_levels
from oms_es.store.encoding.codec import Codec
from oms_es.store.log import AppendListener
from oms_es.store.store import OUTAGES

WINDOW_MAX = 10_000
"""Changes in the window that all readers share."""
ROWS_MAX = 10_000
"""Rows whose newest state is cached."""
PAGE_MAX = 500
STREAMS_MAX = 1_000
STREAMS_PER_CALLER_MAX = 500
WAIT_SECONDS = 15.0
LISTEN_SECONDS = 1.0
FOLLOWED: Mapping[str, Projection] = {"order": order_status.projection, "stock": stock_levels.projection}
"""The read models that are followed, by the category of their streams; each row comes from one stream."""

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Change(NamedTuple):
    """A row after an event. `channel` is None for a row without one. `encoded` caches the sent bytes by audience."""

    position: int
    kind: str
    key: tuple[str, ...]
    channel: str | None
    row: Mapping[str, Any]
    encoded: dict[Any, bytes]


Wanted = Callable[[Change], bool]


class Rows:
    """The state of rows before each event: from the cache, or folded from the stream's history."""

    def __init__(self, history: Callable[[str], Sequence[Recorded]]) -> None:
        self._history = history
        self._known: OrderedDict[str, tuple[int, Row | None]] = OrderedDict()

    def changes(self, events: Iterable[Recorded]) -> Iterator[Change]:
        for recorded in events:
            kind = recorded.stream.partition("-")[0]
            projection = FOLLOWED.get(kind)
            if projection is None:
                continue
            fold = projection.folds.get(type(recorded.event))
            if fold is None:
                self._pass(recorded)
                continue
            (key,) = fold.keys(recorded)
            before = self._before(projection, recorded, key)
            after = fold.project(before, recorded, key)
            self._remember(recorded, after)
            if after is not None and after != before:
                yield Change(recorded.position, kind, tuple(map(str, key)), after.get("channel"), after, {})

    def _before(self, projection: Projection, recorded: Recorded, key: tuple[Any, ...]) -> Row | None:
        known = self._known.get(recorded.stream)
        if known and known[0] == recorded.version - 1:
            return known[1]
        earlier = [one for one in self._history(recorded.stream) if one.version < recorded.version]
        return folded(projection, earlier).get(key)

    def _pass(self, recorded: Recorded) -> None:
        """Advance the cached version of a row past an event that does not change it."""
        known = self._known.get(recorded.stream)
        if known and known[0] == recorded.version - 1:
            self._remember(recorded, known[1])

    def _remember(self, recorded: Recorded, row: Row | None) -> None:
        self._known[recorded.stream] = recorded.version, row
        self._known.move_to_end(recorded.stream)
        while len(self._known) > ROWS_MAX:
            self._known.popitem(last=False)


class Tail:
    """The end of the log, read once for all streams of this process, as long as any stream is open."""

    def __init__(self, parts: Runtime, codec: Codec, stopping: asyncio.Event) -> None:
        self.parts = parts
        self.codec = codec
        self.stopping = stopping
        self._listener = AppendListener(parts.database_url)
        self._thread = ThreadPoolExecutor(2, "tail")
        self._grown = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._window: list[Change] = []
        self._positions: list[int] = []
        self._base = self._end = 0
        self._rows = Rows(self._history)
        self.followers: dict[str, int] = {}

    @asynccontextmanager
    async def following(self, caller: Caller) -> AsyncIterator[None]:
        """Count the caller as a follower within the context. Raise Busy if too many streams are open."""
        mine = self.followers.get(caller.actor, 0)
        if sum(self.followers.values()) >= STREAMS_MAX or mine >= STREAMS_PER_CALLER_MAX:
            raise Busy("too many streams are open; close one")
        self.followers[caller.actor] = mine + 1
        try:
            yield
        finally:
            self.followers[caller.actor] -= 1
            if not self.followers[caller.actor]:
                del self.followers[caller.actor]

    async def end(self) -> int:
        """Return the end of the log, and begin to keep the window if no reader did; concurrent first readers begin it
        once."""
        async with self._beginning:
            if self._task is None or self._task.done():
                self._base = self._end = await self._ask(self.parts.last_position)
                self._window, self._positions = [], []
                self._task = asyncio.get_running_loop().create_task(self._run())
        return self._end

    async def after(self, position: int, wanted: Wanted) -> tuple[list[Change], int]:
        """Return wanted changes after the position, and the position up to which nothing else is wanted. Wait if the
        log has nothing new."""
        if position < self._base:
            return await self._ask(partial(self._earlier, position, wanted))
        grown = self._grown
        first = bisect_right(self._positions, position)
        found = self._window[first : first + PAGE_MAX]
        if found:
            return [change for change in found if wanted(change)], found[-1].position
        if position < self._end:
            return [], self._end
        if not self.stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(grown.wait(), WAIT_SECONDS)
        return [], position

    def wake(self) -> None:
        """Wake all waiting readers: there are new changes, or the tail has ended."""
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    def close(self) -> None:
        self._listener.close()
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        while self.followers and not self.stopping.is_set():
            try:
                await self._ask(partial(self._listener.wait, LISTEN_SECONDS))
                while changes := await self._ask(self._look):
                    self._extend(changes[0], changes[1])
            except OUTAGES as error:
                log.warning("database does not answer", error=type(error).__name__)
                await asyncio.sleep(LISTEN_SECONDS)
        self.wake()

    def _extend(self, changes: Sequence[Change], end: int) -> None:
        self._window.extend(changes)
        self._positions.extend(change.position for change in changes)
        self._end = end
        if len(self._window) > 2 * WINDOW_MAX:
            dropped = len(self._window) - WINDOW_MAX
            self._base = self._positions[dropped - 1]
            del self._window[:dropped], self._positions[:dropped]
        self.wake()

    def _look(self) -> tuple[list[Change], int] | None:
        return self._page(self._end, self._rows)

    def _page(self, after: int, rows: Rows) -> tuple[list[Change], int] | None:
        found = self.parts.recorder.after(after, PAGE_MAX)
        if not found:
            return None
        return list(rows.changes(self.codec.decode(row, row.id) for row in found)), found[-1].id

    def _earlier(self, position: int, wanted: Wanted) -> tuple[list[Change], int]:
        """Return changes from before the window, read from history."""
        page = self._page(position, Rows(self._history))
        if page is None:
            return [], self._end
        return [change for change in page[0] if wanted(change)], page[1]

    def _history(self, stream: str) -> list[Recorded]:
        return [self.codec.decode(row, row.id) for row in self.parts.recorder.stream(stream)]

    async def _ask(self, question: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)
