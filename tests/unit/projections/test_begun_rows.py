"""Folds that ignore the previous row need not load it, and the rows still equal history."""

from __future__ import annotations

import dis
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from inspect import unwrap
from typing import Any

import pytest

from oms_es.app import engine_on
from oms_es.app.registry import PROJECTIONS
from oms_es.kernel import Event, Key, Recorded, Row
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.folding import folded
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.read_models.rows import SqlRows
from oms_es.projections.operations import deadlines
from oms_es.projections.stock import stock_levels
from oms_es.schemas.stock import StockReceived, StockReleased, StockReserved
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.store.recorder import Advance

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OF = {"sku": "A", "location": "berlin"}
RESERVED = StockReserved(**OF, reservation_id="r1", order_id="o1", quantity=1, expires_at=NOW)
RELEASED = StockReleased(**OF, reservation_id="r1", order_id="o1", quantity=1)
RECEIVED = StockReceived(**OF, receipt_id="1", quantity=5)
"""Of `deadlines`, the first makes a row and the second takes it away; neither looks at what was there."""


class Counting(SqlRows):
    asked = 0

    def found(self, connection: Any, keys: Sequence[Key]) -> Mapping[Key, Row]:
        self.asked += len(keys)
        return super().found(connection, keys)


@pytest.fixture
def connections(database_url: str) -> Iterator[Connections]:
    with engine_on(database_url):
        opened = Connections(database_url)
    yield opened
    opened.close()


def recorded(*events: Event, after: int = 0) -> list[Recorded]:
    made = (Codec({}).envelop("stock-A@berlin", 1, event, Cause("test"), NOW) for event in events)
    return [one._replace(position=position) for position, one in enumerate(made, after + 1)]


def test_what_is_named_to_look_at_no_row_looks_at_none() -> None:
    begun = {unwrap(fold.project) for one in PROJECTIONS for fold in one.folds.values() if fold.begins}
    assert len(begun) > 20
    for project in begun:
        row = project.__code__.co_varnames[0]
        used = [i.argval for i in dis.get_instructions(project) if i.opname.startswith("LOAD_FAST")]
        names = {name for found in used for name in (found if isinstance(found, tuple) else (found,))}
        assert row not in names, f"{project.__qualname__} of {project.__module__} is given no row to look at"


def test_a_row_that_is_begun_is_not_looked_up_and_one_that_changes_is(connections: Connections) -> None:
    rows = Counting(deadlines.table, connections)
    ReadModel(deadlines.projection, rows).apply(recorded(RESERVED), Advance("deadlines", 0, 1))
    assert rows.asked == 0
    levels = Counting(stock_levels.table, connections)
    ReadModel(stock_levels.projection, levels).apply(recorded(RECEIVED), Advance("stock_levels", 0, 1))
    assert levels.asked == 1


@pytest.mark.parametrize("staged", [False, True])
def test_a_row_that_was_not_looked_up_goes(connections: Connections, *, staged: bool) -> None:
    """The worker remembers no rows, as after its start."""
    rows = Counting(deadlines.table, connections)
    history = recorded(RESERVED, RELEASED)
    (key,) = folded(deadlines.projection, history[:1])
    ReadModel(deadlines.projection, rows).apply(history[:1], Advance("deadlines", 0, 1))
    assert rows.load(None, [key]).keys() == {key}
    other, asked = ReadModel(deadlines.projection, rows), rows.asked
    if staged:
        rows_then = other.staged()
        rows_then.fold(history[1:])
        with rows.writing() as connection:
            for change in rows_then.changes(2):
                connection.execute(change.statement.encode(), {"rows": change.rows})
    else:
        other.apply(history[1:], Advance("deadlines", 1, 2))
    assert rows.asked == asked
    assert rows.load(None, [key]) == {}


def test_rows_that_several_workers_change_are_looked_up_however_they_are_made(connections: Connections) -> None:
    rows = Counting(deadlines.table, connections)
    shared = deadlines.projection.__class__(deadlines.table, shared=True, folds=deadlines.projection.folds)
    ReadModel(shared, rows, alone=False).apply(recorded(RESERVED), Advance("deadlines", 0, 1))
    assert rows.asked == 1
