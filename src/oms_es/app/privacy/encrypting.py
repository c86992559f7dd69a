"""Encryption of personal data in events that were stored before there was a key.

Reads    events that were stored in the clear, once they are sealed
Emits    RecordEncryption
Decides  nothing: each event is what it was, and what is personal in it stands encrypted beside it.

Invariant: a batch of events, the record that names them and how far it reached are one transaction. The leaves of the
sealed log stay what they were, so that every older checkpoint and every witness goes on; the record, which is sealed,
too, says which bytes the leaves of these events are of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg.rows import dict_row

from oms_es.aggregates.operations import encryption
from oms_es.aggregates.repeats import unquoted
from oms_es.database.rows import Reading
from oms_es.proof.encryption import is_encrypted
from oms_es.schemas.operations.encryption import ENCRYPTED_MAX, STREAM, EncryptedEvent, RecordEncryption
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store.encoding.codec import Cause
from oms_es.store.encoding.encrypting import InTheClear, may_be_personal
from oms_es.store.outcomes import Outcome, Request
from oms_es.store.privacy import encrypted_later
from oms_es.store.privacy.encrypted_later import ENCRYPTED_LATER, NotEncrypted, Standing
from oms_es.store.privacy.subject_keys import SqlSubjectKeys
from oms_es.store.privacy.subjects import FORGOTTEN_TYPES, stream_of
from oms_es.store.recorder import EVENTS, Recorder
from oms_es.store.sealing.proving import newest_checkpoint
from oms_es.store.sealing.seals import head_of
from oms_es.store.store import Store

ACTOR = "migrate"
PAGES_MAX = 10
"""Pages of events that are read for one batch, whatever is found on them."""
LEFT_MAX = 20
"""Events that are named because they stay in the clear."""
FORGOTTEN = f"""
SELECT originator_id, notification_id AS position FROM {EVENTS}
WHERE originator_id = ANY(%s) AND topic = ANY(%s) LIMIT 1
"""
MAY_BE_PERSONAL = sorted(name for name, event in VOCABULARY.items() if may_be_personal(event))

ARCHIVED = (
    "position {}, {}: it is in the clear in a file of archived events; run `oms-es archive --restore`, then "
    "`oms-es migrate` again, and delete the files"
)

Progress = Callable[[int, int], None]
"""Is given the position reached, and the last one."""


class Found(NamedTuple):
    """An event that holds something personal in the clear. `subject`: whose key encrypts it."""

    position: int
    event: InTheClear
    subject: str

    @property
    def digest(self) -> str:
        return sha256(self.event.state).hexdigest()


class Scanned(NamedTuple):
    """The next events that hold something personal in the clear, as far as was read. `left`: events that cannot be
    encrypted where they stand, in words."""

    found: Sequence[Found]
    reached: int
    left: Sequence[str]


class Batch(NamedTuple):
    """What is encrypted together. `before`: how far those before it reached. `checkpoint`: the newest, which covers all
    of them."""

    before: Standing
    scanned: Scanned
    checkpoint: str


class Encrypted(NamedTuple):
    """The result: how many events were encrypted, and in words the first that stay as they are."""

    events: int
    left: Sequence[str]


class StillInTheClear(NamedTuple):
    """What would be encrypted. `through`: the last position that is looked at. `left`: what cannot be."""

    events: int
    through: int
    left: Sequence[str] = ()


def begin(recorder: Recorder) -> None:
    """Note where the log ends, once a key is there. Every append waits for it: what comes later is encrypted."""
    with recorder.writing() as curs:
        encrypted_later.begin(curs, recorder.end(curs))


def encrypt_stored(recorder: Recorder, progress: Progress) -> Encrypted:
    """Encrypt what was stored in the clear and is sealed.

    It may be interrupted at any point and run again. Raise NotEncrypted, or Refused if another process did so, too.
    """
    keys = SqlSubjectKeys(recorder.datastore.cursor)
    store = Store([encryption.decider], VOCABULARY, recorder, keys=keys)
    count, left = 0, list[str]()
    while batch := _next_batch(recorder.datastore):
        states, keyless = _encrypted(recorder, keys, batch.scanned.found)
        count += _write(store, batch, states)
        left = [*left, *batch.scanned.left, *keyless][:LEFT_MAX]
        progress(batch.scanned.reached, batch.before.through)
    return Encrypted(count, left)


def still_in_the_clear(connection: psycopg.Connection[Any]) -> StillInTheClear:
    """Count what a migration with a key would encrypt, also of a database that was not migrated yet."""
    with connection.cursor(row_factory=dict_row) as curs:
        if not _is_there(curs, EVENTS):
            return StillInTheClear(0, 0)
        standing = encrypted_later.standing(curs) if _is_there(curs, ENCRYPTED_LATER) else None
        if standing is None:
            last = curs.execute(f"SELECT coalesce(max(notification_id), 0) AS last FROM {EVENTS}".encode()).fetchone()
            standing = Standing(0, last["last"] if last else 0)
        count, left = 0, list[str]()
        while not standing.done:
            scanned = _scanned(curs, standing)
            count, left = count + len(scanned.found), [*left, *scanned.left][:LEFT_MAX]
            standing = standing._replace(reached=scanned.reached)
        return StillInTheClear(count, standing.through, left)


def _is_there(rows: Reading, table: str) -> bool:
    found = rows.execute("SELECT to_regclass(%s) IS NOT NULL AS is_there", [table]).fetchone()
    return bool(found and found["is_there"])


def _scanned(rows: Reading, standing: Standing) -> Scanned:
    """Read the next pages, up to an event that is encrypted already: it was from the beginning, as is all that came
    later, since a key is there for all events from one position on."""
    found, left, after = list[Found](), list[str](), standing.reached
    for _ in range(PAGES_MAX):
        page = encrypted_later.page(rows, after, standing.through, MAY_BE_PERSONAL)
        for one in page:
            if is_encrypted(one.state):
                return Scanned(found, standing.through, left)
            try:
                event = InTheClear(one.state, VOCABULARY[one.topic], unquoted)
                if event.taken and one.is_archived:
                    raise NotEncrypted(ARCHIVED.format(one.position, one.topic))
                if event.taken:
                    found.append(Found(one.position, event, str(event.envelope["correlation_id"])))
            except (ValueError, KeyError, TypeError, AttributeError) as why:
                left.append(f"position {one.position}, {one.topic}: {type(why).__name__} {why}")
            if len(found) == ENCRYPTED_MAX:
                return Scanned(found, one.position, left)
        if len(page) < encrypted_later.PAGE_MAX:
            return Scanned(found, standing.through, left)
        after = page[-1].position
    return Scanned(found, after, left)


def _next_batch(datastore: PostgresDatastore) -> Batch | None:
    """Raise NotEncrypted if some of them are not sealed as they are."""
    with datastore.cursor() as curs:
        standing = encrypted_later.standing(curs)
        if standing is None or standing.done:
            return None
        if head_of(curs).position < standing.through:
            raise NotEncrypted("events that were stored in the clear are not sealed yet; run `oms-es migrate` again")
        return Batch(standing, _scanned(curs, standing), newest_checkpoint(curs))


def _encrypted(
    recorder: Recorder, keys: SqlSubjectKeys, found: Sequence[Found]
) -> tuple[Mapping[EncryptedEvent, bytes], Sequence[str]]:
    """Return how each is stored from now on, and those that stay in the clear as their key was destroyed before."""
    if not found:
        return {}, ()
    with recorder.writing() as curs:
        ciphers = keys.to_write(curs, {one.subject for one in found}) or {}
    written = {one: one.event.encrypted(cipher) for one in found if (cipher := ciphers[one.subject])}
    states = {
        EncryptedEvent(position=one.position, before=one.digest, after=sha256(state).hexdigest()): state
        for one, state in written.items()
    }
    return states, [f"position {one.position}: the key of {one.subject} is gone" for one in found if one not in written]


def _write(store: Store, batch: Batch, states: Mapping[EncryptedEvent, bytes]) -> int:
    """Write a batch and its record, and return how many events that were. Raise NotEncrypted, or Refused; then nothing
    of the batch has happened. The last record reaches to where encryption began, so that none can be appended for what
    is before that."""
    before, reached = batch.before, batch.scanned.reached
    if not states and reached < before.through:
        with store.recorder.moving() as curs:
            encrypted_later.reach(curs, reached, before.through, None)
        return 0

    def rewrite(curs: Any, outcomes: Mapping[str, Outcome]) -> None:
        if not (recorded := outcomes[STREAM].recorded):
            return
        _refuse_forgotten(curs, {one.subject for one in batch.scanned.found})
        encrypted_later.rewrite(
            curs, {one.position: state for one, state in states.items()}, [one.before for one in states]
        )
        encrypted_later.reach(curs, reached, before.through, recorded[0].position)

    command = RecordEncryption(
        previous=before.reached,
        reached=reached,
        through=before.through,
        events=tuple(states),
        checkpoint=batch.checkpoint,
    )
    [outcome] = store.execute_each([Request(Cause(ACTOR), [command])], rewrite)
    if outcome.refused:
        raise outcome.refused
    return len(states) if outcome.recorded else 0


def _refuse_forgotten(rows: Reading, subjects: Collection[str]) -> None:
    """Raise NotEncrypted if one of the orders or accounts is to be forgotten: a record after that request is not
    believed once the key is gone. Called under the append lock, so that no request comes between."""
    streams = [stream_of(subject) for subject in sorted(subjects)]
    if asked := rows.execute(FORGOTTEN.encode(), [streams, FORGOTTEN_TYPES]).fetchone():
        raise NotEncrypted(
            f"{asked['originator_id']} was asked to be forgotten at position {asked['position']}, and events of it are "
            "stored in the clear: its request was recorded by another program; restore a backup from before it"
        )
