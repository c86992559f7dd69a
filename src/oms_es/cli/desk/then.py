"""Facts as of a moment, for commands that ask them: read from the tables, or folded again from history."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

from oms_es import rendering as display
from oms_es.app import PROJECTIONS
from oms_es.cli.terminal import reading
from oms_es.history import facts_then
from oms_es.reports import queries
from oms_es.settings import Settings


@contextmanager
def as_of(settings: Settings, tables: Collection[str], at: datetime | None) -> Iterator[queries.Connection]:
    """A connection whose `tables` are as they were at the moment, or as they are."""
    with reading(settings) as connection:
        if at is not None:
            wanted = [projection for projection in PROJECTIONS if projection.name in tables]
            with display.progress_on(display.console_on(sys.stderr)) as progress:
                facts_then.lay_out(connection, wanted, at, display.history_progress(progress, "reading history"))
        yield connection
