"""Disk that archived events leave in the log's files, given back to the file system.

Invariant: the log is the same before and after; while its table is written again nothing is read from it or appended.
"""

from __future__ import annotations

from typing import NamedTuple

from psycopg.errors import LockNotAvailable
from psycopg.sql import SQL, Identifier

from oms_es.app.archiving.moving import ArchiveRefused, require_there
from oms_es.app.privacy.purging import LOCK_SECONDS_MAX
from oms_es.database.rows import Rows
from oms_es.store.archive import tables
from oms_es.store.recorder import EVENTS

SIZE = "SELECT pg_total_relation_size(%s::regclass) AS bytes"


class GivenBack(NamedTuple):
    """The log's table with its indexes, in bytes."""

    before: int
    after: int


def size_of_log(rows: Rows) -> int:
    found = rows.execute(SIZE, [EVENTS]).fetchone()
    return int(found["bytes"]) if found else 0


def give_back(rows: Rows) -> GivenBack:
    """Write the table again without what is left of old rows. `rows`: in autocommit mode. Raise ArchiveRefused,
    ArchiveUnavailable or ArchiveChanged."""
    require_there(tables.standing(rows), unchanged=True)  # afterwards nothing else has what archived events say
    before = size_of_log(rows)
    rows.execute(SQL("SET lock_timeout = {}").format(f"{LOCK_SECONDS_MAX}s"))
    try:
        rows.execute(SQL("VACUUM (FULL, ANALYZE) {}").format(Identifier(EVENTS)))
    except LockNotAvailable:
        raise ArchiveRefused(
            f"others held the log for {LOCK_SECONDS_MAX} seconds; what is archived stays so: run "
            "`oms-es archive --give-back` again when less is going on"
        ) from None
    return GivenBack(before, size_of_log(rows))
