"""The guards of the design, each as a switch that takes it out: the simulation must be able to fail.

Nothing here is part of the engine. A guard is taken out by putting another part into the kit of which nodes are made;
tests/system/simulation shows that every one of them is missed within some hundred seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

from oms_es.aggregates.payment.state import Payment
from oms_es.aggregates.stock import decider as stock
from oms_es.consumers.order.deadline_keeper import due_commands
from oms_es.gateways.simulated.simulators import Effect, Told
from oms_es.kafka.cloudevents import position_of
from oms_es.kafka.groups import PartitionFeed
from oms_es.kafka.relay import RELAYED_MAX, EventOutlet
from oms_es.kernel import Command, Decider, Recorded, Refused, Row
from oms_es.processing.intake import Arrival, Intake, Taken
from oms_es.processing.loop import ConsumerWorker
from oms_es.processing.read_models import ReadModel
from oms_es.schemas.order import PlaceOrder, RecordReservation
from oms_es.schemas.payment import RecordReport
from oms_es.schemas.stock import ExpireReservation
from oms_es.simulation.campaign import campaign
from oms_es.simulation.components import WHOLE, Kit
from oms_es.simulation.database import (
    Database,
    MemoryBooks,
    MemoryLeadership,
    MemoryRecorder,
    MemoryRows,
    Saved,
    Session,
    Transaction,
)
from oms_es.simulation.external_systems import MemoryLedger
from oms_es.simulation.roles import EngineNode
from oms_es.simulation.scenario import PROFILES
from oms_es.store.recorder import Advance, EventRow
from oms_es.store.store import Store


class Guard(NamedTuple):
    """`breaks`: what goes wrong without it."""

    name: str
    where: str
    breaks: str
    without: Callable[[Kit], Kit]
    profile: str = "stormy"


class AnyGreater(Database):
    """A position moves whenever it rises, whoever moves it."""

    def may_move(self, advance: Advance) -> bool:
        return advance.position > self.tracking.get(advance.name, 0) or not advance.previous


class TakesAgain(PartitionFeed):
    """What comes again is given out again."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._again: list[Recorded] = []

    def read(self, after: int, limit: int) -> Sequence[Recorded]:
        again, self._again = self._again, []
        return [*again, *super().read(after, limit)]

    def _next(self) -> None:
        if self._gap is None and position_of(self._messages[0])[0] <= self.end:
            repeated = self.wire.recorded(self._messages[0])
            self._again.append(repeated._replace(position=self.end))
        super()._next()


class TrustsMessages(PartitionFeed):
    """What lies between two messages is not looked for."""

    def _next(self) -> None:
        if self._messages:
            self.end = max(self.end, position_of(self._messages[0])[1])
        super()._next()


class AsksEarly(MemoryRecorder):
    """The world is told what is only about to be recorded."""

    def append(self, transaction: Transaction, rows: Sequence[EventRow]) -> list[int]:
        ids = super().append(transaction, rows)
        if isinstance(self.node, EngineNode):
            recorded = [self.database.codec.decode(row) for row in rows]
            for gateway in self.node.gateways():
                if intents := [r for r in recorded if type(r.event) in gateway.intents]:
                    gateway.perform(intents)
        return ids


class ForgetfulLedger(MemoryLedger):
    """The world does not recognise a key that it has seen."""

    def effects(
        self, asked: Sequence[tuple[UUID, Callable[[], Effect]]], tells: Callable[[Effect], Iterable[Told]]
    ) -> tuple[dict[UUID, Effect], set[UUID]]:
        for key, _ in asked:
            self.outside.known.pop(key, None)
        return super().effects(asked, tells)


class Whole(Intake):
    """A batch that fails is buried as it is."""

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        given, letters = self._screened(arrivals)
        try:
            return self._commit(given, letters, arrivals[-1].position)
        except Refused as refused:
            return self._commit([], [self._letter(arrival, refused) for arrival in arrivals], arrivals[-1].position)


class Everyone(MemoryLeadership):
    """Whoever asks is the relay."""

    def locked(self, _: Session) -> bool:
        return True


class NoFence(MemoryBooks):
    """A deposed relay may still save its position."""

    def fits(self, _: Saved) -> bool:
        return True


class BelievesItsCache(MemoryRecorder):
    """Nobody asks whether a stream has grown meanwhile."""

    def stale(self, _transaction: Transaction, _expected: Mapping[str, int]) -> list[str]:
        return []


class NoLock(MemoryRecorder):
    """Writers number their events side by side."""

    def lock(self, transaction: Transaction) -> None:
        """Nobody waits."""


class NoRowLock(MemoryRows):
    """Rows that several streams feed are changed by several workers at once."""

    def lock(self, transaction: Transaction) -> None:
        """Nobody waits."""


class PositionFirst(MemoryRecorder):
    """The position is kept in a transaction of its own, before the effects."""

    def advance(self, transaction: Transaction, advance: Advance) -> None:
        super().advance(transaction, advance)
        self.database.tracking[advance.name] = advance.position


class Unbounded(ConsumerWorker):
    """Facts may be older than the event that asks for them."""

    def bound(self) -> int | None:
        return None


class AnyGeneration(MemoryRows):
    """Nobody notices that rows were rebuilt under him."""

    def knows(self, _: Advance) -> bool:
        return True


class Remembers(ReadModel):
    """Rows are remembered although the position was somebody else's meanwhile."""

    def forget(self) -> None:
        """Nothing is forgotten."""


class BelievesTheEnd(Store):
    """Every cached stream is believed to be the newest as long as nobody has written since this store last looked."""

    def _remember(self, states: Mapping[str, Any]) -> None:
        super()._remember(states)
        self._newest_at = dict.fromkeys(self._newest_at, self._others)


class BelievesRefusals(Store):
    """What a stale state refuses is refused."""

    def _doubted(self, expected: Mapping[str, int]) -> dict[str, int]:
        return super()._doubted(expected) if any(expected.values()) else {}

    def _others_came(self) -> bool:
        return False


class SavesFirst(EventOutlet):
    """The relay's position moves before the broker has the messages."""

    def publish(self, session: Any) -> int:
        rows = self.books.events(session, self.position, RELAYED_MAX)
        if not rows:
            return 0
        last = dict(self._last)
        messages = [self._outgoing(row, last) for row in rows]
        position = rows[-1].notification_id
        self.books.save(session, self.epoch, self.position, position, last)
        self.publisher.publish(messages)
        self._last, self.position = last, position
        return len(messages)


def nothing_expires(rows: Iterable[Row], now: datetime) -> Iterator[Command]:
    return (command for command in due_commands(rows, now) if not isinstance(command, ExpireReservation))


def numbered(kit: Kit) -> Kit:
    """Every telling of an order gets an id of its own."""
    numbers = count(1)

    def parse(payload: bytes) -> Command:
        order = kit.orders(payload)
        assert isinstance(order, PlaceOrder)
        order.__dict__["order_id"] = f"order-number-{next(numbers)}"
        return order

    return replace(kit, orders=parse)


def promises_anything(decider: Decider[Any]) -> Decider[Any]:
    """Whether there is as much is not asked."""

    def decide(state: stock.Stock, command: Any) -> Iterable[Any]:
        return decider.decide(state._replace(policy=state.policy._replace(safety_stock=-1_000_000)), command)

    return replace(decider, decide=decide)


def presells_anything(decider: Decider[Any]) -> Decider[Any]:
    """How many may be sold before they exist is not asked."""

    def decide(state: stock.Stock, command: Any) -> Iterable[Any]:
        return decider.decide(state._replace(policy=state.policy._replace(presale_limit=1_000_000)), command)

    return replace(decider, decide=decide)


def hears_nothing_early(decider: Decider[Any]) -> Decider[Any]:
    """A lock that goes over to an order which has not begun yet is told to nobody."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        if isinstance(command, RecordReservation) and state.placed is None:
            return ()
        return decider.decide(state, command)

    return replace(decider, decide=decide)


def takes_every_report(decider: Decider[Any]) -> Decider[Any]:
    """A provider's reference that is known already is taken for another effect."""

    def decide(state: Payment, command: Any) -> Iterable[Any]:
        blind = state._replace(effects=type(state.effects)(), references=type(state.references)())
        return decider.decide(blind if type(command).__name__.startswith("Record") else state, command)

    return replace(decider, decide=decide)


def believes_every_amount(decider: Decider[Any]) -> Decider[Any]:
    """What a report says of its amount and its currency is taken to be what was asked for."""

    def decide(state: Payment, command: Any) -> Iterable[Any]:
        if isinstance(command, RecordReport) and command.operation in ("authorize", "capture"):
            command = command.model_copy(update={"amount_minor": None, "currency": None})
        return decider.decide(state, command)

    return replace(decider, decide=decide)


def keeps_no_report(decider: Decider[Any]) -> Decider[Any]:
    """What is said of an order before the order itself is passed over."""

    def decide(state: Any, command: Any) -> Iterable[Any]:
        return () if state.placed is None and getattr(command, "keep", False) else decider.decide(state, command)

    return replace(decider, decide=decide)


def _with(change: Callable[[Decider[Any]], Decider[Any]], category: str) -> Callable[[Kit], Kit]:
    return lambda kit: replace(
        kit, deciders=tuple(change(decider) if decider.category == category else decider for decider in kit.deciders)
    )


GUARDS: tuple[Guard, ...] = (
    Guard(
        "position compare-and-set",
        "`store/recorder.py`",
        "two workers that have one position both do what follows: rows count it twice",
        lambda kit: replace(kit, database=AnyGreater),
    ),
    Guard(
        "position in the transaction of its effects",
        "`store/store.py`",
        "a batch that fails after its position has moved is never done",
        lambda kit: replace(kit, recorder=PositionFirst),
        "hurricane",
    ),
    Guard(
        "rows forgotten at every seek",
        "`processing/loop.py`",
        "events are folded into rows that another worker has changed",
        lambda kit: replace(kit, read_model=Remembers),
        "hurricane",
    ),
    Guard(
        "append lock",
        "`store/recorder.py`",
        "positions do not rise in the order of commits: whoever reads the log's end misses events",
        lambda kit: replace(kit, recorder=NoLock),
    ),
    Guard(
        "stale streams asked for under the append lock",
        "`store/store.py`",
        "decisions are made from states that are not the newest",
        lambda kit: replace(kit, recorder=BelievesItsCache),
    ),
    Guard(
        "every cached stream doubted that others may have overtaken",
        "`store/store.py`",
        "a stream overtaken before the store last looked is taken for the newest",
        lambda kit: replace(kit, store=BelievesTheEnd),
    ),
    Guard(
        "refusals believed only from the newest state",
        "`store/store.py`",
        "a command that is right is refused, and its consumer stops",
        lambda kit: replace(kit, store=BelievesRefusals),
    ),
    Guard(
        "facts no older than the event that asks",
        "`processing/loop.py`",
        "stock that came is not seen: an order waits although there is stock",
        lambda kit: replace(kit, consumer=Unbounded),
    ),
    Guard(
        "repeats skipped by position",
        "`kafka/groups.py`",
        "what the relay tells twice counts twice",
        lambda kit: replace(kit, feed=TakesAgain),
        "kafka",
    ),
    Guard(
        "chain of predecessors",
        "`kafka/groups.py`",
        "what a topic has lost is never done",
        lambda kit: replace(kit, feed=TrustsMessages),
        "kafka",
    ),
    Guard(
        "relay's lock and epoch",
        "`kafka/relay.py`",
        "two relays tell a partition's events with different predecessors",
        lambda kit: replace(kit, leadership=Everyone, books=NoFence),
        "kafka",
    ),
    Guard(
        "relay's position after the acknowledgement",
        "`kafka/relay.py`",
        "events are missing from the topics for ever",
        lambda kit: replace(kit, outlet=SavesFirst),
        "kafka",
    ),
    Guard(
        "lock on rows that several streams feed",
        "`processing/read_models.py`",
        "of two additions to a day's sales one is lost",
        lambda kit: replace(kit, rows=NoRowLock),
        "crowd",
    ),
    Guard(
        "generation of the rows",
        "`processing/read_models.py`",
        "what was wrong before a rebuild is written back after it",
        lambda kit: replace(kit, rows=AnyGeneration),
        "hurricane",
    ),
    Guard(
        "intent before the gateway is asked",
        "`gateways/`",
        "money moves of which history knows nothing",
        lambda kit: replace(kit, recorder=AsksEarly),
    ),
    Guard(
        "idempotency keys",
        "`gateways/`",
        "an answer that was lost is paid for twice",
        lambda kit: replace(kit, ledger=ForgetfulLedger),
    ),
    Guard(
        "one effect per reference",
        "`aggregates/payment/decider.py`",
        "a callback told twice is money twice",
        _with(takes_every_report, "payment"),
    ),
    Guard(
        "amount and currency of a report compared with what was asked",
        "`aggregates/payment/reports.py`",
        "whoever can say that a payment is held has it held, and what the provider holds is not in the log",
        _with(believes_every_amount, "payment"),
        "hostile",
    ),
    Guard(
        "reports kept that come before their order",
        "`aggregates/order/elsewhere.py`",
        "what a channel has shipped or cancelled already is shipped again",
        _with(keeps_no_report, "order"),
        "life",
    ),
    Guard(
        "halving down to the culprit",
        "`processing/intake.py`",
        "good callbacks are buried with a bad one",
        lambda kit: replace(kit, intake=Whole),
        "hurricane",
    ),
    Guard(
        "order ids derived from the channel's own",
        "`schemas/order/__init__.py`",
        "an order told twice is two orders",
        numbered,
    ),
    Guard(
        "promises within what is available",
        "`aggregates/stock/`",
        "stock is oversold",
        _with(promises_anything, "stock"),
    ),
    Guard(
        "presales within their limit",
        "`aggregates/stock/`",
        "more is sold before it exists than will come",
        _with(presells_anything, "stock"),
        "life",
    ),
    Guard(
        "locks that go over taken down before their order begins",
        "`aggregates/order/decider.py`",
        "what was split off waits for ever for units that it has",
        _with(hears_nothing_early, "order"),
        "life",
    ),
    Guard(
        "reservations that expire",
        "`consumers/order/deadline_keeper.py`",
        "a cart that was left holds its stock for ever",
        lambda kit: replace(kit, due=nothing_expires),
    ),
)


def missed(seeds: Iterable[int], minutes: float) -> Iterator[str]:
    """A row per guard: what breaks without it, and after how many seeds that was seen."""
    for guard in GUARDS:
        summary = campaign(seeds, PROFILES[guard.profile], minutes, guard.without(WHOLE))
        broken = summary.failed[0].violation if summary.failed else None
        seen = f"{summary.seeds} | {broken.check}" if broken else f"not in {summary.seeds} |"
        yield f"| {guard.name} | {guard.where} | {guard.breaks} | {guard.profile} | {seen} |"


BY_NAME: Mapping[str, Guard] = {guard.name: guard for guard in GUARDS}


def kit_without(*names: str) -> Kit:
    kit = WHOLE
    for name in names:
        kit = BY_NAME[name].without(kit)
    return kit
