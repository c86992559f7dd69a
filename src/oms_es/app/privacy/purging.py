"""Removal of deleted data from the database's files, in which PostgreSQL leaves old row versions until they are
overwritten.

Invariant: afterwards the database's own directory holds no row of these tables that is not one of their current rows.
Archived WAL, replicas, backups and copies of files cannot be reached from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.errors import InsufficientPrivilege, LockNotAvailable
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from oms_es.app.privacy.rows import OF_PEOPLE
from oms_es.store.dead_letters import DEAD_LETTERS
from oms_es.store.documents.table import DOCUMENTS
from oms_es.store.http.tables import ACCESS_LOG
from oms_es.store.privacy.encrypted_later import NOT_PURGED, PURGED
from oms_es.store.privacy.subject_keys import KEYS
from oms_es.store.recorder import EVENTS, SNAPSHOTS
from oms_es.store.stops import STOPS

TABLES = (*(projection.name for projection in OF_PEOPLE), DEAD_LETTERS, ACCESS_LOG, DOCUMENTS, KEYS, SNAPSHOTS, STOPS)
STATISTICS = ("pg_catalog", "pg_statistic")
"""The catalogue of statistics, which holds the most frequent values of columns."""
SEGMENTS_MAX = 1_000
SEGMENT = "^[0-9A-F]{24}$"
CURRENT = "SELECT pg_walfile_name(pg_current_wal_insert_lsn())"
NEWEST = "SELECT max(name) FROM pg_ls_waldir() WHERE name ~ %s"
MARK = "SELECT pg_logical_emit_message(false, 'oms-es', 'purge')"


LOCK_SECONDS_MAX = 30
"""How long a table is waited for; who waits behind this, such as every append, waits as long."""
SIZE = "SELECT pg_size_pretty(pg_total_relation_size(%s::regclass))"


class Purged(NamedTuple):
    """The result. `left`: what was not done, such as what the database's user may not do, to be done by others or by
    another run."""

    tables: int
    wal_segments: int
    left: list[str]


def purge(database_url: str, announce: Callable[[str], None] = lambda _: None) -> Purged:
    """Rewrite the tables without deleted rows, and overwrite old WAL. Each table is locked while it is rewritten; the
    log is one of them after events that were stored in the clear were encrypted, until a run has left nothing.
    `announce` is given what this costs before it begins."""
    with psycopg.connect(database_url, autocommit=True, row_factory=tuple_row) as connection:
        left = list[str]()
        connection.execute(SQL("SET lock_timeout = {}").format(f"{LOCK_SECONDS_MAX}s"))
        [encrypted_up_to] = connection.execute(NOT_PURGED.encode()).fetchone() or [None]
        tables = (*TABLES, EVENTS) if encrypted_up_to else TABLES
        if encrypted_up_to:
            [size] = connection.execute(SIZE, [EVENTS]).fetchone() or ["?"]
            announce(
                f"the log, of {size}, is written again: until then nothing can be read from it or appended, and it "
                "needs as much of the disk again"
            )
        written = [table for table in tables if _rewritten(connection, table, left)]
        try:
            connection.execute(SQL("VACUUM (FULL) {}").format(Identifier(*STATISTICS)))
        except InsufficientPrivilege:
            left.append(f"VACUUM FULL {'.'.join(STATISTICS)}")
        try:
            segments, kept = _write_over_the_wal(connection)
        except InsufficientPrivilege:
            segments, kept = 0, 0
            left.append(
                "write over recycled WAL: pg_switch_wal() and CHECKPOINT, once for each file of pg_wal and twice"
            )
        if kept:
            left.append(f"{kept} older segments of WAL, which are kept for an archive or a replica")
        if not left:
            connection.execute(PURGED.encode(), [encrypted_up_to])
        return Purged(len(written), segments, left)


def _rewritten(connection: psycopg.Connection[Any], table: str, left: list[str]) -> bool:
    try:
        connection.execute(SQL("VACUUM (FULL, ANALYZE) {}").format(Identifier(table)))
    except LockNotAvailable:
        left.append(f"VACUUM FULL {table}: others held it for {LOCK_SECONDS_MAX} seconds; purge again")
        return False
    return True


def _write_over_the_wal(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Overwrite the WAL: finished segments are recycled unchanged, so each is switched to and filled with zeros. Return
    how many were switched, and how many older ones remain."""
    before = _newest(connection, CURRENT)
    _next_segment(connection)
    last, switched = _newest(connection, NEWEST), 1
    while switched < SEGMENTS_MAX and _newest(connection, CURRENT) <= last:
        _next_segment(connection)
        switched += 1
    older = connection.execute("SELECT count(*) FROM pg_ls_waldir() WHERE name <= %s AND name ~ %s", [before, SEGMENT])
    found = older.fetchone()
    return switched, found[0] if found else 0


def _newest(connection: psycopg.Connection[Any], query: LiteralString) -> str:
    found = connection.execute(query, [SEGMENT] if "%s" in query else None).fetchone()
    return str(found[0]) if found else ""


def _next_segment(connection: psycopg.Connection[Any]) -> None:
    connection.execute(MARK)
    connection.execute("SELECT pg_switch_wal()")
    connection.execute("CHECKPOINT")
