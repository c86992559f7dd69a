"""Orders that become several and several that become one: units and money are conserved, locks are never let go of."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.aggregates import order, stock
from oms_es.aggregates.order import Order
from oms_es.consumers import order_joiner, order_progress, payment_requester, stock_allocator
from oms_es.kernel import Command, Consumer, Event, Refused
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import stock as s
from order_story import A2, B1, DUE, FULFILLING, ID, OF, PLACE, Told, locked, of_shape, paid, placed, source, units

CONSUMERS = (order_joiner.consumer, order_progress.consumer, stock_allocator.consumer, payment_requester.consumer)
STOCK_FIRST = (stock_allocator.consumer, order_progress.consumer, order_joiner.consumer, payment_requester.consumer)
"""Locks go over before the order that they go to has begun."""
DECIDERS: dict[str, Any] = {"order": order.decider, "stock": stock.decider}


class World:
    """Order and stock streams, with the consumers between them; payments are only listened to."""

    def __init__(self, consumers: tuple[Consumer, ...] = CONSUMERS) -> None:
        self.consumers = consumers
        self.states: dict[str, Any] = {}
        self.log: list[Event] = []
        self.asked: list[Command] = []
        self.position = 0
        for sku, location in (("A", "berlin"), ("B", "paris")):
            self.tell(s.ReceiveStock(sku=sku, location=location, receipt_id="r", quantity=9))

    def tell(self, command: Command) -> None:
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
                    for command in consumer.react(event):
                        self.asked.append(command)
                        if not isinstance(command, p.PaymentCommand):
                            self.tell(command)

    def order(self, order_id: str) -> Order:
        state: Order = self.states[f"order-{order_id}"]
        return state

    def orders(self) -> list[Order]:
        return [state for state in self.states.values() if isinstance(state, Order) and state.placed]

    def promised(self) -> dict[str, int]:
        return {stream: state.promised for stream, state in self.states.items() if stream.startswith("stock-")}


def placed_and_locked(world: World, external_id: str = "1", **more: Any) -> str:
    place = placed(external_id=external_id, **more)
    world.tell(place)
    answer = source(1, A2, B1).model_copy(update={"order_id": place.order_id})
    world.tell(answer)
    return place.order_id


def payments(world: World) -> tuple[list[int], list[str]]:
    """The amounts that were asked for, and the payments that were undone."""
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
    world.tell(split(order_id, **moved))
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
    world.tell(split(order_id, _1=1))
    other = next(event for event in world.log if getattr(event, "order_id", order_id) != order_id)
    assert isinstance(other, o.OrderLineAllocated)
    assert [part.phase for part in world.orders()] == ["awaiting_payment"] * 2
    assert sum(sum(part.allocated.values()) for part in world.orders()) == sum(world.promised().values())


def test_p25_orders_merge_whose_locks_go_over_before_they_do() -> None:
    world = World(STOCK_FIRST)
    ids = [placed_and_locked(world, str(number)) for number in (1, 2)]
    world.tell(o.MergeOrders(channel="web", merge_id="m", order_ids=tuple(ids)))
    (merged,) = (each for each in world.orders() if each.joined)
    assert merged.phase == "awaiting_payment"
    assert sum(merged.allocated.values()) == sum(world.promised().values())


def test_a_lock_that_came_before_its_order_is_taken_down_once_and_means_nothing_to_an_order_that_a_channel_placed() -> (
    None
):
    early = o.RecordReservation(**OF, reservation_id=o.transferred(ID, "x/1"), sku="A", location="berlin", quantity=1)
    (told,) = order.decider.decide(order.decider.initial, early)
    known = order.decider.evolve(order.decider.initial, told)
    assert list(order.decider.decide(known, early)) == []
    begun = reduce(order.decider.evolve, order.decider.decide(known, PLACE), known)
    assert not begun.allocated
    assert begun.phase == "sourcing"


def test_a_split_asks_for_both_amounts_and_undoes_the_old_payment() -> None:
    world = World()
    order_id = placed_and_locked(world)
    world.tell(split(order_id, _1=1))
    assert payments(world) == ([1050, 750, 300], [f"{order_id}.1"])


def test_what_waits_for_stock_is_split_off_first() -> None:
    told = Told(PLACE, source(1, B1, A=2), locked(1, B1), split(ID, _1=1))
    parted = told.only(o.OrderSplit)
    assert (parted.no_longer_backordered, parted.released) == ({"A": 1}, ())
    (begin,) = order_joiner.consumer.react(parted)
    (begun,) = of_shape(o.OrderBackordered, Told(begin).history)
    assert begun.demand == {"A": 1}


def test_a_split_happens_once_and_leaves_something() -> None:
    told = Told(*DUE, split(ID, _1=1))
    assert told.tell(split(ID, _1=1)) == []
    for story, command, reason in (
        (DUE, split(ID, _1=2, _2=1), "nothing_left"),
        (DUE, split(ID, _1=3), "no_such_units"),
        (DUE[:2], split(ID, _1=1), "being_sourced"),
        (FULFILLING, split(ID, _1=1), "already_released"),
    ):
        with pytest.raises(Refused) as refused:
            Told(*story).tell(command)
        assert refused.value.reason == reason


def test_a_lock_that_comes_after_its_order_was_cancelled_is_given_back() -> None:
    (begin,) = order_joiner.consumer.react(Told(*DUE, split(ID, _1=1)).only(o.OrderSplit))
    assert isinstance(begin, o.PlaceJoined)
    told = Told(begin, o.CancelOrder(order_id=begin.order_id, reason=""))
    (lock,) = begin.transfers
    late = o.RecordReservation(order_id=begin.order_id, **lock.model_dump())
    told.tell(late)
    assert told.shapes() == ["OrderLockReturned"]
    assert told.tell(late) == []


def merge(*order_ids: str) -> o.MergeOrders:
    return o.MergeOrders(channel="web", merge_id="m", order_ids=order_ids)


MERGED = merge("x", "y").order_id


def test_p25_a_merge_conserves_units_money_and_locks() -> None:
    world = World()
    one, two = placed_and_locked(world, "1"), placed_and_locked(world, "2", shipping_minor=10)
    before, promised = total(world.order(one)) + total(world.order(two)), world.promised()
    world.tell(merge(one, two))
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
    world.tell(paid().model_copy(update={"order_id": gone, "payment_id": f"{gone}.1"}))
    world.tell(merge(one, elsewhere, gone, "nobody"))
    assert total(world.order(MERGED)) == 1050
    assert [world.order(each).phase for each in (one, elsewhere, gone)] == ["merged", "awaiting_payment", "fulfilling"]
    reasons = [event.reason for event in of_shape(o.OrderMergeDeclined, world.log)]
    assert reasons == ["it has another ship_to", "it is fulfilling", "there is no such order"]


def test_a_merge_of_which_nothing_comes_is_told_and_happens_once() -> None:
    world = World()
    world.tell(merge("nobody", "no one"))
    assert isinstance(world.log[-1], o.OrderMergeFailed)
    told = len(world.log)
    world.tell(merge("nobody", "no one"))
    assert len(world.log) == told
    with pytest.raises(Refused):
        Told(o.CancelOrder(**OF, reason=""))
