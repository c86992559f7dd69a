"""Notes about an order are added once by their id, at any time, and change nothing else."""

from __future__ import annotations

from functools import reduce

import pytest

from dsl import Given
from oms_es.aggregates.order.decider import Order, decider
from oms_es.aggregates.repeats import asked_of
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from order_story import ID, OF, PLACE

(PLACED,) = decider.decide(Order(), PLACE)
NOTE = o.AddNote(**OF, note_id="n-1", note_text="Ada called")
NOTED = o.OrderNoteAdded(**OF, note_id="n-1", note_text="Ada called", asked=asked_of(NOTE))


def test_it_is_added_once_whatever_has_become_of_the_order() -> None:
    Given(decider, PLACED).when(NOTE).then(NOTED)
    Given(decider, PLACED, NOTED).when(NOTE).then()
    (*ended,) = decider.decide(decider.evolve(Order(), PLACED), o.CancelOrder(**OF, reason="changed their mind"))
    Given(decider, PLACED, *ended).when(NOTE).then(NOTED)
    other = NOTE.model_copy(update={"note_id": "n-2"})
    Given(decider, PLACED, NOTED).when(other).then(NOTED.model_copy(update={"note_id": "n-2"}))


def test_another_text_under_its_name_and_a_note_of_no_order_are_refused() -> None:
    Given(decider, PLACED, NOTED).when(NOTE.model_copy(update={"note_text": "x"})).then_refused("id_reused")
    Given(decider).when(NOTE).then_refused("unknown_order")


def test_an_order_has_so_many_at_most() -> None:
    full = reduce(
        decider.evolve,
        (NOTED.model_copy(update={"note_id": str(number)}) for number in range(o.NOTES_MAX)),
        decider.evolve(Order(), PLACED),
    )
    assert tuple(decider.decide(full, NOTE.model_copy(update={"note_id": "0"}))) == ()
    with pytest.raises(Refused, match="too_many_notes"):
        tuple(decider.decide(full, NOTE))


def test_its_text_is_kept_in_its_own_field_only() -> None:
    assert "Ada" not in NOTED.asked
    assert NOTED.order_id == ID
