"""The demo: sends a world's orders through the whole engine with progress, then shows the outcome.

Invariant: each command is given to the engine once: the number of given commands is a position that is committed
together with their events; therefore a demo that was killed continues where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import groupby, islice
from typing import Any, NamedTuple, Protocol

from rich.console import Console, Group, RenderableType

from oms_es import rendering as display
from oms_es.demo import summary
from oms_es.demo.board import Board, Counts
from oms_es.demo.completejourney import baskets
from oms_es.demo.protocol.settlement import Account
from oms_es.demo.workload import Workload, in_batches
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.gateways.simulated.modes import Chaos
from oms_es.kernel import Command, Recorded, Refused
from oms_es.processing.loop import Loop
from oms_es.processing.readers import Waiter
from oms_es.reports import queries
from oms_es.schemas.order import CancelOrder, PlaceOrder, RefundOrder
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.returns.rma import InspectRma, ReceiveRma
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import Feed
from oms_es.store.recorder import Advance
from oms_es.store.store import Store
from oms_es.verification.verify import Report

ACTOR = "demo"
BATCH = 100
"""Orders of one batch; small, so that progress is visible."""
TURNS_PER_BATCH = 2
CALLBACK_POLL_SECONDS = 0.05
TRANSIT_SECONDS = 1.0
DIFFERENCES_SHOWN_MAX = 3
COMPLETE_JOURNEY = "completejourney"


def chaos_of(seed: int) -> Chaos:
    return Chaos(seed, timeout=0.02, duplicate=0.02, late=0.02)


class World(Protocol):
    """A source of commands that gives the same ones every time."""

    def acts(self) -> Iterator[Iterator[Command]]:
        """Yield acts of commands; each is sent after everything that follows from the act before it."""


class DemoInput(NamedTuple):
    """A world, and the name under which a database stores how much of it was sent."""

    name: str
    world: World
    orders: int


class OtherDemo(OmsError):
    """The database holds another demo, whose orders would contradict these."""

    code = "other_demo"
    exit_code = Code.USAGE
    status = HTTPStatus.CONFLICT


def made_up(orders: int, seed: int) -> DemoInput:
    return DemoInput(f"{ACTOR}/{seed}/{orders}", Workload(seed, orders), orders)


def complete_journey(orders: int) -> DemoInput:
    """Return the demo on real baskets. Raise MissingExtra."""
    return DemoInput(f"{ACTOR}/{COMPLETE_JOURNEY}/{orders}", baskets(orders), orders)


class PendingCallbacks(Protocol):
    def outstanding(self) -> int: ...


class RunsOrders(Protocol):
    """The part of the engine that the demo uses."""

    database_url: str
    store: Store
    loop: Loop

    @property
    def log(self) -> Feed: ...
    @property
    def waiter(self) -> Waiter: ...
    @property
    def external_systems(self) -> PendingCallbacks: ...
    def settle(self) -> int: ...
    def last_position(self) -> int: ...


class Ran(NamedTuple):
    """The outcome of sending. `seconds`: from the first order sent to the last one settled. `refused`: requests that
    came too late."""

    counts: Counts
    mix: Mapping[str, int]
    phases: Mapping[str, int]
    sent: int
    refused: int
    seconds: float

    @property
    def orders_per_second(self) -> float:
        return self.sent / self.seconds


MAY_BE_REFUSED = (CancelOrder, RefundOrder, RequestReturn, ReceiveRma, InspectRma)


class Sender:
    """Gives an engine the commands that were not given yet."""

    def __init__(self, engine: RunsOrders, name: str) -> None:
        self.engine = engine
        self.name = name
        self.given = engine.store.recorder.position(name)
        self.refused = 0

    def send(self, commands: Sequence[Command]) -> None:
        """Give the commands. One that may be refused is given alone, so that its refusal delays no other."""
        for is_alone, alike in groupby(commands, key=lambda command: isinstance(command, MAY_BE_REFUSED)):
            for batch in [(command,) for command in alike] if is_alone else [tuple(alike)]:
                self._submit(batch)

    def _submit(self, batch: Sequence[Command]) -> None:
        advance = Advance(self.name, self.given, self.given + len(batch))
        try:
            recorded: Sequence[Recorded] = self.engine.store.execute([(Cause(ACTOR), batch)], advance)
        except Refused:
            self.refused += 1
            recorded = self.engine.store.execute([], advance)
        self.engine.log.notify_appended(recorded)
        self.given = advance.position


def run(engine: RunsOrders, demo_input: DemoInput, console: Console) -> Ran:
    """Run the demo. Raise OtherDemo."""
    with queries.reading(engine.database_url) as connection:
        _refuse_another(connection, demo_input.name)
        with Board(console, lambda: _count(connection, engine), demo_input.orders) as board:
            orders, refused, began = _send_all(engine, demo_input, board)
            seconds = time.monotonic() - began
        mix = queries.order_mix(connection)
        return Ran(_count(connection, engine), mix, queries.phases(connection), orders, refused, seconds)


def _refuse_another(connection: queries.Connection, name: str) -> None:
    others = [other for other in queries.positions_of(connection, f"{ACTOR}/") if other != name]
    if others:
        raise OtherDemo(
            f"this database holds the demo {others[0]} already, and {name} would contradict its orders; "
            "give the same --seed, --orders and --dataset, or another database with OMS_HOME"
        )


def _send_all(engine: RunsOrders, demo_input: DemoInput, board: Board) -> tuple[int, int, float]:
    """Send all commands; return how many orders were sent now, how many requests were refused, and when the first order
    was sent."""
    sender = Sender(engine, demo_input.name)
    orders_before, orders, began, given = 0, 0, 0.0, sender.given
    for commands in demo_input.world.acts():
        for command in islice(commands, given):
            orders_before += isinstance(command, PlaceOrder)
            given -= 1
        for batch in in_batches(commands, BATCH):
            placed = sum(isinstance(command, PlaceOrder) for command in batch)
            began = began or (time.monotonic() if placed else 0.0)
            sender.send(batch)
            orders += placed
            for _ in range(TURNS_PER_BATCH):
                engine.loop.iterate()
                board.look(orders_before + orders)
        _settle(engine, lambda: board.look(demo_input.orders))
    return orders, sender.refused, began or time.monotonic()


def _settle(engine: RunsOrders, look: Callable[[], None]) -> None:
    """Run until nothing is left to do, showing progress; the engine's own `settle` at the end finds little left."""
    while (taken := engine.loop.iterate()) or engine.external_systems.outstanding():
        look()
        if not taken:
            engine.waiter.wait(CALLBACK_POLL_SECONDS)
    engine.settle()


def _count(connection: queries.Connection, engine: RunsOrders) -> Counts:
    return Counts.of(queries.phases(connection), queries.dead_letters_open(connection), engine.last_position())


def refuse_begun(engine: RunsOrders, name: str) -> None:
    """Raise OtherDemo if the demo was begun before: its providers ended with the process that ran them."""
    if engine.store.recorder.position(name):
        raise OtherDemo(
            f"this database holds {name} already, and its providers have ended with it; give another --seed "
            "and another database with OMS_HOME"
        )


class Protocols(NamedTuple):
    """Requests to the providers and their reports, and their reconciled bills."""

    requests: Mapping[str, int]
    mishaps: int
    reports: int
    accounts: Sequence[Account]

    @property
    def agree(self) -> bool:
        return all(account.agrees for account in self.accounts)

    def as_json(self) -> dict[str, Any]:
        accounts = [{**account._asdict(), "agrees": account.agrees} for account in self.accounts]
        return {**self._asdict(), "accounts": accounts}


class Story(NamedTuple):
    order: queries.Row
    timeline: Sequence[queries.Row]


class Outcome(NamedTuple):
    """The whole outcome of a demo."""

    ran: Ran
    story: Story | None
    sales: Sequence[queries.Row]
    report: Report
    protocols: Protocols | None = None

    @property
    def passed(self) -> bool:
        return self.report.passed and (self.protocols is None or self.protocols.agree)

    def as_json(self) -> dict[str, Any]:
        ran = self.ran
        return {
            "counts": ran.counts._asdict(),
            "mix": ran.mix,
            "phases": ran.phases,
            "sent": ran.sent,
            "requests_refused": ran.refused,
            "seconds": round(ran.seconds, 3),
            "orders_per_second": round(ran.orders_per_second, 1),
            "verify": {"passed": self.report.passed, **self.report._asdict()},
            "story": self.story and self.story._asdict(),
            "sales": self.sales,
            "protocols": self.protocols and self.protocols.as_json(),
        }

    def as_text(self) -> RenderableType:
        """Return the outcome on one terminal page."""
        ran = self.ran
        parts: Iterable[RenderableType | None] = (
            summary.headline(ran.counts._asdict(), ran.sent, ran.seconds, ran.refused),
            self.story and summary.story(self.story.order, self.story.timeline),
            summary.verified(self.report, DIFFERENCES_SHOWN_MAX),
            self.protocols and summary.reconciled(self.protocols._asdict(), self.protocols.accounts),
        )
        return Group(*(part for part in parts if part is not None))

    def as_tables(self) -> RenderableType:
        """Return the outcome with all tables, of any length."""
        parts: Iterable[RenderableType | None] = (
            _summary(self.ran),
            self.story and display.story(self.story.order, self.story.timeline),
            display.daily_sales(self.sales),
            display.findings(self.report, DIFFERENCES_SHOWN_MAX),
            self.protocols and summary.reconciled(self.protocols._asdict(), self.protocols.accounts),
        )
        return Group(*(part for part in parts if part is not None))


def _summary(ran: Ran) -> RenderableType:
    rows: list[tuple[str, str]] = [
        *((name.replace("_", " "), f"{count:,}") for name, count in ran.counts._asdict().items()),
        *((name, f"{count:,}") for name, count in ran.mix.items()),
        ("requests that came too late", f"{ran.refused:,}"),
        ("seconds", f"{ran.seconds:.1f}"),
        ("orders per second, to their very end", f"{ran.orders_per_second:,.0f}"),
    ]
    return display.grid("What has become of the orders", rows, "", "number", numbers=["number"])


def story_of(connection: queries.Connection) -> Story | None:
    order_id = queries.eventful_order(connection)
    order = order_id and queries.order(connection, order_id)
    return Story(order, queries.timeline(connection, order_id)) if order and order_id else None
