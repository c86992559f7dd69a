"""The timeline has every event that names an order once, in order, with its sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from folding import as_recorded, fold, recorded_at, unsaid
from golden.write import path_of
from oms_es.kernel import Event
from oms_es.projections.order.order_timeline import projection
from oms_es.projections.order.timeline_sentences import (
    SENTENCE_CHARACTERS_MAX,
    TEMPLATES,
    parameters_of,
    sentence_of,
)
from oms_es.schemas import order as o
from oms_es.schemas import stock as s
from oms_es.schemas.vocabulary import EVENTS
from story import OF, ORDER, allocated, cancelled, held, placed, received

OF_ORDERS = [event for event in EVENTS.values() if "order_id" in event.model_fields]


def test_what_happened_in_any_stream_is_reported_in_order() -> None:
    rows = fold(projection, placed(), received(9), s.StockReserved(**held()), allocated())
    assert [(key, row["event"], row["summary"]) for key, row in rows.items()] == [
        ((ORDER, 1), "OrderPlaced", "placed on web as 1, 9.00 EUR"),
        ((ORDER, 3), "StockReserved", "reserved 2 x A at berlin"),
        ((ORDER, 4), "OrderAllocated", "every unit is reserved, 9.00 EUR due"),
    ]


def test_a_row_keeps_the_envelope() -> None:
    (recorded,) = as_recorded([placed()])
    (row,) = fold(projection, placed()).values()
    assert (row["recorded_at"], row["actor"], row["version"]) == (recorded_at(1), "someone", 1)
    assert (row["stream"], row["event_id"], row["caused_by"]) == (recorded.stream, recorded.event_id, None)


def test_nothing_is_loaded_for_it() -> None:
    assert projection.insert_only


def test_every_event_that_names_an_order_is_reported() -> None:
    assert set(TEMPLATES) == set(projection.folds) == set(OF_ORDERS)


@pytest.mark.parametrize("event", OF_ORDERS)
def test_every_summary_can_be_written_of_what_an_event_must_have(event: type[Event]) -> None:
    body: Any = json.loads(path_of(event, event.schema_version).read_text())["required"]
    of_an_order = {"order_id": ORDER} if "order_id" in event.model_fields else {}
    (row,) = fold(projection, event.model_validate_json(json.dumps({**of_an_order, **body}))).values()
    assert row["summary"]


def test_a_summary_is_short_whatever_is_reported() -> None:
    event = cancelled(reason="x" * 10_000)
    (row,) = fold(projection, event).values()
    assert row["summary"] == f"cancelled: {event.reason}"[:SENTENCE_CHARACTERS_MAX]


@pytest.mark.parametrize("event", TEMPLATES)
def test_what_no_one_said_leaves_no_colon_behind(event: type[Event]) -> None:
    body: Any = json.loads(path_of(event, event.schema_version).read_text())["whole"]
    for row in fold(projection, unsaid(event.model_validate_json(json.dumps(body)))).values():
        assert row["summary"] == row["summary"].rstrip(" :")


def test_a_hold_says_its_note_if_it_has_one() -> None:
    rows = fold(projection, o.OrderHeld(**OF, kind="fraud"), o.OrderHeld(**OF, kind="address", note="no street"))
    assert [row["summary"] for row in rows.values()] == ["held, fraud", "held, address: no street"]


def test_a_sentence_is_its_template_with_its_parameters() -> None:
    event = o.OrderHeld(**OF, kind="address", note="no street")
    assert sentence_of(event) == TEMPLATES[o.OrderHeld].format(**parameters_of(event))
    assert parameters_of(event) == {"kind": "address", "note": "no street"}


def test_a_person_s_text_is_never_read_as_a_template() -> None:
    event = o.OrderHeld(**OF, kind="address", note="{kind} {0} {note.__class__}")
    assert sentence_of(event) == "held, address: {kind} {0} {note.__class__}"
