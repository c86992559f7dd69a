"""Fewer, larger collections of cycles.

The engine keeps hundreds of thousands of immutable objects that form no cycles: states, events, rows. Counting
references frees them; with the interpreter's defaults a third of the time goes into looking for cycles among them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG_OBJECTS_MAX = 50_000
YOUNG_COLLECTIONS_MAX = 20
MIDDLE_COLLECTIONS_MAX = 100


def collect_seldom() -> None:
    """Collect cyclic garbage less often, in a process that runs the engine."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_COLLECTIONS_MAX, MIDDLE_COLLECTIONS_MAX)


@contextmanager
def not_collecting() -> Iterator[None]:
    """While modules are imported: what they make stays, and a quarter of the time would go into looking through it."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()
