"""A process of the engine or of a client: it can be crashed, frozen and started again, and its clock may be wrong.

Invariant: every call of a node to the database, the broker or the outside world passes `touch` before it has an effect
and `touched` after it; there it may meet a fault, or another node may run.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from math import log1p
from random import Random
from typing import Protocol

from oms_es.memory.client import NEVER, outage
from oms_es.simulation.requests.workload import EPOCH
from oms_es.simulation.scenario import Fault
from oms_es.simulation.scheduler import Scheduler, Task
from oms_es.store.clock import Timing

DOWN_SECONDS_MAX = 15.0


class Crashed(BaseException):
    """The process ends in the middle of what it did. As a BaseException it passes every handler of errors."""


class Simulation(Protocol):
    """What a node knows of the whole play."""

    chance: Random
    scheduler: Scheduler
    switching: float
    latency_seconds: float
    notice_seconds: float
    calls_max: int

    @property
    def now(self) -> float: ...

    def struck(self, node: Node, fault: Fault) -> None:
        """Note that a fault has struck."""

    def committed(self, node: Node) -> None:
        """Note that events were committed, for which others may wait."""

    def restless(self, node: Node) -> None:
        """Raise Violation: the node has made far more calls than there is work."""

    def gone(self, node: Node) -> None:
        """Note that the node has crashed: its sessions end, and its groups will miss it."""


class Ends(Protocol):
    def end(self) -> None: ...


class Node:
    """A process. `work` is what it does from its start to its end; after a crash it begins again."""

    def __init__(self, simulation: Simulation, number: int, name: str, skew_seconds: float) -> None:
        self.simulation = simulation
        self.number = number
        self.name = name
        self.skew_seconds = skew_seconds
        self.calls = 0
        self.trouble_at = NEVER
        self.switch_at = self._next_switch()
        self.halt_at = min(self.switch_at, simulation.calls_max)
        self.faults: list[Fault] = []
        self.struck: Fault | None = None
        self.dying = self.over = False
        self.sessions: list[Ends] = []
        self.parked = False
        self.task: Task = simulation.scheduler.spawn(self._live)
        self.timing = Timing(monotonic=lambda: simulation.scheduler.now, sleep=self.sleep)

    def work(self) -> None:
        raise NotImplementedError

    @property
    def is_struck(self) -> bool:
        return self.struck is not None

    @property
    def seconds(self) -> float:
        return self.simulation.scheduler.now

    def committed(self) -> None:
        self.simulation.committed(self)

    def clock(self) -> datetime:
        return EPOCH + timedelta(seconds=self.simulation.now + self.skew_seconds)

    def arm(self, fault: Fault) -> None:
        """Let a fault strike after the given number of calls from now."""
        self.faults.append(fault._replace(calls=self.calls + fault.calls))
        self._look_out()

    def calm(self) -> None:
        """Remove all faults that have not struck."""
        self.faults.clear()
        self._look_out()

    def touch(self, error: type[Exception]) -> None:
        """Run before each call. The number of the next call that meets something is known, so that most calls do
        nothing here."""
        self.calls += 1
        if self.calls >= self.halt_at:
            self.halt(error)

    def touched(self, error: type[Exception]) -> None:
        """Run after a call has had its effect: the node may crash, or its answer may be lost."""
        fault, self.struck = self.struck, None
        if fault is not None:
            if fault.kind == "crash_after":
                self.die()
            raise outage(error, "the answer was lost")

    def sleep(self, seconds: float) -> None:
        self.simulation.scheduler.sleep(self.task, seconds)

    def wait(self, seconds: float) -> None:
        self.simulation.scheduler.wait(self.task, seconds)

    def wake(self) -> None:
        if not self.parked:
            self.simulation.scheduler.wake(self.task, self.simulation.notice_seconds * self.simulation.chance.random())

    def park(self) -> None:
        """Wait until the lock is released."""
        self.parked = True
        try:
            self.wait(NEVER)
        finally:
            self.parked = False

    def unpark(self) -> None:
        if self.parked:
            self.simulation.scheduler.wake(self.task)

    def die(self) -> None:
        self._end()
        raise Crashed

    def kill(self) -> None:
        """Crash the node, from outside of it."""
        if not self.dying and self.task.coroutine:
            self._end()
            self.simulation.scheduler.throw(self.task, Crashed())

    def stop(self) -> None:
        """Stop the node for good."""
        self.over = True
        self._end()
        if self.task.coroutine:  # it has begun and not ended
            self.simulation.scheduler.throw(self.task, Crashed())

    def _end(self) -> None:
        self.dying = True
        self.halt_at = 0

    def _look_out(self) -> None:
        self.trouble_at = min((fault.calls for fault in self.faults), default=NEVER)
        self.halt_at = 0 if self.dying else min(self.trouble_at, self.switch_at, self.simulation.calls_max)

    def _next_switch(self) -> int:
        """Draw the call at which another node runs: each call has the same probability."""
        simulation = self.simulation
        if not simulation.switching:
            return NEVER
        return self.calls + 1 + int(log1p(-simulation.chance.random()) / log1p(-simulation.switching))

    def halt(self, error: type[Exception]) -> None:
        """Meet whatever is due at this call: a crash, a fault, or another node's turn."""
        if self.dying:
            raise Crashed
        if self.calls >= self.simulation.calls_max:
            self.simulation.restless(self)
        if self.calls >= self.trouble_at:
            self._meet(error)
        if self.calls >= self.switch_at:
            self.switch_at = self._next_switch()
            self._look_out()
            self.sleep(self.simulation.latency_seconds * 2 * self.simulation.chance.random())

    def _meet(self, error: type[Exception]) -> None:
        fault = min(self.faults, key=lambda fault: fault.calls)
        self.faults.remove(fault)
        self._look_out()
        self.simulation.struck(self, fault)
        if fault.kind == "crash":
            self.die()
        if fault.kind == "refused":
            raise outage(error, "the connection broke")
        if fault.kind == "frozen":
            self.sleep(fault.seconds)
        else:
            self.struck = fault

    def _live(self) -> None:
        while not self.over:
            try:
                self.work()
            except Crashed:
                self.simulation.gone(self)
            else:
                return
            if not self.over:
                with suppress(Crashed):  # a node that is down is stopped, not crashed again
                    self.sleep(DOWN_SECONDS_MAX * self.simulation.chance.random() ** 2)
                self.dying = self.over
                self.struck = None
                self._look_out()
