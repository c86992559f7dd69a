"""The whole engine in memory, where every event is stored and read again, and every row fits its columns."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Any

from oms_es.app import CONSUMERS, DECIDERS, PARSERS, PROJECTIONS
from oms_es.kernel import BadInput, Command, Event, Recorded, Refused, Skipped, SystemCommand
from oms_es.processing.intake.worker import understood
from oms_es.processing.read_models.folding import touches
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.catalog.item import DefineBundle
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.operations.aside import AsideCommand
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.returns import rma as r
from oms_es.schemas.stock import ReceiveStock
from oms_es.simulation.requests.inputs import Inputs
from oms_es.simulation.world import columns
from oms_es.store.recorder import EventRow
from outside import Outside
from payloads import payload
from whole_engine import WholeEngine, failed

BY_CONSUMERS = {command for consumer in CONSUMERS for command in consumer.emits}
ACCEPTED = [command for decider in DECIDERS for command in decider.accepts]
FROM_OUTSIDE = [
    command
    for command in ACCEPTED
    if not issubclass(command, SystemCommand) or not (command in BY_CONSUMERS or issubclass(command, AsideCommand))
]
"""What people and channels ask, what the world answers, and what is due."""
LONGEST = "\U0001f600" * 128
NAMES: dict[str, Any] = {
    "sku": ("TEA", "CUP", "SET", LONGEST),
    "location": ("berlin", "B" * 64),
    "to_location": ("berlin", "B" * 64),
    "channel": ("web", "w" * 64),
    "currency": ("EUR",),
    "country": ("DE",),
    "delivery_option": ("standard",),
    "carrier": ("dhl",),
}
LATE: dict[type[Command], tuple[type[Event], ...]] = {
    RequestReturn: (o.OrderPlaced,),
    r.ApproveRma: (r.RmaReviewRequested,),
    r.ReceiveRma: (r.RmaOpened,),
    r.InspectRma: (r.RmaReceived,),
    o.RefundOrder: (o.OrderPlaced,),
    p.RecordDisputeOpened: (p.PaymentCaptured,),
}
"""What comes after everything else, and the events that it is about: asked more often, so that it comes at all."""
DONE = ("completed", "shipped")
INPUTS_MAX = 120
"""Of one world: a longer history only makes each of them slower."""


def _phase(status: Mapping[Any, Any], order_id: str) -> str:
    row = status.get((order_id,))
    return str(row["phase"]) if row else ""


class CheckedEngine(WholeEngine):
    def check_decision(self, *_: Any) -> None:
        """In which order maps give out what they hold is tried with usual values, in test_anything.py."""

    def _append(self, recorded: Recorded) -> None:
        stored = EventRow(recorded.stream, recorded.version, type(recorded.event).__name__, self.codec.encode(recorded))
        assert self.codec.decode(stored, recorded.position) == recorded
        assert len(recorded.stream.encode()) <= columns.INDEX_ROW_BYTES_MAX
        super()._append(recorded)
        for projection in PROJECTIONS:
            for touch in touches(projection, [recorded]):
                for key in touch.keys:
                    if row := self.rows[projection.name].get(key):
                        columns.check(projection.table, row)


class World:
    """One seed: an engine, what is around it, and whatever comes in."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.engine = CheckedEngine()
        self.outside = Outside(self.engine)
        self.inputs = Inputs(self.chance, FROM_OUTSIDE, NAMES)
        self.counts: Counter[str] = Counter()
        self.last: Any = None
        for location in NAMES["location"]:
            self._submit(OpenLocation(location=location, country="DE"))
            for sku in ("TEA", "CUP", LONGEST):
                self._submit(ReceiveStock(sku=sku, location=location, receipt_id="first", quantity=10**9))
        self._submit(DefineBundle(sku="SET", components={"TEA": 1, "CUP": 2_000}))

    def run(self, inputs: int) -> Counter[str]:
        """So many that were accepted; by what they were."""
        accepted = 0
        while accepted < inputs:
            accepted += self._step()
            assert not failed(self.engine.history), failed(self.engine.history)
        return self.counts

    def _step(self) -> int:
        draw = self.chance.random()
        if draw < 0.25:
            return self._answer()
        if draw < 0.28:
            self.engine.pass_time(self.chance.choice((600, 90_000, 40 * 86_400)))
            self._settle()
            return 0
        if draw < 0.36:
            return self._dialect()
        self.inputs.names["now"] = deque([self.engine.now])
        if draw < 0.55:
            return self._late()
        command = self.inputs.command(o.PlaceOrder if draw < 0.65 else None)
        return self._submit(command) if command else 0

    def _late(self) -> int:
        shape = self.chance.choice(list(LATE))
        status = self.engine.rows["order_status"]
        found = [
            recorded.event
            for recorded in self.engine.log
            if isinstance(recorded.event, LATE[shape])
            and (not isinstance(recorded.event, o.OrderPlaced) or _phase(status, recorded.event.order_id) in DONE)
        ]
        command = self.inputs.command(shape, self.chance.choice(found)) if found else None
        return self._submit(command) if command else 0

    def _dialect(self) -> int:
        """Bytes, as a channel or a provider sends them."""
        dialect = self.chance.choice(sorted(set(PARSERS) - {"command"}))
        with suppress(BadInput, Skipped):
            return self._submit(understood(PARSERS[dialect], payload(dialect, self.inputs)), dialect)
        return 0

    def _answer(self) -> int:
        intents = self.outside.look()
        if not intents:
            return 0
        usual = 0 if self.chance.random() < 0.8 else self.chance.randint(0, 5)
        return sum(self._submit(command) for command in self.outside.answer(self.chance.choice(intents), usual))

    def _submit(self, command: Command, name: str = "") -> int:
        """Accepted or refused; then everybody goes on until nothing is left to do."""
        self.last = command
        before = len(self.engine.log)
        try:
            self.engine.submit(command)
        except Refused:
            return 0
        self._settle()
        self.inputs.note(self.engine.log[before:])
        self.counts[name or type(command).__name__] += 1
        return 1

    def _settle(self) -> None:
        self.engine.settle()
