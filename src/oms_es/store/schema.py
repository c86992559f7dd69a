"""The schema of a database: its version, that of each read model, and what a migration has to do.

Invariant: a program works on a database only if its tables are of the version that the program knows and every read
model was folded as the program folds it. An older database is migrated; a newer one is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Literal, LiteralString, NamedTuple

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Projection
from oms_es.store.recorder import EVENTS

SCHEMA_VERSION = 20
"""Of the tables that are not read models. 1: as 0.1.0 made them; 2: generations of read models; 3: this version; 4: the
ids of topics; 5: why readers stopped; 6: dead letters that were discarded; 7: keys and answers of
HTTP; 8: keys of links; 9: connections of webhooks; 10: subscriptions to them; 11: their secrets apart, and how far each
has come; 12: sessions of the console; 13: the sealed log; 14: keys of orders; 15: documents in a folder; 16: views of
the console; 17: people who sign in to it at a provider; 18: circuits of gateways; 19: how far
what was stored in the clear is encrypted; 20: archived events."""
SCHEMA = "oms_schema"
READ_MODELS = "oms_read_models"
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {SCHEMA} (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        version integer NOT NULL,
        migrated_at timestamptz NOT NULL DEFAULT now()
    )""",
    f"""
    CREATE TABLE IF NOT EXISTS {READ_MODELS} (
        name text PRIMARY KEY,
        version integer NOT NULL
    )""",
)

Connection = psycopg.Connection[Any]


class NotMigrated(OmsError):
    """The database has no tables of ours yet, or those of an older version."""

    code = "not_migrated"
    exit_code = Code.NO_DATABASE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class NewerDatabase(OmsError):
    """A newer version of this program has migrated the database."""

    code = "newer_database"
    exit_code = Code.NO_DATABASE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Versions(NamedTuple):
    """`schema` is 0 for a database without tables of ours, 1 for one that does not say which version it is.

    A read model of such a database is of version 1, whichever release folded it last.
    """

    schema: int
    read_models: dict[str, int]


def versions(connection: Connection, projections: Iterable[Projection]) -> Versions:
    if not _exists(connection, EVENTS):
        return Versions(0, {})
    schema = _pairs(connection, f"SELECT 'version', version FROM {SCHEMA}") if _exists(connection, SCHEMA) else {}
    known = _pairs(connection, f"SELECT name, version FROM {READ_MODELS}") if _exists(connection, READ_MODELS) else {}
    unversioned = {} if schema else {p.name: 1 for p in projections if _exists(connection, p.name)}
    return Versions(schema.get("version", 1), {**unversioned, **known})


def require(connection: Connection, projections: Sequence[Projection]) -> None:
    """Raises NotMigrated, NewerDatabase."""
    stored = versions(connection, projections)
    if stored.schema == 0:
        raise NotMigrated("the database has no tables yet; run `oms-es migrate` once")
    refuse_newer(stored, projections)
    old = stored.schema < SCHEMA_VERSION
    if old or any(stale(stored, projection) for projection in projections):
        raise NotMigrated(
            "an older version of oms-es made this database; stop whatever works on it, then run `oms-es migrate` once"
        )


def stale(stored: Versions, projection: Projection) -> bool:
    """Return whether the read model's rows were folded by an older version, or its table is missing."""
    return stored.read_models.get(projection.name, 0) < projection.version


def refuse_newer(stored: Versions, projections: Iterable[Projection]) -> None:
    """Raises NewerDatabase."""
    newer = [p.name for p in projections if stored.read_models.get(p.name, 0) > p.version]
    if stored.schema > SCHEMA_VERSION or newer:
        raise NewerDatabase(
            f"a newer version of oms-es has migrated this database (schema {stored.schema}, this program knows "
            f"{SCHEMA_VERSION}{', and newer read models: ' + ', '.join(newer) if newer else ''}); "
            "run that version, or restore the backup from before the migration"
        )


def record(connection: Connection, projections: Iterable[Projection]) -> None:
    """The database is of this version, and so are these read models."""
    with connection.transaction():
        record_read_models(connection, projections)
        connection.execute(
            f"INSERT INTO {SCHEMA} (version) VALUES (%(version)s) ON CONFLICT (one) DO UPDATE "
            f"SET version = excluded.version, migrated_at = now() WHERE {SCHEMA}.version <> excluded.version",
            {"version": SCHEMA_VERSION},
        )


def record_read_models(connection: Connection, projections: Iterable[Projection]) -> None:
    """Record the versions of read models, in the transaction that has folded their rows."""
    connection.cursor().executemany(
        f"INSERT INTO {READ_MODELS} (name, version) VALUES (%s, %s) "
        "ON CONFLICT (name) DO UPDATE SET version = excluded.version",
        [(projection.name, projection.version) for projection in projections],
    )


def record_unfolded(connection: Connection, name: str) -> None:
    """Record version 0, in the transaction that creates the table, until its rows are folded."""
    connection.execute(f"INSERT INTO {READ_MODELS} (name, version) VALUES (%s, 0) ON CONFLICT DO NOTHING", [name])


class Column(NamedTuple):
    """A column as PostgreSQL's catalogue has it; `key` is its place in the primary key, or None."""

    name: str
    type: str
    required: bool
    key: int | None


def declared_columns(table: Table) -> list[Column]:
    keys = [column.name for column in table.primary_key.columns]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's dialects have no types
    return [
        Column(
            column.name,
            _catalogue_name(column.type.compile(dialect)),
            not column.nullable,
            keys.index(column.name) if column.name in keys else None,
        )
        for column in table.columns
    ]


def _catalogue_name(compiled: str) -> str:
    """`format_type` writes what CREATE TABLE reads: the same words in small letters, and one of them otherwise."""
    name = compiled.lower()
    return "double precision" if name == "float" else name


def stored_columns(connection: Connection, name: str) -> list[Column]:
    """Return the columns of a table in the search path; empty if there is no such table."""
    with connection.cursor(row_factory=tuple_row) as curs:
        curs.execute(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
            " array_position(i.indkey::smallint[], a.attnum) "
            "FROM pg_attribute AS a LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary "
            "WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            [name],
        )
        return [Column(*row) for row in curs]


def created(table: Table, kind: Literal["", "UNLOGGED"] = "") -> Composed:
    """The statement that makes the table, without its indexes, where it is missing."""
    columns = [_definition(column) for column in declared_columns(table)]
    return SQL("CREATE {} TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))").format(
        SQL(kind), Identifier(table.name), SQL(", ").join(columns), _keys(table)
    )


def reshaped(table: Table, stored: Sequence[Column]) -> list[Composed]:
    """The statements that give the emptied table the declared columns; none where it has them.

    The table stays the same one, so that what was granted on it, and made of it, stays.
    """
    declared = {column.name: column for column in declared_columns(table)}
    known = {column.name: column for column in stored}
    live = Identifier(table.name)
    gone = [name for name, column in known.items() if declared.get(name) != column]
    new = [column for name, column in declared.items() if known.get(name) != column]
    statements = [SQL("ALTER TABLE {} DROP COLUMN {}").format(live, Identifier(name)) for name in gone]
    statements += [SQL("ALTER TABLE {} ADD COLUMN {}").format(live, _definition(column)) for column in new]
    if any(column.key is not None for column in [*map(known.__getitem__, gone), *new]):
        constraint = Identifier(f"{table.name}_pkey")
        statements += [
            SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(live, constraint),
            SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({})").format(live, constraint, _keys(table)),
        ]
    return statements


def _definition(column: Column) -> Composed:
    kind = SQL(column.type + (" NOT NULL" if column.required else ""))
    return SQL("{} {}").format(Identifier(column.name), kind)


def _keys(table: Table) -> Composed:
    return SQL(", ").join(Identifier(column.name) for column in table.primary_key.columns)


def _pairs(connection: Connection, query: LiteralString) -> dict[str, int]:
    with connection.cursor(row_factory=tuple_row) as curs:
        return dict(curs.execute(query).fetchall())


def _exists(connection: Connection, name: str) -> bool:
    with connection.cursor(row_factory=tuple_row) as curs:
        found = curs.execute("SELECT to_regclass(%s)", [name]).fetchone()
        return found is not None and found[0] is not None
