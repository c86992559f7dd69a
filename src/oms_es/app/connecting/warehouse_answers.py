"""Answers of warehouse systems that exchange files: taken in as they appear, and moved out of the way.

Invariant: a file is moved only after what it says is recorded, so a crash in between takes it in again, and its answer
counts once. A file that is not whole is not read. What cannot be used is a dead letter, and its file lies in `rejected`
with the reason beside it, as does one that contradicts what is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import structlog
from pydantic_core import from_json, to_json

from oms_es.app.engine import Runtime
from oms_es.gateways.warehouse.folder import DONE, REJECTED, answer_files, move_whole, write_whole
from oms_es.gateways.warehouse.port import DIALECT, parse_answer
from oms_es.processing.intake.worker import Arrival, Intake, Outcome
from oms_es.processing.readers import NothingToSave, Worker
from oms_es.schemas.shipment import ShipmentPickDisputed
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.dead_letters import DeadLetter
from oms_es.store.log import NullFeed
from oms_es.store.store import Store

ROLE = "warehouse_answers"
FILES_MAX = 200
"""Files that are taken in one step."""
FILE_BYTES_MAX = 1_048_576
LOOK_SECONDS = 1.0
UNFINISHED_SECONDS = 30.0
"""For how long a file that is no JSON may still be being written, since it changed last."""

log = structlog.get_logger(__name__)
Result = Literal["taken", "repeated", "rejected", "unfinished"]


class Collected(NamedTuple):
    """Counts of answers. `unfinished`: still being written, and left for the next time."""

    taken: int = 0
    repeated: int = 0
    rejected: int = 0
    unfinished: int = 0


class WarehouseAnswers(NothingToSave):
    """A participant of the loop. Without a folder there is nothing to do."""

    name = ROLE
    batch_max = FILES_MAX

    def __init__(self, folder: Path | None, store: Store, timing: Timing = SYSTEM_TIMING) -> None:
        self.folder = folder
        self.timing = timing
        self.intake = Intake(ROLE, DIALECT, parse_answer, store, NullFeed(), tracked=False)
        self.intake.on_outcomes = self._note_outcomes
        self.intake.on_dead_letters = self._note_dead_letters
        self._looked = -LOOK_SECONDS
        self._problem = ""
        self._outcomes: Sequence[Outcome] = ()
        self._dead_letters: Sequence[DeadLetter] = ()

    def seek(self) -> None:
        """Look at once: what was taken in and not moved comes again."""
        self._looked = -LOOK_SECONDS

    def step(self) -> int:
        if self.folder is None or self.timing.monotonic() - self._looked < LOOK_SECONDS:
            return 0
        self._looked = self.timing.monotonic()
        collected = self.collect()
        return sum(collected) - collected.unfinished

    def collect(self) -> Collected:
        """Take in the answers that are there, up to FILES_MAX. A file that cannot be read or moved delays no other."""
        counts: dict[str, int] = dict.fromkeys(Collected._fields, 0)
        problem = ""
        for path in answer_files(self.folder, FILES_MAX) if self.folder else ():
            try:
                counts[self._take(path)] += 1
            except OSError as error:
                problem = str(error)
        if problem and problem != self._problem:
            log.warning("answers of warehouses cannot be read or moved", problem=problem)
        self._problem = problem
        return Collected(**counts)

    def collect_all(self) -> Collected:
        """Take in all answers that are there."""
        total = Collected()
        while True:
            found = self.collect()
            total = Collected(*(a + b for a, b in zip(total, found, strict=True)))._replace(unfinished=found.unfinished)
            if sum(found) == found.unfinished:
                return total

    def _take(self, path: Path) -> Result:
        try:
            with path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
            changed_at = path.stat().st_mtime
        except FileNotFoundError:
            return "repeated"  # another process was faster
        answer = _read(content)
        if answer is None and time.time() - changed_at < UNFINISHED_SECONDS and len(content) <= FILE_BYTES_MAX:
            return "unfinished"
        place = path.parent.parent
        said = content if answer is None else to_json({**answer, "location": place.name})
        self._note_outcomes(())
        self._note_dead_letters(())
        self.intake.take([Arrival(1, said, place=f"{place.name}/{path.name}")])
        if why := self._why_not():
            write_whole(place / REJECTED / f"{path.name}.reason.txt", f"{why}\n".encode())
            move_whole(path, place / REJECTED)
            log.warning("a warehouse's answer is not used", file=str(path), why=why)
            return "rejected"
        move_whole(path, place / DONE)
        return "taken" if any(outcome.events for outcome in self._outcomes) else "repeated"

    def _why_not(self) -> str:
        for letter in self._dead_letters:
            return letter.detail
        for outcome in self._outcomes:
            for recorded in outcome.events:
                if isinstance(recorded.event, ShipmentPickDisputed):
                    return recorded.event.detail
        return ""

    def _note_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes = outcomes

    def _note_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        self._dead_letters = dead_letters


def _read(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object; None if it is none, or too large."""
    if len(content) > FILE_BYTES_MAX:
        return None
    try:
        answer = from_json(content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def answering(folder: Path | None) -> Callable[[Runtime], Sequence[Worker]]:
    """Return what makes the worker for an engine; without a folder it has none."""
    return lambda runtime: [WarehouseAnswers(folder, runtime.store)] if folder else []
