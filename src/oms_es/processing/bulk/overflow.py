"""Entries of many mappings, of which no more are in memory than may be: the others are in a file.

Invariant: a mapping has the entry that was put into it last, wherever that is. What was not touched for longer goes
into the file first, and only when its owner says so: until then, what was taken out may be changed in place.

The file has no name, and is gone when the process ends.
"""

from __future__ import annotations

import copyreg
import pickle
import sqlite3
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, TypeVar

from rpds import Queue

ENTRIES_HELD_MAX = 500_000
"""In memory, of all mappings of a process together: 1 to 2.3 KB each. One that goes into the file and comes back costs
46 µs, of which all but a quarter is pickling."""
PAGES_KIB_MAX = 16 * 1024
"""Of the file, in memory."""

copyreg.pickle(Queue, lambda queue: (Queue, (list(queue),)))  # the library does so for all but this

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Overflow:
    """Of one reading of history."""

    def __init__(self, entries_held_max: int | None = None) -> None:
        self.entries_held_max = entries_held_max or ENTRIES_HELD_MAX
        self._mappings: list[Overflowing[Any, Any]] = []
        self._file: sqlite3.Connection | None = None

    def mapping(self, missing: Callable[[], V] | None = None) -> Overflowing[Any, V]:
        """`missing`: what is put there where a key is asked for that has no entry."""
        made: Overflowing[Any, V] = Overflowing(self, f"entries_{len(self._mappings)}", missing)
        self._mappings.append(made)
        return made

    def trim(self) -> None:
        """Move what exceeds the limit into the file. Values that were taken out before may not be changed in place
        afterwards."""
        while sum(map(_held, self._mappings)) > self.entries_held_max:
            max(self._mappings, key=_held).age()

    def drop(self, mapping: Overflowing[Any, Any]) -> None:
        """It is not asked again."""
        self._mappings = [one for one in self._mappings if one is not mapping]

    @property
    def file(self) -> sqlite3.Connection:
        if self._file is None:
            self._file = sqlite3.connect("", isolation_level=None)
            for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{PAGES_KIB_MAX}"):
                self._file.execute(f"PRAGMA {setting}")
        return self._file


class Overflowing(dict[K, V], Generic[K, V]):
    """The dict itself is what was touched since `age` was called last: finding that costs what it costs in any dict.
    What was touched since the time before is beside it. An entry of None is none. In the file, a key is what `repr`
    says of it."""

    def __init__(self, overflow: Overflow, table: str, missing: Callable[[], V] | None) -> None:
        super().__init__()
        self.missing = missing
        self.older: dict[K, V] = {}
        self._overflow, self._table, self._is_there = overflow, table, False

    def __missing__(self, key: K) -> V:
        found = self._elsewhere(key)
        if found is None:
            if self.missing is None:
                raise KeyError(key)
            found = self.missing()
        self[key] = found
        return found

    def get(self, key: K, default: Any = None) -> Any:
        if dict.__contains__(self, key):
            return self[key]
        found = self._elsewhere(key)
        if found is None:
            return default
        self[key] = found
        return found

    def __contains__(self, key: Any) -> bool:
        return self.get(key) is not None

    def pop(self, key: K, default: Any = None) -> Any:
        found = self.get(key)
        dict.pop(self, key, None)
        self.older.pop(key, None)
        if self._is_there:
            self._overflow.file.execute(f"DELETE FROM {self._table} WHERE key = ?", [repr(key)])
        return default if found is None else found

    def entries(self) -> Iterator[tuple[K, V]]:
        """All of them. Meanwhile, nothing is changed."""
        yield from ((key, entry) for key, entry in self._all() if entry is not None)

    def _all(self) -> Iterator[tuple[K, V]]:
        yield from dict.items(self)
        yield from ((key, entry) for key, entry in self.older.items() if not dict.__contains__(self, key))
        if self._is_there:
            held = {*map(repr, self), *map(repr, self.older)}
            for name, entry in self._overflow.file.execute(f"SELECT key, entry FROM {self._table}"):
                if name not in held:
                    yield pickle.loads(entry)  # noqa: S301 - of a file that no one else can open

    def age(self) -> None:
        """Move what was not touched since the last call into the file."""
        if self.older:
            file = self._overflow.file
            if not self._is_there:  # an index that had the entries in it would take twice as long
                file.execute(f"CREATE TABLE {self._table} (key TEXT PRIMARY KEY, entry BLOB)")
                self._is_there = True
            rows = sorted((repr(one[0]), pickle.dumps(one, pickle.HIGHEST_PROTOCOL)) for one in self.older.items())
            file.execute("BEGIN")
            file.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?)", rows)
            file.execute("COMMIT")
        self.older = dict(dict.items(self))
        self.clear()

    def _elsewhere(self, key: K) -> V | None:
        if key in self.older:
            found = self.older[key]
            if found is not None:  # None stays, lest the file's entry of before be found the next time
                del self.older[key]
            return found
        if not self._is_there:
            return None
        row = self._overflow.file.execute(f"SELECT entry FROM {self._table} WHERE key = ?", [repr(key)]).fetchone()
        return pickle.loads(row[0])[1] if row else None  # noqa: S301 - as above


def _held(mapping: Overflowing[Any, Any]) -> int:
    return len(mapping) + len(mapping.older)
