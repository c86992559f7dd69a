"""Running many seeds: how many held every invariant, the details of the first that did not, and the speed."""

from __future__ import annotations

import gc
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count, takewhile
from typing import Any

from oms_es.simulation.components import WHOLE, Components
from oms_es.simulation.expansion import expand
from oms_es.simulation.run import Outcome, play
from oms_es.simulation.scenario import MINUTES, Profile
from oms_es.simulation.shrink import Shrinker

COLLECTED_EVERY_SEEDS = 200
"""How often the garbage collector runs over all generations; after the other seeds it collects the youngest only."""


@dataclass
class Summary:
    """The results of a campaign. `trace`: one hash over the traces of all seeds, in their order."""

    seeds: int = 0
    events: int = 0
    orders: int = 0
    steps: int = 0
    calls: int = 0
    faults: int = 0
    simulated_seconds: float = 0.0
    cpu_seconds: float = 0.0
    failed: list[Outcome] = field(default_factory=list)
    played: deque[Outcome] = field(default_factory=lambda: deque(maxlen=1))
    topologies: Counter[str] = field(default_factory=Counter)
    _traces: Any = field(default_factory=lambda: blake2b(digest_size=16))

    @property
    def trace(self) -> str:
        return str(self._traces.hexdigest())

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.played.append(outcome)
        self.events += outcome.events
        self.orders += outcome.orders
        self.steps += outcome.steps
        self.calls += outcome.calls
        self.faults += outcome.faults
        self.simulated_seconds += outcome.seconds
        self.topologies[outcome.scenario.topology] += 1
        self._traces.update(outcome.trace.encode())
        if outcome.violation is not None:
            self.failed.append(outcome)

    def lines(self) -> Iterator[str]:
        n = max(1, self.seeds)
        per_second = self.seeds / self.cpu_seconds if self.cpu_seconds else 0.0
        times = self.simulated_seconds / self.cpu_seconds if self.cpu_seconds else 0.0
        yield (
            f"{self.seeds} seeds ({', '.join(f'{c} {t}' for t, c in sorted(self.topologies.items()))}): "
            f"{len(self.failed)} broke a promise"
        )
        yield (
            f"  {self.events} events of {self.orders} orders through {self.faults} faults, {self.calls} calls that any "
            f"of them could strike; a seed has {self.orders / n:.1f} orders, {self.events / n:.0f} events, "
            f"{self.faults / n:.1f} faults"
        )
        yield (
            f"  {self.simulated_seconds / 3600:.1f} simulated hours in {self.cpu_seconds:.1f} s of one core: "
            f"{per_second:.1f} seeds/s, {times:.0f} times as fast as time; trace {self.trace}"
        )


def campaign(
    seeds: Iterable[int],
    profile: Profile,
    minutes: float = MINUTES,
    components: Components = WHOLE,
    *,
    failures_max: int = 1,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> Summary:
    """Play seed after seed, until `failures_max` of them have failed."""
    summary = Summary()
    for seed in seeds:
        began = time.process_time()
        outcome = play(expand(seed, profile, minutes), components)
        summary.add(outcome)
        gc.collect(0 if summary.seeds % COLLECTED_EVERY_SEEDS else 2)
        summary.cpu_seconds += time.process_time() - began
        on_outcome(outcome)
        if len(summary.failed) >= failures_max:
            break
    return summary


def soaking(seconds: float, first: int) -> Iterator[int]:
    """Yield seeds until the time is over."""
    until = time.monotonic() + seconds
    return takewhile(lambda _: time.monotonic() < until, count(first))


def story(summary: Summary) -> Iterator[str]:
    """Yield lines that describe the only seed that was played, with the last events of its trace."""
    (outcome,) = summary.played
    yield from outcome.scenario.lines()
    yield f"  its trace: {outcome.trace}, {outcome.steps} steps; last of them:"
    yield from (f"    {_as_text(event)}" for event in outcome.last)


def failure(outcome: Outcome, components: Components = WHOLE) -> Iterator[str]:
    """Yield lines for a person who looks for the cause: the broken invariant, where it broke, and the smallest scenario
    that still breaks it."""
    shrinker = Shrinker(outcome, components)
    smallest = shrinker.shrunk()
    assert outcome.violation
    assert smallest.violation
    yield f"BROKEN at step {outcome.steps}, {outcome.seconds:.3f} s: {outcome.violation}"
    yield from outcome.scenario.lines()
    yield "  last events:"
    yield from (f"    {_as_text(event)}" for event in outcome.last)
    yield f"  made smaller in {shrinker.runs} runs, it breaks at step {smallest.steps}: {smallest.violation.detail}"
    yield from (f"    {action}" for action in smallest.scenario.actions)
    yield from (f"    {fault}" for fault in smallest.scenario.faults)
    yield "  last events of the smaller one:"
    yield from (f"    {_as_text(event)}" for event in smallest.last)


def _as_text(event: tuple[Any, ...]) -> str:
    at, *what = event
    return f"{at:10.3f}s {' '.join(str(part) for part in what)}"
