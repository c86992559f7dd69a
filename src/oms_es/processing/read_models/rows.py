"""A read model's rows in PostgreSQL: loaded, written and marked a batch at a time.

Invariant: the position moves only from where this worker left it, in the generation of rows that it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, Protocol
from zlib import crc32

import psycopg
from psycopg.errors import UniqueViolation
from pydantic_core import to_json
from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    column,
    delete,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSON, insert
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql.selectable import TableValuedAlias

from oms_es.kernel import Key, Projection, Row
from oms_es.processing.read_models.connections import Connected, Connections
from oms_es.processing.read_models.copying import Copying
from oms_es.store.outbox import MARK_ALL_DIRTY, MARK_DIRTY, changes, key_text
from oms_es.store.recorder import (
    ADVANCE_FIRST,
    APPEND_LOCK,
    MOVE,
    MOVED,
    NO_WAIT_FOR_THE_DISK,
    PASS_FIRST,
    TRACKING,
    Advance,
    Change,
    check_moved,
    idle_is_an_outage,
)

ADVANCE = f"{MOVE} AND generation = %(generation)s{MOVED}"

PASS = ADVANCE + NO_WAIT_FOR_THE_DISK


POSITION = f"SELECT notification_id, generation FROM {TRACKING} WHERE application_name = %s"

COPIED_MIN = 50
"""New rows that are copied: of fewer, the statements around it cost more."""

HOLD = "SELECT pg_advisory_xact_lock(%s)"


def create_indexes(projection: Projection) -> list[bytes]:
    """The statements that make the indexes of its table that are missing."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's dialects have no types
    indexes = sorted(projection.table.indexes, key=_name)
    return [str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect)).encode() for index in indexes]


def _name(index: Any) -> str:
    return str(index.name)


def lock_of(table: str) -> int:
    """The advisory lock of a read model's rows."""
    return APPEND_LOCK << 32 | crc32(table.encode())


class Rows(Protocol):
    """Where one read model's rows are: a table, or a simulation of one.

    `transaction` is what `writing` gives: all that is done with it is committed together, or not at all.
    """

    def writing(self) -> AbstractContextManager[Any]: ...

    def lock(self, transaction: Any) -> None: ...

    def load(self, transaction: Any, keys: Sequence[Key]) -> Mapping[Key, Row]:
        """The rows that exist; without a transaction, in their current state."""

    def write(self, transaction: Any, new: Sequence[Row], kept: Sequence[Row], gone: Sequence[Key]) -> None:
        """`new`: rows that are not there, as far as is known."""

    def changes(self, kept: Sequence[Row], gone: Sequence[Key]) -> Sequence[Any]:
        """The same, for a transaction of the recorder's, which takes changes of several tables at once."""

    def locked(self, transaction: Any, keys: Sequence[Key]) -> Mapping[Key, Row]:
        """Return the rows that exist, in a transaction of the recorder's; no one else changes them until it ends."""

    def marks(self, keys: Iterable[Key], position: int) -> Sequence[Any]:
        """To mark rows that changed, as changes of a transaction of the recorder's."""

    def generation(self, name: str) -> int:
        """Return the generation of the rows when the position of this name was read."""

    def mark(self, transaction: Any, keys: Iterable[Key], position: int) -> None: ...

    def advance(self, transaction: Any, advance: Advance) -> None: ...

    def save(self, advance: Advance) -> None: ...

    def position(self, name: str) -> int: ...


class SqlRows:
    def __init__(self, table: Table, connections: Connections) -> None:
        self.table = table
        self.connections = connections
        self.columns = [str(c.name) for c in table.columns]  # SQLAlchemy's own names are slow to write as JSON
        self.key_columns = [str(c.name) for c in table.primary_key]
        self.generations: dict[str, int] = {}  # of the rows, by the position that was asked for: a rebuild begins one

    # statements are made when they are needed: of many tables, they are a third of a second

    @cached_property
    def copying(self) -> Copying:
        return Copying(self.table, self.columns)

    @cached_property
    def _put(self) -> str:
        return written(_upsert(self.table))

    @cached_property
    def _drop(self) -> str:
        return written(_delete_keys(self.table))

    @cached_property
    def _find(self) -> str:
        return written(_select_keys(self.table))

    @contextmanager
    def writing(self) -> Iterator[Connected]:
        with idle_is_an_outage(), self.connections.one() as connection, connection.transaction():
            yield connection

    def lock(self, connection: Connected) -> None:
        """Lock these rows until the transaction ends."""
        connection.execute(HOLD, [lock_of(self.table.name)], prepare=True)

    def load(self, connection: Connected | None, keys: Sequence[Key]) -> Mapping[Key, Row]:
        if connection is None:
            with self.connections.one() as one_statement:
                return self.found(one_statement, keys)
        return self.found(connection, keys)

    def write(self, connection: Connected, new: Sequence[Row], kept: Sequence[Row], gone: Sequence[Key]) -> None:
        if len(new) < COPIED_MIN or not self._copied(connection, new):
            kept = [*new, *kept]
        for change in self.changes(kept, gone):
            connection.execute(change.statement.encode(), {"rows": change.rows}, prepare=True)

    def _copied(self, connection: Connected, rows: Sequence[Row]) -> bool:
        """Return False if one of them is there already; then none is copied."""
        try:
            with connection.transaction():
                self.copying.copy_in(connection, rows)
        except UniqueViolation:
            return False
        return True

    def found(self, connection: psycopg.Connection[dict[str, Any]], keys: Sequence[Key]) -> Mapping[Key, Row]:
        """Those that are there."""
        rows = connection.execute(self._find.encode(), self._named(keys), prepare=True)
        return {tuple(row[name] for name in self.key_columns): row for row in rows}

    def taken_out(self, connection: psycopg.Connection[dict[str, Any]], keys: Sequence[Key]) -> Mapping[Key, Row]:
        """Those that are there, which are there no longer."""
        columns = ", ".join(f"{self.table.name}.{name}" for name in self.columns)
        rows = connection.execute(f"{self._drop} RETURNING {columns}".encode(), self._named(keys))
        return {tuple(row[name] for name in self.key_columns): row for row in rows}

    def changes(self, kept: Sequence[Row], gone: Sequence[Key]) -> Sequence[Change]:
        found = [Change(self._put, to_json(kept).decode())] if kept else []
        return [*found, Change(self._drop, self._named(gone)["rows"])] if gone else found

    def locked(self, curs: psycopg.Cursor[Any], keys: Sequence[Key]) -> Mapping[Key, Row]:
        curs.execute(HOLD, [lock_of(self.table.name)], prepare=True)
        curs.execute(self._find.encode(), self._named(keys), prepare=True)
        return {tuple(row[name] for name in self.key_columns): row for row in curs}

    def marks(self, keys: Iterable[Key], position: int) -> Sequence[Change]:
        rows = [{"projection": self.table.name, "position": position, "key": key_text(key)} for key in keys]
        return [Change(MARK_ALL_DIRTY, to_json(rows).decode())]

    def generation(self, name: str) -> int:
        return self.generations.get(name, 0)

    def mark(self, connection: Connected, keys: Iterable[Key], position: int) -> None:
        """Mark rows that changed, for the relay to publish."""
        connection.execute(MARK_DIRTY, changes(self.table.name, keys, position), prepare=True)

    def advance(self, connection: Connected, advance: Advance) -> None:
        statement = ADVANCE if advance.previous else ADVANCE_FIRST
        check_moved(connection.execute(statement, self._known(advance), prepare=True).fetchone(), advance)

    def save(self, advance: Advance) -> None:
        """Move a position while no row changes."""
        statement = PASS if advance.previous else PASS_FIRST
        with self.connections.one() as connection:
            check_moved(connection.execute(statement, self._known(advance), prepare=True).fetchone(), advance)

    def position(self, name: str) -> int:
        with self.connections.one() as connection:
            found = connection.execute(POSITION, [name], prepare=True).fetchone()
        position, self.generations[name] = (found["notification_id"], found["generation"]) if found else (0, 0)
        return position

    def _known(self, advance: Advance) -> dict[str, Any]:
        return {**advance._asdict(), "generation": self.generation(advance.name)}

    def _named(self, keys: Sequence[Key]) -> dict[str, str]:
        return {"rows": to_json([dict(zip(self.key_columns, key, strict=True)) for key in keys]).decode()}


def _given(table: Table) -> TableValuedAlias:
    """Rows given as one JSON document: a single round trip and a single plan, however many rows, and a sixth of the
    client's time of typed arrays."""
    columns = [column(c.name, c.type) for c in table.columns]
    of_the_table: ColumnElement[Any] = literal_column(f"NULL::{table.name}")
    return func.json_populate_recordset(of_the_table, cast(bindparam("rows", type_=Text), JSON)).table_valued(
        *columns, name="given"
    )


def _select_keys(table: Table) -> Select[Any]:
    given = _given(table)
    return select(table).join(given, and_(true(), *[c == given.c[c.name] for c in table.primary_key]))


def _upsert(table: Table) -> Any:
    given = _given(table)
    statement = insert(table).from_select([c.name for c in table.columns], select(*given.c))
    changed = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
    keys = [c.name for c in table.primary_key]
    if not changed:
        return statement.on_conflict_do_nothing(index_elements=keys)
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


def _delete_keys(table: Table) -> Any:
    given = _given(table)
    return delete(table).where(and_(true(), *[c == given.c[c.name] for c in table.primary_key]))


def written(statement: Any) -> str:
    """Return the statement as text: SQLAlchemy writes it and the driver executes it, in a fifth of the time."""
    dialect = psycopg_dialect.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's dialects have no types
    return str(statement.compile(dialect=dialect))
