"""One run of an export: it reads what was exported, adds what is new, and removes replaced files."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from oms_es.database.directories import Lock
from oms_es.reports.exporting import events, facts, manifest, parquet
from oms_es.reports.exporting.manifest import BadExport, Manifest
from oms_es.reports.queries import Connection
from oms_es.reports.streams import end_of_log
from oms_es.store.encoding.codec import Codec
from oms_es.written_files import complete, make_folder

LOCK = ".lock"
OWNER_ONLY = 0o700
Progress = Callable[[int, int], None]


class Exported(NamedTuple):
    """The result of an export: the number of new events, and the position up to which events are exported."""

    events: int
    position: int
    files: int
    bytes: int


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Lock the directory. Raise BadExport if another run has locked it."""
    make_folder(directory, OWNER_ONLY)
    lock = Lock(directory / LOCK)
    try:
        if not lock.take(fcntl.LOCK_EX):
            raise BadExport(f"another export writes to {directory}; wait until it has ended")
        yield
    finally:
        lock.drop()


def export(connection: Connection, codec: Codec, directory: Path, progress: Progress = lambda *_: None) -> Exported:
    """Export the log and the fact tables. Raise NoArrow, BadExport or CannotWrite."""
    parquet.arrow()
    with complete(directory), alone(directory):
        return _export(connection, codec, directory, progress)


def _export(connection: Connection, codec: Codec, directory: Path, progress: Progress) -> Exported:
    have = _begun(connection, directory)
    manifest.sweep(directory, have)
    end, before = end_of_log(connection), have.position
    for position, files in events.steps(connection, codec, directory, have.position, end):
        have = have.model_copy(update={"position": position, "files": (*have.files, *files)})
        manifest.write(directory, have)
        progress(position, end)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        added = tuple(facts.files(connection, directory, have.named, end))
    kept = tuple(file for file in have.files if file.path.startswith("events/"))
    have = have.model_copy(update={"files": (*kept, *added)})
    manifest.write(directory, have)
    manifest.sweep(directory, have)
    return Exported(end - before, end, len(have.files), sum(file.bytes for file in have.files))


def _begun(connection: Connection, directory: Path) -> Manifest:
    """Return the manifest to continue. Raise BadExport if the directory belongs to another log, or its files differ."""
    have, log = manifest.read(directory), events.first_event(connection)
    if have.log and have.log != log:
        raise BadExport(f"{directory} holds the export of another log; name another directory")
    if have.position > end_of_log(connection):
        raise BadExport(
            f"{directory} has more events than the log; was an older backup restored? Name another directory"
        )
    for difference in manifest.differences(directory, have, whole=False):
        raise BadExport(f"{difference}; name an empty directory, and export again")
    return have.model_copy(update={"log": log})
