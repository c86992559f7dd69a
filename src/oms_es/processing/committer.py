"""Group commit: a caller is answered when the transaction with its command is durable, and shares it with others.

Invariant: each work is answered once, with what its own command came to; nothing of a batch is answered before it is
committed. While a transaction waits for the disk the next batch gathers; there is no timer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import BadInput, Command
from oms_es.processing.intake.screening import Screen
from oms_es.processing.metrics import COMMITTER_WAITING, timed
from oms_es.store.encoding.codec import Cause
from oms_es.store.http.tables import Kept, KeyTaken
from oms_es.store.outcomes import MoreRows, Outcome, Request, no_more_rows
from oms_es.store.store import OUTAGES

BATCH_MAX = 500
"""Works of one transaction."""
WAITING_MAX = 2_000
"""Works that wait for one: later requests are asked to retry."""
BUSY_SECONDS = 1
TRIES_MAX = 3
ROLE = "committer"

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Busy(OmsError):
    """More waits than is taken at once; nothing of the request has happened, and it may be sent again."""

    code = "busy"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class KeyReused(OmsError):
    """The Idempotency-Key was sent before with another request; give every request a key of its own."""

    code = "idempotency_key_reused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Key(NamedTuple):
    """An Idempotency-Key: a caller's name for one request."""

    caller: str
    name: str
    request_sha256: bytes


class Work(NamedTuple):
    """`check` raises what speaks against it, and is asked in the thread that may ask the store."""

    cause: Cause
    command: Command
    check: Callable[[], None]
    version: int | None = None
    key: Key | None = None


class Done(NamedTuple):
    """`outcome`: None for what was done before, under the same key. `position`: of its last event, if it has any."""

    stream: str
    version: int
    position: int | None
    outcome: Outcome | None


Answer = Done | Exception


class Deciding(Protocol):
    """The part of the store that is used here."""

    clock: Callable[[], datetime]

    def execute_each(self, requests: Sequence[Request], beside: MoreRows = no_more_rows) -> list[Outcome]: ...


class Keys(Protocol):
    """Stores the answer of each request under its Idempotency-Key. `keep` raises KeyTaken."""

    def under(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Kept]: ...
    def keep(self, transaction: Any, kept: Sequence[Kept], now: datetime) -> None: ...


class Committer:
    """`start` and `stop` it in a running event loop. The store is used in its one thread only."""

    def __init__(self, answering: Answering, waiting_max: int = WAITING_MAX) -> None:
        self.answering = answering
        self.waiting_max = waiting_max
        self.waiting: deque[tuple[Work, asyncio.Future[Answer]]] = deque()
        self._filled = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "committer")
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Accept no more requests; those that wait are still committed and answered."""
        self._ended = True
        self._filled.set()
        if self._task:
            await self._task
        self._thread.shutdown()

    async def commit(self, work: Work) -> Done:
        """Commit one request. Raises what deciding it raises, and Busy without waiting."""
        (answer,) = await self.commit_all([work])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def commit_all(self, works: Sequence[Work]) -> list[Answer]:
        """Commit several independent requests, each with its own answer. Raises Busy."""
        if self._ended or len(self.waiting) + len(works) > self.waiting_max:
            raise Busy(f"{len(self.waiting)} requests wait already; send it again in {BUSY_SECONDS} s")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Answer]] = [loop.create_future() for _ in works]
        self.waiting.extend(zip(works, futures, strict=True))
        self._filled.set()
        return [await future for future in futures]

    async def ask(self, question: Callable[[], T]) -> T:
        """Run a function in the store's thread, between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    async def _run(self) -> None:
        while self.waiting or not self._ended:
            self._filled.clear()
            COMMITTER_WAITING.set(len(self.waiting))
            if batch := next_batch(self.waiting):
                with timed(ROLE) as counted:
                    answers = await self.ask(partial(self.answering.answers, [work for work, _ in batch]))
                    counted(len(batch))
                for (_, future), answer in zip(batch, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
            elif not self._ended:
                await self._filled.wait()


def next_batch(waiting: deque[tuple[Work, T]]) -> list[tuple[Work, T]]:
    """One work per stream and per key, taken from those that wait: what came later waits for what came first."""
    batch: list[tuple[Work, T]] = []
    later: list[tuple[Work, T]] = []
    taken: set[object] = set()
    while waiting and len(batch) + len(later) < BATCH_MAX:
        one = waiting.popleft()
        names = {one[0].command.stream, *([one[0].key[:2]] if one[0].key else [])}
        (later if names & taken else batch).append(one)
        taken |= names
    waiting.extendleft(reversed(later))
    return batch


class Answering:
    """Decides the requests of a batch in one transaction, each with an answer of its own."""

    def __init__(self, store: Deciding, screen: Screen, keys: Keys) -> None:
        self.store = store
        self.screen = screen
        self.keys = keys

    def answers(self, works: Sequence[Work]) -> Sequence[Answer]:
        """The answer of each request. Never raises: an error of one request must not fail the others."""
        for _ in range(TRIES_MAX):
            try:
                return self._committed(works)
            except KeyTaken:
                continue
            except OUTAGES as error:
                return [error] * len(works)
            except Exception as error:  # one of them, or the program, has a mistake
                if len(works) > 1:
                    return [self.answers([work])[0] for work in works]
                log.exception("a request failed", command=type(works[0].command).__name__)
                return [error]
        return [Busy("the same key is being used elsewhere; send it again")] * len(works)

    def _committed(self, works: Sequence[Work]) -> Sequence[Answer]:
        before = self._done_before(works)
        answers: dict[int, Answer] = {
            number: answer for number, work in enumerate(works) if (answer := self._early(work, before)) is not None
        }
        left = [number for number in range(len(works)) if number not in answers]
        requests: dict[int, Request] = {}
        for number, given in zip(left, self.screen([works[n].command for n in left]) if left else (), strict=True):
            if isinstance(given, BadInput):
                answers[number] = given
            else:
                requests[number] = Request(works[number].cause, given, works[number].version)
        if requests:
            keys = {requests[n].stream: key for n in requests if (key := works[n].key)}
            outcomes = self.store.execute_each(list(requests.values()), self._keeping(keys))
            answers |= {n: _answer(requests[n].stream, o) for n, o in zip(requests, outcomes, strict=True)}
        return [answers[number] for number in range(len(works))]

    def _early(self, work: Work, before: Mapping[tuple[str, str], Kept]) -> Answer | None:
        """An answer that needs no decision: the one stored under the key, or a conflict about it."""
        if work.key and (kept := before.get(work.key[:2])):
            if kept.request_sha256 == work.key.request_sha256:
                return Done(kept.stream, kept.version, kept.position, None)
            return KeyReused("this Idempotency-Key was sent before with another request; use a new one")
        try:
            work.check()
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - it is its answer
            return error
        return None

    def _done_before(self, works: Sequence[Work]) -> Mapping[tuple[str, str], Kept]:
        keys = [work.key[:2] for work in works if work.key]
        return self.keys.under(keys) if keys else {}

    def _keeping(self, keys: Mapping[str, Key]) -> MoreRows:
        """Stores answers under their keys in the same transaction; refusals are not stored."""
        if not keys:
            return no_more_rows

        def beside(transaction: Any, outcomes: Mapping[str, Outcome]) -> None:
            done = {stream: outcomes[stream] for stream in keys if outcomes[stream].refused is None}
            kept = [
                Kept(
                    *keys[stream], stream, outcome.version, outcome.recorded[-1].position if outcome.recorded else None
                )
                for stream, outcome in done.items()
            ]
            if kept:
                self.keys.keep(transaction, kept, self.store.clock())

        return beside


def _answer(stream: str, outcome: Outcome) -> Answer:
    if outcome.refused:
        return outcome.refused
    return Done(stream, outcome.version, outcome.recorded[-1].position if outcome.recorded else None, outcome)
