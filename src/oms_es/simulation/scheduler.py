"""One thread, one simulated time, and every node a coroutine that can be stopped at any of its calls.

Invariant: what runs next depends on the seed alone: on the simulated time at which it is due, and, at the same time, on
the order in which it was scheduled.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from greenlet import getcurrent, greenlet

Run = Callable[[], None]


class Task:
    """A coroutine. `ticket` is the one entry of the queue that may wake it; older entries are void."""

    def __init__(self, run: Run, hub: greenlet) -> None:
        self.coroutine = greenlet(run, hub)
        self.ticket = 0
        self.waiting = False


class Scheduler:
    def __init__(self) -> None:
        self.now = 0.0
        self.hub = getcurrent()
        self._tickets = 0
        self._due: list[tuple[float, int, Task | None, Run | None]] = []

    def spawn(self, run: Run) -> Task:
        task = Task(run, self.hub)
        self._schedule(task, 0.0)
        return task

    def after(self, seconds: float, call: Run) -> None:
        """Call the function after this time, outside of all coroutines."""
        self._tickets += 1
        heappush(self._due, (self.now + seconds, self._tickets, None, call))

    def sleep(self, task: Task, seconds: float) -> None:
        """Sleep; only the task itself may call this."""
        self._schedule(task, seconds)
        self.hub.switch()

    def wait(self, task: Task, seconds: float) -> None:
        """Sleep until the time is over, or another task wakes this one."""
        task.waiting = True
        self.sleep(task, seconds)
        task.waiting = False

    def wake(self, task: Task, seconds: float = 0.0) -> None:
        if task.waiting:
            task.waiting = False
            self._schedule(task, seconds)

    def throw(self, task: Task, error: BaseException) -> None:
        """Raise the error where the task has stopped; only called outside of all coroutines."""
        task.ticket = 0
        task.waiting = False
        task.coroutine.throw(error)

    def run(self, until: float, done: Callable[[], bool]) -> bool:
        """Run until the time, or until `done`, which is checked after every step; return whether it is done."""
        due = self._due
        while due and due[0][0] <= until:
            at, ticket, task, call = heappop(due)
            if task is not None and task.ticket != ticket:
                continue
            self.now = max(self.now, at)
            if task is not None:
                task.coroutine.switch()
            elif call is not None:
                call()
            if done():
                return True
        self.now = max(self.now, until)
        return False

    def _schedule(self, task: Task, seconds: float) -> None:
        self._tickets += 1
        task.ticket = self._tickets
        heappush(self._due, (self.now + seconds, self._tickets, task, None))
