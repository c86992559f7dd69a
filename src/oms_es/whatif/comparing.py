"""The comparison of history with its replay: figures before and after, and the orders that differ.

Invariant: both sides are measured over the same range by the same code, and events after its end do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from oms_es.kernel import Recorded
from oms_es.whatif.changes import Changes
from oms_es.whatif.diverging import Diverging
from oms_es.whatif.equality import by_stream, outcome_of
from oms_es.whatif.figures import BY_DAY, BY_LOCATION, MEASURES, Figures, Numbers, days_of, locations_of, measured
from oms_es.whatif.history import Lived

ORDERS_NAMED_MAX = 1_000


class Comparison(NamedTuple):
    """A comparison.

    `differ` has the orders with other events; `modelled` is the number of orders that rest on answers of the model.
    """

    begins: int
    ends: int
    before: Figures
    after: Figures
    differ: Sequence[str]
    modelled: int
    relived: Sequence[Recorded]
    counts: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        return {
            "begins": self.begins,
            "ends": self.ends,
            "total": {name: _before_and_after(name, self.before.total, self.after.total) for name in MEASURES},
            "by_day": {
                day: {
                    name: _before_and_after(name, self.before.by_day.get(day), self.after.by_day.get(day))
                    for name in BY_DAY
                }
                for day in days_of(self.before, self.after)
            },
            "by_location": {
                at: {
                    name: _before_and_after(name, self.before.by_location.get(at), self.after.by_location.get(at))
                    for name in BY_LOCATION
                }
                for at in locations_of(self.before, self.after)
            },
            "orders_that_differ": len(self.differ),
            "orders": list(self.differ[:ORDERS_NAMED_MAX]),
            "orders_on_modelled_answers": self.modelled,
            "commands": self.counts,
        }


def compare(lived: Lived, changes: Changes, ends: int, reached: Callable[[int], None]) -> Comparison:
    """Replay the history with the changes, and compare. Raise Stopped if the fork stops."""
    fork = Diverging(lived.before, lived.after, changes)
    fork.run(reached)
    relived = fork.events(lived.begins)
    return Comparison(
        lived.begins,
        ends,
        measured(lived.before, lived.after),
        measured(lived.before, relived),
        orders_that_differ(lived.after, relived),
        len(fork.answers.orders),
        relived,
        dict(fork.counts),
    )


def orders_that_differ(real: Sequence[Recorded], relived: Sequence[Recorded]) -> Sequence[str]:
    """Return the orders whose own stream has other events, regardless of the times."""
    streams, others = by_stream(real), by_stream(relived)
    return sorted(
        stream.removeprefix("order-")
        for stream in {*streams, *others}
        if stream.startswith("order-") and _happened(streams.get(stream)) != _happened(others.get(stream))
    )


def _happened(history: Sequence[Recorded] | None) -> list[Any]:
    return [outcome_of(recorded.event) for recorded in history or ()]


def _before_and_after(name: str, before: Numbers | None, after: Numbers | None) -> dict[str, float]:
    was, would_be = (side.get(name, 0.0) if side else 0.0 for side in (before, after))
    return {"before": round(was, 2), "after": round(would_be, 2)}
