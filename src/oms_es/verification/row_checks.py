"""Is every row of every read model the one that folding history gives, as far as the read model has come?

Rows whose key has a position in it are of one event each: they are read in the order of history and compared as it goes
by, so that none of them is held. Of the others the newest state is held until the end, in memory as long as they fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from oms_es.kafka.groups.watermark import Progress
from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.processing.bulk.overflow import Overflow, Overflowing
from oms_es.processing.read_models.folding import fold
from oms_es.schemas.values.currency import to_text
from oms_es.verification.check import Check

READ_MAX = 2_000
"""Rows fetched at a time."""
POSITION = "position"

Connection = psycopg.Connection[dict[str, Any]]


class RowsOfHistory:
    """The rows of all read models, in one pass of history."""

    def __init__(
        self, connection: Connection, projections: Sequence[Projection], progress: Progress, overflow: Overflow
    ) -> None:
        """`overflow`: is trimmed where it came from."""
        self.progress = progress
        self.models = [
            Passing(connection, one) if POSITION in _keys(one) else Held(connection, one, overflow)
            for one in projections
        ]
        self._interested: dict[type[Event], list[int]] = {}
        for number, projection in enumerate(projections):
            for event in projection.folds:
                self._interested.setdefault(event, []).append(number)

    @property
    def types(self) -> set[str]:
        """Return the names of the events from which the read models are folded."""
        return {event.__name__ for event in self._interested}

    def fold(self, page: Sequence[Recorded]) -> None:
        batches: list[list[Recorded]] = [[] for _ in self.models]
        interested = self._interested
        for recorded in page:
            for number in interested.get(type(recorded.event), ()):
                batches[number].append(recorded)
        for model, batch in zip(self.models, batches, strict=True):
            if batch:
                model.fold(self._taken(model.projection.name, batch))

    def _taken(self, name: str, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        if batch[-1].position <= self.progress.positions.get(name, 0):
            return batch
        return [recorded for recorded in batch if self.progress.has_taken(name, recorded.stream, recorded.position)]

    def checked(self) -> dict[str, Check]:
        """Return the checks by read model, once history is read."""
        return {model.projection.name: model.checked() for model in self.models}


class Held:
    def __init__(self, connection: Connection, projection: Projection, overflow: Overflow) -> None:
        self.connection, self.projection, self.overflow = connection, projection, overflow
        self.check = _check_of(projection)
        self.rows: Overflowing[Key, Row | None] = overflow.mapping()

    def fold(self, batch: Sequence[Recorded]) -> None:
        fold(self.projection, self.rows, batch)

    def checked(self) -> Check:
        expected, keys = self.rows, _keys(self.projection)
        for row in _rows(self.connection, self.projection):
            key = tuple(row[name] for name in keys)
            should = expected.pop(key, None)
            self.check.expect(row == should, partial(_difference, key, row, should))
        for key, _ in expected.entries():
            self.check.expect(False, partial(_difference, key, {}, None))
        self.overflow.drop(expected)
        return self.check


class Passing:
    """Both come in the order of positions; of one position, in that of keys."""

    def __init__(self, connection: Connection, projection: Projection) -> None:
        self.projection = projection
        self.check = _check_of(projection)
        self.keys = _keys(projection)
        self.stored = _rows(connection, projection, POSITION)
        self.next = next(self.stored, None)

    def fold(self, batch: Sequence[Recorded]) -> None:
        folded: dict[Key, Row | None] = {}
        fold(self.projection, folded, batch)
        if batch:
            self._compare(folded, batch[-1].position)

    def _compare(self, folded: dict[Key, Row | None], position: int | None) -> None:
        """Compare the folded rows with the stored ones up to this position."""
        while self.next is not None and (position is None or self.next[POSITION] <= position):
            row = self.next
            key = tuple(row[name] for name in self.keys)
            should = folded.pop(key, None)
            self.check.expect(row == should, partial(_difference, key, row, should))
            self.next = next(self.stored, None)
        for key in [key for key, row in folded.items() if row is not None]:
            self.check.expect(False, partial(_difference, key, {}, None))

    def checked(self) -> Check:
        self._compare({}, None)
        return self.check


def _check_of(projection: Projection) -> Check:
    return Check(f"{projection.name}: every row is the fold of history")


def _keys(projection: Projection) -> list[str]:
    return [str(column.name) for column in projection.table.primary_key]


def _rows(connection: Connection, projection: Projection, order: str | None = None) -> Iterator[Row]:
    query = SQL("SELECT * FROM {}").format(Identifier(projection.name))
    if order:
        query += SQL(" ORDER BY {}").format(Identifier(order))
    with connection.cursor(name=f"rows_of_{projection.name}") as curs:
        curs.itersize = READ_MAX
        curs.execute(query)
        yield from curs


def _difference(key: Key, row: Row, should: Row | None) -> str:
    if not row:
        return f"{_named(key)}: the row is missing"
    if should is None:
        return f"{_named(key)}: the row should not be there"
    wrong = [name for name in row if row[name] != should.get(name)]
    return f"{_named(key)}: " + ", ".join(
        f"{name} is {_shown(row, name)}, history says {_shown(should, name)}" for name in wrong
    )


def _shown(row: Row, name: str) -> str:
    """Money as people write it, wherever the row says its currency."""
    value, currency = row.get(name), row.get("currency")
    if name.endswith("_minor") and isinstance(value, int) and isinstance(currency, str):
        return to_text(value, currency)
    return repr(value)


def _named(key: Key) -> str:
    return "/".join(str(part) for part in key)
