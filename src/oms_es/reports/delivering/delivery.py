"""The files of reports that are due and not made yet, in a folder from which others fetch them.

Invariant: a file is there whole or not at all, and is made once: an existing file stays as it is, even if two processes
make it at the same time. Periods that were missed are made later, up to MISSED_MAX of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from secrets import token_hex

from oms_es.reports.delivering.formats import MAKERS
from oms_es.reports.figures import answering, asking
from oms_es.reports.figures.definition import Definition
from oms_es.reports.figures.schedule import Schedule
from oms_es.reports.figures.words import BadReport
from oms_es.reports.queries import Connection
from oms_es.schemas.operations.report import Every, Format

MISSED_MAX = 31


def deliver(
    connection: Connection, definition: Definition, folder: Path, now: datetime | None = None
) -> Iterator[Path]:
    """Yield the paths of the files that were made. Raise BadReport, TooLarge or OSError."""
    schedule = definition.schedule
    if schedule is None:
        raise BadReport(f'{definition.name} has no schedule; add one, such as: schedule = {{ every = "day" }}')
    moment = now or datetime.now(UTC)
    for since, until in _open(definition, schedule, folder, moment):
        asked = asking.question(definition, since=str(since), until=str(until), zone=schedule.timezone, now=moment)
        found = answering.answer(connection, asked)
        for form in schedule.formats:
            path = folder / file_name(definition.name, schedule.every, since, form)
            if not path.exists() and placed(path, MAKERS[form](found)):
                yield path


def _open(definition: Definition, schedule: Schedule, folder: Path, moment: datetime) -> Sequence[tuple[date, date]]:
    """Return the due periods after the newest existing file, the oldest first; without any file, only the newest
    period.
    """
    due = list(islice(schedule.due(moment), MISSED_MAX))
    for number, (since, _) in enumerate(due):
        names = [file_name(definition.name, schedule.every, since, form) for form in schedule.formats]
        there = [(folder / name).exists() for name in names]
        if any(there):
            return due[: number + (not all(there))][::-1]
    return due[:1]


def file_name(name: str, every: Every, since: date | str, form: Format) -> str:
    return f"{name}-{every}-{since}.{form}"


def placed(path: Path, written: bytes) -> bool:
    """Write the file; return False if another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    try:
        with hidden.open("xb") as file:
            file.write(written)
            file.flush()
            os.fsync(file.fileno())
        os.link(hidden, path)
    except FileExistsError:
        return False
    finally:
        hidden.unlink(missing_ok=True)
    return True
