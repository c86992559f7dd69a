"""The role that makes reports by their schedules, records them, and puts their files where others fetch them.

Invariant: a period of a report is recorded once, with files that were kept before and never change. One process has the
role, and others stand by. What is put into a folder is whole, and put there at least once: a kill, or a lost
connection, between writing a file and recording that writes the same file again. A report that fails delays no other,
and its problem is shown until it is made. Each round of reports is made in a thread of its own, beside the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from datetime import datetime
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import psycopg
import structlog
from psycopg.rows import dict_row

from oms_es.aggregates.operations.report import Report
from oms_es.app.engine import Runtime
from oms_es.app.reporting import mail
from oms_es.app.reporting.scheduled import Due, Places, Scheduled, definitions_in, destinations, due
from oms_es.errors import OmsError
from oms_es.kernel import Command
from oms_es.processing.readers import NothingToSave, Worker
from oms_es.reports import queries
from oms_es.reports.delivering.delivery import file_name, placed
from oms_es.reports.delivering.formats import MAKERS
from oms_es.reports.figures import answering
from oms_es.reports.figures.words import BadReport
from oms_es.schemas.operations.report import (
    Destination,
    Format,
    RecordReportDelivery,
    RecordReportFiles,
    ReportFile,
    ReportReady,
)
from oms_es.store import stops
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.documents import table as documents
from oms_es.store.encoding.codec import Cause

ROLE = "reporting"
LOOK_SECONDS = 10.0
"""How often it is looked for what is due."""
ROUND_MAX = 50
"""Reports, and files to put somewhere, of one round."""
PUT_OFF_SECONDS_MAX = 3_600.0
"""The longest pause before what failed is tried again."""
REPORT_SECONDS_MAX = 600
"""How long the database may take for one report."""
ROUND_SECONDS = 900.0
"""After so long a round that has not ended is shown as a problem, as the database or a folder may hang."""
LOCK = 8_414_200_121
"""One process has the role, others stand by: two would send the same message twice."""
LONG = "long"
"""The key of that problem."""
PROBLEMS_MAX = 3
"""Problems that are shown at once."""

log = structlog.get_logger(__name__)


class Put(NamedTuple):
    """Files that are to be put somewhere."""

    scheduled: Scheduled
    ready: ReportReady
    to: Destination


Task = Due | Put


class Done(NamedTuple):
    """What came of a task: the command that records it, or why there is none yet."""

    task: Task
    command: Command | None
    problem: str = ""


class NotSetUp(Exception):
    """A folder is not there, or a setting is missing. It ends within this role, as its problem."""


EXPLAINED = (OmsError, OSError, NotSetUp)
"""Errors that say what to do."""


def in_a_thread(work: Callable[[], None]) -> None:
    Thread(target=work, name=ROLE, daemon=True).start()


class Reporter(NothingToSave):
    """A participant of the loop. Without a folder of definitions there is nothing to do.

    `start`: begins a round of tasks beside the loop.
    """

    name = ROLE
    batch_max = ROUND_MAX

    def __init__(self, runtime: Runtime, places: Places, timing: Timing = SYSTEM_TIMING) -> None:
        self.runtime = runtime
        self.places = places
        self.timing = timing
        self.start: Callable[[Callable[[], None]], None] = in_a_thread
        self.note: Callable[[str], None] = partial(stops.note_problem, runtime.database_url, ROLE)
        self.problem = ""
        self._done: SimpleQueue[Done | None] = SimpleQueue()
        self._problems: dict[str, str] = {}
        self._again_at: dict[str, tuple[float, float]] = {}
        self._needs: dict[str, int] = {}
        self._noted: bool | None = None
        self._is_working = False
        self._began = 0.0
        self._session: psycopg.Connection[Any] | None = None
        self.seek()

    def seek(self) -> None:
        """Look at once."""
        self._look_at = self.timing.monotonic()

    def step(self) -> int:
        if self.places.definitions is None:
            return 0
        if self._is_working:
            return self._take()
        if self.timing.monotonic() < self._look_at:
            return 0
        self._look_at = self.timing.monotonic() + LOOK_SECONDS
        if not self._leads():
            return 0
        tasks = self._tasks(self.places.definitions)[:ROUND_MAX]
        if tasks:
            self._is_working, self._began = True, self.timing.monotonic()
            self.start(partial(self._work, tasks))
        self._report()
        return 0

    def close(self) -> None:
        """Let another process have the role."""
        if self._session is not None:
            session, self._session = self._session, None
            session.close()

    def _leads(self) -> bool:
        """Return whether this process has the role: it has as long as its session with the database lasts."""
        try:
            if self._session is not None:
                self._session.execute("SELECT")
                return True
            session = psycopg.connect(self.runtime.database_url, autocommit=True)
            row = session.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        except psycopg.OperationalError:
            self.close()
            return False
        if row is not None and row[0]:
            self._session = session
            return True
        session.close()
        return False

    def _tasks(self, folder: Path) -> list[Task]:
        """Return what is to be done now, and forget what was known of anything else."""
        try:
            found, unused = definitions_in(folder)
        except OSError as error:
            found, unused = [], [f"{folder} cannot be read: {error.strerror}; mount it, or correct the setting"]
        tasks = {key_of(task): task for one in found for task in self._tasks_of(one)}
        self._problems = {key: why for key, why in self._problems.items() if key in tasks}
        self._problems |= {str(number): why for number, why in enumerate(unused)}
        self._again_at = {key: at for key, at in self._again_at.items() if key in tasks}
        self._needs = {key: position for key, position in self._needs.items() if key in tasks}
        return [task for key, task in tasks.items() if self._is_due(key, task)]

    def _tasks_of(self, scheduled: Scheduled) -> Iterator[Task]:
        report: Report = self.runtime.store.state_of(f"report-{scheduled.name}")[0]
        for _, ready in sorted(report.waiting.items()):
            yield from (Put(scheduled, ready, to) for to in ready.deliver_to)
        yield from due(scheduled, report, self.runtime.clock())

    def _is_due(self, key: str, task: Task) -> bool:
        """Return whether to do it now: not before a pause after a failure, and not on facts that are older than when it
        fell due."""
        again_at, _ = self._again_at.get(key, (0.0, 0.0))
        if self.timing.monotonic() < again_at:
            return False
        return isinstance(task, Put) or self._has_facts(key, task)

    def _has_facts(self, key: str, one: Due) -> bool:
        needs = self._needs.setdefault(key, self.runtime.last_position())
        try:
            tables = one.asked(self.runtime.clock()).tables
        except BadReport:
            return True  # it is said where the report is made
        if self.runtime.shown_up_to(frozenset(tables)) >= needs:
            return True
        self._problems[key] = f"{words_of(one)} waits for {', '.join(tables)}, which are behind"
        return False

    def _work(self, tasks: Sequence[Task]) -> None:
        """Do the tasks, whatever comes of each; beside the loop."""
        try:
            self._work_on(tasks)
        finally:
            self._done.put(None)

    def _work_on(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            try:
                self._done.put(Done(task, self._made(task) if isinstance(task, Due) else self._put(task)))
            except Exception as error:  # noqa: BLE001 - whatever a report does to us, it must not stop the others
                said = str(error) if isinstance(error, EXPLAINED) else f"{type(error).__name__}: {error}"
                self._done.put(Done(task, None, said))

    def _take(self) -> int:
        """Record what was done meanwhile."""
        taken = 0
        while True:
            try:
                done = self._done.get_nowait()
            except Empty:
                self._note_long_round()
                return taken
            if done is None:
                self._is_working, self._look_at = False, self.timing.monotonic()
                self._report()
                return taken
            self._record(done)
            taken += 1

    def _note_long_round(self) -> None:
        minutes = (self.timing.monotonic() - self._began) / 60
        if 60 * minutes > ROUND_SECONDS and LONG not in self._problems:
            self._problems[LONG] = "reports are at work for long; does the database or a folder hang?"
            self._report()

    def _record(self, done: Done) -> None:
        key, problem = key_of(done.task), done.problem
        if isinstance(done.command, RecordReportFiles):
            state: Report = self.runtime.store.state_of(done.command.stream)[0]
            if (done.command.every, done.command.first_day) in state.made:
                return  # another process was first: these files go as others that no event names
            problem = self._why_not_claimed(done.command)
        if done.command is None or problem:
            self._put_off(done.task, key, problem)
            return
        self._again_at.pop(key, None)
        self._problems.pop(key, None)
        recorded = self.runtime.append([(Cause(ROLE), [done.command])])
        if recorded:
            made = "a report was made" if isinstance(done.task, Due) else "a report was put"
            log.info(made, report=words_of(done.task))

    def _put_off(self, task: Task, key: str, problem: str) -> None:
        _, pause = self._again_at.get(key, (0.0, 0.0))
        pause = min(PUT_OFF_SECONDS_MAX, 2 * pause or LOOK_SECONDS)
        self._again_at[key] = (self.timing.monotonic() + pause, pause)
        self._problems[key] = f"{words_of(task)}: {problem}"
        log.warning("a report is put off", report=words_of(task), seconds=pause, problem=problem)

    def _why_not_claimed(self, command: RecordReportFiles) -> str:
        """Have the files kept for good, and return why that cannot be."""
        with psycopg.connect(self.runtime.database_url, row_factory=dict_row, autocommit=True) as connection:
            for file in command.files:
                if not documents.claim(connection, file.sha256):
                    return f"a person removed a document with the bytes of its {file.format}; choose other formats"
        return ""

    def _report(self) -> None:
        shown = list(self._problems.values())
        more = f"; and {len(shown) - PROBLEMS_MAX} more" if len(shown) > PROBLEMS_MAX else ""
        problem = "; ".join(shown[:PROBLEMS_MAX]) + more
        if problem != self.problem or self._noted is None:
            self.problem, self._noted = problem, bool(problem)
            self.note(problem)

    def _made(self, one: Due) -> Command:
        """Make the files of a report and keep them. Raise whatever keeps it from being made."""
        now = self.runtime.clock()
        with self._reading() as connection:
            connection.execute(f"SET statement_timeout = '{REPORT_SECONDS_MAX}s'".encode())
            found = answering.answer(connection, one.asked(now))
        schedule = one.scheduled.schedule
        kept = [(form, self._kept(MAKERS[form](found), now)) for form in schedule.formats]
        return RecordReportFiles(
            **one.fields,
            title=one.scheduled.definition.title,
            last_day=str(one.last_day),
            timezone=schedule.timezone,
            made_at=now,
            files=tuple(ReportFile(format=form, sha256=one.sha256, byte_count=one.byte_count) for form, one in kept),
            deliver_to=destinations(one.scheduled, self.places),
        )

    def _kept(self, content: bytes, now: datetime) -> documents.Kept:
        with closing(documents.Receiver(documents.KEPT_BYTES_MAX)) as receiver:
            receiver.take(content)
            with psycopg.connect(self.runtime.database_url) as connection:
                return documents.add(connection, receiver.received(), now)

    def _put(self, one: Put) -> Command:
        """Put the files where they are to be. Raise NotSetUp, OSError, or what reading them raises."""
        files = [(file.format, self._content(file.sha256)) for file in one.ready.files]
        if one.to == "folder":
            self._put_files(one.ready, files)
        else:
            self._put_message(one, files)
        named = {name: getattr(one.ready, name) for name in ("name", "every", "first_day")}
        return RecordReportDelivery(**named, to=one.to)

    def _put_files(self, ready: ReportReady, files: Sequence[tuple[Format, bytes]]) -> None:
        folder = required(self.places.folder, "OMS_REPORT_FOLDER")
        for form, content in files:
            path = folder / file_name(ready.name, ready.every, ready.first_day, form)
            if not placed(path, content) and path.read_bytes() != content:
                raise NotSetUp(f"{path} is there with other bytes; move it away")

    def _put_message(self, one: Put, files: Sequence[tuple[Format, bytes]]) -> None:
        folder = required(self.places.mail, "OMS_REPORT_MAIL_FOLDER")
        receivers = one.scheduled.schedule.mail_to
        if not self.places.sender:
            raise NotSetUp("a message needs a sender: name one in OMS_REPORT_MAIL_FROM")
        if not receivers:
            raise NotSetUp("it is to be sent, and its definition names no one any more: add mail_to to its schedule")
        written = mail.message(one.ready, files, self.places.sender, receivers)
        placed(folder / f"{mail.named(one.ready)}.eml", written)

    def _content(self, address: str) -> bytes:
        with self._reading() as connection:
            kept = documents.look(connection, address)
        return b"".join(documents.pieces(self._reading, kept))

    def _reading(self) -> AbstractContextManager[queries.Connection]:
        return queries.reading(self.runtime.database_url)


def required(folder: Path | None, setting: str) -> Path:
    """Return a folder that is there: none is made, as it may be one that is not mounted. Raise NotSetUp."""
    if folder is None or not folder.is_dir():
        raise NotSetUp(
            f"{folder or setting} is not there; mount it, or correct {setting}" if folder else f"set {setting}"
        )
    return folder


def key_of(task: Task) -> str:
    if isinstance(task, Due):
        return f"{task.scheduled.name}/{task.scheduled.schedule.every}/{task.since}"
    return f"{task.ready.name}/{task.ready.every}/{task.ready.first_day}/{task.to}"


def words_of(task: Task) -> str:
    if isinstance(task, Due):
        return f"{task.scheduled.name} of {task.since}"
    return f"{task.ready.name} of {task.ready.first_day} to the {task.to} folder"


def reporting(places: Places) -> Callable[[Runtime], Sequence[Worker]]:
    """Return what makes the worker for an engine; without definitions it has none."""
    return lambda runtime: [Reporter(runtime, places)] if places.definitions else []
