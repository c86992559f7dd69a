"""A process that is asked to end does so within its grace, whatever does not answer meanwhile.

Invariant: whatever is cut short here is what a crash cuts short: positions are saved with their effects or not at all.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

GRACE_SECONDS = 20.0
"""From SIGTERM on; less than what supervisors wait by default before they kill (30 s)."""
CLOSE_SECONDS_MAX = 6.0
"""For all clients together."""

log = structlog.get_logger(__name__)


def close_together(closing: Sequence[Callable[[], None]], seconds: float = CLOSE_SECONDS_MAX) -> int:
    """Each in a thread of its own, all within the same time; how many did not come to an end."""
    threads = [threading.Thread(target=close, daemon=True) for close in closing]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = sum(thread.is_alive() for thread in threads)
    if late:
        log.warning("clients did not close in time", clients=late, seconds=seconds)
    return late


@contextmanager
def ending_within(
    stopping: threading.Event, seconds: float = GRACE_SECONDS, end: Callable[[int], object] = os._exit
) -> Iterator[None]:
    """End the process if the context is still running so many seconds after `stopping` was set."""
    ended = threading.Event()

    def watch() -> None:
        while not stopping.wait(1.0):
            if ended.is_set():
                return
        if not ended.wait(seconds):
            log.critical("not at an end within the grace: left as it is, nothing is lost", seconds=seconds)
            end(0)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
