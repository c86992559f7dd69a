"""Work that takes longer than a request: done in a thread of its own, and joined by who asks for the same again.

Invariant: one at a time, few wait; an answer is kept until it was given once, or until so many newer ones are there.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.processing.committer import Busy

WAITING_MAX = 4
KEPT_MAX = 20
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
    def __init__(self) -> None:
        self.progress = Progress()
        self.result: Future[Any] = Future()

    def running(self) -> dict[str, Any]:
        return {"state": "running", "done": self.progress.done, "total": self.progress.total}


class Background:
    """Used in one event loop. Threads do not keep the program from ending: whatever they do may be done again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._turn = threading.Lock()

    def find(self, key: Hashable) -> Job | None:
        return self._jobs.get(key)

    def job(self, key: Hashable, do: Callable[[Progress], Any]) -> Job:
        """The one that was begun before under this key, or a new one. Raises Busy."""
        if known := self._jobs.get(key):
            return known
        under_way = [one for one in self._jobs.values() if not one.result.done()]
        if len(under_way) > WAITING_MAX:
            raise Busy(f"{len(under_way)} like this are under way; ask again in a moment")
        self._forget_old()
        job = self._jobs[key] = Job()
        threading.Thread(target=self._work, args=(job, do), name=self.name, daemon=True).start()
        return job

    async def answer(self, key: Hashable, do: Callable[[Progress], Any], wait_seconds: float) -> Job:
        """Waits a moment for its end: what was given is forgotten, so that the next who asks begins again."""
        job = self.job(key, do)
        await asyncio.wait([asyncio.ensure_future(asyncio.wrap_future(job.result))], timeout=wait_seconds)
        if job.result.done() and self._jobs.get(key) is job:
            del self._jobs[key]
        return job

    def close(self) -> None:
        """Whatever is under way ends at its next step."""
        for job in self._jobs.values():
            job.progress.cancel()
        if self._turn.acquire(timeout=STOP_SECONDS):
            self._turn.release()

    def _forget_old(self) -> None:
        ended = [key for key, one in self._jobs.items() if one.result.done()]
        for key in ended[: max(len(ended) - KEPT_MAX, 0)]:
            del self._jobs[key]

    def _work(self, job: Job, do: Callable[[Progress], Any]) -> None:
        with self._turn:
            try:
                job.progress(0, 0)
                result = do(job.progress)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
                job.result.set_exception(error)
            else:
                job.result.set_result(result)
