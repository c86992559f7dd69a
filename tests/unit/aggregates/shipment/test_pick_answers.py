"""Answers of a warehouse system to a request to pick: each counts once, and what contradicts goes to a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from dsl import Given
from oms_es.aggregates.shipment.decider import decider
from oms_es.aggregates.shipment.state import Shipment
from oms_es.kernel import Event
from oms_es.schemas import shipment as sh
from oms_es.schemas.order import Address, Reservation

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OF: Any = {"shipment_id": "o.1", "order_id": "o"}
ITEMS = (
    Reservation(reservation_id="o/1", sku="A", location="berlin", quantity=2),
    Reservation(reservation_id="o/2", sku="B", location="berlin", quantity=1),
    Reservation(reservation_id="o/3", sku="A", location="berlin", quantity=1),
)
REQUESTED = sh.ShipmentRequested(
    **OF, payment_id="o.1", location="berlin", items=ITEMS, amount_minor=100, ship_to=Address(country="DE")
)
CARTON = sh.Carton(carton_id="1", box="small", items=ITEMS, weight_grams=700)
IN_CARTONS = REQUESTED.model_copy(update={"cartons": (CARTON,)})
CANCELLED = sh.ShipmentCancelled(**OF, items=ITEMS)
ALL = {"A": 3, "B": 1}


def units(**quantities: int) -> tuple[sh.PickedUnits, ...]:
    return tuple(sh.PickedUnits(sku=sku, quantity=quantity) for sku, quantity in quantities.items())


def answer(outcome: sh.PickOutcome, answer_id: str = "a1", minute: int = 0, **fields: Any) -> sh.AnswerPick:
    fields = {"weight_grams": 900, **fields} if outcome == "packed" else {"reason": "not on the shelf", **fields}
    at = NOON + timedelta(minutes=minute)
    fields = {"now": at, **fields}
    return sh.AnswerPick(shipment_id="o.1", answer_id=answer_id, outcome=outcome, answered_at=at, **fields)


def said(command: sh.AnswerPick) -> sh.PickAnswer:
    return sh.PickAnswer.model_validate({name: getattr(command, name) for name in sh.PickAnswer.model_fields})


def packed(command: sh.AnswerPick) -> sh.ShipmentPacked:
    return sh.ShipmentPacked(**OF, weight_grams=900, location="berlin", ship_to=REQUESTED.ship_to, answer=said(command))


def short(command: sh.AnswerPick, **missing: int) -> sh.ShipmentPickedShort:
    return sh.ShipmentPickedShort(**OF, answer=said(command), missing=units(**missing), location="berlin")


def rejected(command: sh.AnswerPick) -> sh.ShipmentPickRejected:
    return sh.ShipmentPickRejected(**OF, answer=said(command), location="berlin")


def disputed(command: sh.AnswerPick, detail: str) -> sh.ShipmentPickDisputed:
    return sh.ShipmentPickDisputed(**OF, answer=said(command), detail=detail)


def unheeded(command: sh.AnswerPick) -> sh.ShipmentPickAnsweredLate:
    return sh.ShipmentPickAnsweredLate(**OF, answer=said(command))


def test_a_request_is_packed_as_the_warehouse_answers() -> None:
    plain, stated = answer("packed"), answer("packed", picked=units(**ALL), location="berlin")
    Given(decider, REQUESTED).when(plain).then(packed(plain))
    Given(decider, REQUESTED).when(stated).then(packed(stated))
    Given(decider, REQUESTED, packed(plain)).when(plain).then()
    Given(decider).when(plain).then_refused("unknown_shipment")
    Given(decider, REQUESTED).when(answer("packed", weight_grams=None)).then_refused("answer_incomplete")


def test_what_is_short_is_named_and_may_be_packed_later() -> None:
    some, later = answer("short", picked=units(A=1)), answer("packed", "a2", 5)
    Given(decider, REQUESTED).when(some).then(short(some, A=2, B=1))
    nothing = answer("short")
    Given(decider, REQUESTED).when(nothing).then(short(nothing, A=3, B=1))
    Given(decider, REQUESTED, short(some, A=2, B=1)).when(some).then()
    Given(decider, REQUESTED, short(some, A=2, B=1)).when(later).then(packed(later))
    Given(decider, REQUESTED).when(answer("short", reason="")).then_refused("answer_incomplete")


def test_a_request_is_rejected_with_a_reason() -> None:
    no = answer("rejected", reason="it is too heavy")
    Given(decider, REQUESTED).when(no).then(rejected(no))
    Given(decider, REQUESTED, rejected(no)).when(no).then()
    Given(decider, REQUESTED).when(answer("rejected", reason="")).then_refused("answer_incomplete")


def test_a_stopped_parcel_needs_no_answer_and_one_that_is_packed_all_the_same_is_looked_at() -> None:
    for fine in (answer("short"), answer("rejected")):
        Given(decider, REQUESTED, CANCELLED).when(fine).then(unheeded(fine))
    late = answer("packed")
    why = "it is packed, and was cancelled: have it unpacked, its units are sold to others"
    Given(decider, REQUESTED, CANCELLED).when(late).then(disputed(late, why))
    Given(decider, REQUESTED, CANCELLED, disputed(late, why)).when(late).then()


PACKED_BY_HAND = packed(answer("packed")).model_copy(update={"answer": None})


LATER = (
    "it is packed at 2026-01-01T12:00:00+00:00, and short at 2026-01-01T12:05:00+00:00, which is later: ask the "
    "warehouse which of them is right, and pack it by hand if it is packed"
)


@pytest.mark.parametrize(
    ("history", "command", "detail"),
    [
        (
            (REQUESTED,),
            answer("packed", picked=units(A=4, B=1)),
            "4 x A were picked, and 3 were asked for: have the warehouse count again",
        ),
        (
            (REQUESTED,),
            answer("short", picked=units(C=1)),
            "1 x C were picked, which was not asked for: have the warehouse look at its parcel",
        ),
        (
            (REQUESTED,),
            answer("packed", picked=units(A=3)),
            "it is packed, and 1 x B is missing in it: have the warehouse look at its parcel",
        ),
        (
            (REQUESTED,),
            answer("short", picked=units(**ALL)),
            "it is short, and nothing is missing: ask the warehouse whether it is packed",
        ),
        (
            (REQUESTED,),
            answer("packed", location="paris"),
            "paris answers, and berlin was asked: find out which of them has the goods",
        ),
        (
            (REQUESTED, packed(answer("packed"))),
            answer("packed", weight_grams=950),
            "answer a1 came before with other content: ask the warehouse which of them is right",
        ),
        (
            (REQUESTED, packed(answer("packed"))),
            answer("packed", "a2", weight_grams=950),
            "it is packed with 950 g, and was packed with 900 g, or in other cartons: have it weighed again",
        ),
        (
            (REQUESTED, packed(answer("packed"))),
            answer("short", "a2", 5),
            "it is short, and is packed here: look for it",
        ),
        (
            (REQUESTED, short(answer("short", "a1", 5), A=3, B=1)),
            answer("packed", "a2"),
            LATER,
        ),
        ((REQUESTED, PACKED_BY_HAND), answer("rejected"), "it is rejected, and is packed here: look for it"),
        (
            (IN_CARTONS,),
            answer("packed", cartons=(sh.CartonWeight(carton_id="9", weight_grams=900),)),
            "it is packed in other cartons than 1: pack it by hand",
        ),
    ],
)
def test_what_contradicts_changes_nothing_and_goes_to_a_person(
    history: tuple[Event, ...], command: sh.AnswerPick, detail: str
) -> None:
    dispute = disputed(command, detail)
    Given(decider, *history).when(command).then(dispute)
    Given(decider, *history, dispute).when(command).then()
    before, after = (state_of(*events) for events in (history, (*history, dispute)))
    assert after._replace(answers=before.answers) == before


def test_an_answer_is_the_same_one_whether_or_not_it_states_the_location_that_was_asked() -> None:
    """By file it has the location of its folder, over HTTP it may have none."""
    plain, stated = answer("packed"), answer("packed", location="berlin")
    Given(decider, REQUESTED, packed(plain)).when(stated).then()
    Given(decider, REQUESTED, packed(stated)).when(plain).then()
    wrong = answer("packed", picked=units(A=4))
    dispute = disputed(wrong, "4 x A were picked, and 3 were asked for: have the warehouse count again")
    Given(decider, REQUESTED, dispute).when(wrong.model_copy(update={"location": "berlin"})).then()


def test_a_warehouse_whose_clock_was_ahead_is_heard_and_nothing_is_lost() -> None:
    ahead = answer("short", "a1", 999_999)
    late = answer("packed", "a2", 5)
    (dispute,) = decider.decide(state_of(REQUESTED, short(ahead, A=3, B=1)), late)
    assert isinstance(dispute, sh.ShipmentPickDisputed)
    history = (REQUESTED, short(ahead, A=3, B=1), dispute)
    Given(decider, *history).when(late).then()
    (event,) = decider.decide(state_of(*history), sh.PackShipment(shipment_id="o.1", weight_grams=900))
    assert isinstance(event, sh.ShipmentPacked)


def test_a_person_and_the_warehouse_may_both_say_that_it_is_packed() -> None:
    Given(decider, REQUESTED, PACKED_BY_HAND).when(answer("packed")).then()
    Given(decider, REQUESTED, packed(answer("packed"))).when(sh.PackShipment(shipment_id="o.1", weight_grams=1)).then()
    weighed = answer("packed", cartons=(sh.CartonWeight(carton_id="1", weight_grams=650),))
    (event,) = decider.decide(state_of(IN_CARTONS), weighed)
    assert isinstance(event, sh.ShipmentPacked)
    assert event.cartons == weighed.cartons


def test_answers_end_the_same_in_whichever_order_and_however_often_they_come() -> None:
    """Those of one warehouse, which says first that it is short, then rejects it, and then has packed it after all."""
    said_so = (answer("short", "a1", 0, picked=units(A=1)), answer("rejected", "a2", 5), answer("packed", "a3", 9))
    for order in permutations((*said_so, *said_so)):
        state = state_of(REQUESTED)
        for command in order:
            for event in decider.decide(state, command):
                assert not isinstance(event, sh.ShipmentPickDisputed)
                state = decider.evolve(state, event)
        assert state.packed
        assert state.answered == said(said_so[2])


def test_so_many_answers_are_kept_and_no_more() -> None:
    state = state_of(REQUESTED)
    for number in range(sh.ANSWERS_MAX):
        for event in decider.decide(state, answer("rejected", str(number), number)):
            state = decider.evolve(state, event)
    assert len(state.answers) == sh.ANSWERS_MAX
    Given(decider, *history_of(sh.ANSWERS_MAX)).when(answer("packed", "more", 999)).then_refused("too_many_answers")


def history_of(count: int) -> tuple[Event, ...]:
    return (REQUESTED, *(rejected(answer("rejected", str(number), number)) for number in range(count)))


def state_of(*events: Any) -> Shipment:
    state = decider.initial
    for event in events:
        state = decider.evolve(state, event)
    return state


@pytest.mark.parametrize("outcome", ["packed", "short", "rejected"])
def test_an_answer_from_the_future_is_refused_as_later_ones_would_count_as_older(outcome: sh.PickOutcome) -> None:
    bound = timedelta(seconds=sh.ANSWERED_AHEAD_SECONDS_MAX)
    ahead = answer(outcome, now=NOON - bound - timedelta(seconds=1))
    Given(decider, REQUESTED).when(ahead).then_refused("answered_ahead")
    within = ahead.model_copy(update={"now": NOON - bound})
    taken = {"packed": packed(within), "short": short(within, A=3, B=1), "rejected": rejected(within)}
    Given(decider, REQUESTED).when(within).then(taken[outcome])
    Given(decider, REQUESTED, taken[outcome]).when(ahead).then()


@pytest.mark.parametrize("outcome", ["short", "rejected"])
def test_an_answer_after_the_decision_is_remembered_once_and_changes_nothing(outcome: sh.PickOutcome) -> None:
    known, older = answer("rejected", "a1", 5), answer(outcome, "a2", 1)
    for history in ((REQUESTED, CANCELLED), (REQUESTED, rejected(known))):
        Given(decider, *history).when(older).then(unheeded(older))
        Given(decider, *history, unheeded(older)).when(older).then()
        other = older.model_copy(update={"reason": "in other words"})
        assert "with other content" in only(Given(decider, *history, unheeded(older)), other).detail
    state = Given(decider, REQUESTED, rejected(known), unheeded(older)).state
    assert state.answered == said(known), "the one that counted still does"
    repeated = Given(decider, REQUESTED, rejected(known), unheeded(older))
    repeated.when(answer("packed", "a3", 9)).then(packed(answer("packed", "a3", 9)))


def only(given: Given, command: sh.AnswerPick) -> sh.ShipmentPickDisputed:
    (event,) = decider.decide(given.state, command)
    assert isinstance(event, sh.ShipmentPickDisputed)
    return event


def again(repeat_id: str = "r1") -> sh.RequestPickAgain:
    return sh.RequestPickAgain(shipment_id="o.1", repeat_id=repeat_id)


def repeated(requested: sh.ShipmentRequested = REQUESTED, repeat_id: str = "r1") -> sh.ShipmentPickRequestRepeated:
    same = sh.ShipmentPickRequestRepeated.model_fields.keys() - {"repeat_id"}
    return sh.ShipmentPickRequestRepeated(repeat_id=repeat_id, **{name: getattr(requested, name) for name in same})


def test_a_request_that_was_lost_is_given_once_more_under_its_name() -> None:
    Given(decider, REQUESTED).when(again()).then(repeated())
    Given(decider, IN_CARTONS).when(again()).then(repeated(IN_CARTONS))
    Given(decider, REQUESTED, repeated()).when(again()).then()
    Given(decider, REQUESTED, repeated()).when(again("r2")).then(repeated(repeat_id="r2"))
    Given(decider).when(again()).then_refused("unknown_shipment")


def test_a_request_that_was_answered_or_settled_is_not_repeated() -> None:
    some = answer("short", picked=units(A=1))
    settled = (packed(answer("packed")), short(some, A=2, B=1), rejected(answer("rejected")), CANCELLED)
    for event in settled:
        Given(decider, REQUESTED, event).when(again()).then_refused("pick_answered")
        Given(decider, REQUESTED, repeated(), event).when(again()).then()
    many = [repeated(repeat_id=f"r{n}") for n in range(sh.REPEATS_MAX)]
    Given(decider, REQUESTED, *many).when(again("other")).then_refused("too_many_repeats")
