"""The load of each location is counted for the newest day; a new day begins at one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from folding import NOON, as_recorded
from oms_es.kernel import Key, Row
from oms_es.processing.read_models.folding import fold
from oms_es.projections.catalog.location_load import projection
from story import sourced

BOTH = sourced(("A", "berlin", 2), ("B", "berlin", 1), ("B", "paris", 1))


def loads(*days: int) -> dict[Any, tuple[int, int]]:
    """Return the loads after orders on these days, in this order: days since the first, and orders on each."""
    rows: dict[Key, Row | None] = {}
    for day in days:
        (recorded,) = as_recorded([BOTH])
        fold(projection, rows, [recorded._replace(recorded_at=NOON + timedelta(days=day))])
    return {key[0]: ((row["day"] - NOON.date()).days, row["orders"]) for key, row in rows.items() if row}


def test_an_order_counts_once_at_each_location_that_it_is_given_to() -> None:
    assert loads(0) == {"berlin": (0, 1), "paris": (0, 1)}
    assert loads(0, 0)["berlin"] == (0, 2)


def test_a_new_day_begins_again() -> None:
    assert loads(0, 0, 1)["berlin"] == (1, 1)


def test_an_older_day_reported_late_changes_nothing() -> None:
    assert loads(0, 1, 0, 1)["berlin"] == (1, 2)
