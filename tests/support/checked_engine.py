"""The whole engine in memory, where every event is stored and read again, and every row is checked against
its columns."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Any

from oms_es.app import CONSUMERS, DECIDERS, PARSERS, PROJECTIONS, bulk_commands
from oms_es.kernel import BadInput, Command, Event, Recorded, Refused, Skipped, SystemCommand
from oms_es.processing.intake.worker import understood
from oms_es.processing.read_models.folding import touches
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.catalog.item import DefineBundle
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.finance.invoicing import IssueInvoice
from oms_es.schemas.operations.aside import AsideCommand
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.returns import rma as r
from oms_es.schemas.stock import ReceiveStock
from oms_es.simulation.requests.inputs import Inputs
from oms_es.simulation.world import columns
from oms_es.store.encoding import command_codec
from oms_es.store.recorder import EventRow
from outside import Outside
from payloads import payload
from whole_engine import WholeEngine, failed

BY_CONSUMERS = {command for consumer in CONSUMERS for command in consumer.emits} | {IssueInvoice}
"""What the engine draws up itself; a gateway of its own gives IssueInvoice."""
ACCEPTED = [command for decider in DECIDERS for command in decider.accepts]
FROM_OUTSIDE = [
    command
    for command in ACCEPTED
    if not issubclass(command, SystemCommand) or not (command in BY_CONSUMERS or issubclass(command, AsideCommand))
]
"""Commands from people and channels, answers from outside, and commands that are due."""
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
"""Commands that can only come late, with the events that they refer to; they are drawn more often, so that
they occur."""
DONE = ("completed", "shipped")
INPUTS_MAX = 120
"""Inputs of one world: a longer history only makes each of them slower."""


def _phase(status: Mapping[Any, Any], order_id: str) -> str:
    row = status.get((order_id,))
    return str(row["phase"]) if row else ""


OF_ANY_COMMAND = {command_codec.DIALECT, bulk_commands.DIALECT}
"""Dialects of commands, which are given here as they are."""


class CheckedEngine(WholeEngine):
    def check_decision(self, *_: Any) -> None:
        """Do nothing: test_anything.py tries decisions with other orders of maps."""

    def _append(self, recorded: Recorded) -> None:
        stored = EventRow(recorded.stream, recorded.version, type(recorded.event).__name__, self.codec.encode(recorded))
        assert self.codec.decode(stored, recorded.position) == recorded
        assert len(recorded.stream.encode()) <= columns.INDEX_ROW_BYTES_MAX
        super()._append(recorded)
        for projection in PROJECTIONS:
            for _, _, keys in touches(projection, [recorded]):
                for key in keys:
                    if row := self.rows[projection.name].get(key):
                        columns.check(projection.table, row)


class World:
    """One seed: an engine, its surroundings, and random input."""

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
        """Run until `inputs` were accepted; return their counts by name."""
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
        """Submit bytes as a channel or a provider sends them; return 1 if they were accepted, else 0."""
        dialect = self.chance.choice(sorted(set(PARSERS) - OF_ANY_COMMAND))
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
        """Submit a command; if it is accepted, run until nothing is left to do. Return 1 if it was accepted, else 0."""
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
