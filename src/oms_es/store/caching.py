"""What a process remembers so that it need not ask the database again, bounded in bytes.

Invariant: by the estimate, what the caches of a budget hold fits into it; what was used longest ago goes first, from
the cache that holds most.

The estimate: of the entries that are put in, every WEIGHED_EVERY-th is weighed, with all that it refers to except what
the program itself holds, such as classes; the mean of those weighed, newer ones counting more, is taken for each.
"""

from __future__ import annotations

import gc
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import Enum
from itertools import islice
from threading import Lock
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Generic, NamedTuple, TypeVar

from oms_es.store.encoding.shared_names import Names

CACHE_BYTES_MAX = 384 * 1024 * 1024
"""Of one process, where nothing else is said."""
WEIGHED_EVERY = 64
WEIGHED_OBJECTS_MAX = 20_000
"""Of one entry, at which weighing ends: more is taken for so much."""
NEWER = 0.1
"""How much one entry that is weighed counts for the mean."""
OF_THE_PROGRAM = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, Enum, Names)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shares(NamedTuple):
    """Of the bytes of a process: states of streams, rows of read models, decoded events."""

    states: int
    rows: Budget
    events: int

    @classmethod
    def of(cls, bytes_max: int) -> Shares:
        """Events have the most: a reader that falls out of their window has each of them decoded again."""
        part = 3 * bytes_max // 16
        return cls(part, Budget(part), bytes_max - 2 * part)


class Scale:
    """The mean weight of entries of one kind."""

    def __init__(self) -> None:
        self.mean = 0.0
        self._noted = 0

    def note(self, count: int, entries: Iterable[Any]) -> None:
        """Count an entry, and weigh every 64th one."""
        first = -self._noted % WEIGHED_EVERY
        self._noted += count
        for entry in islice(entries, first, None, WEIGHED_EVERY):
            weight = weight_of(entry)
            self.mean = self.mean + NEWER * (weight - self.mean) if self.mean else float(weight)


def weight_of(entry: Any) -> int:
    """The size of an object in bytes, including everything that it refers to."""
    seen: set[int] = set()
    found, weight = [entry], 0
    while found and len(seen) < WEIGHED_OBJECTS_MAX:
        one = found.pop()
        if id(one) in seen or isinstance(one, OF_THE_PROGRAM):
            continue
        seen.add(id(one))
        weight += sys.getsizeof(one)
        found += gc.get_referents(one)
    return weight


class Budget:
    """Shared by caches, which may be used in several threads."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.lock = Lock()
        self.caches: list[Cache[Any, Any]] = []

    def trim(self) -> None:
        """Evict entries until the budget holds. Never called while a decision uses the cache."""
        with self.lock:
            while (excess := self.estimated_bytes - self.bytes_max) > 0:
                largest = max(self.caches, key=lambda cache: cache.estimated_bytes)
                largest.drop_oldest(int(excess / largest.scale.mean) + 1)

    @property
    def estimated_bytes(self) -> float:
        return sum([cache.estimated_bytes for cache in self.caches])


class Cache(Generic[K, V]):
    """One kind of entry. `forgotten` is called with what has to go."""

    def __init__(self, budget: Budget, forgotten: Callable[[K], object] = lambda _key: None) -> None:
        self.budget = budget
        self.forgotten = forgotten
        self.scale = Scale()
        self._entries: OrderedDict[K, V] = OrderedDict()
        budget.caches.append(self)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    @property
    def estimated_bytes(self) -> float:
        return self.scale.mean * len(self._entries)

    def found(self, keys: Iterable[K]) -> dict[K, V]:
        """The cached entries of these keys; they become the most recently used."""
        with self.budget.lock:
            entries = self._entries
            there = {key: entries[key] for key in keys if key in entries}
            for key in there:
                entries.move_to_end(key)
            return there

    def put(self, entries: Mapping[K, V]) -> None:
        """Add entries, then trim the budget."""
        with self.budget.lock:
            for key, value in entries.items():
                self._entries[key] = value
                self._entries.move_to_end(key)
            self.scale.note(len(entries), entries.items())

    def drop(self, keys: Iterable[K]) -> None:
        with self.budget.lock:
            for key in keys:
                self._entries.pop(key, None)

    def clear(self) -> None:
        with self.budget.lock:
            self._entries.clear()

    def drop_oldest(self, count: int) -> None:
        """The budget's lock is held."""
        for _ in range(min(count, len(self._entries))):
            key, _ = self._entries.popitem(last=False)
            self.forgotten(key)
