"""The log as a transport: readers follow the store's own notification log, and are woken when it grows.

Invariant: a reader sees every event once per pass, in the order of positions, and none before it is committed.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Sequence
from threading import Lock
from typing import Protocol

import psycopg

from oms_es.kernel import Recorded
from oms_es.runtime.codec import Codec
from oms_es.runtime.recorder import EVENTS, Recording

READ_MAX = 2_000
"""Events per read: reading 500 at a time costs a quarter more, 10 at a time six times as much."""
WINDOW_MAX = 20_000
"""Decoded events kept for the readers of this process that stand near the end of the log."""


class Feed(Protocol):
    """Where recorded events come from, in the order of their positions: the log itself, or a partition of a topic."""

    @property
    def suffix(self) -> str:
        """What tells a position in this feed from those in others."""

    def read(self, after: int, limit: int) -> Sequence[Recorded]: ...

    def offer(self, recorded: Sequence[Recorded]) -> None:
        """What this process has just appended."""


class Unread:
    """A feed for whoever only appends, where nobody reads in the same process."""

    suffix = ""

    def read(self, _after: int, _limit: int) -> Sequence[Recorded]:
        return ()

    def offer(self, recorded: Sequence[Recorded]) -> None:
        """They come back by way of the topics."""


class Log:
    """One window of decoded events for all readers of a process, in whichever thread; who is behind it reads for
    himself."""

    suffix = ""

    def __init__(self, recorder: Recording, codec: Codec) -> None:
        self.recorder = recorder
        self.codec = codec
        self._window: list[Recorded] = []
        self._positions: list[int] = []
        self._base = self._end = 0  # the window holds everything after `_base` up to `_end`
        self._changing = Lock()

    def start_at(self, position: int) -> None:
        """Keep nothing up to here: whoever stands further back reads for himself until he has caught up."""
        self._window, self._positions = [], []
        self._base = self._end = position

    @property
    def end(self) -> int:
        """The newest position that this process has seen."""
        return self._end

    def read(self, after: int, limit: int = READ_MAX) -> Sequence[Recorded]:
        with self._changing:
            if after >= self._base:
                first = bisect_right(self._positions, after)
                return self._window[first : first + limit]
        return self._select(after, min(limit, READ_MAX))

    def look(self) -> None:
        """See whether anybody has appended; once per turn of the loop is enough for all its readers."""
        self._extend(self._select(self._end, READ_MAX))

    def offer(self, recorded: Sequence[Recorded]) -> None:
        """What this process has just appended need not be read back, if nothing of others lies between."""
        if recorded and recorded[0].position == self._end + 1:
            self._extend(recorded)

    def _extend(self, recorded: Sequence[Recorded]) -> None:
        if not recorded:
            return
        with self._changing:
            self._window.extend(recorded)
            self._positions.extend(r.position for r in recorded)
            self._end = self._positions[-1]
            if len(self._window) > 2 * WINDOW_MAX:
                dropped = len(self._window) - WINDOW_MAX
                self._base = self._positions[dropped - 1]
                del self._window[:dropped], self._positions[:dropped]

    def _select(self, after: int, limit: int) -> list[Recorded]:
        return [self.codec.decode(row, row.id) for row in self.recorder.after(after, limit)]


class Bell:
    """Rings when something was appended anywhere. It may miss a ring: whoever waits also looks from time to time."""

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
            rang = bool(list(self._connection.notifies(timeout=seconds, stop_after=1)))
            for _ in self._connection.notifies(timeout=0):  # rings that piled up meanwhile are one ring
                pass
        except psycopg.OperationalError:
            self.close()
            raise
        return rang

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
