"""A limit on how many requests do the same at once, for requests that hold much memory or time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from oms_es.processing.committer import Busy


@contextmanager
def turn(of: threading.Semaphore, what: str, seconds_max: float = 0.0) -> Iterator[None]:
    """Hold one of the semaphore's turns within the context. Raise Busy after `seconds_max` without one."""
    if not of.acquire(timeout=seconds_max):
        raise Busy(f"{what}; ask again in a moment")
    try:
        yield
    finally:
        of.release()
