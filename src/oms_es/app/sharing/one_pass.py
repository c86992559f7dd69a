"""Folding many read models from one reading of the log, each into a second table beside its own.

Invariant: every event up to a read model's positions is folded into it once, in order, by one process. With several
cores, processes share the read models, and each reads the events that its own need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from sqlalchemy import MetaData

from oms_es.app.registry import PROJECTIONS
from oms_es.kafka.groups.watermark import Progress
from oms_es.kernel import Event, Projection, Recorded
from oms_es.processing.bulk.processes import shared_by_work, shared_out, worth_starting
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.history_pages import hold_no_more, newest_by_type, pages, work_of
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.read_models.rows import SqlRows
from oms_es.processing.read_models.staged_rows import StagedRows
from oms_es.store.caching import Budget
from oms_es.store.recorder import IN_UTC, Advance

SUFFIX = "_rebuilt"

Connection = psycopg.Connection[dict[str, Any]]


class Folded(NamedTuple):
    """The number of events that were folded into a read model, and the seconds that this took without reading them."""

    events: int
    seconds: float


class BesideRows(SqlRows):
    """Rows of the second table. No one reads them yet: their progress is not published, and an interrupted fold begins
    again."""

    def advance(self, _connection: Any, _advance: Advance) -> None:
        """Do nothing: the second table has no position."""


class Beside(ReadModel):
    """The read model on its second table, which is written and not cached."""

    rows: BesideRows


def beside(projection: Projection, connections: Connections) -> Beside:
    table = projection.table.to_metadata(MetaData(), name=f"{projection.name}{SUFFIX}")
    return Beside(replace(projection, table=table), BesideRows(table, connections), Budget(0))


def unseen(_reached: int, _last: int) -> None:
    """Show no progress."""


class Folding(NamedTuple):
    """What a process folds."""

    database_url: str
    read_models: Sequence[str]
    reached: Progress


def fold_all(
    database_url: str,
    projections: Sequence[Projection],
    reached: Progress,
    progress: Callable[[int, int], None],
    processes: int,
) -> dict[str, Folded]:
    """Fold all projections, in up to `processes` processes; return the result by the read model's name."""
    last = max((_last_position(projection, reached) for projection in projections), default=0)
    shares = _shares(database_url, projections, worth_starting(processes, last))
    if len(shares) == 1:
        return fold_share(database_url, projections, reached, lambda position: progress(position, last))
    work = [Folding(database_url, share, reached) for share in shares]
    done = shared_out(_fold_named, work, lambda position: progress(position, last))
    return {name: folded for one in done for name, folded in one.items()}


def fold_share(
    database_url: str, projections: Sequence[Projection], reached: Progress, progress: Callable[[int], None]
) -> dict[str, Folded]:
    """Fold the projections in this process; return the result by the read model's name."""
    connections = Connections(database_url)
    options = f"{conninfo_to_dict(database_url).get('options') or ''} {IN_UTC}".strip()
    try:
        with psycopg.connect(database_url, options=options, row_factory=dict_row, autocommit=True) as connection:
            staged = [StagedRows(model := beside(one, connections), model.rows, connection) for one in projections]
            _fold(connection, staged, reached, progress)
    finally:
        connections.close()
    return {one.name: Folded(rows.events, rows.seconds) for one, rows in zip(projections, staged, strict=True)}


def _fold(
    connection: Connection, staged: Sequence[StagedRows], reached: Progress, progress: Callable[[int], None]
) -> None:
    names = [rows.projection.name.removesuffix(SUFFIX) for rows in staged]
    interested: dict[type[Event], list[int]] = {}
    for number, rows in enumerate(staged):
        for event in rows.projection.folds:
            interested.setdefault(event, []).append(number)
    last = max((max(reached.topic_partitions(name).values()) for name in names), default=0)
    for page in pages(connection, [event.__name__ for event in interested], last):
        batches: list[list[Recorded]] = [[] for _ in staged]
        for recorded in page:
            for number in interested[type(recorded.event)]:
                batches[number].append(recorded)
        for rows, name, batch in zip(staged, names, batches, strict=True):
            if taken := _taken(batch, name, reached):
                rows.fold(taken)
        hold_no_more(staged)
        progress(page[-1].position)
    for rows in staged:
        rows.write(len(rows))


def _taken(batch: Sequence[Recorded], name: str, reached: Progress) -> Sequence[Recorded]:
    if batch and batch[-1].position <= reached.positions.get(name, 0):
        return batch
    return [recorded for recorded in batch if reached.has_taken(name, recorded.stream, recorded.position)]


def _last_position(projection: Projection, reached: Progress) -> int:
    return max(reached.topic_partitions(projection.name).values())


def _shares(database_url: str, projections: Sequence[Projection], count: int) -> list[list[str]]:
    """Another process knows the read models of the program only."""
    if count <= 1 or not set(map(id, projections)) <= set(map(id, PROJECTIONS)):
        return [[projection.name for projection in projections]]
    with psycopg.connect(database_url, autocommit=True) as connection:
        events = newest_by_type(connection)
    return shared_by_work({one.name: work_of(one, events) for one in projections}, count)


def _fold_named(folding: Folding, reached: Callable[[int], None]) -> dict[str, Folded]:
    by_name = {projection.name: projection for projection in PROJECTIONS}
    return fold_share(folding.database_url, [by_name[name] for name in folding.read_models], folding.reached, reached)
