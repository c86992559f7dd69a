"""Which ids there were, however many: the latest in memory, the others sorted in a file.

Invariant: an id that was added is known from then on.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from tempfile import TemporaryFile

ID_BYTES = 16
IDS_HELD_MAX = 250_000
"""Of each of the two latest lots, in memory: nearly every cause is among them."""


class SeenIds:
    def __init__(self, held_max: int | None = None) -> None:
        self.held_max = held_max or IDS_HELD_MAX
        self._latest: set[bytes] = set()
        self._before: set[bytes] = set()
        self._lots: list[Lot] = []

    def add(self, one: bytes) -> None:
        self._latest.add(one)
        if len(self._latest) >= self.held_max:
            if self._before:
                self._lots.append(Lot(self._before))
            self._before, self._latest = self._latest, set()

    def __contains__(self, one: bytes) -> bool:
        return one in self._latest or one in self._before or any(one in lot for lot in reversed(self._lots))

    @property
    def held(self) -> int:
        """Return the number of ids in memory."""
        return len(self._latest) + len(self._before)


class Lot:
    """Ids, sorted, in a file that has no name."""

    def __init__(self, ids: set[bytes]) -> None:
        self.count = len(ids)
        with TemporaryFile(prefix="oms-es-ids-") as file:
            file.write(b"".join(sorted(ids)))
            file.flush()
            self._ids = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __contains__(self, one: bytes) -> bool:
        at = bisect_left(self, one)
        return at < self.count and self[at] == one

    def __getitem__(self, number: int) -> bytes:
        return self._ids[number * ID_BYTES : (number + 1) * ID_BYTES]

    def __len__(self) -> int:
        return self.count
