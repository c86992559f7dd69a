"""Free stock wakes waiting orders in turn; whatever the speed of each, no order waits beside free stock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folding import as_recorded
from folding import fold as fold_rows
from oms_es.aggregates.order import decider as order
from oms_es.aggregates.order import transitions as order_steps
from oms_es.aggregates.stock import decider as stock
from oms_es.consumers.order import backorder_filler, order_progress
from oms_es.consumers.order.backorder_filler import WOKEN_MAX, consumer
from oms_es.consumers.sourcing import sourcing
from oms_es.consumers.stock import stock_allocator
from oms_es.kernel import Command, Consumer, Event, Key, Row
from oms_es.processing.read_models.folding import fold
from oms_es.projections.catalog import carrier_rates, items, location_load, locations, sourcing_rules
from oms_es.projections.order import backorder_queue, order_locations
from oms_es.projections.stock import stock_levels
from oms_es.schemas import order as o
from oms_es.schemas import stock as s
from oms_es.schemas.catalog.location import LocationOpened
from story import A2, BERLIN, NOON, at, backordered, cancelled, held, line, received


def place_row(name: str, **more: Any) -> Row:
    opened = LocationOpened(location=name, kind="store", country="DE", priority=0, handling_minor=0, **more)
    return fold_rows(locations.projection, opened)[name,]


def level(location: str, atp: int) -> Row:
    return {"location": location, "atp": atp, "channel_atp": {}, "presale_limit": 0, "presold": 0}


def results(queue: Sequence[tuple[str, int]] = (), *, atp: int = 0, open_places: Sequence[str] = ("berlin",)) -> Any:
    """Return which orders wait for A in turn, and what of it can be promised in Berlin."""
    return {
        "backorder_queue": {
            "A": [{"order_id": order_id, "quantity": n, "terms": {}} for order_id, n in queue],
            "B": [],
        },
        "stock_levels": {"A": [level("berlin", atp), level("empty", -1)], "B": []},
        "locations": {True: [place_row(name) for name in open_places]},
        "sourcing_rules": {True: []},
        "location_load": {True: []},
    }


def woken(event: Event, given_facts: Any) -> list[str]:
    commands: Any = consumer.react(event, given_facts)
    return [command.order_id for command in commands]


QUEUE = (("x", 3), ("y", 3), ("z", 1))
ARRIVALS = [s.StockReleased, s.StockReservationExpired]


@pytest.mark.parametrize(("units", "served"), [(1, "x"), (3, "x"), (4, "xy"), (6, "xy"), (7, "xyz"), (99, "xyz")])
def test_units_that_came_wake_those_whom_they_can_serve_first_come_first_served(units: int, served: str) -> None:
    assert woken(received(units), results(QUEUE)) == list(served)


@pytest.mark.parametrize("event", ARRIVALS)
def test_units_that_were_released_are_units_that_came(event: Any) -> None:
    assert woken(event(**held(order_id="q", quantity=4)), results(QUEUE)) == ["x", "y"]


def test_where_no_one_waits_no_one_is_woken() -> None:
    assert woken(received(9), results()) == []


@pytest.mark.parametrize(("atp", "served"), [(0, ""), (3, "x"), (4, "xy")])
def test_when_less_is_kept_back_what_is_free_now_wakes_who_waits(atp: int, served: str) -> None:
    here: Any = at(quantity=1)
    for event in (
        s.SafetyStockSet(**here),
        s.PresaleLimitSet(**here),
        s.ChannelShareSet(**here, channel="web", share_percent=50),
        s.StockAdjusted(**here, adjustment_id="a", reason="found"),
        s.StockCounted(**here, count_id="c", expected=0),
        s.StockConditionChanged(**here, was="quarantine", condition="sellable", change_id="c"),
    ):
        assert woken(event, results(QUEUE, atp=atp)) == list(served)


def test_who_was_served_wakes_the_next_while_anything_is_free() -> None:
    served = s.StockReserved(**held(attempt=2))
    assert woken(served, results(QUEUE, atp=9)) == ["x"]
    assert woken(served, results(QUEUE, atp=0)) == []
    assert woken(served, results(QUEUE, atp=9, open_places=())) == []


@pytest.mark.parametrize("hold", [held(attempt=1), {**held(), "reservation_id": "cart-7"}])
def test_a_first_lock_and_a_hold_of_no_order_ask_for_no_lookups(hold: Any) -> None:
    reserved = s.StockReserved(**hold)
    lookups = consumer.reactions[s.StockReserved].lookups
    assert [tuple(want.keys(reserved)) for want in lookups] == [()] * len(lookups)
    assert woken(reserved, results(QUEUE, atp=9)) == []


def test_who_leaves_the_queue_unserved_wakes_the_next() -> None:
    assert woken(cancelled(backordered={"A": 2, "B": 1}), results(QUEUE, atp=9)) == ["x"]
    assert woken(cancelled(A2), results(QUEUE, atp=9)) == ["x"]
    assert woken(cancelled(backordered={"A": 2}), results(QUEUE, atp=0)) == []
    assert woken(cancelled(), results(QUEUE, atp=9)) == []


def test_stock_that_came_before_the_order_waited_is_seen_when_it_begins_to() -> None:
    assert woken(backordered(A=5), results(atp=1)) == ["order"]
    assert woken(backordered(A=5), results(atp=0)) == []
    assert woken(backordered(B=5), results(atp=9)) == []
    assert woken(backordered(A=5), results(atp=9, open_places=("empty",))) == []


def test_the_queue_is_asked_for_in_its_order_and_up_to_a_bound() -> None:
    queue, *_ = consumer.reactions[s.StockReceived].lookups
    assert (queue.projection, queue.by, queue.order_by, queue.limit) == (
        "backorder_queue",
        "sku",
        "turn",
        WOKEN_MAX,
    )


def test_who_may_not_be_served_from_there_is_passed_over() -> None:
    only_pos = results(QUEUE)
    only_pos["locations"][True] = [place_row("berlin", channels=("pos",))]
    only_pos["backorder_queue"]["A"][1]["terms"] = {"channel": "pos"}
    assert woken(received(9), only_pos) == ["y"]
    assert woken(received(9, location="closed"), only_pos) == []


def test_free_stock_that_an_order_cannot_use_does_not_wake_it_but_the_next_one_behind_it() -> None:
    whole = o.SourcingTerms(allow_split=False, destination=o.Destination(country="DE"))
    in_vain = backordered(2, order_id="y", A=3).model_copy(update={"terms": whole})
    assert woken(in_vain, results(QUEUE, atp=2)) == ["z"]
    assert woken(in_vain, results(QUEUE, atp=3)) == ["y"]
    assert woken(in_vain, results(QUEUE, atp=0)) == []
    assert woken(in_vain, results(QUEUE[2:], atp=2)) == []
    assert woken(in_vain.model_copy(update={"attempt": 1}), results(QUEUE, atp=2)) == []


# --- all together, in any interleaving

PLACES = ("berlin", "paris", "rome")
ORDERS_MAX = 6
BATCH_MAX = 4
STEPS_MAX = 5_000
WHOLE_SHARE = 0.7
WORLD_SHARES = (0.05, 0.2, 0.6)
DECIDERS = (order.decider, stock.decider)
CONSUMERS = (sourcing.consumer, stock_allocator.consumer, order_progress.consumer, backorder_filler.consumer)
READ_MODELS = (
    backorder_queue.projection,
    stock_levels.projection,
    locations.projection,
    location_load.projection,
    sourcing_rules.projection,
    items.projection,
    order_locations.projection,
    carrier_rates.projection,
)


class World:
    """Streams, a log, and consumers that each proceed at their own pace, with looked-up rows as old as the loop may
    give them."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.states: dict[str, Any] = {}
        self.log: list[Event] = []
        self.positions = dict.fromkeys((c.name for c in CONSUMERS), 0)
        self.rows: dict[str, list[dict[Key, Row | None]]] = {p.name: [{}] for p in READ_MODELS}
        for place in PLACES:
            serves: Any = {"channels": ("pos",)} if place == "rome" else {}
            opened = LocationOpened(location=place, kind="store", country="DE", priority=0, handling_minor=0, **serves)
            self.append(opened)

    def append(self, event: Event) -> None:
        """Append, and remember the read models as they are at every position."""
        self.log.append(event)
        (recorded,) = as_recorded([event])
        for projection in READ_MODELS:
            rows = dict(self.rows[projection.name][-1])
            fold(projection, rows, [recorded])
            self.rows[projection.name].append(rows)

    def ask(self, command: Command) -> None:
        (decider,) = (d for d in DECIDERS if type(command) in d.accepts)
        state = self.states.get(command.stream, decider.initial)
        for event in list(decider.decide(state, command)):
            state = decider.evolve(state, event)
            self.append(event)
        self.states[command.stream] = state

    def behind(self) -> list[Consumer]:
        return [c for c in CONSUMERS if self.positions[c.name] < len(self.log)]

    def step(self, a_consumer: Consumer) -> None:
        """Process a batch, with rows that were looked up once for all of it."""
        first = self.positions[a_consumer.name]
        last = self.chance.randint(first + 1, min(first + BATCH_MAX, len(self.log)))
        batch = [event for event in self.log[first:last] if type(event) in a_consumer.reactions]
        known = self.results(a_consumer, batch, last)
        for command in [command for event in batch for command in a_consumer.react(event, known)]:
            self.ask(command)
        self.positions[a_consumer.name] = last

    def results(self, a_consumer: Consumer, batch: Sequence[Event], last: int) -> Any:
        found: dict[str, dict[Any, list[Row]]] = {}
        seen = {name: rows[self.chance.randint(last, len(self.log))] for name, rows in self.rows.items()}
        for event in batch:
            for want in a_consumer.reactions[type(event)].lookups:
                for key in want.keys(event):
                    rows = [row for row in seen[want.projection].values() if row and row[want.by] == key]
                    order_by = want.order_by
                    ordered = sorted(rows, key=lambda row: row[order_by]) if order_by else rows
                    found.setdefault(want.projection, {})[key] = ordered[: want.limit]
        return found

    def orders(self) -> list[order.Order]:
        return [state for state in self.states.values() if isinstance(state, order.Order)]

    def would_find(self, an_order: order.Order) -> Any:
        """Return what sourcing would assign of what the order waits for if it saw all current stock."""
        lacking = dict(an_order.backordered.items())
        request = order_steps.request_sourcing(an_order, lacking.items(), (), None)
        (answer,) = sourcing.consumer.react(request, self.results(sourcing.consumer, [request], len(self.log)))
        assert isinstance(answer, o.SourceOrder)
        return answer.assignments


def place(number: int, demand: dict[str, int], channel: str = "web", **more: Any) -> o.PlaceOrder:
    return o.PlaceOrder(
        channel=channel,
        external_id=str(number),
        placed_at=NOON + timedelta(minutes=number),
        currency="EUR",
        lines=tuple(line(sku, quantity) for sku, quantity in demand.items()),
        ship_to=BERLIN,
        **more,
    )


def happenings(chance: Random) -> Iterator[Command]:
    """Yield orders, then stock in small quantities, and some changes of mind."""
    order_ids = []
    for number in range(chance.randint(1, ORDERS_MAX)):
        demand = {sku: chance.randint(1, 4) for sku in chance.choice(["A", "A", "B", "AB"])}
        reported = place(number, demand, chance.choice(["web", "pos"]), allow_split=chance.random() < WHOLE_SHARE)
        order_ids.append(reported.order_id)
        yield reported
    for number in range(chance.randint(1, 12)):
        where: Any = {"sku": chance.choice("AAB"), "location": chance.choice(PLACES)}
        match chance.randint(0, 5):
            case 0:
                yield o.CancelOrder(order_id=chance.choice(order_ids), reason="")
            case 1:
                yield s.SetSafetyStock(**where, quantity=chance.randint(0, 2))
            case _:
                yield s.ReceiveStock(**where, receipt_id=str(number), quantity=chance.randint(1, 5))


def happens(world: World, command: Command) -> None:
    being_sourced = isinstance(command, o.CancelOrder) and world.states[command.stream].phase == "sourcing"
    if not being_sourced:  # then no other order is woken, as the module says
        world.ask(command)


def run_until_idle(world: World, to_come: Iterable[Command] = (), share: float = 0.0) -> None:
    """Run to the end. `share`: the part of the steps in which outside events happen, as long as there are some."""
    coming = iter(to_come)
    pending = next(coming, None)
    for _ in range(STEPS_MAX):
        behind = world.behind()
        if pending and (not behind or world.chance.random() < share):
            happens(world, pending)
            pending = next(coming, None)
        elif behind:
            world.step(world.chance.choice(behind))
        else:
            return
    raise AssertionError(f"still going on after {STEPS_MAX} steps and {len(world.log)} events")


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_no_one_waits_beside_stock_that_it_can_use_and_no_one_is_woken_for_ever(seed: int) -> None:
    world = World(Random(seed))
    run_until_idle(world, happenings(world.chance), world.chance.choice(WORLD_SHARES))
    for an_order in world.orders():
        assert an_order.phase in ("awaiting_payment", "backordered", "cancelled")
        if an_order.phase == "backordered":
            assert not world.would_find(an_order)


@pytest.mark.parametrize("seed", range(10))
def test_two_arrivals_at_once_serve_two_orders(seed: int) -> None:
    """Both arrivals find the same order first in the queue."""
    world = World(Random(seed))
    run_until_idle(world, [place(1, {"A": 5}), place(2, {"A": 5})])
    assert [an_order.phase for an_order in world.orders()] == ["backordered"] * 2
    for place_name in ("berlin", "paris"):
        world.ask(s.ReceiveStock(sku="A", location=place_name, receipt_id="r", quantity=5))
    run_until_idle(world)
    assert [an_order.phase for an_order in world.orders()] == ["awaiting_payment"] * 2
