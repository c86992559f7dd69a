"""One projection's rows: loaded, folded and written back a batch at a time.

Invariant: a batch's rows and the projection's position are committed together; therefore the rows that a worker
remembers are the rows in the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.processing.read_models.folding import fold_touches, touched_keys, touches
from oms_es.processing.read_models.rows import Rows
from oms_es.store.caching import CACHE_BYTES_MAX, Budget, Cache, Shares
from oms_es.store.draft import Overtaken
from oms_es.store.recorder import (
    Advance,
)

MAY_BE_THERE: Row = {}
"""Stands for a row that was not looked for."""


class ReadModel:
    """One projection's rows. `published`: the relay publishes every row that changes. `budget`: what those that it
    remembers may take, together with others that have the same.

    On several workers, rows that events of more than one stream change are changed by one worker at a time, and are
    never remembered: another worker may have changed them since.
    """

    def __init__(
        self,
        projection: Projection,
        rows: Rows,
        budget: Budget | None = None,
        *,
        alone: bool = True,
        published: bool = False,
    ) -> None:
        self.projection = projection
        self.rows = rows
        self.contended = projection.shared and not alone
        self.published = published
        self._cache: Cache[Key, Row | None] = Cache(budget or Shares.of(CACHE_BYTES_MAX).rows)

    def apply(self, batch: Sequence[Recorded], advance: Advance) -> None:
        """Raises PositionLost if another worker has this projection now; then nothing was written."""
        try:
            with self.rows.writing() as transaction:
                if self.contended and batch:
                    self.rows.lock(transaction)
                written = self._write(transaction, batch)
                if self.published and written:
                    self.rows.mark(transaction, written, advance.position)
                self.rows.advance(transaction, advance)
        except BaseException:
            self._cache.clear()
            raise
        self.remember(written)

    def staged(self) -> Staged:
        """Rows that are folded in memory and written within the caller's transaction."""
        return Staged(self)

    def known(self, keys: Mapping[Key, bool], transaction: Any = None) -> dict[Key, Row | None]:
        """The current rows of those keys that must be known, and of others that are remembered; None for keys without
        a row. Of an insert-only read model, none."""
        if self.projection.insert_only:
            return {}
        rows = self._cache.found(keys)
        missing = [key for key, must in keys.items() if (must or self.contended) and key not in rows]
        if missing:
            rows.update(dict.fromkeys(missing))
            rows.update(self.rows.load(transaction, missing))
        return rows

    def remember(self, rows: Mapping[Key, Row | None]) -> None:
        """Put rows into the cache after the caller has written them."""
        if not self.projection.insert_only and not self.contended:
            self._cache.put(rows)
            self._cache.budget.trim()

    def save(self, advance: Advance) -> None:
        """Move the position past what changes no row. Raises PositionLost."""
        try:
            self.rows.save(advance)
        except BaseException:
            self._cache.clear()
            raise

    def forget(self) -> None:
        """Drop the cache: the table may have been changed by another process."""
        self._cache.clear()

    def position(self, name: str) -> int:
        return self.rows.position(name)

    def _write(self, transaction: Any, batch: Sequence[Recorded]) -> dict[Key, Row | None]:
        to_touch = touches(self.projection, batch)
        before = self.known(touched_keys(to_touch), transaction)
        rows = dict(before)
        fold_touches(rows, to_touch)
        new = [row for key, row in rows.items() if row is not None and before.get(key) is None]
        kept = [row for key, row in rows.items() if row is not None and before.get(key) is not None]
        gone = gone_of(before, rows)
        if new or kept or gone:
            self.rows.write(transaction, new, kept, gone)
        return rows


def gone_of(before: Mapping[Key, Row | None], after: Mapping[Key, Row | None]) -> Sequence[Key]:
    """The keys of the rows that are not there afterwards, and were or may have been."""
    return [key for key, row in after.items() if row is None and before.get(key, MAY_BE_THERE) is not None]


class Staged:
    """One read model's rows as they will be, where it is not known yet whether they will ever be."""

    def __init__(self, model: ReadModel) -> None:
        self.model = model
        self.rows: dict[Key, Row | None] = {}
        self._known: dict[Key, Row | None] = {}  # as they were
        self._key_columns = [str(column.name) for column in model.projection.table.primary_key]

    def key_of(self, row: Row) -> Key:
        return tuple(row[name] for name in self._key_columns)

    def fold(self, batch: Sequence[Recorded]) -> None:
        to_touch = touches(self.model.projection, batch)
        new = {key: must for key, must in touched_keys(to_touch).items() if key not in self.rows}
        if new:
            known = self.model.known(new)
            self.rows.update(known)
            self._known.update(known)
        fold_touches(self.rows, to_touch)

    def hold(self, transaction: Any) -> None:
        """Lock rows that several workers change until the transaction ends. Raises Overtaken."""
        if not self.model.contended or not self._known:
            return
        now = self.model.rows.locked(transaction, list(self._known))
        if any(now.get(key) != row for key, row in self._known.items()):
            raise Overtaken(f"another worker has changed rows of {self.model.projection.name}")

    def changes(self, position: int) -> Sequence[Any]:
        """`position`: as of which they are, for the relay."""
        rows = self.model.rows
        kept = [row for row in self.rows.values() if row is not None]
        gone = gone_of(self._known, self.rows)
        marks = rows.marks(self.rows, position) if self.model.published and self.rows else ()
        return [*rows.changes(kept, gone), *marks]
