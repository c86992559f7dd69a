"""Encryption of personal data in events that were stored before there was a key.

Reads    events that were stored in the clear, once they are sealed
Emits    RecordEncryption
Decides  nothing: each event is what it was, and what is personal in it stands encrypted beside it.

Invariant: a batch of events, the record that names them and how far it reached are one transaction. The leaves of the
sealed log stay what they were, so that every older checkpoint and every witness goes on; the record, which is sealed,
too, says which bytes the leaves of these events are of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg.rows import dict_row

from oms_es.aggregates.operations import encryption
from oms_es.aggregates.repeats import unquoted
from oms_es.database.rows import Reading
from oms_es.schemas.operations.encryption import ENCRYPTED_MAX, STREAM, EncryptedEvent, RecordEncryption
from oms_es.schemas.values.parts import parts_of
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store.encoding.codec import Cause
from oms_es.store.encoding.encrypting import QUOTING, InTheClear
from oms_es.store.outcomes import Outcome, Request
from oms_es.store.privacy import encrypted_later
from oms_es.store.privacy.encrypted_later import ENCRYPTED_LATER, NotEncrypted, Standing
from oms_es.store.privacy.subject_keys import SqlSubjectKeys
from oms_es.store.recorder import EVENTS, Recorder
from oms_es.store.sealing.proving import newest_checkpoint
from oms_es.store.sealing.seals import head_of
from oms_es.store.store import Store

ACTOR = "migrate"
MAY_BE_PERSONAL = sorted(name for name, event in VOCABULARY.items() if parts_of(event) or QUOTING in event.model_fields)
"""Types of events in which something personal may stand, or be quoted."""

Progress = Callable[[int, int], None]
"""Is given the position reached, and the last one."""


class Found(NamedTuple):
    """An event that holds something personal in the clear."""

    position: int
    event: InTheClear

    @property
    def subject(self) -> str:
        return str(self.event.envelope["correlation_id"])

    @property
    def digest(self) -> str:
        return sha256(self.event.state).hexdigest()


class Batch(NamedTuple):
    """The next events that hold something personal in the clear. `before`: how far those before it reached.

    `checkpoint`: the newest, which covers all of them.
    """

    before: Standing
    reached: int
    found: Sequence[Found]
    checkpoint: str


class StillInTheClear(NamedTuple):
    """What would be encrypted. `through`: the last position that is looked at."""

    events: int
    through: int


def begin(recorder: Recorder) -> None:
    """Note where the log ends, once a key is there. Every append waits for it: what comes later is encrypted."""
    with recorder.writing() as curs:
        encrypted_later.begin(curs, recorder.end(curs))


def encrypt_stored(recorder: Recorder, progress: Progress) -> int:
    """Encrypt what was stored in the clear and is sealed, and return how many events that were.

    It may be interrupted at any point and run again. Raise NotEncrypted, or Refused if another process did so, too.
    """
    keys = SqlSubjectKeys(recorder.datastore.cursor)
    store = Store([encryption.decider], VOCABULARY, recorder, keys=keys)
    count = 0
    while batch := _next_batch(recorder.datastore):
        count += _write(store, batch, _encrypted(recorder, keys, batch.found))
        progress(batch.reached, batch.before.through)
    return count


def still_in_the_clear(connection: psycopg.Connection[Any]) -> StillInTheClear:
    """Count what a migration with a key would encrypt, also of a database that was not migrated yet."""
    with connection.cursor(row_factory=dict_row) as curs:
        if not _is_there(curs, EVENTS):
            return StillInTheClear(0, 0)
        standing = encrypted_later.standing(curs) if _is_there(curs, ENCRYPTED_LATER) else None
        if standing is None:
            last = curs.execute(f"SELECT coalesce(max(notification_id), 0) AS last FROM {EVENTS}".encode()).fetchone()
            standing = Standing(0, last["last"] if last else 0)
        return StillInTheClear(sum(1 for _ in _in_the_clear(curs, standing)), standing.through)


def _is_there(rows: Reading, table: str) -> bool:
    found = rows.execute("SELECT to_regclass(%s) IS NOT NULL AS is_there", [table]).fetchone()
    return bool(found and found["is_there"])


def _in_the_clear(rows: Reading, standing: Standing) -> Iterator[Found]:
    """Yield the events that hold something personal in the clear. Raise NotEncrypted."""
    after = standing.reached
    while page := encrypted_later.page(rows, after, standing.through, MAY_BE_PERSONAL):
        for one in page:
            try:
                event = InTheClear(one.state, VOCABULARY[one.topic], unquoted)
            except ValueError as why:
                raise NotEncrypted(f"position {one.position}, {one.topic}: {why}") from why
            if event.taken:
                yield Found(one.position, event)
        after = page[-1].position


def _next_batch(datastore: PostgresDatastore) -> Batch | None:
    """Raise NotEncrypted, also if some of them are not sealed as they are."""
    with datastore.cursor() as curs:
        standing = encrypted_later.standing(curs)
        if standing is None or standing.done:
            return None
        if head_of(curs).position < standing.through:
            raise NotEncrypted("events that were stored in the clear are not sealed yet; run `oms-es migrate` again")
        found = list(islice(_in_the_clear(curs, standing), ENCRYPTED_MAX))
        reached = found[-1].position if len(found) == ENCRYPTED_MAX else standing.through
        return Batch(standing, reached, found, newest_checkpoint(curs))


def _encrypted(recorder: Recorder, keys: SqlSubjectKeys, found: Sequence[Found]) -> Mapping[EncryptedEvent, bytes]:
    """Return how each is stored from now on. What is of an order whose key was destroyed is left as it is."""
    with recorder.writing() as curs:
        ciphers = keys.to_write(curs, {one.subject for one in found}) or {}
    written = {one: one.event.encrypted(cipher) for one in found if (cipher := ciphers[one.subject])}
    return {
        EncryptedEvent(position=one.position, before=one.digest, after=sha256(state).hexdigest()): state
        for one, state in written.items()
    }


def _write(store: Store, batch: Batch, states: Mapping[EncryptedEvent, bytes]) -> int:
    """Write a batch and its record. Raise NotEncrypted, or Refused; then nothing of the batch has happened."""
    before, reached = batch.before, batch.reached
    if not states:
        with store.recorder.moving() as curs:
            encrypted_later.reach(curs, reached, before.through, None)
        return 0

    def rewrite(curs: Any, outcomes: Mapping[str, Outcome]) -> None:
        if not (recorded := outcomes[STREAM].recorded):
            return
        encrypted_later.rewrite(
            curs, {one.position: state for one, state in states.items()}, [one.before for one in states]
        )
        encrypted_later.reach(curs, reached, before.through, recorded[0].position)

    command = RecordEncryption(
        previous=before.reached, reached=reached, events=tuple(states), checkpoint=batch.checkpoint
    )
    [outcome] = store.execute_each([Request(Cause(ACTOR), [command])], rewrite)
    if outcome.refused:
        raise outcome.refused
    return len(states)
