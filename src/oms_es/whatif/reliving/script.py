"""History divided into items that came from outside, in their order, and the engine's events in between.

Invariant: every event of history is in one item, or among the events `between` two items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Literal, NamedTuple

from oms_es.app.connecting.warehouse_answers import ROLE as ANSWERS_ROLE
from oms_es.app.registry import GATEWAYS
from oms_es.gateways.simulated.effects import CARRIER_CALLBACKS, PAYMENT_CALLBACKS
from oms_es.kernel import Recorded
from oms_es.whatif.reliving.outside import Given, Recovery, is_from_outside, is_tick

Kind = Literal["input", "answer", "tick", "end"]
ANSWERING = frozenset({*(gateway.name for gateway in GATEWAYS), PAYMENT_CALLBACKS, CARRIER_CALLBACKS, ANSWERS_ROLE})
"""The actors in the loop that report what the outside world answers."""


class Item(NamedTuple):
    """The events of one transaction from outside, or of one tick of the deadlines.

    `between` has the recording times of the events that the engine decided since the item before.
    """

    kind: Kind
    at: datetime
    given: Sequence[Given]
    between: Sequence[datetime]
    events: int
    position: int


def items(history: Iterable[Recorded], recovery: Recovery) -> Iterator[Item]:
    between: list[datetime] = []
    last: Recorded | None = None
    for (kind, at, _), transaction in groupby(history, key=_transaction):
        events = list(transaction)
        last = events[-1]
        if kind == "end":
            for recorded in events:
                recovery.note(recorded)
            between += [recorded.recorded_at for recorded in events]
            continue
        given: list[Given] = []
        if kind == "tick":
            for recorded in events:
                recovery.note(recorded)
        else:
            for _key, run in groupby(events, key=_run):
                given += recovery.commands(list(run))
        yield Item(kind, at, given, between, len(events), last.position)
        between = []
    if last is not None:
        yield Item("end", last.recorded_at, (), between, 0, last.position)


def _transaction(recorded: Recorded) -> tuple[Kind, datetime, str]:
    """Return the kind, time and actor by which events are grouped; the engine's own events are of kind "end" and
    lie between items.
    """
    if is_tick(recorded):
        return "tick", recorded.recorded_at, recorded.actor
    if is_from_outside(recorded):
        kind: Kind = "answer" if recorded.actor in ANSWERING else "input"
        return kind, recorded.recorded_at, recorded.actor
    return "end", recorded.recorded_at, ""


def _run(recorded: Recorded) -> tuple[str, object]:
    return recorded.stream, recorded.caused_by
