"""The person of an order is forgotten once the order has ended, once, and no personal data is accepted for it
afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.order.decider import Order, decider
from oms_es.kernel import Command, Event, Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.returns.rma import ReturnLine
from oms_es.schemas.values.customer import Customer
from oms_es.schemas.values.parts import without_personal
from order_story import DUE, FULFILLING, GONE, ID, NOON, OF, OrderScenario, dispatched, parcel, placed

ADA = o.Address(name="Ada Lovelace", street="12 St James's Square", postal_code="SW1Y 4JH", country="GB")
OF_ADA: Any = {"ship_to": ADA, "customer": Customer(customer_id="c-1", email="ada@example.com"), "notes": "ring"}
DELIVERED = (*GONE, parcel(o.RecordShipmentDelivered, 1), parcel(o.RecordShipmentDelivered, 2))
FORGET = o.ForgetOrder(**OF, reason="request", case_id="dsr-1")
FORGOTTEN = o.OrderForgotten(**OF, reason="request", case_id="dsr-1")
NOTE = o.AddNote(**OF, note_id="n", note_text="Ada called")
RETURN = x.RequestReturn(
    **OF, rma_id="r-1", lines=(ReturnLine(line_id="1", quantity=1, reason="other"),), resolution="refund", now=NOON
)


def of_ada(commands: Sequence[Command]) -> list[Command]:
    return [placed(**OF_ADA) if isinstance(command, o.PlaceOrder) else command for command in commands]


def history(*commands: Command) -> list[Event]:
    return OrderScenario(*of_ada(commands)).history


def test_it_is_forgotten_once_and_nothing_happens_when_it_is_asked_again() -> None:
    ended = history(*DELIVERED)
    Given(decider, *ended).when(FORGET).then(FORGOTTEN)
    Given(decider, *ended, FORGOTTEN).when(FORGET).then()
    Given(decider, *ended, FORGOTTEN).when(o.ForgetOrder(**OF, reason="retention")).then()
    Given(decider, *history(DELIVERED[0], o.CancelOrder(**OF, reason="dear"))).when(FORGET).then(FORGOTTEN)


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        (FULFILLING[:1], "it is sourcing"),
        (FULFILLING, "it is fulfilling"),
        ((*FULFILLING, dispatched(1)), "it is fulfilling"),
        (GONE, "it is shipped"),
        ((*DELIVERED, RETURN), "returns r-1 are open"),
    ],
)
def test_it_is_refused_while_its_customer_is_still_needed(commands: Sequence[Command], said: str) -> None:
    state = reduce(decider.evolve, history(*commands), Order())
    with pytest.raises(Refused, match=f"{ID} cannot be forgotten yet: {said}"):
        list(decider.decide(state, FORGET))


def test_an_order_that_is_not_known_is_refused() -> None:
    Given(decider).when(FORGET).then_refused("unknown_order")


def test_nothing_of_a_person_stays_in_its_state_and_it_is_what_placeholders_come_to() -> None:
    ended = history(*DELIVERED[:1], NOTE, *DELIVERED[1:])
    state = reduce(decider.evolve, [*ended, FORGOTTEN], Order())
    for said in ("Ada", "James", "SW1Y", "c-1", "ring", "Ada called"):
        assert said not in repr(state)
    assert state == reduce(decider.evolve, [*map(without_personal, ended), FORGOTTEN], Order())
    assert state.content is not None
    assert (state.content.ship_to.country, state.phase) == ("GB", "completed")


def test_nothing_of_a_person_stays_in_what_came_early_or_became_part_of_the_order() -> None:
    early = o.AmendOrder(**OF, amendment_id="a", ship_to=ADA, keep=True)
    cancelled = OrderScenario(early, placed(**OF_ADA), o.CancelOrder(**OF, reason="dear")).history
    merge = o.MergeOrders(channel="web", merge_id="m", order_ids=(ID, "y"))
    (part,) = OrderScenario(*of_ada(DUE)).submit(o.YieldToMerge(**OF, to_order_id=merge.order_id))
    assert isinstance(part, o.OrderMergedInto)
    answers = [
        o.RecordMergeAnswer(order_id=merge.order_id, source_id=source_id, merged=merged)
        for source_id, merged in ((ID, part), ("y", None))
    ]
    merged = OrderScenario(merge, *answers, o.CancelOrder(order_id=merge.order_id, reason="dear")).history
    for history_of, order_id in ((cancelled, ID), (merged, merge.order_id)):
        state = reduce(decider.evolve, history_of, Order())
        assert "Ada" in repr(state)
        (forgotten,) = decider.decide(state, o.ForgetOrder(order_id=order_id, reason="request", case_id="dsr-1"))
        assert "Ada" not in repr(decider.evolve(state, forgotten))


def test_it_is_said_what_and_which_cases_are_in_the_way() -> None:
    again = RETURN.model_copy(update={"rma_id": "r-2", "lines": (ReturnLine(line_id="2", quantity=1, reason="other"),)})
    returned = Given(decider, *history(*DELIVERED, RETURN, again))
    returned.when(FORGET).then_refused("still_running", "yet: returns r-1, r-2 are open; end that first")
    held = [HELD, HELD.model_copy(update={"case_id": "case-8"})]
    cases = Given(decider, *history(*DELIVERED), *held)
    cases.when(FORGET).then_refused("legal_hold", "cannot be forgotten: case-7, case-8 holds it; lift that first")
    shipped = Given(decider, *history(*GONE, RETURN))
    shipped.when(FORGET).then_refused("still_running", "yet: it is shipped; returns r-1 are open; end that first")


@pytest.mark.parametrize(
    "command",
    [
        NOTE,
        RETURN,
        o.AmendOrder(**OF, amendment_id="a", ship_to=ADA),
        o.SplitOrder(**OF, split_id="s", lines=(o.LineUnits(line_id="1", quantity=1),)),
    ],
)
def test_what_would_bring_personal_data_back_is_refused(command: Command) -> None:
    Given(decider, *history(*DELIVERED), FORGOTTEN).when(command).then_refused("forgotten")


def test_a_channel_that_sends_it_again_brings_nothing_back() -> None:
    ended = [*history(*DELIVERED), FORGOTTEN]
    Given(decider, *ended).when(placed(**OF_ADA)).then()
    late = o.AmendOrder(**OF, amendment_id="a", ship_to=ADA, keep=True)
    Given(decider, *ended).when(late).then()
    other = placed(**OF_ADA, shipping_minor=51)
    conflict = o.DuplicateConflictFound(
        order_id=ID, fingerprint=other.fingerprint, content=without_personal(o.OrderContent(**other.content))
    )
    Given(decider, *ended).when(other).then(conflict)


def test_money_is_still_given_back_and_names_no_customer() -> None:
    ended = history(*DELIVERED)
    refund = o.RefundOrder(**OF, refund_id="f", goodwill_minor=10, reason="late")
    (before,) = decider.decide(reduce(decider.evolve, ended, Order()), refund)
    (after,) = decider.decide(reduce(decider.evolve, [*ended, FORGOTTEN], Order()), refund)
    assert before.customer_id == "c-1"  # type: ignore[attr-defined] # a refund
    assert after == before.model_copy(update={"channel": "", "customer_id": ""}), "as of a guest"


HOLD = o.PlaceLegalHold(**OF, case_id="case-7", reason="dispute")
HELD = o.OrderLegalHoldPlaced(**OF, case_id="case-7", reason="dispute")
LIFTED = o.OrderLegalHoldLifted(**OF, case_id="case-7")


def test_a_case_holds_it_once_and_it_is_not_forgotten_until_each_is_lifted() -> None:
    ended = history(*DELIVERED)
    Given(decider, *history(DELIVERED[0])).when(HOLD).then(HELD)
    Given(decider, *ended, HELD).when(HOLD).then()
    Given(decider, *ended, HELD).when(FORGET).then_refused("legal_hold")
    Given(decider, *ended, HELD, LIFTED).when(FORGET).then(FORGOTTEN)
    Given(decider, *ended, HELD, LIFTED, HELD.model_copy(update={"case_id": "b"})).when(FORGET).then_refused(
        "legal_hold"
    )


def test_a_hold_is_lifted_once_by_its_case() -> None:
    ended = history(*DELIVERED)
    lift = o.LiftLegalHold(**OF, case_id="case-7")
    Given(decider, *ended, HELD).when(lift).then(LIFTED)
    Given(decider, *ended, HELD, LIFTED).when(lift).then()
    Given(decider, *ended, HELD, LIFTED).when(HOLD).then_refused("legal_hold_lifted")
    Given(decider, *ended).when(lift).then_refused("no_legal_hold")
    Given(decider, *ended, FORGOTTEN).when(HOLD).then_refused("forgotten")
