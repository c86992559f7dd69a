"""Work that takes longer than a request: done in a thread of its own, and joined by who asks for the same again.

Invariant: one at a time, few wait, and one of each caller. The same request joins what is under way until its answer
was given; by its id, an answer can be read for a minute after its end. Then it is forgotten, given or not.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.processing.committer import Busy

WAITING_MAX = 4
OF_ONE_CALLER_MAX = 1
"""Under way: what one asks for keeps no one else waiting for long."""
KEPT_MAX = 20
KEPT_SECONDS = 60.0
"""After its end: the same request a day later is a new one."""
STOP_SECONDS = 1.0


class Cancelled(OmsError):
    """The work was ended before it was done: ask for it again."""

    code = "cancelled"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.CONFLICT


class Progress:
    """How far it is. Given to the work, which says so and learns whether it is to end."""

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self._cancelled = threading.Event()

    def __call__(self, done: int, total: int) -> None:
        """Raises Cancelled."""
        self.done, self.total = done, total
        if self._cancelled.is_set():
            raise Cancelled("it was ended before it was done; ask for it again")

    def cancel(self) -> None:
        self._cancelled.set()


class Job:
    def __init__(self, key: Hashable, caller: str) -> None:
        self.id = secrets.token_hex(16)
        self.key = key
        self.caller = caller
        self.began_at = datetime.now(UTC)
        self.progress = Progress()
        self.result: Future[Any] = Future()
        self.ended_at: float | None = None

    def running(self) -> dict[str, Any]:
        return {"state": "running", "job": self.id, "done": self.progress.done, "total": self.progress.total}


class Background:
    """Used in one event loop. Threads do not keep the program from ending: whatever they do may be done again."""

    def __init__(self, name: str, kept_seconds: float = KEPT_SECONDS) -> None:
        self.name = name
        self.kept_seconds = kept_seconds
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._joined: dict[Hashable, Job] = {}
        """By what was asked for, until the answer was given."""
        self._turn = threading.Lock()

    def find(self, job_id: str, caller: str) -> Job | None:
        """One that the caller began, under way or ended a moment ago."""
        self._forget_old()
        job = self._jobs.get(job_id)
        return job if job and job.caller == caller else None

    def latest(self, key: Hashable) -> Job | None:
        """The one that was begun last under this key, by anyone, unless it is forgotten."""
        self._forget_old()
        return next((job for job in reversed(self._jobs.values()) if job.key == key), None)

    def again(self, key: Hashable, caller: str, do: Callable[[Progress], Any]) -> Job:
        """The one that is under way, or a new one where that has ended. Raises Busy."""
        if (known := self._joined.get(key)) and known.result.done():
            self._leave(known)
        return self.job(key, caller, do)

    def job(self, key: Hashable, caller: str, do: Callable[[Progress], Any]) -> Job:
        """The one that was begun before under this key, or a new one. Raises Busy."""
        self._forget_old()
        if known := self._joined.get(key):
            return known
        under_way = self._under_way()
        if sum(one.caller == caller for one in under_way) >= OF_ONE_CALLER_MAX:
            raise Busy("another request of yours is under way; wait for its answer, then ask again")
        self._require_room(under_way)
        job = Job(key, caller)
        self._jobs[job.id] = self._joined[key] = job
        threading.Thread(target=self._work, args=(job, do), name=self.name, daemon=True).start()
        return job

    def require_room(self, caller: str) -> None:
        """Before a large body is read; who has one under way may be asking for it. Raises Busy."""
        under_way = self._under_way()
        if all(one.caller != caller for one in under_way):
            self._require_room(under_way)

    async def ended(self, job: Job, wait_seconds: float) -> bool:
        """Waits a moment for its end. Its answer is given then, and the same request begins again."""
        waited = asyncio.wrap_future(job.result)
        waited.add_done_callback(_retrieve)
        await asyncio.wait([waited], timeout=wait_seconds)
        if not job.result.done():
            return False
        self._leave(job)
        return True

    def close(self) -> None:
        """Whatever is under way ends at its next step."""
        for job in self._jobs.values():
            job.progress.cancel()
        if self._turn.acquire(timeout=STOP_SECONDS):
            self._turn.release()

    def _under_way(self) -> list[Job]:
        return [one for one in self._jobs.values() if not one.result.done()]

    @staticmethod
    def _require_room(under_way: list[Job]) -> None:
        if len(under_way) > WAITING_MAX:
            raise Busy(f"{len(under_way)} like this are under way; ask again in a moment")

    def _leave(self, job: Job) -> None:
        if self._joined.get(job.key) is job:
            del self._joined[job.key]

    def _forget_old(self) -> None:
        before = time.monotonic() - self.kept_seconds
        ended = [one for one in self._jobs.values() if one.ended_at is not None]
        too_many = max(len(ended) - KEPT_MAX, 0)
        for number, one in enumerate(ended):
            if number < too_many or (one.ended_at or 0.0) < before:
                self._leave(one)
                del self._jobs[one.id]

    def _work(self, job: Job, do: Callable[[Progress], Any]) -> None:
        with self._turn:
            try:
                job.progress(0, 0)
                result = do(job.progress)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
                job.ended_at = time.monotonic()
                job.result.set_exception(error)
            else:
                job.ended_at = time.monotonic()
                job.result.set_result(result)


def _retrieve(waited: asyncio.Future[Any]) -> None:
    """What no one retrieves is logged with a traceback, and that may hold what was sent."""
    if not waited.cancelled():
        waited.exception()
