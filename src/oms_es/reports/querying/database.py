"""A query of the read models, asked by a login that may read these and nothing else.

Invariant: it is never asked with the rights of the engine. A login is made for it, with a password that no one knows,
and goes when it is answered; or it is asked by the one that is named for it, which may not be a superuser. PostgreSQL
itself takes one query and no other statement: it declares a cursor, in a transaction that only reads.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier, Literal

from oms_es.reports.querying.found import BadStatement, Bounds, Found, checked, within

LOGIN = "oms_es_sql_"
MADE_FOR_MINUTES = 30
"""A login whose statement was killed may not be used any longer, and is dropped by the next one."""
LOCK = 7_209_450_322_118_006
SHUTTING_DOWN = "57P"
"""How states of a server begin that lets no one go on; without a state, the connection is gone."""
LEFT_BEHIND = "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s) AND rolvaliduntil < now()"
CURSOR = b"DECLARE asked NO SCROLL CURSOR FOR "
MAY_MAKE_LOGINS = "SELECT rolsuper OR rolcreaterole AS may FROM pg_roles WHERE rolname = current_user"


def ask(database_url: str, statement: str, tables: Collection[str], bounds: Bounds) -> Found:
    """By a login that is made for it, and may read these tables. Raises BadStatement."""
    statement = checked(statement)
    with psycopg.connect(database_url, autocommit=True) as owner, _login(owner, tables) as (name, password):
        return _asked(make_conninfo(database_url, user=name, password=password), statement, bounds)


def ask_as(reader_url: str, statement: str, bounds: Bounds) -> Found:
    """By a login that may read what it may. Raises BadStatement."""
    statement = checked(statement)
    with psycopg.connect(reader_url, autocommit=True) as reader:
        row = reader.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if row is None or row[0]:
        raise BadStatement("OMS_SQL_DATABASE_URL names a superuser; name a login that may only read")
    return _asked(reader_url, statement, bounds)


@contextmanager
def _login(owner: psycopg.Connection[Any], tables: Collection[str]) -> Iterator[tuple[str, str]]:
    """Raises BadStatement where the engine's own login may make none."""
    if not (row := owner.execute(MAY_MAKE_LOGINS).fetchone()) or not row[0]:
        raise BadStatement(
            "the login of OMS_DATABASE_URL may make no login that only reads; name one in OMS_SQL_DATABASE_URL"
        )
    name, password = f"{LOGIN}{secrets.token_hex(8)}", secrets.token_urlsafe(24)
    with owner.transaction():
        owner.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for left in owner.execute(LEFT_BEHIND, [LOGIN]).fetchall():
            _drop(owner, left[0])
        until = owner.execute(f"SELECT (now() + interval '{MADE_FOR_MINUTES} minutes')::text".encode()).fetchone()
        assert until
        owner.execute(
            SQL("CREATE ROLE {} LOGIN NOINHERIT CONNECTION LIMIT 1 PASSWORD {} VALID UNTIL {}").format(
                Identifier(name), Literal(password), Literal(until[0])
            )
        )
        schema = owner.execute("SELECT current_schema()").fetchone()
        assert schema
        owner.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(schema[0]), Identifier(name)))
        named = SQL(", ").join(Identifier(schema[0], table) for table in sorted(tables))
        owner.execute(SQL("GRANT SELECT ON {} TO {}").format(named, Identifier(name)))
    try:
        yield name, password
    finally:
        with suppress(psycopg.OperationalError), owner.transaction():
            owner.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            _drop(owner, name)


def _drop(owner: psycopg.Connection[Any], name: str) -> None:
    owner.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
    owner.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def _asked(url: str, statement: str, bounds: Bounds) -> Found:
    """Raises BadStatement."""
    with psycopg.connect(url, autocommit=True) as reader:
        try:
            return _read(reader, statement, bounds)
        except errors.QueryCanceled:
            raise BadStatement(f"it took longer than {bounds.seconds} s; ask for less, or give --seconds") from None
        except errors.InsufficientPrivilege as error:
            raise BadStatement(f"{_first(error)}: read models are read, and nothing else") from None
        except psycopg.Error as error:
            if error.sqlstate is None or error.sqlstate.startswith(SHUTTING_DOWN):
                raise
            raise BadStatement(_first(error)) from None


def _first(error: psycopg.Error) -> str:
    """What is wrong, and what PostgreSQL knows to do about it."""
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return f"{error.diag.message_primary or str(error).splitlines()[0]}{hint}"


def _read(reader: psycopg.Connection[Any], statement: str, bounds: Bounds) -> Found:
    with reader.transaction():
        reader.execute("SET TRANSACTION READ ONLY")
        reader.execute("SET LOCAL TIME ZONE 'UTC'")
        reader.execute(f"SET LOCAL statement_timeout = '{bounds.seconds}s'".encode())
        # One statement and no more: binary results make psycopg use the protocol that takes no second one.
        reader.execute(CURSOR + statement.encode(), binary=True)
        cursor = reader.execute(f"FETCH {bounds.rows + 1} FROM asked".encode())
        rows: Sequence[Sequence[Any]] = cursor.fetchall()
        return within([column.name for column in cursor.description or ()], rows, bounds)
