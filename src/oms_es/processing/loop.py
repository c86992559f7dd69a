"""The loop: everything with a position takes its next batch, until there is nothing left, or for ever.

Invariant: what a batch brings about and the position it leads to are one transaction, so effects happen exactly once;
a consumer never sees rows older than the event it reacts to.

A command that follows from an event and is refused is put aside for a person; the rest continues. Any other failure on
an event of our own is a bug: its consumer stops before the failing event and logs it. Input from outside that cannot be
processed becomes a dead letter; the rest continues.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from types import FrameType

import structlog

from oms_es.database.reasons import is_disk_full
from oms_es.kernel import GatewayUnavailable, WaitsForEngine
from oms_es.processing.gateway_worker import GatewayWorker
from oms_es.processing.readers import DELIVERIES_PER_ITERATION_MAX, FeedReader, Stopped, Stopping, Waiter, Worker
from oms_es.store.archive.files import UNREADABLE
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.recorder import Move, PositionLost
from oms_es.store.store import OUTAGES

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0

BACKGROUND_SECONDS = 0.05
"""As long may what is for people be older than what is decided: they take in one transaction what came meanwhile."""

REST_SECONDS_MAX = 1.0
"""Of a rest at once, without looking whether the end is asked for."""
OUTAGE_SECONDS_MAX = 10.0
"""The longest pause between attempts while the database, or a gateway, does not answer."""


class Loop:
    """`refresh` is called once per iteration, before any worker takes a step.

    `note` is given who had to stop, and why, whenever that has changed.

    `background` names workers on whose steps no others depend: within a turn they go on in a thread of their own,
    while the others wait for the database, and the order in which everything is decided stays the same. They begin
    when the others have nothing to do, or BACKGROUND_SECONDS after these had something to do.

    `save` moves the positions of those who rest, and gives the names of those that have moved: when no one has anything
    to do, and after every turn where they are `waited_for` by other processes, whose facts have to be as new.

    `forget` is given, in every iteration, the position that all readers have passed.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        waiter: Waiter,
        poll_seconds: float = POLL_SECONDS,
        refresh: Callable[[], None] = lambda: None,
        timing: Timing = SYSTEM_TIMING,
        background: frozenset[str] = frozenset(),
        *,
        waited_for: bool = False,
        note: Callable[[Mapping[str, BaseException]], None] = lambda _causes: None,
        save: Callable[[Sequence[Move]], Iterable[str]],
        forget: Callable[[int], None] | None = None,
    ) -> None:
        self.timing = timing
        self.refresh = refresh
        self.note = note
        self.save = save
        self.forget = forget
        self.waited_for = waited_for
        self._noted: frozenset[str] = frozenset()
        self.workers = workers
        self._foreground = [worker for worker in workers if worker.name not in background]
        self._background = [worker for worker in workers if worker.name in background]
        self._thread = ThreadPoolExecutor(1, "background") if self._background else None
        self._waiting_since: float | None = None  # those in the background, for what the others have done
        self.waiter = waiter
        self.poll_seconds = poll_seconds
        self.stopped: dict[str, BaseException] = {}
        self.last_iteration_at = timing.monotonic()
        self.stopping: Stopping = threading.Event()
        self.ends_when_stopped = False
        self.outage = ""
        self._all_stepped = True  # in the last turn
        self._paused_until: dict[str, float] = {}
        self._unanswered: set[str] = set()
        self._pauses: dict[str, float] = {}

    def seek(self) -> None:
        for worker in self.workers:
            worker.seek()

    def iterate(self) -> int:
        """A few batches for every worker; how many deliveries there were, and 0 only if no position has moved."""
        self.last_iteration_at = self.timing.monotonic()
        if self.forget and (readers := self.readers()):
            self.forget(min(reader.seen for reader in readers))
        self.refresh()
        taken = self._step_all()
        if self.waited_for:
            taken += self._save_positions()
        if (stop_causes := self.stop_causes()) and stop_causes.keys() != self._noted:
            self.note(stop_causes)
            self._noted = frozenset(stop_causes)
        return taken

    def _step_all(self) -> int:
        self._all_stepped = True
        if self._thread is None:
            return self._steps(self._foreground)
        if self._waiting_since is not None and self.timing.monotonic() - self._waiting_since >= BACKGROUND_SECONDS:
            return self._all_steps(self._thread)
        taken = self._steps(self._foreground)
        if taken:
            self._waiting_since = self._waiting_since or self.timing.monotonic()
            self._all_stepped = False
            return taken
        self._waiting_since = None
        return self._steps(self._background)

    def _all_steps(self, thread: ThreadPoolExecutor) -> int:
        background = thread.submit(self._steps, self._background)
        try:
            taken = self._steps(self._foreground)
        finally:
            wait([background])
        self._waiting_since = self.timing.monotonic() if taken else None
        return taken + background.result()

    def close(self) -> None:
        if self._thread:
            self._thread.shutdown()

    def readers(self) -> list[FeedReader]:
        """The workers that follow a feed of events."""
        return [worker for worker in self.workers if isinstance(worker, FeedReader)]

    def paused(self) -> list[str]:
        """The gateways that do not answer at the moment, or not every request; they are tried again. One that waits for
        what the engine is about to do is none of them."""
        holding = [w.name for w in self.workers if isinstance(w, GatewayWorker) and w.held and w.is_unanswered]
        return sorted({*self._unanswered, *holding})

    def behind(self, end: int) -> int:
        """Return how many events the slowest running reader has not seen, of a log that ends at this position."""
        waiting = {*self.stopped, *self._paused_until}
        return end - min((reader.seen for reader in self.readers() if reader.name not in waiting), default=end)

    def run_until_idle(self) -> int:
        """Run until nothing is left to do; return the number of deliveries. Raise Stopped if a reader had to stop."""
        total = 0
        while taken := self.iterate() or self._wait_for_gateways():
            total += taken
        if self.stopped:
            raise Stopped(self.stopped)
        self._save_positions()
        return total

    def run(self, stopping: Stopping) -> None:
        """Run until `stopping` is set, or a worker had to stop and that ends the loop; the current batch is finished
        first. Raise Stopped at the end if any worker had to stop."""
        self.stopping = stopping
        outage_seconds = 0.0
        while not (stopping.is_set() or (self.ends_when_stopped and self.stop_causes())):
            try:
                if not self.iterate():
                    self._save_positions()
                    self._rest(stopping)
                if self._all_stepped:  # what is for people may be all that the disk has no room for
                    outage_seconds, self.outage = 0.0, ""
            except OUTAGES as error:
                outage_seconds = min(OUTAGE_SECONDS_MAX, 2 * outage_seconds or self.poll_seconds)
                self.outage = what = _outage(error)
                log.warning(what, retry_in_seconds=outage_seconds, error=str(error))
                stopping.wait(outage_seconds)
                self._seek_after_outage()
        with suppress(*OUTAGES):
            self._save_positions()
        if self.stopped or (self.ends_when_stopped and self.stop_causes()):
            raise Stopped(self.stop_causes())

    def _rest(self, stopping: Stopping) -> None:
        """Wait for a notification, for `poll_seconds` at most; a request to stop is noticed after a part of that."""
        left = self.poll_seconds
        while left > 0 and not stopping.is_set() and not self.waiter.wait(min(left, REST_SECONDS_MAX)):
            left -= REST_SECONDS_MAX

    def stop_causes(self) -> dict[str, BaseException]:
        """Why each stopped worker has stopped, by its name."""
        parts = {f"{p.name}@{at}": why for p in self.workers for at, why in getattr(p, "stopped", {}).items()}
        return {**self.stopped, **parts}

    def _steps(self, workers: Iterable[Worker]) -> int:
        return sum(self._step(worker) for worker in workers)

    def _step(self, worker: Worker) -> int:
        name = worker.name
        if name in self.stopped or (name in self._paused_until and self.timing.monotonic() < self._paused_until[name]):
            return 0
        try:
            taken = self._batches(worker)
        except PositionLost as lost:
            log.warning("position moved by another worker, seeking", consumer=name, reason=str(lost))
            worker.seek()
            return 1  # there may be more after the place where it stands now
        except GatewayUnavailable as error:
            self._pause(name, error)
            return 0
        except Stopped as stopped:
            self.stopped.update(stopped.causes)
            self._go_on(name)
            log.critical("stopped: repair the cause, then start it again", consumer=name, error=str(stopped))
            return 0
        self._go_on(name)
        return taken

    def _batches(self, worker: Worker) -> int:
        """One after the other, as long as they are full, and the loop is not asked to end."""
        taken, last = 0, worker.batch_max
        while last >= worker.batch_max and taken < DELIVERIES_PER_ITERATION_MAX and not self.stopping.is_set():
            last = worker.step()
            taken += last
            self.last_iteration_at = self.timing.monotonic()
        return taken

    def _pause(self, name: str, error: GatewayUnavailable) -> None:
        self._pauses[name] = min(OUTAGE_SECONDS_MAX, 2 * self._pauses.get(name, self.poll_seconds / 4))
        self._paused_until[name] = self.timing.monotonic() + self._pauses[name]
        if isinstance(error, WaitsForEngine):
            self._unanswered.discard(name)
            return
        self._unanswered.add(name)
        log.warning("gateway unavailable", consumer=name, retry_in_seconds=self._pauses[name], error=str(error))

    def _go_on(self, name: str) -> None:
        self._pauses.pop(name, None)
        self._paused_until.pop(name, None)
        self._unanswered.discard(name)

    def _wait_for_gateways(self) -> int:
        """1 after waiting for a paused gateway, or for what one holds that is not paused, 0 if there is none."""
        waiting = {*self.stopped, *self._paused_until}
        gateways = [w for w in self.workers if isinstance(w, GatewayWorker) and w.name not in waiting]
        paused = [until for name, until in self._paused_until.items() if name not in self.stopped]
        again_at = [*paused, *(w.held_until for w in gateways if w.held)]
        if not again_at:
            return 0
        self.timing.sleep(max(0.0, min(again_at) - self.timing.monotonic()))
        return 1

    def _save_positions(self) -> int:
        """Save the positions of all workers that only passed events by; returns how many were saved."""
        resting = [p for p in self.workers if p.name not in self.stopped]
        unsaved = [(worker, move) for worker in resting for move in worker.unsaved()]
        moved = self.save([move for _, move in unsaved]) if unsaved else ()
        for worker, move in unsaved:
            if move.name in moved:
                worker.was_saved(move)
            else:
                worker.was_lost(move)
        return len(unsaved)

    def _seek_after_outage(self) -> None:
        """After an outage it is not known which commits succeeded: every worker reads its stored position again."""
        with suppress(*OUTAGES):
            self.seek()


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """SIGTERM and SIGINT ask the loop to finish the batch in hand and stop."""
    stopping = threading.Event()

    def stop(signum: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(signum).name)
        stopping.set()

    before = {signum: signal.signal(signum, stop) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _outage(error: Exception) -> str:
    if isinstance(error, UNREADABLE):
        return "archived events cannot be read"
    return "the disk is full, make room" if is_disk_full(error) else "database does not answer"
