"""Read models as of a position: kept states, each a whole table, from which later ones are folded.

Invariant: a read model as of a position never changes, so a kept state stays right as long as its read model is folded
in the same way: one of another version is not read, and a rebuild drops it. The tables of a position are in a schema of
their own, under the names of the read models: with that schema first in the search path, every statement reads them,
unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, Literal, NamedTuple, TypeVar

import psycopg
from psycopg.errors import InsufficientPrivilege, InvalidSchemaName, LockNotAvailable, UndefinedTable
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from psycopg.sql import Literal as Value

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Event, Projection, Recorded
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.history_pages import hold_no_more, pages
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.read_models.rows import SqlRows, lock_of
from oms_es.processing.read_models.staged_rows import StagedRows
from oms_es.reports.queries import Connection
from oms_es.store.caching import Budget

ASKED_MAX = 8
"""How many states of a read model are kept that questions made; the oldest is dropped first."""
KEPT_MAX = 200
"""How many states of a read model a person may keep."""
DROP_SECONDS_MAX = 2.0
IN_PASSING_SECONDS_MAX = 0.05
"""How long dropping surplus states waits for their readers, in seconds; after that they are dropped the next time."""
ASKED_SECONDS_MAX = 20
"""How long a statement may take that makes a state while a person waits, in seconds."""
NO_VERSION = 0
"""The version of a state that is not read any more, and is dropped when its readers are done."""

Kind = Literal["asked", "kept"]
KINDS: Mapping[str, Kind] = {"asked": "asked", "kept": "kept"}
Reached = Callable[[int, int], None]
T = TypeVar("T")
STATES = """
SELECT n.nspname AS schema, c.relname AS read_model, d.description AS said, current_schema() AS current
FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r'
LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
WHERE starts_with(n.nspname, current_schema() || '_at_') ORDER BY c.oid
"""
LOCKED = "SELECT pg_advisory_xact_lock(%s)"
MAKING = "SELECT pg_advisory_xact_lock_shared(%s)"
MADE = "states"
"""The lock of processes that make states; held exclusively, none are being made."""
IN_FRONT = "SELECT set_config('search_path', quote_ident(%s) || ', ' || current_setting('search_path'), true)"


def unseen(_position: int, _last: int) -> None:
    """Ignore the progress."""


class NotKept(OmsError):
    """The read model is not kept as of this position, or not any more; it has to be made first."""

    code = "not_kept"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class NoStateNear(OmsError):
    """No state of the read model is kept near enough: make one with `oms-es states keep`; a command answers without
    one.
    """

    code = "no_state_near"
    exit_code = Code.USAGE
    status = HTTPStatus.CONFLICT


class CannotKeep(OmsError):
    """The database's user may not make the schema for kept states, or the highest number of states is kept."""

    code = "cannot_keep"
    exit_code = Code.NO_DATABASE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class State(NamedTuple):
    """A kept state: a read model as of a position, folded by this version of it."""

    read_model: str
    position: int
    version: int
    kind: Kind
    schema: str


def kept(connection: Connection) -> list[State]:
    """Return the kept states, the oldest first."""
    return [found for row in connection.execute(STATES) if (found := _state_in(row))]


def _state_in(row: Mapping[str, Any]) -> State | None:
    """Return the kept state in a table; None if the table is not one of ours."""
    position = row["schema"].removeprefix(f"{row['current']}_at_")
    version, _, word = (row["said"] or "").partition(" ")
    kind = KINDS.get(word)
    if kind is None or not position.isdecimal() or not version.isdecimal():
        return None
    return State(row["read_model"], int(position), int(version), kind, row["schema"])


def nearest(states: Sequence[State], projection: Projection, position: int) -> State | None:
    """Return the read model's newest kept state at or before the position; None if there is none."""
    known = [one for one in states if one.read_model == projection.name and one.version == projection.version]
    return max((one for one in known if one.position <= position), key=lambda one: one.position, default=None)


def missing(connection: Connection, projections: Collection[Projection], position: int) -> list[Projection]:
    """Return the read models that are not kept as of exactly this position."""
    states = kept(connection)
    found = {one.name: nearest(states, one, position) for one in projections}
    return [one for one in projections if (state := found[one.name]) is None or state.position != position]


def asked_of(
    connection: Connection, projections: Collection[Projection], position: int, question: Callable[[Connection], T]
) -> T:
    """Return the answer to the question, whose statements read the kept tables as of the position.

    Raise NotKept if one is missing.
    """
    with connection.transaction():
        if missing(connection, projections, position):
            raise NotKept(f"some of it is not kept as of position {position}")
        row = connection.execute("SELECT current_schema() AS name").fetchone()
        assert row
        schema = schema_of(row["name"], position)
        with translated():
            for one in projections:  # the lock keeps the table from being dropped before the answer is there
                connection.execute(SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(Identifier(schema, one.name)))
        connection.execute(IN_FRONT, [schema])
        return question(connection)


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except (UndefinedTable, InvalidSchemaName):
        raise NotKept("it was dropped meanwhile") from None


def schema_of(current: str, position: int) -> str:
    return f"{current}_at_{position}"


def keep(
    database_url: str,
    projections: Collection[Projection],
    position: int,
    kind: Kind,
    *,
    events_max: int | None = None,
    reached: Reached = unseen,
) -> list[State]:
    """Make the missing states, from kept ones nearby. Raise NoStateNear or CannotKeep if that is impossible."""
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        with connection.transaction():
            if events_max is not None:
                connection.execute(f"SET LOCAL statement_timeout = '{ASKED_SECONDS_MAX}s'")
            connection.execute(MAKING, [lock_of(MADE)])
            connection.execute(LOCKED, [lock_of(f"states/{position}")])
            if kind == "kept":
                _keep_asked_states(connection, projections, position)
            to_make = missing(connection, projections, position)
            if to_make:
                _require_room(kept(connection), to_make, kind)
                _make(connection, to_make, position, kind, events_max, reached)
        states = kept(connection)
        too_many = [one for name in {p.name for p in to_make} for one in _too_many(states, name)]
        drop(connection, too_many, IN_PASSING_SECONDS_MAX)
    return [one for one in states if one.position == position and one.read_model in {p.name for p in to_make}]


def _keep_asked_states(connection: Connection, projections: Collection[Projection], position: int) -> None:
    """Mark states that questions made as kept by a person, so that they are not dropped as the oldest."""
    versions = {one.name: one.version for one in projections}
    for one in kept(connection):
        if one.position == position and one.kind == "asked" and one.version == versions.get(one.read_model):
            _describe(connection, Identifier(one.schema, one.read_model), one.version, "kept")


def _describe(connection: Connection, table: Identifier, version: int, kind: Kind) -> None:
    connection.execute(SQL("COMMENT ON TABLE {} IS {}").format(table, Value(f"{version} {kind}")))


def drop(connection: Connection, states: Sequence[State], wait_seconds_max: float = DROP_SECONDS_MAX) -> int:
    """Drop states, and return how many were dropped; one that is being read stays until the next time."""
    gone = 0
    for one in states:
        with suppress(LockNotAvailable):
            _drop(connection, one, wait_seconds_max)
            gone += 1
    return gone


def _drop(connection: Connection, one: State, wait_seconds_max: float) -> None:
    """Drop a state, and its schema if it is empty. Raise LockNotAvailable if the state is being read."""
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{int(1_000 * wait_seconds_max)}ms'")
        connection.execute(LOCKED, [lock_of(f"states/{one.position}")])
        connection.execute(SQL("DROP TABLE IF EXISTS {}").format(Identifier(one.schema, one.read_model)))
        left = connection.execute(
            "SELECT FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s)) LIMIT 1", [one.schema]
        ).fetchone()
        if left is None:
            connection.execute(SQL("DROP SCHEMA IF EXISTS {}").format(Identifier(one.schema)))


def drop_of(connection: Connection, read_models: Collection[str] | None = None) -> tuple[int, int]:
    """Drop the states of these read models, or of all.

    Return how many were dropped, and how many are still being read; the latter are not used for anything new.
    """
    chosen = [one for one in kept(connection) if read_models is None or one.read_model in read_models]
    for one in chosen:
        with suppress(UndefinedTable, InvalidSchemaName):
            _describe(connection, Identifier(one.schema, one.read_model), NO_VERSION, one.kind)
    gone = drop(connection, chosen)
    return gone, len(chosen) - gone


def hold_back(connection: Connection) -> None:
    """Keep other processes from making states until the transaction ends."""
    connection.execute(LOCKED, [lock_of(MADE)])


def drop_at_once(connection: Connection, read_models: Collection[str], wait_seconds_max: float) -> int:
    """Drop all states of these read models in the caller's transaction; return how many.

    Raise LockNotAvailable if one is being read.
    """
    chosen = [one for one in kept(connection) if one.read_model in read_models]
    for one in chosen:
        _drop(connection, one, wait_seconds_max)
    return len(chosen)


def lay_out(
    connection: Connection, projections: Sequence[Projection], position: int, reached: Reached = unseen
) -> None:
    """Fold read models as of the position into temporary tables of this connection.

    A temporary table hides the table of the same name, so that every statement reads it instead. Nothing else is
    written.
    """
    connection.execute("SET default_transaction_read_only = off")
    states = kept(connection)
    bases = {one.name: nearest(states, one, position) for one in projections}
    for one in projections:
        name = Identifier(one.name)
        connection.execute(SQL("CREATE TEMPORARY TABLE {} (LIKE {} INCLUDING ALL)").format(name, name))
        _copy(connection, bases[one.name], Identifier("pg_temp", one.name))
    connection.execute("SET default_transaction_read_only = on")
    _fold(connection, projections, bases, position, reached)
    for one in projections:
        connection.execute(SQL("ANALYZE {}").format(Identifier("pg_temp", one.name)))


def _require_room(states: Sequence[State], projections: Collection[Projection], kind: Kind) -> None:
    """Raise CannotKeep if the highest number of states is kept."""
    for one in projections:
        if kind == "kept" and len([s for s in states if s.read_model == one.name and s.kind == kind]) >= KEPT_MAX:
            raise CannotKeep(f"{KEPT_MAX} states of {one.name} are kept; drop some with `oms-es states drop`")


def _too_many(states: Sequence[State], read_model: str) -> Sequence[State]:
    asked = [one for one in states if one.read_model == read_model and one.kind == "asked"]
    return asked[: max(0, len(asked) - ASKED_MAX)]


def _make(
    connection: Connection,
    projections: Sequence[Projection],
    position: int,
    kind: Kind,
    events_max: int | None,
    reached: Reached,
) -> None:
    states = kept(connection)
    bases = {one.name: nearest(states, one, position) for one in projections}
    for name, base in bases.items():
        require_near(name, base, position, events_max)
        if base:
            with translated():  # the lock keeps the base from being dropped until this ends
                connection.execute(
                    SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(Identifier(base.schema, base.read_model))
                )
    row = connection.execute("SELECT current_schema() AS name").fetchone()
    assert row
    current, schema = row["name"], schema_of(row["name"], position)
    try:
        connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
    except InsufficientPrivilege:
        raise CannotKeep(
            "the database's user may not make a schema, in which states are kept; GRANT CREATE ON DATABASE to it"
        ) from None
    for one in projections:
        made = Identifier(schema, one.name)
        connection.execute(SQL("DROP TABLE IF EXISTS {}").format(made))  # one of another version may exist
        live = Identifier(current, one.name)
        connection.execute(SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(made, live))
        _copy(connection, bases[one.name], made)
    connection.execute(IN_FRONT, [schema])
    _fold(connection, projections, bases, position, reached)
    for one in projections:
        made = Identifier(schema, one.name)
        connection.execute(SQL("ANALYZE {}").format(made))
        _describe(connection, made, one.version, kind)


def require_near(name: str, base: State | None, position: int, events_max: int | None) -> None:
    """Raise NoStateNear if more than `events_max` events would have to be folded."""
    if events_max is not None and position - (base.position if base else 0) > events_max:
        raise NoStateNear(
            f"no state of {name} is kept within {events_max:,} events before position {position}; "
            f"`oms-es states keep {name} --at {position}` keeps one"
        )


def _copy(connection: Connection, base: State | None, into: Identifier) -> None:
    if base:
        connection.execute(
            SQL("INSERT INTO {} SELECT * FROM {}").format(into, Identifier(base.schema, base.read_model))
        )


def _fold(
    connection: Connection,
    projections: Sequence[Projection],
    bases: Mapping[str, State | None],
    position: int,
    reached: Reached,
) -> None:
    """Fold the events since each base into the temporary tables."""
    staged = [_staged(connection, one, begun=bases[one.name] is not None) for one in projections]
    since = [base.position if (base := bases[one.name]) else 0 for one in projections]
    interested: dict[type[Event], list[int]] = {}
    for number, one in enumerate(projections):
        for event in one.folds:
            interested.setdefault(event, []).append(number)
    for page in pages(connection, [event.__name__ for event in interested], position, min(since, default=0)):
        batches: list[list[Recorded]] = [[] for _ in staged]
        for recorded in page:
            for number in interested[type(recorded.event)]:
                if recorded.position > since[number]:
                    batches[number].append(recorded)
        for rows, batch in zip(staged, batches, strict=True):
            rows.fold(batch)
        hold_no_more(staged)
        reached(page[-1].position, position)
    for rows in staged:
        rows.write(len(rows))


def _staged(connection: Connection, projection: Projection, *, begun: bool) -> StagedRows:
    rows = SqlRows(projection.table, Connections(""))  # it never connects
    return StagedRows(ReadModel(projection, rows, Budget(0)), rows, connection, begun=begun)
