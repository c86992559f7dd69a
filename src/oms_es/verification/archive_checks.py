"""Is every file with archived events what was written? And their events, as far as they are there."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import psycopg

from oms_es.proof.entries import StoredEvent
from oms_es.store.archive import tables
from oms_es.store.archive.files import ARCHIVE, ArchiveChanged, ArchiveUnavailable, sha256_of
from oms_es.store.archive.reading import is_archived, whole
from oms_es.verification.check import Check


def whole_if_there(event: StoredEvent) -> StoredEvent:
    """Return the event with its bytes; as its row has it if its file is missing or changed, which is a finding
    where it is decoded or hashed."""
    if is_archived(event.state):
        with suppress(ArchiveUnavailable, ArchiveChanged):
            return event._replace(state=whole(event.state))
    return event


def archived_files(connection: psycopg.Connection[dict[str, Any]]) -> Check:
    check = Check("every file of archived events is there, and is what was written")
    for one in tables.standing(connection):
        try:
            path = ARCHIVE.path_of(one.number)
            changed = partial("{}: it is not what was written: bring it back from a backup".format, path)
            check.expect(sha256_of(path) == one.sha256, changed)
        except ArchiveUnavailable as missing:
            check.expect(False, partial("{}: {}".format, one.file, missing))
    return check
