"""Verify: is what people see what history says, and did history ever break a promise?

Reads the whole log once, in order, in one snapshot of the database, and answers two questions. Are the invariants true
at every position: never oversold, stock conserved, money conserved, every accepted order exactly once? And is every row
of every read model the one that folding history gives, up to the position that the read model has reached?

Uses the same `evolve` and the same `project` as the engine; nothing is trusted but the events, and of those not even
their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row, tuple_row
from psycopg.sql import SQL, Identifier

from oms_es.kafka.groups.watermark import Progress
from oms_es.kernel import Decider, Projection, Recorded
from oms_es.proof.entries import StoredEvent
from oms_es.proof.notes import VerifierKey
from oms_es.schemas.order import OrderForgotten
from oms_es.store.encoding.codec import Codec
from oms_es.store.privacy import subject_keys
from oms_es.store.recorder import EVENTS, SNAPSHOTS, EventRow, Snapshot
from oms_es.store.snapshots import Unreadable, is_of_this_version, state_in
from oms_es.verification.check import Check, at
from oms_es.verification.document_checks import documents_kept
from oms_es.verification.history import History
from oms_es.verification.row_checks import RowsOfHistory
from oms_es.verification.seal_checks import SealBook, Signed, seal_book

READ_MAX = 2_000
"""Rows fetched at a time."""


class Report(NamedTuple):
    position: int
    streams: int
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return not any(check.failed for check in self.checks)


def verify(
    database_url: str,
    deciders: Sequence[Decider[Any]],
    projections: Sequence[Projection],
    codec: Codec,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    keys: Sequence[VerifierKey] = (),
    against: Sequence[Signed] = (),
) -> Report:
    """Ask every question of the whole history. `progress` gets (position reached, last position).

    `keys`: whose checkpoints are believed; without any, those that the database names. `against`: checkpoints from
    elsewhere.
    """
    with _snapshot(database_url) as connection:
        keys_gone = KeysGone(connection)
        history = History(deciders, keys_gone.gone)
        kept = Snapshots(connection, history.deciders)
        progress_of = Progress.stored(connection)
        last = _scalar(connection, SQL("SELECT max(notification_id) AS value FROM {}").format(Identifier(EVENTS)))
        rows = RowsOfHistory(connection, projections, progress_of)
        with seal_book(connection, keys, against) as seals:
            for page in _pages(connection, codec, history.readable, seals.note):
                for recorded in page:
                    history.fold(recorded)
                    kept.compare(recorded, history)
                    keys_gone.note(recorded)
                rows.fold(page)
                progress(page[-1].position, last)
        history.close(progress_of.has_taken)
        progress(last, last)
        of_rows = rows.checked()
        of_keys = keys_gone.checked(connection)
        documents = documents_kept(connection, history)
    checks = (*history.checks, *seals.checks, kept.checked(), *of_keys, documents, *of_rows)
    return Report(history.position, len(history.states), checks)


def verify_until(
    database_url: str,
    deciders: Sequence[Decider[Any]],
    codec: Codec,
    until: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Was any promise broken up to a position? What has still to follow from the last events is not asked for."""
    with _snapshot(database_url) as connection:
        history = History(deciders, subject_keys.gone(connection))
        for page in _pages(connection, codec, history.readable, lambda _: None, until):
            for recorded in page:
                history.fold(recorded)
            progress(page[-1].position, until)
        history.close(lambda _role, _stream, _position: False)
        progress(until, until)
        documents = documents_kept(connection, history)
    return Report(history.position, len(history.states), (*history.checks, documents))


def check_log(
    database_url: str,
    keys: Sequence[VerifierKey],
    against: Sequence[Signed],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[SealBook, Report]:
    """Only whether every event is the one that was sealed, and that the checkpoints are of them."""
    with _snapshot(database_url) as connection:
        last = _scalar(connection, SQL("SELECT max(notification_id) AS value FROM {}").format(Identifier(EVENTS)))
        streams = position = 0
        with seal_book(connection, keys, against) as seals:
            for page in stored_events(connection):
                for event in page:
                    seals.note(event)
                streams += sum(event.version == 1 for event in page)
                progress(position := page[-1].position, last)
    return seals, Report(position, streams, seals.checks)


class Snapshots:
    """Those that the engine would read. One that it would leave aside is a finding, too: a person has changed it."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]], deciders: Mapping[str, Decider[Any]]) -> None:
        query = SQL("SELECT stream, version, topic, state FROM {}").format(Identifier(SNAPSHOTS))
        found = [Snapshot(**{**row, "state": bytes(row["state"])}) for row in connection.execute(query)]
        self.check = Check("every snapshot is the fold of its stream")
        self.ahead = {one.stream: one for one in found if is_of_this_version(deciders, one)}

    def compare(self, recorded: Recorded, history: History) -> None:
        snapshot = self.ahead.get(recorded.stream)
        if snapshot is None or snapshot.version != recorded.version:
            return
        del self.ahead[recorded.stream]
        decider = history.deciders[recorded.stream.partition("-")[0]]
        try:
            same = state_in(decider, snapshot) == history.states[recorded.stream][0]
        except Unreadable as unreadable:
            self.check.expect(False, partial("{}".format, str(unreadable)))
        else:
            self.check.expect(same, lambda: f"{at(recorded)}: the snapshot is not what history says")

    def checked(self) -> Check:
        """Once history is read: what is left over names a version that its stream has not."""
        for one in self.ahead.values():
            self.check.expect(False, partial("{} has no version {}".format, one.stream, one.version))
        return self.check


class KeysGone:
    """Keys of orders that were destroyed: what was personal in their events is not read, and not asked about."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self.gone = subject_keys.gone(connection)
        self.explained = Check("no key is gone but of an order that was forgotten")
        self.finished = Check("no order that was forgotten has its key still")
        self._unexplained = set(self.gone)
        self._forgotten = set[str]()

    def note(self, recorded: Recorded) -> None:
        if isinstance(recorded.event, OrderForgotten):
            self._unexplained.discard(recorded.event.order_id)
            self._forgotten.add(recorded.event.order_id)

    def checked(self, connection: psycopg.Connection[dict[str, Any]]) -> tuple[Check, Check]:
        """Once history is read."""
        for order_id in sorted(self.gone):
            self.explained.expect(order_id not in self._unexplained, partial("the key of {} is gone".format, order_id))
        kept = set(subject_keys.still_there(connection, self._forgotten))
        for order_id in sorted(self._forgotten):
            self.finished.expect(
                order_id not in kept,
                partial("the key of {} is there: `oms-es privacy forget --resume`".format, order_id),
            )
        return self.explained, self.finished


@contextmanager
def _snapshot(database_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection


def _scalar(connection: psycopg.Connection[dict[str, Any]], query: Any) -> int:
    row = connection.execute(query).fetchone()
    return (row and row["value"]) or 0


def stored_events(
    connection: psycopg.Connection[dict[str, Any]], until: int | None = None
) -> Iterator[list[StoredEvent]]:
    """Pages of the log, in the order of positions."""
    with connection.cursor(name="history", binary=True, row_factory=tuple_row) as curs:
        curs.execute(
            SQL(
                "SELECT notification_id, originator_id, originator_version, topic, state FROM {} "
                "WHERE %s::bigint IS NULL OR notification_id <= %s ORDER BY notification_id"
            ).format(Identifier(EVENTS)),
            [until, until],
        )
        while rows := curs.fetchmany(READ_MAX):
            yield [StoredEvent(*row) for row in rows]


def _pages(
    connection: psycopg.Connection[dict[str, Any]],
    codec: Codec,
    readable: Check,
    note: Callable[[StoredEvent], None],
    until: int | None = None,
) -> Iterator[list[Recorded]]:
    """Without what cannot be read."""
    codec = codec.over(connection)
    for stored in stored_events(connection, until):
        page = []
        for event in stored:
            note(event)
            row = EventRow(*event[1:])
            try:
                page.append(codec.decode(row, event.position))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a stored event is a finding
                where = f"position {event.position}, {row.topic} in {row.originator_id}"
                readable.expect(False, partial("{}: {}".format, where, _first_line(error)))
        if page:
            yield page


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__} {str(error).splitlines()[0]}"
