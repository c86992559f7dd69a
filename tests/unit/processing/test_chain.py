"""Which rows a chain finds that has changed some of them itself, before they are committed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from oms_es.kernel import Key, Lookup, Row
from oms_es.processing.chain import Unordered, changed_rows

LEVELS = Lookup("stock_levels", by="sku", keys=lambda _: ())
NEXT = Lookup("backorder_queue", by="sku", keys=lambda _: (), limit=2, order_by="turn")


def row(place: str, **more: Any) -> Row:
    return {"sku": "tea", "place": place, "turn": 1, **more}


def found(want: Lookup, rows: list[Row], changed: Mapping[Any, Row | None]) -> Any:
    return list(changed_rows(want, "tea", rows, changed, lambda of: (of["place"],)))


def test_a_row_that_changed_is_found_changed_in_its_place() -> None:
    changed = {("lyon",): row("lyon", atp=1)}
    assert found(LEVELS, [row("berlin"), row("lyon"), row("milan")], changed) == [
        row("berlin"),
        row("lyon", atp=1),
        row("milan"),
    ]


def test_a_row_that_is_gone_or_of_another_key_now_is_not_found() -> None:
    changed = {("berlin",): None, ("lyon",): row("lyon", sku="cup")}
    assert found(LEVELS, [row("berlin"), row("lyon"), row("milan")], changed) == [row("milan")]


def test_the_only_row_there_is_may_be_new() -> None:
    assert found(LEVELS, [], {("lyon",): row("lyon"), ("berlin",): row("berlin", sku="cup")}) == [row("lyon")]


def test_what_is_found_twice_over_is_found_the_same() -> None:
    changed: dict[Any, Row | None] = {("lyon",): row("lyon", atp=1), ("berlin",): None}
    once = found(LEVELS, [row("berlin"), row("lyon")], changed)
    assert found(LEVELS, once, changed) == once


@pytest.mark.parametrize(
    ("want", "rows", "changed"),
    [
        pytest.param(LEVELS, [row("berlin")], {("lyon",): row("lyon")}, id="new among others"),
        pytest.param(LEVELS, [], {("lyon",): row("lyon"), ("milan",): row("milan")}, id="several new"),
        pytest.param(NEXT, [row("a"), row("b")], {("a",): None}, id="one fewer of as many as are asked for"),
        pytest.param(NEXT, [row("a")], {("a",): row("a", turn=7)}, id="another turn"),
    ],
)
def test_what_only_the_database_can_order_is_left_to_it(
    want: Lookup, rows: list[Row], changed: dict[Key, Row | None]
) -> None:
    with pytest.raises(Unordered):
        found(want, rows, changed)
