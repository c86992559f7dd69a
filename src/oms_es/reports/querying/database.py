"""A query of the read models, run by a login that may read these and nothing else.

Invariant: the query never has the rights of the engine. A login is made for it, with a random password that is shown to
no one, and dropped afterwards; or a configured login runs it, which must not be a superuser. PostgreSQL itself accepts
one query and no other statement: it is declared as a cursor, in a read-only transaction.
"""

from __future__ import annotations

import re
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
"""After so many minutes the login of a killed query can no longer be used; the next query drops it."""
LOCK = 7_209_450_322_118_006
SHUTTING_DOWN = "57P"
"""The beginning of the server's error codes after which no query can go on; without a code, the connection is lost."""
LEFT_BEHIND = "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s) AND rolvaliduntil < now()"
WORK_MEMORY, FILES = "64MB", "2GB"
BYTES_MAX = 200_000_000
"""How many bytes all rows together may have, as PostgreSQL sends them; a single row may have as many as PostgreSQL
makes of it."""
LOCKING = """
SELECT oid::regprocedure::text FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^pg_(try_)?advisory_'
AND has_function_privilege(%s, oid, 'EXECUTE')
"""
GRANTED = """
SELECT 'TABLE', c.oid::regclass::text FROM pg_class c, aclexplode(c.relacl) a
WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = %(name)s) GROUP BY c.oid
UNION ALL SELECT 'SCHEMA', n.oid::regnamespace::text FROM pg_namespace n, aclexplode(n.nspacl) a
WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = %(name)s) GROUP BY n.oid
"""
CURSOR = b"DECLARE asked NO SCROLL CURSOR FOR "
MAY_MAKE_LOGINS = "SELECT rolsuper OR rolcreaterole AS may FROM pg_roles WHERE rolname = current_user"


def ask(
    database_url: str,
    statement: str,
    tables: Collection[str],
    bounds: Bounds,
    *,
    withheld: Collection[str] = (),
    is_ours: bool = False,
) -> Found:
    """Run the query by a login that is made for it, and may read these tables.

    Raise BadStatement if it fails. `withheld`: tables that only `--personal` allows. `is_ours`: the server is the
    embedded one, where advisory locks belong to the engine.
    """
    statement = checked(statement)
    with psycopg.connect(database_url, autocommit=True) as owner, _login(owner, tables, bounds) as (name, password):
        if is_ours:
            _keep_locks(owner, name)
        return _asked(make_conninfo(database_url, user=name, password=password), statement, bounds, withheld)


def ask_as(reader_url: str, statement: str, bounds: Bounds) -> Found:
    """Run the query by a configured login, with its own rights.

    Raise BadStatement if it fails, or the login is a superuser.
    """
    statement = checked(statement)
    with psycopg.connect(reader_url, autocommit=True) as reader:
        row = reader.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if row is None or row[0]:
        raise BadStatement("OMS_SQL_DATABASE_URL names a superuser; name a login that may only read")
    return _asked(reader_url, statement, bounds)


@contextmanager
def _login(owner: psycopg.Connection[Any], tables: Collection[str], bounds: Bounds) -> Iterator[tuple[str, str]]:
    """Make a login, and drop it afterwards. Raise BadStatement if the engine's own login may make none."""
    if not (row := owner.execute(MAY_MAKE_LOGINS).fetchone()) or not row[0]:
        raise BadStatement(
            "the login of OMS_DATABASE_URL may make no login that only reads; name one in OMS_SQL_DATABASE_URL"
        )
    name, password = f"{LOGIN}{secrets.token_hex(8)}", secrets.token_urlsafe(24)
    with owner.transaction():
        owner.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for left in owner.execute(LEFT_BEHIND, [LOGIN]).fetchall():
            with suppress(errors.InsufficientPrivilege), owner.transaction():  # the login may belong to another owner
                _drop(owner, left[0])
        until = owner.execute(f"SELECT (now() + interval '{MADE_FOR_MINUTES} minutes')::text".encode()).fetchone()
        assert until
        owner.execute(
            SQL("CREATE ROLE {} LOGIN NOINHERIT CONNECTION LIMIT 1 PASSWORD {} VALID UNTIL {}").format(
                Identifier(name), Literal(password), Literal(until[0])
            )
        )
        for setting, value in _limits(owner, bounds):
            owner.execute(SQL("ALTER ROLE {} SET {} = {}").format(Identifier(name), Identifier(setting), value))
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


def _limits(owner: psycopg.Connection[Any], bounds: Bounds) -> Iterator[tuple[str, Literal]]:
    """Yield the settings of the login. Only a superuser may limit temporary files."""
    yield "statement_timeout", Literal(f"{bounds.seconds}s")
    yield "work_mem", Literal(WORK_MEMORY)
    row = owner.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if row and row[0]:
        yield "temp_file_limit", Literal(FILES)


def _keep_locks(owner: psycopg.Connection[Any], name: str) -> None:
    """Revoke advisory locks: a login that held the append lock would stop all appends."""
    with owner.transaction():
        owner.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for row in owner.execute(LOCKING, [name]).fetchall():
            owner.execute(SQL("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").format(SQL(row[0])))


def _drop(owner: psycopg.Connection[Any], name: str) -> None:
    """Drop a login.

    Its grants are revoked one by one, as DROP OWNED is only for members of the login, or superusers.
    """
    for kind, granted in owner.execute(GRANTED, {"name": name}).fetchall():
        owner.execute(SQL("REVOKE ALL ON {} {} FROM {}").format(SQL(kind), SQL(granted), Identifier(name)))
    owner.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def _asked(url: str, statement: str, bounds: Bounds, withheld: Collection[str] = ()) -> Found:
    """Run the query. Raise BadStatement if it fails or takes too long."""
    with psycopg.connect(url, autocommit=True) as reader:
        try:
            return _read(reader, statement, bounds)
        except errors.QueryCanceled:
            raise BadStatement(f"it took longer than {bounds.seconds} s; ask for less, or give --seconds") from None
        except errors.InsufficientPrivilege as error:
            denied = set(re.findall(r"\w+", _first(error))) & set(withheld)
            if denied:
                raise BadStatement(f"{denied.pop()} has personal data: give --personal to read it") from None
            raise BadStatement(f"{_first(error)}: read models are read, and nothing else") from None
        except psycopg.DataError as error:
            hint = "" if error.sqlstate else "; cast it to text"
            raise BadStatement(f"{_first(error)}{hint}") from None
        except psycopg.Error as error:
            if error.sqlstate is None or error.sqlstate.startswith(SHUTTING_DOWN):
                raise
            raise BadStatement(_first(error)) from None


def _first(error: psycopg.Error) -> str:
    """Return the error message, with PostgreSQL's hint if there is one."""
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return f"{error.diag.message_primary or str(error).splitlines()[0]}{hint}"


def _read(reader: psycopg.Connection[Any], statement: str, bounds: Bounds) -> Found:
    with reader.transaction():
        reader.execute("SET TRANSACTION READ ONLY")
        reader.execute("SET LOCAL TIME ZONE 'UTC'")
        reader.execute(f"SET LOCAL statement_timeout = '{bounds.seconds}s'".encode())
        # The cursor takes one statement only: with binary results psycopg uses the protocol that accepts no second one.
        reader.execute(CURSOR + statement.encode(), binary=True)
        with reader.cursor() as cursor:
            rows = list(_bounded(cursor, f"FETCH {bounds.rows + 1} FROM asked"))
            return within([column.name for column in cursor.description or ()], rows, bounds)


def _bounded(cursor: psycopg.Cursor[Any], fetch: str) -> Iterator[Sequence[Any]]:
    """Yield the rows, one at a time. Raise BadStatement if they have too many bytes."""
    taken = 0
    for row in cursor.stream(fetch.encode()):
        if (result := cursor.pgresult) is not None:
            taken += sum(len(result.get_value(0, place) or b"") for place in range(result.nfields))
        if taken > BYTES_MAX:
            raise BadStatement(f"it has more than {BYTES_MAX // 1_000_000} MB; ask for fewer columns or rows")
        yield row
