"""Anything that people, channels, providers and carriers may do, in any order and again: no promise is broken.

Commands are made up from the vocabulary itself, so that a new one is tried as soon as it exists. After every step the
invariants of the verifier hold; whatever a consumer asks for is decided, never refused; a command sent again decides
nothing; and at the end, once the world has answered, every order is done or waits for somebody who is named.
"""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pydantic import AwareDatetime, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from oms_es.app import CONSUMERS, DECIDERS
from oms_es.kernel import Command, Refused
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.catalog import item as i
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns import feedback as f
from oms_es.schemas.returns import rma as r
from oms_es.schemas.stock import ReceiveStock
from outside import Outside, run_on
from whole_engine import WholeEngine, failed

STEPS = int(os.environ.get("OMS_TEST_STEPS", "25"))
EXAMPLES = int(os.environ.get("OMS_TEST_EXAMPLES", "15"))
SKUS = ("TEA", "CUP", "SET")
LOCATIONS = ("berlin", "paris")
ROUNDS_MAX = 8
"""How often deadlines pass at the end."""

BY_CONSUMERS = {command for consumer in CONSUMERS for command in consumer.emits}
BY_PEOPLE_TOO = {o.CancelOrder, o.PlaceOrder, o.RetrySourcing}
FROM_OUTSIDE = {command for decider in DECIDERS for command in decider.accepts if command.__name__.startswith("Record")}
BY_HAND = sorted(
    {
        command
        for decider in DECIDERS
        for command in decider.accepts
        if command in BY_PEOPLE_TOO or command not in BY_CONSUMERS | FROM_OUTSIDE
    },
    key=lambda command: command.__name__,
)
"""What people and channels may ask at any time; what consumers ask for is theirs to ask."""

UNASKED = (p.RecordExpiry, p.RecordDisputeOpened, p.RecordDisputeWon, p.RecordDisputeLost, f.RecordFeedback)
"""What the world reports of its own accord."""


class Known:
    """Names that are in use, so that most commands concern something that exists."""

    def __init__(self, engine: WholeEngine) -> None:
        self.engine = engine

    def ids(self, category: str) -> list[str]:
        found = [stream.partition("-")[2] for stream in self.engine.states if stream.startswith(f"{category}-")]
        return sorted(found) or ["nobody"]

    def reservations(self) -> list[str]:
        keys = {key for stream, (state, _) in self.engine.states.items() if stream.startswith("stock-")
                for key in getattr(state, "reserved", {})}  # fmt: skip
        return sorted(map(str, keys)) or ["none/1"]


def value_of(name: str, annotation: Any, known: Known, field: FieldInfo | None = None) -> st.SearchStrategy[Any]:
    """Return values for a field: by its name if that says what it is, otherwise by its type."""
    if name in NAMED:
        return st.sampled_from(list(NAMED[name](known)))
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return value_of(name, parts[0], known)
    if origin in (Union, types.UnionType):
        return st.one_of(*(value_of(name, part, known) for part in parts))
    if annotation is type(None):
        return st.none()
    if origin is Literal:
        return st.sampled_from(parts)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from(list(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return model_of(annotation, known)
    if origin is tuple:
        return st.lists(value_of(name, parts[0], known), max_size=2).map(tuple)
    if origin is frozenset:
        return st.lists(value_of(name, parts[0], known), max_size=2).map(frozenset)
    if origin is dict or (origin is not None and isinstance(origin, type) and issubclass(origin, dict)):
        return st.dictionaries(value_of("sku", parts[0], known), value_of(name, parts[1], known), max_size=2)
    return plain(annotation, known)


def plain(annotation: Any, known: Known) -> st.SearchStrategy[Any]:
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.sampled_from([1, 2, 3, 0, 500])
    if annotation is float:
        return st.sampled_from([0.5, 1.0, 48.0])
    if annotation is AwareDatetime:
        return st.sampled_from([known.engine.now + timedelta(days=days) for days in (-1, 0, 5)])
    return st.sampled_from(["a", "b"])


def model_of(shape: type[BaseModel], known: Known) -> st.SearchStrategy[Any]:
    """Return a model's values as a mapping; optional fields are mostly left out."""

    @st.composite
    def drawn(draw: st.DrawFn) -> dict[str, Any]:
        reported = {}
        for name, field in shape.model_fields.items():
            if field.is_required() or draw(st.integers(0, 2)) == 0:
                reported[name] = draw(value_of(name, field.annotation, known, field))
        return reported

    return drawn()


NAMED: dict[str, Callable[[Known], Iterable[Any]]] = {
    "sku": lambda _: SKUS,
    "location": lambda _: LOCATIONS,
    "from_location": lambda _: LOCATIONS,
    "to_location": lambda _: LOCATIONS,
    "channel": lambda _: ("web", "pos"),
    "currency": lambda _: ("EUR",),
    "country": lambda _: ("DE", "FR"),
    "line_id": lambda _: ("1", "2"),
    "order_id": lambda known: known.ids("order"),
    "into_order_id": lambda known: known.ids("order"),
    "to_order_id": lambda known: known.ids("order"),
    "payment_id": lambda known: known.ids("payment"),
    "shipment_id": lambda known: known.ids("shipment"),
    "rma_id": lambda known: known.ids("rma"),
    "reservation_id": lambda known: known.reservations(),
    "exchange_of": lambda _: (None,),
    "version": lambda _: ("1", "2", "3"),
    "latitude": lambda _: (48.0, 52.5),
    "longitude": lambda _: (2.3, 13.4),
    "now": lambda known: (known.engine.now,),
    "quantity": lambda _: (1, 2, 1, 3, 8),
    "unit_price_minor": lambda _: (100, 333, 1_000, 0),
    "payment_token": lambda _: ("tok-1",),
    "amount_minor": lambda _: (1, 100, 5_000),
    "rating": lambda _: (1, 5),
}


class Anything(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.engine = WholeEngine()
        self.outside = Outside(self.engine)
        self.known = Known(self.engine)
        self.number = 0

    @initialize()
    def a_world(self) -> None:
        for n, location in enumerate(LOCATIONS):
            self.engine.submit(OpenLocation(location=location, country="DE", latitude=48.0 + n, longitude=8.0))
            for sku in SKUS[:2]:
                self.engine.submit(ReceiveStock(sku=sku, location=location, receipt_id="first", quantity=4))
        self.engine.submit(i.DefineBundle(sku="SET", components={"TEA": 1, "CUP": 2}))
        self.engine.settle()

    def attempt(self, command: Command) -> None:
        """Submit the command: a refusal is an answer, any other exception is a fault."""
        with suppress(Refused):
            self.engine.submit(command)

    @rule(data=st.data())
    def an_order(self, data: st.DataObject) -> None:
        """Place a usual order, so that there is something to change."""
        self.number += 1
        skus = data.draw(st.lists(st.sampled_from(SKUS), min_size=1, max_size=2))
        lines = tuple(
            o.OrderLine(line_id=str(n), sku=sku, quantity=data.draw(st.integers(1, 3)), unit_price_minor=333)
            for n, sku in enumerate(skus, start=1)
        )
        presale = data.draw(st.integers(0, 5)) == 0
        self.attempt(
            o.PlaceOrder(
                channel="web",
                external_id=f"W{self.number}",
                placed_at=self.engine.now,
                currency="EUR",
                lines=lines,
                shipping_minor=data.draw(st.sampled_from([0, 490])),
                discount_minor=data.draw(st.sampled_from([0, 100])),
                tax_minor=data.draw(st.sampled_from([0, 77])),
                ship_to=o.Address(country="DE"),
                **({"kind": "presale", "deposit_minor": 100} if presale else {}),
            )
        )

    @rule(data=st.data(), shape=st.sampled_from(BY_HAND))
    def whatever_is_asked(self, data: st.DataObject, shape: type[Command]) -> None:
        reported = data.draw(model_of(shape, self.known))
        try:
            command = shape.model_validate(reported)
        except ValidationError:
            return  # the door said no
        self.attempt(command)

    @precondition(lambda self: any(s.startswith("shipment-") for s in self.engine.states))
    @rule(data=st.data())
    def a_return(self, data: st.DataObject) -> None:
        """Request, receive and inspect a return, as far as the order allows."""
        order_id, rma_id = data.draw(st.sampled_from(self.known.ids("order"))), f"r{data.draw(st.integers(1, 3))}"
        line, n = data.draw(st.sampled_from(["1", "2"])), data.draw(st.integers(1, 2))
        back = o.LineUnits(line_id=line, quantity=n)
        asked = (r.ReturnLine(line_id=line, quantity=n, reason="other"),)
        self.attempt(x.RequestReturn(order_id=order_id, rma_id=rma_id, lines=asked, now=self.engine.now))
        self.engine.settle()
        self.attempt(r.ReceiveRma(rma_id=rma_id, receipt_id="c", location="berlin", lines=(back,)))
        seen = r.InspectedLine(line_id=line, quantity=n, grade="opened", disposition="sellable")
        self.attempt(r.InspectRma(rma_id=rma_id, inspection_id="i", location="berlin", lines=(seen,)))

    @rule(data=st.data())
    def the_world_answers(self, data: st.DataObject) -> None:
        intents = self.outside.look()
        if intents:
            intent = data.draw(st.sampled_from(intents))
            for command in self.outside.answer(intent, data.draw(st.integers(0, 5))):
                self.attempt(command)

    @rule(data=st.data(), shape=st.sampled_from(UNASKED))
    def unasked_reports(self, data: st.DataObject, shape: type[Command]) -> None:
        self.attempt(shape.model_validate(data.draw(model_of(shape, self.known))))

    @precondition(lambda self: self.outside.reported)
    @rule(data=st.data())
    def the_world_repeats_itself(self, data: st.DataObject) -> None:
        self.attempt(data.draw(st.sampled_from(self.outside.reported)))

    @rule(data=st.data(), steps=st.integers(1, 40))
    def some_go_on(self, data: st.DataObject, steps: int) -> None:
        for _ in range(steps):
            behind = self.engine.behind()
            if not behind:
                return
            self.engine.step(behind[data.draw(st.integers(0, 100)) % len(behind)])

    @rule()
    def everybody_goes_on(self) -> None:
        self.engine.settle()

    @rule(hours=st.sampled_from([0.1, 1, 24, 24 * 40]))
    def time_passes(self, hours: float) -> None:
        self.engine.pass_time(hours * 3_600)

    @invariant()
    def no_promise_is_broken(self) -> None:
        assert not failed(self.engine.history)

    def teardown(self) -> None:
        """External systems answer as usual, and time passes: no order may be left waiting without a reason."""
        run_on(self.engine, self.outside)
        for _ in range(ROUNDS_MAX):
            self.engine.pass_time(50 * 86_400)
            run_on(self.engine, self.outside)
        self.engine.history.close(lambda _role, _stream, _position: True)
        assert not failed(self.engine.history)
        for row in self.engine.open_rows("order_status"):
            done = row["phase"] in o.FINAL_PHASES or row["phase"] == "awaiting_stock"  # a presale, for its goods
            assert done or self._waits_for(row["order_id"]), (row["phase"], row["order_id"])

    def _waits_for(self, order_id: str) -> bool:
        """Return whether the order waits for anything: a person with a list, the queue for stock, or a deadline."""
        lists = ("open_exceptions", "backorder_queue", "deadlines")
        return any(row["order_id"] == order_id for name in lists for row in self.engine.open_rows(name))


TestAnything = Anything.TestCase
TestAnything.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,  # a machine that is busy with other things breaks no promise
    suppress_health_check=list(HealthCheck),
)
