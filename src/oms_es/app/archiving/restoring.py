"""Archived events are moved back into the log.

Invariant: the bytes of a file's events are in the log again in the transaction in which the list no longer needs the
file. The file stays where it is: a reader that began before may still need it, and so may an older backup.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from oms_es.app.archiving.moving import ArchiveRefused, Progress, alone
from oms_es.database.rows import Rows
from oms_es.store.archive import files, tables
from oms_es.store.archive.reading import is_archived, whole
from oms_es.store.recorder import REWRITE


class Restored(NamedTuple):
    """The result. `names`: files that the log does not need any more."""

    names: list[str]
    events: int


def restore(rows: Rows, progress: Progress) -> Restored:
    """Restore every file, the oldest first. `rows`: in autocommit mode.

    It may be interrupted at any point and run again. Raise ArchiveRefused, ArchiveUnavailable or ArchiveChanged.
    """
    with alone(rows):
        standing = tables.standing(rows)
        done = Restored([], 0)
        for one in standing:
            done = Restored([*done.names, one.file], done.events + _put_back(rows, one))
            progress(one.last, standing[-1].last)
        return done


def _put_back(rows: Rows, one: tables.Archived) -> int:
    positions, before, states = list[int](), list[str](), list[bytes]()
    for row in tables.between(rows, one.first - 1, one.last, one.last - one.first + 1):
        mark = row["state"]
        if is_archived(mark) and files.pointer_in(mark).number == one.number:
            positions.append(row["notification_id"])
            before.append(sha256(mark).hexdigest())
            states.append(whole(mark))
    with rows.transaction():
        changed = rows.execute(REWRITE.encode(), [positions, before, states]).rowcount
        if changed != one.events or not tables.restored(rows, one.number):
            raise ArchiveRefused(
                f"{one.file} has {one.events:,} events, and {changed:,} rows of the log name it; run `oms-es verify`"
            )
    return changed
