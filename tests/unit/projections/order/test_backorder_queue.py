"""The backorder queue: a row appears when a unit is lacking, and goes when it is sourced again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from folding import fold
from oms_es.kernel import Event
from oms_es.projections.order.backorder_queue import HEAD_START_SECONDS, projection
from oms_es.schemas.order import Destination, SourcingTerms
from story import NOON, ORDER, backordered, cancelled, placed, reservation, sourced
from story import sourcing_requested as again

EARLIER = NOON - timedelta(days=1)


def waiting(*events: Event) -> dict[Any, int]:
    return {key: row["quantity"] for key, row in fold(projection, *events).items()}


def test_every_sku_that_lacks_has_its_row() -> None:
    rows = fold(projection, placed(), backordered(A=2, B=1, placed_at=EARLIER))
    since = {
        "waiting_since": EARLIER,
        "priority": 0,
        "turn": EARLIER,
        "promised_at": None,
        "terms": {},
        "waiting": True,
    }
    assert rows == {
        (ORDER, "A"): {"order_id": ORDER, "sku": "A", "quantity": 2, **since},
        (ORDER, "B"): {"order_id": ORDER, "sku": "B", "quantity": 1, **since},
    }


def test_priority_is_a_head_start_so_that_no_one_starves() -> None:
    lacking = backordered(A=2).model_copy(update={"priority": 3})
    (row,) = fold(projection, lacking).values()
    assert row["turn"] == NOON - timedelta(seconds=3 * HEAD_START_SECONDS)


def test_an_order_that_was_covered_waits_for_nothing() -> None:
    assert waiting(placed(), sourced(("A", "berlin", 2), ("B", "paris", 1))) == {}


def test_a_new_round_empties_the_rows_and_what_still_lacks_keeps_its_place() -> None:
    lacking = (backordered(A=2, B=1, placed_at=EARLIER), again(A=2, B=1))
    assert waiting(*lacking) == {}
    rows = fold(projection, *lacking, backordered(2, B=1, placed_at=EARLIER))
    assert {key: row["waiting_since"] for key, row in rows.items()} == {(ORDER, "B"): EARLIER}


def test_a_shortage_within_the_round_leaves_the_rows_and_may_add_to_them() -> None:
    round_goes_on = (backordered(A=2), again(short=reservation("A", "berlin", 1), A=1))
    assert waiting(*round_goes_on) == {(ORDER, "A"): 2}
    assert waiting(*round_goes_on, backordered(2, A=1)) == {(ORDER, "A"): 3}


def test_a_cancelled_order_no_longer_waits() -> None:
    assert waiting(backordered(A=2, B=1), backordered(order_id="p", A=1), cancelled(backordered={"A": 2, "B": 1})) == {
        ("p", "A"): 1
    }


def test_what_it_can_use_is_kept_with_who_waits() -> None:
    terms = SourcingTerms(channel="web", allow_split=False, destination=Destination(country="DE"), held=("paris",))
    row = fold(projection, backordered(A=1).model_copy(update={"terms": terms}))[ORDER, "A"]
    assert SourcingTerms.model_validate(row["terms"]) == terms
