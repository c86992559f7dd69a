"""Read models as of a moment, for commands that query them: read from the tables, or folded again from history."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from oms_es import rendering as display
from oms_es.app import PROJECTIONS
from oms_es.cli.terminal import one_of, reading
from oms_es.history import moments, states
from oms_es.kernel import Projection
from oms_es.reports import queries, streams
from oms_es.settings import Settings

READ_MODELS = {projection.name: projection for projection in PROJECTIONS}


def read_model(name: str) -> Projection:
    return one_of(READ_MODELS, name.replace("-", "_"), "read model")


def position_then(connection: queries.Connection, at: streams.At | None) -> int | None:
    """Return the position of the log at `at`, or None for now. Raise StillToCome."""
    return None if at is None else moments.position_of(connection, at)


@contextmanager
def as_of(settings: Settings, tables: Collection[str], at: streams.At | None) -> Iterator[queries.Connection]:
    """Open a connection on which `tables` are as they were at `at`, or as they are now. Raise StillToCome."""
    with reading(settings) as connection:
        if at is not None:
            position = moments.position_of(connection, at)
            wanted = [projection for projection in PROJECTIONS if projection.name in tables]
            with display.progress_on(display.console_on(sys.stderr)) as progress:
                states.lay_out(connection, wanted, position, display.history_progress(progress, "reading history"))
        yield connection
