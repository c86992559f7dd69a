"""Questions that are asked of history in one reading of it, in the order of positions.

Some may be asked in one reading and others in another, beside it: in the same snapshot of the database the answers are
the same. What is held of history is in memory as long as it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row, tuple_row
from psycopg.sql import SQL, Identifier, Literal

from oms_es.kafka.groups.watermark import Progress
from oms_es.kernel import Decider, Projection, Recorded
from oms_es.processing.bulk.overflow import Overflow
from oms_es.proof.entries import StoredEvent
from oms_es.proof.notes import VerifierKey
from oms_es.store.archive.reading import is_archived, whole
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import EVENTS, EventRow
from oms_es.verification.archive_checks import archived_files, whole_if_there
from oms_es.verification.check import Check
from oms_es.verification.document_checks import documents_kept
from oms_es.verification.history import History
from oms_es.verification.joined_checks import HasTaken
from oms_es.verification.kept_checks import KeysGone, Snapshots
from oms_es.verification.row_checks import RowsOfHistory
from oms_es.verification.seal_checks import Signed, seal_book

READ_MAX = 2_000
"""Rows fetched at a time."""

Connection = psycopg.Connection[dict[str, Any]]


class Questions(NamedTuple):
    """Was every promise kept, is every event the one that was sealed, and are the rows of these read models what
    history says?"""

    promises: bool
    seals: bool
    read_models: Collection[str]


class Answers(NamedTuple):
    """To some of them; `beside`: about what is kept beside events. `rows`: by read model."""

    position: int
    streams: int
    promises: Sequence[Check]
    seals: Sequence[Check]
    beside: Sequence[Check]
    rows: Mapping[str, Check]


class Known(NamedTuple):
    """What questions are asked with. `keys`: whose checkpoints are believed; without any, those that the database
    names. `against`: checkpoints from elsewhere."""

    deciders: Sequence[Decider[Any]]
    projections: Sequence[Projection]
    codec: Codec
    keys: Sequence[VerifierKey] = ()
    against: Sequence[Signed] = ()


def answered(connection: Connection, questions: Questions, known: Known, reached: Callable[[int], None]) -> Answers:
    """`reached` is called with the position that was read."""
    overflow, progress = Overflow(), Progress.stored(connection)
    models = [projection for projection in known.projections if projection.name in questions.read_models]
    rows = RowsOfHistory(connection, models, progress, overflow)
    promises = Promises(connection, known.deciders, overflow) if questions.promises else None
    types = None if promises else rows.types
    readable = promises.history.readable if promises else Check("is checked with the guarantees")
    with ExitStack() as stack:
        codec = known.codec.over(connection)
        sealed = seal_book(connection, known.keys, known.against, codec)
        seals = stack.enter_context(sealed) if questions.seals else None
        for stored in stored_events(connection, types=None if seals else types):
            if seals:
                for event in stored:
                    seals.note(event)
            page = decoded(stored if types is None else [one for one in stored if one.type in types], codec, readable)
            if promises:
                promises.fold(page)
            rows.fold(page)
            overflow.trim()
            reached(stored[-1].position)
    of_rows = rows.checked()
    return Answers(
        promises.history.position if promises else 0,
        promises.history.streams if promises else 0,
        promises.closed(progress.has_taken) if promises else (),
        seals.checks if seals else (),
        promises.beside(connection) if promises else (),
        of_rows,
    )


class Promises:
    """Every event once, and what is kept beside it."""

    def __init__(self, connection: Connection, deciders: Sequence[Decider[Any]], overflow: Overflow) -> None:
        self.keys_gone = KeysGone(connection)
        self.history = History(deciders, self.keys_gone.gone, overflow)
        self.snapshots = Snapshots(connection, self.history.deciders)

    def fold(self, page: Sequence[Recorded]) -> None:
        for recorded in page:
            self.history.fold(recorded)
            self.snapshots.compare(recorded, self.history)
            self.keys_gone.note(recorded)

    def closed(self, has_taken: HasTaken) -> Sequence[Check]:
        """Once history is read."""
        self.history.close(has_taken)
        return self.history.checks

    def beside(self, connection: Connection) -> Sequence[Check]:
        """The same."""
        of_keys = self.keys_gone.checked(connection)
        documents = documents_kept(connection, self.history)
        return self.snapshots.checked(), *of_keys, documents, archived_files(connection)


@contextmanager
def snapshot(database_url: str, exported: str | None = None) -> Iterator[Connection]:
    """`exported`: by another connection, which has it still."""
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        if exported:
            connection.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(exported)))
        yield connection


def exported(connection: Connection) -> str:
    """The name of its snapshot, which others can take as long as its transaction goes on."""
    connection.execute("SET idle_in_transaction_session_timeout = 0")
    found = connection.execute("SELECT pg_export_snapshot() AS name").fetchone()
    assert found
    return str(found["name"])


def last_position(connection: Connection) -> int:
    found = connection.execute(SQL("SELECT max(notification_id) AS last FROM {}").format(Identifier(EVENTS))).fetchone()
    return (found and found["last"]) or 0


def stored_events(
    connection: Connection, until: int | None = None, types: Collection[str] | None = None
) -> Iterator[list[StoredEvent]]:
    """Pages of the log, in the order of positions. `types`: of no others."""
    with connection.cursor(name="history", binary=True, row_factory=tuple_row) as curs:
        curs.execute(
            SQL(
                "SELECT notification_id, originator_id, originator_version, topic, state FROM {} "
                "WHERE (%s::bigint IS NULL OR notification_id <= %s) AND (%s::text[] IS NULL OR topic = ANY(%s)) "
                "ORDER BY notification_id"
            ).format(Identifier(EVENTS)),
            [until, until, *([None if types is None else list(types)] * 2)],
        )
        while rows := curs.fetchmany(READ_MAX):
            yield [whole_if_there(StoredEvent(*row)) for row in rows]


def decoded(stored: Sequence[StoredEvent], codec: Codec, readable: Check) -> list[Recorded]:
    """Return the decoded events; one that cannot be read is a difference."""
    page = []
    for event in stored:
        row = EventRow(*event[1:])
        try:
            row = row._replace(state=whole(row.state)) if is_archived(row.state) else row
            page.append(codec.decode(row, event.position))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a stored event is a finding
            where = f"position {event.position}, {row.topic} in {row.originator_id}"
            readable.expect(False, partial("{}: {}".format, where, _first_line(error)))
    return page


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__} {str(error).splitlines()[0]}"
