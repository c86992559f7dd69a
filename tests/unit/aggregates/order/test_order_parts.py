"""Split and merged orders: units and money are conserved, and reservations are never released on the way."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.aggregates.order import decider as order
from oms_es.aggregates.order.decider import Order
from oms_es.aggregates.stock import decider as stock
from oms_es.consumers.order import order_joiner, order_progress
from oms_es.consumers.order.order_joiner import place_joined_order_on_order_split
from oms_es.consumers.payment import payment_requester
from oms_es.consumers.stock import stock_allocator
from oms_es.kernel import Command, Consumer, Event, Refused
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import stock as s
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns.rma import ReturnLine
from oms_es.schemas.values.types import AMOUNT_MINOR_MAX
from order_story import (
    A2,
    B1,
    DUE,
    FULFILLING,
    ID,
    OF,
    PLACE,
    OrderScenario,
    locked,
    of_shape,
    paid,
    placed,
    source,
    units,
)

CONSUMERS = (order_joiner.consumer, order_progress.consumer, stock_allocator.consumer, payment_requester.consumer)
STOCK_FIRST = (stock_allocator.consumer, order_progress.consumer, order_joiner.consumer, payment_requester.consumer)
"""Locks go over before the order that they go to has begun."""
DECIDERS: dict[str, Any] = {"order": order.decider, "stock": stock.decider}


class World:
    """Order and stock streams with the consumers between them; commands to payments are recorded only."""

    def __init__(self, consumers: tuple[Consumer, ...] = CONSUMERS) -> None:
        self.consumers = consumers
        self.states: dict[str, Any] = {}
        self.log: list[Event] = []
        self.asked: list[Command] = []
        self.position = 0
        for sku, location in (("A", "berlin"), ("B", "paris")):
            self.submit(s.ReceiveStock(sku=sku, location=location, receipt_id="r", quantity=9))

    def submit(self, command: Command) -> None:
        decider = DECIDERS[command.stream.partition("-")[0]]
        state = self.states.get(command.stream, decider.initial)
        events = list(decider.decide(state, command))
        self.states[command.stream] = reduce(decider.evolve, events, state)
        self.log += events
        self.settle()

    def settle(self) -> None:
        while self.position < len(self.log):
            event = self.log[self.position]
            self.position += 1
            for consumer in self.consumers:
                if type(event) in consumer.reactions:
                    for command in consumer.react(event, {"gateway_routes": {True: []}}):
                        self.asked.append(command)
                        if not isinstance(command, p.PaymentCommand):
                            self.submit(command)

    def order(self, order_id: str) -> Order:
        state: Order = self.states[f"order-{order_id}"]
        return state

    def orders(self) -> list[Order]:
        return [state for state in self.states.values() if isinstance(state, Order) and state.placed]

    def promised(self) -> dict[str, int]:
        return {stream: state.promised for stream, state in self.states.items() if stream.startswith("stock-")}


def placed_and_locked(world: World, external_id: str = "1", **more: Any) -> str:
    place = placed(external_id=external_id, **more)
    world.submit(place)
    answer = source(1, A2, B1).model_copy(update={"order_id": place.order_id})
    world.submit(answer)
    return place.order_id


def payments(world: World) -> tuple[list[int], list[str]]:
    """Return the amounts that were requested, and the payments that were cancelled."""
    asked = [command.amount_minor for command in world.asked if isinstance(command, p.RequestPayment)]
    return asked, [command.payment_id for command in world.asked if isinstance(command, p.CancelPayment)]


def split(order_id: str, **by_line: int) -> o.SplitOrder:
    return o.SplitOrder(order_id=order_id, split_id="s", lines=units(**by_line))


def total(state: Order) -> int:
    assert state.content
    return state.content.total_minor


@given(st.integers(0, 1000), st.integers(0, 40), st.sampled_from([{"_1": 1}, {"_1": 2}, {"_2": 1}, {"_1": 1, "_2": 1}]))
def test_p25_a_split_conserves_units_money_and_locks(discount: int, tax: int, moved: dict[str, int]) -> None:
    world = World()
    order_id = placed_and_locked(world, discount_minor=discount, tax_minor=tax)
    before, promised = total(world.order(order_id)), world.promised()
    world.submit(split(order_id, **moved))
    parts = world.orders()
    assert len(parts) == 2
    assert sum(total(part) for part in parts) == before
    assert world.promised() == promised
    assert not [event for event in world.log if isinstance(event, s.StockReleased)]
    for part in parts:
        assert part.content
        held: dict[str, int] = {}
        for (_, sku, _), quantity in part.allocated.items():
            held[sku] = held.get(sku, 0) + quantity
        assert held == part.content.demand
        assert part.phase in ("awaiting_payment", "fulfilling")


def test_p25_locks_that_go_over_before_their_order_begins_are_its_own_from_its_beginning() -> None:
    world = World(STOCK_FIRST)
    order_id = placed_and_locked(world)
    world.submit(split(order_id, _1=1))
    other = next(event for event in world.log if getattr(event, "order_id", order_id) != order_id)
    assert isinstance(other, o.OrderLineAllocated)
    assert [part.phase for part in world.orders()] == ["awaiting_payment"] * 2
    assert sum(sum(part.allocated.values()) for part in world.orders()) == sum(world.promised().values())


def test_p25_orders_merge_whose_locks_go_over_before_they_do() -> None:
    world = World(STOCK_FIRST)
    ids = [placed_and_locked(world, str(number)) for number in (1, 2)]
    world.submit(o.MergeOrders(channel="web", merge_id="m", order_ids=tuple(ids)))
    (merged,) = (each for each in world.orders() if each.joined)
    assert merged.phase == "awaiting_payment"
    assert sum(merged.allocated.values()) == sum(world.promised().values())


def test_a_lock_that_came_before_its_order_is_taken_down_once_and_means_nothing_to_an_order_that_a_channel_placed() -> (
    None
):
    early = o.RecordReservation(**OF, reservation_id=o.transferred(ID, "x/1"), sku="A", location="berlin", quantity=1)
    (scenario,) = order.decider.decide(order.decider.initial, early)
    known = order.decider.evolve(order.decider.initial, scenario)
    assert list(order.decider.decide(known, early)) == []
    begun = reduce(order.decider.evolve, order.decider.decide(known, PLACE), known)
    assert not begun.allocated
    assert begun.phase == "sourcing"


def name_of_the_part(order_id: str) -> str:
    """Return the id of the order to be split off, which is known before."""
    world = World()
    placed_and_locked(world)
    world.submit(split(order_id, _1=1))
    (scenario,) = [event for event in world.log if isinstance(event, o.OrderSplit)]
    return scenario.to_order_id


EARLY_AMENDMENT = {"amendment_id": "a", "shipping_minor": 7, "keep": True}
EARLY_CANCELLATION = {"reason": "changed my mind", "keep": True}


@pytest.mark.parametrize("consumers", [CONSUMERS, STOCK_FIRST], ids=["order first", "stock first"])
def test_what_came_before_an_order_that_begins_by_a_split_counts_when_it_begins(
    consumers: tuple[Consumer, ...],
) -> None:
    world = World(consumers)
    order_id = placed_and_locked(world)
    part = name_of_the_part(order_id)
    early = o.AmendOrder(order_id=part, **EARLY_AMENDMENT)
    world.submit(early)
    world.submit(split(order_id, _1=1))
    assert total(world.order(part)) == 307
    assert world.order(part).phase == "awaiting_payment"
    known = len(world.log)
    world.submit(early)
    assert len(world.log) == known
    with pytest.raises(Refused, match="already"):
        world.submit(early.model_copy(update={"shipping_minor": 8}))


def test_an_amendment_that_came_before_a_split_and_does_not_fit_is_answered() -> None:
    world = World()
    order_id = placed_and_locked(world)
    part = name_of_the_part(order_id)
    world.submit(o.AmendOrder(order_id=part, amendment_id="a", discount_minor=10_000, keep=True))
    world.submit(split(order_id, _1=1))
    assert [event.amendment_id for event in world.log if isinstance(event, o.OrderAmendmentRefused)] == ["a"]
    assert total(world.order(part)) == 300


@pytest.mark.parametrize("consumers", [CONSUMERS, STOCK_FIRST], ids=["order first", "stock first"])
def test_an_order_that_was_cancelled_before_it_began_by_a_split_ends_and_releases_its_locks(
    consumers: tuple[Consumer, ...],
) -> None:
    world = World(consumers)
    order_id = placed_and_locked(world)
    part = name_of_the_part(order_id)
    world.submit(o.CancelOrder(order_id=part, **EARLY_CANCELLATION))
    before = sum(world.promised().values())
    world.submit(split(order_id, _1=1))
    assert world.order(part).phase == "cancelled"
    assert sum(world.promised().values()) == before - 1
    assert world.order(order_id).phase == "awaiting_payment"


@pytest.mark.parametrize("consumers", [CONSUMERS, STOCK_FIRST], ids=["order first", "stock first"])
@pytest.mark.parametrize("cancelled", [False, True])
def test_what_came_before_an_order_that_begins_by_a_merge_counts_when_it_begins(
    consumers: tuple[Consumer, ...], *, cancelled: bool
) -> None:
    world = World(consumers)
    ids = [placed_and_locked(world, str(number)) for number in (1, 2)]
    merge = o.MergeOrders(channel="web", merge_id="m", order_ids=tuple(ids))
    world.submit(o.AmendOrder(order_id=merge.order_id, **EARLY_AMENDMENT))
    if cancelled:
        world.submit(o.CancelOrder(order_id=merge.order_id, **EARLY_CANCELLATION))
    world.submit(merge)
    merged = world.order(merge.order_id)
    assert merged.content
    assert merged.content.shipping_minor == 7
    assert merged.phase == ("cancelled" if cancelled else "awaiting_payment")
    assert sum(world.promised().values()) == (0 if cancelled else 6)


def test_a_split_asks_for_both_amounts_and_undoes_the_old_payment() -> None:
    world = World()
    order_id = placed_and_locked(world)
    world.submit(split(order_id, _1=1))
    assert payments(world) == ([1050, 750, 300], [f"{order_id}.1"])


def test_what_waits_for_stock_is_split_off_first() -> None:
    scenario = OrderScenario(PLACE, source(1, B1, A=2), locked(1, B1), split(ID, _1=1))
    parted = scenario.only(o.OrderSplit)
    assert (parted.no_longer_backordered, parted.released) == ({"A": 1}, ())
    (begin,) = order_joiner.consumer.react(parted)
    (begun,) = of_shape(o.OrderBackordered, OrderScenario(begin).history)
    assert begun.demand == {"A": 1}


def test_a_split_happens_once_and_leaves_something() -> None:
    scenario = OrderScenario(*DUE, split(ID, _1=1))
    assert scenario.submit(split(ID, _1=1)) == []
    for story, command, reason in (
        (DUE, split(ID, _1=2, _2=1), "nothing_left"),
        (DUE, split(ID, _1=3), "no_such_units"),
        (DUE[:2], split(ID, _1=1), "being_sourced"),
        (FULFILLING, split(ID, _1=1), "already_released"),
    ):
        with pytest.raises(Refused) as refused:
            OrderScenario(*story).submit(command)
        assert refused.value.reason == reason


def test_a_lock_that_comes_after_its_order_was_cancelled_is_given_back() -> None:
    (begin,) = order_joiner.consumer.react(OrderScenario(*DUE, split(ID, _1=1)).only(o.OrderSplit))
    assert isinstance(begin, o.PlaceJoined)
    scenario = OrderScenario(begin, o.CancelOrder(order_id=begin.order_id, reason=""))
    (lock,) = begin.transfers
    late = o.RecordReservation(order_id=begin.order_id, **lock.model_dump())
    scenario.submit(late)
    assert scenario.shapes() == ["OrderLockReturned"]
    assert scenario.submit(late) == []


def merge(*order_ids: str) -> o.MergeOrders:
    return o.MergeOrders(channel="web", merge_id="m", order_ids=order_ids)


MERGED = merge("x", "y").order_id


def test_p25_a_merge_conserves_units_money_and_locks() -> None:
    world = World()
    one, two = placed_and_locked(world, "1"), placed_and_locked(world, "2", shipping_minor=10)
    before, promised = total(world.order(one)) + total(world.order(two)), world.promised()
    world.submit(merge(one, two))
    merged = world.order(MERGED)
    assert (total(merged), merged.phase) == (before, "awaiting_payment")
    assert merged.content
    assert merged.content.demand == {"A": 4, "B": 2}
    assert [world.order(each).phase for each in (one, two)] == ["merged", "merged"]
    assert world.promised() == promised
    assert not [event for event in world.log if isinstance(event, s.StockReleased)]
    asked, undone = payments(world)
    assert (asked, sorted(undone)) == ([1050, 1010, 2060], sorted([f"{one}.1", f"{two}.1"]))


def test_an_order_that_goes_elsewhere_or_has_gone_is_left_as_it_is() -> None:
    world = World()
    one = placed_and_locked(world, "1")
    elsewhere = placed_and_locked(world, "2", ship_to=o.Address(country="FR"))
    gone = placed_and_locked(world, "3")
    world.submit(paid().model_copy(update={"order_id": gone, "payment_id": f"{gone}.1"}))
    world.submit(merge(one, elsewhere, gone, "nobody"))
    assert total(world.order(MERGED)) == 1050
    assert [world.order(each).phase for each in (one, elsewhere, gone)] == ["merged", "awaiting_payment", "fulfilling"]
    reasons = [event.reason for event in of_shape(o.OrderMergeDeclined, world.log)]
    assert reasons == ["it has another ship_to", "it is fulfilling", "there is no such order"]


def test_a_merge_of_which_nothing_comes_is_reported_and_happens_once() -> None:
    world = World()
    world.submit(merge("nobody", "no one"))
    assert isinstance(world.log[-1], o.OrderMergeFailed)
    scenario = len(world.log)
    world.submit(merge("nobody", "no one"))
    assert len(world.log) == scenario
    with pytest.raises(Refused):
        OrderScenario(o.CancelOrder(**OF, reason=""))


# --- what goes over and is not there


PARTED = OrderScenario(*DUE, split(ID, _1=1)).only(o.OrderSplit)
PART = PARTED.to_order_id
LOCK: Any = {"reservation_id": o.transferred(PART, f"{ID}/1"), "sku": "A", "location": "berlin", "quantity": 1}
NOT_THERE = o.RecordShortage(order_id=PART, **LOCK)
THERE = o.RecordReservation(order_id=PART, **LOCK)
(BEGIN,) = place_joined_order_on_order_split(PARTED)


@pytest.mark.parametrize("before", [(NOT_THERE,), (NOT_THERE, NOT_THERE), (THERE, NOT_THERE)])
def test_an_order_that_has_not_begun_remembers_what_is_not_there_and_seeks_it_then(
    before: tuple[Command, ...],
) -> None:
    scenario = OrderScenario(*before)
    assert [type(event) for event in scenario.history].count(o.OrderTransferShort) == 1
    scenario.submit(BEGIN)
    assert (scenario.shapes(), scenario.state.phase) == (
        ["OrderPlaced", "OrderJoined", "OrderSourcingRequested"],
        "sourcing",
    )
    sought = scenario.only(o.OrderSourcingRequested)
    assert (sought.demand, sought.excluded) == ({"A": 1}, {"A": ("berlin",)})
    assert scenario.submit(NOT_THERE) == scenario.submit(BEGIN) == []


def test_an_order_that_has_begun_seeks_at_once_what_is_not_there() -> None:
    assert [type(event) for event in OrderScenario(BEGIN, NOT_THERE).last] == [o.OrderSourcingRequested]


def test_of_units_that_no_order_gives_it_nothing_is_remembered() -> None:
    assert OrderScenario(NOT_THERE.model_copy(update={"reservation_id": f"{PART}/1"})).history == []
    scenario = OrderScenario(THERE, BEGIN)
    assert scenario.shapes() == ["OrderPlaced", "OrderJoined", "OrderAllocated"]


# --- what goes where


LINE_C = o.OrderLine(line_id="c", sku="C", quantity=2, unit_price_minor=100)


def test_a_split_off_order_has_its_units_with_their_discount_and_tax_and_no_shipping() -> None:
    priced = placed(discount_minor=100, tax_minor=20, priority=7)
    scenario = OrderScenario(priced, *DUE[1:], split(ID, _1=1))
    parted = scenario.only(o.OrderSplit)
    content = parted.content
    assert content.external_id == "split/s/1"
    assert parted.to_order_id == o.order_id_of("web", "split/s/1")
    assert [(line.line_id, line.sku, line.quantity) for line in content.lines] == [("1", "A", 1)]
    assert (content.shipping_minor, content.discount_minor, content.tax_minor) == (0, 30, 5)
    assert (parted.discount_minor, parted.tax_minor) == (70, 15)
    assert content.priority == 7
    assert content.total_minor + scenario.total == priced.total_minor
    assert content.total_minor == 275


def paid_with(*amounts: int) -> tuple[o.Tender, ...]:
    return tuple(
        o.Tender(method="account", payment_token=f"account-{number}", amount_minor=amount)
        for number, amount in enumerate(amounts, start=1)
    )


@pytest.mark.parametrize(
    ("tenders", "kept", "gone"),
    [
        (paid_with(1050), [("account-1", 750)], [("account-1", 300)]),
        (paid_with(700, 350), [("account-1", 700), ("account-2", 50)], [("account-2", 300)]),
        (paid_with(800), [("account-1", 750)], [("account-1", 50)]),
        (paid_with(700), [("account-1", 700)], []),
        ((), [], []),
    ],
)
def test_tenders_that_the_rest_of_an_order_does_not_need_go_with_what_is_split_off(
    tenders: tuple[o.Tender, ...], kept: list[tuple[str, int]], gone: list[tuple[str, int]]
) -> None:
    scenario = OrderScenario(placed(tenders=tenders), *DUE[1:], split(ID, _1=1))
    left, goes = scenario.state.content, scenario.only(o.OrderSplit).content
    assert left
    assert [(t.payment_token, t.amount_minor) for t in left.all_tenders] == kept
    assert [(t.payment_token, t.amount_minor) for t in goes.all_tenders] == gone


@given(
    st.lists(st.integers(1, 500), max_size=30).filter(lambda amounts: sum(amounts) <= 1050),
    st.sampled_from([{"_1": 1}, {"_1": 2}, {"_2": 1}, {"_1": 1, "_2": 1}]),
)
def test_what_an_order_was_paid_with_is_what_its_parts_are_paid_with(amounts: list[int], moved: dict[str, int]) -> None:
    world = World()
    order_id = placed_and_locked(world, tenders=paid_with(*amounts))
    world.submit(split(order_id, **moved))
    parts = [part.content for part in world.orders()]
    found: dict[str, int] = {}
    for content in parts:
        assert content
        assert sum(t.amount_minor for t in content.all_tenders) <= content.total_minor
        for tender in content.all_tenders:
            found[tender.payment_token] = found.get(tender.payment_token, 0) + tender.amount_minor
    assert found == {tender.payment_token: tender.amount_minor for tender in paid_with(*amounts)}


def test_orders_that_merge_are_paid_with_the_tenders_of_all() -> None:
    world = World()
    one = placed_and_locked(world, "1", tenders=paid_with(300))
    two = placed_and_locked(world, "2", tenders=paid_with(200, 100))
    world.submit(merge(one, two))
    merged = world.order(MERGED)
    assert merged.content
    assert merged.content.all_tenders == (*paid_with(300), *paid_with(200, 100))
    asked = [c for c in world.asked if isinstance(c, p.RequestPayment) and c.order_id == MERGED]
    assert [(c.payment_token, c.amount_minor) for c in asked] == [
        ("account-1", 300),
        ("account-1", 200),
        ("account-2", 100),
        ("on-file", 1500),
    ]


def test_orders_with_too_many_tenders_do_not_merge() -> None:
    one = merged_from("1", tenders=paid_with(*[1] * (o.TENDERS_MAX - 40)))
    fits, too_many = (placed(tenders=paid_with(*[1] * n)) for n in (40, 41))
    assert isinstance(answer(fits, *DUE[1:], terms=one.content), o.OrderMergedInto)
    assert why_not(too_many, *DUE[1:], terms=one.content) == (
        f"together they would be paid with more than {o.TENDERS_MAX} tenders"
    )


def test_a_line_named_twice_is_split_off_twice() -> None:
    twice = o.SplitOrder(order_id=ID, split_id="s", lines=(*units(_1=1), *units(_1=1)))
    assert [line.quantity for line in OrderScenario(*DUE, twice).only(o.OrderSplit).content.lines] == [2]
    three = o.SplitOrder(order_id=ID, split_id="s", lines=(*units(_1=2), *units(_1=1)))
    with pytest.raises(Refused, match="no_such_units"):
        OrderScenario(*DUE, three)


def test_only_a_standard_order_at_rest_is_split() -> None:
    presale = placed(kind="presale", deposit_minor=100, available_by=PLACE.placed_at)
    sold = (presale, source(1, A2, B1), locked(1, A2), locked(1, B1))
    with pytest.raises(Refused, match="not_standard"):
        OrderScenario(*sold, split(ID, _1=1))
    with pytest.raises(Refused, match="being_sourced"):
        OrderScenario(PLACE, split(ID, _1=1))


def test_what_is_split_off_a_bundle_is_a_bundle_still() -> None:
    a_set = placed(lines=(o.OrderLine(line_id="1", sku="SET", quantity=2, unit_price_minor=500),))
    held = (("CUP", "berlin", 4), ("POT", "berlin", 2))
    exploded = o.ExplodeBundles(**OF, attempt=1, bundles={"SET": {"CUP": 2, "POT": 1}})
    scenario = OrderScenario(a_set, exploded, source(2, *held), *(locked(2, one) for one in held), split(ID, _1=1))
    parted = scenario.only(o.OrderSplit)
    assert parted.bundles == {"SET": {"CUP": 2, "POT": 1}}
    assert (parted.content.total_minor, scenario.total) == (500, 550)
    assert {cut.sku: (cut.quantity, cut.remaining) for cut in parted.released} == {"CUP": (2, 2), "POT": (1, 1)}
    (begin,) = order_joiner.consumer.react(parted)
    begun = OrderScenario(begin)
    assert begun.state.bundles["SET"] == {"CUP": 2, "POT": 1}
    assert {lock.sku: lock.quantity for lock in begun.only(o.OrderJoined).transfers} == {"CUP": 2, "POT": 1}
    assert begun.submit(begin) == []


def sent_before(name: str, order_id: str) -> Any:
    """Return what places an order of a channel with a name that is the engine's now: history has some, from before."""
    return o.PlaceJoined(
        order_id=order_id, from_order_id="x", content=placed(external_id=name).model_copy(), transfers=()
    )


# --- holds


FRAUD = o.HoldOrder(**OF, kind="fraud", note="look at it")
OVER = PLACE.placed_at + timedelta(days=1)
ADDRESS = o.HoldOrder(**OF, kind="address", until=OVER)


def test_what_is_split_off_a_held_order_is_held_by_the_same() -> None:
    parted = OrderScenario(*DUE, ADDRESS, FRAUD, split(ID, _1=1)).only(o.OrderSplit)
    assert parted.holds == (o.Hold(kind="address", until=OVER), o.Hold(kind="fraud"))
    (begin,) = order_joiner.consumer.react(parted)
    begun = OrderScenario(begin)
    held = of_shape(o.OrderHeld, begun.last)
    assert [(hold.kind, hold.until) for hold in held] == [("address", OVER), ("fraud", None)]
    assert begun.submit(begin) == []
    assert OrderScenario(*DUE, split(ID, _1=1)).only(o.OrderSplit).holds == ()


def test_what_is_split_off_an_order_whose_money_is_gone_says_what_holds_it() -> None:
    gone = o.RecordMoneyGone(**OF, payment_id=f"{ID}.1", effect="dispute/d1", why="disputed", amount_minor=1)
    parted = OrderScenario(*DUE, gone, split(ID, _1=1)).only(o.OrderSplit)
    why = f"money of {ID}.1 is gone (dispute/d1)"
    assert parted.holds == (o.Hold(kind="payment", note=why),)
    (begin,) = order_joiner.consumer.react(parted)
    (held,) = of_shape(o.OrderHeld, OrderScenario(begin).last)
    assert held.note == f"held when its units were another order's: {why}"


def test_what_is_split_off_a_held_order_is_not_released_when_it_is_paid() -> None:
    world = World()
    order_id = placed_and_locked(world)
    world.submit(o.HoldOrder(order_id=order_id, kind="fraud"))
    world.submit(split(order_id, _2=1))
    off = o.order_id_of("web", "split/s/1")
    world.submit(o.RecordPaymentAuthorized(order_id=off, payment_id=f"{off}.1"))
    assert world.order(off).phase == "held"
    world.submit(o.ReleaseHold(order_id=order_id, kind="fraud"))
    assert world.order(off).phase == "held", "a person decides about each of them"
    world.submit(o.ReleaseHold(order_id=off, kind="fraud"))
    assert world.order(off).phase == "fulfilling"


def test_what_several_become_is_held_by_whatever_held_one_of_them() -> None:
    soon, late = OVER, OVER + timedelta(days=1)
    one = merged_from("1").model_copy(update={"holds": (o.Hold(kind="fraud"), o.Hold(kind="address", until=late))})
    two = merged_from("2").model_copy(
        update={"holds": (o.Hold(kind="fraud", until=late), o.Hold(kind="address", until=soon))}
    )
    scenario = OrderScenario(
        merge(one.order_id, two.order_id), answered(one.order_id, one), answered(two.order_id, two)
    )
    held = of_shape(o.OrderHeld, scenario.last)
    assert [(hold.kind, hold.until) for hold in held] == [("address", soon), ("fraud", late)]
    said = answer(*DUE, FRAUD)
    assert isinstance(said, o.OrderMergedInto)
    assert said.holds == (o.Hold(kind="fraud"),)


# --- who becomes part of another


GIFT = o.Tender(method="gift_card", payment_token="gift", amount_minor=100)


def terms(**more: Any) -> o.OrderContent:
    content = OrderScenario(placed(external_id="other", **more)).state.content
    assert content
    return content


def answer(*commands: Command, **more: Any) -> Event:
    (said,) = OrderScenario(*commands).submit(o.YieldToMerge(**OF, to_order_id="m", **more))
    return said


def why_not(*commands: Command, **more: Any) -> str:
    said = answer(*commands, **more)
    assert isinstance(said, o.OrderMergeDeclined)
    assert said.to_order_id == "m"
    return said.reason


def test_an_order_says_why_it_does_not_become_part_of_another() -> None:
    presale = placed(kind="presale", deposit_minor=100, available_by=PLACE.placed_at)
    long_id = "x" * 121
    long_line = placed(lines=(o.OrderLine(line_id=long_id, sku="A", quantity=2, unit_price_minor=300),))
    fits_line = placed(lines=(o.OrderLine(line_id=long_id[:-1], sku="A", quantity=2, unit_price_minor=300),))
    locking = (source(1, A2), locked(1, A2))
    assert why_not() == "there is no such order"
    assert why_not(*FULFILLING) == "it is fulfilling"
    assert why_not(PLACE) == "units of it are being sourced"
    assert why_not(*DUE[:2]) == "units of it are being sourced"
    assert why_not(presale, *DUE[1:]) == "it is a presale"
    assert why_not(long_line, *locking) == "it has line ids of more than 120 characters"
    assert isinstance(answer(fits_line, *locking), o.OrderMergedInto)
    for name, value in (
        ("channel", "shop"),
        ("currency", "USD"),
        ("delivery_option", "express"),
        ("allow_split", None),
    ):
        other = {name: not PLACE.allow_split if value is None else value}
        assert why_not(*DUE, terms=terms(**other)) == f"it has another {name}"
    assert isinstance(answer(*DUE, terms=terms()), o.OrderMergedInto)
    assert isinstance(answer(*DUE), o.OrderMergedInto)


def test_an_order_becomes_part_of_one_other_of_its_channel_at_most() -> None:
    assert why_not(*DUE, channel="shop") == "it is of channel web"
    assert isinstance(answer(*DUE, channel="web"), o.OrderMergedInto)
    merged = OrderScenario(*DUE, o.YieldToMerge(**OF, to_order_id="m"))
    assert merged.submit(o.YieldToMerge(**OF, to_order_id="m")) == []
    (no,) = merged.submit(o.YieldToMerge(**OF, to_order_id="another"))
    assert isinstance(no, o.OrderMergeDeclined), "whoever asks would wait for ever"
    assert no.reason == "it is merged"


def test_orders_that_would_be_too_large_together_stay_apart() -> None:
    lines = tuple(
        o.OrderLine(line_id=f"{n}", sku=f"S{n}", quantity=1, unit_price_minor=1) for n in range(o.LINES_MAX - 2)
    )
    assert isinstance(answer(*DUE, terms=terms(lines=lines)), o.OrderMergedInto)
    more = (*lines, LINE_C)
    assert why_not(*DUE, terms=terms(lines=more)) == f"together they would have more than {o.LINES_MAX} lines"
    dear = o.OrderLine(line_id="1", sku="A", quantity=1, unit_price_minor=AMOUNT_MINOR_MAX - 1050)
    assert isinstance(answer(*DUE, terms=terms(lines=(dear,), shipping_minor=0)), o.OrderMergedInto)
    assert why_not(*DUE, terms=terms(lines=(dear,), shipping_minor=1)) == (
        f"together they would cost more than {AMOUNT_MINOR_MAX}"
    )


def test_an_order_answers_once() -> None:
    no = OrderScenario(*FULFILLING)
    ask = o.YieldToMerge(**OF, to_order_id="m")
    assert no.submit(ask)
    assert no.submit(ask) == []
    assert no.submit(o.YieldToMerge(**OF, to_order_id="another"))
    yes = OrderScenario(*DUE)
    assert yes.submit(ask)
    assert yes.submit(ask) == []


def test_an_order_that_becomes_part_of_another_brings_all_that_it_has() -> None:
    lacking = (placed(tenders=(GIFT,)), source(1, A2, B=1), locked(1, A2))
    said = answer(*lacking)
    assert isinstance(said, o.OrderMergedInto)
    assert [(lock.sku, lock.location, lock.quantity) for lock in said.transfers] == [A2]
    assert (said.backordered, said.bundles, said.payments_cancelled) == ({"B": 1}, {}, ())
    assert said.content.tenders == (GIFT,)
    assert (said.channel, said.currency, said.total_minor, said.units) == ("web", "EUR", 1050, 3)
    due = answer(*DUE)
    assert isinstance(due, o.OrderMergedInto)
    assert due.payments_cancelled == (f"{ID}.1",)
    assert due.placed_at == PLACE.placed_at


# --- the order that several become


def merged_from(external_id: str, *lacking: str, **more: Any) -> o.OrderMergedInto:
    place = placed(external_id=external_id, **more)
    of: Any = {"order_id": place.order_id}
    story: list[Command] = [place]
    held = [one for one in (A2, B1) if one[0] not in lacking]
    assigned = tuple(o.Assignment(sku=sku, location=at, quantity=n) for sku, at, n in held)
    waits = {sku: n for sku, n in (("A", 2), ("B", 1)) if sku in lacking}
    story.append(o.SourceOrder(**of, attempt=1, assignments=assigned, backordered=waits, rule_version="1"))
    for sku, at, n in held:
        key = f"{place.order_id}/1"
        story.append(o.RecordReservation(**of, reservation_id=key, sku=sku, location=at, quantity=n))
    (said,) = OrderScenario(*story).submit(o.YieldToMerge(**of, to_order_id=MERGED))
    assert isinstance(said, o.OrderMergedInto)
    return said


def answered(source_id: str, merged: o.OrderMergedInto | None = None) -> o.RecordMergeAnswer:
    return o.RecordMergeAnswer(order_id=MERGED, source_id=source_id, merged=merged)


def test_orders_are_asked_one_after_the_other_each_once() -> None:
    one = merged_from("1")
    scenario = OrderScenario(merge(one.order_id, "y", one.order_id, "z"))
    asked = scenario.only(o.OrderMergeRequested)
    assert (asked.source_id, asked.to_be_asked, asked.terms, asked.answer) == (one.order_id, ("y", "z"), None, None)
    assert scenario.submit(answered("y")) == [], "it was not asked yet"
    scenario.submit(answered(one.order_id, one))
    asked = scenario.only(o.OrderMergeRequested)
    assert (asked.source_id, asked.to_be_asked, asked.answer) == ("y", ("z",), one)
    assert asked.terms
    assert asked.terms.total_minor == 1050
    assert scenario.submit(answered(one.order_id, one)) == []
    scenario.submit(answered("y"))
    asked = scenario.only(o.OrderMergeRequested)
    assert (asked.source_id, asked.to_be_asked, asked.answer) == ("z", (), None)
    assert asked.terms, "the first has agreed"
    scenario.submit(answered("z"))
    assert scenario.shapes() == ["OrderPlaced", "OrderJoined"]
    assert scenario.only(o.OrderJoined).from_order_ids == (one.order_id,)


def test_what_several_become_has_the_lines_charges_and_waits_of_all() -> None:
    later = PLACE.placed_at + timedelta(hours=1)
    one = merged_from("1", "A", discount_minor=10, tax_minor=1, placed_at=later, priority=3)
    two = merged_from("2", "A", shipping_minor=20, discount_minor=5, tax_minor=2, priority=1)
    scenario = OrderScenario(
        merge(one.order_id, two.order_id), answered(one.order_id, one), answered(two.order_id, two)
    )
    assert scenario.shapes() == ["OrderPlaced", "OrderJoined", "OrderBackordered"]
    content = scenario.state.content
    assert content
    assert (content.shipping_minor, content.discount_minor, content.tax_minor) == (70, 15, 3)
    assert [line.line_id for line in content.lines] == ["1.1", "1.2", "2.1", "2.2"]
    assert (content.placed_at, content.priority, content.external_id) == (PLACE.placed_at, 3, "merge/m")
    waits = scenario.only(o.OrderBackordered)
    assert (waits.demand, waits.priority, waits.placed_at) == ({"A": 4}, 3, PLACE.placed_at)
    joined = scenario.only(o.OrderJoined)
    assert joined.from_order_ids == (one.order_id, two.order_id)
    names = [lock.reservation_id for lock in joined.transfers]
    assert names == [o.transferred(MERGED, f"{each.order_id}/1") for each in (one, two)]


def test_an_order_that_is_there_already_is_not_what_others_become() -> None:
    one = merged_from("1")
    scenario = OrderScenario(merge(one.order_id, "y"), answered(one.order_id, one), answered("y"))
    assert scenario.state.phase == "allocating"
    assert scenario.submit(merge(one.order_id, "y")) == []
    assert scenario.submit(answered("y")) == []
    with pytest.raises(Refused, match="name_taken"):
        OrderScenario(sent_before("merge/m", MERGED), merge("x", "y"))
    failed = OrderScenario(merge("x", "y"), answered("x"), answered("y"))
    assert failed.shapes() == ["OrderMergeFailed"]
    assert failed.only(o.OrderMergeFailed).merge_id == "m"
    assert failed.submit(merge("x", "y")) == []


def test_a_lock_that_goes_from_order_to_order_has_a_name_that_fits_however_often_it_does() -> None:
    order_ids = [o.order_id_of("web", str(number)) for number in range(9)]
    names = [f"{order_ids[0]}/1"]
    for to in order_ids[1:]:
        names.append(o.transferred(to, names[-1]))
    assert all(len(name) <= 128 and o.was_transferred(name) for name in names[1:])
    assert len(set(names)) == len(names)
    others = [o.transferred(order_ids[8], f"{name}{number}") for name in names for number in (1, 2)]
    assert len(set(others)) == len(others)


# --- what is asked of an order that is part of another one

MERGED_ORDER = (*DUE, o.YieldToMerge(**OF, to_order_id="m"))
ASKED_OF_MERGED: tuple[Command, ...] = (
    o.CancelOrder(**OF, reason="changed my mind"),
    o.PlaceOrder(**{**PLACE.model_dump(), "cancelled": "changed my mind"}),
    o.AmendOrder(**OF, amendment_id="a", shipping_minor=7),
    o.CancelOrderLines(**OF, cancellation_id="c", lines=units(_1=1), reason="out of stock"),
    split(ID, _1=1),
    o.HoldOrder(**OF, kind="fraud"),
    o.RefundOrder(**OF, refund_id="r", goodwill_minor=5),
    o.RetryPayment(**OF, payment_token="other"),
    o.OverrideOrder(**OF, override_id="v", to="released", reason="w"),
    x.RequestReturn(
        **OF, rma_id="rma", now=PLACE.placed_at, lines=(ReturnLine(line_id="1", quantity=1, reason="other"),)
    ),
)


@pytest.mark.parametrize("asked", ASKED_OF_MERGED, ids=lambda asked: type(asked).__name__)
def test_what_is_asked_of_a_merged_order_is_refused_with_the_name_of_the_order_that_it_became(asked: Command) -> None:
    with pytest.raises(Refused, match="was merged into order m,") as refused:
        OrderScenario(*MERGED_ORDER, asked)
    assert refused.value.reason == "merged"


def test_a_merged_order_is_merged_again_and_noted_on_and_its_channel_s_refunds_are_for_a_person() -> None:
    assert OrderScenario(*MERGED_ORDER).submit(MERGED_ORDER[-1]) == []
    assert OrderScenario(*MERGED_ORDER).submit(o.AddNote(**OF, note_id="n", note_text="see m"))
    said = o.RecordChannelRefund(**OF, refund_id="r", lines=units(_1=1))
    (disputed,) = OrderScenario(*MERGED_ORDER).submit(said)
    assert isinstance(disputed, o.OrderReportDisputed)
    assert OrderScenario(*MERGED_ORDER, said).submit(said) == []


def test_a_name_that_is_made_here_is_not_sent_from_outside_also_where_there_is_such_an_order() -> None:
    part = OrderScenario(*DUE, split(ID, _1=1)).only(o.OrderSplit)
    begun = o.PlaceJoined(order_id=part.to_order_id, from_order_id=ID, content=part.content, transfers=())
    forged = placed(external_id=part.content.external_id)
    with pytest.raises(Refused, match="reserved_name"):
        OrderScenario(begun, forged)
