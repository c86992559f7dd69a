"""Rows of a read model folded from much of history at once: in memory as long as they fit, then in the table beside.

Invariant: a row is in memory or in the table, never in both, so that everything that is written is copied in; what is
needed again is taken out of the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice
from time import perf_counter
from typing import Any

import psycopg
from psycopg.errors import UniqueViolation
from psycopg.sql import SQL, Identifier, Literal
from pydantic_core import to_json
from sqlalchemy import ARRAY
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Recorded, Row
from oms_es.processing.read_models.folding import touches
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.read_models.rows import SqlRows

COPIED_AT_ONCE = 5_000
"""Rows that nothing is folded into any more are copied as soon as there are so many."""
LINES_MAX = 2_000
"""Written to the connection at a time."""
NULL = "\x02"
"""What COPY is given that stands for it: with its own, a backslash, most lines would have a special character."""
SPECIAL = re.compile(r"[\\\n\r]")
ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t", NULL: r"\x02"})

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
        table = rows.table
        self._copy = SQL("COPY {} ({}) FROM STDIN WITH (NULL {})").format(
            Identifier(table.name), SQL(", ").join(map(Identifier, rows.columns)), Literal(NULL)
        )
        self._columns = [(str(column.name), _text_of(column.type)) for column in table.columns]

    def __len__(self) -> int:
        return len(self._rows)

    def fold(self, batch: Sequence[Recorded]) -> None:
        began = perf_counter()
        touched = touches(self.projection, batch)
        if self._some_are_written and not self.projection.insert_only:
            self._take_back({key for touch in touched for key in touch.keys if key not in self._rows})
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
                self._copy_in(written)
        except UniqueViolation:  # of a model that never loads a row: the later one stays, as everywhere
            for change in self.table_rows.changes(written, []):
                self.connection.execute(change.statement.encode(), {"rows": change.rows})

    def _copy_in(self, written: Sequence[Row]) -> None:
        columns = self._columns
        with self.connection.cursor() as curs, curs.copy(self._copy) as copy:
            for some in (written[i : i + LINES_MAX] for i in range(0, len(written), LINES_MAX)):
                lines = [
                    line_of([None if (value := row[name]) is None else text(value) for name, text in columns])
                    for row in some
                ]
                copy.write("\n".join(lines) + "\n")

    def _take_back(self, keys: set[Key]) -> None:
        if keys:
            self._rows.update(self.table_rows.taken_out(self.connection, list(keys)))


def line_of(texts: Sequence[str | None]) -> str:
    """In COPY's text format. Hardly any value has a character in it that stands for something there."""
    line = "\t".join([NULL if text is None else text for text in texts])
    if SPECIAL.search(line) or line.count("\t") >= len(texts) or line.count(NULL) != texts.count(None):
        return "\t".join([NULL if text is None else text.translate(ESCAPED) for text in texts])
    return line


def _text_of(kind: Any) -> Callable[[Any], str]:
    """How a value of a column is written, as PostgreSQL reads it."""
    if isinstance(kind, JSONB):
        return lambda value: to_json(value).decode()
    if isinstance(kind, ARRAY):
        return lambda values: "{" + ",".join(map(_quoted, values)) + "}"
    return str


def _quoted(value: Any) -> str:
    if value is None:
        return "NULL"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
