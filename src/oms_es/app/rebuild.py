"""Rebuild: a read model's rows folded again from history in a second table, which then replace those in use in one
transaction.

Invariant: at every moment the rows are those of one generation, up to the projection's positions. Readers never wait;
the projection waits for the last step alone, and then reads its position and its rows again. Only differences are
written: correct rows are not touched, and the difference shows what was wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed, Identifier

from oms_es.app.sharing.one_pass import SUFFIX, Folded, beside, fold_all, unseen
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.history import states
from oms_es.kafka.groups.watermark import Progress
from oms_es.kernel import Projection
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.rows import create_indexes, lock_of
from oms_es.store.encoding.codec import Codec
from oms_es.store.log import READ_MAX
from oms_es.store.outbox import MARK_DIRTY, changes
from oms_es.store.recorder import IDLE_SECONDS_MAX, TRACKING, Advance, Recorder
from oms_es.store.schema import created, record_read_models, reshaped, stored_columns

ROUNDS_MAX = 10
"""How often new events are folded before the projection has to wait."""

Connection = psycopg.Connection[dict[str, Any]]


class AlreadyRebuilding(OmsError):
    """Another process is rebuilding this read model."""

    code = "already_rebuilding"
    exit_code = Code.NO_DATABASE
    status = HTTPStatus.CONFLICT


class Rebuilt(NamedTuple):
    """The result. `events` were folded into `rows`; of those, `written` rows were missing or different, and `removed`
    ones should not have existed. Of the `seconds` for this read model, the projection had to wait for `waited_seconds`;
    reading the log is counted for all that are rebuilt together."""

    projection: str
    events: int
    rows: int
    written: int
    removed: int
    seconds: float
    waited_seconds: float


class Rebuild:
    """The rebuild of one read model. `published`: every row that changes is published on Kafka."""

    def __init__(
        self,
        projection: Projection,
        database_url: str,
        recorder: Recorder,
        codec: Codec,
        connections: Connections,
        *,
        published: bool = False,
    ) -> None:
        self.projection = projection
        self.database_url = database_url
        self.recorder = recorder
        self.codec = codec
        self.published = published
        self.fresh = beside(projection, connections)
        rows = self.fresh.rows
        self.topics = sorted(event.__name__ for event in projection.folds)
        self.live, self.beside = Identifier(projection.name), Identifier(rows.table.name)
        self.keys, self.columns = rows.key_columns, rows.columns

    def run(self, progress: Callable[[int, int], None] = unseen) -> Rebuilt:
        """Rebuild the read model; `progress` gets (position reached, last position). Raise AlreadyRebuilding."""
        return rebuild_together([self], self.database_url, progress)[0]

    def finish(self, connection: Connection, known: Progress, folded: Folded) -> Rebuilt:
        """Fold the events since `known` into the second table, then write the differences to the first."""
        began = time.monotonic()
        known, events = self._caught_up(connection, known)
        connection.execute(SQL("ANALYZE {}").format(self.beside))
        waits = time.monotonic()
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit TO DEFAULT")
            hold_rows(connection, self.projection.name)
            reached = Progress.stored(connection)
            events += self._fold(known, reached)
            written, removed = self._replace(connection)
            record_read_models(connection, [self.projection])
            if self.published and reached.partitions:
                self._mark_dirty(
                    connection, [*written, *removed], max(reached.topic_partitions(self.projection.name).values())
                )
        ended = time.monotonic()
        rows = connection.execute(SQL("SELECT count(*) AS n FROM {}").format(self.beside)).fetchone()
        assert rows
        return Rebuilt(
            self.projection.name,
            folded.events + events,
            rows["n"],
            len(written),
            len(removed),
            folded.seconds + ended - began,
            ended - waits,
        )

    @contextmanager
    def table_beside(self, connection: Connection) -> Iterator[None]:
        """Create the second table for the context. Raise AlreadyRebuilding."""
        lock = rebuild_lock_of(self.projection.name)
        free = connection.execute("SELECT pg_try_advisory_lock(%s) AS free", [lock]).fetchone()
        if not (free and free["free"]):
            raise AlreadyRebuilding(f"{self.projection.name} is being rebuilt already; wait for that to end")
        drop = SQL("DROP TABLE IF EXISTS {}").format(self.beside)
        connection.execute(drop)
        connection.execute(created(self.fresh.projection.table, "UNLOGGED"))
        try:
            yield
        finally:
            connection.execute(drop)
            # released explicitly: a server session may outlive its connection for a moment, in which the next rebuild
            # could begin
            connection.execute("SELECT pg_advisory_unlock(%s)", [lock])

    def _caught_up(self, connection: Connection, known: Progress) -> tuple[Progress, int]:
        """Fold until less than one batch of events is left, or until it is clear that writers are faster."""
        events = 0
        for _ in range(ROUNDS_MAX):
            reached = Progress.stored(connection)
            folded = self._fold(known, reached)
            known, events = reached, events + folded
            if folded < READ_MAX:
                break
        return known, events

    def _fold(self, known: Progress, reached: Progress) -> int:
        """Fold the events after `known` and return how many there were."""
        name = self.projection.name
        before, now = known.topic_partitions(name), reached.topic_partitions(name)
        moved = [
            before.get(topic_partition, before[name])
            for topic_partition, at in now.items()
            if at > before.get(topic_partition, before[name])
        ]
        position, last, folded = min(moved, default=0), max(now.values()), 0
        while moved and position < last:
            rows = self.recorder.select_notifications(
                position, READ_MAX, stop=last, topics=self.topics, inclusive_of_start=False
            )
            batch = [
                self.codec.decode(row, row.id)
                for row in rows
                if reached.has_taken(name, str(row.originator_id), row.id)
                and not known.has_taken(name, str(row.originator_id), row.id)
            ]
            if batch:
                self.fresh.apply(batch, Advance(name, 0, batch[-1].position))
            folded += len(batch)
            position = rows[-1].id if rows else last
        return folded

    def _replace(self, connection: Connection) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
        """Write the differences; return the keys of the rows that were written, and of those that were removed."""
        if alterations := reshaped(self.projection.table, stored_columns(connection, self.projection.name)):
            return self._replace_all(connection, alterations)
        same = self._on("l", "b")
        removed = connection.execute(
            SQL("DELETE FROM {} AS l WHERE NOT EXISTS (SELECT FROM {} AS b WHERE {}) RETURNING {}").format(
                self.live, self.beside, same, _names(self.keys, "l")
            )
        ).fetchall()
        written = connection.execute(
            SQL(
                "INSERT INTO {live} AS kept ({columns}) SELECT {columns} FROM {beside} AS b WHERE NOT EXISTS "
                "(SELECT FROM {live} AS l WHERE {same} AND ROW({ours}) IS NOT DISTINCT FROM ROW({theirs})) "
                "ON CONFLICT ({keys}) DO {update} RETURNING {published}"
            ).format(
                live=self.live,
                beside=self.beside,
                columns=_names(self.columns),
                same=same,
                ours=_names(self.columns, "l"),
                theirs=_names(self.columns, "b"),
                keys=_names(self.keys),
                update=self._update(),
                published=_names(self.keys, "kept"),
            )
        ).fetchall()
        return written, removed

    def _replace_all(
        self, connection: Connection, alterations: Sequence[Composed]
    ) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
        """Replace a table whose columns differ: every row is written, and readers wait meanwhile."""
        old = connection.execute(SQL("SELECT * FROM {}").format(self.live)).fetchall() if self.published else []
        connection.execute(SQL("TRUNCATE {}").format(self.live))
        for alteration in alterations:
            connection.execute(alteration)
        for index in create_indexes(self.projection):
            connection.execute(index)
        written = connection.execute(
            SQL("INSERT INTO {} ({columns}) SELECT {columns} FROM {} RETURNING {}").format(
                self.live, self.beside, _names(self.keys), columns=_names(self.columns)
            )
        ).fetchall()
        return written, [row for row in old if row.keys() >= set(self.keys)]

    def _on(self, one: str, other: str) -> Composed:
        pairs = [SQL("{} = {}").format(Identifier(one, key), Identifier(other, key)) for key in self.keys]
        return SQL(" AND ").join(pairs)

    def _update(self) -> Composed | SQL:
        values = [column for column in self.columns if column not in self.keys]
        if not values:
            return SQL("NOTHING")
        pairs = [SQL("{} = {}").format(Identifier(name), Identifier("excluded", name)) for name in values]
        return SQL("UPDATE SET {}").format(SQL(", ").join(pairs))

    def _mark_dirty(self, connection: Connection, changed: Sequence[Mapping[str, Any]], position: int) -> None:
        keys = (tuple(row[key] for key in self.keys) for row in changed)
        connection.execute(MARK_DIRTY, changes(self.projection.name, keys, position))


def rebuild_lock_of(name: str) -> int:
    """Return the number of the advisory lock for folding the read model beside itself."""
    return lock_of(f"{name}{SUFFIX}")


def hold_rows(connection: Connection, name: str) -> None:
    """Lock the read model until this transaction ends: no process changes its rows or position, and none relies on its
    cache afterwards.

    The locks are taken in the order of a projection: the advisory lock, the rows, the position.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [lock_of(name)])
    connection.execute(SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(Identifier(name)))
    connection.execute(
        f"UPDATE {TRACKING} SET generation = generation + 1 "
        "WHERE application_name = %(name)s OR starts_with(application_name, %(name)s || '@')",
        {"name": name},
    )


def rebuild_together(
    rebuilds: Sequence[Rebuild], database_url: str, progress: Callable[[int, int], None] = unseen, processes: int = 1
) -> list[Rebuilt]:
    """Rebuild several read models from one reading of the log, or one reading by each of several processes, which share
    them.

    `progress` gets (position reached, last position). Raise AlreadyRebuilding; then nothing was done.
    """
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection, ExitStack() as tables:
        connection.execute(f"SET idle_in_transaction_session_timeout = '{int(IDLE_SECONDS_MAX)}s'")
        connection.execute("SET synchronous_commit = off")  # a table that a crash leaves beside is dropped by the next
        for rebuild in rebuilds:
            tables.enter_context(rebuild.table_beside(connection))
        reached = Progress.stored(connection)
        projections = [rebuild.projection for rebuild in rebuilds]
        folded = fold_all(database_url, projections, reached, progress, processes)
        rebuilt = [rebuild.finish(connection, reached, folded[rebuild.projection.name]) for rebuild in rebuilds]
        states.drop_of(connection, {projection.name for projection in projections})
        return rebuilt


def _names(names: Sequence[str], table: str | None = None) -> Composed:
    return SQL(", ").join(Identifier(table, name) if table else Identifier(name) for name in names)
