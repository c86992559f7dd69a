"""Orders are numbered without a gap, each once, and only in channels that want it; three tests per rule."""

from __future__ import annotations

from functools import reduce
from random import Random

import pytest

from dsl import Given
from folding import fold
from oms_es.aggregates.catalog import numbering
from oms_es.aggregates.catalog.numbering import decider
from oms_es.consumers.order.order_numberer import consumer
from oms_es.projections.order.order_numbers import projection
from oms_es.schemas.catalog import numbering as n
from story import ORDER, placed

SCHEME = n.OrderNumberingSet(channel="web", prefix="W-", digits=5, first=7)
SET = n.SetOrderNumbering(channel="web", prefix="W-", digits=5, first=7)


def assign(order_id: str) -> n.AssignOrderNumber:
    return n.AssignOrderNumber(channel="web", order_id=order_id)


def numbered(order_id: str, number: int, name: str) -> n.OrderNumbered:
    return n.OrderNumbered(channel="web", order_id=order_id, number=number, name=name)


def test_a_channel_numbers_its_orders_from_where_it_says() -> None:
    first = numbered("x", 7, "W-00007")
    Given(decider).when(SET).then(SCHEME)
    Given(decider, SCHEME).when(SET).then()
    Given(decider, SCHEME).when(assign("x")).then(first)
    Given(decider, SCHEME, first).when(assign("y")).then(numbered("y", 8, "W-00008"))


def test_an_order_keeps_its_number_and_without_a_scheme_there_are_none() -> None:
    Given(decider, SCHEME, numbered("x", 7, "W-00007")).when(assign("x")).then()
    Given(decider).when(assign("x")).then()


def test_another_scheme_never_gives_a_number_again() -> None:
    again = n.OrderNumberingSet(channel="web", prefix="", digits=1, first=1)
    Given(decider, SCHEME, numbered("x", 7, "W-00007"), again).when(assign("y")).then(numbered("y", 8, "8"))


@pytest.mark.parametrize("seed", range(5))
def test_p27_numbers_are_unique_and_gapless_anyone_who_asks_again(seed: int) -> None:
    chance, state = Random(seed), reduce(decider.evolve, [SCHEME], decider.initial)
    numbers: list[int] = []
    for _ in range(300):
        for event in decider.decide(state, assign(str(chance.randint(0, 99)))):
            assert isinstance(event, n.OrderNumbered)
            numbers.append(event.number)
            state = decider.evolve(state, event)
        state = numbering.restore(numbering.dump(state))
    assert numbers == list(range(7, 7 + len(numbers)))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "REMEMBERED_MAX", 3)
    state = reduce(decider.evolve, [SCHEME, *(numbered(str(k), k, str(k)) for k in range(7, 17))], decider.initial)
    assert dict(state.numbers.items()) == {"14": 14, "15": 15, "16": 16}
    assert (list(state.in_order), state.following) == (["14", "15", "16"], 17)


def test_every_order_that_is_placed_asks_for_a_number_and_is_found_by_it() -> None:
    assert consumer.react(placed()) == (assign(ORDER),)
    (row,) = fold(projection, numbered(ORDER, 7, "W-00007")).values()
    assert (row["order_id"], row["name"]) == (ORDER, "W-00007")
