"""Rows of a read model folded from much of history at once: in memory as long as they fit, then in the table beside.

Invariant: a row is in memory or in the table, never in both, so that everything that is written is copied in; what is
needed again is taken out of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from time import perf_counter
from typing import Any

import psycopg
from psycopg.errors import UniqueViolation

from oms_es.kernel import Key, Recorded, Row
from oms_es.processing.read_models.folding import touches
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.read_models.rows import SqlRows

COPIED_AT_ONCE = 5_000
"""Rows that nothing is folded into any more are copied as soon as there are so many."""

Connection = psycopg.Connection[dict[str, Any]]


class StagedRows:
    """`model`: of the table beside, which no one else reads or writes. `begun`: some rows are in it already."""

    def __init__(self, model: ReadModel, rows: SqlRows, connection: Connection, *, begun: bool = False) -> None:
        self.projection = model.projection
        self.table_rows = rows
        self.connection = connection
        self.events = 0
        self.seconds = 0.0
        self._rows: dict[Key, Row | None] = {}
        self._some_are_written = begun

    def __len__(self) -> int:
        return len(self._rows)

    def fold(self, batch: Sequence[Recorded]) -> None:
        began = perf_counter()
        touched = touches(self.projection, batch)
        if self._some_are_written and not self.projection.insert_only:
            self._take_back({key for _, _, keys in touched for key in keys if key not in self._rows})
        rows = self._rows
        for fold, recorded, keys in touched:
            project = fold.project
            for key in keys:
                rows[key] = project(rows.pop(key, None), recorded, key)  # the newest is the last
        self.events += len(batch)
        if self.projection.insert_only and len(rows) >= COPIED_AT_ONCE:
            self.write(len(rows))
        self.seconds += perf_counter() - began

    def write(self, count: int) -> None:
        """So many of those that have not been touched for the longest."""
        oldest = list(islice(self._rows, count))
        written = [row for key in oldest if (row := self._rows.pop(key)) is not None]
        if not written:
            return
        self._some_are_written = True
        try:
            with self.connection.transaction():
                self.table_rows.copying.copy_in(self.connection, written)
        except UniqueViolation:  # of a model that never loads a row: the later one stays, as everywhere
            for change in self.table_rows.changes(written, []):
                self.connection.execute(change.statement.encode(), {"rows": change.rows})

    def _take_back(self, keys: set[Key]) -> None:
        if keys:
            self._rows.update(self.table_rows.taken_out(self.connection, list(keys)))
