"""Makes the tables of this version, and folds again the read models that it folds otherwise.

Reads    payment_references, as it is folded again
Emits    ClaimReference
Decides  that a provider's name which one payment has from before names were claimed is of that payment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import structlog
from psycopg.rows import dict_row

from oms_es.app.privacy import encrypting
from oms_es.app.rebuild import Rebuild, rebuild_together
from oms_es.app.registry import DECIDERS, PROJECTIONS
from oms_es.gateways.simulated import effects
from oms_es.kafka import topic_ids
from oms_es.kafka.relay import store as relay_store
from oms_es.kernel import (
    Projection,
)
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.rows import create_indexes
from oms_es.processing.sealer import Sealer
from oms_es.projections.payment import payment_references
from oms_es.proof.notes import SignerKey
from oms_es.schemas.payment.references import claims
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store import dead_letters, schema, snapshots, stops
from oms_es.store import outbox as changes
from oms_es.store.archive import tables as archive_tables
from oms_es.store.documents import table as documents
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.store.http import api_keys, link_keys, sessions, subscriptions, views, webhook_secrets
from oms_es.store.http import tables as http_tables
from oms_es.store.privacy import encrypted_later, subject_keys
from oms_es.store.privacy.encrypted_later import NotEncrypted
from oms_es.store.privacy.subject_keys import SqlSubjectKeys
from oms_es.store.privacy.subjects import NAMED_BY_STREAM
from oms_es.store.privacy.wrapping import KEYRING
from oms_es.store.recorder import ADVANCE_FIRST, MIGRATION_LOCK, Advance, Recorder, datastore_of
from oms_es.store.sealing import seals
from oms_es.store.sealing import tables as sealing_tables
from oms_es.store.sealing.seals import SqlSealing
from oms_es.store.store import Store

log = structlog.get_logger(__name__)

ENCRYPTION_LOCK = MIGRATION_LOCK + 0x656E63
CLAIMER = "migrate"
"""The actor of commands that a migration gives."""
CLAIMED_MAX = 1_000
"""Names that are claimed in one transaction."""
INDEXES = "SELECT indexname::text FROM pg_indexes WHERE schemaname = current_schema()"
HELD_BY_ONE = f"""
    SELECT reference, min(payment_id) FROM {payment_references.table.name}
    WHERE reference > %s GROUP BY reference HAVING count(*) = 1 ORDER BY reference LIMIT {CLAIMED_MAX}"""

RebuildProgress = Callable[[str], Callable[[int, int], None]]
"""Makes, for the name of what is rebuilt, a function that gets the position reached and the last position."""


def unseen(_read_model: str) -> Callable[[int, int], None]:
    """Return a progress function that shows nothing."""
    return lambda _reached, _last: None


def migrate(
    database_url: str,
    *,
    published: frozenset[str] = frozenset(),
    progress: RebuildProgress = unseen,
    log_key: SignerKey | None = None,
    data_keys: Sequence[bytes] = (),
) -> None:
    """Create every table of this version, rebuild read models that this version folds differently, and seal the log.

    Safe to run again, also after an interruption, and from several processes at once; processes of an older version
    must be stopped first. Engines of this version may start while the log is sealed. `published`: read models whose
    rows are published on Kafka. `log_key`: signs checkpoints; without it, a key is made and stored in the database.
    `data_keys`: with them, personal data is encrypted from now on, and then where it was stored in the clear.

    Raise NewerDatabase, NoLogKey or NotEncrypted.
    """
    with psycopg.connect(database_url, autocommit=True) as connection, datastore_of(database_url) as datastore:
        connection.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        stored = schema.versions(connection, PROJECTIONS)
        schema.refuse_newer(stored, PROJECTIONS)
        recorder = Recorder(datastore)
        recorder.create_table()
        with connection.transaction():
            for statement in _tables():
                connection.execute(statement)
        held = KEYRING.hold(data_keys)
        _refuse_archived_in_the_clear(connection, held)
        subject_keys.require(connection)  # before anything is read without the key, or written with another
        stale = [projection for projection in PROJECTIONS if schema.stale(stored, projection)]
        end = recorder.end()
        with connection.transaction():
            _make_missing(connection, stale, end)
        if stale and end:
            _fold(database_url, recorder, stale, published, progress)
        _index(connection)
        with connection.transaction():
            seals.begin(connection, log_key)
            if held:
                subject_keys.begin(connection, held[0])
        if payment_references.projection in stale or stored.schema < schema.SCHEMA_VERSION:
            _claim(connection, recorder)
        if held:
            encrypting.begin(recorder)
        schema.record(connection, PROJECTIONS)
        connection.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        _seal(recorder, log_key, progress)
        if held:
            _encrypt(connection, recorder, log_key, progress)


def _refuse_archived_in_the_clear(connection: psycopg.Connection[Any], held: Sequence[str]) -> None:
    """Files do not change: nothing in them can be encrypted later. Raise NotEncrypted."""
    with connection.cursor(row_factory=dict_row) as curs:
        if held and not subject_keys.newest(curs) and (archived := archive_tables.standing(curs)):
            raise NotEncrypted(
                f"{len(archived):,} files have events that were archived in the clear: run `oms-es archive --restore` "
                "without a key, then migrate with it, and delete the files"
            )


def _claim(connection: psycopg.Connection[Any], recorder: Recorder) -> None:
    """Claim names page by page; a repeated run changes nothing. A name that several payments have is not claimed: the
    next report with it decides."""
    store = Store(DECIDERS, VOCABULARY, recorder, keys=SqlSubjectKeys(recorder.datastore.cursor))
    for held in _held_by_one(connection):
        store.execute([(Cause(CLAIMER), claims(payment_id, (name,))) for name, payment_id in held])


def _held_by_one(connection: psycopg.Connection[Any]) -> Iterator[Sequence[tuple[str, str]]]:
    last = ""
    while held := connection.execute(HELD_BY_ONE.encode(), [last]).fetchall():
        yield held
        last = held[-1][0]


def _seal(recorder: Recorder, log_key: SignerKey | None, progress: RebuildProgress) -> None:
    """Seal the log in batches; after an interruption, finished batches stay sealed."""
    sealer, end = Sealer(SqlSealing(recorder.datastore, log_key)), recorder.end()
    if sealer.has_more():
        shown = progress("the log's seal")
        sealer.seal_all(lambda position: shown(min(position, end), end))


def _encrypt(
    connection: psycopg.Connection[Any], recorder: Recorder, log_key: SignerKey | None, progress: RebuildProgress
) -> None:
    """Encrypt what was stored in the clear, in one process at a time, and seal the records of it. A second one goes on
    without waiting: this may take long, and engines that have the key may run meanwhile."""
    if not (free := connection.execute("SELECT pg_try_advisory_lock(%s)", [ENCRYPTION_LOCK]).fetchone()) or not free[0]:
        log.warning("another process encrypts personal data that was stored in the clear: this one leaves it to that")
        return
    try:
        done = encrypting.encrypt_stored(recorder, progress("personal data in the clear"))
        with recorder.moving() as curs:
            curs.execute(snapshots.DELETE_IN_THE_CLEAR, [[*NAMED_BY_STREAM]])
        _seal(recorder, log_key, progress)
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [ENCRYPTION_LOCK])
    if done.left:
        log.warning(
            "events cannot be encrypted and stay in the clear: their orders cannot be forgotten", events=done.left
        )


def _fold(
    database_url: str,
    recorder: Recorder,
    stale: Sequence[Projection],
    published: frozenset[str],
    progress: RebuildProgress,
) -> None:
    connections = Connections(database_url)
    try:
        codec = Codec(VOCABULARY, keys=SqlSubjectKeys(recorder.datastore.cursor))
        rebuilds = [
            Rebuild(one, database_url, recorder, codec, connections, published=one.name in published) for one in stale
        ]
        what = stale[0].name if len(stale) == 1 else f"{len(stale)} read models"
        rebuild_together(rebuilds, database_url, progress(what))
    finally:
        connections.close()


def _make_missing(connection: psycopg.Connection[Any], projections: Sequence[Projection], end: int) -> None:
    """Create missing tables. An empty table claims to have taken the whole log: it is then rebuilt from it at once."""
    for projection in projections:
        if schema.stored_columns(connection, projection.name):
            continue
        connection.execute(schema.created(projection.table))
        for statement in create_indexes(projection):
            connection.execute(statement)
        schema.record_unfolded(connection, projection.name)
        if end:
            connection.execute(ADVANCE_FIRST, Advance(projection.name, 0, end)._asdict())


def _index(connection: psycopg.Connection[Any]) -> None:
    """Create the indexes that tables of read models lack: a version that only adds an index folds nothing again."""
    made = {name for (name,) in connection.execute(INDEXES).fetchall()}
    for projection in PROJECTIONS:
        if any(index.name not in made for index in projection.table.indexes):
            for statement in create_indexes(projection):
                connection.execute(statement)


def _tables() -> Sequence[bytes]:
    statements = (
        schema.CREATE,
        (dead_letters.CREATE,),
        documents.CREATE,
        changes.CREATE,
        relay_store.CREATE,
        topic_ids.CREATE,
        stops.CREATE,
        effects.CREATE,
        (api_keys.CREATE, link_keys.CREATE, webhook_secrets.CREATE, sessions.CREATE, sessions.ADD_CALLER, views.CREATE),
        http_tables.CREATE,
        subscriptions.CREATE,
        sealing_tables.CREATE,
        subject_keys.CREATE,
        encrypted_later.CREATE,
        archive_tables.CREATE,
    )
    return [statement.encode() for some in statements for statement in some]
