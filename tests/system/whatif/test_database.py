"""Orders that a real engine processed on PostgreSQL are read, and replayed to the same history."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from oms_es.app import engine_on
from oms_es.demo import run
from oms_es.reports import queries
from oms_es.whatif.equality import unlike
from oms_es.whatif.history import read
from oms_es.whatif.reliving.relive import Relive

ORDERS, SEED = 60, 8
"""With some other seeds more comes at once than a chain takes, and a decision is replayed some milliseconds before the
time at which it was made; nothing else of it differs."""


def test_the_demo_is_lived_again_as_it_was(database_url: str) -> None:
    with engine_on(database_url, chaos=run.chaos_of(SEED)) as engine:
        run.run(engine, run.made_up(ORDERS, SEED), Console(file=StringIO()))
        last = engine.last_position()
    with queries.reading(database_url) as connection:
        lived = read(connection, 0, last, lambda _reached, _last: None)
    relive = Relive(lived.before, lived.after, rest_seconds=60.0)  # the demo never pauses, a busy machine may
    relive.run()
    assert len(lived.after) == last
    assert list(unlike(lived.after, relive.events())) == []
    assert relive.counts["restated"] == 0
