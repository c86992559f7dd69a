"""A role on Kafka: its share of the partitions, which comes and goes while it works.

Invariant: the position of a partition is kept in PostgreSQL in the transaction of its effects, and is the log's, not
Kafka's; the committed offset is only where to begin to read. What is read again is skipped, and what is missing between
two messages (the chain of predecessors tells) is read from the store. A worker that lost its partition without knowing
it finds the position moved, and none of its effects are kept.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from prometheus_client import Gauge

from oms_es.kafka.client import Message, Place
from oms_es.kafka.feeds import BUFFERED_MAX, Membership, Share
from oms_es.kafka.reading import Unreadable
from oms_es.kernel import GatewayUnavailable
from oms_es.processing import metrics
from oms_es.store.recorder import PositionLost
from oms_es.store.store import OUTAGES

log = structlog.get_logger(__name__)

MEASURE_SECONDS = 1.0
"""How often it is measured how far each partition is behind."""

ATTEND_SECONDS = 1.0
"""How long a group that calls waits at most, beside the batch in hand: much less than the shortest session."""


class Attendance:
    """Answers for every group of a process that calls while others work.

    From when a join has ended to the next poll the library sends no heartbeat: a member whose turn took longer than its
    session would be thought dead, join again, and be thought dead again.
    """

    def __init__(self) -> None:
        self.workers: Sequence[GroupWorker] = ()
        self._looked = 0.0

    def __call__(self) -> None:
        if time.monotonic() - self._looked < ATTEND_SECONDS:
            return
        for worker in self.workers:
            if worker.group.calls:
                worker.answer()
        self._looked = time.monotonic()


class GroupWorker:
    """A participant of the loop: one role, on whichever partitions its group gives it."""

    def __init__(
        self,
        group: Membership,
        share_of: Callable[[Place], Share],
        batch_max: int,
        attend: Callable[[], None] = lambda: None,
    ) -> None:
        """`attend` is called between two batches: a turn of many roles takes longer than a group waits for anybody."""
        self.attend = attend
        self.name = group.name
        self.batch_max = batch_max
        self.group = group
        self.share_of = share_of
        self.shares: dict[Place, Share] = {}
        self.stopped: dict[Place, BaseException] = {}
        self._gauges: dict[Place, tuple[Gauge, Gauge]] = {}
        self._paused: set[Place] = set()
        self._changes: deque[tuple[bool, Place]] = deque()
        self._inbox: dict[Place, list[Message]] = {}
        self._unreadable: dict[Place, Unreadable] = {}
        self._measured = 0.0

    def step(self) -> int:
        self.answer()
        self._follow_the_group()
        self._sort_the_inbox()
        self._measure()
        taken = sum(self._step(place, share) for place, share in self.shares.items())
        self._throttle()
        return taken

    def answer(self) -> None:
        """Be there for the group, and take what has come."""
        for place, messages in self.group.poll().items():
            self._inbox.setdefault(place, []).extend(messages)
        self._unreadable.update(self.group.failures())

    def rest(self) -> None:
        """What was passed is saved as it goes."""

    @property
    def hungry(self) -> bool:
        """Whether something was read that may not be done yet."""
        return any(share.waiting() for place, share in self.shares.items() if place not in self.stopped)

    def seek(self) -> None:
        for share in self.shares.values():
            share.begin()

    def close(self) -> None:
        self.group.close()

    def _follow_the_group(self) -> None:
        """One place at a time: what fails on the way, as while the database is away, is done the next time."""
        self._changes.extend((given, place) for given, places in self.group.changes() for place in sorted(places))
        while self._changes:
            given, place = self._changes[0]
            self._drop(place)
            if given:
                self._begin(place)
            self._changes.popleft()
            log.info("partition given" if given else "partition taken", consumer=self.name, place=str(place))
            metrics.PARTITIONS.labels(self.name).set(len(self.shares))

    def _drop(self, place: Place) -> None:
        if self.shares.pop(place, None) is not None:
            self._forget(place)
        self.stopped.pop(place, None)
        self._unreadable.pop(place, None)
        metrics.STOPPED.labels(self.name).set(len(self.stopped))
        self._paused.discard(place)

    def _sort_the_inbox(self) -> None:
        """What came of a partition that is not ours any more is somebody else's."""
        for place, messages in self._inbox.items():
            if share := self.shares.get(place):
                share.put(messages)
        self._inbox.clear()

    def _forget(self, place: Place) -> None:
        """What another process has now is not ours to report."""
        for gauge in (metrics.POSITION, metrics.LAG):
            gauge.remove(self.name, place)

    def _begin(self, place: Place) -> None:
        share = self.share_of(place)
        try:
            self._go_to(place, share)
        except Unreadable as error:
            self._stop(place, error)
        self.shares[place] = share
        self._gauges[place] = (metrics.POSITION.labels(self.name, place), metrics.LAG.labels(self.name, place))

    def _go_to(self, place: Place, share: Share) -> None:
        offset = share.begin()
        if offset is not None:
            self.group.seek(place, offset)
            self._inbox.pop(place, None)  # it was fetched from elsewhere

    def _step(self, place: Place, share: Share) -> int:
        if place in self.stopped:
            return 0
        if place in self._unreadable and not share.waiting():
            self._stop(place, self._unreadable.pop(place))
            return 0
        before = share.position
        try:
            with metrics.timed(self.name) as told:
                taken = share.step()
                told(taken)
            if not taken:
                share.rest()
        except GatewayUnavailable:
            raise
        except OUTAGES:
            raise
        except PositionLost as lost:
            log.warning("position moved by another worker, seeking", consumer=self.name, reason=str(lost))
            return self._again(place, share)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other partitions go on
            self._stop(place, error)
            return 0
        if (offset := share.done()) is not None:
            self.group.hint({place: offset})
            self._gauges[place][0].set(share.position)
        if taken:
            self.attend()
        return taken or int(share.position > before)

    def _again(self, place: Place, share: Share) -> int:
        try:
            self._go_to(place, share)
        except Unreadable as error:
            self._stop(place, error)
        return 1

    def _stop(self, place: Place, error: BaseException) -> None:
        self.stopped[place] = error
        metrics.STOPPED.labels(self.name).set(len(self.stopped))
        log.critical(
            "partition stopped: repair the cause, then start again",
            consumer=self.name,
            place=str(place),
            error=f"{type(error).__name__}: {error}",
        )

    def _measure(self) -> None:
        """How far each partition is behind, now and then: what has come counts, and what is still to come."""
        if time.monotonic() - self._measured < MEASURE_SECONDS:
            return
        self._measured = time.monotonic()
        for place, share in self.shares.items():
            waiting = share.waiting() + len(self._inbox.get(place, ()))
            behind, reached = self.group.behind(place), self.group.reached(place)
            if behind is not None:
                self._gauges[place][1].set(behind + waiting)
            if place not in self.stopped and not waiting and not behind and reached is not None:
                self._pass(place, share, reached)

    def _pass(self, place: Place, share: Share, reached: int) -> None:
        try:
            share.passed(reached)
        except PositionLost:
            self._again(place, share)
        except Unreadable as error:
            self._stop(place, error)

    def _throttle(self) -> None:
        full = {p for p, share in self.shares.items() if share.waiting() > BUFFERED_MAX or p in self.stopped}
        if full != self._paused:
            self.group.pause(full - self._paused)
            self.group.resume(self._paused - full)
            self._paused = full
