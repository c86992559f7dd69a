"""Work of which each process does a share: this one the first, others the rest.

Invariant: every share is done once. What goes wrong in one of them ends all of them, and is raised here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from oms_es.processing.garbage import collect_seldom
from oms_es.store.archive.files import ARCHIVE
from oms_es.store.privacy.wrapping import KEYRING

LOOK_SECONDS = 0.2
EVENTS_PER_PROCESS_MIN = 50_000
"""Below, a process takes longer to start than to read."""

ENDED = 2**63 - 1
"""Past every position."""

Share = TypeVar("Share")
Result = TypeVar("Result")
Reached = Callable[[int], None]
"""Is called with the position that a share has come to."""
Work = Callable[[Share, Reached], Result]
"""A function of a module, which a process that was started finds by its name."""


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worth_starting(processes: int, events: int) -> int:
    """Return how many processes have enough work to be worth their start."""
    return max(1, min(processes, events // EVENTS_PER_PROCESS_MIN))


def shared_by_work(work: Mapping[str, int], count: int) -> list[list[str]]:
    """The most work first, each to the process that has the least; none has nothing to do."""
    shares: list[list[str]] = [[] for _ in range(min(count, len(work)))]
    for name in sorted(work, key=lambda one: -work[one]):
        min(shares, key=lambda share: sum(work[one] for one in share)).append(name)
    return shares


def shared_out(work: Work[Share, Result], shares: Sequence[Share], reached: Reached) -> list[Result]:
    """Return the result of each share, in their order. `reached` is called with the position that all have reached."""
    first, *others = shares
    if not others:
        return [work(first, reached)]
    started = get_context("spawn")
    counters: Any = started.RawArray("q", len(shares))  # without a lock, which a killed process would keep
    before = set(active_children())
    try:
        pool = ProcessPoolExecutor(
            len(others), started, initializer=_begin, initargs=(counters, KEYRING.held(), ARCHIVE.folder)
        )
    except (OSError, ImportError, NotImplementedError):  # no semaphores are to be had, as where /dev/shm is missing
        return [work(share, reached) for share in shares]
    with pool:
        try:
            futures = [pool.submit(_work, work, share, number) for number, share in enumerate(others, 1)]
            return _done_beside(futures, work, first, counters, reached)
        except BaseException:
            for process in set(active_children()) - before:
                process.terminate()
            raise


def _done_beside(
    futures: Sequence[Future[Result]], work: Work[Share, Result], first: Share, counters: Any, reached: Reached
) -> list[Result]:
    def look(position: int) -> None:
        counters[0] = position
        for future in futures:
            if future.done():
                future.result()  # what went wrong
        if (slowest := min(counters)) < ENDED:
            reached(slowest)

    done = [work(first, look)]
    look(ENDED)
    while wait(futures, LOOK_SECONDS).not_done:
        look(ENDED)
    return [*done, *(future.result() for future in futures)]


_counters: Any = ()
"""In a process that was started: how far each of them is."""


def _begin(counters: Any, data_keys: Sequence[bytes], archive: Path | None) -> None:
    global _counters  # noqa: PLW0603 - what a pool gives its processes comes by way of their modules
    _counters = counters
    KEYRING.hold(data_keys)
    ARCHIVE.set_up(archive)
    collect_seldom()
    Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """A parent that was killed ends none of its processes, and no one waits for what they do."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _work(work: Work[Share, Result], share: Share, number: int) -> Result:
    def reached(position: int) -> None:
        _counters[number] = position

    done = work(share, reached)
    reached(ENDED)
    return done
