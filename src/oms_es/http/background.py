"""Jobs that take longer than a request: each runs in a thread, and a repeated request joins the job that runs already.

Invariant: one job runs at a time, few wait, and a caller has one at most. A repeated request joins the job until its
answer was delivered. The answer can also be read by the job's id for a minute after its end; then it is forgotten,
delivered or not.
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
"""Jobs that a caller may have unfinished at once, so that no caller keeps the others waiting for long."""
KEPT_MAX = 20
KEPT_SECONDS = 60.0
"""How long a job is kept after its end. The same request after that begins a new job."""
STOP_SECONDS = 1.0


class Cancelled(OmsError):
    """The work was ended before it was done: ask for it again."""

    code = "cancelled"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.CONFLICT


class Progress:
    """The progress of a job. The job reports it here, and learns here whether it was cancelled."""

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self._cancelled = threading.Event()

    def __call__(self, done: int, total: int) -> None:
        """Record that `done` of `total` events are processed. Raise Cancelled if the job was cancelled."""
        self.done, self.total = done, total
        if self._cancelled.is_set():
            raise Cancelled("it was cancelled before it was done; send the request again")

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
    """The jobs of one event loop.

    Their threads are daemons, which do not keep the program from ending: whatever they do may be repeated.
    """

    def __init__(self, name: str, kept_seconds: float = KEPT_SECONDS) -> None:
        self.name = name
        self.kept_seconds = kept_seconds
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._joined: dict[Hashable, Job] = {}
        """Jobs by the request that began them, until their answer was delivered."""
        self._turn = threading.Lock()

    def find(self, job_id: str, caller: str) -> Job | None:
        """Return the job with this id, unfinished or recently ended, if this caller began it; else None."""
        self._forget_old()
        job = self._jobs.get(job_id)
        return job if job and job.caller == caller else None

    def latest(self, key: Hashable) -> Job | None:
        """Return the newest job under this key, begun by any caller, or None if it is forgotten."""
        self._forget_old()
        return next((job for job in reversed(self._jobs.values()) if job.key == key), None)

    def again(self, key: Hashable, caller: str, do: Callable[[Progress], Any]) -> Job:
        """Return the unfinished job under this key, or begin a new one if the last has ended. Raise Busy."""
        if (known := self._joined.get(key)) and known.result.done():
            self._leave(known)
        return self.job(key, caller, do)

    def job(self, key: Hashable, caller: str, do: Callable[[Progress], Any]) -> Job:
        """Return the job that was begun under this key, or begin a new one. Raise Busy if too many are unfinished."""
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
        """Raise Busy if a new job would be refused; checked before a large body is read.

        A caller with an unfinished job is let through, since the request may join that job.
        """
        under_way = self._under_way()
        if all(one.caller != caller for one in under_way):
            self._require_room(under_way)

    async def ended(self, job: Job, wait_seconds: float) -> bool:
        """Wait up to `wait_seconds` and return whether the job has ended.

        If so, its answer counts as delivered, and the same request begins a new job.
        """
        waited = asyncio.wrap_future(job.result)
        waited.add_done_callback(_retrieve)
        await asyncio.wait([waited], timeout=wait_seconds)
        if not job.result.done():
            return False
        self._leave(job)
        return True

    def close(self) -> None:
        """Cancel every job; each ends at its next step."""
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
    """Retrieve the exception of a job: asyncio logs one that was never retrieved, and its traceback may hold what was
    sent."""
    if not waited.cancelled():
        waited.exception()
