"""Verify: is what people see what history says, and did history ever break a promise?

Reads the whole log once, in order, in one snapshot of the database, and answers two questions. Are the invariants true
at every position: never oversold, stock conserved, money conserved, every accepted order exactly once? And is every row
of every read model the one that folding history gives, up to the position that the read model has reached?

Uses the same `evolve` and the same `project` as the engine; nothing is trusted but the events, and of those not even
their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from oms_es.kernel import Decider, Projection
from oms_es.processing.bulk.overflow import Overflow
from oms_es.processing.bulk.processes import shared_by_work
from oms_es.processing.read_models.history_pages import work_of
from oms_es.proof.notes import VerifierKey
from oms_es.store.encoding.codec import Codec
from oms_es.store.privacy import subject_keys
from oms_es.verification.archive_checks import archived_files
from oms_es.verification.check import Check
from oms_es.verification.document_checks import documents_kept
from oms_es.verification.history import History
from oms_es.verification.reading import (
    Answers,
    Known,
    Questions,
    answered,
    decoded,
    last_position,
    snapshot,
    stored_events,
)
from oms_es.verification.seal_checks import SealBook, Signed, seal_book

PROMISES, SEALS = "promises of all events", "seals of all events"
PROMISES_WORK, SEALS_WORK = 4, 1
"""Of an event; folding it into a row is one."""


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
    known = Known(deciders, projections, codec, keys, against)
    everything = Questions(promises=True, seals=True, read_models=[one.name for one in projections])
    with snapshot(database_url) as connection:
        last = last_position(connection)
        answers = answered(connection, everything, known, lambda position: progress(position, last))
    return report_of([answers], projections)


def report_of(answers: Sequence[Answers], projections: Sequence[Projection]) -> Report:
    """`answers`: to all of the questions, of one snapshot."""
    rows = {name: check for one in answers for name, check in one.rows.items()}
    checks = (
        *(check for one in answers for check in one.promises),
        *(check for one in answers for check in one.seals),
        *(check for one in answers for check in one.beside),
        *(rows[projection.name] for projection in projections),
    )
    return Report(max(one.position for one in answers), max(one.streams for one in answers), checks)


def verify_until(
    database_url: str,
    deciders: Sequence[Decider[Any]],
    codec: Codec,
    until: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Was any promise broken up to a position? What has still to follow from the last events is not asked for."""
    with snapshot(database_url) as connection:
        overflow = Overflow()
        history, codec = History(deciders, subject_keys.gone(connection), overflow), codec.over(connection)
        for stored in stored_events(connection, until):
            for recorded in decoded(stored, codec, history.readable):
                history.fold(recorded)
            overflow.trim()
            progress(stored[-1].position, until)
        history.close(lambda _role, _stream, _position: False)
        progress(until, until)
        beside = documents_kept(connection, history), archived_files(connection)
    return Report(history.position, history.streams, (*history.checks, *beside))


def check_log(
    database_url: str,
    keys: Sequence[VerifierKey],
    against: Sequence[Signed],
    codec: Codec,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[SealBook, Report]:
    """Only whether every event is as it was sealed, and that the checkpoints are of them."""
    with snapshot(database_url) as connection:
        last = last_position(connection)
        streams = position = 0
        with seal_book(connection, keys, against, codec.over(connection)) as seals:
            for page in stored_events(connection):
                for event in page:
                    seals.note(event)
                streams += sum(event.version == 1 for event in page)
                progress(position := page[-1].position, last)
        archived = archived_files(connection)
    return seals, Report(position, streams, (*seals.checks, archived))


def shared_questions(projections: Sequence[Projection], events: Mapping[str, int], count: int) -> list[Questions]:
    """So many shares of all of them. `events`: how many there are of each type."""
    every = sum(events.values())
    work = {one.name: work_of(one, events) for one in projections}
    work |= {PROMISES: PROMISES_WORK * every, SEALS: SEALS_WORK * every}
    return [
        Questions(PROMISES in share, SEALS in share, [name for name in share if name not in (PROMISES, SEALS)])
        for share in shared_by_work(work, count)
    ]
