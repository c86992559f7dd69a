"""Orders that a real engine processed on PostgreSQL are read, and replayed to the same history."""

from __future__ import annotations

import os
from io import StringIO

import pytest
from rich.console import Console

from oms_es.app import engine_on
from oms_es.demo import run
from oms_es.reports import queries
from oms_es.whatif.equality import unlike
from oms_es.whatif.history import read
from oms_es.whatif.reliving.relive import Relive

ORDERS = 60
SEEDS = (1, 2, 3, 7, 8) if "OMS_TEST_RELIVE" in os.environ else (3, 8)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_demo_is_lived_again_as_it_was(seed: int, database_url: str) -> None:
    """Its stock comes in several transactions in a row: more at once than a chain takes, had no turn been between."""
    with engine_on(database_url, chaos=run.chaos_of(seed)) as engine:
        run.run(engine, run.made_up(ORDERS, seed), Console(file=StringIO()))
        last = engine.last_position()
    with queries.reading(database_url) as connection:
        lived = read(connection, 0, last, lambda _reached, _last: None)
    relive = Relive(lived.before, lived.after, rest_seconds=60.0)  # the demo never pauses, a busy machine may
    relive.run()
    assert len(lived.after) == last
    assert list(unlike(lived.after, relive.events())) == []
    assert relive.counts["restated"] == 0
