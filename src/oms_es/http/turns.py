"""Few at a time: for requests that hold much while they are answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from oms_es.processing.committer import Busy


@contextmanager
def turn(of: threading.Semaphore, what: str, seconds_max: float = 0.0) -> Iterator[None]:
    """One of few at a time. Raises Busy."""
    if not of.acquire(timeout=seconds_max):
        raise Busy(f"{what}; ask again in a moment")
    try:
        yield
    finally:
        of.release()
