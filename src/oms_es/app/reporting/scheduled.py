"""Which reports are due, from the folder of definitions, and what is made of one: pure but for reading that folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple, Self

from oms_es.aggregates.operations.report import Report
from oms_es.reports.delivering.delivery import MISSED_MAX
from oms_es.reports.figures.asking import Question, question
from oms_es.reports.figures.definition import Definition, read_file
from oms_es.reports.figures.schedule import Schedule
from oms_es.reports.figures.words import BadReport
from oms_es.schemas.operations.report import Destination
from oms_es.settings import Settings

DEFINITIONS_MAX = 200
"""Definitions in the folder; those beyond, in the order of their names, are a problem that is shown."""


class Places(NamedTuple):
    """Where definitions are, and where files are put; None for nowhere. `sender`: from whom messages are."""

    definitions: Path | None = None
    folder: Path | None = None
    mail: Path | None = None
    sender: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            settings.report_definitions_folder,
            settings.report_folder,
            settings.report_mail_folder,
            settings.report_mail_from,
        )


class Scheduled(NamedTuple):
    """A definition with its schedule."""

    definition: Definition
    schedule: Schedule

    @property
    def name(self) -> str:
        return self.definition.name


class Due(NamedTuple):
    """A report that is to be made: `since` is the first day of its period, `until` the day after its last."""

    scheduled: Scheduled
    since: date
    until: date

    @property
    def last_day(self) -> date:
        return self.until - timedelta(days=1)

    def asked(self, now: datetime) -> Question:
        """Return the question. Raise BadReport."""
        zone = self.scheduled.schedule.timezone
        return question(self.scheduled.definition, since=str(self.since), until=str(self.until), zone=zone, now=now)

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of a command about it."""
        every = self.scheduled.schedule.every
        return {"name": self.scheduled.name, "every": every, "first_day": str(self.since)}


def definitions_in(folder: Path) -> tuple[list[Scheduled], list[str]]:
    """Return the definitions with a schedule, each name once, and why others are not used. Raise OSError."""
    found: dict[str, Scheduled] = {}
    problems: list[str] = []
    files = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    for path in files[:DEFINITIONS_MAX]:
        try:
            looks = path.stat()
            if not S_ISREG(looks.st_mode):
                problems.append(f"{path} is no file")
                continue
            one = _read(path, (looks.st_mtime_ns, looks.st_size))
        except (BadReport, OSError) as error:
            problems.append(str(error))
            continue
        if one.schedule is None:
            problems.append(f'{path} has no schedule; add one, such as: schedule = {{ every = "day" }}')
        elif one.name in found:
            problems.append(f"{path} is called {one.name}, as another definition is; give it a name of its own")
        else:
            found[one.name] = Scheduled(one, one.schedule)
    if len(files) > DEFINITIONS_MAX:
        problems.append(f"{folder} has more than {DEFINITIONS_MAX} definitions; those beyond are not used")
    return list(found.values()), problems


@lru_cache(2 * DEFINITIONS_MAX)
def _read(path: Path, _looks: tuple[int, int]) -> Definition:
    """Return the definition, parsed once as long as the file looks the same. Raise BadReport."""
    return read_file(path)


def due(scheduled: Scheduled, report: Report, now: datetime) -> Iterator[Due]:
    """Yield what is due and was not made, the oldest first: of the newest MISSED_MAX periods those after the first that
    was ever made; if none was, the newest."""
    every = scheduled.schedule.every
    periods = [Due(scheduled, *one) for one in islice(scheduled.schedule.due(now), MISSED_MAX)]
    made = [day for kind, day in report.made if kind == every]
    if not made:
        yield from periods[:1]
        return
    first = min(made)
    yield from (
        one for one in reversed(periods) if str(one.since) > first and (every, str(one.since)) not in report.made
    )


def destinations(scheduled: Scheduled, places: Places) -> tuple[Destination, ...]:
    """Return where the files are to be put. Who is to be sent them is sent them, also before there is a folder."""
    folder: tuple[Destination, ...] = ("folder",) if places.folder else ()
    mail: tuple[Destination, ...] = ("mail",) if scheduled.schedule.mail_to else ()
    return folder + mail
