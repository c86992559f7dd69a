"""Read models in PostgreSQL: rows are loaded, folded and written back a batch at a time.

Invariant: a batch's rows and the projection's position are committed together, and the position moves only from where
this worker left it, in the generation of rows that it knows; therefore the rows it remembers are the rows in the table.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from typing import Any, NamedTuple, Protocol
from zlib import crc32

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import set_json_loads
from pydantic_core import from_json, to_json
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    column,
    create_engine,
    delete,
    func,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSON, insert
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql.selectable import TableValuedAlias

from oms_es.kernel import Fold, Key, Lookup, LookupResults, Projection, Recorded, Row
from oms_es.store.outbox import MARK_DIRTY, changes
from oms_es.store.recorder import (
    ADVANCE_FIRST,
    APPEND_LOCK,
    IDLE_SECONDS_MAX,
    IN_UTC,
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

ROWS_CACHED_MAX = 50_000
"""Rows remembered per projection."""
ADVANCE = f"{MOVE} AND generation = %(generation)s{MOVED}"
PASS = ADVANCE + NO_WAIT_FOR_THE_DISK


def read_model_engine(database_url: str) -> Engine:
    options = conninfo_to_dict(database_url).get("options") or ""
    options = f"{options} -c idle_in_transaction_session_timeout={int(IDLE_SECONDS_MAX)}s {IN_UTC}".strip()

    def connected() -> psycopg.Connection[Any]:
        connection = psycopg.connect(database_url, options=options)
        set_json_loads(from_json, connection)  # SQLAlchemy's own setting does not reach connections that we make
        return connection

    return create_engine("postgresql+psycopg://", creator=connected, pool_size=4, hide_parameters=True)


def create_indexes(projection: Projection) -> list[bytes]:
    """The statements that make the indexes of its table that are missing."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's dialects have no types
    indexes = sorted(projection.table.indexes, key=_name)
    return [str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect)).encode() for index in indexes]


def _name(index: Any) -> str:
    return str(index.name)


def fold(projection: Projection, rows: dict[Key, Row | None], batch: Iterable[Recorded]) -> None:
    """Fold the events into `rows`, which holds every row they touch, or None where there is none."""
    fold_touches(rows, touches(projection, batch))


def folded(projection: Projection, history: Iterable[Recorded]) -> dict[Key, Row]:
    """The rows that a whole history leaves."""
    rows: dict[Key, Row | None] = {}
    fold(projection, rows, history)
    return {key: row for key, row in rows.items() if row is not None}


class Touch(NamedTuple):
    """An event, how it changes rows, and which ones."""

    fold: Fold
    recorded: Recorded
    keys: Sequence[Key]


def touches(projection: Projection, batch: Iterable[Recorded]) -> list[Touch]:
    folds = projection.folds
    return [Touch(f, recorded, tuple(f.keys(recorded))) for recorded in batch if (f := folds.get(type(recorded.event)))]


def fold_touches(rows: dict[Key, Row | None], touched: Iterable[Touch]) -> None:
    """As `fold`, where it is known already which rows are touched."""
    for a_fold, recorded, keys in touched:
        project = a_fold.project
        for key in keys:
            rows[key] = project(rows.get(key), recorded, key)


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
        """Those that are there; without a transaction, as they are now."""

    def write(self, transaction: Any, kept: Sequence[Row], gone: Sequence[Key]) -> None: ...

    def changes(self, kept: Sequence[Row], gone: Sequence[Key]) -> Sequence[Any]:
        """The same, for a transaction of the recorder's, which takes changes of several tables at once."""

    def generation(self, name: str) -> int:
        """Of the rows, when the position of this name was asked for."""

    def mark(self, transaction: Any, keys: Iterable[Key], position: int) -> None: ...

    def advance(self, transaction: Any, advance: Advance) -> None: ...

    def save(self, advance: Advance) -> None: ...

    def position(self, name: str) -> int: ...


class SqlRows:
    def __init__(self, table: Table, engine: Engine) -> None:
        self.table = table
        self.engine = engine
        self.at_once = engine.execution_options(isolation_level="AUTOCOMMIT")  # one statement, one answer to wait for
        self.columns = [str(c.name) for c in table.columns]  # SQLAlchemy's own names are slow to write as JSON
        self.key_columns = [str(c.name) for c in table.primary_key]
        self.generations: dict[str, int] = {}  # of the rows, by the position that was asked for: a rebuild begins one
        self._select, self._upsert, self._delete = _select_keys(table), _upsert(table), _delete_keys(table)
        self._put, self._drop = _written(self._upsert), _written(self._delete)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with idle_is_an_outage(), self.engine.begin() as connection:
            yield connection

    def lock(self, connection: Connection) -> None:
        """Until the transaction ends, nobody else changes these rows."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock_of(self.table.name)})

    def load(self, connection: Connection | None, keys: Sequence[Key]) -> Mapping[Key, Row]:
        if connection is None:
            with self.at_once.connect() as one_statement:
                return self.load(one_statement, keys)
        found = [
            dict(zip(self.columns, row, strict=True)) for row in connection.execute(self._select, self._named(keys))
        ]
        return {tuple(row[name] for name in self.key_columns): row for row in found}

    def write(self, connection: Connection, kept: Sequence[Row], gone: Sequence[Key]) -> None:
        if kept:
            connection.execute(self._upsert, {"rows": to_json(kept).decode()})
        if gone:
            connection.execute(self._delete, self._named(gone))

    def taken_out(self, connection: psycopg.Connection[dict[str, Any]], keys: Sequence[Key]) -> Mapping[Key, Row]:
        """Those that are there, which are there no longer."""
        columns = ", ".join(f"{self.table.name}.{name}" for name in self.columns)
        rows = connection.execute(f"{self._drop} RETURNING {columns}".encode(), self._named(keys))
        return {tuple(row[name] for name in self.key_columns): row for row in rows}

    def changes(self, kept: Sequence[Row], gone: Sequence[Key]) -> Sequence[Change]:
        found = [Change(self._put, to_json(kept).decode())] if kept else []
        return [*found, Change(self._drop, self._named(gone)["rows"])] if gone else found

    def generation(self, name: str) -> int:
        return self.generations.get(name, 0)

    def mark(self, connection: Connection, keys: Iterable[Key], position: int) -> None:
        """Mark rows that changed, for the relay to publish."""
        connection.exec_driver_sql(MARK_DIRTY, changes(self.table.name, keys, position))

    def advance(self, connection: Connection, advance: Advance) -> None:
        statement = ADVANCE if advance.previous else ADVANCE_FIRST
        check_moved(connection.exec_driver_sql(statement, self._known(advance)).first(), advance)

    def save(self, advance: Advance) -> None:
        """Move a position while no row changes."""
        statement = PASS if advance.previous else PASS_FIRST
        with self.at_once.connect() as connection:
            check_moved(connection.exec_driver_sql(statement, self._known(advance)).first(), advance)

    def position(self, name: str) -> int:
        with self.at_once.connect() as connection:
            found = connection.execute(
                text(f"SELECT notification_id, generation FROM {TRACKING} WHERE application_name = :name"),
                {"name": name},
            ).one_or_none()
        position, self.generations[name] = found or (0, 0)
        return position

    def _known(self, advance: Advance) -> dict[str, Any]:
        return {**advance._asdict(), "generation": self.generation(advance.name)}

    def _named(self, keys: Sequence[Key]) -> dict[str, str]:
        return {"rows": to_json([dict(zip(self.key_columns, key, strict=True)) for key in keys]).decode()}


class ReadModel:
    """One projection's rows. `published`: the relay publishes every row that changes.

    On several workers, rows that events of more than one stream change are changed by one worker at a time, and are
    never remembered: somebody else may have changed them since.
    """

    def __init__(
        self,
        projection: Projection,
        rows: Rows,
        rows_cached_max: int = ROWS_CACHED_MAX,
        *,
        alone: bool = True,
        published: bool = False,
    ) -> None:
        self.projection = projection
        self.rows = rows
        self.rows_cached_max = rows_cached_max
        self.contended = projection.shared and not alone
        self.published = published
        self._cache: OrderedDict[Key, Row | None] = OrderedDict()

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
        """Rows to be folded in memory, and written in somebody else's transaction."""
        return Staged(self)

    def known(self, keys: Iterable[Key]) -> dict[Key, Row | None]:
        """These rows as they are in the table; None where there is none."""
        return self._rows(None, keys)

    def remember(self, rows: Mapping[Key, Row | None]) -> None:
        """They were written by whoever staged them."""
        if not self.projection.insert_only and not self.contended:
            self._remember(rows)

    def save(self, advance: Advance) -> None:
        """Move the position past what changes no row. Raises PositionLost."""
        try:
            self.rows.save(advance)
        except BaseException:
            self._cache.clear()
            raise

    def forget(self) -> None:
        """What is remembered may not be the rows of the table any more."""
        self._cache.clear()

    def position(self, name: str) -> int:
        return self.rows.position(name)

    def _write(self, transaction: Any, batch: Sequence[Recorded]) -> dict[Key, Row | None]:
        to_touch = touches(self.projection, batch)
        keys = dict.fromkeys(chain.from_iterable(touch.keys for touch in to_touch))
        rows = {} if self.projection.insert_only else self._rows(transaction, keys)
        there = {key for key, row in rows.items() if row is not None}
        fold_touches(rows, to_touch)
        kept = [row for row in rows.values() if row is not None]
        gone = [key for key in there if rows[key] is None]
        if kept or gone:
            self.rows.write(transaction, kept, gone)
        return rows

    def _rows(self, transaction: Any, keys: Iterable[Key]) -> dict[Key, Row | None]:
        cached = self._cache
        rows: dict[Key, Row | None] = {key: cached[key] for key in keys if key in cached}
        missing = [key for key in keys if key not in rows]
        if missing:
            rows.update(dict.fromkeys(missing))
            rows.update(self.rows.load(transaction, missing))
        return rows

    def _remember(self, rows: Mapping[Key, Row | None]) -> None:
        for key, row in rows.items():
            self._cache[key] = row
            self._cache.move_to_end(key)
        while len(self._cache) > self.rows_cached_max:
            self._cache.popitem(last=False)


class Staged:
    """One read model's rows as they will be, where it is not known yet whether they will ever be."""

    def __init__(self, model: ReadModel) -> None:
        self.model = model
        self.rows: dict[Key, Row | None] = {}
        self._there: set[Key] = set()
        self._key_columns = [str(column.name) for column in model.projection.table.primary_key]

    def key_of(self, row: Row) -> Key:
        return tuple(row[name] for name in self._key_columns)

    def fold(self, batch: Sequence[Recorded]) -> None:
        to_touch = touches(self.model.projection, batch)
        new = dict.fromkeys(key for touch in to_touch for key in touch.keys if key not in self.rows)
        if new and not self.model.projection.insert_only:
            known = self.model.known(new)
            self.rows.update(known)
            self._there.update(key for key, row in known.items() if row is not None)
        fold_touches(self.rows, to_touch)

    def changes(self) -> Sequence[Any]:
        kept = [row for row in self.rows.values() if row is not None]
        gone = [key for key in self._there if self.rows[key] is None]
        return self.model.rows.changes(kept, gone)


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


def _written(statement: Any) -> str:
    """As text, for transactions that SQLAlchemy does not hold."""
    dialect = psycopg_dialect.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's dialects have no types
    return str(statement.compile(dialect=dialect))


class Finder(Protocol):
    """Looks up rows of read models for reactions."""

    def fetch(self, lookups: Mapping[Lookup, Iterable[Hashable]]) -> LookupResults: ...


class LookupSource:
    """Looks up rows for a whole batch of reactions: one query per lookup."""

    def __init__(self, tables: Mapping[str, Table], engine: Engine) -> None:
        self.tables = tables
        self.engine = engine.execution_options(isolation_level="AUTOCOMMIT")  # each statement sees what is there
        self._statements: dict[Lookup, Any] = {}

    def fetch(self, lookups: Mapping[Lookup, Iterable[Hashable]]) -> LookupResults:
        """Rows as `results[projection][key]`; a key without rows has an empty list."""
        results: dict[str, dict[Hashable, list[Row]]] = {}
        with self.engine.connect() as connection:
            for lookup, keys in lookups.items():
                found = results.setdefault(lookup.projection, {})
                asked = list(dict.fromkeys(keys))
                found.update((key, []) for key in asked)
                for row in connection.execute(self._statement(lookup), {"keys": asked}).mappings():
                    found[row[lookup.by]].append(dict(row))
        return results

    def _statement(self, lookup: Lookup) -> Any:
        if lookup not in self._statements:
            self._statements[lookup] = self._select(lookup)
        return self._statements[lookup]

    def _select(self, lookup: Lookup) -> Any:
        table = self.tables[lookup.projection]
        by = table.c[lookup.by]
        order = [*([table.c[lookup.order_by]] if lookup.order_by else []), *table.primary_key]  # a tie is no lottery
        keys = cast(bindparam("keys"), ARRAY(by.type))
        if lookup.limit is None:
            return select(table).where(by == func.any(keys)).order_by(*order)
        key = func.unnest(keys).table_valued(column("key", by.type)).render_derived("asked")
        newest = select(table).where(by == key.c.key).order_by(*order).limit(lookup.limit).lateral("found")
        return select(newest).select_from(key.join(newest, true()))
