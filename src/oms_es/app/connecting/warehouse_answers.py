"""Answers of warehouse systems that exchange files: taken in as they appear, and moved out of the way.

Invariant: a file gets a name of ours before it is read for good, so that nothing else is moved than what was read; and
it is moved only after what it says is recorded, so a crash in between takes it in again, and its answer counts once. A
file that is not whole is not taken in. What cannot be used is a dead letter, and its file lies in `rejected` with the
reason beside it, as does one that contradicts what is known. A file or a folder that cannot be read delays no other,
and no other role.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import structlog
from pydantic_core import from_json, to_json

from oms_es.app.engine import Runtime
from oms_es.gateways.warehouse.folder import DONE, REJECTED, AnswerFile, answer_files
from oms_es.gateways.warehouse.port import DIALECT, parse_answer
from oms_es.gateways.warehouse.shared_files import (
    bounded,
    claim,
    claimed_name,
    is_claim,
    move_whole,
    shown,
    sweep,
    write_whole,
)
from oms_es.kernel import BadInput, Command
from oms_es.processing.intake.worker import Arrival, Intake, Outcome
from oms_es.processing.readers import NothingToSave, Stopped, Worker
from oms_es.schemas.shipment import AnswerPick, PickAnswer, ShipmentPickDisputed
from oms_es.store import stops
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.dead_letters import DeadLetter
from oms_es.store.log import NullFeed
from oms_es.store.recorder import PositionLost
from oms_es.store.store import OUTAGES, Store

ROLE = "warehouse_answers"
FILES_MAX = 200
"""Files that are taken in one step."""
FILE_BYTES_MAX = 1_048_576
LOOK_SECONDS = 1.0
UNFINISHED_SECONDS = 30.0
"""For how long a file that is no JSON may still be being written, since it was seen to change."""
CLAIM_SECONDS = 60.0
"""For how long another process may have a file that it has claimed."""
PUT_OFF_SECONDS_MAX = 60.0
"""The longest pause between attempts to take in a file, or to read a folder."""
WATCHED_MAX = 20_000
"""Files that are remembered: how long they have been as they are, and when to try them again."""

PASSED_ON: tuple[type[Exception], ...] = (PositionLost, *OUTAGES)
"""What the loop sees to."""

log = structlog.get_logger(__name__)
Result = Literal["taken", "repeated", "rejected", "unfinished"]


class Collected(NamedTuple):
    """Counts of answers. `unfinished`: still being written, and left for the next time. `failed`: they, or their
    folder, could not be read or moved, and are tried again."""

    taken: int = 0
    repeated: int = 0
    rejected: int = 0
    unfinished: int = 0
    failed: int = 0

    @property
    def progress(self) -> int:
        """Return how many files were moved out of the way."""
        return self.taken + self.repeated + self.rejected


class Watched(NamedTuple):
    """What is known of a file: its size and time, since when it has them, and when to try it again after a failure."""

    looks: tuple[int, int]
    since: float
    again_at: float = 0.0
    pause: float = 0.0


class WarehouseAnswers(NothingToSave):
    """A participant of the loop. Without a folder there is nothing to do."""

    name = ROLE
    batch_max = FILES_MAX

    def __init__(self, folder: Path | None, store: Store, timing: Timing = SYSTEM_TIMING) -> None:
        self.folder = folder
        self.store = store
        self.timing = timing
        self.note: Callable[[str], None] = lambda _problem: None
        """Given why the folder is not read, or an empty text, when it changes."""
        self.problem = ""
        self.intake = Intake(ROLE, DIALECT, parse_answer, store, NullFeed(), tracked=False)
        self.intake.on_outcomes = self._note_outcomes
        self.intake.on_dead_letters = self._note_dead_letters
        self._watched: dict[Path, Watched] = {}
        self._noted_bad: bool | None = None
        self._is_out = False
        self._at = Path()  # the file in hand, as it is named now
        self._outcomes: Sequence[Outcome] = ()
        self._dead_letters: Sequence[DeadLetter] = ()
        self._pause = 0.0
        self.seek()

    def seek(self) -> None:
        """Look at once: what was claimed and not moved is taken in again."""
        self._look_at = self.timing.monotonic()
        self._takes_claims = True

    def step(self) -> int:
        if self.folder is None or self.timing.monotonic() < self._look_at:
            return 0
        collected = self.collect()
        self._pause = min(PUT_OFF_SECONDS_MAX, 2 * self._pause or LOOK_SECONDS) if self._is_out else LOOK_SECONDS
        self._look_at = self.timing.monotonic() + (0.0 if collected.progress >= FILES_MAX else self._pause)
        return collected.progress

    def collect(self) -> Collected:
        """Take in the answers that are there, up to FILES_MAX. Raise Stopped for what is a mistake of ours."""
        try:
            return self._collect()
        except PASSED_ON:
            raise
        except Exception as error:
            raise Stopped({ROLE: error}) from error

    def collect_all(self) -> Collected:
        """Take in all answers that are there. Wait for files that are being written, until they are finished, or have
        not changed for UNFINISHED_SECONDS."""
        total = Collected()
        waits_until = self.timing.monotonic() + 2 * UNFINISHED_SECONDS
        while True:
            found = self.collect()
            total = Collected(*(a + b for a, b in zip(total, found, strict=True)))
            total = total._replace(unfinished=found.unfinished, failed=max(found.failed, len(self._put_off())))
            if not found.progress:
                if not found.unfinished or self.timing.monotonic() >= waits_until:
                    return total
                self.timing.sleep(min(LOOK_SECONDS, UNFINISHED_SECONDS))

    def _collect(self) -> Collected:
        counts: dict[str, int] = dict.fromkeys(Collected._fields, 0)
        problems: list[str] = []
        self._is_out = False
        is_due, self._takes_claims = partial(self._is_due, takes_claims=self._takes_claims), False
        try:
            found = list(answer_files(self.folder, FILES_MAX, is_due, self._failed_in(problems))) if self.folder else []
        except OSError as error:
            found, self._is_out, self._takes_claims = [], True, True
            problems.append(str(error))
        if not problems and len(found) < FILES_MAX:
            self._forget_what_is_gone({one.path for one in found})
        counts["failed"] = len(problems)
        for one in found:
            try:
                result = self._take(one)
            except PASSED_ON:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a file does to us, it must not stop the others
                self._put_off_file(one.path, error)
                problems.append(f"{shown(str(one.path))}: {error}")
                counts["failed"] += 1
            else:
                if result:
                    counts[result] += 1
        self._report(problems)
        return Collected(**counts)

    def _failed_in(self, problems: list[str]) -> Callable[[Path, OSError], None]:
        return lambda place, error: problems.append(f"{shown(str(place))}: {error}")

    def _is_due(self, path: Path, *, takes_claims: bool) -> bool:
        now, known = self.timing.monotonic(), self._watched.get(path)
        if known is None and is_claim(path) and not takes_claims:
            known = self._watch(path, Watched((-1, -1), now, now + CLAIM_SECONDS))
        return known is None or known.again_at <= now or (takes_claims and not known.pause)

    def _watch(self, path: Path, watched: Watched) -> Watched:
        if len(self._watched) >= WATCHED_MAX:
            self._watched.clear()
        self._watched[path] = watched
        return watched

    def _put_off_file(self, path: Path, error: Exception) -> None:
        now, at = self.timing.monotonic(), self._at
        known = self._watched.get(at) or self._watched.get(path) or Watched((-1, -1), now)
        pause = min(PUT_OFF_SECONDS_MAX, 2 * known.pause or LOOK_SECONDS)
        self._watch(at, known._replace(again_at=now + pause, pause=pause))
        log.warning("a warehouse's answer is put off", file=shown(str(path)), seconds=pause, problem=str(error))

    def _put_off(self) -> list[Path]:
        return [path for path, known in self._watched.items() if known.pause]

    def _forget_what_is_gone(self, found: AbstractSet[Path]) -> None:
        """What was put off and is not there when its time has come was moved or deleted by others."""
        now = self.timing.monotonic()
        gone = [path for path in self._put_off() if self._watched[path].again_at <= now and path not in found]
        for path in gone:
            del self._watched[path]

    def _report(self, problems: Sequence[str]) -> None:
        is_bad = bool(problems or self._put_off())
        self.problem = "; ".join(problems[:3]) or (self.problem if is_bad else "")
        if is_bad == self._noted_bad:
            return
        self._noted_bad = is_bad
        if is_bad:
            log.warning("answers of warehouses cannot be read or moved", problem=self.problem)
        self.note(self.problem)

    def _take(self, one: AnswerFile) -> Result | None:
        """Take in a file, and return what came of it; None if another process was faster."""
        path = self._at = one.path
        content = _content(path)
        if content is None:
            return None
        if not is_claim(path):
            if not self._is_finished(path, content):
                return "unfinished"
            claimed = claim(path)
            if claimed is None or (content := _content(claimed)) is None:
                return None
            known = self._watched.pop(path, Watched((-1, -1), self.timing.monotonic()))
            self._watch(claimed, known._replace(again_at=0.0))
            path = self._at = claimed
        if not self._is_finished(path, content):
            return "unfinished"
        result = self._recorded(one, path, content)
        self._watched.pop(path, None)
        return result

    def _is_finished(self, path: Path, content: bytes) -> bool:
        """Return whether a file is whole, or has not changed for so long that it stays as it is. The time is this
        process's: the clock of a share may be another one."""
        if len(content) > FILE_BYTES_MAX or _read(content) is not None:
            return True
        now, stat = self.timing.monotonic(), path.stat()
        looks, known = (stat.st_size, stat.st_mtime_ns), self._watched.get(path)
        if known is None or known.looks != looks:
            known = self._watch(path, Watched(looks, now))
        return now - known.since >= UNFINISHED_SECONDS

    def _recorded(self, one: AnswerFile, path: Path, content: bytes) -> Result:
        """Record what a file says, and move it."""
        name = claimed_name(path)
        self._note_outcomes(())
        self._note_dead_letters(())
        place = f"{one.location}/{shown(name)}"
        self.intake.take([Arrival(1, self._said(content, one.location), place=place)])
        if why := self._why_not():
            self._reject(one.place / REJECTED, path, name, why)
            return "rejected"
        move_whole(path, one.place / DONE, bounded(name))
        return "taken" if any(outcome.events for outcome in self._outcomes) else "repeated"

    def _reject(self, folder: Path, path: Path, name: str, why: str) -> None:
        """Move a file, and write the reason beside it: in this order, as the reason is recorded already."""
        log.warning("a warehouse's answer is not used", file=shown(str(folder / name)), why=why)
        moved = move_whole(path, folder, bounded(name))
        try:
            write_whole(folder / f"{moved}.reason.txt", f"{why}\n".encode("utf-8", "backslashreplace"))
            sweep(folder)
        except OSError as error:
            log.warning("the reason cannot be written", folder=shown(str(folder)), problem=str(error))

    def _said(self, content: bytes, location: str) -> bytes:
        """Return an answer with the location that gave it. One that states another one contradicts: then it has the
        one that was not asked."""
        answer = _read(content)
        if answer is None:
            return content
        stated = answer.get("location")
        if stated not in (None, location):
            with suppress(BadInput):
                state, _ = self.store.state_of(parse_answer(content).stream)
                return content if state.requested and state.requested.location == location else _with(answer, location)
            return content
        return _with(answer, location)

    def _why_not(self) -> str:
        """Return why an answer is not used, also if a process was killed after it had recorded that."""
        for letter in self._dead_letters:
            return letter.detail
        for outcome in self._outcomes:
            recorded = outcome.events or self.store.history(outcome.command.stream)
            for one in recorded:
                if isinstance(one.event, ShipmentPickDisputed) and _is_of(one.event, outcome.command):
                    return one.event.detail
        return ""

    def _note_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes = outcomes

    def _note_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        self._dead_letters = dead_letters


def _is_of(disputed: ShipmentPickDisputed, command: Command) -> bool:
    """Return whether this is the answer that was disputed: it may have come without its location."""
    assert isinstance(command, AnswerPick)
    names = PickAnswer.model_fields.keys() - {"location"}
    return all(getattr(disputed.answer, name) == getattr(command, name) for name in names)


def _with(answer: dict[str, Any], location: str) -> bytes:
    return to_json({**answer, "location": location})


def _content(path: Path) -> bytes | None:
    """Return what is in a file, up to a byte more than is taken; None if it is gone."""
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None


def _read(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object; None if it is none, or too large."""
    if len(content) > FILE_BYTES_MAX:
        return None
    try:
        answer = from_json(content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def answers_of(folder: Path | None, runtime: Runtime) -> WarehouseAnswers:
    worker = WarehouseAnswers(folder, runtime.store)
    worker.note = partial(stops.note_problem, runtime.database_url, ROLE)
    return worker


def answering(folder: Path | None) -> Callable[[Runtime], Sequence[Worker]]:
    """Return what makes the worker for an engine; without a folder it has none."""
    return lambda runtime: [answers_of(folder, runtime)] if folder else []
